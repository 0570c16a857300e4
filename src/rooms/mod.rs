//! The heart: the timeline and the state of every room, and who may do and see what in it.
//!
//! Everything that happens in a room goes the same way: a [`draft`] becomes a signed event, [`authorise`] asks the
//! protocol's rules about it, and [`append`] writes it and tells the log. Reading asks [`visibility`].

mod append;
mod authorise;
mod create;
mod create_plan;
mod draft;
mod load;
mod membership;
mod restricted;
mod room;
mod send;
mod state;
pub mod timeline;
pub mod visibility;

use std::sync::Arc;

use ruma::{OwnedServerName, RoomVersionId};

use self::load::LoadedRooms;
pub use self::{append::Writer, draft::Intent, room::Room, state::RoomState, visibility::Viewer};
use crate::{clock::Clock, config::HistoryVisibility, matrix::signing::SigningKey, storage::Store, streams::Notifier};

/// The service of rooms: a cheap-clone handle.
#[derive(Clone, Debug)]
pub struct Rooms {
    shared: Arc<Shared>,
}

/// What all parts of the service share.
#[derive(Debug)]
struct Shared {
    store: Store,
    clock: Clock,
    notifier: Notifier,
    key: SigningKey,
    settings: Settings,
    loaded: LoadedRooms,
}

/// What the operator decides about rooms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this server.
    pub server_name: OwnedServerName,
    /// The version of rooms whose creator asks for none.
    pub default_version: RoomVersionId,
    /// Who may read what was said before they joined, in rooms whose creator does not say.
    pub default_history_visibility: HistoryVisibility,
}

impl Rooms {
    /// The service over `store`, signing events with `key`.
    pub fn new(store: Store, clock: Clock, notifier: Notifier, key: SigningKey, settings: Settings) -> Self {
        let loaded = LoadedRooms::default();
        Self { shared: Arc::new(Shared { store, clock, notifier, key, settings, loaded }) }
    }
}

#[cfg(test)]
mod tests;
