//! Creates a room: all its first events in one commit, so that it exists whole or not at all.

use std::sync::Arc;

use rand::distr::{Alphanumeric, SampleString};
use ruma::{
    OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId, RoomVersionId, UserId,
    api::client::room::{Visibility, create_room::v3::Request},
    room_version_rules::RoomVersionRules,
};

use super::{Room, RoomState, Rooms, Writer, create_plan::Plan};
use crate::{
    error::{Error, Kind, Result},
    matrix::{
        draft::{Draft, seal},
        room_version,
    },
    storage::{
        Batch,
        schema::rooms::{ALIASES, Alias, DIRECTORY, ROOM_ALIASES},
    },
};

impl Rooms {
    /// Creates the room that `request` describes, with `creator` as its first member
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#creation)).
    ///
    /// # Errors
    ///
    /// [`Kind::UnsupportedRoomVersion`], [`Kind::RoomInUse`] if the alias is taken, [`Kind::InvalidRoomState`] if the
    /// requested state breaks the rules of rooms.
    pub async fn create(&self, creator: &UserId, request: Request) -> Result<OwnedRoomId> {
        let version = request.room_version.clone().unwrap_or_else(|| self.shared.settings.default_version.clone());
        let rules = room_version::rules(&version)?;
        let alias = request.room_alias_name.as_deref().map(|name| self.local_alias(name)).transpose()?;
        if let Some(alias) = &alias {
            self.check_alias_is_free(alias).await?;
        }
        let public = request.visibility == Visibility::Public;
        let plan = Plan::new(creator, request, (&version, rules), alias.as_deref(), &self.shared.settings)?;
        let mut writer = self.found(creator, &plan, version, rules).await?;
        for intent in plan.state {
            writer.add(intent).map_err(as_room_state)?;
        }
        for invite in plan.invites {
            let intent = self.membership_intent(creator, &invite.user, invite.membership()).await?;
            writer.add(intent)?;
        }
        let room = writer.room().clone();
        publish_name(writer.batch(), &room.id, creator, alias.as_deref(), public);
        match writer.commit().await {
            Err(Error { kind: Kind::Conflict, .. }) => Err(Kind::RoomInUse.with("That room alias is already taken.")),
            committed => committed.map(|_| {
                self.shared.loaded.insert(room.clone());
                room.id.clone()
            }),
        }
    }

    /// Starts a room with its create event and its creator's join.
    async fn found(
        &self,
        creator: &UserId,
        plan: &Plan,
        version: RoomVersionId,
        rules: &'static RoomVersionRules,
    ) -> Result<Writer> {
        let names_itself = rules.authorization.room_create_event_id_as_room_id;
        let room_id = (!names_itself).then(|| self.random_room_id()).transpose()?;
        let draft = Draft { room_id, ..self.unattached(&plan.create) };
        let (event, json) = seal(draft, rules, &self.shared.settings.server_name, &self.shared.key)?;
        let room = Arc::new(Room::new(event.room_id.clone(), version, rules, RoomState::default()));
        let mut writer = self.write(&room).await?;
        writer.admit(event, json, None)?;
        writer.add(self.membership_intent(creator, creator, plan.creator_joins()).await?)?;
        Ok(writer)
    }

    /// A fresh id for a room of the versions whose ids are not hashes.
    fn random_room_id(&self) -> Result<OwnedRoomId> {
        let opaque = Alphanumeric.sample_string(&mut rand::rng(), 18);
        RoomId::parse(format!("!{opaque}:{}", self.shared.settings.server_name)).map_err(Error::internal)
    }

    /// The alias on this server with that localpart.
    fn local_alias(&self, name: &str) -> Result<OwnedRoomAliasId> {
        let alias = format!("#{name}:{}", self.shared.settings.server_name);
        let forbidden = |c: char| c == ':' || c.is_whitespace() || c == '\0';
        match RoomAliasId::parse(&alias) {
            Ok(alias) if !name.is_empty() && !name.contains(forbidden) => Ok(alias),
            _ => {
                Err(Error::invalid(format!("{alias:?} is not a room alias: leave out colons, spaces and empty names.")))
            }
        }
    }

    async fn check_alias_is_free(&self, alias: &RoomAliasId) -> Result<()> {
        match ALIASES.exists(&self.shared.store.snapshot(), (alias,)).await? {
            true => Err(Kind::RoomInUse.with("That room alias is already taken.")),
            false => Ok(()),
        }
    }
}

/// Adds the rows that make a new room known by its alias and in the public directory.
fn publish_name(batch: &mut Batch, room_id: &RoomId, creator: &UserId, alias: Option<&RoomAliasId>, public: bool) {
    if let Some(alias) = alias {
        ALIASES.expect(batch, (alias,), None);
        ALIASES.put(batch, (alias,), &Alias { room_id: room_id.to_owned(), creator: creator.to_owned() });
        ROOM_ALIASES.put(batch, (room_id, alias), &());
    }
    if public {
        DIRECTORY.put(batch, (room_id,), &());
    }
}

/// What the rules refuse while a room is being created is the fault of the state that was asked for.
fn as_room_state(error: Error) -> Error {
    match error.kind {
        Kind::Forbidden => Kind::InvalidRoomState.with(error.message),
        _ => error,
    }
}
