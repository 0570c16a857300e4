//! A new name or picture shows in the member events of every room that its user is joined to
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#events-on-change-of-profile-information)).

use ruma::{OwnedRoomId, OwnedUserId, UserId, events::StateEventType, profile::UserProfile};
use serde_json::{Map, Value};

use super::{Intent, RoomState, Rooms, keeping_up::in_each};
use crate::{
    error::{Kind, Result},
    storage::until_settled,
    users::SHOWN_IN_ROOMS,
};

/// What a join says about itself, and not about its person: an update of the person's profile does not repeat it.
const OF_THE_JOIN: [&str; 3] = ["join_authorised_via_users_server", "reason", "third_party_invite"];

impl Rooms {
    /// Brings the member events of `user` in line with the user's profile, in all rooms that the user is joined to.
    pub(super) async fn propagate_profile(&self, user: &UserId) -> Result<()> {
        let joined = self.joined(&self.shared.store.snapshot(), user).await?;
        in_each(joined, |room_id| self.clone().show_profile(room_id, user.to_owned())).await
    }

    /// Brings the member event of `user` in one room in line with the user's profile, if the user is joined and it is not.
    async fn show_profile(self, room_id: OwnedRoomId, user: OwnedUserId) -> Result<()> {
        let room = self.room(&room_id).await?;
        until_settled(|| async {
            let profile = self.shared.profiles.stored(&self.shared.store.snapshot(), &user).await?.unwrap_or_default();
            let mut writer = self.write(&room).await?;
            let Some(content) = updated(writer.state(), &user, &profile) else { return Ok(()) };
            let intent = Intent::state(&user, StateEventType::RoomMember, user.as_str(), &content)?;
            match writer.add(intent) {
                Ok(_) => writer.commit().await.map(drop),
                // A room whose join rule lets nobody join does not let its members change their names either.
                Err(error) if error.kind == Kind::Forbidden => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// The content of the user's member event with `profile` in it; `None` if there is nothing to change.
fn updated(state: &RoomState, user: &UserId, profile: &UserProfile) -> Option<Map<String, Value>> {
    if !state.is_joined(user) {
        return None;
    }
    let mut content: Map<String, Value> = state.member(user)?.content_as().ok()?;
    if SHOWN_IN_ROOMS.iter().all(|field| content.get(*field) == profile.get(field)) {
        return None;
    }
    for field in SHOWN_IN_ROOMS {
        match profile.get(field) {
            Some(value) => content.insert(field.to_owned(), value.clone()),
            None => content.remove(field),
        };
    }
    content.retain(|key, _| !OF_THE_JOIN.contains(&key.as_str()));
    Some(content)
}
