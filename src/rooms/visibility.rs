//! The only place that decides whether a user may see an event.
//!
//! Every path that returns events makes a [`Viewer`] for its reader and asks it. A viewer holds the few changes of the
//! reader's membership and of the room's history visibility, so that a whole page is judged without another read.

use std::{collections::BTreeSet, sync::Arc};

use ruma::{
    OwnedUserId, RoomId, UserId,
    events::{
        StateEventType,
        room::{history_visibility::HistoryVisibility, member::MembershipState},
    },
};

use super::{membership::not_in_room, stretch::Stretch};
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

/// One reader of one room, at one moment.
#[derive(Clone, Debug)]
pub struct Viewer {
    user: OwnedUserId,
    /// What the reader and the room went through.
    changes: Arc<Changes>,
    /// The people whose messages the reader does not want to see.
    ignored: Arc<BTreeSet<OwnedUserId>>,
}

/// What decides over which places of a room somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changes {
    /// The reader's memberships, oldest first, each with the place from which it holds.
    memberships: Vec<(Order, MembershipState)>,
    /// The room's history visibility, likewise.
    visibilities: Vec<(Order, HistoryVisibility)>,
}

impl Changes {
    /// Reads those of a room and of one of its readers.
    pub async fn load(snapshot: &Snapshot, room_id: &RoomId, user: &UserId) -> Result<Self> {
        let own = words(snapshot, room_id, StateEventType::RoomMember, user.as_str()).await?;
        let room = words(snapshot, room_id, StateEventType::RoomHistoryVisibility, "").await?;
        let mut memberships: Vec<_> =
            own.into_iter().map(|(order, word)| (order, MembershipState::from(word))).collect();
        // Someone who changes their name often has many member events and one membership.
        memberships.dedup_by(|later, earlier| later.1 == earlier.1);
        let visibilities = room.into_iter().map(|(order, word)| (order, HistoryVisibility::from(word))).collect();
        let mut changes = Self { memberships, visibilities };
        // Nobody forgets a room while they are in it.
        if changes.membership() != MembershipState::Join
            && MEMBERSHIPS.get(snapshot, (user, room_id)).await?.is_some_and(|row| row.value.forgotten)
        {
            // Who asked to forget a room is a stranger to it from then on.
            changes.memberships.clear();
        }
        Ok(changes)
    }

    /// The reader's membership now.
    pub fn membership(&self) -> MembershipState {
        self.memberships.last().map_or(MembershipState::Leave, |(_, membership)| membership.clone())
    }
}

impl Viewer {
    /// A reader who went through these changes.
    pub(super) fn new(user: &UserId, changes: Arc<Changes>, ignored: Arc<BTreeSet<OwnedUserId>>) -> Self {
        Self { user: user.to_owned(), changes, ignored }
    }

    #[cfg(test)]
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The reader.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The reader's membership right after the event at `order`.
    pub fn membership_at(&self, order: Order) -> MembershipState {
        newest(&self.changes.memberships, |at| at <= order).cloned().unwrap_or(MembershipState::Leave)
    }

    /// The reader's membership now.
    pub fn membership(&self) -> MembershipState {
        self.changes.membership()
    }

    /// The place at which the reader came into the room to stay until now; `None` if they are not in it.
    pub fn joined_at(&self) -> Option<Order> {
        let stay =
            self.changes.memberships.iter().rev().take_while(|(_, membership)| *membership == MembershipState::Join);
        stay.last().map(|(order, _)| *order)
    }

    /// Whether the reader was a member of the room at the event at `from` or at any time between that and `until`.
    pub fn was_in_between(&self, from: Order, until: Order) -> bool {
        let joined = |(at, membership): &(Order, MembershipState)| {
            from < *at && *at < until && *membership == MembershipState::Join
        };
        self.membership_at(from) == MembershipState::Join || self.changes.memberships.iter().any(joined)
    }

    /// The people whose messages the reader does not want to see.
    pub fn ignored(&self) -> &BTreeSet<OwnedUserId> {
        &self.ignored
    }

    /// Whether the reader was a member of the room at any time.
    pub fn was_ever_joined(&self) -> bool {
        self.changes.memberships.iter().any(|(_, membership)| *membership == MembershipState::Join)
    }

    /// Whether the reader may see the event at `order`
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility)).
    pub fn may_see(&self, order: Order, event: &Event) -> bool {
        (event.is_state() || !self.ignored.contains(&event.sender)) && self.may_see_place(order)
    }

    /// Whether history visibility and membership open the place `order` to the reader, whatever stands there.
    pub fn may_see_place(&self, order: Order) -> bool {
        let standing = |reached: &dyn Fn(Order) -> bool| Standing {
            visibility: newest(&self.changes.visibilities, reached).cloned().unwrap_or(HistoryVisibility::Shared),
            membership: newest(&self.changes.memberships, reached).cloned().unwrap_or(MembershipState::Leave),
        };
        may_see(&standing(&|at| at < order), &standing(&|at| at <= order), self.joined_later(order))
    }

    /// The parts of the timeline that the reader may see, in order, as far as it has got and as it goes on from here. None for
    /// somebody who may see nothing.
    pub fn visible_stretches(&self) -> Vec<Stretch> {
        let mut changes: Vec<Order> = self.changes.memberships.iter().map(|(at, _)| *at).collect();
        changes.extend(self.changes.visibilities.iter().map(|(at, _)| *at));
        changes.sort_unstable();
        changes.dedup();
        // Between two changes the reader sees everything or nothing, so that one place speaks for all.
        let stretches = Stretch::between(&changes).into_iter();
        Stretch::joined(stretches.filter(|stretch| self.may_see_place(stretch.any_place())))
    }

    /// Which of the room's states the reader may ask for: the current one as a member or where the world may read it, and
    /// the one at their leave after that.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) for everybody else.
    pub fn state_access(&self) -> Result<StateAccess> {
        let readable =
            self.changes.visibilities.last().is_some_and(|(_, now)| *now == HistoryVisibility::WorldReadable);
        if readable || self.membership() == MembershipState::Join {
            return Ok(StateAccess::Current);
        }
        let left = self.changes.memberships.windows(2).rev().find(|pair| pair[0].1 == MembershipState::Join);
        left.map(|pair| StateAccess::AtLeave(pair[1].0)).ok_or_else(not_in_room)
    }

    /// Whether the reader joined at some time after `order`.
    fn joined_later(&self, order: Order) -> JoinedLater {
        let joined = |(at, membership): &(Order, MembershipState)| *at > order && *membership == MembershipState::Join;
        match self.changes.memberships.iter().any(joined) {
            true => JoinedLater::Yes,
            false => JoinedLater::No,
        }
    }
}

/// The state that a reader may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateAccess {
    /// The current one.
    Current,
    /// The one right after the event at this place, with which the reader left.
    AtLeave(Order),
}

/// The newest of the changes whose place is `reached`.
fn newest<T>(changes: &[(Order, T)], reached: impl Fn(Order) -> bool) -> Option<&T> {
    let later = changes.partition_point(|(at, _)| reached(*at));
    changes[..later].last().map(|(_, value)| value)
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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};
    use ruma::owned_user_id;

    use super::*;

    const LAST: u64 = 20;

    fn live(number: u64) -> Order {
        Order::Live(number.into())
    }

    /// Sorted changes at different places, as they are stored.
    fn changes<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Vec<(Order, T)>> {
        vec((1..LAST, select(values)), 0..6).prop_map(|mut changes| {
            changes.sort_by_key(|(at, _)| *at);
            changes.dedup_by_key(|(at, _)| *at);
            changes.into_iter().map(|(at, value)| (live(at), value)).collect()
        })
    }

    fn viewers() -> impl Strategy<Value = Viewer> {
        use HistoryVisibility::{Invited, Joined, Shared, WorldReadable};
        use MembershipState::{Ban, Invite, Join, Knock, Leave};
        let memberships = changes(vec![Join, Invite, Leave, Ban, Knock]);
        (memberships, changes(vec![Joined, Invited, Shared, WorldReadable])).prop_map(|(memberships, visibilities)| {
            let user = owned_user_id!("@alice:example.org");
            Viewer::new(&user, Arc::new(Changes { memberships, visibilities }), Arc::default())
        })
    }

    proptest! {
        #[test]
        fn the_visible_stretches_hold_what_is_visible_and_nothing_else(viewer in viewers()) {
            let stretches = viewer.visible_stretches();
            for place in (0..=LAST).map(live) {
                let inside = |stretch: &Stretch| {
                    stretch.from.is_none_or(|from| from <= place) && stretch.until.is_none_or(|until| place <= until)
                };
                let count = stretches.iter().filter(|stretch| inside(stretch)).count();
                prop_assert_eq!(count, usize::from(viewer.may_see_place(place)), "at {:?} of {:?}", place, stretches);
            }
            let apart = |pair: &[Stretch]| pair[0].until.unwrap() < pair[1].from.unwrap();
            prop_assert!(stretches.windows(2).all(apart), "{:?}", stretches);
        }

        #[test]
        fn members_and_those_who_were_may_ask_for_a_state(viewer in viewers()) {
            let access = viewer.state_access().ok();
            let joined = |at: u64| viewer.membership_at(live(at)) == MembershipState::Join;
            match (access, viewer.membership()) {
                (access, MembershipState::Join) => prop_assert_eq!(access, Some(StateAccess::Current)),
                (Some(StateAccess::AtLeave(at)), _) => {
                    let Order::Live(position) = at else { panic!("nothing is backfilled here") };
                    prop_assert!(joined(position.get() - 1), "was a member just before");
                    prop_assert!((position.get()..=LAST).all(|at| !joined(at)), "and never again");
                }
                (Some(StateAccess::Current), _) => {
                    prop_assert_eq!(viewer.changes.visibilities.last().unwrap().1.clone(), HistoryVisibility::WorldReadable);
                }
                (None, _) => prop_assert!(!(0..=LAST).any(joined)),
            }
        }
    }

    #[test]
    fn what_people_of_each_kind_see_of_a_room() {
        use MembershipState::{Ban, Invite, Join, Leave};
        // A room whose history visibility is set at 3.
        let seen = |memberships: &[(u64, MembershipState)], visibility: &str| {
            let changes = Changes {
                memberships: memberships.iter().map(|(at, membership)| (live(*at), membership.clone())).collect(),
                visibilities: vec![(live(3), visibility.into())],
            };
            let viewer = Viewer::new(&owned_user_id!("@alice:example.org"), Arc::new(changes), Arc::default());
            let number = |order: Option<Order>| match order {
                Some(Order::Live(position)) => Some(position.get()),
                Some(Order::Backfilled(_)) => panic!("nothing is backfilled here"),
                None => None,
            };
            let stretches = viewer.visible_stretches().into_iter();
            stretches.map(|stretch| (number(stretch.from), number(stretch.until))).collect::<Vec<_>>()
        };
        assert_eq!(seen(&[], "joined"), []);
        assert_eq!(seen(&[], "world_readable"), [(Some(3), None)]);
        assert_eq!(seen(&[(5, Invite)], "shared"), []);
        assert_eq!(seen(&[(5, Invite)], "invited"), [(Some(5), None)]);
        assert_eq!(seen(&[(5, Ban)], "joined"), []);
        assert_eq!(seen(&[(5, Join)], "shared"), [(None, None)]);
        assert_eq!(seen(&[(5, Join), (9, Leave)], "shared"), [(None, Some(9))]);
        // Before the room says otherwise, its history is shared.
        assert_eq!(seen(&[(5, Join)], "joined"), [(None, Some(3)), (Some(5), None)]);
        assert_eq!(seen(&[(5, Join), (9, Leave)], "joined"), [(None, Some(3)), (Some(5), Some(9))]);
    }
}
