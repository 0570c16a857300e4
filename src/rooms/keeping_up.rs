//! Follows the notes about users whose rooms are behind, and brings these rooms up to date: in the background, and again
//! after a crash.

use std::time::Duration;

use ruma::{OwnedRoomId, UserId};
use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};
use tracing::warn;

use super::Rooms;
use crate::{
    error::{Error, Result},
    shutdown::Shutdown,
    storage::Position,
    users::Standing,
};

/// How many rooms are brought up to date at the same time, so that they share commits and leave the rest of the server its
/// turn.
const ROOMS_AT_ONCE: usize = 16;

/// How long to wait after a failure before trying again.
const RETRY: Duration = Duration::from_secs(30);

impl Rooms {
    /// Keeps rooms up with what becomes of users until the server stops.
    pub async fn keep_up_with_users(self, shutdown: Shutdown) {
        let mut news = self.shared.rooms_behind.news();
        let following = async {
            loop {
                if let Err(cause) = self.catch_up_with_users().await {
                    warn!(%cause, "rooms could not be brought up to date with their members; trying again soon");
                    sleep(RETRY).await;
                } else if news.changed().await.is_err() {
                    // The notifier is gone, and with it everyone who could have news.
                    return;
                }
            }
        };
        // What is cut off here is still noted, and goes on at the next start.
        tokio::select! {
            () = following => {}
            () = shutdown.begun() => {}
        }
    }

    /// Does everything that is noted now.
    ///
    /// # Errors
    ///
    /// The first failure, after all users have had their turn.
    pub(super) async fn catch_up_with_users(&self) -> Result<()> {
        let mut outcome = Ok(());
        for (user, since) in self.shared.rooms_behind.all().await? {
            outcome = outcome.and(self.catch_up_with(&user, since).await);
        }
        outcome
    }

    /// Brings the rooms of `user` up to the change at `since`.
    async fn catch_up_with(&self, user: &UserId, since: Position) -> Result<()> {
        let account = self.shared.accounts.get(user).await?;
        match account.map(|account| account.standing) {
            Some(Standing::Deactivated { .. }) => self.depart(user).await?,
            _ => self.propagate_profile(user).await?,
        }
        self.shared.rooms_behind.caught_up(user, since).await
    }
}

/// Acts in each of the rooms, several at a time.
///
/// # Errors
///
/// The first failure, after all rooms have had their turn.
pub(super) async fn in_each<F>(rooms: Vec<OwnedRoomId>, act: impl Fn(OwnedRoomId) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (mut acting, mut outcome) = (JoinSet::new(), Ok(()));
    for room_id in rooms {
        if acting.len() >= ROOMS_AT_ONCE
            && let Some(ended) = acting.join_next().await
        {
            outcome = outcome.and(end_of(ended));
        }
        acting.spawn(act(room_id));
    }
    while let Some(ended) = acting.join_next().await {
        outcome = outcome.and(end_of(ended));
    }
    outcome
}

fn end_of(task: Result<Result<()>, JoinError>) -> Result<()> {
    task.map_err(Error::internal)?
}
