//! How many one-time keys the device has left, and which of its fallback keys nobody got yet: in every answer.

use std::sync::Arc;

use super::{Reading, Sync};
use crate::{encryption::Stock, error::Result};

/// The section of the answer.
pub(super) async fn section(sync: &Sync, reading: &Reading) -> Result<Arc<Stock>> {
    sync.keys.stock(&reading.snapshot, &reading.user, &reading.device).await
}

/// Whether the stock changed since the device was told, so that it may have to upload more keys.
pub(super) fn is_news(reading: &Reading, stock: &Stock) -> bool {
    stock.changed_at > reading.since_position()
}
