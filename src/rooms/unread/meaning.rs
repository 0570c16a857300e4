//! What an event means to a reader's counts, and what a phone does with it: their push rules, asked in the room as it was.

use std::sync::Arc;

use ruma::{
    UserId,
    events::{StateEventType, TimelineEventType},
    push::{Action, Ruleset},
};
use serde::Deserialize;

use super::fold::Meaning;
use crate::{
    error::Result,
    matrix::{
        event::Event,
        power_levels::PowerLevels,
        push_rules::{Reader, Subject, ThreadStanding, Verdict, deciding_rule},
    },
    rooms::{Room, RoomState, TimelineEvent, Viewer},
};

/// The room around the next event, as far as push rules ask for it.
pub(super) struct Surroundings<'a> {
    room: &'a Room,
    reader: &'a UserId,
    state: Arc<RoomState>,
    /// What rules look at in the state, once it was read and until that part of the state changes.
    read: Option<Read>,
}

/// What push rules look at in a room's state, besides the number of members.
struct Read {
    power_levels: PowerLevels,
    /// The reader's name in the room.
    display_name: Option<String>,
}

impl<'a> Surroundings<'a> {
    /// The room in this state.
    pub fn new(room: &'a Room, reader: &'a UserId, state: Arc<RoomState>) -> Self {
        Self { room, reader, state, read: None }
    }

    /// What the next event means to the reader.
    ///
    /// Sending an event moves the sender's read receipt, as the specification says of notifications, in the thread that the
    /// event belongs to: somebody who answers in one thread has not seen the others. State events do not count as sent, since
    /// a new display name brings one into each of the user's rooms. A redacted event means nothing to anybody; it does not
    /// even tell its thread any more.
    pub fn meaning_of(
        &mut self,
        event: &TimelineEvent,
        viewer: &Viewer,
        rules: &Ruleset,
        thread: ThreadStanding,
    ) -> Result<Meaning> {
        let TimelineEvent { order, header, event } = event;
        if header.redacted_by.is_some() {
            return Ok(Meaning::Nothing);
        }
        if event.sender == self.reader {
            return Ok(if event.is_state() { Meaning::Nothing } else { Meaning::Own });
        }
        if viewer.ignored().contains(&event.sender) || !viewer.may_see(*order, event) {
            return Ok(Meaning::Nothing);
        }
        Ok(Verdict::of(self.actions_for(event, rules, thread)?).into())
    }

    /// What the reader's rules do with the next event, whether or not the reader may see it.
    pub fn actions_for<'r>(
        &mut self,
        event: &Event,
        rules: &'r Ruleset,
        thread: ThreadStanding,
    ) -> Result<&'r [Action]> {
        let Read { power_levels, display_name } = match &mut self.read {
            Some(read) => read,
            unread => unread.insert(Read::of(self.room, self.reader, &self.state)?),
        };
        let reader = Reader {
            user_id: self.reader,
            display_name: display_name.as_deref(),
            joined_members: self.state.joined.len() as u64,
            power_levels,
            thread,
        };
        Ok(deciding_rule(rules, &Subject::new(event), &reader).map_or(&[], |rule| rule.actions()))
    }

    /// Goes on behind an event.
    pub fn pass(&mut self, event: Event) {
        if !event.is_state() {
            return;
        }
        if event.kind == TimelineEventType::RoomPowerLevels || event.target() == Some(self.reader) {
            self.read = None;
        }
        Arc::make_mut(&mut self.state).set(Arc::new(event));
    }
}

impl Read {
    fn of(room: &Room, reader: &UserId, state: &RoomState) -> Result<Self> {
        #[derive(Deserialize)]
        struct Content {
            displayname: Option<String>,
        }
        let member = state.content::<Content>(&StateEventType::RoomMember, reader.as_str());
        let display_name = member.and_then(|content| content.displayname);
        Ok(Self { power_levels: room.power_levels(state)?, display_name })
    }
}
