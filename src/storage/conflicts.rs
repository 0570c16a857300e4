//! Trying again when somebody else wrote first.

use crate::error::{Kind, Result};

/// So many writers do not come between one reader and its write; whoever gets here is looking at a bug.
const MAXIMUM_ATTEMPTS: u32 = 100;

/// Runs `attempt`, which reads and then commits what it read as a precondition, until no other writer comes in between.
///
/// # Errors
///
/// Those of `attempt`.
pub async fn until_settled<T, F: Future<Output = Result<T>>>(mut attempt: impl FnMut() -> F) -> Result<T> {
    for _ in 1..MAXIMUM_ATTEMPTS {
        match attempt().await {
            Err(error) if error.kind == Kind::Conflict => {}
            outcome => return outcome,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn conflicts_are_tried_again_and_other_failures_are_not() {
        let attempts = Cell::new(0);
        let third_time = until_settled(|| async {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 { Err(Kind::Conflict.with("Somebody wrote first.")) } else { Ok(attempts.get()) }
        });
        assert_eq!(third_time.await.unwrap(), 3);

        let failing = until_settled(|| async {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(Kind::NotFound.with("There is nothing."))
        });
        assert_eq!(failing.await.unwrap_err().kind, Kind::NotFound);
        assert_eq!(attempts.get(), 4);
    }
}
