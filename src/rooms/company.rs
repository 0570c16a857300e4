//! Who shares a room with whom: those who have to hear of a user's devices.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use tracing::warn;

use super::Rooms;
use crate::{
    error::Result,
    shutdown::Shutdown,
    storage::{
        Direction, KeyRange, Order, Position, Snapshot, Stamped,
        schema::rooms::{Membership, STATE_CHANGES, STATE_HISTORY},
    },
};

/// How the company of a user changed between two positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// Those who shared no room with the user before, and do now.
    pub met: BTreeSet<OwnedUserId>,
    /// Those who shared a room with the user before, and do not any more.
    pub parted: BTreeSet<OwnedUserId>,
}

/// The rooms that somebody was joined to at the first of two positions, at the second, or at both.
type Stays = BTreeMap<OwnedRoomId, (bool, bool)>;

impl Rooms {
    /// How the company of `user` changed between two positions, of which the second is not after `snapshot`, if memberships
    /// changed in no other rooms of theirs than the `changed` ones.
    ///
    /// Costs as much as these rooms have changes of membership; where the user came or went, as they have members.
    pub async fn company_between(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        (since, until): (Position, Position),
        changed: &BTreeSet<OwnedRoomId>,
    ) -> Result<Company> {
        let mut candidates = BTreeSet::new();
        for room_id in changed {
            candidates.extend(self.moved(snapshot, user, room_id, (since, until)).await?);
        }
        candidates.remove(user);
        let mut company = Company::default();
        if candidates.is_empty() {
            return Ok(company);
        }
        let own = self.stays(snapshot, user, (since, until)).await?;
        for other in candidates {
            let theirs = self.stays(snapshot, &other, (since, until)).await?;
            let shared = |end: fn(&(bool, bool)) -> bool| {
                theirs.iter().any(|(room_id, stay)| end(stay) && own.get(room_id).is_some_and(end))
            };
            match (shared(|stay| stay.0), shared(|stay| stay.1)) {
                (false, true) => drop(company.met.insert(other)),
                (true, false) => drop(company.parted.insert(other)),
                _ => {}
            }
        }
        Ok(company)
    }

    /// Those of `others` who share a room with `user` at `position`, which is not after `snapshot`; and the user, if among them.
    pub async fn in_company(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        position: Position,
        others: impl IntoIterator<Item = OwnedUserId>,
    ) -> Result<BTreeSet<OwnedUserId>> {
        let (mut company, mut own) = (BTreeSet::new(), None);
        for other in others {
            if *other == *user {
                company.insert(other);
                continue;
            }
            let own = match &own {
                Some(own) => own,
                None => own.insert(self.stays(snapshot, user, (position, position)).await?),
            };
            let theirs = self.stays(snapshot, &other, (position, position)).await?;
            if theirs.keys().any(|room_id| own.contains_key(room_id)) {
                company.insert(other);
            }
        }
        Ok(company)
    }

    /// Wakes the clients of those who share a room with somebody whose devices changed, until the server stops.
    pub async fn wake_company(self, shutdown: Shutdown) {
        let mut news = self.shared.notifier.company();
        loop {
            for user in self.shared.notifier.take_company() {
                if let Err(cause) = self.wake_company_of(&user).await {
                    warn!(%cause, "could not tell that someone's devices changed");
                }
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = shutdown.begun() => return,
            }
        }
    }

    async fn wake_company_of(&self, user: &UserId) -> Result<()> {
        for room_id in self.joined(&self.shared.store.snapshot(), user).await? {
            self.shared.notifier.wake_all(&self.room(&room_id).await?.current().joined);
        }
        Ok(())
    }

    /// Those whose company with `user` may have changed by what happened in one room; more of them than it did for.
    async fn moved(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        room_id: &RoomId,
        (since, until): (Position, Position),
    ) -> Result<BTreeSet<OwnedUserId>> {
        let Some(row) = self.membership(snapshot, room_id, user).await? else { return Ok(BTreeSet::new()) };
        let before = self.was_joined(snapshot, (user, room_id), &row, since).await?;
        let after = self.was_joined(snapshot, (user, room_id), &row, until).await?;
        if !before && !after {
            return Ok(BTreeSet::new());
        }
        if before && after {
            return member_changes(snapshot, room_id, (since, until)).await;
        }
        // Whoever was a member at either end is one now or has moved since.
        let members = self.room(room_id).await?.current().joined.clone();
        // Taken after the members, so that it knows of everybody who is not among them any more.
        let later = self.shared.store.snapshot();
        let mut moved = member_changes(&later, room_id, (since, later.position())).await?;
        moved.extend(members);
        Ok(moved)
    }

    /// Where `user` was joined at the two positions.
    async fn stays(&self, snapshot: &Snapshot, user: &UserId, ends: (Position, Position)) -> Result<Stays> {
        let mut stays = Stays::new();
        for (room_id, row) in self.of_user(snapshot, user).await? {
            let before = self.was_joined(snapshot, (user, &room_id), &row, ends.0).await?;
            let after = match ends.0 == ends.1 {
                true => before,
                false => self.was_joined(snapshot, (user, &room_id), &row, ends.1).await?,
            };
            if before || after {
                stays.insert(room_id, (before, after));
            }
        }
        Ok(stays)
    }

    /// Whether `user`, whose membership of the room is now `row`, was joined to it at `position`.
    async fn was_joined(
        &self,
        snapshot: &Snapshot,
        (user, room_id): (&UserId, &RoomId),
        row: &Stamped<Membership>,
        position: Position,
    ) -> Result<bool> {
        if row.at <= position {
            return Ok(row.value.membership == MembershipState::Join);
        }
        let range = KeyRange::prefix_until((room_id, "m.room.member", user.as_str()), Order::Live(position));
        let versions = STATE_HISTORY.scan(snapshot, range, Direction::Reverse, 1).await?;
        let word = versions.into_iter().next().and_then(|(_, version)| version.word);
        Ok(word.as_deref() == Some(MembershipState::Join.as_str()))
    }
}

/// The users whose member events changed in a room between two positions.
async fn member_changes(
    snapshot: &Snapshot,
    room_id: &RoomId,
    (since, until): (Position, Position),
) -> Result<BTreeSet<OwnedUserId>> {
    let range = KeyRange::prefix_after((room_id,), Order::Live(since));
    let range = range.and(KeyRange::prefix_until((room_id,), Order::Live(until)));
    let changes = STATE_CHANGES.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
    let members = changes.into_iter().filter(|(_, place)| place.kind == "m.room.member");
    Ok(members.filter_map(|(_, place)| UserId::parse(place.state_key).ok()).collect())
}
