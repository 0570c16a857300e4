//! Events that wait before they are sent, such as a reminder, or the end of a call that its caller puts off again and again
//! for as long as they are there (MSC4140).
//!
//! What waits is rows: nothing is lost in a crash, and what should have been sent meanwhile is sent at the next start. The
//! commit that appends the event also ends its wait, so that it is sent once. Whether the sender may send it is asked then.

mod control;
mod timer;

use std::time::Duration;

use ruma::{DeviceId, EventId, OwnedRoomId, OwnedTransactionId, TransactionId, UserId, events::TimelineEventType};
use serde_json::value::RawValue;

pub(super) use self::timer::Alarm;
use super::Rooms;
use crate::{
    error::{Error, Kind, Result},
    matrix::draft::checked_content,
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::{
            delayed_events::{
                DELAYED_BY_TIME, DELAYED_EVENTS, DELAYED_OF_USER, DELAYED_TRANSACTIONS, DelayedEnd, DelayedEvent,
                DelayedFailure, DelayedOutcome,
            },
            rooms::EventOrigin,
        },
        until_settled,
    },
    users::random_text,
};

/// The longest that an event can wait.
pub const LONGEST_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most events of one user that wait at a time; it also bounds what can be sent for them at one moment.
pub const MAXIMUM_DELAYED: usize = 100;
/// How long it is known what became of a delayed event.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Of how many delayed events of one user that is known at most.
const MAXIMUM_KEPT: usize = 100;
/// The largest content of an event that can exist at all, in bytes.
const LARGEST_CONTENT: usize = 65_535;
/// The longest type and the longest state key, in bytes.
const LONGEST_KEY: usize = 255;
/// The length of an id. Whoever knows one may decide what becomes of the event, so that it has 160 random bits.
const ID_LENGTH: usize = 32;

/// An event that is to be sent later.
#[derive(Debug)]
pub struct DelayRequest {
    /// Where.
    pub room_id: OwnedRoomId,
    /// The event's type.
    pub kind: TimelineEventType,
    /// The state key, if it is a state event.
    pub state_key: Option<String>,
    /// The content as JSON.
    pub content: Box<RawValue>,
    /// How long it waits.
    pub delay: Duration,
    /// The request's transaction id, if it has one.
    pub transaction: Option<OwnedTransactionId>,
}

/// What can be done about an event that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayAction {
    /// It is not sent.
    Cancel,
    /// It waits as long as at first once more, from now on.
    Restart,
    /// It is sent now.
    Send,
}

/// A delayed event and how it stands with it.
#[derive(Clone, Debug)]
pub struct DelayedStatus {
    /// Its id.
    pub id: String,
    /// What is known of it.
    pub event: DelayedEvent,
}

impl DelayedStatus {
    /// The event that it became, if it was sent.
    pub fn sent_as(&self) -> Option<&EventId> {
        match &self.event.outcome.as_ref()?.end {
            DelayedEnd::Sent(event_id) => Some(event_id),
            DelayedEnd::Cancelled | DelayedEnd::Failed { .. } => None,
        }
    }

    /// Why it could not be sent, if it could not.
    pub fn failure(&self) -> Option<Error> {
        match &self.event.outcome.as_ref()?.end {
            DelayedEnd::Failed { why, message } => Some(kind_of(*why).with(message.clone())),
            DelayedEnd::Sent(_) | DelayedEnd::Cancelled => None,
        }
    }
}

/// An event that waited, at the moment at which it does not any more.
#[derive(Clone, Copy)]
pub(super) struct Waiting<'a> {
    id: &'a str,
    event: &'a DelayedEvent,
    now: u64,
}

impl Waiting<'_> {
    /// What the sent event remembers of it.
    pub fn origin(&self) -> EventOrigin {
        EventOrigin::delayed(self.id)
    }

    /// Adds to the batch that it was sent as `event_id`, if it waits still.
    pub fn sent(&self, batch: &mut Batch, event_id: &EventId) {
        self.ended(batch, DelayedEnd::Sent(event_id.to_owned()));
    }

    /// Adds to the batch that it does not wait any more, if it waits still.
    fn ended(&self, batch: &mut Batch, end: DelayedEnd) {
        let Self { id, event, now } = *self;
        DELAYED_EVENTS.expect(batch, (id,), Some(event));
        DELAYED_EVENTS.put(
            batch,
            (id,),
            &DelayedEvent { outcome: Some(DelayedOutcome { at: now, end }), ..event.clone() },
        );
        DELAYED_BY_TIME.delete(batch, (event.due_at(), id));
        DELAYED_OF_USER.delete(batch, (&event.user, false, event.due_at(), id));
        DELAYED_BY_TIME.put(batch, (now + KEPT.as_millis() as u64, id), &event.room_id);
        DELAYED_OF_USER.put(batch, (&event.user, true, now, id), &());
    }
}

impl Rooms {
    /// Has an event sent later and gives the id that it goes by until then; the same id if the transaction is repeated.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidParam`] for no delay at all, [`Kind::Forbidden`] for one that is too long, [`Kind::TooLarge`] and
    /// [`Kind::BadJson`] if such an event cannot exist, [`Kind::LimitExceeded`] if too many of the user's events wait.
    pub async fn send_later(&self, (user, device): (&UserId, &DeviceId), request: DelayRequest) -> Result<String> {
        check(&request)?;
        let DelayRequest { room_id, kind, state_key, content, delay, transaction } = request;
        let scope = format!("{room_id}/{kind}");
        let origin = |id: OwnedTransactionId| EventOrigin { device_id: device.to_owned(), transaction_id: id };
        let event = DelayedEvent {
            user: user.to_owned(),
            room_id,
            kind: kind.to_string(),
            state_key,
            content: content.get().into(),
            delay: delay.as_millis() as u64,
            scheduled_at: self.shared.clock.millis(),
            request: transaction.map(origin),
            outcome: None,
        };
        until_settled(|| async {
            let snapshot = self.shared.store.snapshot();
            let transaction = event.request.as_ref().map(|request| &*request.transaction_id);
            if let Some(id) = made_by(&snapshot, (user, device, &scope), transaction).await? {
                return Ok(id);
            }
            self.check_number(&snapshot, user).await?;
            let (id, mut batch) = (random_text(ID_LENGTH), Batch::new());
            if let Some(transaction) = transaction {
                let key = (user, device, &scope, transaction);
                DELAYED_TRANSACTIONS.expect(&mut batch, key, None);
                DELAYED_TRANSACTIONS.put(&mut batch, key, &id);
            }
            DELAYED_EVENTS.put(&mut batch, (&id,), &event);
            self.wait(&mut batch, &id, &event);
            self.shared.store.commit(batch).await?;
            Ok(id)
        })
        .await
    }

    /// The events of a user that wait, the one that is sent first in front.
    pub async fn delayed_events(&self, user: &UserId) -> Result<Vec<DelayedStatus>> {
        let snapshot = self.shared.store.snapshot();
        let range = KeyRange::prefix((user, false));
        let rows = DELAYED_OF_USER.scan(&snapshot, range, Direction::Forward, usize::MAX).await?;
        let ids: Vec<_> = rows.into_iter().map(|((.., id), ())| id).collect();
        let events = DELAYED_EVENTS.get_many(&snapshot, ids.iter().map(|id| (id,))).await?;
        Ok(ids.into_iter().zip(events).filter_map(|(id, event)| Some(DelayedStatus { id, event: event? })).collect())
    }

    /// A delayed event of a user, whether or not it waits still.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if the user has none with this id, or it is forgotten.
    pub async fn delayed_event(&self, user: &UserId, id: &str) -> Result<DelayedStatus> {
        let event = DELAYED_EVENTS.get(&self.shared.store.snapshot(), (id,)).await?;
        let event = event.filter(|event| event.user == *user).ok_or_else(no_such_delayed_event)?;
        Ok(DelayedStatus { id: id.to_owned(), event })
    }

    /// Adds to the batch that the timer knows of an event that waits from now on.
    fn wait(&self, batch: &mut Batch, id: &str, event: &DelayedEvent) {
        DELAYED_BY_TIME.put(batch, (event.due_at(), id), &event.room_id);
        DELAYED_OF_USER.put(batch, (&event.user, false, event.due_at(), id), &());
        let (alarm, due_at) = (self.shared.alarm.clone(), event.due_at());
        batch.on_visible(move |_| alarm.set(due_at));
    }

    async fn check_number(&self, snapshot: &Snapshot, user: &UserId) -> Result<()> {
        let range = KeyRange::prefix((user, false));
        let rows = DELAYED_OF_USER.scan(snapshot, range, Direction::Forward, MAXIMUM_DELAYED).await?;
        let Some(((_, _, first, _), ())) = rows.first().filter(|_| rows.len() >= MAXIMUM_DELAYED) else {
            return Ok(());
        };
        let retry_after = Duration::from_millis(first.saturating_sub(self.shared.clock.millis()).max(1));
        let message = format!("{MAXIMUM_DELAYED} events of yours wait to be sent, which is the most there can be.");
        Err(Kind::LimitExceeded { retry_after }.with(message))
    }
}

/// Which delayed event the same request has made before, if it has.
async fn made_by(
    snapshot: &Snapshot,
    (user, device, scope): (&UserId, &DeviceId, &str),
    transaction: Option<&TransactionId>,
) -> Result<Option<String>> {
    let Some(transaction) = transaction else { return Ok(None) };
    DELAYED_TRANSACTIONS.get(snapshot, (user, device, scope, transaction)).await
}

/// Refuses what could not be sent whatever happens to the room until then.
fn check(request: &DelayRequest) -> Result<()> {
    if request.delay.is_zero() {
        return Err(Error::invalid("An event that waits does so for at least one millisecond."));
    }
    if request.delay > LONGEST_DELAY {
        return Err(Error::forbidden("An event waits at most 30 days on this server."));
    }
    let longest = request.state_key.as_deref().unwrap_or_default().len().max(request.kind.to_string().len());
    if longest > LONGEST_KEY || request.content.get().len() > LARGEST_CONTENT {
        return Err(Kind::TooLarge.with("An event has at most 65536 bytes, its type and its state key 255."));
    }
    checked_content(&request.kind, request.state_key.is_some(), &request.content).map(drop)
}

fn no_such_delayed_event() -> Error {
    Error::not_found("There is no delayed event with this id.")
}

/// The word that is stored for the reason of a failure.
fn failure_of(kind: &Kind) -> DelayedFailure {
    match kind {
        Kind::Forbidden => DelayedFailure::Forbidden,
        Kind::TooLarge => DelayedFailure::TooLarge,
        Kind::BadJson => DelayedFailure::BadJson,
        Kind::InvalidParam => DelayedFailure::InvalidParam,
        Kind::NotFound => DelayedFailure::NotFound,
        Kind::BadState => DelayedFailure::BadState,
        Kind::BadAlias => DelayedFailure::BadAlias,
        _ => DelayedFailure::Other,
    }
}

fn kind_of(failure: DelayedFailure) -> Kind {
    match failure {
        DelayedFailure::Forbidden => Kind::Forbidden,
        DelayedFailure::TooLarge => Kind::TooLarge,
        DelayedFailure::BadJson => Kind::BadJson,
        DelayedFailure::InvalidParam => Kind::InvalidParam,
        DelayedFailure::NotFound => Kind::NotFound,
        DelayedFailure::BadState => Kind::BadState,
        DelayedFailure::BadAlias => Kind::BadAlias,
        DelayedFailure::Other => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests;
