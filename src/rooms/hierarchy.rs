//! Walks through a space and what is in it
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#discovering-rooms-within-spaces)).
//!
//! Between two pages the server keeps nothing: the token says on which path the walk has got how far, so that a page costs the
//! spaces on this path and the rooms that it looks at, wherever in the walk it is.

use std::{collections::VecDeque, sync::Arc};

use ruma::{
    OwnedRoomId, RoomId, UserId,
    api::client::space::SpaceHierarchyRoomsChunk,
    room::RoomSummary,
    serde::{Base64, base64::UrlSafe},
};
use serde::{Deserialize, Serialize};

use super::{
    RoomState, Rooms,
    space_children::{ChildPlace, children, is_space, shown},
};
use crate::error::{Error, Kind, Result};

/// How many rooms a page has when nobody asks for a number.
const USUAL_PAGE: usize = 50;
/// The most that a page has.
const LARGEST_PAGE: usize = 100;
/// How many rooms a page looks at, also those that its reader may not see.
const LOOKED_AT: usize = 500;
/// How deep a walk goes at most.
const DEEPEST: u64 = 50;
/// How many rooms a whole walk has at most: spaces that share children have more ways through them than anyone can follow.
const LONGEST_WALK: u32 = 20_000;

/// Which part of which walk is wanted.
#[derive(Clone, Debug, Default)]
pub struct HierarchyRequest {
    /// Whether only children that their spaces suggest are followed.
    pub suggested_only: bool,
    /// How deep to go.
    pub max_depth: Option<u64>,
    /// How many rooms are wanted at most.
    pub limit: Option<u64>,
    /// The token of the page before.
    pub from: Option<String>,
}

/// Some of the rooms of a space.
#[derive(Debug, Default)]
pub struct HierarchyPage {
    /// The rooms.
    pub rooms: Vec<SpaceHierarchyRoomsChunk>,
    /// The token for the next page, if there is one.
    pub next: Option<String>,
}

/// How far a walk has got, and which walk it is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    root: OwnedRoomId,
    suggested_only: bool,
    max_depth: u64,
    /// How many rooms the walk has shown.
    shown: u32,
    /// The child that was looked at last in each space on the path, from the root on; none in a space that was just entered.
    path: Vec<Option<ChildPlace>>,
}

/// A space on the path of a walk.
struct Level {
    room_id: OwnedRoomId,
    last: Option<ChildPlace>,
    ahead: VecDeque<ChildPlace>,
}

impl Rooms {
    /// A page of the rooms in a space, the space itself first and each space before what is in it.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the reader may not know the space or there is none, [`Kind::InvalidParam`] for a token that is
    /// none or belongs to a walk with other parameters, and for a limit of zero.
    pub async fn hierarchy(&self, root: &RoomId, reader: &UserId, request: HierarchyRequest) -> Result<HierarchyPage> {
        if request.limit == Some(0) {
            return Err(Error::invalid("The limit must be greater than zero."));
        }
        let limit = request.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USUAL_PAGE);
        let mut walk = Progress {
            root: root.to_owned(),
            suggested_only: request.suggested_only,
            max_depth: request.max_depth.unwrap_or(DEEPEST).min(DEEPEST),
            shown: 0,
            path: Vec::new(),
        };
        let (summary, state) = self.known(root, reader).await?.ok_or_else(closed)?;
        let mut page = HierarchyPage::default();
        let mut levels = match &request.from {
            Some(token) => {
                walk.take_up(token)?;
                self.levels(&walk, reader).await?
            }
            None => {
                page.rooms.push(entry(summary, &state, walk.suggested_only)?);
                let entered = is_space(&state) && walk.max_depth > 0;
                Vec::from_iter(entered.then(|| Level::enter(root, &state, walk.suggested_only, None)))
            }
        };
        self.walk(&walk, &mut levels, reader, limit.min(LARGEST_PAGE), &mut page).await?;
        walk.shown = walk.shown.saturating_add(page.rooms.len() as u32);
        walk.path = levels.iter().map(|level| level.last.clone()).collect();
        if levels.iter().any(|level| !level.ahead.is_empty()) && walk.shown < LONGEST_WALK {
            page.next = Some(walk.token()?);
        }
        Ok(page)
    }

    /// Goes on from where `levels` stand, until the page is full or the walk is over.
    async fn walk(
        &self,
        walk: &Progress,
        levels: &mut Vec<Level>,
        reader: &UserId,
        limit: usize,
        page: &mut HierarchyPage,
    ) -> Result<()> {
        let mut looked_at = 0;
        while page.rooms.len() < limit && looked_at < LOOKED_AT {
            let Some(level) = levels.last_mut() else { return Ok(()) };
            let Some(child) = level.ahead.pop_front() else {
                levels.pop();
                continue;
            };
            level.last = Some(child.clone());
            looked_at += 1;
            if levels.iter().any(|level| level.room_id == child.room_id) {
                // A space that is in itself.
                continue;
            }
            let Some((summary, state)) = self.known(&child.room_id, reader).await? else { continue };
            page.rooms.push(entry(summary, &state, walk.suggested_only)?);
            if is_space(&state) && (levels.len() as u64) < walk.max_depth {
                levels.push(Level::enter(&child.room_id, &state, walk.suggested_only, None));
            }
        }
        Ok(())
    }

    /// The spaces on the path of a walk, up to the first that its reader may not know any more.
    async fn levels(&self, walk: &Progress, reader: &UserId) -> Result<Vec<Level>> {
        let mut levels = Vec::with_capacity(walk.path.len());
        let mut room_id = walk.root.clone();
        for last in &walk.path {
            let Some((_, state)) = self.known(&room_id, reader).await?.filter(|(_, state)| is_space(state)) else {
                break;
            };
            levels.push(Level::enter(&room_id, &state, walk.suggested_only, last.clone()));
            match last {
                Some(child) => room_id = child.room_id.clone(),
                None => break,
            }
        }
        Ok(levels)
    }

    /// The summary of a room and its state, if it is there and the reader may know it.
    async fn known(&self, room_id: &RoomId, reader: &UserId) -> Result<Option<(RoomSummary, Arc<RoomState>)>> {
        let room = match self.room(room_id).await {
            Ok(room) => room,
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let state = room.current();
        Ok(self.summary_for(&room, &state, Some(reader)).await?.map(|summary| (summary, state)))
    }
}

/// What is shown of a room: its summary and the links to its children.
fn entry(summary: RoomSummary, state: &RoomState, suggested_only: bool) -> Result<SpaceHierarchyRoomsChunk> {
    let links = match is_space(state) {
        true => children(state, suggested_only).into_iter().map(|(_, link)| shown(link)).collect::<Result<_>>()?,
        false => Vec::new(),
    };
    Ok(SpaceHierarchyRoomsChunk::new(summary, links))
}

impl Level {
    /// A space in which the children up to `last` were looked at.
    fn enter(room_id: &RoomId, state: &RoomState, suggested_only: bool, last: Option<ChildPlace>) -> Self {
        let places = children(state, suggested_only).into_iter().map(|(place, _)| place);
        let ahead = places.filter(|place| last.as_ref().is_none_or(|last| place > last)).collect();
        Self { room_id: room_id.to_owned(), last, ahead }
    }
}

impl Progress {
    fn token(&self) -> Result<String> {
        let json = serde_json::to_vec(self).map_err(Error::internal)?;
        Ok(Base64::<UrlSafe, _>::new(json).encode())
    }

    /// Goes on where the walk of `token` was, which must be the same one.
    fn take_up(&mut self, token: &str) -> Result<()> {
        let json = Base64::<UrlSafe>::parse(token).ok();
        let other: Option<Self> = json.and_then(|json| serde_json::from_slice(json.as_bytes()).ok());
        let other = other.ok_or_else(|| Error::invalid("The server does not know this pagination token."))?;
        let is_same = (&other.root, other.suggested_only, other.max_depth)
            == (&self.root, self.suggested_only, self.max_depth)
            && other.path.len() as u64 <= self.max_depth;
        if !is_same {
            return Err(Error::invalid("This pagination token belongs to a request with other parameters."));
        }
        *self = other;
        Ok(())
    }
}

fn closed() -> Error {
    Error::forbidden("There is no such space, or you may not look into it.")
}
