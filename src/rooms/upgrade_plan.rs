//! What a room that replaces another one starts with
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-upgrades)).

use std::collections::BTreeSet;

use ruma::{
    OwnedRoomAliasId, OwnedUserId, RoomVersionId, UserId,
    events::{StateEventType, room::member::MembershipState},
    room_version_rules::RoomVersionRules,
};
use serde_json::{Map, Value, json};

use super::{
    Intent, Room, RoomState,
    create_plan::Plan,
    space_children::children,
    upgrade_levels::{highest, levels_after},
};
use crate::{
    error::{Error, Result},
    matrix::{draft::checked_content, event::Event},
};

/// The state that goes over as it is.
const MOVED: [StateEventType; 7] = [
    StateEventType::RoomHistoryVisibility,
    StateEventType::RoomGuestAccess,
    StateEventType::RoomName,
    StateEventType::RoomTopic,
    StateEventType::RoomAvatar,
    StateEventType::RoomEncryption,
    StateEventType::RoomServerAcl,
];

/// A room that is to replace another one.
pub(super) struct Replacement {
    /// Its first events.
    pub plan: Plan,
    /// What follows in commits of their own, since there can be much of it: the bans, and the links of a space. The power
    /// levels come last, since they may not let the one who upgrades do any of this.
    pub rest: Vec<Intent>,
}

/// Who upgrades to what.
pub(super) struct Wish<'a> {
    /// Who upgrades.
    pub user: &'a UserId,
    /// The new version.
    pub version: RoomVersionId,
    /// Its rules.
    pub rules: &'static RoomVersionRules,
    /// Who is to have created the new room beside the one who upgrades.
    pub additional_creators: Vec<OwnedUserId>,
    /// The aliases that will lead to the new room.
    pub aliases: BTreeSet<OwnedRoomAliasId>,
}

impl Replacement {
    /// The replacement of `old`, whose state is `state`.
    pub fn new(old: &Room, state: &RoomState, wish: Wish<'_>) -> Result<Self> {
        let Wish { user, version, rules, .. } = &wish;
        let mut creators = BTreeSet::from([(*user).to_owned()]);
        if rules.authorization.additional_room_creators {
            creators.extend(wish.additional_creators.iter().cloned());
        }
        let create =
            Intent::state(user, StateEventType::RoomCreate, "", &create_content(old, state, &wish, &creators)?)?;
        let levels = levels_after(old, state, rules, &creators);
        let privileged = rules.authorization.explicitly_privilege_room_creators;
        // Until the room is furnished, the one who upgrades stands above everybody.
        let first = if privileged { levels.clone() } else { json!({ "users": { *user: highest(&levels) } }) };
        let place = |kind: StateEventType, content: &Value| Intent::state(user, kind, "", content);

        let mut first_state = vec![place(StateEventType::RoomPowerLevels, &first)?];
        if let Some(aliases) = canonical_alias(state, &wish.aliases) {
            first_state.push(place(StateEventType::RoomCanonicalAlias, &aliases)?);
        }
        let join_rules = state.content(&StateEventType::RoomJoinRules, "").unwrap_or_default();
        first_state.push(place(StateEventType::RoomJoinRules, &join_rules_in(rules, join_rules))?);
        for kind in MOVED {
            if let Some(event) = state.get(&kind, "").filter(|event| can_be_sent_again(event)) {
                first_state.push(Intent::state(user, kind, "", &event.content)?);
            }
        }
        let mut rest = links_and_bans(state, user)?;
        if !privileged {
            rest.push(place(StateEventType::RoomPowerLevels, &levels)?);
        }
        Ok(Self { plan: Plan::ready(user, version.clone(), rules, create, first_state), rest })
    }
}

/// The content of the create event: that of the old room's, as far as it says what sort of room it is.
fn create_content(old: &Room, state: &RoomState, wish: &Wish<'_>, creators: &BTreeSet<OwnedUserId>) -> Result<Value> {
    let before = state.content::<Value>(&StateEventType::RoomCreate, "").unwrap_or_default();
    let rules = &wish.rules.authorization;
    let mut predecessor = json!({ "room_id": old.id });
    if !rules.room_create_event_id_as_room_id {
        let last = state.heads.first().ok_or_else(|| Error::internal(format_args!("room {} has no events", old.id)))?;
        predecessor["event_id"] = json!(last);
    }
    let mut content = json!({ "room_version": wish.version, "predecessor": predecessor });
    for key in ["type", "m.federate"] {
        if let Some(value) = before.get(key) {
            content[key] = value.clone();
        }
    }
    if !rules.use_room_create_sender {
        content["creator"] = json!(wish.user);
    }
    let additional: Vec<_> = creators.iter().filter(|creator| *creator != wish.user).collect();
    if !additional.is_empty() {
        content["additional_creators"] = json!(additional);
    }
    Ok(content)
}

/// Join rules as rooms of the new version have them. What it does not know becomes the nearest thing that lets in fewer.
fn join_rules_in(rules: &RoomVersionRules, mut content: Map<String, Value>) -> Value {
    let rules = &rules.authorization;
    let rule = match content.get("join_rule").and_then(Value::as_str) {
        Some("knock_restricted") if !rules.knock_restricted_join_rule && rules.restricted_join_rule => "restricted",
        Some("knock_restricted") if !rules.knock_restricted_join_rule => "invite",
        Some("restricted") if !rules.restricted_join_rule => "invite",
        Some("knock") if !rules.knocking => "invite",
        Some(other) => other,
        None => "invite",
    };
    let rule = json!(rule);
    content.insert("join_rule".to_owned(), rule);
    Value::Object(content)
}

/// The canonical alias of the new room: what the old one advertised, as far as it moves.
fn canonical_alias(state: &RoomState, moving: &BTreeSet<OwnedRoomAliasId>) -> Option<Value> {
    let moves = |alias: &Value| moving.iter().any(|moving| alias == moving.as_str());
    let content: Value = state.content(&StateEventType::RoomCanonicalAlias, "")?;
    let mut kept = json!({});
    if let Some(alias) = content.get("alias").filter(|alias| moves(alias)) {
        kept["alias"] = alias.clone();
    }
    let others = content.get("alt_aliases").and_then(Value::as_array).into_iter().flatten();
    let others: Vec<_> = others.filter(|alias| moves(alias)).collect();
    if !others.is_empty() {
        kept["alt_aliases"] = json!(others);
    }
    kept.as_object().is_some_and(|kept| !kept.is_empty()).then_some(kept)
}

/// Whether an event that came in by whatever rules could be sent today.
fn can_be_sent_again(event: &Event) -> bool {
    checked_content(&event.kind, event.is_state(), &event.content).is_ok()
}

/// The children of a space, the spaces that the room is in, and who is banned.
fn links_and_bans(state: &RoomState, user: &UserId) -> Result<Vec<Intent>> {
    let links = children(state, false).into_iter().map(|(_, event)| event);
    let parents = state.of_kind(&StateEventType::SpaceParent).map(|(_, event)| &**event);
    let parents = parents.filter(|event| event.content_as::<Value>().is_ok_and(|content| content["via"].is_array()));
    let bans = state.of_kind(&StateEventType::RoomMember).map(|(_, event)| &**event);
    let bans = bans.filter(|event| event.membership() == Some(MembershipState::Ban));
    let mut intents = Vec::new();
    for event in links.chain(parents).filter(|event| can_be_sent_again(event)) {
        let kind = event.kind.to_string().into();
        intents.push(Intent::state(user, kind, event.state_key.as_deref().unwrap_or_default(), &event.content)?);
    }
    for event in bans {
        let mut content = json!({ "membership": "ban" });
        if let Some(reason) = event.content_as::<Value>()?.get("reason").and_then(Value::as_str) {
            content["reason"] = json!(reason);
        }
        let banned = event.state_key.as_deref().unwrap_or_default();
        intents.push(Intent::state(user, StateEventType::RoomMember, banned, &content)?);
    }
    Ok(intents)
}
