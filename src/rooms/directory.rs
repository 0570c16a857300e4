//! The public directory: which rooms are published in it, and what it shows of them
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#published-room-directory)).

use std::{cmp::Reverse, collections::BTreeSet, fmt, str::FromStr};

use ruma::{
    OwnedRoomId, RoomId, UserId,
    api::client::room::Visibility,
    directory::{Filter, PublicRoomsChunk},
};

use super::{Rooms, directory_filter::passes, summary::summary};
use crate::{
    error::{Error, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::{appservices::NETWORK_DIRECTORY, rooms::DIRECTORY},
    },
};

/// How many rooms a page has when nobody asks for a number.
const USUAL_PAGE: usize = 100;
/// The most that a page has.
const LARGEST_PAGE: usize = 500;

/// Which part of the directory is wanted.
#[derive(Clone, Debug, Default)]
pub struct DirectoryRequest {
    /// Whose directory.
    pub network: DirectoryNetwork,
    /// What rooms must be like.
    pub filter: Filter,
    /// Where the page begins or ends; from the start without it.
    pub batch: Option<DirectoryBatch>,
    /// How many rooms are wanted at most.
    pub limit: Option<usize>,
}

/// Whose directory is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DirectoryNetwork {
    /// The server's own.
    #[default]
    Matrix,
    /// The one of an application service for a network, by the id of the instance.
    Bridged(String),
    /// All of them together.
    All,
}

/// A page of the directory.
#[derive(Clone, Debug, Default)]
pub struct DirectoryPage {
    /// The rooms, those with the most members first.
    pub rooms: Vec<PublicRoomsChunk>,
    /// The page before, if there is one.
    pub previous: Option<DirectoryBatch>,
    /// The page after, if there is one.
    pub next: Option<DirectoryBatch>,
    /// How many rooms there are on all pages.
    pub total: usize,
}

/// Where in the directory's order a room stands: by the number of members, the largest first, and by id among equals.
type Rank = (Reverse<u64>, OwnedRoomId);

/// A page that begins behind a rank or ends before one.
///
/// Its text form, `n<members>_<room>` or `p<members>_<room>`, is opaque to clients. It holds although rooms come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryBatch {
    /// The rooms behind this rank.
    After(Rank),
    /// The rooms before this rank.
    Before(Rank),
}

impl Rooms {
    /// Puts a room into the directory or takes it out, on behalf of someone who may decide how it is found.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if this server does not know the room,
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the user may not decide,
    /// [`Kind::InvalidParam`](crate::error::Kind::InvalidParam) for a visibility that is neither public nor private.
    pub async fn set_visibility(&self, room_id: &RoomId, user: &UserId, visibility: &Visibility) -> Result<()> {
        let room = self.room(room_id).await?;
        if !self.may_publish(&room, user).await? {
            return Err(Error::forbidden("You may not decide whether this room stands in the public directory."));
        }
        let mut batch = Batch::new();
        batch.slots(0);
        match visibility {
            Visibility::Public => DIRECTORY.put(&mut batch, (room_id,), &()),
            Visibility::Private => DIRECTORY.delete(&mut batch, (room_id,)),
            _ => return Err(Error::invalid("A room is public or private in the directory.")),
        }
        self.shared.store.commit(batch).await.map(drop)
    }

    /// Puts a room into the directory of an application service for one of its networks, or takes it out.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if this server does not know the room,
    /// [`Kind::InvalidParam`](crate::error::Kind::InvalidParam) for a visibility that is neither public nor private, and for a
    /// name of a network that is longer than 255 bytes.
    pub async fn set_network_visibility(
        &self,
        room_id: &RoomId,
        (service, network): (&str, &str),
        visibility: &Visibility,
    ) -> Result<()> {
        if network.len() > 255 {
            return Err(Error::invalid("The name of a network has at most 255 bytes."));
        }
        self.room(room_id).await?;
        let instance = format!("{service}|{network}");
        let mut batch = Batch::new();
        batch.slots(0);
        match visibility {
            Visibility::Public => NETWORK_DIRECTORY.put(&mut batch, (&instance, room_id), &()),
            Visibility::Private => NETWORK_DIRECTORY.delete(&mut batch, (&instance, room_id)),
            _ => return Err(Error::invalid("A room is public or private in the directory.")),
        }
        self.shared.store.commit(batch).await.map(drop)
    }

    /// Whether a room stands in the directory.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if this server does not know the room.
    pub async fn visibility(&self, room_id: &RoomId) -> Result<Visibility> {
        self.room(room_id).await?;
        Ok(match DIRECTORY.exists(&self.shared.store.snapshot(), (room_id,)).await? {
            true => Visibility::Public,
            false => Visibility::Private,
        })
    }

    /// A page of the published rooms. Rooms that everybody has left are not shown.
    pub async fn directory(&self, request: &DirectoryRequest) -> Result<DirectoryPage> {
        let snapshot = self.shared.store.snapshot();
        let published = published(&snapshot, &request.network).await?;
        let mut rooms = Vec::new();
        for room_id in published {
            let room = self.room(&room_id).await?;
            let entry = PublicRoomsChunk::from(summary(&room, &room.current()));
            if entry.num_joined_members > 0u32.into() && passes(&entry, &request.filter) {
                rooms.push(entry);
            }
        }
        rooms.sort_by_cached_key(rank);
        Ok(page(rooms, request))
    }
}

/// The rooms that stand in a directory.
async fn published(snapshot: &Snapshot, network: &DirectoryNetwork) -> Result<BTreeSet<OwnedRoomId>> {
    let mut rooms = BTreeSet::new();
    if let DirectoryNetwork::Bridged(instance) = network {
        let range = KeyRange::prefix((instance,));
        let bridged = NETWORK_DIRECTORY.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        rooms.extend(bridged.into_iter().map(|((_, room_id), ())| room_id));
        return Ok(rooms);
    }
    let own = DIRECTORY.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
    rooms.extend(own.into_iter().map(|((room_id,), ())| room_id));
    if *network == DirectoryNetwork::All {
        let bridged = NETWORK_DIRECTORY.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        rooms.extend(bridged.into_iter().map(|((_, room_id), ())| room_id));
    }
    Ok(rooms)
}

fn rank(room: &PublicRoomsChunk) -> Rank {
    (Reverse(room.num_joined_members.into()), room.room_id.clone())
}

/// Cuts the wanted page out of all the rooms in their order.
fn page(mut rooms: Vec<PublicRoomsChunk>, request: &DirectoryRequest) -> DirectoryPage {
    let limit = request.limit.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE);
    let total = rooms.len();
    let (start, end) = match &request.batch {
        None => (0, limit.min(total)),
        Some(DirectoryBatch::After(last)) => {
            let start = rooms.partition_point(|room| rank(room) <= *last);
            (start, (start + limit).min(total))
        }
        Some(DirectoryBatch::Before(first)) => {
            let end = rooms.partition_point(|room| rank(room) < *first);
            (end.saturating_sub(limit), end)
        }
    };
    let rooms: Vec<_> = rooms.drain(start..end).collect();
    DirectoryPage {
        previous: rooms.first().filter(|_| start > 0).map(|room| DirectoryBatch::Before(rank(room))),
        next: rooms.last().filter(|_| end < total).map(|room| DirectoryBatch::After(rank(room))),
        rooms,
        total,
    }
}

impl fmt::Display for DirectoryBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, (Reverse(members), room_id)) = match self {
            Self::After(rank) => ('n', rank),
            Self::Before(rank) => ('p', rank),
        };
        write!(f, "{direction}{members}_{room_id}")
    }
}

impl FromStr for DirectoryBatch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (direction, rank) = text.split_at_checked(1)?;
            let (members, room_id) = rank.split_once('_')?;
            let rank = (Reverse(members.parse().ok()?), RoomId::parse(room_id).ok()?);
            match direction {
                "n" => Some(Self::After(rank)),
                "p" => Some(Self::Before(rank)),
                _ => None,
            }
        };
        parse().ok_or_else(|| Error::invalid(format!("{text:?} is not a batch of this server's directory.")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::directory::PublicRoomsChunkInit;

    use super::*;

    fn room(name: &str, members: u32) -> PublicRoomsChunk {
        PublicRoomsChunkInit {
            num_joined_members: members.into(),
            room_id: RoomId::parse(format!("!{name}:example.org")).unwrap(),
            world_readable: false,
            guest_can_join: false,
        }
        .into()
    }

    fn names(page: &DirectoryPage) -> String {
        page.rooms.iter().map(|room| &room.room_id.as_str()[1..2]).collect()
    }

    fn all() -> Vec<PublicRoomsChunk> {
        let mut rooms = vec![room("e", 1), room("b", 5), room("d", 2), room("a", 9), room("c", 5)];
        rooms.sort_by_cached_key(rank);
        rooms
    }

    fn at(batch: Option<DirectoryBatch>) -> DirectoryRequest {
        DirectoryRequest { batch, limit: Some(2), ..DirectoryRequest::default() }
    }

    #[test]
    fn pages_follow_each_other_forward_and_back() {
        let first = page(all(), &at(None));
        assert_eq!((names(&first).as_str(), first.total, &first.previous), ("ab", 5, &None));
        let second = page(all(), &at(first.next));
        assert_eq!(names(&second), "cd");
        let third = page(all(), &at(second.next));
        assert_eq!((names(&third).as_str(), &third.next), ("e", &None));
        let back = page(all(), &at(third.previous));
        assert_eq!(names(&back), "cd");
        let start = page(all(), &at(back.previous));
        assert_eq!((names(&start).as_str(), &start.previous), ("ab", &None));
    }

    #[test]
    fn a_page_goes_on_where_it_was_although_its_last_room_is_gone() {
        let next = page(all(), &at(None)).next;
        let left: Vec<_> = all().into_iter().filter(|room| room.room_id != "!b:example.org").collect();
        assert_eq!(names(&page(left, &at(next))), "cd");
    }

    #[test]
    fn no_rooms_are_one_empty_page() {
        let empty = page(Vec::new(), &at(None));
        assert_eq!((names(&empty).as_str(), empty.total, empty.next, empty.previous), ("", 0, None, None));
    }

    proptest! {
        #[test]
        fn a_batch_survives_its_text_form(members: u64, after: bool) {
            let rank = (Reverse(members), RoomId::parse("!with_line:example.org").unwrap());
            let batch = if after { DirectoryBatch::After(rank) } else { DirectoryBatch::Before(rank) };
            prop_assert_eq!(batch.to_string().parse::<DirectoryBatch>().unwrap(), batch);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<DirectoryBatch>();
        }
    }
}
