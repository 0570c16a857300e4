//! Simplified sliding sync (MSC4186): a client says which of its rooms it looks at, and hears of those what it does not know.
//!
//! What a client knows is remembered for each of its connections ([`connections`]); each answer starts from what the client
//! certainly has. The sections are those of `/sync`.

mod answer;
mod config;
mod connections;
mod extensions;
mod joined;
mod lists;
mod look;
mod outside;
mod overview;
mod request;
mod required_state;
mod thread_subscriptions;
mod told;

#[cfg(test)]
mod tests;

use std::time::Duration;

use ruma::{OwnedDeviceId, OwnedUserId};
use tokio::time::{Instant, timeout_at};

use self::look::{Seen, look};
pub use self::{answer::SlidingAnswer, request::SlidingBody};
pub(super) use self::{connections::Connections, overview::Overviews};
use super::{LONGEST_WAIT, Sync};
use crate::{error::Result, presence::Availability};

/// A request of a sliding sync.
#[derive(Clone, Debug)]
pub struct SlidingRequest {
    /// The user.
    pub user: OwnedUserId,
    /// The user's device.
    pub device: OwnedDeviceId,
    /// How the user wants to appear to others meanwhile.
    pub appearance: Availability,
    /// How long the client is willing to wait for news.
    pub timeout: Duration,
    /// What it asks for.
    pub body: SlidingBody,
}

impl Sync {
    /// Answers as soon as there is something to tell, or when the client is not willing to wait any longer.
    ///
    /// # Errors
    ///
    /// `UnknownPosition` if the connection is forgotten or has gone on; `InvalidParam` for a request that asks for too much.
    pub async fn sliding(&self, request: SlidingRequest) -> Result<SlidingAnswer> {
        request.body.check()?;
        let to_device = &request.body.extensions.to_device;
        let has_messages_until = extensions::position(to_device.since.as_deref())?;
        let deadline = Instant::now() + request.timeout.min(LONGEST_WAIT);
        let device = (request.user.clone(), request.device.clone());
        let (id, pos) = (&request.body.conn_id, request.body.pos.as_deref());
        let told = self.connections.resume(&device, id, pos)?;
        // Registered before the first look, so that no change falls between the look and the wait.
        let watch = self.notifier.watch(&request.user);
        let _syncing = self.presence.sync_begins(&request.user, &request.device, request.appearance).await?;
        if to_device.enabled == Some(true) && to_device.since.is_some() {
            let until = has_messages_until.min(self.store.position());
            self.to_device.acknowledge((&request.user, &request.device), until).await?;
        }
        loop {
            let Seen { answer, told: next, is_news } = look(self, &request, &told).await?;
            let ends = pos.is_none() || is_news || self.shutdown.has_begun() || Instant::now() >= deadline;
            let waited = async {
                tokio::select! {
                    woken = timeout_at(deadline, watch.changed()) => woken.is_ok(),
                    () = self.shutdown.begun() => false,
                }
            };
            if ends || !waited.await {
                self.connections.offer(&device, id, &told, next);
                return Ok(answer);
            }
        }
    }
}
