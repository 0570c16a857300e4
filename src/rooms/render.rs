//! Gives events the form in which one device of one reader gets them.

use ruma::{
    DeviceId,
    events::{AnySyncTimelineEvent, AnyTimelineEvent},
    serde::Raw,
};
use serde_json::value::RawValue;

use super::{Room, Rooms, TimelineEvent, Viewer};
use crate::{
    error::Result,
    matrix::client_event::{self, Unsigned},
    storage::Snapshot,
};

/// The device that events are made ready for, and whose it is.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// What the reader may see.
    pub viewer: &'a Viewer,
    /// The device, which alone hears of the transaction ids that it gave.
    pub device: &'a DeviceId,
}

impl Rooms {
    /// Events without their room id, as they stand in a sync.
    pub async fn render_sync(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        recipient: Recipient<'_>,
        events: &[TimelineEvent],
    ) -> Result<Vec<Raw<AnySyncTimelineEvent>>> {
        let mut rendered = Vec::with_capacity(events.len());
        for event in events {
            let because = self.redaction_of(snapshot, room, event).await?;
            rendered
                .push(client_event::sync_timeline(&event.event, &self.unsigned(recipient, event, because.as_deref())));
        }
        Ok(rendered)
    }

    /// Events with their room id, as they stand everywhere else.
    pub async fn render(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        recipient: Recipient<'_>,
        events: &[TimelineEvent],
    ) -> Result<Vec<Raw<AnyTimelineEvent>>> {
        let mut rendered = Vec::with_capacity(events.len());
        for event in events {
            let because = self.redaction_of(snapshot, room, event).await?;
            rendered.push(client_event::timeline(&event.event, &self.unsigned(recipient, event, because.as_deref())));
        }
        Ok(rendered)
    }

    /// What the event carries for this recipient besides what its sender signed.
    fn unsigned<'a>(
        &self,
        recipient: Recipient<'_>,
        event: &'a TimelineEvent,
        redacted_because: Option<&'a RawValue>,
    ) -> Unsigned<'a> {
        let replaced = event.header.replaces.as_ref();
        let prev_content = replaced.and_then(|replaced| serde_json::from_str(&replaced.content).ok());
        Unsigned {
            membership: Some(recipient.viewer.membership_at(event.order)),
            transaction_id: event.transaction_of(recipient.viewer, recipient.device),
            prev_content,
            replaces_state: replaced.map(|replaced| &*replaced.event_id),
            redacted_because,
            ..Unsigned::at(self.shared.clock.now(), &event.event)
        }
    }

    /// The redaction that emptied an event, in the form that clients get.
    async fn redaction_of(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        event: &TimelineEvent,
    ) -> Result<Option<Box<RawValue>>> {
        let Some(id) = &event.header.redacted_by else { return Ok(None) };
        let Some(redaction) = self.event(snapshot, room, id).await? else { return Ok(None) };
        let now = self.shared.clock.now();
        let rendered = client_event::sync_timeline(&redaction.event, &Unsigned::at(now, &redaction.event));
        Ok(Some(rendered.into_json()))
    }
}
