//! What the public directory shows of a room, and whether that is what somebody looks for.

use ruma::{
    OwnedMxcUri, OwnedRoomAliasId,
    directory::{Filter, PublicRoomsChunk, PublicRoomsChunkInit, RoomTypeFilter},
    events::{StateEventType, room::history_visibility::HistoryVisibility},
    room::{JoinRuleKind, RoomType},
};
use serde::Deserialize;

use super::{Room, RoomState};
use crate::matrix::history_visibility::visibility_of;

/// What the directory shows of a room whose state is `state`.
pub(super) fn entry(room: &Room, state: &RoomState) -> PublicRoomsChunk {
    let visibility = state.get(&StateEventType::RoomHistoryVisibility, "");
    let guest_access = state.content::<GuestAccess>(&StateEventType::RoomGuestAccess, "");
    let mut entry = PublicRoomsChunk::from(PublicRoomsChunkInit {
        num_joined_members: (state.joined.len() as u32).into(),
        room_id: room.id.clone(),
        world_readable: visibility_of(visibility.map(|event| &**event)) == HistoryVisibility::WorldReadable,
        guest_can_join: guest_access.is_some_and(|content| content.guest_access == "can_join"),
    });
    entry.canonical_alias = state.content::<CanonicalAlias>(&StateEventType::RoomCanonicalAlias, "").map(|it| it.alias);
    entry.name = state.content::<Name>(&StateEventType::RoomName, "").map(|it| it.name).filter(|name| !name.is_empty());
    entry.topic = state.content::<Topic>(&StateEventType::RoomTopic, "").and_then(Topic::plain);
    entry.avatar_url = state.content::<Avatar>(&StateEventType::RoomAvatar, "").map(|it| it.url);
    let join_rule = state.content::<JoinRule>(&StateEventType::RoomJoinRules, "");
    // A room without a join rule can be entered by invitation only.
    entry.join_rule = join_rule.map_or(JoinRuleKind::Invite, |it| it.join_rule);
    entry.room_type = state.content::<Create>(&StateEventType::RoomCreate, "").and_then(|it| it.room_type);
    entry
}

/// Whether a room is what `filter` looks for.
pub(super) fn passes(entry: &PublicRoomsChunk, filter: &Filter) -> bool {
    let kind = RoomTypeFilter::from(entry.room_type.clone());
    let right_kind = filter.room_types.is_empty() || filter.room_types.contains(&kind);
    right_kind && filter.generic_search_term.as_deref().is_none_or(|term| mentions(entry, term))
}

/// Whether name, topic or alias of a room hold `term`, in whatever case.
fn mentions(entry: &PublicRoomsChunk, term: &str) -> bool {
    let alias = entry.canonical_alias.as_ref().map(|alias| alias.as_str());
    let texts = [entry.name.as_deref(), entry.topic.as_deref(), alias];
    let term = term.trim().to_lowercase();
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&term))
}

#[derive(Deserialize)]
struct CanonicalAlias {
    alias: OwnedRoomAliasId,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Avatar {
    url: OwnedMxcUri,
}

#[derive(Deserialize)]
struct GuestAccess {
    guest_access: String,
}

#[derive(Deserialize)]
struct JoinRule {
    join_rule: JoinRuleKind,
}

#[derive(Deserialize)]
struct Create {
    #[serde(rename = "type")]
    room_type: Option<RoomType>,
}

#[derive(Deserialize)]
struct Topic {
    topic: Option<String>,
    #[serde(rename = "m.topic")]
    rich: Option<RichTopic>,
}

#[derive(Deserialize)]
struct RichTopic {
    #[serde(rename = "m.text", default)]
    text: Vec<TopicText>,
}

#[derive(Deserialize)]
struct TopicText {
    body: String,
    mimetype: Option<String>,
}

impl Topic {
    /// The topic as plain text: from its rich form if it has one, where text without a type is plain.
    fn plain(self) -> Option<String> {
        let is_plain = |text: &TopicText| text.mimetype.as_deref().is_none_or(|kind| kind == "text/plain");
        let rich = self.rich.and_then(|rich| rich.text.into_iter().find(is_plain)).map(|text| text.body);
        rich.or(self.topic).filter(|topic| !topic.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn topic(content: Value) -> Option<String> {
        serde_json::from_value::<Topic>(content).unwrap().plain()
    }

    fn sample() -> PublicRoomsChunk {
        let mut entry = PublicRoomsChunk::from(PublicRoomsChunkInit {
            num_joined_members: 1u32.into(),
            room_id: "!a:example.org".try_into().unwrap(),
            world_readable: false,
            guest_can_join: false,
        });
        entry.name = Some("Tea and Ümlauts".to_owned());
        entry.topic = Some("Everything hot".to_owned());
        entry.canonical_alias = Some("#kettle:example.org".try_into().unwrap());
        entry
    }

    #[test]
    fn a_topic_is_shown_as_plain_text() {
        assert_eq!(topic(json!({ "topic": "plain" })).as_deref(), Some("plain"));
        let html = json!({ "body": "<b>", "mimetype": "text/html" });
        let rich = json!({ "topic": "old", "m.topic": { "m.text": [html, { "body": "rich" }] } });
        assert_eq!(topic(rich).as_deref(), Some("rich"));
        assert_eq!(topic(json!({ "topic": "old", "m.topic": { "m.text": [html] } })).as_deref(), Some("old"));
        assert_eq!(topic(json!({ "topic": "" })), None);
        assert_eq!(topic(json!({})), None);
    }

    #[test]
    fn a_term_is_looked_for_in_name_topic_and_alias() {
        let found = |term: &str| mentions(&sample(), term);
        assert!(found("TEA") && found("ümlaut") && found("hot") && found("#kettle") && found(" tea "));
        assert!(!found("coffee") && !found("!a"));
    }

    #[test]
    fn kinds_of_rooms_are_told_apart() {
        let finds = |room_type: Option<&str>, wanted: &[Option<&str>]| {
            let mut entry = sample();
            entry.room_type = room_type.map(RoomType::from);
            let mut filter = Filter::new();
            filter.room_types = wanted.iter().map(|kind| RoomTypeFilter::from(*kind)).collect();
            passes(&entry, &filter)
        };
        assert!(finds(None, &[]) && finds(Some("m.space"), &[]));
        assert!(finds(None, &[None]) && !finds(Some("m.space"), &[None]));
        assert!(finds(Some("m.space"), &[None, Some("m.space")]) && !finds(None, &[Some("m.space")]));
        assert!(finds(Some("org.example.x"), &[Some("org.example.x")]) && !finds(None, &[Some("org.example.x")]));
    }
}
