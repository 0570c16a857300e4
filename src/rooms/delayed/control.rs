//! What becomes of an event that waits: it is sent, put off, not wanted any more, or forgotten.

use ruma::UserId;
use serde_json::value::RawValue;

use super::{DelayAction, MAXIMUM_KEPT, Waiting, failure_of, no_such_delayed_event};
use crate::{
    error::{Error, Kind, Result},
    rooms::{Intent, Rooms, membership::as_not_in_room, redaction},
    storage::{
        Batch, Direction, KeyRange,
        schema::delayed_events::{
            DELAYED_BY_TIME, DELAYED_EVENTS, DELAYED_OF_USER, DELAYED_TRANSACTIONS, DelayedEnd, DelayedEvent,
        },
        until_settled,
    },
    users::Standing,
};

/// Whether something waits still.
enum Wait {
    /// It did, until now.
    Over,
    /// It did not any more, for this reason.
    WasOver(DelayedEnd),
}

impl Rooms {
    /// Does something about an event that waits. Whoever knows its id may.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if there is no such event, [`Kind::Conflict`] if it has come to another end already, and for
    /// [`DelayAction::Send`] what sending says; then it goes on to wait.
    pub async fn act_on_delayed(&self, id: &str, action: DelayAction) -> Result<()> {
        let wait = match action {
            DelayAction::Cancel => self.end_delayed(id, || DelayedEnd::Cancelled).await?,
            DelayAction::Restart => self.restart_delayed(id).await?,
            DelayAction::Send => self.send_delayed(id, None).await?,
        };
        match (action, wait) {
            (_, Wait::Over)
            | (DelayAction::Send, Wait::WasOver(DelayedEnd::Sent(_)))
            | (DelayAction::Cancel, Wait::WasOver(DelayedEnd::Cancelled | DelayedEnd::Failed { .. })) => Ok(()),
            (_, Wait::WasOver(DelayedEnd::Sent(_))) => Err(Kind::Conflict.with("The event has been sent already.")),
            (_, Wait::WasOver(_)) => Err(Kind::Conflict.with("The event was cancelled.")),
        }
    }

    /// Sends an event whose time has come by `now`, or notes why it cannot be sent.
    ///
    /// # Errors
    ///
    /// Fails if the server does; the event goes on to wait.
    pub(super) async fn send_due(&self, id: &str, now: u64) -> Result<()> {
        match self.send_delayed(id, Some(now)).await {
            Ok(_) => Ok(()),
            Err(cause) if matches!(cause.kind, Kind::Internal | Kind::Conflict) => Err(cause),
            // Nobody cancels what is forgotten, so that a missing row is one that has just been.
            Err(cause) => {
                let message = cause.message.to_string();
                let end = || DelayedEnd::Failed { why: failure_of(&cause.kind), message: message.clone() };
                self.end_delayed(id, end).await.map(drop)
            }
        }
    }

    /// Sends an event, if it waits still and, where `due_by` is said, is to be sent by then.
    async fn send_delayed(&self, id: &str, due_by: Option<u64>) -> Result<Wait> {
        let event = until_settled(|| async {
            let event = self.stored_delayed(id).await?;
            if due_by.is_some_and(|now| event.due_at() > now) {
                return Ok((event, Wait::Over));
            }
            if let Some(outcome) = event.outcome.clone() {
                return Ok((event, Wait::WasOver(outcome.end)));
            }
            self.require_active(&event.user).await?;
            let waiting = Waiting { id, event: &event, now: self.shared.clock.millis() };
            self.append_delayed(&waiting).await?;
            Ok((event, Wait::Over))
        });
        let (event, wait) = event.await?;
        self.forget_oldest(&event.user).await?;
        Ok(wait)
    }

    /// Appends the event to its room and ends its wait with the same commit.
    async fn append_delayed(&self, waiting: &Waiting<'_>) -> Result<()> {
        let DelayedEvent { user, room_id, kind, state_key, content, .. } = waiting.event;
        let content = RawValue::from_string(content.to_string()).map_err(Error::internal)?;
        let Some(state_key) = state_key else {
            let redacts = match kind.as_str() {
                "m.room.redaction" => Some(redaction::target_in(&content)?),
                _ => None,
            };
            let message = Intent::message(user, kind.as_str(), content);
            let intent = Intent { redacts, origin: Some(waiting.origin()), ..message };
            return self.append_waited(room_id, intent, Some(waiting)).await.map(drop);
        };
        let room = self.room(room_id).await.map_err(as_not_in_room)?;
        let place = (&kind.as_str().into(), state_key.as_str());
        self.try_to_set_state(&room, user, place, &content, (Some(waiting), None)).await.map(drop)
    }

    /// Ends a wait without sending anything.
    async fn end_delayed(&self, id: &str, end: impl Fn() -> DelayedEnd) -> Result<Wait> {
        let (event, wait) = until_settled(|| async {
            let event = self.stored_delayed(id).await?;
            if let Some(outcome) = event.outcome.clone() {
                return Ok((event, Wait::WasOver(outcome.end)));
            }
            let mut batch = Batch::new();
            Waiting { id, event: &event, now: self.shared.clock.millis() }.ended(&mut batch, end());
            self.shared.store.commit(batch).await?;
            Ok((event, Wait::Over))
        })
        .await?;
        self.forget_oldest(&event.user).await?;
        Ok(wait)
    }

    /// Lets an event wait from now on for as long as at first.
    async fn restart_delayed(&self, id: &str) -> Result<Wait> {
        until_settled(|| async {
            let before = self.stored_delayed(id).await?;
            if let Some(outcome) = before.outcome {
                return Ok(Wait::WasOver(outcome.end));
            }
            let mut batch = Batch::new();
            DELAYED_EVENTS.expect(&mut batch, (id,), Some(&before));
            DELAYED_BY_TIME.delete(&mut batch, (before.due_at(), id));
            DELAYED_OF_USER.delete(&mut batch, (&before.user, false, before.due_at(), id));
            let after = DelayedEvent { scheduled_at: self.shared.clock.millis(), ..before };
            DELAYED_EVENTS.put(&mut batch, (id,), &after);
            self.wait(&mut batch, id, &after);
            self.shared.store.commit(batch).await?;
            Ok(Wait::Over)
        })
        .await
    }

    /// Forgets what became of an event that does not wait any more.
    pub(super) async fn forget_delayed(&self, id: &str) -> Result<()> {
        until_settled(|| async {
            let Some(event) = DELAYED_EVENTS.get(&self.shared.store.snapshot(), (id,)).await? else { return Ok(()) };
            let Some(outcome) = &event.outcome else { return Ok(()) };
            let mut batch = Batch::new();
            DELAYED_EVENTS.expect(&mut batch, (id,), Some(&event));
            DELAYED_EVENTS.delete(&mut batch, (id,));
            DELAYED_BY_TIME.delete(&mut batch, (outcome.at + super::KEPT.as_millis() as u64, id));
            DELAYED_OF_USER.delete(&mut batch, (&event.user, true, outcome.at, id));
            if let Some(request) = &event.request {
                let scope = format!("{}/{}", event.room_id, event.kind);
                let key = (&event.user, &request.device_id, &scope, &request.transaction_id);
                DELAYED_TRANSACTIONS.delete(&mut batch, key);
            }
            self.shared.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Forgets the oldest of a user's events that do not wait any more, where there are too many of them.
    async fn forget_oldest(&self, user: &UserId) -> Result<()> {
        let (snapshot, range) = (self.shared.store.snapshot(), KeyRange::prefix((user, true)));
        let ended = DELAYED_OF_USER.scan(&snapshot, range, Direction::Forward, 2 * MAXIMUM_KEPT).await?;
        let too_many = ended.len().saturating_sub(MAXIMUM_KEPT);
        for ((.., id), ()) in ended.into_iter().take(too_many) {
            self.forget_delayed(&id).await?;
        }
        Ok(())
    }

    pub(super) async fn stored_delayed(&self, id: &str) -> Result<DelayedEvent> {
        DELAYED_EVENTS.get(&self.shared.store.snapshot(), (id,)).await?.ok_or_else(no_such_delayed_event)
    }

    /// Refuses to send for those whose account cannot be used, or not for this.
    async fn require_active(&self, user: &UserId) -> Result<()> {
        if self.shared.accounts.is_suspended(user).await? {
            return Err(Error::forbidden("The sender's account has been suspended."));
        }
        let account = self.shared.accounts.get(user).await?;
        match account.map(|account| account.standing) {
            Some(Standing::Locked | Standing::Deactivated { .. }) => {
                Err(Error::forbidden("The sender's account cannot be used any more."))
            }
            _ => Ok(()),
        }
    }
}
