//! The account data of a sync: all of it at first, then what changed.

use std::collections::BTreeSet;

use ruma::{
    RoomId,
    events::{AnyGlobalAccountDataEvent, AnyRoomAccountDataEvent},
    serde::{JsonObject, Raw},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Reading, Sync, changed::Changed};
use crate::{
    error::{Error, Result},
    matrix::event_filter::{passes_by_type, passes_outside_rooms},
};

/// The global account data that the answer brings.
pub(super) async fn global(
    sync: &Sync,
    reading: &Reading,
    changed: Option<&Changed>,
) -> Result<Vec<Raw<AnyGlobalAccountDataEvent>>> {
    let changed = changed.map(|changed| changed.account_data.get(&None));
    let found = contents(sync, reading, None, changed).await?;
    let wanted = found.iter().filter(|(kind, _)| passes_outside_rooms(&reading.filter.account_data, kind, None));
    wanted.map(|(kind, content)| event(kind, content).map(Raw::from_json)).collect()
}

/// The account data of one room that the answer brings; all of it when `changed` is `None`.
pub(super) async fn of_room(
    sync: &Sync,
    reading: &Reading,
    room_id: &RoomId,
    changed: Option<&Changed>,
) -> Result<Vec<Raw<AnyRoomAccountDataEvent>>> {
    let changed = changed.map(|changed| changed.account_data.get(&Some(room_id.to_owned())));
    let found = contents(sync, reading, Some(room_id), changed).await?;
    events_of_room(reading, &found)
}

/// As [`of_room`], of account data that is at hand.
pub(super) fn events_of_room(
    reading: &Reading,
    found: &[(String, Box<RawValue>)],
) -> Result<Vec<Raw<AnyRoomAccountDataEvent>>> {
    let wanted = found.iter().filter(|(kind, _)| passes_by_type(&reading.filter.room.account_data, kind, None));
    wanted.map(|(kind, content)| event(kind, content).map(Raw::from_json)).collect()
}

/// Types and contents: of the changed types, or of all if there is no list of changes.
async fn contents(
    sync: &Sync,
    reading: &Reading,
    room_id: Option<&RoomId>,
    changed: Option<Option<&BTreeSet<String>>>,
) -> Result<Vec<(String, Box<RawValue>)>> {
    let Some(changed) = changed else {
        return sync.account_data.all(&reading.snapshot, &reading.user, room_id).await;
    };
    let mut contents = Vec::new();
    for kind in changed.into_iter().flatten() {
        let content = sync.account_data.get(&reading.snapshot, &reading.user, room_id, kind).await?;
        // What is gone is told as empty (MSC3391), since a client keeps what it knew otherwise.
        let content = content.map_or_else(|| to_raw_value(&JsonObject::new()).map_err(Error::internal), Ok)?;
        contents.push((kind.clone(), content));
    }
    Ok(contents)
}

fn event(kind: &str, content: &RawValue) -> Result<Box<RawValue>> {
    #[derive(Serialize)]
    struct Event<'a> {
        content: &'a RawValue,
        #[serde(rename = "type")]
        kind: &'a str,
    }
    to_raw_value(&Event { content, kind }).map_err(Error::internal)
}
