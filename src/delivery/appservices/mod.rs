//! Tells application services what happens, and asks them what they know
//! ([spec](https://spec.matrix.org/v1.19/application-service-api/)).
//!
//! Each service has a task of its own that follows the log (`worker`), so that one which hangs or is down delays nobody else.
//! What concerns it (`interest`) becomes a transaction (`gather`), which is kept before it is sent: however often it has to be
//! sent, over restarts too, it is the same one.

mod calls;
mod gather;
mod gone;
mod health;
mod interest;
mod queries;
mod third_party;
mod transaction;
mod worker;
mod workers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;
use tracing::warn;

use self::{health::Health, workers::Workers};
pub use self::{queries::Asked, third_party::Sought};
use crate::{
    appservices::{Appservice, Appservices},
    clock::Clock,
    encryption::{Keys, ToDevice},
    error::Result,
    outgoing::Outgoing,
    presence::Presence,
    rooms::Rooms,
    shutdown::Shutdown,
    storage::{
        Store,
        schema::appservices::{APPSERVICE_PROGRESS, APPSERVICE_TRANSACTIONS},
    },
    streams::{Ephemerals, Notifier},
    users::{Accounts, Sessions},
};

/// How long to wait after a failure of this server itself.
const RETRY: Duration = Duration::from_secs(10);
/// How often to look whether what is kept of services that are gone was kept long enough.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The service that tells and asks application services: a cheap-clone handle.
#[derive(Clone)]
pub struct Bridges {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    notifier: Notifier,
    ephemerals: Ephemerals,
    shutdown: Shutdown,
    sources: Sources,
    /// The way out, which leads wherever the operator says.
    outgoing: Outgoing,
    /// How long somebody waits who needs a service's answer.
    answer_timeout: Duration,
    /// How each service is, by its id.
    health: Mutex<HashMap<String, Health>>,
}

/// The services that know what there is to tell.
#[derive(Clone)]
pub struct Sources {
    /// Who is to be told.
    pub appservices: Appservices,
    /// Who has an account.
    pub accounts: Accounts,
    /// Which devices there are.
    pub sessions: Sessions,
    /// What happens in rooms.
    pub rooms: Rooms,
    /// Who is online.
    pub presence: Presence,
    /// What devices send each other.
    pub to_device: ToDevice,
    /// How many keys devices have left.
    pub keys: Keys,
}

/// An application service as the operator sees it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Who it is.
    pub appservice: Arc<Appservice>,
    /// How many positions of the log it has not been told of and need not be yet; `None` if it wants to hear of nothing.
    pub behind: Option<u64>,
    /// For how long it could not be told, and why.
    pub failing: Option<(Duration, String)>,
}

impl Bridges {
    /// The service over `store`, which calls wherever the registrations say and waits no longer than the timeout for answers
    /// that somebody else waits for.
    pub fn new(
        store: Store,
        clock: Clock,
        (notifier, ephemerals): (Notifier, Ephemerals),
        shutdown: Shutdown,
        sources: Sources,
        (outgoing, answer_timeout): (&Outgoing, Duration),
    ) -> Self {
        let (outgoing, health) = (outgoing.to_where_the_operator_says(), Mutex::default());
        let shared = Shared { store, clock, notifier, ephemerals, shutdown, sources, outgoing, answer_timeout, health };
        Self { shared: Arc::new(shared) }
    }

    /// Tells services what happens until the server stops.
    pub async fn follow(self) {
        let mut reloads = self.shared.sources.appservices.reloads();
        let mut workers = Workers::default();
        loop {
            reloads.mark_unchanged();
            let services = self.shared.sources.appservices.all();
            if let Err(cause) = self.keep_or_forget(&services).await {
                warn!(%cause, "what waits for application services that are gone could not be looked through");
            }
            workers.suit(&self, &services).await;
            tokio::select! {
                changed = reloads.changed() => if changed.is_err() { break },
                () = sleep(SWEEP) => {}
                () = self.shared.shutdown.begun() => break,
            }
        }
        // What one was sending is kept, and sent again after the next start.
        workers.end().await;
    }

    /// Reads the registrations again; gives their number.
    ///
    /// # Errors
    ///
    /// As [`Appservices::reload`].
    pub fn reload(&self) -> Result<usize> {
        self.shared.sources.appservices.reload()
    }

    /// How every service is.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn standings(&self) -> Result<Vec<Standing>> {
        let (snapshot, now) = (self.shared.store.snapshot(), self.shared.clock.millis());
        let mut standings = Vec::new();
        for appservice in self.shared.sources.appservices.all().iter() {
            let behind = match (&appservice.url, APPSERVICE_PROGRESS.get(&snapshot, (&appservice.id,)).await?) {
                (None, _) => None,
                (Some(_), None) => Some(0),
                // A service that is told of everything that concerns it need not be told of the rest.
                (Some(_), Some(_)) if self.is_idle(&appservice.id).await? => Some(0),
                (Some(_), Some(progress)) => Some(self.behind(progress.done)),
            };
            let outage = self.lock().get(&appservice.id).and_then(|health| health.outage.clone());
            let failing = outage.map(|outage| (Duration::from_millis(now.saturating_sub(outage.since)), outage.cause));
            standings.push(Standing { appservice: appservice.clone(), behind, failing });
        }
        Ok(standings)
    }

    async fn is_idle(&self, id: &str) -> Result<bool> {
        Ok(!APPSERVICE_TRANSACTIONS.exists(&self.shared.store.snapshot(), (id,)).await?)
    }

    /// The map holds no invariant that a panic elsewhere could have broken, so a poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Health>> {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
