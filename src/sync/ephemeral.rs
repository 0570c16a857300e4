//! What passes by in a room: receipts, and who is typing.

use ruma::{
    api::client::sync::sync_events::v3::Ephemeral,
    events::{
        AnySyncEphemeralRoomEvent, EphemeralRoomEventContent, SyncEphemeralRoomEvent, typing::TypingEventContent,
    },
    serde::Raw,
};

use super::{Reading, Sync, joined::Known};
use crate::{
    error::{Error, Result},
    matrix::event_filter::{passes_by_room, passes_by_type},
    rooms::{Room, Viewer},
};

/// The receipts that came and the change of who is typing since the device was told last.
pub(super) async fn section(
    sync: &Sync,
    reading: &Reading,
    room: &Room,
    viewer: &Viewer,
    known: Known,
) -> Result<Ephemeral> {
    let filter = &reading.filter.room.ephemeral;
    let wanted = |kind| passes_by_room(filter, &room.id) && passes_by_type(filter, kind, None);
    let mut section = Ephemeral::new();
    if wanted("m.receipt") {
        let since = match known {
            Known::Nothing => None,
            Known::Until(since) => Some(since),
        };
        let receipts = sync.rooms.receipts_since(&reading.snapshot, &room.id, viewer, since).await?;
        section.events = receipts.into_iter().map(event).collect::<Result<_>>()?;
    }
    if wanted("m.typing")
        && let Some(content) = typing(sync, reading, room, viewer, known)
    {
        section.events.push(event(content)?);
    }
    Ok(section)
}

/// Who is typing, if that is news to the device.
pub(super) fn typing(
    sync: &Sync,
    reading: &Reading,
    room: &Room,
    viewer: &Viewer,
    known: Known,
) -> Option<TypingEventContent> {
    let since = reading.since.filter(|_| known != Known::Nothing).map(|since| since.ephemeral);
    let changed = sync.rooms.typing_since(&room.id, since.map_or(0, |since| sync.ephemerals.since(since)));
    // Who was typing when the server stopped was never seen to stop.
    let restarted = since.is_some_and(|since| since.boot != sync.ephemerals.current().boot);
    let typists = changed.or_else(|| restarted.then(Vec::new))?;
    let typists: Vec<_> = typists.into_iter().filter(|user| !viewer.ignored().contains(user)).collect();
    // Who was told of nobody does not need to be told that nobody types.
    (since.is_some() || !typists.is_empty()).then(|| TypingEventContent::new(typists))
}

/// An event of this content. Clients know its room by where it stands.
pub(super) fn event<C: EphemeralRoomEventContent>(content: C) -> Result<Raw<AnySyncEphemeralRoomEvent>> {
    Raw::new(&SyncEphemeralRoomEvent::new(content)).map(Raw::cast_unchecked).map_err(Error::internal)
}
