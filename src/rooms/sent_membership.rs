//! Memberships that clients set as pieces of state, held to what the endpoints that change memberships ask for.

use ruma::{
    OwnedUserId, UserId,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
    events::room::member::MembershipState,
    profile::{AvatarUrl, DisplayName},
};
use serde_json::value::{RawValue, to_raw_value};

use super::{Room, Rooms, guests::check_joiner, member_event::Shown};
use crate::{
    error::{Error, Kind, Result},
    matrix::draft::canonical_content,
};

/// The field of a join with which a server vouches for it. It is for the server to write.
const VOUCHED_BY: &str = "join_authorised_via_users_server";

/// The memberships that there are.
const KNOWN: [&str; 5] = ["join", "invite", "leave", "knock", "ban"];

impl Rooms {
    /// The content of a member event without what only the server may say, and with what it has to say; and the profile that
    /// it shows.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] for removing someone who is not there, and for joining a restricted room from none of the rooms
    /// that let people in; [`Kind::InviteBlocked`] for inviting someone who wants no invitations, and
    /// [`Kind::CannotLeaveServerNoticeRoom`] for refusing an invitation of the server itself.
    pub(super) async fn sent_membership(
        &self,
        room: &Room,
        sender: &UserId,
        state_key: &str,
        content: &RawValue,
    ) -> Result<(Box<RawValue>, Option<Shown>)> {
        let mut content = canonical_content(content)?;
        content.remove(VOUCHED_BY);
        let membership = match content.get("membership") {
            Some(CanonicalJsonValue::String(word)) if KNOWN.contains(&word.as_str()) => word.as_str().into(),
            Some(_) => return Err(Kind::BadJson.with("A membership is join, invite, leave, knock or ban.")),
            None => return Err(Kind::BadJson.with("A member event needs a membership.")),
        };
        let target = UserId::parse(state_key).map_err(|_| Error::invalid("The state key must be a user id."))?;
        let before = room.current().membership(&target);
        match membership {
            MembershipState::Leave if before == MembershipState::Leave => {
                return Err(Error::forbidden("That user is not in the room."));
            }
            MembershipState::Leave if target == *sender => self.check_may_leave(room, &target).await?,
            MembershipState::Join if target == *sender => {
                check_joiner(&room.current(), self.joiner(&target).await?)?;
                let voucher = self.restricted_join(room, &target).await?;
                content.extend(voucher.map(|user| (VOUCHED_BY.to_owned(), text(user))));
            }
            MembershipState::Invite => self.check_invitable(sender, &target).await?,
            _ => {}
        }
        let comes = matches!(membership, MembershipState::Join | MembershipState::Invite | MembershipState::Knock);
        let mut shown = None;
        if comes && before != membership && target.server_name() == self.shared.settings.server_name {
            shown = Some(self.add_profile(target, &mut content).await?);
        }
        Ok((to_raw_value(&content).map_err(Error::internal)?, shown))
    }

    /// Shows the profile of somebody who comes to a room, as far as the content does not say something of its own.
    async fn add_profile(&self, user: OwnedUserId, content: &mut CanonicalJsonObject) -> Result<Shown> {
        let profile = self.shared.profiles.stored(&self.shared.store.snapshot(), &user).await?;
        if let Some(profile) = &profile {
            if let Ok(Some(name)) = profile.get_static::<DisplayName>() {
                content.entry("displayname".to_owned()).or_insert_with(|| text(name));
            }
            if let Ok(Some(url)) = profile.get_static::<AvatarUrl>() {
                content.entry("avatar_url".to_owned()).or_insert_with(|| text(url));
            }
        }
        Ok(Shown { user, profile })
    }
}

fn text(value: impl Into<String>) -> CanonicalJsonValue {
    CanonicalJsonValue::String(value.into())
}
