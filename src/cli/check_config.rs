//! `commonroom check-config`: whether a configuration can be used.

use std::path::Path;

use crate::{error::Result, server};

/// Prints one line when the configuration at `file` can be used; fails with everything that is wrong otherwise.
pub(super) fn run(file: &Path) -> Result<()> {
    let config = super::load(file)?;
    server::check(&config)?;
    println!("{} can be used: the server is {}.", file.display(), config.server_name);
    Ok(())
}
