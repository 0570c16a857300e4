//! What is remembered of connections: in memory, for as long as there is room.
//!
//! A client whose connection is forgotten, also by a restart, hears that its position is unknown and starts anew. Nothing that
//! it must not lose depends on it: messages to devices have a position of their own in the store.

use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;
use ruma::{OwnedDeviceId, OwnedUserId};

use super::told::Told;
use crate::error::{Kind, Result};

/// How many devices' connections are remembered.
const DEVICES: usize = 10_000;

/// How many connections of one device are remembered.
const CONNECTIONS: usize = 16;

/// How many answers to the same position are remembered, since a request that its client gave up may end after its successor.
const OFFERS: usize = 4;

type Device = (OwnedUserId, OwnedDeviceId);

/// A cheap-clone memory of connections; it may lose any of them at any time.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Cache<Device, Arc<Mutex<Vec<Connection>>>>>);

struct Connection {
    id: String,
    /// What the client certainly knows.
    acknowledged: Arc<Told>,
    /// What it may know besides: the answers that are on their way.
    offered: Vec<Arc<Told>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self(Arc::new(Cache::new(DEVICES)))
    }
}

impl Connections {
    /// What the client that comes with `pos` knows; nothing if it starts a connection.
    ///
    /// # Errors
    ///
    /// [`Kind::UnknownPosition`] if the connection never had that position or has gone on from it.
    pub(super) fn resume(&self, device: &Device, id: &str, pos: Option<&str>) -> Result<Arc<Told>> {
        let connections = self.of(device);
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        let found = connections.iter().position(|connection| connection.id == id);
        // The one that is used comes last, so that the first is the one to forget.
        let used = found.map(|index| connections.remove(index));
        let Some(pos) = pos else {
            if connections.len() >= CONNECTIONS {
                connections.remove(0);
            }
            let acknowledged = Arc::<Told>::default();
            connections.push(Connection { id: id.to_owned(), acknowledged: acknowledged.clone(), offered: Vec::new() });
            return Ok(acknowledged);
        };
        let unknown =
            || Kind::UnknownPosition.with("The server does not know this position any more; start without one.");
        let mut connection = used.ok_or_else(unknown)?;
        if let Some(index) = connection.offered.iter().position(|told| told.pos == pos) {
            connection.acknowledged = connection.offered.swap_remove(index);
            connection.offered.clear();
        }
        let acknowledged = connection.acknowledged.clone();
        connections.push(connection);
        if acknowledged.pos == pos { Ok(acknowledged) } else { Err(unknown()) }
    }

    /// Takes note of an answer to a client that knew `before`.
    pub(super) fn offer(&self, device: &Device, id: &str, before: &Arc<Told>, told: Told) {
        let connections = self.of(device);
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that was started anew or has gone on meanwhile has no use for the answer.
        let current =
            |connection: &&mut Connection| connection.id == id && Arc::ptr_eq(&connection.acknowledged, before);
        if let Some(connection) = connections.iter_mut().find(current) {
            if connection.offered.len() == OFFERS {
                connection.offered.remove(0);
            }
            connection.offered.push(Arc::new(told));
        }
    }

    fn of(&self, device: &Device) -> Arc<Mutex<Vec<Connection>>> {
        let make = || Ok::<_, std::convert::Infallible>(Arc::default());
        match self.0.get_or_insert_with(device, make) {
            Ok(connections) => connections,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_device_id, owned_user_id};

    use super::*;

    fn device() -> Device {
        (owned_user_id!("@a:b.c"), owned_device_id!("D"))
    }

    fn told(pos: &str) -> Told {
        Told { pos: pos.to_owned(), ..Told::default() }
    }

    fn pos(connections: &Connections, id: &str, pos: Option<&str>) -> Option<String> {
        connections.resume(&device(), id, pos).ok().map(|told| told.pos.clone())
    }

    #[test]
    fn a_position_holds_until_the_one_after_it_comes_back() {
        let connections = Connections::default();
        let start = connections.resume(&device(), "", None).unwrap();
        connections.offer(&device(), "", &start, told("1"));
        connections.offer(&device(), "", &start, told("1, again"));
        let first = connections.resume(&device(), "", Some("1")).unwrap();
        assert_eq!(pos(&connections, "", Some("1, again")), None, "the other answer was not taken");
        connections.offer(&device(), "", &first, told("2"));
        assert_eq!(pos(&connections, "", Some("1")).as_deref(), Some("1"), "the answer may have been lost");
        assert_eq!(pos(&connections, "", Some("2")).as_deref(), Some("2"));
        assert_eq!(pos(&connections, "", Some("1")), None);
        assert_eq!(pos(&connections, "other", Some("2")), None);
    }

    #[test]
    fn a_late_answer_to_a_request_that_was_given_up_changes_nothing() {
        let connections = Connections::default();
        let given_up = connections.resume(&device(), "", None).unwrap();
        let start = connections.resume(&device(), "", None).unwrap();
        connections.offer(&device(), "", &start, told("1"));
        connections.offer(&device(), "", &given_up, told("late"));
        assert_eq!(pos(&connections, "", Some("late")), None);
        assert_eq!(pos(&connections, "", Some("1")).as_deref(), Some("1"));
    }

    #[test]
    fn a_device_with_many_connections_loses_those_that_it_does_not_use() {
        let connections = Connections::default();
        for number in 0..=CONNECTIONS {
            let id = number.to_string();
            let start = connections.resume(&device(), &id, None).unwrap();
            connections.offer(&device(), &id, &start, told("1"));
            assert!(pos(&connections, "0", Some("1")).is_some(), "this one is in use");
        }
        assert_eq!(pos(&connections, "1", Some("1")), None);
        assert!(pos(&connections, "2", Some("1")).is_some());
    }
}
