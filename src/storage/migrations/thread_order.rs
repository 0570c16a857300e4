//! From version 3 to 4: the threads of a room are found by their newest events.

use crate::{
    error::Result,
    storage::{
        Batch, Direction, KeyRange, Store,
        schema::relations::{THREADS, THREADS_BY_NEWEST},
    },
};

/// How many threads one commit adds.
const THREADS_AT_ONCE: usize = 5_000;

/// Adds the threads of all rooms; those that stand in the index already are written again.
pub(super) async fn fill(store: &Store) -> Result<()> {
    let snapshot = store.snapshot();
    let mut rest = KeyRange::all();
    loop {
        let rows = THREADS.scan(&snapshot, rest, Direction::Forward, THREADS_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        rest = KeyRange::after((&last.0, &last.1));
        let mut batch = Batch::new();
        batch.slots(0);
        for ((room_id, root), newest) in rows {
            THREADS_BY_NEWEST.put(&mut batch, (&room_id, newest.order), &(root, newest.sender));
        }
        store.commit(batch).await?;
    }
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id, user_id};

    use super::*;
    use crate::storage::{Order, Position, schema::relations::Newest};

    #[tokio::test]
    async fn threads_of_older_data_are_found_by_their_newest_events() {
        let store = Store::in_memory();
        let (room, sender) = (room_id!("!room:example.org"), user_id!("@alice:example.org"));
        let place = |number: u64| Order::Live(Position::from(number));
        let mut batch = Batch::new();
        for (root, number) in [(event_id!("$one"), 9), (event_id!("$two"), 7)] {
            THREADS.put(&mut batch, (room, root), &Newest { order: place(number), sender: sender.to_owned() });
        }
        store.commit(batch).await.unwrap();
        for _again in 0..2 {
            fill(&store).await.unwrap();
            let all = KeyRange::all();
            let rows = THREADS_BY_NEWEST.scan(&store.snapshot(), all, Direction::Forward, usize::MAX).await.unwrap();
            let row =
                |number, root: &str| ((room.to_owned(), place(number)), (root.try_into().unwrap(), sender.to_owned()));
            assert_eq!(rows, [row(7, "$two"), row(9, "$one")]);
        }
    }
}
