//! The receipts of a room as `m.receipt` events bring them to its members.

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, RoomId, UInt, UserId,
    events::receipt::{self, ReceiptEventContent, ReceiptThread, ReceiptType},
};

use super::ReceiptKind;
use crate::{
    error::{Error, Result},
    rooms::{Rooms, Viewer},
    storage::{
        Direction, KeyRange, Position, Snapshot,
        schema::rooms::{RECEIPTS, RECEIPTS_BY_POSITION, Receipt},
    },
};

/// The most receipts that one answer brings of a room, besides the reader's own.
const NEWEST: usize = 1_000;

impl Rooms {
    /// The receipts that came after `since`, or that stand if there is no `since`, as `viewer` may know them: at events that
    /// they may see, of people whom they do not ignore, the newest of a crowd's and all of the viewer's own.
    ///
    /// There is more than one content only when somebody read up to the same event in several ways, for which one content
    /// has no room. The receipt for no thread in particular then comes first.
    pub async fn receipts_since(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        viewer: &Viewer,
        since: Option<Position>,
    ) -> Result<Vec<ReceiptEventContent>> {
        let reader = viewer.user();
        let news = KeyRange::prefix_after((room_id,), since.unwrap_or(Position::ZERO));
        let mut rows = RECEIPTS_BY_POSITION.scan(snapshot, news, Direction::Reverse, NEWEST).await?;
        if rows.len() == NEWEST
            && let Some(((_, oldest), _)) = rows.last()
        {
            let (since, oldest) = (since.unwrap_or(Position::ZERO), *oldest);
            rows.extend(own_between(snapshot, room_id, reader, since, oldest).await?);
        }
        let known = |receipt: &Receipt| match receipt.kind {
            _ if receipt.reader == *reader => true,
            ReceiptKind::Public => viewer.may_see_place(receipt.order) && !viewer.ignored().contains(&receipt.reader),
            ReceiptKind::Private => false,
        };
        contents(rows.into_iter().map(|(_, receipt)| receipt).filter(known).collect())
    }

    /// The receipt that came at `position`, whoever may know of it; `None` if a later one of the reader took its place.
    pub async fn receipt_at(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        position: Position,
    ) -> Result<Option<ReceiptEventContent>> {
        let receipt = RECEIPTS_BY_POSITION.get(snapshot, (room_id, position)).await?;
        Ok(contents(receipt.into_iter().collect())?.pop())
    }

    /// Whether a receipt came in a room after `since`, be it private or not.
    pub(in crate::rooms) async fn has_receipt_since(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        since: Position,
    ) -> Result<bool> {
        let news = KeyRange::prefix_after((room_id,), since);
        Ok(!RECEIPTS_BY_POSITION.scan(snapshot, news, Direction::Forward, 1).await?.is_empty())
    }
}

/// The reader's own receipts that came after `since` and before `until`.
async fn own_between(
    snapshot: &Snapshot,
    room_id: &RoomId,
    reader: &UserId,
    since: Position,
    until: Position,
) -> Result<Vec<((OwnedRoomId, Position), Receipt)>> {
    let own = RECEIPTS.scan(snapshot, KeyRange::prefix((room_id, reader)), Direction::Forward, usize::MAX).await?;
    let positions: Vec<_> = own.into_iter().map(|(_, row)| row.at).filter(|at| since < *at && *at < until).collect();
    let receipts = RECEIPTS_BY_POSITION.get_many(snapshot, positions.iter().map(|at| (room_id, *at))).await?;
    let rows = positions.into_iter().zip(receipts);
    Ok(rows.filter_map(|(at, receipt)| Some(((room_id.to_owned(), at), receipt?))).collect())
}

/// As few contents as hold all of the receipts.
fn contents(mut receipts: Vec<Receipt>) -> Result<Vec<ReceiptEventContent>> {
    receipts.sort_by_key(|receipt| !receipt.thread.is_empty());
    let mut contents: Vec<ReceiptEventContent> = Vec::new();
    for receipt in receipts {
        let kind = match receipt.kind {
            ReceiptKind::Public => ReceiptType::Read,
            ReceiptKind::Private => ReceiptType::ReadPrivate,
        };
        let thread = Some(receipt.thread.as_str()).filter(|thread| !thread.is_empty());
        let mut value = receipt::Receipt::new(MilliSecondsSinceUnixEpoch(UInt::new_saturating(receipt.received_at)));
        value.thread = ReceiptThread::try_from(thread).map_err(Error::internal)?;
        let free = contents.iter().position(|content| content_is_free(content, &receipt, &kind));
        let index = free.unwrap_or_else(|| {
            contents.push(ReceiptEventContent(Default::default()));
            contents.len() - 1
        });
        contents[index].entry(receipt.event_id).or_default().entry(kind).or_default().insert(receipt.reader, value);
    }
    Ok(contents)
}

/// Whether the content has no receipt of this reader for this event yet.
fn content_is_free(content: &ReceiptEventContent, receipt: &Receipt, kind: &ReceiptType) -> bool {
    let readers = content.get(&receipt.event_id).and_then(|receipts| receipts.get(kind));
    readers.is_none_or(|readers| !readers.contains_key(&receipt.reader))
}
