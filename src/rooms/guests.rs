//! Guests in rooms: they join only those that let them, and are out of a room from the moment on at which it does not any more
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#guest-access)).

use ruma::{
    UserId,
    events::{
        StateEventType, TimelineEventType,
        room::{guest_access::GuestAccess, member::MembershipState},
    },
};
use serde::Deserialize;

use super::{RoomState, Rooms, Writer, member_event::MemberContent};
use crate::{
    error::{Error, Kind, Result},
    matrix::event::Event,
};

/// Who joins a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joiner {
    /// Somebody with an account of their own.
    Registered,
    /// A guest of this server.
    Guest,
}

impl Rooms {
    /// What `user` joins rooms as.
    pub(super) async fn joiner(&self, user: &UserId) -> Result<Joiner> {
        match self.shared.accounts.is_guest(user).await? {
            true => Ok(Joiner::Guest),
            false => Ok(Joiner::Registered),
        }
    }

    /// Has all guests leave the room if `event`, which has just been added or redacted, keeps guests out from now on: with
    /// the same commit, so that there is no moment at which one is there against the room's will.
    pub(super) async fn part_from_guests(&self, writer: &mut Writer, event: &Event) -> Result<()> {
        if event.kind != TimelineEventType::RoomGuestAccess || lets_guests_in(writer.state()) {
            return Ok(());
        }
        let joined = writer.state().joined.iter().cloned().collect::<Vec<_>>();
        for guest in self.shared.accounts.guests_among(joined).await? {
            let leave = self.member_intent(&guest, &guest, MemberContent::new(MembershipState::Leave)).await?;
            self.add_member(writer, leave)?;
        }
        Ok(())
    }
}

/// Checks that `joiner` may join a room in this state, as far as it is about guests.
///
/// # Errors
///
/// [`Kind::GuestAccessForbidden`] for guests where the room does not let them in.
pub(super) fn check_joiner(state: &RoomState, joiner: Joiner) -> Result<(), Error> {
    match joiner == Joiner::Registered || lets_guests_in(state) {
        true => Ok(()),
        false => Err(Kind::GuestAccessForbidden.with("This room lets no guests in.")),
    }
}

fn lets_guests_in(state: &RoomState) -> bool {
    #[derive(Deserialize)]
    struct Content {
        guest_access: GuestAccess,
    }

    let content: Option<Content> = state.content(&StateEventType::RoomGuestAccess, "");
    content.is_some_and(|content| content.guest_access == GuestAccess::CanJoin)
}
