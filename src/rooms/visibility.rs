//! The only place that decides whether a user may see an event.
//!
//! Every path that returns events makes a [`Viewer`] for its reader and asks it. A viewer holds the few changes of the
//! reader's membership and of the room's history visibility, so that a whole page is judged without another read.

use std::collections::BTreeSet;

use ruma::{
    OwnedUserId, RoomId, UserId,
    events::{
        StateEventType,
        room::{history_visibility::HistoryVisibility, member::MembershipState},
    },
};

use super::Rooms;
use crate::{
    error::Result,
    matrix::{
        event::Event,
        history_visibility::{JoinedLater, Standing, may_see},
    },
    storage::{
        Direction, KeyRange, Order, Snapshot,
        schema::rooms::{MEMBERSHIPS, STATE_HISTORY},
    },
};

impl Rooms {
    /// What decides over what `user` may see in a room as of `snapshot`.
    pub async fn viewer(&self, snapshot: &Snapshot, room_id: &RoomId, user: &UserId) -> Result<Viewer> {
        let ignored = self.shared.account_data.ignored_users(snapshot, user).await?;
        Viewer::load(snapshot, room_id, user, ignored).await
    }
}

/// One reader of one room, at one moment.
#[derive(Clone, Debug)]
pub struct Viewer {
    user: OwnedUserId,
    /// The reader's memberships, oldest first, each with the place from which it holds.
    memberships: Vec<(Order, MembershipState)>,
    /// The room's history visibility, likewise.
    visibilities: Vec<(Order, HistoryVisibility)>,
    /// The people whose messages the reader does not want to see.
    ignored: BTreeSet<OwnedUserId>,
}

impl Viewer {
    /// Reads what decides over what `user` may see in a room.
    pub async fn load(
        snapshot: &Snapshot,
        room_id: &RoomId,
        user: &UserId,
        ignored: BTreeSet<OwnedUserId>,
    ) -> Result<Self> {
        let own = words(snapshot, room_id, StateEventType::RoomMember, user.as_str()).await?;
        let room = words(snapshot, room_id, StateEventType::RoomHistoryVisibility, "").await?;
        let row = MEMBERSHIPS.get(snapshot, (user, room_id)).await?;
        let mut memberships: Vec<_> =
            own.into_iter().map(|(order, word)| (order, MembershipState::from(word))).collect();
        if row.is_some_and(|row| row.value.forgotten) {
            // Who asked to forget a room is a stranger to it from then on.
            memberships.clear();
        }
        let visibilities = room.into_iter().map(|(order, word)| (order, HistoryVisibility::from(word))).collect();
        Ok(Self { user: user.to_owned(), memberships, visibilities, ignored })
    }

    /// The reader.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The reader's membership right after the event at `order`.
    pub fn membership_at(&self, order: Order) -> MembershipState {
        newest(&self.memberships, |at| at <= order).cloned().unwrap_or(MembershipState::Leave)
    }

    /// The reader's membership now.
    pub fn membership(&self) -> MembershipState {
        self.memberships.last().map_or(MembershipState::Leave, |(_, membership)| membership.clone())
    }

    /// The place at which the reader came into the room to stay until now; `None` if they are not in it.
    pub fn joined_at(&self) -> Option<Order> {
        let stay = self.memberships.iter().rev().take_while(|(_, membership)| *membership == MembershipState::Join);
        stay.last().map(|(order, _)| *order)
    }

    /// The people whose messages the reader does not want to see.
    pub fn ignored(&self) -> &BTreeSet<OwnedUserId> {
        &self.ignored
    }

    /// Whether the reader was a member of the room at any time.
    pub fn was_ever_joined(&self) -> bool {
        self.memberships.iter().any(|(_, membership)| *membership == MembershipState::Join)
    }

    /// Whether the reader may see the event at `order`
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility)).
    pub fn may_see(&self, order: Order, event: &Event) -> bool {
        (event.is_state() || !self.ignored.contains(&event.sender)) && self.may_see_place(order)
    }

    /// Whether history visibility and membership open the place `order` to the reader, whatever stands there.
    pub fn may_see_place(&self, order: Order) -> bool {
        let standing = |reached: &dyn Fn(Order) -> bool| Standing {
            visibility: newest(&self.visibilities, reached).cloned().unwrap_or(HistoryVisibility::Shared),
            membership: newest(&self.memberships, reached).cloned().unwrap_or(MembershipState::Leave),
        };
        may_see(&standing(&|at| at < order), &standing(&|at| at <= order), self.joined_later(order))
    }

    /// Whether the reader joined at some time after `order`.
    fn joined_later(&self, order: Order) -> JoinedLater {
        let joined = |(at, membership): &(Order, MembershipState)| *at > order && *membership == MembershipState::Join;
        match self.memberships.iter().any(joined) {
            true => JoinedLater::Yes,
            false => JoinedLater::No,
        }
    }
}

/// The newest of the changes whose place is `reached`.
fn newest<T>(changes: &[(Order, T)], reached: impl Fn(Order) -> bool) -> Option<&T> {
    changes.iter().rev().find(|(at, _)| reached(*at)).map(|(_, value)| value)
}

/// The words of every version of one piece of state, oldest first.
async fn words(
    snapshot: &Snapshot,
    room_id: &RoomId,
    kind: StateEventType,
    state_key: &str,
) -> Result<Vec<(Order, String)>> {
    let range = KeyRange::prefix((room_id, kind.to_string().as_str(), state_key));
    let rows = STATE_HISTORY.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
    Ok(rows.into_iter().map(|((.., order), version)| (order, version.word.unwrap_or_default().into())).collect())
}
