//! What one may know of a room without being in it: its name, its topic, how many are there, and how one gets in
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-summaries)).

use ruma::{
    EventEncryptionAlgorithm, OwnedMxcUri, OwnedRoomAliasId, RoomOrAliasId, UserId,
    events::{
        StateEventType,
        room::{history_visibility::HistoryVisibility, member::MembershipState},
    },
    room::{JoinRule, JoinRuleSummary, RoomSummary, RoomType},
};
use serde::Deserialize;

use super::{Room, RoomState, Rooms, restricted::allowing_rooms};
use crate::{
    error::{Error, Result},
    matrix::history_visibility::visibility_of,
};

impl Rooms {
    /// The summary of a room, and the membership of the reader in it.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if this server does not know the room, or the reader may not know
    /// that it exists: it is open to those who could join or knock, who are invited, and to members.
    pub async fn summary(
        &self,
        id_or_alias: &RoomOrAliasId,
        reader: Option<&UserId>,
    ) -> Result<(RoomSummary, Option<MembershipState>)> {
        let room = self.room(&self.find(id_or_alias).await?).await?;
        let state = room.current();
        let membership = reader.map(|reader| state.membership(reader));
        match self.summary_for(&room, &state, reader).await? {
            Some(summary) => Ok((summary, membership)),
            None => Err(Error::not_found("This server does not know that room.")),
        }
    }

    /// The summary of a room whose state is `state`, if the reader may know that it exists.
    pub(super) async fn summary_for(
        &self,
        room: &Room,
        state: &RoomState,
        reader: Option<&UserId>,
    ) -> Result<Option<RoomSummary>> {
        let summary = summary(room, state);
        let membership = reader.map(|reader| state.membership(reader));
        let rules = &room.rules.authorization;
        let is_open = summary.world_readable
            || match summary.join_rule {
                JoinRuleSummary::Public => true,
                JoinRuleSummary::Knock => rules.knocking,
                JoinRuleSummary::KnockRestricted(_) => rules.knock_restricted_join_rule,
                _ => false,
            };
        let is_concerned =
            matches!(membership, Some(MembershipState::Join | MembershipState::Invite | MembershipState::Knock));
        let is_told = is_open || is_concerned || self.may_enter(room, state, reader).await?;
        Ok(is_told.then_some(summary))
    }

    /// Whether the reader is in one of the rooms whose members may join this one.
    async fn may_enter(&self, room: &Room, state: &RoomState, reader: Option<&UserId>) -> Result<bool> {
        match (reader, allowing_rooms(room, state)) {
            (Some(reader), Some(allowing)) => self.is_in_any(reader, &allowing).await,
            _ => Ok(false),
        }
    }
}

/// The summary of a room whose state is `state`, for whoever may have it.
pub(super) fn summary(room: &Room, state: &RoomState) -> RoomSummary {
    let visibility = state.get(&StateEventType::RoomHistoryVisibility, "");
    let guest_access = state.content::<GuestAccess>(&StateEventType::RoomGuestAccess, "");
    // A room without a join rule that can be read can be entered by invitation only.
    let join_rule = state.content::<JoinRule>(&StateEventType::RoomJoinRules, "").unwrap_or(JoinRule::Invite);
    let mut summary = RoomSummary::new(
        room.id.clone(),
        join_rule.into(),
        guest_access.is_some_and(|content| content.guest_access == "can_join"),
        (state.joined.len() as u32).into(),
        visibility_of(visibility.map(|event| &**event)) == HistoryVisibility::WorldReadable,
    );
    summary.canonical_alias =
        state.content::<CanonicalAlias>(&StateEventType::RoomCanonicalAlias, "").map(|it| it.alias);
    summary.name =
        state.content::<Name>(&StateEventType::RoomName, "").map(|it| it.name).filter(|name| !name.is_empty());
    summary.topic = state.content::<Topic>(&StateEventType::RoomTopic, "").and_then(Topic::plain);
    summary.avatar_url = state.content::<Avatar>(&StateEventType::RoomAvatar, "").map(|it| it.url);
    summary.room_type = state.content::<Create>(&StateEventType::RoomCreate, "").and_then(|it| it.room_type);
    summary.encryption = state.content::<Encryption>(&StateEventType::RoomEncryption, "").map(|it| it.algorithm);
    summary.room_version = Some(room.version.clone());
    summary
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
struct Encryption {
    algorithm: EventEncryptionAlgorithm,
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
}
