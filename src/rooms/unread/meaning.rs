//! What an event means to a reader's counts: their push rules, asked in the room as it was.

use std::sync::Arc;

use ruma::{
    UserId,
    events::{StateEventType, TimelineEventType},
    push::Ruleset,
};
use serde::Deserialize;

use super::fold::Meaning;
use crate::{
    matrix::{
        event::Event,
        power_levels::PowerLevels,
        push_rules::{Reader, Subject, evaluate},
    },
    rooms::{Room, RoomState, TimelineEvent, Viewer},
};

/// The room around the next event, as far as push rules ask for it.
pub(super) struct Surroundings<'a> {
    room: &'a Room,
    reader: &'a UserId,
    state: Arc<RoomState>,
    /// What rules look at, read from the state once and again when that part of it changes.
    power_levels: Option<PowerLevels>,
    display_name: Option<String>,
}

impl<'a> Surroundings<'a> {
    /// The room in this state.
    pub fn new(room: &'a Room, reader: &'a UserId, state: Arc<RoomState>) -> Self {
        let mut surroundings = Self { room, reader, state, power_levels: None, display_name: None };
        surroundings.read_power_levels();
        surroundings.read_display_name();
        surroundings
    }

    /// What the next event means to the reader.
    ///
    /// Sending an event moves the sender's read receipt, as the specification says of notifications, in the thread that the
    /// event belongs to: somebody who answers in one thread has not seen the others. State events do not count as sent, since
    /// a new display name brings one into each of the user's rooms. A redacted event means nothing to anybody; it does not
    /// even tell its thread any more.
    pub fn meaning_of(&self, event: &TimelineEvent, viewer: &Viewer, rules: &Ruleset) -> Meaning {
        let TimelineEvent { order, header, event } = event;
        if header.redacted_by.is_some() {
            return Meaning::Nothing;
        }
        if event.sender == self.reader {
            return if event.is_state() { Meaning::Nothing } else { Meaning::Own };
        }
        if viewer.ignored().contains(&event.sender) || !viewer.may_see(*order, event) {
            return Meaning::Nothing;
        }
        let Some(power_levels) = &self.power_levels else { return Meaning::Nothing };
        let reader = Reader {
            user_id: self.reader,
            display_name: self.display_name.as_deref(),
            joined_members: self.state.joined.len() as u64,
            power_levels,
        };
        evaluate(rules, &Subject::new(event), &reader).into()
    }

    /// Goes on behind an event.
    pub fn pass(&mut self, event: Event) {
        if !event.is_state() {
            return;
        }
        let (is_levels, is_own) =
            (event.kind == TimelineEventType::RoomPowerLevels, event.target() == Some(self.reader));
        Arc::make_mut(&mut self.state).set(Arc::new(event));
        if is_levels {
            self.read_power_levels();
        }
        if is_own {
            self.read_display_name();
        }
    }

    fn read_power_levels(&mut self) {
        let levels = self.state.get(&StateEventType::RoomPowerLevels, "").map(|event| &**event);
        let create = self.state.get(&StateEventType::RoomCreate, "");
        self.power_levels = create.map(|create| PowerLevels::read(self.room.rules, create, levels));
    }

    fn read_display_name(&mut self) {
        #[derive(Deserialize)]
        struct Content {
            displayname: Option<String>,
        }
        let member = self.state.content::<Content>(&StateEventType::RoomMember, self.reader.as_str());
        self.display_name = member.and_then(|content| content.displayname);
    }
}
