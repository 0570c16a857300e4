//! What somebody outside of a room is shown of it, with an invitation or a knock
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#stripped-state)).

use ruma::events::StateEventType;

use super::RoomState;
use crate::matrix::event::Event;

/// The state that tells a room apart from others.
const TELLING: [StateEventType; 7] = [
    StateEventType::RoomCreate,
    StateEventType::RoomJoinRules,
    StateEventType::RoomCanonicalAlias,
    StateEventType::RoomName,
    StateEventType::RoomAvatar,
    StateEventType::RoomTopic,
    StateEventType::RoomEncryption,
];

impl RoomState {
    /// The events that tell the room apart, the membership `own` of the one who is shown them, and who is behind it.
    pub fn telling<'a>(&'a self, own: &'a Event) -> impl Iterator<Item = &'a Event> {
        let telling = TELLING.iter().filter_map(|kind| self.get(kind, ""));
        let sender = self.member(&own.sender).filter(|member| member.id != own.id);
        telling.chain(sender).map(|event| &**event).chain([own])
    }
}
