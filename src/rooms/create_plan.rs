//! What a new room starts with: the request and its preset, turned into events in the order that the specification gives.

use std::collections::BTreeSet;

use ruma::{
    OwnedUserId, RoomAliasId, RoomVersionId, UserId,
    api::client::room::{
        Visibility,
        create_room::v3::{Request, RoomPreset},
    },
    events::{StateEventType, room::member::MembershipState},
    room_version_rules::RoomVersionRules,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Intent, Settings, membership::MemberContent};
use crate::{
    config::HistoryVisibility,
    error::{Kind, Result},
};

/// The events of a new room after its creator's join, and what its creator's join and its create event say.
pub(super) struct Plan {
    /// The `m.room.create` event.
    pub create: Intent,
    /// The state events in their order.
    pub state: Vec<Intent>,
    /// Who is invited at the end.
    pub invites: Vec<Invite>,
    is_direct: bool,
}

/// Someone who is invited as the room begins.
pub(super) struct Invite {
    /// The invited user.
    pub user: OwnedUserId,
    is_direct: bool,
}

impl Invite {
    /// The content of the invitation.
    pub fn membership(&self) -> MemberContent {
        MemberContent { is_direct: self.is_direct.then_some(true), ..MemberContent::new(MembershipState::Invite) }
    }
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
    /// [`Kind::BadJson`] if a part of the request that is free-form JSON has the wrong shape, [`Kind::InvalidParam`] for
    /// invitations by e-mail address or telephone number.
    pub fn new(
        creator: &UserId,
        request: Request,
        (version, rules): (&RoomVersionId, &RoomVersionRules),
        alias: Option<&RoomAliasId>,
        settings: &Settings,
    ) -> Result<Self> {
        if !request.invite_3pid.is_empty() {
            return Err(Kind::InvalidParam.with("This server has no identity server; invite people by their user id."));
        }
        let preset = preset(&request);
        let trusted: Vec<_> = match preset {
            RoomPreset::TrustedPrivateChat => request.invite.clone(),
            _ => Vec::new(),
        };
        let create = create_content(creator, &request, version, rules, &trusted)?;
        let levels = power_levels(creator, &request, rules, &trusted)?;
        let create = Intent::state(creator, StateEventType::RoomCreate, "", &create)?;
        let mut state = vec![(StateEventType::RoomPowerLevels, String::new(), levels)];
        if let Some(alias) = alias {
            state.push((StateEventType::RoomCanonicalAlias, String::new(), json!({ "alias": alias })));
        }
        let initial = initial_state(&request)?;
        let preset = preset_state(&preset, settings);
        let wished = |kind: &StateEventType| initial.iter().any(|(own, key, _)| own == kind && key.is_empty());
        state.extend(preset.into_iter().filter(|(kind, ..)| !wished(kind)));
        state.extend(initial);
        state.extend(request.name.map(|name| (StateEventType::RoomName, String::new(), json!({ "name": name }))));
        state.extend(request.topic.map(|topic| (StateEventType::RoomTopic, String::new(), topic_content(&topic))));
        let state = state.into_iter().map(|(kind, key, content)| Intent::state(creator, kind, &key, &content));
        let is_direct = request.is_direct;
        let invited: BTreeSet<_> = request.invite.into_iter().filter(|user| user != creator).collect();
        let invites = invited.into_iter().map(|user| Invite { user, is_direct }).collect();
        Ok(Self { create, state: state.collect::<Result<_>>()?, invites, is_direct })
    }

    /// The content of the creator's join.
    pub fn creator_joins(&self) -> MemberContent {
        MemberContent { is_direct: self.is_direct.then_some(true), ..MemberContent::new(MembershipState::Join) }
    }
}

type State = (StateEventType, String, Value);

/// The preset that was asked for, or that the room's visibility implies.
fn preset(request: &Request) -> RoomPreset {
    match (&request.preset, &request.visibility) {
        (Some(preset), _) => preset.clone(),
        (None, Visibility::Public) => RoomPreset::PublicChat,
        (None, _) => RoomPreset::PrivateChat,
    }
}

fn create_content(
    creator: &UserId,
    request: &Request,
    version: &RoomVersionId,
    rules: &RoomVersionRules,
    trusted: &[OwnedUserId],
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
    if rules.authorization.additional_room_creators && !trusted.is_empty() {
        let mut creators: Vec<OwnedUserId> = additional_creators(&content)?;
        creators.extend(trusted.iter().filter(|user| *user != creator).cloned());
        let mut seen = BTreeSet::new();
        creators.retain(|user| seen.insert(user.clone()));
        content.insert("additional_creators".to_owned(), json!(creators));
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

/// The power levels that a room starts with, with the request's overrides on top.
fn power_levels(
    creator: &UserId,
    request: &Request,
    rules: &RoomVersionRules,
    trusted: &[OwnedUserId],
) -> Result<Value> {
    let creators_have_it_all = rules.authorization.explicitly_privilege_room_creators;
    let mut users = Map::new();
    if !creators_have_it_all {
        let powerful = trusted.iter().map(|user| user.as_str()).chain([creator.as_str()]);
        users.extend(powerful.map(|user| (user.to_owned(), json!(100))));
    }
    let mut levels = json!({
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.avatar": 50,
            "m.room.canonical_alias": 50,
            "m.room.encryption": 100,
            "m.room.history_visibility": 100,
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.server_acl": 100,
            // From version 12 on, replacing a room must need more than any level that can be given away by accident.
            "m.room.tombstone": if creators_have_it_all { 150 } else { 100 },
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": 0,
        "historical": 100,
        "notifications": { "room": 50 },
    });
    if let (Some(raw), Some(levels)) = (&request.power_level_content_override, levels.as_object_mut()) {
        levels.extend(object(raw.json().get(), "power_level_content_override")?);
    }
    Ok(levels)
}

/// The state that a preset stands for.
fn preset_state(preset: &RoomPreset, settings: &Settings) -> Vec<State> {
    let (join_rule, guest_access) = match preset {
        RoomPreset::PublicChat => ("public", "forbidden"),
        _ => ("invite", "can_join"),
    };
    let history_visibility = match (preset, settings.default_history_visibility) {
        (RoomPreset::PublicChat, _) | (_, HistoryVisibility::Preset) => "shared",
        (_, HistoryVisibility::Joined) => "joined",
    };
    [
        (StateEventType::RoomJoinRules, json!({ "join_rule": join_rule })),
        (StateEventType::RoomHistoryVisibility, json!({ "history_visibility": history_visibility })),
        (StateEventType::RoomGuestAccess, json!({ "guest_access": guest_access })),
    ]
    .map(|(kind, content)| (kind, String::new(), content))
    .into()
}

/// The request's own state, without what its `name` and `topic` replace.
fn initial_state(request: &Request) -> Result<Vec<State>> {
    let mut state = Vec::new();
    for raw in &request.initial_state {
        let event: InitialState = serde_json::from_str(raw.json().get())
            .map_err(|e| Kind::BadJson.with(format!("initial_state holds something that is no state event: {e}")))?;
        let replaced = match event.kind {
            StateEventType::RoomName => request.name.is_some(),
            StateEventType::RoomTopic => request.topic.is_some(),
            _ => false,
        };
        if !(replaced && event.state_key.is_empty()) {
            state.push((event.kind, event.state_key, Value::Object(event.content)));
        }
    }
    Ok(state)
}

/// A topic for clients of every age ([spec](https://spec.matrix.org/v1.19/client-server-api/#mroomtopic)).
fn topic_content(topic: &str) -> Value {
    json!({ "topic": topic, "m.topic": { "m.text": [{ "body": topic, "mimetype": "text/plain" }] } })
}

fn object(json: &str, name: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(json).map_err(|e| Kind::BadJson.with(format!("{name} must be an object: {e}")))
}
