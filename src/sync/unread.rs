//! How much of a room its reader has not read.

use ruma::{
    UInt,
    api::client::sync::sync_events::{UnreadNotificationsCount, v3::JoinedRoom},
    events::GlobalAccountDataEventType,
};

use super::{Reading, Sync, changed::Changed};
use crate::{
    error::Result,
    rooms::{Counts, Room, Viewer},
};

/// Puts the counts into the section of a room: they stand in every section, zeros included
/// ([spec](https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications)).
pub(super) async fn fill(
    sync: &Sync,
    reading: &Reading,
    room: &Room,
    viewer: &Viewer,
    section: &mut JoinedRoom,
) -> Result<()> {
    let unread = sync.rooms.unread(&reading.snapshot, room, viewer).await?;
    if reading.filter.room.timeline.unread_thread_notifications {
        section.unread_notifications = counts(unread.main);
        section.unread_thread_notifications =
            unread.threads.into_iter().map(|(root, thread)| (root, counts(thread))).collect();
    } else {
        section.unread_notifications = counts(unread.total());
    }
    Ok(())
}

/// Whether the counts may have changed although nothing else did that the device wants to hear of.
pub(super) async fn may_have_changed(
    sync: &Sync,
    reading: &Reading,
    room: &Room,
    viewer: &Viewer,
    changed: &Changed,
) -> Result<bool> {
    let Some(since) = reading.since_position() else { return Ok(false) };
    if changed.what_counts() || changed.followed.contains(&room.id) {
        return sync.rooms.may_have_unread(&reading.snapshot, room, viewer).await;
    }
    sync.rooms.has_read_since(&reading.snapshot, &room.id, &reading.user, since).await
}

impl Changed {
    /// Whether the user changed what counts as unread, in any of their rooms.
    pub fn what_counts(&self) -> bool {
        let deciding = [GlobalAccountDataEventType::PushRules, GlobalAccountDataEventType::IgnoredUserList];
        let global = self.account_data.get(&None);
        global.is_some_and(|kinds| deciding.iter().any(|kind| kinds.contains(&kind.to_string())))
    }
}

fn counts(counts: Counts) -> UnreadNotificationsCount {
    let mut answer = UnreadNotificationsCount::new();
    answer.notification_count = Some(UInt::new_saturating(counts.notifications));
    answer.highlight_count = Some(UInt::new_saturating(counts.highlights));
    answer
}
