//! What clients asked for before there was `/sync`: everything at once, and then one event after the other.

use ruma::{
    OwnedRoomId, RoomId, UserId,
    api::client::{filter::FilterDefinition, room::Visibility},
    events::{
        AnyGlobalAccountDataEvent, AnyRoomAccountDataEvent, AnyStateEvent, AnyTimelineEvent, presence::PresenceEvent,
        room::member::MembershipState,
    },
    serde::Raw,
};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{Reading, StateExtent, StateStyle, Sync, account_data, presence};
use crate::{
    error::Result,
    matrix::{
        client_event::{Unsigned, state},
        relation_filter::RelationFilter,
    },
    rooms::{Heard, PageToken, Peek, Reader},
    storage::{Order, Position},
};

/// Everything of a user at one moment, as `/initialSync` gives it.
#[derive(Debug, Serialize)]
pub struct InitialAnswer {
    end: String,
    rooms: Vec<RoomInfo>,
    presence: Vec<Raw<PresenceEvent>>,
    account_data: Vec<Raw<AnyGlobalAccountDataEvent>>,
}

/// One room of it.
#[derive(Debug, Serialize)]
struct RoomInfo {
    room_id: OwnedRoomId,
    membership: MembershipState,
    #[serde(skip_serializing_if = "Option::is_none")]
    invite: Option<Raw<AnyStateEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Chunk>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<Raw<AnyStateEvent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    account_data: Vec<Raw<AnyRoomAccountDataEvent>>,
}

/// The newest messages of a room.
#[derive(Debug, Serialize)]
struct Chunk {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    end: String,
    chunk: Vec<Raw<AnyTimelineEvent>>,
}

impl Sync {
    /// Everything of a user: the rooms that they are in or invited to, with the newest `limit` messages of each, and those
    /// that they have left if `archived`.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn initial(&self, reader: Reader<'_>, limit: u64, archived: bool) -> Result<InitialAnswer> {
        let reading = self.whole(reader);
        let mut rooms = Vec::new();
        for (room_id, row) in self.rooms.of_user(&reading.snapshot, reader.user).await? {
            match row.value.membership {
                MembershipState::Join => rooms.push(self.room_info(&reading, reader, room_id, limit).await?),
                MembershipState::Invite => rooms.extend(self.invitation_to(&reading, room_id, row.at).await?),
                MembershipState::Leave | MembershipState::Ban if archived && !row.value.forgotten => {
                    // Who was never in it has nothing to see there.
                    let viewer = self.rooms.viewer(&reading.snapshot, &room_id, reader.user).await?;
                    if viewer.was_ever_joined() {
                        rooms.push(self.room_info(&reading, reader, room_id, limit).await?);
                    }
                }
                _ => {}
            }
        }
        Ok(InitialAnswer {
            end: PageToken::at(reading.snapshot.position()).to_string(),
            rooms,
            presence: presence::section(self, &reading, &Default::default()).await?.events,
            account_data: account_data::global(self, &reading, None).await?,
        })
    }

    /// The account data of a user for one room, as events.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn account_data_of_room(
        &self,
        user: &UserId,
        room_id: &RoomId,
    ) -> Result<Vec<Raw<AnyRoomAccountDataEvent>>> {
        let reading = self.whole(Reader { user, device: "".into() });
        account_data::of_room(self, &reading, room_id, None).await
    }

    /// What happens after `from`, or from now on, in the rooms that the reader is in. Waits for something until `deadline`.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn listen(&self, reader: Reader<'_>, from: Option<PageToken>, deadline: Instant) -> Result<Heard> {
        let watch = self.notifier.watch(reader.user);
        let from = from.unwrap_or_else(|| self.rooms.now());
        loop {
            let heard = self.rooms.heard_everywhere(reader, from).await?;
            if !heard.chunk.is_empty() || self.shutdown.has_begun() {
                return Ok(heard);
            }
            tokio::select! {
                woken = timeout_at(deadline, watch.changed()) => if woken.is_err() { return Ok(heard) },
                () = self.shutdown.begun() => return Ok(heard),
            }
        }
    }

    /// A look at everything, as of now.
    fn whole(&self, reader: Reader<'_>) -> Reading {
        Reading {
            user: reader.user.to_owned(),
            device: reader.device.to_owned(),
            snapshot: self.store.snapshot(),
            since: None,
            filter: FilterDefinition::default(),
            relations: RelationFilter::default(),
            extent: StateExtent::Full,
            state_style: StateStyle::Before,
        }
    }

    async fn room_info(
        &self,
        reading: &Reading,
        reader: Reader<'_>,
        room_id: OwnedRoomId,
        limit: u64,
    ) -> Result<RoomInfo> {
        let Peek { membership, chunk, start, end, state, visibility } =
            self.rooms.peek(&room_id, reader, limit).await?;
        let account_data = account_data::of_room(self, reading, &room_id, None).await?;
        let start = start.map(|start| start.to_string());
        let messages = Some(Chunk { start, end: end.to_string(), chunk });
        Ok(RoomInfo { room_id, membership, invite: None, messages, state, visibility: Some(visibility), account_data })
    }

    /// An invitation, unless the user does not want to hear from who sent it.
    async fn invitation_to(&self, reading: &Reading, room_id: OwnedRoomId, at: Position) -> Result<Option<RoomInfo>> {
        let room = self.rooms.room(&room_id).await?;
        let invited = self.rooms.state_at(&room, Order::Live(at)).await?;
        let Some(own) = invited.member(&reading.user) else { return Ok(None) };
        if !self.rooms.hears_invitation(&reading.snapshot, &reading.user, &own.sender).await? {
            return Ok(None);
        }
        let unsigned = Unsigned { membership: Some(MembershipState::Invite), ..Unsigned::default() };
        let invite = Some(state(own, &unsigned));
        let (membership, account_data) = (MembershipState::Invite, Vec::new());
        Ok(Some(RoomInfo {
            room_id,
            membership,
            invite,
            messages: None,
            state: Vec::new(),
            visibility: None,
            account_data,
        }))
    }
}
