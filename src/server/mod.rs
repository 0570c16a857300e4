//! The running server: builds the services in order, serves them, and shuts down without losing anything.

mod listeners;
mod log;
mod services;

use std::{fs, io, sync::Arc, time::Duration};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task::{JoinError, JoinSet},
    time::timeout,
};
use tracing::{info, warn};

use self::listeners::Bound;
use crate::{
    clock::Clock,
    config::Config,
    error::{Error, Result},
    http::{self, App},
    matrix::signing::SigningKey,
    shutdown::Shutdown,
    storage::Store,
    users::Sessions,
};

/// How much of when devices were last seen a crash may lose.
const LAST_SEEN_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Serves until the process is told to stop with SIGTERM or SIGINT.
///
/// # Errors
///
/// Says why the server could not start or had to stop.
pub fn run(config: Config) -> Result<()> {
    log::install(&config.log)?;
    install_tls_provider();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::internal)?;
    runtime.block_on(serve(Arc::new(config)))
}

/// Checks what lies outside the configuration file itself: the key, the certificates, the log's directives.
///
/// # Errors
///
/// Says what is missing or cannot be used.
pub fn check(config: &Config) -> Result<()> {
    log::filter(&config.log)?;
    signing_key(config)?;
    install_tls_provider();
    let runtime = runtime::Builder::new_current_thread().build().map_err(Error::internal)?;
    runtime.block_on(listeners::check(&config.listeners))
}

async fn serve(config: Arc<Config>) -> Result<()> {
    let mut stop = StopSignals::new()?;
    let shutdown = Shutdown::default();
    let store = Store::in_memory();
    let parts = services::build(config.clone(), store.clone(), signing_key(&config)?, Clock::system())?;
    let keeping = tokio::spawn(keep_last_seen(parts.users.sessions.clone(), shutdown.clone()));
    let app = App::new(parts);

    let mut listening = JoinSet::new();
    for listener in &config.listeners {
        let bound = Bound::new(listener).await?;
        info!(address = %bound, "listening");
        listening.spawn(bound.serve(http::router(app.clone()), shutdown.clone()));
    }

    let mut outcome = tokio::select! {
        name = stop.received() => {
            info!(signal = name, "stopping");
            Ok(())
        }
        // A listener only ends by itself when it fails.
        Some(ended) = listening.join_next() => end_of(ended),
    };

    shutdown.begin();
    while let Some(ended) = listening.join_next().await {
        outcome = outcome.and(end_of(ended));
    }
    outcome = outcome.and(keeping.await.map_err(Error::internal));
    store.close().await;
    info!("stopped");
    outcome
}

/// Writes every few minutes, and once more when the server stops, when devices were last seen.
async fn keep_last_seen(sessions: Sessions, shutdown: Shutdown) {
    loop {
        let stopping = timeout(LAST_SEEN_INTERVAL, shutdown.begun()).await.is_ok();
        if let Err(cause) = sessions.write_last_seen().await {
            warn!(%cause, "when devices were last seen could not be written");
        }
        if stopping {
            return;
        }
    }
}

/// How a listener's task ended.
fn end_of(task: Result<io::Result<()>, JoinError>) -> Result<()> {
    task.map_err(Error::internal)?.map_err(Error::internal)
}

/// The requests to stop that a process manager or a person at the terminal sends.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(Error::internal);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for a signal and names it.
    async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Reads the key that `commonroom init` made.
fn signing_key(config: &Config) -> Result<SigningKey> {
    let file = config.signing_key_file();
    let text = fs::read_to_string(&file).map_err(|e| {
        Error::internal(format!("cannot read the signing key {}: {e}; `commonroom init` makes one", file.display()))
    })?;
    SigningKey::parse(&text).map_err(|e| Error::invalid(format!("{}: {e}", file.display())))
}

/// Chooses the cryptography that TLS uses in this process, here and in the outgoing requests.
fn install_tls_provider() {
    // It fails only when one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
