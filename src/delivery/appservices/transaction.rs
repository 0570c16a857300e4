//! What a transaction says, and how that is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{
    OneTimeKeyAlgorithm, OwnedDeviceId, OwnedRoomId, OwnedUserId, UInt,
    events::{AnyTimelineEvent, room::member::MembershipState},
    serde::Raw,
};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::Bridges;
use crate::{
    appservices::Appservice,
    error::{Error, Result},
    matrix::client_event::{self, Unsigned},
    rooms::{Room, TimelineEvent},
    storage::Snapshot,
};

/// What a transaction says.
#[derive(Default)]
pub(super) struct Told {
    /// How large the events and messages are together.
    pub bytes: usize,
    /// What happened in rooms.
    pub events: Vec<Raw<AnyTimelineEvent>>,
    /// Typing, receipts and presence.
    pub ephemeral: Vec<Value>,
    /// The rooms of which it says who types, and whether anybody does.
    pub typing: Vec<(OwnedRoomId, bool)>,
    /// Messages to devices.
    pub to_device: Vec<Value>,
    /// Whose devices changed.
    pub changed: BTreeSet<OwnedUserId>,
    /// Whose devices do not concern the service any more.
    pub left: BTreeSet<OwnedUserId>,
    /// The service's users who have something to do with it, whose keys may have to be replenished.
    pub concerned: BTreeSet<OwnedUserId>,
}

type Stocks<T> = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, T>>;

impl Bridges {
    /// An event as services get it: whole, since they act for people who may read it. Where one of their users is invited or
    /// knocks they are told what the user is: what the room looks like from outside.
    pub(super) async fn render(
        &self,
        room: &Arc<Room>,
        event: &TimelineEvent,
        service: &Appservice,
    ) -> Result<Raw<AnyTimelineEvent>> {
        let rooms = &self.shared.sources.rooms;
        let membership =
            event.event.membership().filter(|_| event.event.target().is_some_and(|user| service.has_user(user)));
        let outside = match membership {
            Some(MembershipState::Invite | MembershipState::Knock) => {
                let state = rooms.state_at(room, event.order).await?;
                state.telling(&event.event).map(client_event::stripped_state).collect()
            }
            _ => Vec::new(),
        };
        let (invite_room_state, knock_room_state) = match membership {
            Some(MembershipState::Invite) => (&outside[..], &[][..]),
            _ => (&[][..], &outside[..]),
        };
        let replaced = event.header.replaces.as_ref();
        let unsigned = Unsigned {
            prev_content: replaced.and_then(|replaced| serde_json::from_str(&replaced.content).ok()),
            replaces_state: replaced.map(|replaced| &*replaced.event_id),
            invite_room_state,
            knock_room_state,
            ..Unsigned::at(self.shared.clock.now(), &event.event)
        };
        Ok(client_event::timeline(&event.event, &unsigned))
    }

    /// The body of a transaction.
    pub(super) async fn body(&self, snapshot: &Snapshot, service: &Appservice, told: Told) -> Result<String> {
        let mut body = Map::new();
        body.insert("events".to_owned(), value(&told.events)?);
        if service.wishes.ephemeral {
            let ephemeral = value(&told.ephemeral)?;
            if service.wishes.old_names {
                body.insert("de.sorunome.msc2409.ephemeral".to_owned(), ephemeral.clone());
            }
            body.insert("ephemeral".to_owned(), ephemeral);
            if !told.to_device.is_empty() {
                let to_device = value(&told.to_device)?;
                body.insert("de.sorunome.msc2409.to_device".to_owned(), to_device.clone());
                body.insert("to_device".to_owned(), to_device);
            }
        }
        if service.wishes.encryption {
            let lists = json!({"changed": told.changed, "left": told.left});
            body.insert("org.matrix.msc3202.device_lists".to_owned(), lists);
            let (counts, fallback) = self.stocks(snapshot, told.concerned).await?;
            let counts = value(&counts)?;
            body.insert("org.matrix.msc3202.device_one_time_keys_count".to_owned(), counts.clone());
            // The name that older bridges read.
            body.insert("org.matrix.msc3202.device_one_time_key_counts".to_owned(), counts);
            body.insert("org.matrix.msc3202.device_unused_fallback_key_types".to_owned(), value(&fallback)?);
        }
        serde_json::to_string(&body).map_err(Error::internal)
    }

    /// How many keys the devices of these users have left.
    async fn stocks(
        &self,
        snapshot: &Snapshot,
        users: BTreeSet<OwnedUserId>,
    ) -> Result<(Stocks<BTreeMap<OneTimeKeyAlgorithm, UInt>>, Stocks<Vec<OneTimeKeyAlgorithm>>)> {
        let (mut counts, mut fallback) = (Stocks::new(), Stocks::new());
        for user in users {
            for (device, _) in self.shared.sources.sessions.device_names(snapshot, &user).await? {
                let stock = self.shared.sources.keys.stock(snapshot, &user, &device).await?;
                let (of_user, device) = (user.clone(), device.clone());
                let keys = stock.one_time_key_counts.clone();
                counts.entry(of_user.clone()).or_insert_with(BTreeMap::new).insert(device.clone(), keys);
                let unused = stock.unused_fallback_key_types.clone();
                fallback.entry(of_user).or_insert_with(BTreeMap::new).insert(device, unused);
            }
        }
        Ok((counts, fallback))
    }
}

impl Told {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.ephemeral.is_empty()
            && self.to_device.is_empty()
            && self.changed.is_empty()
            && self.left.is_empty()
    }
}

/// A message with the device that it is for (MSC4203).
pub(super) fn addressed(event: &RawValue, user: &OwnedUserId, device: &OwnedDeviceId) -> Result<Value> {
    let mut event: Map<String, Value> = serde_json::from_str(event.get()).map_err(Error::internal)?;
    event.insert("to_user_id".to_owned(), user.as_str().into());
    event.insert("to_device_id".to_owned(), device.as_str().into());
    Ok(event.into())
}

/// A value as JSON.
fn value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}
