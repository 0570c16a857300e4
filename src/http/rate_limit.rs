//! How often one client may ask: a bucket for each user and each address, at the rates of `[limits]`.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use ruma::UserId;

use crate::{
    config::{Limits, Rate},
    error::{Kind, Result},
    matrix::email_address::EmailAddress,
};

/// How many requests pass between two sweeps that forget the clients whose buckets are full again. It bounds the memory by
/// the clients that were active lately, without a task that has to be started and stopped.
const SWEEP_EVERY: u32 = 1_024;

/// How many busy people an address may stand for: a team in one office shares one, and must not stop each other's chat.
const USERS_PER_ADDRESS: u32 = 20;

/// How many people who ask for mails an address may stand for. Mails go to anybody, so that it is fewer.
const MAILBOXES_PER_ADDRESS: u32 = 4;

/// What a client does when it spends from a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Attempts to log in; spent for the address and for the account that is tried.
    Login,
    /// New accounts; spent for the address.
    Registration,
    /// Events sent into rooms; spent for the user and for the address.
    Messages,
    /// Rooms joined, knocked on or created; spent for the user and for the address.
    Joins,
    /// Files uploaded or announced; spent for the user and for the address.
    Uploads,
    /// Messages to devices, and uploads and claims of their keys; spent for the user and for the address.
    Encryption,
    /// Mails that somebody asks for; spent for the mailbox and for the address.
    Mails,
}

/// Whose bucket it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Everybody behind one address.
    Address(IpAddr),
    /// One account, from wherever.
    User(Box<str>),
    /// One e-mail address.
    Mailbox(Box<str>),
}

/// The buckets of all clients; a cheap clone.
#[derive(Clone)]
pub struct RateLimits(Option<Arc<Buckets>>);

struct Buckets {
    login: Bucket,
    registration: Bucket,
    messages: Bucket,
    joins: Bucket,
    uploads: Bucket,
    encryption: Bucket,
    mails: Bucket,
}

struct Bucket {
    users: DefaultKeyedRateLimiter<Client>,
    addresses: DefaultKeyedRateLimiter<Client>,
    clock: DefaultClock,
    spent: AtomicU32,
}

impl RateLimits {
    /// Full buckets for everybody, or none at all where the limits are off.
    pub fn new(limits: &Limits) -> Self {
        Self(limits.enabled.then(|| {
            Arc::new(Buckets {
                login: Bucket::new(limits.login, 1),
                registration: Bucket::new(limits.registration, 1),
                messages: Bucket::new(limits.messages, USERS_PER_ADDRESS),
                joins: Bucket::new(limits.joins, USERS_PER_ADDRESS),
                uploads: Bucket::new(limits.uploads, USERS_PER_ADDRESS),
                encryption: Bucket::new(limits.encryption, USERS_PER_ADDRESS),
                mails: Bucket::new(limits.mails, MAILBOXES_PER_ADDRESS),
            })
        }))
    }

    /// Takes one request out of the client's bucket.
    ///
    /// # Errors
    ///
    /// [`Kind::LimitExceeded`] with the time until there is one again.
    pub fn spend(&self, limit: Limit, client: impl Into<Client>) -> Result<()> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        let bucket = match limit {
            Limit::Login => &buckets.login,
            Limit::Registration => &buckets.registration,
            Limit::Messages => &buckets.messages,
            Limit::Joins => &buckets.joins,
            Limit::Uploads => &buckets.uploads,
            Limit::Encryption => &buckets.encryption,
            Limit::Mails => &buckets.mails,
        };
        bucket.spend(&client.into())
    }
}

impl Bucket {
    /// A bucket for each user at `rate`, and for each address at `crowd` times as much.
    fn new(rate: Rate, crowd: u32) -> Self {
        let together = Rate { per_second: rate.per_second * f64::from(crowd), burst: rate.burst.saturating_mul(crowd) };
        Self {
            users: RateLimiter::keyed(quota(rate)),
            addresses: RateLimiter::keyed(quota(together)),
            clock: DefaultClock::default(),
            spent: AtomicU32::new(0),
        }
    }

    fn spend(&self, client: &Client) -> Result<()> {
        if self.spent.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.users.retain_recent();
            self.addresses.retain_recent();
        }
        let clients = match client {
            Client::User(_) | Client::Mailbox(_) => &self.users,
            Client::Address(_) => &self.addresses,
        };
        clients.check_key(client).map_err(|until| {
            let retry_after = until.wait_time_from(self.clock.now());
            Kind::LimitExceeded { retry_after }.with("Too many requests of this kind: wait a moment and try again.")
        })
    }
}

fn quota(rate: Rate) -> Quota {
    let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(rate.period()).unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX));
    quota.allow_burst(burst)
}

impl From<IpAddr> for Client {
    /// One customer of a provider holds at least 2⁶⁴ addresses of IPv6, so that these count together.
    fn from(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        })
    }
}

impl Client {
    /// The mailbox that `address` names.
    pub fn mailbox(address: &str) -> Self {
        // What is no address is refused elsewhere, and all of it can count together.
        let canonical = EmailAddress::parse(address);
        Self::Mailbox(canonical.as_ref().map_or("", EmailAddress::as_str).into())
    }
}

impl From<&UserId> for Client {
    fn from(user: &UserId) -> Self {
        Self::User(user.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use ruma::user_id;

    use super::*;

    fn limits(per_second: f64, burst: u32) -> Limits {
        Limits { messages: Rate { per_second, burst }, ..Limits::default() }
    }

    #[test]
    fn an_address_stands_for_a_team_and_not_for_any_number_of_accounts() {
        let limits = RateLimits::new(&limits(0.001, 1));
        let (office, home) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..USERS_PER_ADDRESS {
            limits.spend(Limit::Messages, office).unwrap();
        }
        limits.spend(Limit::Messages, office).unwrap_err();
        limits.spend(Limit::Messages, home).unwrap();
    }

    fn wait(refused: Result<()>) -> Duration {
        match refused.unwrap_err().kind {
            Kind::LimitExceeded { retry_after } => retry_after,
            kind => panic!("{kind:?}"),
        }
    }

    #[test]
    fn a_burst_passes_and_then_one_waits_for_the_rate() {
        let limits = RateLimits::new(&limits(0.01, 3));
        let alice = user_id!("@alice:example.org");
        for _ in 0..3 {
            limits.spend(Limit::Messages, alice).unwrap();
        }
        let retry_after = wait(limits.spend(Limit::Messages, alice));
        assert!(retry_after > Duration::from_secs(90) && retry_after <= Duration::from_secs(100), "{retry_after:?}");
    }

    #[test]
    fn whoever_waits_may_go_on() {
        let limits = RateLimits::new(&limits(50.0, 1));
        let alice = user_id!("@alice:example.org");
        limits.spend(Limit::Messages, alice).unwrap();
        let started = Instant::now();
        let retry_after = wait(limits.spend(Limit::Messages, alice));
        while limits.spend(Limit::Messages, alice).is_err() {
            assert!(started.elapsed() < Duration::from_secs(5), "it was said to take {retry_after:?}");
            thread::yield_now();
        }
    }

    #[test]
    fn clients_and_limits_do_not_share_buckets() {
        let limits = RateLimits::new(&limits(0.01, 1));
        limits.spend(Limit::Messages, user_id!("@alice:example.org")).unwrap();
        limits.spend(Limit::Messages, user_id!("@bob:example.org")).unwrap();
        limits.spend(Limit::Joins, user_id!("@alice:example.org")).unwrap();
        limits.spend(Limit::Messages, user_id!("@alice:example.org")).unwrap_err();
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let client = |address: &str| Client::from(address.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn limits_that_are_off_let_everything_pass() {
        let limits = RateLimits::new(&Limits { enabled: false, ..limits(0.01, 1) });
        for _ in 0..10 {
            limits.spend(Limit::Messages, user_id!("@alice:example.org")).unwrap();
        }
    }

    #[test]
    fn clients_whose_buckets_are_full_again_are_forgotten() {
        let bucket = Bucket::new(Rate { per_second: 1e9, burst: 1 }, 1);
        for number in 0..SWEEP_EVERY * 4 {
            bucket.spend(&Client::User(number.to_string().into())).unwrap();
        }
        assert!(bucket.users.len() <= SWEEP_EVERY as usize, "{} are remembered", bucket.users.len());
    }
}
