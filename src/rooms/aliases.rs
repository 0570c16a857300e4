//! Names for rooms that people can read: who may give and take them, and that a room does not advertise one that is gone
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-aliases)).

use std::collections::BTreeSet;

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, RoomAliasId, RoomId, RoomOrAliasId, ServerName, UserId,
    events::{StateEventType, room::history_visibility::HistoryVisibility},
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{Intent, Room, RoomState, Rooms};
use crate::{
    error::{Error, Kind, Result},
    matrix::history_visibility::visibility_of,
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::rooms::{ALIASES, Alias, ROOM_ALIASES},
        until_settled,
    },
    users::Role,
};

impl Rooms {
    /// The room that an alias points to.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if there is no such alias on this server.
    pub async fn resolve_alias(&self, alias: &RoomAliasId) -> Result<OwnedRoomId> {
        let row = ALIASES.get(&self.shared.store.snapshot(), (alias,)).await?;
        row.map(|row| row.room_id).ok_or_else(|| no_such_alias(alias))
    }

    /// The room that an id or an alias names.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if it is an alias that does not exist on this server.
    pub async fn find(&self, id_or_alias: &RoomOrAliasId) -> Result<OwnedRoomId> {
        match <&RoomId>::try_from(id_or_alias) {
            Ok(room_id) => Ok(room_id.to_owned()),
            Err(alias) => self.resolve_alias(alias).await,
        }
    }

    /// The aliases on this server that point to a room, for one of its members or, where anyone may read the room, anyone.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if `user` may not know.
    pub async fn aliases(&self, room_id: &RoomId, user: &UserId) -> Result<Vec<OwnedRoomAliasId>> {
        if !self.is_open_to_all(room_id).await? {
            self.room_of_member(room_id, user).await?;
        }
        let snapshot = self.shared.store.snapshot();
        let rows = ROOM_ALIASES.scan(&snapshot, KeyRange::prefix((room_id,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((_, alias), ())| alias).collect())
    }

    /// The aliases on this server that point to a room, for whoever need not ask its members.
    pub async fn all_aliases(&self, snapshot: &Snapshot, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>> {
        let rows = ROOM_ALIASES.scan(snapshot, KeyRange::prefix((room_id,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((_, alias), ())| alias).collect())
    }

    /// Makes an alias for a room on behalf of one of its members.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidParam`] if the alias is not one of this server, [`Kind::Forbidden`] if the user is not in the room,
    /// [`Kind::Conflict`] if the alias is taken.
    pub async fn create_alias(&self, alias: &RoomAliasId, room_id: &RoomId, user: &UserId) -> Result<()> {
        check_alias(alias, &self.shared.settings.server_name)?;
        let room = self.room_of_member(room_id, user).await?;
        let mut batch = Batch::new();
        batch.slots(0);
        put_alias(&mut batch, alias, &room.id, user);
        match self.shared.store.commit(batch).await {
            Err(error) if error.kind == Kind::Conflict => {
                Err(Kind::Conflict.with(format!("The room alias {alias} already exists.")))
            }
            committed => committed.map(drop),
        }
    }

    /// Takes an alias away, and out of the room's canonical aliases if the user may change these.
    ///
    /// The one who made it may, and so may the server's administrators and whoever may set the room's canonical alias.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if there is no such alias on this server, [`Kind::Forbidden`] if the user may not take it.
    pub async fn delete_alias(&self, alias: &RoomAliasId, user: &UserId) -> Result<()> {
        until_settled(|| async {
            let row = ALIASES.get(&self.shared.store.snapshot(), (alias,)).await?;
            let row = row.ok_or_else(|| no_such_alias(alias))?;
            let room = self.room(&row.room_id).await?;
            if row.creator != *user && !self.may_publish(&room, user).await? {
                return Err(Error::forbidden("This alias is not yours, and you may not set the aliases of its room."));
            }
            let mut writer = self.write(&room).await?;
            let intent = without_alias(writer.state(), user, alias)?;
            match intent.map(|intent| writer.add(intent)) {
                Some(Ok(_)) => {
                    take_alias(writer.batch(), alias, &row);
                    return writer.commit().await.map(drop);
                }
                // Whoever may not change the canonical alias may still take away an alias of their own.
                None | Some(Err(Error { kind: Kind::Forbidden, .. })) => drop(writer),
                Some(Err(error)) => return Err(error),
            }
            let mut batch = Batch::new();
            batch.slots(0);
            take_alias(&mut batch, alias, &row);
            self.shared.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Whether `user` may decide how a room is found: whoever may set its canonical alias, and the server's administrators.
    pub(super) async fn may_publish(&self, room: &Room, user: &UserId) -> Result<bool> {
        let state = room.current();
        let levels = room.power_levels(&state)?;
        if state.is_joined(user) && levels.may_send(user, &StateEventType::RoomCanonicalAlias.into(), Some("")) {
            return Ok(true);
        }
        let account = self.shared.accounts.get(user).await?;
        Ok(account.is_some_and(|account| account.role == Role::Administrator))
    }

    /// Whether anyone at all may read the room.
    async fn is_open_to_all(&self, room_id: &RoomId) -> Result<bool> {
        match self.room(room_id).await {
            Ok(room) => {
                let state = room.current();
                let event = state.get(&StateEventType::RoomHistoryVisibility, "");
                Ok(visibility_of(event.map(|event| &**event)) == HistoryVisibility::WorldReadable)
            }
            Err(error) if error.kind == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The alias on this server with the localpart `name`.
///
/// # Errors
///
/// [`Kind::InvalidParam`] if no alias can be called that.
pub(super) fn local_alias(name: &str, server_name: &ServerName) -> Result<OwnedRoomAliasId> {
    let text = format!("#{name}:{server_name}");
    let alias = RoomAliasId::parse(&text).map_err(|_| Error::invalid(format!("{text:?} is not a room alias.")))?;
    check_alias(&alias, server_name)?;
    Ok(alias)
}

/// Adds to `batch` a new alias; the commit fails with [`Kind::Conflict`] if there is one already.
pub(super) fn put_alias(batch: &mut Batch, alias: &RoomAliasId, room_id: &RoomId, creator: &UserId) {
    ALIASES.expect(batch, (alias,), None);
    ALIASES.put(batch, (alias,), &Alias { room_id: room_id.to_owned(), creator: creator.to_owned() });
    ROOM_ALIASES.put(batch, (room_id, alias), &());
}

/// The aliases that the content of an `m.room.canonical_alias` names.
///
/// # Errors
///
/// [`Kind::InvalidParam`] if one of them is no alias, [`Kind::BadJson`] if the content has another shape.
pub(super) fn aliases_in(content: &RawValue) -> Result<Vec<OwnedRoomAliasId>> {
    #[derive(Deserialize)]
    struct Content {
        alias: Option<String>,
        alt_aliases: Option<Vec<String>>,
    }

    let content: Content = serde_json::from_str(content.get())
        .map_err(|e| Kind::BadJson.with(format!("This is not the content of a canonical alias: {e}.")))?;
    // An empty string is how some clients say that there is none.
    let canonical = content.alias.filter(|alias| !alias.is_empty());
    let parse = |alias: String| {
        RoomAliasId::parse(&alias).map_err(|_| Error::invalid(format!("{alias:?} is not a room alias.")))
    };
    canonical.into_iter().chain(content.alt_aliases.unwrap_or_default()).map(parse).collect()
}

/// Checks that an alias is one that this server can have.
fn check_alias(alias: &RoomAliasId, server_name: &ServerName) -> Result<()> {
    if alias.server_name() != server_name {
        return Err(Error::invalid(format!("{alias} is not an alias of this server: those end with :{server_name}.")));
    }
    if alias.alias().is_empty() || alias.alias().contains(|c: char| c.is_whitespace() || c == '\0') {
        return Err(Error::invalid(format!(
            "{alias:?} is not a room alias: its name must not be empty or have spaces."
        )));
    }
    Ok(())
}

/// Adds to `batch` that an alias is gone; the commit fails with [`Kind::Conflict`] if it points elsewhere by then.
fn take_alias(batch: &mut Batch, alias: &RoomAliasId, row: &Alias) {
    ALIASES.expect(batch, (alias,), Some(row));
    ALIASES.delete(batch, (alias,));
    ROOM_ALIASES.delete(batch, (&row.room_id, alias));
}

/// The `m.room.canonical_alias` by which the room no longer advertises `alias`, if it does.
fn without_alias(state: &RoomState, user: &UserId, alias: &RoomAliasId) -> Result<Option<Intent>> {
    without_aliases(state, user, &BTreeSet::from([alias.to_owned()]))
}

/// The `m.room.canonical_alias` by which the room no longer advertises any of `aliases`, if it does.
pub(super) fn without_aliases(
    state: &RoomState,
    user: &UserId,
    aliases: &BTreeSet<OwnedRoomAliasId>,
) -> Result<Option<Intent>> {
    let goes = |value: &Value| aliases.iter().any(|alias| value == alias.as_str());
    let kind = StateEventType::RoomCanonicalAlias;
    let Some(mut content) = state.content::<Map<String, Value>>(&kind, "") else { return Ok(None) };
    let before = content.clone();
    if content.get("alias").is_some_and(goes) {
        content.remove("alias");
    }
    if let Some(Value::Array(others)) = content.get_mut("alt_aliases") {
        others.retain(|other| !goes(other));
        if others.is_empty() {
            content.remove("alt_aliases");
        }
    }
    (content != before).then(|| Intent::state(user, kind, "", &content)).transpose()
}

fn no_such_alias(alias: &RoomAliasId) -> Error {
    Error::not_found(format!("There is no room alias {alias} on this server."))
}
