//! The end of guests who do not come back. Nobody else can: without a password an account ends with its sessions.

use std::time::Duration;

use ruma::OwnedUserId;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{accounts::Accounts, deactivation::deactivate_guest, sessions::Sessions};
use crate::{
    clock::Clock,
    error::{Kind, Result},
    shutdown::Shutdown,
    storage::schema::users::{Account, Role, Standing},
};

/// The longest time between two looks at the guests.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3_600);

/// How many accounts are read together.
const AT_ONCE: usize = 500;

/// What ends the accounts of guests who have not been seen for long: a cheap clone.
#[derive(Clone)]
pub struct GuestExpiry {
    accounts: Accounts,
    sessions: Sessions,
    clock: Clock,
    /// For how long a guest may be away.
    patience: Duration,
}

impl GuestExpiry {
    /// Ends guests in `accounts` who were away for longer than `patience`.
    pub fn new(accounts: Accounts, sessions: Sessions, clock: Clock, patience: Duration) -> Self {
        Self { accounts, sessions, clock, patience }
    }

    /// The same, where the accounts end with what belongs to them.
    #[must_use]
    pub(super) fn with_accounts(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    /// Looks for such guests at once and then a few times a day, until the server stops.
    pub async fn end_guests_in_time(self, shutdown: Shutdown) {
        let pause = (self.patience / 4).clamp(Duration::from_millis(100), LONGEST_PAUSE);
        loop {
            tokio::select! {
                outcome = self.end_guests() => match outcome {
                    Ok(0) => {}
                    Ok(count) => info!(count, "the accounts of guests who did not come back were deactivated"),
                    Err(cause) => warn!(%cause, "the accounts of guests who did not come back could not all be deactivated"),
                },
                // Whoever is left is found again by the next run.
                () = shutdown.begun() => return,
            }
            if timeout(pause, shutdown.begun()).await.is_ok() {
                return;
            }
        }
    }

    /// Ends the accounts of all guests who have been away for too long, and says how many these were.
    ///
    /// # Errors
    ///
    /// The first failure.
    pub(super) async fn end_guests(&self) -> Result<usize> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.accounts.page(after.as_ref(), AT_ONCE).await?;
            for (user, account) in &page {
                if self.is_over(user, account).await? {
                    match deactivate_guest(&self.accounts, &self.sessions, user).await {
                        Ok(()) => count += 1,
                        // Somebody else has done it meanwhile.
                        Err(error) if error.kind == Kind::UserDeactivated => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            match page.into_iter().next_back() {
                Some((last, _)) => after = Some(last),
                None => return Ok(count),
            }
        }
    }

    async fn is_over(&self, user: &OwnedUserId, account: &Account) -> Result<bool> {
        if account.role != Role::Guest || matches!(account.standing, Standing::Deactivated { .. }) {
            return Ok(false);
        }
        let devices = self.sessions.devices(user).await?;
        let seen = devices.into_iter().filter_map(|device| device.last_seen).map(|seen| seen.at).max();
        let last = seen.unwrap_or(0).max(account.created_at);
        Ok(self.clock.millis().saturating_sub(last) > self.patience.as_millis() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::{
        config::Config,
        storage::Store,
        streams::Notifier,
        users::{Admission, NewAccount, NewDevice, Seen, Users},
    };

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[tokio::test]
    async fn only_guests_end_and_only_those_who_were_not_seen() {
        let text = "server_name = \"example.org\"\ndata_dir = \"data\"\n[registration]\nguests = true";
        let config = Config::read(text, "".as_ref(), []).unwrap();
        let clock = Clock::manual(1_000_000);
        let users = Users::new(&Store::in_memory(), &Notifier::default(), &clock, &config, &[]).unwrap();
        let mut guests = Vec::new();
        for _ in 0..3 {
            let guest = users.registration.register_guest().await.unwrap();
            let grant = users.sessions.start(&guest, NewDevice::default()).await.unwrap();
            guests.push((guest, grant.access_token.reveal()));
        }
        let admission = Admission::Granted(Role::User);
        let person = NewAccount { username: Some("alice".into()), password: None, display_name: None, admission };
        let alice = users.registration.register(person).await.unwrap();
        clock.advance(29 * DAY);
        let seen = Seen { address: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: None };
        users.sessions.authenticate(&guests[0].1, seen).await.unwrap();
        let expired = users.guest_expiry.end_guests().await.unwrap();
        assert_eq!(expired, 0);
        clock.advance(2 * DAY);
        users.sessions.write_last_seen().await.unwrap();
        assert_eq!(users.guest_expiry.end_guests().await.unwrap(), 2);
        assert_eq!(users.guest_expiry.end_guests().await.unwrap(), 0);
        let standing = async |user| users.accounts.get(user).await.unwrap().unwrap().standing;
        let expected =
            [Standing::Active, Standing::Deactivated { erased: false }, Standing::Deactivated { erased: false }];
        for ((guest, _), expected) in guests.iter().zip(expected) {
            assert_eq!(standing(guest).await, expected);
        }
        assert_eq!(standing(&alice).await, Standing::Active);
        clock.advance(30 * DAY);
        assert_eq!(users.guest_expiry.end_guests().await.unwrap(), 1, "who came back has gone again");
    }
}
