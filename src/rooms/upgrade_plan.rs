//! What a room that replaces another one starts with
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-upgrades)).

use std::collections::BTreeSet;

use ruma::{
    EventId, OwnedRoomAliasId, OwnedUserId, RoomId, RoomVersionId, UserId,
    events::{StateEventType, room::member::MembershipState},
    room_version_rules::RoomVersionRules,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Intent, Room, RoomState,
    space_children::children,
    upgrade_levels::{highest, levels_after},
    upgrade_settings::predecessor,
};
use crate::{
    error::Result,
    matrix::{draft::checked_content, event::Event, room_version},
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

/// Who upgrades to what.
pub(super) struct Wish<'a> {
    /// Who upgrades.
    pub user: &'a UserId,
    /// The new version.
    pub version: RoomVersionId,
    /// Its rules.
    pub rules: &'static RoomVersionRules,
    /// Who is to have created the new room beside the one who upgrades.
    pub additional_creators: BTreeSet<OwnedUserId>,
}

impl<'a> Wish<'a> {
    /// The wish of `user` for a room of this version.
    ///
    /// # Errors
    ///
    /// [`Kind::UnsupportedRoomVersion`](crate::error::Kind::UnsupportedRoomVersion)
    pub fn new(user: &'a UserId, version: RoomVersionId, additional_creators: Vec<OwnedUserId>) -> Result<Self> {
        let rules = room_version::rules(&version)?;
        let mut additional_creators = BTreeSet::from_iter(additional_creators);
        additional_creators.remove(user);
        if !rules.authorization.additional_room_creators {
            additional_creators.clear();
        }
        Ok(Self { user, version, rules, additional_creators })
    }

    /// The event that creates the room. Its content is that of the old room's, as far as it says what sort of room it is; the
    /// `tombstone` is the last event of the old room.
    pub fn create(&self, old: &Room, tombstone: Option<&EventId>) -> Result<Intent> {
        let before = old.current().content::<Value>(&StateEventType::RoomCreate, "").unwrap_or_default();
        let mut predecessor = json!({ "room_id": old.id });
        if let Some(tombstone) = tombstone {
            predecessor["event_id"] = json!(tombstone);
        }
        let mut content = json!({ "room_version": self.version, "predecessor": predecessor });
        for key in ["type", "m.federate"] {
            if let Some(value) = before.get(key) {
                content[key] = value.clone();
            }
        }
        if !self.rules.authorization.use_room_create_sender {
            content["creator"] = json!(self.user);
        }
        if !self.additional_creators.is_empty() {
            content["additional_creators"] = json!(self.additional_creators);
        }
        Intent::state(self.user, StateEventType::RoomCreate, "", &content)
    }

    /// What follows its creator's join in the room that replaces `old`, whose state is `state` with these power levels, when these
    /// aliases lead there. The power levels come first, and again at the end if they may not let the one who upgrades do all of
    /// this.
    pub fn state(
        &self,
        old: &Room,
        (state, levels): (&RoomState, Option<Map<String, Value>>),
        aliases: &BTreeSet<OwnedRoomAliasId>,
    ) -> Result<Vec<Intent>> {
        let Self { user, rules, .. } = self;
        let mut creators = self.additional_creators.clone();
        creators.insert((*user).to_owned());
        let levels = levels_after(old, state, levels, (rules, &creators));
        let privileged = rules.authorization.explicitly_privilege_room_creators;
        // Until the room is furnished, the one who upgrades stands above everybody.
        let first = if privileged { levels.clone() } else { json!({ "users": { *user: highest(&levels) } }) };
        let place = |kind: StateEventType, content: &Value| Intent::state(user, kind, "", content);

        let mut intents = vec![place(StateEventType::RoomPowerLevels, &first)?];
        if let Some(aliases) = canonical_alias(state, aliases) {
            intents.push(place(StateEventType::RoomCanonicalAlias, &aliases)?);
        }
        let join_rules = state.content(&StateEventType::RoomJoinRules, "").unwrap_or_default();
        intents.push(place(StateEventType::RoomJoinRules, &join_rules_in(rules, join_rules))?);
        for kind in MOVED {
            if let Some(event) = state.get(&kind, "").filter(|event| can_be_sent_again(event)) {
                intents.push(Intent::state(user, kind, "", &event.content)?);
            }
        }
        intents.extend(links_and_bans(state, user)?);
        if !privileged {
            intents.push(place(StateEventType::RoomPowerLevels, &levels)?);
        }
        Ok(intents)
    }

    /// Whether a room with this state, made by replacing `old`, is what is wished for.
    pub fn is_met_by(&self, new: &Room, state: &RoomState, old: &RoomId) -> bool {
        #[derive(Default, Deserialize)]
        struct Content {
            #[serde(default)]
            additional_creators: BTreeSet<OwnedUserId>,
        }

        let Some(create) = state.get(&StateEventType::RoomCreate, "") else { return false };
        new.version == self.version
            && create.sender == *self.user
            && predecessor(&create.content).is_some_and(|room| room == *old)
            && create.content_as::<Content>().unwrap_or_default().additional_creators == self.additional_creators
            && state.is_joined(self.user)
    }
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
