//! The presence of people in a sync: what changed, and how those appear whom the user met just now.

use std::collections::HashSet;

use ruma::{OwnedUserId, api::client::sync::sync_events::v3::Presence, serde::Raw};

use super::{Reading, Sync};
use crate::{
    error::{Error, Result},
    matrix::event_filter::passes_outside_rooms,
};

/// The section of the answer; `met` are the people who share a room with the user since the last one.
pub(super) async fn section(sync: &Sync, reading: &Reading, met: &HashSet<OwnedUserId>) -> Result<Presence> {
    let since = reading.since.map(|since| sync.ephemerals.since(since.ephemeral));
    let events = sync.presence.changes(&reading.snapshot, &reading.user, since, met).await?;
    let filter = &reading.filter.presence;
    let mut section = Presence::new();
    if events.is_empty() {
        return Ok(section);
    }
    let ignored = sync.rooms.ignored_by(&reading.snapshot, &reading.user).await?;
    let wanted = events.iter().filter(|event| {
        passes_outside_rooms(filter, "m.presence", Some(&event.sender)) && !ignored.contains(&event.sender)
    });
    section.events = wanted.map(Raw::new).collect::<Result<_, _>>().map_err(Error::internal)?;
    Ok(section)
}
