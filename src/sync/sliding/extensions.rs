//! What a client wants besides rooms: messages to devices, encryption, account data, receipts, and who types.

use ruma::{
    OwnedRoomId, RoomId,
    api::client::sync::sync_events::v5::{
        request::ExtensionRoomConfig,
        response::{Extensions, ToDevice},
    },
    events::typing::TypingEventContent,
};

use super::{
    joined::{self, Insight},
    look::{Look, Pick},
    thread_subscriptions,
    told::{Told, ToldRoom},
};
use crate::{
    error::{Error, Result},
    storage::Position,
    sync::{account_data, changed::Changed, device_lists, ephemeral, joined::Known, key_stock, to_device},
};

/// The most messages to the device that one answer brings.
const MAXIMUM_MESSAGES: usize = 100;

/// Which extension of those that speak of rooms.
#[derive(Clone, Copy)]
enum OfRooms {
    AccountData,
    Receipts,
    Typing,
}

/// What belongs to no room; whether something of it is news.
pub(super) async fn section(look: &Look<'_>, next: &mut Told, answer: &mut Extensions) -> Result<bool> {
    let asked = &look.request.body.extensions;
    let mut is_news = !answer.receipts.is_empty() || !answer.typing.is_empty();
    if asked.to_device.enabled == Some(true) {
        let section = messages(look).await?;
        is_news |= !section.events.is_empty();
        answer.to_device = Some(section);
    }
    if asked.e2ee.enabled == Some(true) {
        is_news |= encryption(look, next, answer).await?;
    }
    is_news |= thread_subscriptions::section(look, next, answer).await?;
    next.account_data = asked.account_data.enabled == Some(true);
    if next.account_data {
        let changed = look.changed.as_ref().filter(|_| look.told.account_data);
        answer.account_data.global = account_data::global(look.sync, &look.reading, changed).await?;
    }
    Ok(is_news || !answer.account_data.is_empty())
}

/// What others have sent to the device since the position that the client gives.
async fn messages(look: &Look<'_>) -> Result<ToDevice> {
    let asked = &look.request.body.extensions.to_device;
    let after = position(asked.since.as_deref())?.min(look.reading.until());
    let limit = asked.limit.map_or(MAXIMUM_MESSAGES, |limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX));
    // An answer without a message would not get the client any further.
    let limit = limit.clamp(1, MAXIMUM_MESSAGES);
    let waiting = to_device::heard(look.sync, &look.reading, after, limit).await?;
    let mut section = ToDevice::default();
    (section.next_batch, section.events) = (waiting.until.to_string(), waiting.events);
    Ok(section)
}

/// The position that the client has messages to its device up to.
///
/// # Errors
///
/// `InvalidParam` if it is none.
pub(super) fn position(since: Option<&str>) -> Result<Position> {
    let Some(since) = since else { return Ok(Position::ZERO) };
    let number = since.parse::<u64>().map_err(|_| {
        Error::invalid("The since of the messages to devices is not one of this server's; sync without it.")
    })?;
    Ok(Position::from(number))
}

/// Whose devices changed, and the stock of keys; whether that is news.
async fn encryption(look: &Look<'_>, next: &mut Told, answer: &mut Extensions) -> Result<bool> {
    let Look { sync, reading, .. } = look;
    // Who did not ask for a while must not miss what happened meanwhile.
    let told = look.told.device_lists;
    let token = reading.since.filter(|_| told.is_some());
    let since = token.zip(told).map(|(token, position)| token.moved_to(position));
    let apart = match since {
        Some(since) if Some(since.position) != reading.since_position() => {
            Some(Changed::since(&sync.rooms, &reading.snapshot, &reading.user, since.position).await?)
        }
        _ => None,
    };
    let reading = crate::sync::Reading { since, ..reading.clone() };
    let stock = key_stock::section(sync, &reading).await?;
    let section = &mut answer.e2ee;
    section.device_lists = device_lists::section(sync, &reading, apart.as_ref().or(look.changed.as_ref())).await?;
    section.device_one_time_keys_count = stock.one_time_key_counts.clone();
    section.device_unused_fallback_key_types = Some(stock.unused_fallback_key_types.clone());
    next.device_lists = Some(reading.until());
    Ok(!section.device_lists.is_empty() || key_stock::is_news(&reading, &stock))
}

/// What extensions tell of a room that the user is in.
pub(super) async fn inside(
    look: &Look<'_>,
    pick: &Pick,
    insight: &Insight<'_>,
    is_behind: bool,
    told: &mut ToldRoom,
    answer: &mut Extensions,
) -> Result<()> {
    let room_id = &insight.room.id;
    of_account_data(look, pick, room_id, is_behind || insight.known == Known::Nothing, told, answer).await?;
    let changed = look.has_changed(room_id) || is_behind;
    if wants(look, OfRooms::Receipts, room_id, pick) {
        let since = match insight.known {
            Known::Until(since) if told.receipts => Some(since),
            _ => None,
        };
        let rooms = &look.sync.rooms;
        let receipts = rooms.receipts_since(&look.reading.snapshot, room_id, insight.viewer, since).await?;
        // Of a reader's receipts for the same event there is room for one, the one that says most: it comes first.
        if let Some(content) = receipts.into_iter().next() {
            answer.receipts.rooms.insert(room_id.clone(), ephemeral::event(content)?.cast_unchecked());
        }
        told.receipts = true;
    } else {
        told.receipts &= !changed;
    }
    if wants(look, OfRooms::Typing, room_id, pick) {
        if let Some(content) = typing(look, insight, is_behind, told) {
            told.somebody_types = !content.user_ids.is_empty();
            answer.typing.rooms.insert(room_id.clone(), ephemeral::event(content)?.cast_unchecked());
        }
        told.typing = true;
    } else {
        told.typing &= !changed;
    }
    Ok(())
}

/// What extensions tell of a room that the user is not in.
pub(super) async fn outside(
    look: &Look<'_>,
    room_id: &OwnedRoomId,
    pick: &Pick,
    told: &mut ToldRoom,
    answer: &mut Extensions,
) -> Result<()> {
    let is_behind = look.told.rooms.get(room_id).is_none_or(|before| before.behind.is_some());
    (told.receipts, told.typing) = (true, true);
    of_account_data(look, pick, room_id, is_behind, told, answer).await
}

/// Whether the client knows what extensions would tell of a room in which nothing happened.
pub(super) fn are_known(look: &Look<'_>, room_id: &RoomId, pick: &Pick, told: &ToldRoom) -> bool {
    let known = |extension, known| known || !wants(look, extension, room_id, pick);
    known(OfRooms::AccountData, told.account_data)
        && known(OfRooms::Receipts, told.receipts)
        && known(OfRooms::Typing, told.typing)
}

async fn of_account_data(
    look: &Look<'_>,
    pick: &Pick,
    room_id: &OwnedRoomId,
    starts_anew: bool,
    told: &mut ToldRoom,
    answer: &mut Extensions,
) -> Result<()> {
    if !wants(look, OfRooms::AccountData, room_id, pick) {
        told.account_data &= !look.has_changed(room_id) && !starts_anew;
        return Ok(());
    }
    let changed = look.changed.as_ref().filter(|_| told.account_data && !starts_anew);
    let events = account_data::of_room(look.sync, &look.reading, room_id, changed).await?;
    if !events.is_empty() {
        answer.account_data.rooms.insert(room_id.clone(), events);
    }
    told.account_data = true;
    Ok(())
}

/// Who is typing, if that is news to the client.
fn typing(look: &Look<'_>, insight: &Insight<'_>, is_behind: bool, told: &ToldRoom) -> Option<TypingEventContent> {
    let starts_anew = is_behind || !told.typing || insight.known == Known::Nothing;
    let known = if starts_anew { Known::Nothing } else { insight.known };
    let reading = joined::reading_as_known(look, known);
    match ephemeral::typing(look.sync, &reading, insight.room, insight.viewer, known) {
        // Somebody may have stopped while the client did not look.
        None if starts_anew && told.somebody_types => Some(TypingEventContent::new(Vec::new())),
        content => content,
    }
}

/// Whether the client wants what an extension tells of this room.
fn wants(look: &Look<'_>, extension: OfRooms, room_id: &RoomId, pick: &Pick) -> bool {
    let asked = &look.request.body.extensions;
    let (enabled, lists, rooms) = match extension {
        OfRooms::AccountData => (asked.account_data.enabled, &asked.account_data.lists, &asked.account_data.rooms),
        OfRooms::Receipts => (asked.receipts.enabled, &asked.receipts.lists, &asked.receipts.rooms),
        OfRooms::Typing => (asked.typing.enabled, &asked.typing.lists, &asked.typing.rooms),
    };
    let by_list = match lists {
        None => !pick.lists.is_empty(),
        Some(names) => pick.lists.iter().any(|list| names.iter().any(|name| name == list || name == "*")),
    };
    let by_room = match rooms {
        None => pick.is_subscribed,
        Some(rooms) => rooms.iter().any(|room| match room {
            ExtensionRoomConfig::Room(room) => *room == *room_id,
            _ => pick.is_subscribed,
        }),
    };
    enabled == Some(true) && (by_list || by_room)
}
