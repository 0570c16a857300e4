//! Tells application services what happens, and asks them what they know
//! ([spec](https://spec.matrix.org/v1.19/application-service-api/)).
//!
//! Each service has a task of its own that follows the log (`worker`), so that one which hangs or is down delays nobody else.
//! What concerns it (`interest`) becomes a transaction (`gather`), which is kept before it is sent: however often it has to be
//! sent, over restarts too, it is the same one.

mod calls;
mod gather;
mod interest;
mod queries;
mod third_party;
mod worker;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tracing::warn;

pub use self::third_party::Sought;
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
        Batch, Direction, KeyRange, Store,
        schema::appservices::{APPSERVICE_INBOX, APPSERVICE_PROGRESS, APPSERVICE_TRANSACTIONS},
    },
    streams::{Ephemerals, Notifier},
    users::{Accounts, Sessions},
};

/// How long to wait after a failure of this server itself.
const RETRY: Duration = Duration::from_secs(10);

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

/// How a service is, as far as this run of the server knows.
#[derive(Clone, Default)]
struct Health {
    /// Since when it cannot be told, in milliseconds since the Unix epoch, and why.
    failing: Option<(u64, String)>,
    /// Has it tried again at once.
    nudge: Arc<Notify>,
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
    /// The service over `store`, which calls wherever the registrations say.
    pub fn new(
        store: Store,
        clock: Clock,
        (notifier, ephemerals): (Notifier, Ephemerals),
        shutdown: Shutdown,
        sources: Sources,
        outgoing: &Outgoing,
    ) -> Self {
        let (outgoing, health) = (outgoing.to_where_the_operator_says(), Mutex::default());
        let shared = Shared { store, clock, notifier, ephemerals, shutdown, sources, outgoing, health };
        Self { shared: Arc::new(shared) }
    }

    /// Tells services what happens until the server stops.
    pub async fn follow(self) {
        let mut reloads = self.shared.sources.appservices.reloads();
        loop {
            reloads.mark_unchanged();
            let services = self.shared.sources.appservices.all();
            if let Err(cause) = self.forget_others(&services).await {
                warn!(%cause, "what waits for application services that are gone could not be removed");
            }
            let mut workers = JoinSet::new();
            for service in services.iter().filter(|service| service.url.is_some()) {
                workers.spawn(self.clone().work(service.clone()));
            }
            tokio::select! {
                // What a worker was sending is kept, and sent again by the next one.
                changed = reloads.changed() => if changed.is_err() { return },
                () = self.shared.shutdown.begun() => return,
                Some(_) = workers.join_next() => {
                    warn!("telling the application services failed; starting again soon");
                    tokio::select! {
                        () = sleep(RETRY) => {}
                        () = self.shared.shutdown.begun() => return,
                    }
                }
            }
            workers.shutdown().await;
        }
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
                (Some(_), Some(progress)) => Some(snapshot.position().get().saturating_sub(progress.done.get())),
            };
            let failing = self.health(&appservice.id).failing;
            let failing = failing.map(|(since, cause)| (Duration::from_millis(now.saturating_sub(since)), cause));
            standings.push(Standing { appservice: appservice.clone(), behind, failing });
        }
        Ok(standings)
    }

    async fn is_idle(&self, id: &str) -> Result<bool> {
        Ok(!APPSERVICE_TRANSACTIONS.exists(&self.shared.store.snapshot(), (id,)).await?)
    }

    /// Forgets how far services are that are not registered any more, so that one which comes back begins anew.
    async fn forget_others(&self, services: &[Arc<Appservice>]) -> Result<()> {
        let snapshot = self.shared.store.snapshot();
        let known = APPSERVICE_PROGRESS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        let mut batch = Batch::new();
        batch.slots(0);
        for ((id,), _) in known.iter().filter(|((id,), _)| !services.iter().any(|service| service.id == *id)) {
            APPSERVICE_PROGRESS.delete(&mut batch, (id,));
            APPSERVICE_TRANSACTIONS.delete(&mut batch, (id,));
            APPSERVICE_INBOX.delete_range(&mut batch, KeyRange::prefix((id,)));
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.shared.store.commit(batch).await.map(drop),
        }
    }

    fn health(&self, id: &str) -> Health {
        self.lock().entry(id.to_owned()).or_default().clone()
    }

    /// The map holds no invariant that a panic elsewhere could have broken, so a poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Health>> {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
