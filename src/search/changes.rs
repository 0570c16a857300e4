//! What rows of the log mean for the index.
//!
//! A message has a text for each of its edits. Each one names the edit that replaces it, so that everybody finds the message by the
//! text that they see: whoever left the room before the edit sees the one before.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, events::TimelineEventType};
use tokio::task::spawn_blocking;

use super::{
    Searching,
    index::{Key, Text},
    texts::{Content, content},
};
use crate::{
    error::{Error, Result},
    rooms::{Neighbours, Room, TimelineEvent},
    storage::{Order, Position, Snapshot},
    streams::Change,
};

/// What becomes of the index.
pub enum Edit {
    /// A text is there.
    Add(Text),
    /// A text is there in place of the one that its event had before.
    Replace(Text),
    /// An event and its edits are gone.
    Forget(OwnedEventId),
}

impl Searching {
    /// What these rows of the log mean for the index.
    pub async fn edits(&self, snapshot: &Snapshot, rows: Vec<(Position, Change)>) -> Result<Vec<Edit>> {
        let mut grown: BTreeMap<OwnedRoomId, Vec<Order>> = BTreeMap::new();
        for (position, change) in rows {
            if let Change::Event { room, .. } = change {
                grown.entry(room).or_default().push(Order::Live(position));
            }
        }
        let mut edits = Vec::new();
        for (room_id, orders) in grown {
            let room = self.rooms.room(&room_id).await?;
            for event in self.rooms.events_at(snapshot, &room, &orders).await? {
                self.follow_event(snapshot, &room, event, &mut edits).await?;
            }
        }
        Ok(edits)
    }

    async fn follow_event(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        found: TimelineEvent,
        edits: &mut Vec<Edit>,
    ) -> Result<()> {
        if found.event.kind == TimelineEventType::RoomRedaction {
            let Some(redacted) = &found.event.redacts else { return Ok(()) };
            let target = self.rooms.event(snapshot, room, redacted).await?;
            return match target.filter(|target| target.header.redacted_by.is_some()) {
                Some(gone) => self.forget(snapshot, room, gone, edits).await,
                None => Ok(()),
            };
        }
        if found.header.redacted_by.is_some() {
            return Ok(());
        }
        let replaced = (found.event.kind == TimelineEventType::RoomMessage).then(|| found.event.replaces()).flatten();
        if let Some(original) = replaced
            && self.rooms.is_edit_of(snapshot, &found, original).await?
        {
            let original = self.rooms.event(snapshot, room, original).await?;
            let Some(original) = original.filter(|original| original.header.redacted_by.is_none()) else {
                return Ok(());
            };
            let Neighbours { before, after } = self.rooms.beside_edit(snapshot, &found, &original.event.id).await?;
            let place = found.order;
            edits.extend(text(&original, &found, after).map(Edit::Replace));
            edits.extend(self.version(snapshot, room, original, before, Some(place)).await?);
            return Ok(());
        }
        // What says that it edits something and may not, shows nowhere.
        let is_shown = content(&found.event).is_some_and(|content| content.edits.is_none());
        edits.extend(text(&found, &found, None).filter(|_| is_shown).map(Edit::Add));
        Ok(())
    }

    /// What follows from an event having been taken back: if it was an edit, the text before it shows again.
    async fn forget(&self, snapshot: &Snapshot, room: &Room, gone: TimelineEvent, edits: &mut Vec<Edit>) -> Result<()> {
        let (index, id) = (self.index.clone(), gone.event.id.clone());
        let edited = spawn_blocking(move || index.edited_by(&id)).await.map_err(Error::internal)??;
        edits.push(Edit::Forget(gone.event.id.clone()));
        let Some(place) = edited else { return Ok(()) };
        let original = self.rooms.events_at(snapshot, room, &[Order::Live(place)]).await?.pop();
        let Some(original) = original.filter(|original| original.header.redacted_by.is_none()) else { return Ok(()) };
        let Neighbours { before, after } = self.rooms.beside_edit(snapshot, &gone, &original.event.id).await?;
        edits.extend(self.version(snapshot, room, original, before, after).await?);
        Ok(())
    }

    /// The text that a message has by the edit at `place`, or by itself, until another edit.
    async fn version(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        original: TimelineEvent,
        place: Option<Order>,
        until: Option<Order>,
    ) -> Result<Option<Edit>> {
        let text = match place {
            None => text(&original, &original, until),
            Some(place) => {
                let edit = self.rooms.events_at(snapshot, room, &[place]).await?.pop();
                edit.and_then(|edit| text(&original, &edit, until))
            }
        };
        Ok(text.map(Edit::Replace))
    }
}

/// The text that a message has by one of its edits, or by itself. An edit without a text leaves it with none.
fn text(original: &TimelineEvent, version: &TimelineEvent, until: Option<Order>) -> Option<Text> {
    let [order, shown] = [version.order, original.order].map(position);
    let is_edit = order != shown;
    let own = content(&version.event).filter(|content| content.edits.is_some() || !is_edit);
    let Content { key, text, .. } = match own {
        None if is_edit => Content { key: Key::Body, text: String::new(), edits: None },
        own => own?,
    };
    Some(Text {
        event: version.event.id.clone(),
        edited: is_edit.then(|| original.event.id.clone()),
        room: version.event.room_id.clone(),
        order: order?,
        shown: shown?,
        until: until.and_then(position),
        sender: version.event.sender.clone(),
        key,
        text,
    })
}

/// What happened before this server knew the room is in no log, and not found.
fn position(order: Order) -> Option<Position> {
    match order {
        Order::Live(position) => Some(position),
        Order::Backfilled(_) => None,
    }
}
