//! Tags: how a user sorts their rooms, kept as the `m.tag` account data of each room.

use ruma::{
    RoomId, UserId,
    events::{
        RoomAccountDataEventType,
        tag::{TagEventContent, TagInfo, TagName, Tags as RoomTags},
    },
};
use serde_json::value::{RawValue, to_raw_value};

use super::account_data::AccountData;
use crate::{
    error::{Error, Result},
    storage::{Batch, Snapshot},
};

/// The longest name of a tag, in bytes ("Room Tagging").
const MAXIMUM_NAME: usize = 255;

/// A cheap-clone service over the tags of all users.
#[derive(Clone)]
pub struct Tags {
    account_data: AccountData,
}

impl Tags {
    /// The tags in `account_data`.
    pub fn new(account_data: AccountData) -> Self {
        Self { account_data }
    }

    /// The tags that `user` gave `room`.
    pub async fn of(&self, user: &UserId, room: &RoomId) -> Result<RoomTags> {
        let content = self.account_data.current(user, Some(room), &kind()).await?;
        Ok(parse(content.as_deref()))
    }

    /// Gives `room` a tag of `user`, or changes what is kept with it.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the name is longer than 255 bytes or the order is not from 0 to 1.
    pub async fn set(&self, user: &UserId, room: &RoomId, tag: &str, info: TagInfo) -> Result<()> {
        if tag.len() > MAXIMUM_NAME {
            return Err(Error::invalid("The name of a tag has at most 255 bytes."));
        }
        if info.order.is_some_and(|order| !(0.0..=1.0).contains(&order)) {
            return Err(Error::invalid("The order of a tag is a number from 0 to 1."));
        }
        self.edit(user, room, |tags| {
            tags.insert(TagName::from(tag), info.clone());
            true
        })
        .await
    }

    /// Takes a tag of `user` from `room`, if it has it.
    pub async fn remove(&self, user: &UserId, room: &RoomId, tag: &str) -> Result<()> {
        self.edit(user, room, |tags| tags.remove(&TagName::from(tag)).is_some()).await
    }

    /// Adds to `batch` that `room` has a tag of `user`, and that the tags changed at the batch's `slot`.
    pub async fn add_to(
        &self,
        batch: &mut Batch,
        slot: u16,
        snapshot: &Snapshot,
        (user, room, tag): (&UserId, &RoomId, &str),
    ) -> Result<()> {
        let before = self.account_data.get(snapshot, user, Some(room), &kind()).await?;
        let mut tags = parse(before.as_deref());
        tags.insert(TagName::from(tag), TagInfo::new());
        let content = to_raw_value(&TagEventContent::new(tags)).map_err(Error::internal)?;
        self.account_data.expect(batch, user, Some(room), &kind(), before);
        self.account_data.put(batch, slot, user, Some(room), &kind(), content);
        Ok(())
    }

    /// Changes the tags of `room` if `edit` says that it changed them.
    async fn edit(&self, user: &UserId, room: &RoomId, edit: impl Fn(&mut RoomTags) -> bool) -> Result<()> {
        let edit = |before: Option<&RawValue>| {
            let mut tags = parse(before);
            if !edit(&mut tags) {
                return Ok(None);
            }
            to_raw_value(&TagEventContent::new(tags)).map(Some).map_err(Error::internal)
        };
        self.account_data.edit(user, Some(room), &kind(), edit).await
    }
}

/// A client can write anything into `m.tag`, and what is no list of tags counts as none.
fn parse(content: Option<&RawValue>) -> RoomTags {
    let content = content.and_then(|json| serde_json::from_str::<TagEventContent>(json.get()).ok());
    content.map(|content| content.tags).unwrap_or_default()
}

fn kind() -> String {
    RoomAccountDataEventType::Tag.to_string()
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;
    use crate::{error::Kind, storage::Store, streams::Notifier, users::PushRules};

    #[tokio::test]
    async fn tags_come_and_go_one_by_one() {
        let (store, notifier) = (Store::in_memory(), Notifier::default());
        let push_rules = PushRules::new(store.clone(), notifier.clone());
        let account_data = AccountData::new(store, notifier, push_rules);
        let tags = Tags::new(account_data.clone());
        let (alice, room) = (user_id!("@alice:example.org"), room_id!("!room:example.org"));
        let ordered = |order| {
            let mut info = TagInfo::new();
            info.order = Some(order);
            info
        };
        tags.set(alice, room, "m.favourite", ordered(0.5)).await.unwrap();
        tags.set(alice, room, "u.work", TagInfo::new()).await.unwrap();
        tags.set(alice, room, "m.favourite", ordered(0.25)).await.unwrap();
        tags.remove(alice, room, "u.work").await.unwrap();
        tags.remove(alice, room, "u.never").await.unwrap();
        let content = account_data.current(alice, Some(room), "m.tag").await.unwrap().unwrap();
        assert_eq!(content.get(), r#"{"tags":{"m.favourite":{"order":0.25}}}"#);
        assert_eq!(tags.of(alice, room).await.unwrap().len(), 1);
        assert_eq!(tags.of(alice, room_id!("!other:example.org")).await.unwrap().len(), 0);

        for (name, order) in [("u.a", 1.5), ("u.a", -0.1), ("u.a", f64::NAN), (&*"u".repeat(256), 0.0)] {
            assert_eq!(tags.set(alice, room, name, ordered(order)).await.unwrap_err().kind, Kind::InvalidParam);
        }
    }
}
