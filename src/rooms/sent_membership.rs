//! Memberships that clients set as pieces of state, held to what the endpoints that change memberships ask for.

use ruma::{
    UserId,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
    events::room::member::MembershipState,
    profile::{AvatarUrl, DisplayName},
};
use serde_json::value::{RawValue, to_raw_value};

use super::{Rooms, Writer};
use crate::{
    error::{Error, Kind, Result},
    matrix::draft::canonical_content,
};

/// The field of a join with which a server vouches for it. It is for the server to write.
const VOUCHED_BY: &str = "join_authorised_via_users_server";

impl Rooms {
    /// The content of a member event without what only the server may say, and with what it has to say.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] for removing someone who is not there, and for joining a restricted room from none of the rooms
    /// that let people in; [`Kind::InviteBlocked`] for inviting someone who wants no invitations.
    pub(super) async fn sent_membership(
        &self,
        writer: &mut Writer,
        sender: &UserId,
        state_key: &str,
        content: &RawValue,
    ) -> Result<Box<RawValue>> {
        let mut content = canonical_content(content)?;
        content.remove(VOUCHED_BY);
        let membership = match content.get("membership") {
            Some(CanonicalJsonValue::String(membership)) => MembershipState::from(membership.as_str()),
            _ => return Err(Kind::BadJson.with("A member event needs a membership.")),
        };
        let target = UserId::parse(state_key).map_err(|_| Error::invalid("The state key must be a user id."))?;
        let before = writer.state().membership(&target);
        match membership {
            MembershipState::Leave if before == MembershipState::Leave => {
                return Err(Error::forbidden("That user is not in the room."));
            }
            MembershipState::Join if target == *sender => {
                let voucher = self.restricted_join(writer.room(), &target).await?;
                content.extend(voucher.map(|user| (VOUCHED_BY.to_owned(), text(user))));
            }
            MembershipState::Invite => self.check_invitable(&target).await?,
            _ => {}
        }
        let comes = matches!(membership, MembershipState::Join | MembershipState::Invite | MembershipState::Knock);
        if comes && before != membership && target.server_name() == self.shared.settings.server_name {
            self.add_profile(writer, &target, &mut content).await?;
        }
        to_raw_value(&content).map_err(Error::internal)
    }

    /// Shows the profile of somebody who comes to a room, as far as the content does not say something of its own. The profile
    /// must not change meanwhile, since from then on its changes reach the room by themselves.
    async fn add_profile(&self, writer: &mut Writer, user: &UserId, content: &mut CanonicalJsonObject) -> Result<()> {
        let profiles = &self.shared.profiles;
        let profile = profiles.stored(&self.shared.store.snapshot(), user).await?;
        profiles.require_unchanged(writer.batch(), user, profile.as_ref());
        let Some(profile) = profile else { return Ok(()) };
        if let Ok(Some(name)) = profile.get_static::<DisplayName>() {
            content.entry("displayname".to_owned()).or_insert_with(|| text(name));
        }
        if let Ok(Some(url)) = profile.get_static::<AvatarUrl>() {
            content.entry("avatar_url".to_owned()).or_insert_with(|| text(url));
        }
        Ok(())
    }
}

fn text(value: impl Into<String>) -> CanonicalJsonValue {
    CanonicalJsonValue::String(value.into())
}
