//! Which threads the user wants to hear of, and which not any more (MSC4308).

use ruma::api::client::sync::sync_events::v5::response::Extensions;

use super::{look::Look, told::Told};
use crate::{error::Result, rooms::PageToken};

/// The most decisions that one answer brings; the client asks for older ones elsewhere.
const HIGHEST_LIMIT: usize = 100;

/// What the user decided since the client was told, newest first; whether that is anything.
pub(super) async fn section(look: &Look<'_>, next: &mut Told, answer: &mut Extensions) -> Result<bool> {
    let asked = &look.request.body.extensions.thread_subscriptions;
    if asked.enabled != Some(true) {
        return Ok(false);
    }
    let limit = asked.limit.map_or(HIGHEST_LIMIT, |limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX));
    let between = (look.told.thread_subscriptions, look.reading.until());
    let (snapshot, limit) = (&look.reading.snapshot, limit.clamp(1, HIGHEST_LIMIT));
    let found = look.sync.thread_subscriptions.changes(snapshot, &look.reading.user, between, limit).await?;
    let section = &mut answer.thread_subscriptions;
    section.prev_batch = found.rest.map(|rest| PageToken::at(rest).to_string());
    (section.subscribed, section.unsubscribed) = found.by_room();
    if look.told.thread_subscriptions.is_none() {
        // Who knows of no subscription need not hear that one has ended.
        section.unsubscribed.clear();
    }
    next.thread_subscriptions = Some(look.reading.until());
    Ok(!section.is_empty())
}
