//! Creates a room: all its first events in one commit, so that it exists whole or not at all.

use std::sync::Arc;

use rand::distr::{Alphanumeric, SampleString};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, RoomAliasId, RoomId, RoomVersionId, UInt, UserId,
    api::client::room::create_room::v3::Request, room_version_rules::RoomVersionRules,
};

use super::{
    Intent, Room, RoomState, Rooms, Writer, aliases::put_alias, create_plan::Plan, upgrade_settings::predecessor,
};
use crate::{
    error::{Error, Kind, Result},
    matrix::{
        draft::{Draft, seal_checked},
        event::Event,
    },
    storage::{
        schema::rooms::{ALIASES, DIRECTORY},
        until_settled,
    },
};

impl Rooms {
    /// Creates the room that `request` describes, with `creator` as its first member
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#creation)).
    ///
    /// # Errors
    ///
    /// [`Kind::UnsupportedRoomVersion`], [`Kind::RoomInUse`] if the alias is taken, [`Kind::InvalidRoomState`] if the
    /// requested state breaks the rules of rooms, [`Kind::InviteBlocked`] if one of those to be invited wants no
    /// invitations, and what `Plan::new` says of the request.
    pub async fn create(&self, creator: &UserId, request: Request) -> Result<OwnedRoomId> {
        let plan = Plan::new(creator, request, &self.shared.settings)?;
        for user in plan.invited() {
            self.check_invitable(creator, user).await?;
        }
        let mut attempts = 0..;
        until_settled(|| self.found(&plan, attempts.next().unwrap_or_default())).await
    }

    /// Creates the room of a plan; its time is `later` by that many milliseconds.
    async fn found(&self, plan: &Plan, later: u64) -> Result<OwnedRoomId> {
        let writer = self.lay_out(plan, later).await?;
        let room_id = writer.room().id.clone();
        writer.commit().await.map(|_| room_id)
    }

    /// Adds the first events of a room. The id of a room can be the hash of its first event, so that a second room that
    /// the same person creates in the same millisecond would be the same one: it bears a time `later` by that many.
    pub(super) async fn lay_out(&self, plan: &Plan, later: u64) -> Result<Writer> {
        if let Some(alias) = &plan.alias {
            self.check_alias_is_free(alias).await?;
        }
        let creator = &plan.creator;
        let mut writer = self.begin(plan, self.shared.clock.millis() + later).await?;
        let join = self.member_intent(creator, creator, plan.creator_joins()).await?;
        self.add_member(&mut writer, join)?;
        if let Some(from) = predecessor(&plan.create.content) {
            // Nobody else waits for the lock of a room that is not there yet.
            let room_id = writer.room().id.clone();
            let carried = self.carried(creator, (&from, &room_id)).await?;
            self.carry(&mut writer, creator, carried);
        }
        for intent in &plan.state {
            writer.add(intent.clone()).map_err(as_room_state)?;
        }
        for user in &plan.invites {
            let invitation = self.member_intent(creator, user, plan.invitation()).await?;
            self.add_member(&mut writer, invitation).map_err(as_room_state)?;
        }
        let room_id = writer.room().id.clone();
        if let Some(alias) = &plan.alias {
            put_alias(writer.batch(), alias, &room_id, creator);
        }
        if plan.is_published {
            DIRECTORY.put(writer.batch(), (&room_id,), &());
        }
        Ok(writer)
    }

    /// Starts a room with its create event, sent at `time` in milliseconds since the Unix epoch.
    async fn begin(&self, plan: &Plan, time: u64) -> Result<Writer> {
        let names_itself = plan.rules.authorization.room_create_event_id_as_room_id;
        let room_id = (!names_itself).then(|| self.random_room_id()).transpose()?;
        let create = self.sealed_create(&plan.create, plan.rules, room_id, time)?;
        self.begin_with(create, plan.version.clone(), plan.rules).await
    }

    /// The event that creates a room of this id, or whose own id it has.
    pub(super) fn sealed_create(
        &self,
        create: &Intent,
        rules: &RoomVersionRules,
        room_id: Option<OwnedRoomId>,
        time: u64,
    ) -> Result<(Event, Box<str>)> {
        let timestamp = Some(MilliSecondsSinceUnixEpoch(UInt::new_saturating(time)));
        let draft = Draft { room_id, ..self.unattached(&Intent { timestamp, ..create.clone() }) };
        seal_checked(draft, rules, &self.shared.settings.server_name, &self.shared.key)
    }

    /// Starts a room with its create event.
    pub(super) async fn begin_with(
        &self,
        (event, json): (Event, Box<str>),
        version: RoomVersionId,
        rules: &'static RoomVersionRules,
    ) -> Result<Writer> {
        let room = Room::new(event.room_id.clone(), version, rules, RoomState::default());
        // Nobody else knows this room, so that nobody holds its lock.
        let mut writer = self.write(&Arc::new(room)).await?;
        writer.admit(event, json, None).map_err(as_room_state)?;
        Ok(writer)
    }

    /// A fresh id for a room of the versions whose ids are not hashes.
    pub(super) fn random_room_id(&self) -> Result<OwnedRoomId> {
        let opaque = Alphanumeric.sample_string(&mut rand::rng(), 18);
        RoomId::parse(format!("!{opaque}:{}", self.shared.settings.server_name)).map_err(Error::internal)
    }

    async fn check_alias_is_free(&self, alias: &RoomAliasId) -> Result<()> {
        match ALIASES.exists(&self.shared.store.snapshot(), (alias,)).await? {
            true => Err(Kind::RoomInUse.with(format!("The room alias {alias} is already taken."))),
            false => Ok(()),
        }
    }
}

/// What the rules refuse while a room is being created is the fault of the state that was asked for.
pub(super) fn as_room_state(error: Error) -> Error {
    match error.kind {
        Kind::Forbidden => Kind::InvalidRoomState.with(error.message),
        _ => error,
    }
}
