//! What people said who asked to be forgotten: who was there keeps it, and whoever came later gets it redacted
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate)).

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use ruma::{OwnedUserId, UserId, events::TimelineEventType, room_version_rules::RoomVersionRules};

use super::{Room, Rooms, TimelineEvent, Viewer};
use crate::{
    error::Result,
    matrix::redact::emptied,
    storage::{
        Order, Position, Snapshot,
        schema::{rooms::ReplacedState, users::ERASURES},
    },
};

/// When some people asked to be forgotten.
#[derive(Clone, Debug, Default)]
pub struct Erasures(HashMap<OwnedUserId, Position>);

impl Rooms {
    /// When those of `senders` asked to be forgotten who did. Such people are in no room any more, so that nothing is read for
    /// those who are in this one.
    pub async fn erasures(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        senders: impl IntoIterator<Item = &UserId>,
    ) -> Result<Erasures> {
        let here = &room.current().joined;
        let gone: BTreeSet<_> = senders.into_iter().filter(|sender| !here.contains(*sender)).collect();
        if gone.is_empty() {
            return Ok(Erasures::default());
        }
        let found = ERASURES.get_many(snapshot, gone.iter().map(|user| (*user,))).await?;
        let erased = gone.into_iter().zip(found).filter_map(|(user, row)| Some((user.to_owned(), row?.at)));
        Ok(Erasures(erased.collect()))
    }
}

impl Erasures {
    /// Takes in what is known of more people.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether the reader gets an event without what its sender wrote. What holds in the room for everybody, such as its name,
    /// stays as it is.
    pub fn hide(&self, viewer: &Viewer, event: &TimelineEvent) -> bool {
        let TimelineEvent { order, event, .. } = event;
        let about_sender = event.kind == TimelineEventType::RoomMember && event.target() == Some(&*event.sender);
        let erased = self.0.get(&event.sender).filter(|_| !event.is_state() || about_sender);
        erased.is_some_and(|at| !viewer.was_in_between(*order, Order::Live(*at)))
    }

    /// The event as the reader gets it.
    pub fn seen<'e>(
        &self,
        viewer: &Viewer,
        rules: &RoomVersionRules,
        event: &'e TimelineEvent,
    ) -> Cow<'e, TimelineEvent> {
        if !self.hide(viewer, event) {
            return Cow::Borrowed(event);
        }
        let mut header = event.header.clone();
        header.replaces = header.replaces.map(|replaced| ReplacedState { content: "{}".into(), ..replaced });
        Cow::Owned(TimelineEvent { order: event.order, header, event: emptied(&event.event, rules) })
    }
}
