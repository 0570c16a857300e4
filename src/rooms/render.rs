//! Gives events the form in which one device of one reader gets them.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use ruma::{
    DeviceId, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId,
    events::{AnyStateEvent, AnySyncStateEvent, AnySyncTimelineEvent, AnyTimelineEvent},
    room_version_rules::RoomVersionRules,
    serde::Raw,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Erasures, Room, RoomState, Rooms, TimelineEvent, Viewer, relations::Bundle};
use crate::{
    error::Result,
    matrix::{
        client_event::{self, Unsigned},
        event::Event,
    },
    storage::{Order, Snapshot, schema::rooms::EVENT_PLACES},
};

/// The device that events are made ready for, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// What the reader may see.
    pub viewer: &'a Viewer,
    /// The device, which alone hears of the transaction ids that it gave.
    pub device: &'a DeviceId,
}

/// Whether an event names its room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    WithRoom,
    WithoutRoom,
}

/// How much is bundled with an event, so that bundles do not nest for ever.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Whole,
    WithoutThreads,
    Nothing,
}

/// A bundled aggregation as it is written.
#[derive(Serialize)]
struct Relations<'a> {
    #[serde(rename = "m.reference", skip_serializing_if = "Option::is_none")]
    reference: Option<Chunk<'a>>,
    #[serde(rename = "m.replace", skip_serializing_if = "Option::is_none")]
    replace: Option<Box<RawValue>>,
    #[serde(rename = "m.thread", skip_serializing_if = "Option::is_none")]
    thread: Option<Thread>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    chunk: Vec<Reference<'a>>,
}

#[derive(Serialize)]
struct Reference<'a> {
    event_id: &'a EventId,
}

#[derive(Serialize)]
struct Thread {
    latest_event: Box<RawValue>,
    count: usize,
    current_user_participated: bool,
}

/// Renders events of one room for one recipient, with what the events refer to at hand.
#[derive(Debug)]
pub struct Renderer<'a> {
    recipient: Recipient<'a>,
    now: MilliSecondsSinceUnixEpoch,
    /// The replaced state events whose content the reader may see.
    seen_before: HashSet<OwnedEventId>,
    /// The redactions that the reader may see, in the form that clients get.
    redactions: HashMap<OwnedEventId, Box<RawValue>>,
    /// What relates to the events.
    bundles: HashMap<OwnedEventId, Bundle>,
    /// Who of their senders asked to be forgotten.
    erasures: Erasures,
    rules: &'static RoomVersionRules,
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
        let renderer = self.renderer(snapshot, room, recipient, events).await?;
        Ok(events.iter().map(|event| renderer.sync_timeline(event)).collect())
    }

    /// Fetches what rendering `events` takes.
    pub async fn renderer<'a, 'e>(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        recipient: Recipient<'a>,
        events: impl IntoIterator<Item = &'e TimelineEvent>,
    ) -> Result<Renderer<'a>> {
        let events: Vec<&TimelineEvent> = events.into_iter().collect();
        let (mut replaced, mut redactions) = (Vec::new(), Vec::new());
        for TimelineEvent { header, .. } in &events {
            replaced.extend(header.replaces.as_ref().map(|replaced| &*replaced.event_id));
            redactions.extend(header.redacted_by.as_deref());
        }
        let now = self.shared.clock.now();
        let bundles = self.bundles(snapshot, room, recipient.viewer, &events).await?;
        let bundled = bundles.values().flat_map(Bundle::events);
        let senders = events.iter().copied().chain(bundled).map(|event| &*event.event.sender);
        let erasures = self.erasures(snapshot, room, senders).await?;
        let (seen_before, redactions_seen, rules) = (HashSet::new(), HashMap::new(), room.rules);
        let mut renderer =
            Renderer { recipient, now, seen_before, redactions: redactions_seen, bundles, erasures, rules };
        let replaced = self.visible_places(snapshot, recipient.viewer, &replaced).await?;
        renderer.seen_before = replaced.into_iter().map(|(id, _)| id.to_owned()).collect();
        self.fetch_redactions(snapshot, room, &mut renderer, &redactions).await?;
        Ok(renderer)
    }

    /// Fetches what rendering the events of `state` takes.
    pub async fn state_renderer<'a>(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        recipient: Recipient<'a>,
        state: &RoomState,
    ) -> Result<Renderer<'a>> {
        let mut renderer = self.renderer(snapshot, room, recipient, []).await?;
        let redactions: Vec<_> = state.redactions().map(|id| &**id).collect();
        self.fetch_redactions(snapshot, room, &mut renderer, &redactions).await?;
        Ok(renderer)
    }

    /// Keeps the redactions that the reader may see. What somebody said about a redaction is as private as anything else;
    /// that the content is gone is not.
    async fn fetch_redactions(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        renderer: &mut Renderer<'_>,
        ids: &[&EventId],
    ) -> Result<()> {
        let visible = self.visible_places(snapshot, renderer.recipient.viewer, ids).await?;
        let orders: Vec<_> = visible.into_iter().map(|(_, order)| order).collect();
        let redactions = self.events_at(snapshot, room, &orders).await?;
        let senders = redactions.iter().map(|redaction| &*redaction.event.sender);
        renderer.erasures.extend(self.erasures(snapshot, room, senders).await?);
        for redaction in redactions {
            let rendered = renderer.sync_timeline(&redaction).into_json();
            renderer.redactions.insert(redaction.event.id, rendered);
        }
        Ok(())
    }

    /// Those of these events whose places are open to the reader.
    async fn visible_places<'e>(
        &self,
        snapshot: &Snapshot,
        viewer: &Viewer,
        ids: &[&'e EventId],
    ) -> Result<Vec<(&'e EventId, Order)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let places = EVENT_PLACES.get_many(snapshot, ids.iter().map(|id| (*id,))).await?;
        let found = ids.iter().zip(places).filter_map(|(id, place)| Some((*id, place?.order)));
        Ok(found.filter(|(_, order)| viewer.may_see_place(*order)).collect())
    }
}

impl Renderer<'_> {
    /// An event with its room id.
    pub fn timeline(&self, event: &TimelineEvent) -> Raw<AnyTimelineEvent> {
        let event = &*self.seen(event);
        let relations = self.relations(event, Form::WithRoom, Depth::Whole);
        client_event::timeline(&event.event, &Unsigned { relations: relations.as_deref(), ..self.unsigned(event) })
    }

    /// An event where the answer names the room elsewhere.
    pub fn sync_timeline(&self, event: &TimelineEvent) -> Raw<AnySyncTimelineEvent> {
        let event = &*self.seen(event);
        let relations = self.relations(event, Form::WithoutRoom, Depth::Whole);
        client_event::sync_timeline(&event.event, &Unsigned { relations: relations.as_deref(), ..self.unsigned(event) })
    }

    /// An event of the timeline that stands for a piece of state, with its room id.
    pub fn state(&self, event: &TimelineEvent) -> Raw<AnyStateEvent> {
        client_event::state(&event.event, &self.unsigned(event))
    }

    /// An event of `state`, with its room id. It says what holds and not how that came about.
    pub fn state_of(&self, state: &RoomState, event: &Event) -> Raw<AnyStateEvent> {
        client_event::state(event, &self.state_unsigned(state, event))
    }

    /// An event of `state` where the answer names the room elsewhere.
    pub fn sync_state_of(&self, state: &RoomState, event: &Event) -> Raw<AnySyncStateEvent> {
        client_event::sync_state(event, &self.state_unsigned(state, event))
    }

    fn state_unsigned(&self, state: &RoomState, event: &Event) -> Unsigned<'_> {
        let redacted_because = self.redaction(state.redaction_of(&event.id));
        Unsigned { redacted_because, ..Unsigned::at(self.now, event) }
    }

    /// What the event carries for this recipient besides what its sender signed.
    fn unsigned<'e>(&'e self, event: &'e TimelineEvent) -> Unsigned<'e> {
        let Recipient { viewer, device } = self.recipient;
        let replaced = event.header.replaces.as_ref();
        let seen = replaced.filter(|replaced| self.seen_before.contains(&replaced.event_id));
        Unsigned {
            membership: Some(viewer.membership_at(event.order)),
            transaction_id: event.transaction_of(viewer, device),
            delay_id: event.delay_id_for(viewer),
            prev_content: seen.and_then(|replaced| serde_json::from_str(&replaced.content).ok()),
            replaces_state: replaced.map(|replaced| &*replaced.event_id),
            redacted_because: self.redaction(event.header.redacted_by.as_ref()),
            ..Unsigned::at(self.now, &event.event)
        }
    }

    /// The bundled aggregation of an event, if anything that is bundled relates to it
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events)).
    fn relations(&self, event: &TimelineEvent, form: Form, depth: Depth) -> Option<Box<RawValue>> {
        let bundle = self.bundles.get(&event.event.id)?;
        let thread = bundle.thread.as_ref().filter(|_| depth == Depth::Whole).map(|thread| Thread {
            latest_event: self.bundled(&thread.latest, form, Depth::WithoutThreads),
            count: thread.count,
            current_user_participated: thread.participated,
        });
        let references = bundle.references.iter().map(|event_id| Reference { event_id }).collect::<Vec<_>>();
        let relations = Relations {
            reference: (!references.is_empty()).then_some(Chunk { chunk: references }),
            replace: bundle.edit.as_ref().map(|edit| self.bundled(edit, form, Depth::Nothing)),
            thread,
        };
        to_raw_value(&relations).ok()
    }

    /// An event inside the bundle of another one, in the same form as that.
    fn bundled(&self, event: &TimelineEvent, form: Form, depth: Depth) -> Box<RawValue> {
        let event = &*self.seen(event);
        let relations = (depth != Depth::Nothing).then(|| self.relations(event, form, depth)).flatten();
        let unsigned = Unsigned { relations: relations.as_deref(), ..self.unsigned(event) };
        match form {
            Form::WithRoom => client_event::timeline(&event.event, &unsigned).into_json(),
            Form::WithoutRoom => client_event::sync_timeline(&event.event, &unsigned).into_json(),
        }
    }

    /// The event without what the recipient came too late to read.
    fn seen<'e>(&self, event: &'e TimelineEvent) -> Cow<'e, TimelineEvent> {
        self.erasures.seen(self.recipient.viewer, self.rules, event)
    }

    fn redaction(&self, id: Option<&OwnedEventId>) -> Option<&RawValue> {
        self.redactions.get(id?).map(|redaction| &**redaction)
    }
}
