//! From version 1 to 2: every event stands in the index of times.

use ruma::RoomId;
use serde::Deserialize;

use crate::{
    error::{Error, Result},
    storage::{
        Batch, Direction, KeyRange, Store,
        schema::rooms::{EVENT_TIMES, ROOMS, TIMELINE},
    },
};

/// How many events one commit adds.
const EVENTS_AT_ONCE: usize = 5_000;

/// Adds the events of all rooms; those that stand in the index already are written again.
pub(super) async fn fill(store: &Store) -> Result<()> {
    let rooms = ROOMS.scan(&store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await?;
    for ((room_id,), _) in rooms {
        fill_room(store, &room_id).await?;
    }
    Ok(())
}

async fn fill_room(store: &Store, room_id: &RoomId) -> Result<()> {
    #[derive(Deserialize)]
    struct Pdu {
        origin_server_ts: u64,
    }

    let snapshot = store.snapshot();
    let mut rest = KeyRange::prefix((room_id,));
    loop {
        let rows = TIMELINE.scan(&snapshot, rest, Direction::Forward, EVENTS_AT_ONCE).await?;
        let Some(((_, last), _)) = rows.last() else { return Ok(()) };
        rest = KeyRange::prefix_after((room_id,), *last);
        let mut batch = Batch::new();
        batch.slots(0);
        for ((_, order), row) in &rows {
            let pdu: Pdu = serde_json::from_str(&row.json).map_err(Error::internal)?;
            EVENT_TIMES.put(&mut batch, (room_id, pdu.origin_server_ts, *order), &());
        }
        store.commit(batch).await?;
    }
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, event_id, room_id};

    use super::*;
    use crate::storage::{
        Order, Position,
        schema::rooms::{EventHeader, RoomRow, TimelineRow},
    };

    #[tokio::test]
    async fn events_of_older_data_are_found_by_their_time() {
        let store = Store::in_memory();
        let room_id = room_id!("!room:example.org");
        let order = Order::Live(Position::from(7));
        let mut batch = Batch::new();
        let row = RoomRow { version: RoomVersionId::V12, heads: Vec::new(), depth: 1 };
        ROOMS.put(&mut batch, (room_id,), &row);
        let event_id = event_id!("$event").to_owned();
        let header = EventHeader { event_id, origin: None, replaces: None, redacted_by: None };
        let json = r#"{"content":{},"origin_server_ts":1234}"#.into();
        let timeline = TIMELINE;
        timeline.put(&mut batch, (room_id, order), &TimelineRow { header, json });
        store.commit(batch).await.unwrap();
        for _again in 0..2 {
            fill(&store).await.unwrap();
            let rows =
                EVENT_TIMES.scan(&store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
            assert_eq!(rows, [((room_id.to_owned(), 1234, order), ())]);
        }
    }
}
