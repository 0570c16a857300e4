//! Whose rooms do not show yet what became of them: a new name, a new picture, or that they are gone.
//!
//! The note is written with the change itself, so that neither a crash nor a command given while the server was down can
//! lose what follows from it. Whoever looks after rooms follows the notes.

use ruma::{OwnedUserId, UserId};
use tokio::sync::watch;

use crate::{
    error::{Kind, Result},
    storage::{Batch, Direction, KeyRange, Position, Stamped, Store, schema::users::ROOMS_BEHIND},
    streams::Notifier,
};

/// A cheap-clone service over the notes.
#[derive(Clone)]
pub struct RoomsBehind {
    store: Store,
    notifier: Notifier,
}

impl RoomsBehind {
    /// The notes in `store`.
    pub fn new(store: Store, notifier: Notifier) -> Self {
        Self { store, notifier }
    }

    /// Every user whose rooms are behind, each with the position of the last change that they do not show.
    pub async fn all(&self) -> Result<Vec<(OwnedUserId, Position)>> {
        let rows = ROOMS_BEHIND.scan(&self.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((user,), note)| (user, note.at)).collect())
    }

    /// Notes that the rooms of `user` show everything up to `until`. If something has changed since, they stay behind.
    pub async fn caught_up(&self, user: &UserId, until: Position) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        ROOMS_BEHIND.expect(&mut batch, (user,), Some(&Stamped { at: until, value: () }));
        ROOMS_BEHIND.delete(&mut batch, (user,));
        match self.store.commit(batch).await {
            Err(error) if error.kind == Kind::Conflict => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// What tells of every new note from now on.
    pub fn news(&self) -> watch::Receiver<()> {
        self.notifier.chores()
    }
}

/// Adds to `batch` the note that the rooms of `user` do not show what the batch changes.
pub(super) fn note(batch: &mut Batch, notifier: &Notifier, user: &UserId) {
    ROOMS_BEHIND.put(batch, (user,), &Stamped { at: Position::pending(0), value: () });
    let notifier = notifier.clone();
    batch.on_visible(move |_| notifier.wake_chores());
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[tokio::test]
    async fn a_note_stays_until_its_last_change_is_shown() {
        let behind = RoomsBehind::new(Store::in_memory(), Notifier::default());
        let (alice, mut news) = (user_id!("@alice:example.org"), behind.news());
        for _ in 0..2 {
            let mut batch = Batch::new();
            note(&mut batch, &behind.notifier, alice);
            behind.store.commit(batch).await.unwrap();
        }
        assert!(news.has_changed().unwrap());
        news.mark_unchanged();

        let second = behind.all().await.unwrap()[0].1;
        behind.caught_up(alice, Position::from(second.get() - 1)).await.unwrap();
        assert_eq!(behind.all().await.unwrap(), [(alice.to_owned(), second)]);
        behind.caught_up(alice, second).await.unwrap();
        assert_eq!(behind.all().await.unwrap(), []);
        assert!(!news.has_changed().unwrap(), "catching up is no news");
    }
}
