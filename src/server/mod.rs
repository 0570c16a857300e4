//! The running server: builds the services in order, serves them, and shuts down without losing anything.

pub mod admin;
mod listeners;
mod log;
mod services;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task::{JoinError, JoinSet},
    time::timeout,
};
use tracing::{info, warn};

pub use self::services::Ready;
use self::{admin::AdminSocket, listeners::Bound};
use crate::{
    appservices::Appservices,
    config::Config,
    delivery::Bridges,
    error::{Error, Result},
    http::{self, web_client::WebClient},
    outgoing::{Outgoing, mail::Mailer},
    shutdown::Shutdown,
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

/// Checks what lies outside the configuration file itself: the key, certificates, the web client, the log's directives.
///
/// # Errors
///
/// Says what is missing or cannot be used.
pub fn check(config: &Config) -> Result<()> {
    log::filter(&config.log)?;
    services::signing_key(config)?;
    WebClient::new(config)?;
    install_tls_provider();
    Outgoing::new(&config.outgoing)?;
    Appservices::load(config.appservices.folder.as_deref(), &config.server_name)?;
    if let Some(mail) = &config.mail {
        Mailer::new(mail, &config.outgoing, &config.server_name)?;
    }
    let runtime = runtime::Builder::new_current_thread().build().map_err(Error::internal)?;
    runtime.block_on(listeners::check(&config.listeners))
}

async fn serve(config: Arc<Config>) -> Result<()> {
    let mut stop = StopSignals::new()?;
    // An address that is taken is found out before the database is opened; who connects this early is served soon.
    let mut bound = Vec::new();
    for listener in &config.listeners {
        bound.push(Bound::new(listener).await?);
    }
    let ready = Ready::new(config.clone()).await?;
    let shutdown = ready.shutdown.clone();
    let keeping = tokio::spawn(keep_last_seen(ready.sessions.clone(), shutdown.clone()));
    let guests = tokio::spawn(ready.guest_expiry.clone().end_guests_in_time(shutdown.clone()));
    let typing = tokio::spawn(ready.rooms.clone().end_typing_in_time(shutdown.clone()));
    let delayed = tokio::spawn(ready.rooms.clone().send_delayed_in_time(shutdown.clone()));
    let presence = tokio::spawn(ready.presence.clone().keep_time(shutdown.clone()));
    let rooms = tokio::spawn(ready.rooms.clone().keep_up_with_users(shutdown.clone()));
    let previews = tokio::spawn(ready.previews.clone().remove_old_ones(shutdown.clone()));
    let company = tokio::spawn(ready.rooms.clone().wake_company(shutdown.clone()));
    let media = tokio::spawn(ready.media.clone().sweep_now_and_then(shutdown.clone()));
    let push = tokio::spawn(ready.push.clone().follow());
    let search = tokio::spawn(ready.search.clone().follow());
    let bridges = tokio::spawn(ready.bridges.clone().follow());
    let rereading = tokio::spawn(reread_registrations(ready.bridges.clone(), shutdown.clone()));

    let mut listening = JoinSet::new();
    let commands = AdminSocket::bind(config.admin_socket())?;
    listening.spawn(commands.serve(ready.admin.clone(), shutdown.clone()));
    for listener in bound {
        info!(address = %listener, "listening");
        listening.spawn(listener.serve(http::router(ready.app.clone()), shutdown.clone()));
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
    let tasks =
        [keeping, guests, typing, delayed, presence, rooms, company, media, previews, push, search, bridges, rereading];
    for task in tasks {
        outcome = outcome.and(task.await.map_err(Error::internal));
    }
    ready.close().await;
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

/// Reads the registrations of application services again at every SIGHUP until the server stops.
async fn reread_registrations(bridges: Bridges, shutdown: Shutdown) {
    let Ok(mut signals) = signal(SignalKind::hangup()) else { return };
    loop {
        tokio::select! {
            received = signals.recv() => if received.is_none() { return },
            () = shutdown.begun() => return,
        }
        match bridges.reload() {
            Ok(count) => info!(count, "the registrations of application services were read again"),
            Err(cause) => warn!(%cause, "the registrations of application services stay as they were"),
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

/// Chooses the cryptography that TLS uses in this process, here and in the outgoing requests.
fn install_tls_provider() {
    // It fails only when one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
