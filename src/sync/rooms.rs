//! Sorts the rooms of a sync into joined, invited, knocked and left.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use ruma::{
    OwnedRoomId, OwnedUserId, api::client::sync::sync_events::v3::Rooms as RoomSections,
    events::room::member::MembershipState,
};
use tokio::task::coop::consume_budget;

use super::{Reading, StateExtent, Sync, changed::Changed, invited, joined, left};
use crate::{
    error::Result,
    matrix::event_filter::room_passes,
    storage::{Stamped, schema::rooms::Membership},
    users::RoomsAccountData,
};

/// The rooms of an answer, and whom the user met in them.
pub(super) struct Sections {
    /// The rooms by membership.
    pub rooms: RoomSections,
    /// The people who share a room with the user since the last answer, as far as the rooms tell.
    pub met: HashSet<OwnedUserId>,
}

/// What is read once for all rooms of an answer.
pub(super) struct AtHand {
    /// Whom the user does not want to hear of.
    pub ignored: Arc<BTreeSet<OwnedUserId>>,
    /// All account data for rooms, for a device that starts.
    pub account_data: Option<RoomsAccountData>,
}

impl AtHand {
    async fn of(sync: &Sync, reading: &Reading) -> Result<Self> {
        let ignored = Arc::new(sync.rooms.ignored_by(&reading.snapshot, &reading.user).await?);
        let account_data = match reading.since {
            None => Some(sync.account_data.of_all_rooms(&reading.snapshot, &reading.user).await?),
            Some(_) => None,
        };
        Ok(Self { ignored, account_data })
    }
}

/// The rooms that the answer speaks of: all of the user's at first, then those in which something changed.
pub(super) async fn sections(sync: &Sync, reading: &Reading, changed: Option<&Changed>) -> Result<Sections> {
    let mut sections = RoomSections::new();
    let mut met = HashSet::new();
    let candidates = candidates(sync, reading, changed).await?;
    if candidates.is_empty() {
        return Ok(Sections { rooms: sections, met });
    }
    let at_hand = AtHand::of(sync, reading).await?;
    for (room_id, membership) in candidates {
        // Nothing here waits as long as memory has it all, and others wait for the thread meanwhile.
        consume_budget().await;
        if !room_passes(&reading.filter.room, &room_id) {
            continue;
        }
        match membership.value.membership {
            MembershipState::Join => {
                if let Some(room) = joined::section(sync, reading, &room_id, changed, &at_hand).await? {
                    met.extend(room.met);
                    sections.join.insert(room_id, room.section);
                }
            }
            MembershipState::Invite => {
                let room = invited::invitation(sync, reading, (&room_id, &membership), changed).await?;
                sections.invite.extend(room.map(|room| (room_id, room)));
            }
            MembershipState::Knock => {
                let room = invited::knock(sync, reading, &room_id, &membership).await?;
                sections.knock.extend(room.map(|room| (room_id, room)));
            }
            _ => {
                let room = left::section(sync, reading, &room_id, &membership).await?;
                sections.leave.extend(room.map(|room| (room_id, room)));
            }
        }
    }
    Ok(Sections { rooms: sections, met })
}

/// The rooms to look at, with the user's membership.
async fn candidates(
    sync: &Sync,
    reading: &Reading,
    changed: Option<&Changed>,
) -> Result<Vec<(OwnedRoomId, Stamped<Membership>)>> {
    let (Some(changed), StateExtent::Changes) = (changed, reading.extent) else {
        return sync.rooms.of_user(&reading.snapshot, &reading.user).await;
    };
    if changed.what_counts() {
        let all = sync.rooms.of_user(&reading.snapshot, &reading.user).await?.into_iter();
        let joined = |row: &Stamped<Membership>| row.value.membership == MembershipState::Join;
        return Ok(all.filter(|(room_id, row)| joined(row) || changed.rooms.contains(room_id)).collect());
    }
    let mut candidates = Vec::new();
    for room_id in &changed.rooms {
        let membership = sync.rooms.membership(&reading.snapshot, room_id, &reading.user).await?;
        candidates.extend(membership.map(|membership| (room_id.clone(), membership)));
    }
    Ok(candidates)
}
