//! Which clients there are. Everybody may register one, so that only those stay which somebody uses.

use std::time::Duration;

use ruma::serde::base64::{Base64, UrlSafe};
use sha2::{Digest, Sha256};

use super::OAuth;
use crate::{
    error::{Error, Kind, Result},
    matrix::oauth::ClientMetadata,
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::oauth::{OAUTH_CLIENT_SESSIONS, OAUTH_CLIENTS, OAuthClient},
        until_settled,
    },
};

/// How long a client stays that has no session. Clients register again each time that somebody logs in.
const UNUSED_FOR: Duration = Duration::from_secs(24 * 3600);

/// How often it is noted at most that a client registered again.
const NOTED_EVERY: Duration = Duration::from_secs(3600);

/// The most clients without a session. Then the one that was seen longest ago goes for the next one.
const MAXIMUM_UNUSED: usize = 500;

impl OAuth {
    /// Registers a client and gives its id, which is the same for all that say the same about themselves.
    pub async fn register(&self, metadata: &ClientMetadata) -> Result<String> {
        let client_id = id(metadata)?;
        until_settled(|| async {
            let (snapshot, now) = (self.store.snapshot(), self.clock.millis());
            let before = OAUTH_CLIENTS.get(&snapshot, (&client_id,)).await?;
            if before.as_ref().is_some_and(|client| now < client.seen_at + NOTED_EVERY.as_millis() as u64) {
                return Ok(client_id.clone());
            }
            let mut batch = Batch::new();
            // Nobody is told of it.
            batch.slots(0);
            if before.is_none() {
                self.make_room(&mut batch, &snapshot, now).await?;
            }
            OAUTH_CLIENTS.expect(&mut batch, (&client_id,), before.as_ref());
            let client = OAuthClient { metadata: metadata.clone(), seen_at: now };
            OAUTH_CLIENTS.put(&mut batch, (&client_id,), &client);
            self.store.commit(batch).await?;
            Ok(client_id.clone())
        })
        .await
    }

    /// What the client with this id said about itself, if there is one.
    pub async fn client(&self, client_id: &str) -> Result<Option<ClientMetadata>> {
        let client = OAUTH_CLIENTS.get(&self.store.snapshot(), (client_id,)).await?;
        Ok(client.map(|client| client.metadata))
    }

    /// Adds to `batch` that old clients without a session go, and one more if there are too many.
    ///
    /// This reads every client there is: at most 500, and those that people use. It happens only when a client comes that
    /// was not known.
    async fn make_room(&self, batch: &mut Batch, snapshot: &Snapshot, now: u64) -> Result<()> {
        let rows = OAUTH_CLIENTS.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        let mut unused = Vec::new();
        for ((client_id,), client) in rows {
            let sessions = KeyRange::prefix((&client_id,));
            if OAUTH_CLIENT_SESSIONS.scan(snapshot, sessions, Direction::Forward, 1).await?.is_empty() {
                unused.push((client.seen_at, client_id, client));
            }
        }
        unused.sort_unstable_by(|(a, a_id, _), (b, b_id, _)| (a, a_id).cmp(&(b, b_id)));
        let too_many = (unused.len() + 1).saturating_sub(MAXIMUM_UNUSED);
        for (number, (seen_at, client_id, client)) in unused.into_iter().enumerate() {
            if number < too_many || seen_at + (UNUSED_FOR.as_millis() as u64) < now {
                // The row changes with each session that the client gets, so that none loses its client here.
                OAUTH_CLIENTS.expect(batch, (&client_id,), Some(&client));
                OAUTH_CLIENTS.delete(batch, (&client_id,));
            }
        }
        Ok(())
    }

    /// Adds to `batch` that the client gets a session. The commit fails with `Conflict` if the client goes before.
    ///
    /// # Errors
    ///
    /// `NotFound` if it has gone.
    pub(super) async fn note_use(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        client_id: &str,
    ) -> Result<OAuthClient> {
        let before = OAUTH_CLIENTS.get(snapshot, (client_id,)).await?;
        let before = before.ok_or_else(|| Error::not_found("There is no such client any more."))?;
        let after = OAuthClient { seen_at: self.clock.millis().max(before.seen_at + 1), ..before };
        let before = OAuthClient { seen_at: before.seen_at, metadata: after.metadata.clone() };
        OAUTH_CLIENTS.expect(batch, (client_id,), Some(&before));
        OAUTH_CLIENTS.put(batch, (client_id,), &after);
        Ok(after)
    }
}

/// The hash of what the client says, in the form in which it is kept.
fn id(metadata: &ClientMetadata) -> Result<String> {
    let text = serde_json::to_vec(metadata).map_err(|cause| Kind::Internal.with(cause.to_string()))?;
    Ok(Base64::<UrlSafe, _>::new(Sha256::digest(&text).to_vec()).encode())
}
