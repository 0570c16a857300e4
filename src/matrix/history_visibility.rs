//! Who may see an event of a room's history: the specification's table, as a pure function.

use ruma::events::room::{history_visibility::HistoryVisibility, member::MembershipState};
use serde::Deserialize;

use super::event::Event;

/// Where the reader stands at one side of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The room's history visibility.
    pub visibility: HistoryVisibility,
    /// The reader's membership; `leave` when they have none.
    pub membership: MembershipState,
}

/// Whether `joined` happened at some time after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinedLater {
    /// The reader became a joined member at some point after the event.
    Yes,
    /// The reader has not joined since.
    No,
}

/// Whether the reader may see an event, by where they stood before and after it (client-server API, "Room history
/// visibility").
///
/// The two differ only at a change of the room's visibility and at a member event of the reader, and at both the
/// specification lets the better of the two count. For every other event `before` and `after` are equal.
pub fn may_see(before: &Standing, after: &Standing, joined_later: JoinedLater) -> bool {
    allows(before, joined_later) || (before != after && allows(after, joined_later))
}

/// The history visibility that the room's state event sets; `shared` when there is none or its value is not known.
pub fn visibility_of(event: Option<&Event>) -> HistoryVisibility {
    #[derive(Deserialize)]
    struct Content {
        history_visibility: HistoryVisibility,
    }

    match event.and_then(|event| event.content_as::<Content>().ok()) {
        Some(Content { history_visibility: HistoryVisibility::WorldReadable }) => HistoryVisibility::WorldReadable,
        Some(Content { history_visibility: HistoryVisibility::Invited }) => HistoryVisibility::Invited,
        Some(Content { history_visibility: HistoryVisibility::Joined }) => HistoryVisibility::Joined,
        _ => HistoryVisibility::Shared,
    }
}

fn allows(standing: &Standing, joined_later: JoinedLater) -> bool {
    match (&standing.visibility, &standing.membership) {
        (HistoryVisibility::WorldReadable, _) | (_, MembershipState::Join) => true,
        (HistoryVisibility::Shared, _) => joined_later == JoinedLater::Yes,
        (HistoryVisibility::Invited, membership) => *membership == MembershipState::Invite,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use HistoryVisibility::{Invited, Joined, Shared, WorldReadable};
    use MembershipState::{Ban, Invite, Join, Knock, Leave};
    use proptest::{prelude::*, sample::select};
    use ruma::RoomVersionId;
    use serde_json::json;

    use super::*;
    use crate::matrix::fixtures::Room;

    fn at(visibility: HistoryVisibility, membership: MembershipState) -> Standing {
        Standing { visibility, membership }
    }

    #[test]
    fn ordinary_events_follow_the_table() {
        // (visibility, membership at the event, seen without a later join, seen with one)
        let table = [
            (WorldReadable, Leave, true, true),
            (WorldReadable, Ban, true, true),
            (WorldReadable, Join, true, true),
            (Shared, Join, true, true),
            (Shared, Invite, false, true),
            (Shared, Knock, false, true),
            (Shared, Leave, false, true),
            (Shared, Ban, false, true),
            (Invited, Join, true, true),
            (Invited, Invite, true, true),
            (Invited, Knock, false, false),
            (Invited, Leave, false, false),
            (Invited, Ban, false, false),
            (Joined, Join, true, true),
            (Joined, Invite, false, false),
            (Joined, Knock, false, false),
            (Joined, Leave, false, false),
            (Joined, Ban, false, false),
        ];
        for (visibility, membership, alone, with_join) in table {
            let standing = at(visibility, membership);
            assert_eq!(may_see(&standing, &standing, JoinedLater::No), alone, "{standing:?}");
            assert_eq!(may_see(&standing, &standing, JoinedLater::Yes), with_join, "{standing:?}, joined later");
        }
    }

    #[test]
    fn the_better_side_counts_at_a_change() {
        // (before, after, seen)
        let table = [
            (at(Joined, Leave), at(WorldReadable, Leave), true),
            (at(WorldReadable, Leave), at(Joined, Leave), true),
            (at(Shared, Leave), at(Joined, Leave), false),
            (at(Joined, Invite), at(Invited, Invite), true),
            (at(Joined, Leave), at(Joined, Join), true),
            (at(Joined, Join), at(Joined, Leave), true),
            (at(Joined, Join), at(Joined, Ban), true),
            (at(Joined, Invite), at(Joined, Leave), false),
            (at(Invited, Leave), at(Invited, Invite), true),
            (at(Invited, Invite), at(Invited, Leave), true),
            (at(Joined, Leave), at(Joined, Knock), false),
        ];
        for (before, after, seen) in table {
            assert_eq!(may_see(&before, &after, JoinedLater::No), seen, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn a_visibility_that_is_not_understood_is_shared() {
        let mut room = Room::new(RoomVersionId::V12, "invite");
        assert_eq!(visibility_of(None), Shared);
        for (value, expected) in [
            (json!("joined"), Joined),
            (json!("invited"), Invited),
            (json!("world_readable"), WorldReadable),
            (json!("shared"), Shared),
            (json!("org.example.odd"), Shared),
            (json!(7), Shared),
        ] {
            let content = json!({ "history_visibility": value });
            let event = room.set("creator", "m.room.history_visibility", content).unwrap();
            assert_eq!(visibility_of(Some(&event)), expected, "{value}");
        }
        let redacted = room.set("creator", "m.room.history_visibility", json!({})).unwrap();
        assert_eq!(visibility_of(Some(&redacted)), Shared);
    }

    fn standings() -> impl Strategy<Value = Standing> {
        (select(vec![WorldReadable, Shared, Invited, Joined]), select(vec![Join, Invite, Knock, Leave, Ban]))
            .prop_map(|(visibility, membership)| at(visibility, membership))
    }

    proptest! {
        #[test]
        fn joining_later_never_hides_anything(before in standings(), after in standings()) {
            let (alone, with_join) =
                (may_see(&before, &after, JoinedLater::No), may_see(&before, &after, JoinedLater::Yes));
            prop_assert!(with_join || !alone);
        }

        #[test]
        fn a_member_sees_everything(before in standings(), visibility in select(vec![Shared, Invited, Joined])) {
            prop_assert!(may_see(&before, &at(visibility, Join), JoinedLater::No));
        }
    }
}
