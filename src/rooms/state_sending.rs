//! Sets a piece of a room's state on behalf of a client.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    Int, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};

use super::{Intent, Room, Rooms, Writer, aliases::aliases_in, delayed::Waiting, membership::as_not_in_room};
use crate::{
    error::{Error, Kind, Result},
    matrix::{draft::canonical_content, event::Event},
    storage::{Batch, schema::rooms::ALIASES, until_settled},
};

impl Rooms {
    /// Sets a piece of state and returns the event that holds from then on. Who sets again what they had set before gets the
    /// event that holds already.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the rules of the room do not let the sender, [`Kind::InvalidParam`] for a type that clients
    /// cannot set, [`Kind::BadAlias`] and [`Kind::InvalidParam`] for an `m.room.canonical_alias` with an alias that does not
    /// lead to the room or is none, [`Kind::BadJson`] for power levels of those who stand above them, and what
    /// [`Writer::add`] says of the content.
    pub async fn set_state(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        (kind, state_key): (StateEventType, &str),
        content: Box<RawValue>,
    ) -> Result<OwnedEventId> {
        self.set_state_at(room_id, sender, (kind, state_key), content, None).await
    }

    /// As [`Rooms::set_state`], with the time that an application service wants the event to bear.
    ///
    /// # Errors
    ///
    /// As [`Rooms::set_state`].
    pub async fn set_state_at(
        &self,
        room_id: &RoomId,
        sender: &UserId,
        (kind, state_key): (StateEventType, &str),
        content: Box<RawValue>,
        timestamp: Option<MilliSecondsSinceUnixEpoch>,
    ) -> Result<OwnedEventId> {
        let room = self.room(room_id).await.map_err(as_not_in_room)?;
        until_settled(|| self.try_to_set_state(&room, sender, (&kind, state_key), &content, (None, timestamp))).await
    }

    /// As [`Rooms::set_state`], but gives up when somebody else writes at the same time. An event that waited until now does
    /// not wait any more from the same moment on.
    pub(super) async fn try_to_set_state(
        &self,
        room: &Arc<Room>,
        sender: &UserId,
        (kind, state_key): (&StateEventType, &str),
        content: &RawValue,
        (waited, timestamp): (Option<&Waiting<'_>>, Option<MilliSecondsSinceUnixEpoch>),
    ) -> Result<OwnedEventId> {
        match TimelineEventType::from(kind.to_string()) {
            TimelineEventType::RoomCreate => return Err(Error::invalid("A room is created only once.")),
            TimelineEventType::RoomRedaction => return Err(Error::invalid("A redaction is not a piece of state.")),
            _ => {}
        }
        let (content, shown) = match kind {
            StateEventType::RoomMember => self.sent_membership(room, sender, state_key, content).await?,
            StateEventType::RoomCanonicalAlias => {
                self.check_aliases(room, state_key, content).await?;
                (content.to_owned(), None)
            }
            StateEventType::RoomPowerLevels => {
                check_levels(room, sender, content)?;
                (content.to_owned(), None)
            }
            _ => (content.to_owned(), None),
        };
        let mut writer = self.write(room).await?;
        if let Some(event_id) = unchanged(&writer, sender, (kind, state_key), &content)? {
            drop(writer);
            self.until_visible().await?;
            if let Some(waited) = waited {
                let mut batch = Batch::new();
                waited.sent(&mut batch, &event_id);
                self.shared.store.commit(batch).await?;
            }
            return Ok(event_id);
        }
        let message = Intent::message(sender, kind.to_string(), content);
        let origin = waited.map(Waiting::origin);
        let intent = Intent { state_key: Some(state_key.to_owned()), origin, timestamp, ..message };
        let parent = self.parent_of(writer.room(), writer.state(), &intent).await?;
        let event = writer.add_related(intent, parent.as_ref())?;
        self.require_shown(&mut writer, shown);
        self.part_from_guests(&mut writer, &event).await?;
        if let Some(waited) = waited {
            waited.sent(writer.batch(), &event.id);
        }
        writer.commit().await?;
        Ok(event.id.clone())
    }

    /// Whether every alias that the content of an `m.room.canonical_alias` event adds leads to the room
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#mroomcanonical_alias)).
    async fn check_aliases(&self, room: &Room, state_key: &str, content: &RawValue) -> Result<()> {
        let state = room.current();
        let before = state.get(&StateEventType::RoomCanonicalAlias, state_key);
        // What an older event holds is not refused now, whatever it is.
        let before = before.and_then(|event| aliases_in(&event.content).ok()).unwrap_or_default();
        let snapshot = self.shared.store.snapshot();
        for alias in aliases_in(content)?.iter().filter(|alias| !before.contains(alias)) {
            let leads_to = ALIASES.get(&snapshot, (alias,)).await?.map(|alias| alias.room_id);
            if leads_to.is_none_or(|it| it != room.id) {
                return Err(Kind::BadAlias.with(format!("The alias {alias} does not lead to this room.")));
            }
        }
        Ok(())
    }
}

/// What power levels look like since they have to be integers. They are only looked at here; the rules read them themselves.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Levels {
    users: BTreeMap<OwnedUserId, Int>,
    events: BTreeMap<String, Int>,
    notifications: BTreeMap<String, Int>,
    users_default: Int,
    events_default: Int,
    state_default: Int,
    invite: Int,
    kick: Int,
    ban: Int,
    redact: Int,
}

/// Refuses power levels that are none, and those that name someone who stands above them: by the mistake that it is, and not
/// as something that the sender may not do.
fn check_levels(room: &Room, sender: &UserId, content: &RawValue) -> Result<()> {
    #[derive(Deserialize)]
    struct Content {
        users: BTreeMap<OwnedUserId, IgnoredAny>,
    }

    if room.rules.authorization.integer_power_levels {
        serde_json::from_str::<Levels>(content.get())
            .map_err(|cause| Kind::BadJson.with(format!("This is not the content of power levels: {cause}.")))?;
    }

    // The rules have the last word about content of another shape, and strangers are not told who created the room.
    let Ok(Content { users }) = serde_json::from_str(content.get()) else { return Ok(()) };
    let state = room.current();
    if !state.is_joined(sender) {
        return Ok(());
    }
    let levels = room.power_levels(&state)?;
    match users.keys().find(|user| levels.is_above_all(user)) {
        Some(user) => Err(Kind::BadJson.with(format!("{user} created the room and stands above all levels."))),
        None => Ok(()),
    }
}

/// The event of a member that says the same already, if there is one.
fn unchanged(
    writer: &Writer,
    sender: &UserId,
    (kind, state_key): (&StateEventType, &str),
    content: &RawValue,
) -> Result<Option<OwnedEventId>> {
    let state = writer.state();
    let own = |event: &&Arc<Event>| event.sender == *sender && state.is_joined(sender);
    let Some(event) = state.get(kind, state_key).filter(own) else { return Ok(None) };
    // The event that holds is canonical already, so that equal contents have equal texts.
    let content = to_raw_value(&canonical_content(content)?).map_err(Error::internal)?;
    Ok((content.get() == event.content.get()).then(|| event.id.clone()))
}
