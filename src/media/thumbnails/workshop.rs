//! Where thumbnails are made: each once, however many ask for it, and few at the same time.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::Size;
use crate::{
    error::{Error, Result},
    media::MediaId,
    storage::schema::media::Thumbnail,
};

/// Which thumbnail of which file.
type Order = (MediaId, Size);
/// How making one ended, for everybody who waits for it; `None` while it goes on.
type Outcome = Option<Result<Thumbnail, Arc<Error>>>;

/// What is being made now.
pub struct Workshop {
    orders: Arc<Mutex<HashMap<Order, watch::Receiver<Outcome>>>>,
    /// How many pictures may be in memory at the same time.
    places: Semaphore,
}

impl Workshop {
    /// An idle one, with places for half the processors.
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, |number| number.get());
        Self { orders: Arc::default(), places: Semaphore::new((processors / 2).max(1)) }
    }

    /// Waits for `work` on an order, which is only begun if nobody works on it already, and which goes on when the caller
    /// stops waiting.
    ///
    /// # Errors
    ///
    /// Those of the work.
    pub async fn make(
        &self,
        order: Order,
        work: impl Future<Output = Result<Thumbnail>> + Send + 'static,
    ) -> Result<Thumbnail> {
        let mut progress = match lock(&self.orders).entry(order.clone()) {
            Entry::Occupied(under_way) => under_way.get().clone(),
            Entry::Vacant(place) => {
                let (done, progress) = watch::channel(None);
                place.insert(progress.clone());
                let orders = self.orders.clone();
                tokio::spawn(async move {
                    let outcome = work.await;
                    lock(&orders).remove(&order);
                    done.send_replace(Some(outcome.map_err(Arc::new)));
                });
                progress
            }
        };
        let ended = progress.wait_for(Option::is_some).await;
        let ended = ended.map_err(|_| Error::internal("the work on a thumbnail ended without an outcome"))?;
        match &*ended {
            Some(Ok(made)) => Ok(made.clone()),
            Some(Err(error)) => Err(error.kind.clone().with(error.message.clone())),
            None => Err(Error::internal("the work on a thumbnail has no outcome")),
        }
    }

    /// Waits until there is a place to work.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It fails only when the semaphore is closed, which nobody does.
        self.places.acquire().await.ok()
    }
}

/// The orders hold no invariant that a panic elsewhere could have broken, so a poisoned lock is used as it is.
fn lock<T>(orders: &Mutex<T>) -> MutexGuard<'_, T> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}
