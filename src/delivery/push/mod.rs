//! Tells push gateways what happens to the users of phones that are not connected
//! ([spec](https://spec.matrix.org/v1.19/push-gateway-api/)).
//!
//! One task follows the log and notes for each pusher in which rooms something happened (`following`, `lines`). Each
//! pusher that has something noted gets a task of its own (`worker`), which asks what its user is to be told, calls the
//! gateway and keeps how far it has come (`progress`). So a gateway that hangs or is down delays its own pushers only, and
//! a restart goes on where each pusher was.

mod content;
mod course;
mod following;
mod gateways;
mod lines;
mod progress;
mod worker;

use std::{sync::Arc, time::Duration};

use ruma::{OwnedUserId, api::client::push::PusherIds};
use tokio::sync::Semaphore;

use self::{gateways::Gateways, lines::Lines};
use crate::{
    clock::Clock, config::Badge, outgoing::Outgoing, rooms::Rooms, shutdown::Shutdown, storage::Store,
    streams::Notifier, users::Pushers,
};

/// How many pushers work out at the same time what to tell, so that the rest of the server gets its turn.
const PLANNING_AT_ONCE: usize = 8;

/// How long to wait after a failure of this server itself.
const RETRY: Duration = Duration::from_secs(30);

/// The service of push notifications: a cheap-clone handle.
#[derive(Clone)]
pub struct Push {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    notifier: Notifier,
    shutdown: Shutdown,
    rooms: Rooms,
    pushers: Pushers,
    badge: Badge,
    gateways: Gateways,
    planning: Semaphore,
    lines: Lines,
}

/// Which pusher: whose, and which of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    user: OwnedUserId,
    app_id: String,
    pushkey: String,
}

/// The services that know what there is to tell, and the way to those who are told.
#[derive(Clone)]
pub struct Sources {
    /// What happens in rooms.
    pub rooms: Rooms,
    /// Where users want to be told.
    pub pushers: Pushers,
    /// The way out of the server.
    pub outgoing: Outgoing,
}

impl Push {
    /// The service over `store`, with badges that count what `badge` says.
    pub fn new(
        store: Store,
        clock: Clock,
        notifier: Notifier,
        shutdown: Shutdown,
        sources: Sources,
        badge: Badge,
    ) -> Self {
        let Sources { rooms, pushers, outgoing } = sources;
        let (gateways, planning) = (Gateways::new(outgoing), Semaphore::new(PLANNING_AT_ONCE));
        let lines = Lines::default();
        let shared = Shared { store, clock, notifier, shutdown, rooms, pushers, badge, gateways, planning, lines };
        Self { shared: Arc::new(shared) }
    }
}

impl Key {
    fn new(user: OwnedUserId, ids: PusherIds) -> Self {
        Self { user, app_id: ids.app_id, pushkey: ids.pushkey }
    }

    fn ids(&self) -> PusherIds {
        PusherIds::new(self.pushkey.clone(), self.app_id.clone())
    }
}

#[cfg(test)]
mod tests;
