//! Carries a command to the running server, or carries it out on the data folder when none runs.

use std::sync::Arc;

use tokio::runtime;

use super::display;

use crate::{
    config::Config,
    error::{Error, Result},
    server::{
        Ready,
        admin::{self, AdminRequest, AdminResponse},
    },
};

/// Has `request` carried out and prints the answer, with `outcome` for words.
///
/// # Errors
///
/// As for [`ask`].
pub(super) fn carry_out(config: Config, request: AdminRequest, outcome: &str) -> Result<()> {
    print!("{}", display::response(&ask(config, request)?, outcome));
    Ok(())
}

/// Has `request` carried out.
///
/// # Errors
///
/// Those of the request, and when neither the server nor its data can be reached.
pub(super) fn ask(config: Config, request: AdminRequest) -> Result<AdminResponse> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    runtime.block_on(async {
        if let Some(response) = admin::ask(&config.admin_socket(), &request).await? {
            return Ok(response);
        }
        let server = Ready::new(Arc::new(config)).await?;
        let outcome = server.admin.handle(request).await;
        server.close().await;
        outcome
    })
}
