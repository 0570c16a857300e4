//! What is kept of application services that are not registered any more, and for how long.

use std::{sync::Arc, time::Duration};

use tracing::info;

use super::Bridges;
use crate::{
    appservices::Appservice,
    error::Result,
    storage::{
        Batch, Direction, KeyRange,
        schema::appservices::{
            APPSERVICE_INBOX, APPSERVICE_PROGRESS, APPSERVICE_TRANSACTIONS, APPSERVICE_TYPING, APPSERVICES_GONE,
        },
    },
};

/// How long it is kept what waits for a service whose registration is gone, in milliseconds. It is long enough for a file that
/// was moved by mistake, and not so long that a service which comes back is told of times that nobody remembers.
const KEPT_FOR: u64 = 7 * 24 * 60 * 60 * 1_000;

impl Bridges {
    /// Notes which services are gone, and forgets those that were gone for too long: one that comes back after that begins anew.
    pub(super) async fn keep_or_forget(&self, services: &[Arc<Appservice>]) -> Result<()> {
        let (snapshot, now) = (self.shared.store.snapshot(), self.shared.clock.millis());
        let known = APPSERVICE_PROGRESS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        let mut batch = Batch::new();
        batch.slots(0);
        for ((id,), _) in known {
            let registered = services.iter().any(|service| service.id == id && service.url.is_some());
            match fate(registered, APPSERVICES_GONE.get(&snapshot, (&id,)).await?, now) {
                Fate::AsItIs => {}
                Fate::Leaves => {
                    info!(
                        service = id,
                        "an application service is told nothing any more; what waits for it is kept for a week"
                    );
                    APPSERVICES_GONE.put(&mut batch, (&id,), &now);
                }
                Fate::Returns => APPSERVICES_GONE.delete(&mut batch, (&id,)),
                Fate::IsForgotten => {
                    info!(service = id, "what waited for an application service that is gone is forgotten");
                    forget(&mut batch, &id);
                }
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.shared.store.commit(batch).await.map(drop),
        }
    }

    /// The services that are not registered any more, or without a URL, and of which something is kept, with how much longer it is.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn gone(&self) -> Result<Vec<(String, Duration)>> {
        let (snapshot, now) = (self.shared.store.snapshot(), self.shared.clock.millis());
        let rows = APPSERVICES_GONE.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        let left = |since: u64| Duration::from_millis((since + KEPT_FOR).saturating_sub(now));
        Ok(rows.into_iter().map(|((id,), since)| (id, left(since))).collect())
    }
}

/// What becomes of what waits for a service.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    AsItIs,
    Leaves,
    Returns,
    IsForgotten,
}

fn fate(registered: bool, gone_since: Option<u64>, now: u64) -> Fate {
    match (registered, gone_since) {
        // Also where it is back, but too late.
        (_, Some(since)) if now.saturating_sub(since) >= KEPT_FOR => Fate::IsForgotten,
        (true, Some(_)) => Fate::Returns,
        (false, None) => Fate::Leaves,
        (true, None) | (false, Some(_)) => Fate::AsItIs,
    }
}

fn forget(batch: &mut Batch, id: &str) {
    APPSERVICE_PROGRESS.delete(batch, (id,));
    APPSERVICE_TRANSACTIONS.delete(batch, (id,));
    APPSERVICE_INBOX.delete_range(batch, KeyRange::prefix((id,)));
    APPSERVICE_TYPING.delete_range(batch, KeyRange::prefix((id,)));
    APPSERVICES_GONE.delete(batch, (id,));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_kept_for_a_week() {
        for (registered, gone_since, now, expected) in [
            (true, None, 5, Fate::AsItIs),
            (false, None, 5, Fate::Leaves),
            (false, Some(5), 5 + KEPT_FOR - 1, Fate::AsItIs),
            (true, Some(5), 5 + KEPT_FOR - 1, Fate::Returns),
            (false, Some(5), 5 + KEPT_FOR, Fate::IsForgotten),
            (true, Some(5), 5 + KEPT_FOR, Fate::IsForgotten),
            (true, Some(5), 4, Fate::Returns),
        ] {
            assert_eq!(fate(registered, gone_since, now), expected, "{registered} {gone_since:?} {now}");
        }
    }
}
