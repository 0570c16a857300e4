//! Account data: what a user's clients keep on the server for each other, globally or for one room.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{GlobalAccountDataEventType, RoomAccountDataEventType, ignored_user_list::IgnoredUserListEventContent},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::push_rules::PushRules;
use crate::{
    error::{Error, Kind, Result},
    matrix::invite_filter::{self, InviteLists, InviteVerdict},
    storage::{Batch, Direction, KeyRange, Snapshot, Store, schema::users::ACCOUNT_DATA, until_settled},
    streams::{Change, Log, Notifier},
};

/// The longest type of account data, in bytes, as for the type of an event.
const MAXIMUM_TYPE: usize = 255;

/// Account data for rooms, by room, with the types in order.
pub type RoomsAccountData = BTreeMap<OwnedRoomId, Vec<(String, Box<RawValue>)>>;

/// A cheap-clone service over the account data of all users, push rules included as far as reading goes.
#[derive(Clone)]
pub struct AccountData {
    store: Store,
    notifier: Notifier,
    push_rules: PushRules,
}

impl AccountData {
    /// The account data in `store`.
    pub fn new(store: Store, notifier: Notifier, push_rules: PushRules) -> Self {
        Self { store, notifier, push_rules }
    }

    /// The content of one type of account data of `user` as of `snapshot`, for `room` or globally.
    pub async fn get(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
    ) -> Result<Option<Box<RawValue>>> {
        if room.is_none() && is_push_rules(kind) {
            return self.push_rules.as_account_data(snapshot, user).await.map(Some);
        }
        ACCOUNT_DATA.get(snapshot, (user, room.map(RoomId::to_owned), kind)).await
    }

    /// As [`AccountData::get`], as of now.
    pub async fn current(&self, user: &UserId, room: Option<&RoomId>, kind: &str) -> Result<Option<Box<RawValue>>> {
        self.get(&self.store.snapshot(), user, room, kind).await
    }

    /// All account data of `user` as of `snapshot`, for `room` or globally, by type.
    pub async fn all(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        room: Option<&RoomId>,
    ) -> Result<Vec<(String, Box<RawValue>)>> {
        let range = KeyRange::prefix((user, room.map(RoomId::to_owned)));
        let rows = ACCOUNT_DATA.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        let mut all: Vec<_> = rows.into_iter().map(|((_, _, kind), content)| (kind, content)).collect();
        if room.is_none() {
            let push_rules = self.push_rules.as_account_data(snapshot, user).await?;
            all.push((GlobalAccountDataEventType::PushRules.to_string(), push_rules));
        }
        Ok(all)
    }

    /// The account data of `user` as of `snapshot` for every room, by room and type.
    pub async fn of_all_rooms(&self, snapshot: &Snapshot, user: &UserId) -> Result<RoomsAccountData> {
        let rows = ACCOUNT_DATA.scan(snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        let mut rooms = RoomsAccountData::new();
        for ((_, room, kind), content) in rows {
            if let Some(room) = room {
                rooms.entry(room).or_default().push((kind, content));
            }
        }
        Ok(rooms)
    }

    /// The users whom `user` ignores as of `snapshot` ("Ignoring Users"); nobody if the list is malformed.
    pub async fn ignored_users(&self, snapshot: &Snapshot, user: &UserId) -> Result<BTreeSet<OwnedUserId>> {
        let kind = GlobalAccountDataEventType::IgnoredUserList.to_string();
        let content = self.get(snapshot, user, None, &kind).await?;
        let list = content.and_then(|json| serde_json::from_str::<IgnoredUserListEventContent>(json.get()).ok());
        Ok(list.map(|list| list.ignored_users.into_keys().collect()).unwrap_or_default())
    }

    /// The rooms in `m.direct` of `user` as of `snapshot` ("Direct messaging"); none if it is malformed.
    pub async fn direct_chats(&self, snapshot: &Snapshot, user: &UserId) -> Result<BTreeSet<OwnedRoomId>> {
        let content = self.get(snapshot, user, None, &GlobalAccountDataEventType::Direct.to_string()).await?;
        let by_person = content.and_then(|json| serde_json::from_str::<BTreeMap<String, Vec<String>>>(json.get()).ok());
        let rooms = by_person.unwrap_or_default().into_values().flatten();
        Ok(rooms.filter_map(|room_id| RoomId::parse(room_id).ok()).collect())
    }

    /// The names of the tags of `user` on a room as of `snapshot` ("Room Tagging"); none if they are malformed.
    pub async fn tags(&self, snapshot: &Snapshot, user: &UserId, room: &RoomId) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Content {
            tags: BTreeMap<String, IgnoredAny>,
        }
        let content = self.get(snapshot, user, Some(room), &RoomAccountDataEventType::Tag.to_string()).await?;
        let content = content.and_then(|json| serde_json::from_str::<Content>(json.get()).ok());
        Ok(content.map(|content| content.tags.into_keys().collect()).unwrap_or_default())
    }

    /// What becomes of invitations that `inviter` sends to `user` as of `snapshot` ("Invite permission", MSC4155).
    pub async fn invite_verdict(&self, snapshot: &Snapshot, user: &UserId, inviter: &UserId) -> Result<InviteVerdict> {
        for kind in [invite_filter::PERMISSION, invite_filter::UNSTABLE_PERMISSION] {
            if self.get(snapshot, user, None, kind).await?.is_some_and(|content| invite_filter::blocks_all(&content)) {
                return Ok(InviteVerdict::Block);
            }
        }
        let lists = self.get(snapshot, user, None, invite_filter::LISTS).await?;
        Ok(lists.map_or(InviteVerdict::Deliver, |content| InviteLists::parse(&content).judge(inviter)))
    }

    /// Sets account data on behalf of a client of `user`. An object without a key in it is none at all, so that clients which
    /// know no other way can remove what they have set (MSC3391).
    ///
    /// # Errors
    ///
    /// `WrittenByServer` for types that the server itself writes; `BadJson` if `content` is not an object; `InvalidParam` if
    /// the type is longer than 255 bytes.
    pub async fn set(&self, user: &UserId, room: Option<&RoomId>, kind: &str, content: Box<RawValue>) -> Result<()> {
        check_writable(kind)?;
        if !content.get().starts_with('{') {
            return Err(Kind::BadJson.with("Account data must be a JSON object."));
        }
        if content.get()[1..].trim_start() == "}" {
            return self.remove(user, room, kind).await;
        }
        let mut batch = Batch::new();
        self.put(&mut batch, 0, user, room, kind, content);
        self.store.commit(batch).await.map(drop)
    }

    /// Removes account data on behalf of a client of `user`, whether or not it is there. Other clients hear of it as of an
    /// empty object, and those that start anew not at all.
    ///
    /// # Errors
    ///
    /// `WrittenByServer` for types that the server itself writes; `InvalidParam` if the type is longer than 255 bytes.
    pub async fn remove(&self, user: &UserId, room: Option<&RoomId>, kind: &str) -> Result<()> {
        check_writable(kind)?;
        let mut batch = Batch::new();
        ACCOUNT_DATA.delete(&mut batch, (user, room.map(RoomId::to_owned), kind));
        self.announce(&mut batch, 0, user, room, kind);
        self.store.commit(batch).await.map(drop)
    }

    /// Replaces account data of `user` by what `edit` makes of it, with nobody else writing in between; `None` leaves it.
    ///
    /// # Errors
    ///
    /// Those of `edit`.
    pub(super) async fn edit(
        &self,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        edit: impl Fn(Option<&RawValue>) -> Result<Option<Box<RawValue>>>,
    ) -> Result<()> {
        until_settled(|| async {
            let key = (user, room.map(RoomId::to_owned), kind);
            let before = ACCOUNT_DATA.get(&self.store.snapshot(), &key).await?;
            let Some(after) = edit(before.as_deref())? else { return Ok(()) };
            let mut batch = Batch::new();
            ACCOUNT_DATA.expect(&mut batch, &key, before.as_ref());
            self.put(&mut batch, 0, user, room, kind, after);
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Makes the commit of `batch` fail with a conflict unless the account data is `before` until then; for services that edit
    /// their own types.
    pub fn expect(
        &self,
        batch: &mut Batch,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        before: Option<Box<RawValue>>,
    ) {
        ACCOUNT_DATA.expect(batch, (user, room.map(RoomId::to_owned), kind), before.as_ref());
    }

    /// Adds account data to `batch`, and that it changed at the batch's `slot`; for services that write their own types.
    pub fn put(
        &self,
        batch: &mut Batch,
        slot: u16,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        content: Box<RawValue>,
    ) {
        ACCOUNT_DATA.put(batch, (user, room.map(RoomId::to_owned), kind), &content);
        self.announce(batch, slot, user, room, kind);
    }

    /// Adds to `batch` that account data changed at its `slot`, and that the user's clients are woken.
    fn announce(&self, batch: &mut Batch, slot: u16, user: &UserId, room: Option<&RoomId>, kind: &str) {
        let (owner, room) = (user.to_owned(), room.map(RoomId::to_owned));
        Log::append(batch, slot, &Change::AccountData { user: owner.clone(), room, kind: kind.to_owned() });
        let notifier = self.notifier.clone();
        batch.on_visible(move |_| notifier.wake(&owner));
    }
}

/// Checks that clients may write this type.
fn check_writable(kind: &str) -> Result<()> {
    if is_push_rules(kind) || *kind == *RoomAccountDataEventType::FullyRead.to_string() {
        return Err(Kind::WrittenByServer.with("The server itself writes this type of account data."));
    }
    if kind.len() > MAXIMUM_TYPE {
        return Err(Error::invalid("A type of account data has at most 255 bytes."));
    }
    Ok(())
}

fn is_push_rules(kind: &str) -> bool {
    *kind == *GlobalAccountDataEventType::PushRules.to_string()
}

#[cfg(test)]
mod tests;
