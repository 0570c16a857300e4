//! How many one-time keys a device has left, and which of its fallback keys nobody got yet.

use std::{collections::BTreeMap, sync::Arc};

use quick_cache::sync::Cache;
use ruma::{DeviceId, OneTimeKeyAlgorithm, OwnedDeviceId, OwnedUserId, UInt, UserId};

use super::Keys;
use crate::{
    error::Result,
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot, Stamped,
        schema::encryption::{FALLBACK_KEYS, KEY_STOCKS, ONE_TIME_KEYS},
    },
};

/// How many stocks are remembered; one takes a few hundred bytes.
const REMEMBERED: usize = 10_000;

/// The stock of one device.
#[derive(Clone, Debug)]
pub struct Stock {
    /// When it last changed, if it ever did.
    pub changed_at: Option<Position>,
    /// How many one-time keys are left of each algorithm.
    pub one_time_key_counts: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    /// The algorithms of the fallback keys that nobody got.
    pub unused_fallback_key_types: Vec<OneTimeKeyAlgorithm>,
}

/// What was counted, as long as it is true: a stock belongs to the position at which it changed.
#[derive(Clone, Debug)]
pub(super) struct Stocks(Arc<Cache<(OwnedUserId, OwnedDeviceId), Arc<Stock>>>);

impl Default for Stocks {
    fn default() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED)))
    }
}

impl Default for Stock {
    /// Clients take an algorithm that is not named for one of which nothing is known, so the one that all of them use always
    /// is.
    fn default() -> Self {
        let one_time_key_counts = BTreeMap::from([(OneTimeKeyAlgorithm::SignedCurve25519, UInt::MIN)]);
        Self { changed_at: None, one_time_key_counts, unused_fallback_key_types: Vec::new() }
    }
}

impl Keys {
    /// The stock of a device as of `snapshot`.
    pub async fn stock(&self, snapshot: &Snapshot, user: &UserId, device: &DeviceId) -> Result<Arc<Stock>> {
        let Some(Stamped { at, .. }) = KEY_STOCKS.get(snapshot, (user, device)).await? else {
            return Ok(Arc::default());
        };
        let place = (user.to_owned(), device.to_owned());
        if let Some(stock) = self.stocks.0.get(&place).filter(|stock| stock.changed_at == Some(at)) {
            return Ok(stock);
        }
        let stock = Arc::new(count(snapshot, user, device, at).await?);
        self.stocks.0.insert(place, stock.clone());
        Ok(stock)
    }

    /// Adds to `batch` that the stock of a device changes with it, and the condition that nobody changes it before.
    pub(super) async fn stage_stock(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<()> {
        let before = KEY_STOCKS.get(snapshot, (user, device)).await?;
        KEY_STOCKS.expect(batch, (user, device), before.as_ref());
        KEY_STOCKS.put(batch, (user, device), &Stamped::now(()));
        let (notifier, user) = (self.notifier.clone(), user.to_owned());
        batch.on_visible(move |_| notifier.wake(&user));
        Ok(())
    }
}

async fn count(snapshot: &Snapshot, user: &UserId, device: &DeviceId, at: Position) -> Result<Stock> {
    let mut stock = Stock { changed_at: Some(at), ..Stock::default() };
    let keys = ONE_TIME_KEYS.scan(snapshot, KeyRange::prefix((user, device)), Direction::Forward, usize::MAX).await?;
    for ((_, _, algorithm, ..), _) in keys {
        let count = stock.one_time_key_counts.entry(algorithm.into()).or_default();
        *count = count.saturating_add(UInt::from(1u8));
    }
    let keys = FALLBACK_KEYS.scan(snapshot, KeyRange::prefix((user, device)), Direction::Forward, usize::MAX).await?;
    let unused = keys.into_iter().filter(|(_, key)| !key.used);
    stock.unused_fallback_key_types = unused.map(|((_, _, algorithm), _)| algorithm.into()).collect();
    Ok(stock)
}
