//! What a new room starts with: the request and its preset, turned into events in the order that the specification gives.

use std::collections::BTreeSet;

use ruma::{
    OwnedRoomAliasId, OwnedUserId, RoomVersionId, UserId,
    api::client::room::{
        Visibility,
        create_room::v3::{Request, RoomPreset},
    },
    events::{StateEventType, room::member::MembershipState},
    room_version_rules::RoomVersionRules,
};
use serde::Deserialize;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use super::{
    Intent, Settings,
    aliases::{aliases_in, local_alias},
    create_power_levels::power_levels,
    member_event::MemberContent,
};
use crate::{
    config::HistoryVisibility,
    error::{Error, Kind, Result},
    matrix::room_version,
};

/// The most events that a room can be created with: they are signed one by one and written at once.
const FIRST_EVENTS: usize = 1_000;

/// A room as it is to be.
pub(super) struct Plan {
    /// Who creates it.
    pub creator: OwnedUserId,
    /// The version.
    pub version: RoomVersionId,
    /// The rules of the version.
    pub rules: &'static RoomVersionRules,
    /// The alias that it gets.
    pub alias: Option<OwnedRoomAliasId>,
    /// Whether it is shown in the public directory.
    pub is_published: bool,
    /// The `m.room.create` event.
    pub create: Intent,
    /// The state events after the creator's join, in their order.
    pub state: Vec<Intent>,
    /// Who is invited at the end.
    pub invites: BTreeSet<OwnedUserId>,
    /// Whom the request's own state events invite.
    invites_in_state: Vec<OwnedUserId>,
    is_direct: bool,
}

/// A state event of the request's `initial_state`.
#[derive(Deserialize)]
struct InitialState {
    #[serde(rename = "type")]
    kind: StateEventType,
    #[serde(default)]
    state_key: String,
    content: Map<String, Value>,
}

impl Plan {
    /// The plan for `request`.
    ///
    /// # Errors
    ///
    /// [`Kind::UnsupportedRoomVersion`], [`Kind::BadJson`] if a part of the request that is free-form JSON has the wrong
    /// shape, [`Kind::BadAlias`] if its state names an alias that the room will not have, and [`Kind::InvalidParam`] for an
    /// alias that cannot be, an unknown preset or visibility, more events than a room can be created with, and invitations
    /// by e-mail address or telephone number.
    pub fn new(creator: &UserId, request: Request, settings: &Settings) -> Result<Self> {
        if !request.invite_3pid.is_empty() {
            return Err(Error::invalid("This server has no identity server; invite people by their user id."));
        }
        let version = request.room_version.clone().unwrap_or_else(|| settings.default_version.clone());
        let rules = room_version::rules(&version)?;
        let alias =
            request.room_alias_name.as_deref().map(|name| local_alias(name, &settings.server_name)).transpose()?;
        let is_published = is_published(&request)?;
        let preset = preset(&request)?;
        let invites: BTreeSet<_> = request.invite.iter().filter(|user| *user != creator).cloned().collect();
        let nobody = BTreeSet::new();
        let trusted = if preset == RoomPreset::TrustedPrivateChat { &invites } else { &nobody };
        let create = create_content(creator, &request, &version, rules, trusted)?;
        let create = Intent::state(creator, StateEventType::RoomCreate, "", &create)?;

        let mut state =
            vec![(StateEventType::RoomPowerLevels, String::new(), power_levels(creator, &request, rules, trusted)?)];
        state.extend(
            alias.as_ref().map(|alias| singleton(StateEventType::RoomCanonicalAlias, json!({ "alias": alias }))),
        );
        let initial = initial_state(&request, alias.as_ref())?;
        let wished = |kind: &StateEventType| initial.iter().any(|(own, key, _)| own == kind && key.is_empty());
        state.extend(preset_state(&preset, settings).into_iter().filter(|(kind, ..)| !wished(kind)));
        let invites_in_state = initial.iter().filter_map(invited_by).collect();
        state.extend(initial);
        state.extend(request.name.map(|name| singleton(StateEventType::RoomName, json!({ "name": name }))));
        state.extend(request.topic.map(|topic| singleton(StateEventType::RoomTopic, topic_content(&topic))));
        if state.len() + invites.len() > FIRST_EVENTS {
            return Err(Error::invalid(format!(
                "A room can be created with at most {FIRST_EVENTS} events and invitations."
            )));
        }
        let state = state.into_iter().map(|(kind, key, content)| Intent::state(creator, kind, &key, &content));
        let (state, is_direct) = (state.collect::<Result<_>>()?, request.is_direct);
        let creator = creator.to_owned();
        Ok(Self { creator, version, rules, alias, is_published, create, state, invites, invites_in_state, is_direct })
    }

    /// Everybody who is invited, in whatever way.
    pub fn invited(&self) -> impl Iterator<Item = &OwnedUserId> {
        self.invites.iter().chain(&self.invites_in_state)
    }

    /// The content of the creator's join.
    pub fn creator_joins(&self) -> MemberContent {
        MemberContent::new(MembershipState::Join)
    }

    /// The content of each of the `invites`.
    pub fn invitation(&self) -> MemberContent {
        MemberContent { is_direct: self.is_direct.then_some(true), ..MemberContent::new(MembershipState::Invite) }
    }
}

type State = (StateEventType, String, Value);

fn singleton(kind: StateEventType, content: Value) -> State {
    (kind, String::new(), content)
}

fn is_published(request: &Request) -> Result<bool> {
    match request.visibility {
        Visibility::Public => Ok(true),
        Visibility::Private => Ok(false),
        _ => Err(Error::invalid("The visibility of a room is public or private.")),
    }
}

/// The preset that was asked for, or that the room's visibility implies.
fn preset(request: &Request) -> Result<RoomPreset> {
    match (&request.preset, &request.visibility) {
        (Some(preset @ (RoomPreset::PrivateChat | RoomPreset::PublicChat | RoomPreset::TrustedPrivateChat)), _) => {
            Ok(preset.clone())
        }
        (Some(other), _) => Err(Error::invalid(format!("{:?} is not a preset.", other.as_str()))),
        (None, Visibility::Public) => Ok(RoomPreset::PublicChat),
        (None, _) => Ok(RoomPreset::PrivateChat),
    }
}

fn create_content(
    creator: &UserId,
    request: &Request,
    version: &RoomVersionId,
    rules: &RoomVersionRules,
    trusted: &BTreeSet<OwnedUserId>,
) -> Result<Map<String, Value>> {
    let mut content = match &request.creation_content {
        Some(raw) => object(raw.json().get(), "creation_content")?,
        None => Map::new(),
    };
    content.remove("creator");
    if !rules.authorization.use_room_create_sender {
        content.insert("creator".to_owned(), json!(creator));
    }
    content.insert("room_version".to_owned(), json!(version));
    if rules.authorization.additional_room_creators {
        let mut creators = additional_creators(&content)?;
        creators.extend(trusted.iter().cloned());
        let mut seen = BTreeSet::from([creator.to_owned()]);
        creators.retain(|user| seen.insert(user.clone()));
        content.remove("additional_creators");
        if !creators.is_empty() {
            content.insert("additional_creators".to_owned(), json!(creators));
        }
    }
    Ok(content)
}

/// The `additional_creators` of a create event's content.
fn additional_creators(content: &Map<String, Value>) -> Result<Vec<OwnedUserId>> {
    match content.get("additional_creators") {
        Some(creators) => serde_json::from_value(creators.clone())
            .map_err(|e| Kind::BadJson.with(format!("additional_creators must be a list of user ids: {e}"))),
        None => Ok(Vec::new()),
    }
}

/// The state that a preset stands for.
fn preset_state(preset: &RoomPreset, settings: &Settings) -> [State; 3] {
    let (join_rule, guest_access) = match preset {
        RoomPreset::PublicChat => ("public", "forbidden"),
        _ => ("invite", "can_join"),
    };
    let history_visibility = match (preset, settings.default_history_visibility) {
        (RoomPreset::PublicChat, _) | (_, HistoryVisibility::Preset) => "shared",
        (_, HistoryVisibility::Joined) => "joined",
    };
    [
        singleton(StateEventType::RoomJoinRules, json!({ "join_rule": join_rule })),
        singleton(StateEventType::RoomHistoryVisibility, json!({ "history_visibility": history_visibility })),
        singleton(StateEventType::RoomGuestAccess, json!({ "guest_access": guest_access })),
    ]
}

/// The request's own state, without what its `name` and `topic` replace.
fn initial_state(request: &Request, alias: Option<&OwnedRoomAliasId>) -> Result<Vec<State>> {
    let mut state = Vec::new();
    for raw in &request.initial_state {
        let InitialState { kind, state_key, content } = serde_json::from_str(raw.json().get())
            .map_err(|e| Kind::BadJson.with(format!("initial_state holds something that is no state event: {e}")))?;
        let replaced = match kind {
            StateEventType::RoomName => request.name.is_some(),
            StateEventType::RoomTopic => request.topic.is_some(),
            _ => false,
        };
        if kind == StateEventType::RoomCanonicalAlias && state_key.is_empty() {
            check_aliases(&to_raw_value(&content).map_err(Error::internal)?, alias)?;
        }
        if !(replaced && state_key.is_empty()) {
            state.push((kind, state_key, Value::Object(content)));
        }
    }
    Ok(state)
}

/// Checks that a room does not start out with an alias that does not point to it.
fn check_aliases(content: &RawValue, own: Option<&OwnedRoomAliasId>) -> Result<()> {
    match aliases_in(content)?.iter().find(|alias| Some(*alias) != own) {
        Some(alias) => Err(Kind::BadAlias.with(format!("The room alias {alias} will not point to this room."))),
        None => Ok(()),
    }
}

/// The user whom a state event invites.
fn invited_by((kind, state_key, content): &State) -> Option<OwnedUserId> {
    let invites = *kind == StateEventType::RoomMember && content["membership"] == "invite";
    invites.then(|| UserId::parse(state_key).ok()).flatten()
}

/// A topic for clients of every age ([spec](https://spec.matrix.org/v1.19/client-server-api/#mroomtopic)).
fn topic_content(topic: &str) -> Value {
    json!({ "topic": topic, "m.topic": { "m.text": [{ "body": topic, "mimetype": "text/plain" }] } })
}

/// Reads a part of the request that is an object of whatever keys.
pub(super) fn object(json: &str, name: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(json).map_err(|e| Kind::BadJson.with(format!("{name} must be an object: {e}")))
}
