//! The tables of messages from device to device.

use ruma::{OwnedDeviceId, OwnedTransactionId, OwnedUserId};
use serde_json::value::RawValue;

use crate::storage::{Family, Json, Position, Table, TableInfo};

/// What waits for each device, as the client will read it, by the position at which it came. The device itself is told how
/// far it got by these positions, so that this is its log, and nothing of it stands in the server's.
pub const TO_DEVICE: Table<(OwnedUserId, OwnedDeviceId, Position), Box<RawValue>, Json> =
    Table::new(140, "to_device", Family::Rows);

/// The requests by which a device sent messages, so that the same request sent again sends nothing. The third part is the
/// number of the month, so that old ones can be dropped; the fourth is the type of the messages.
pub const TO_DEVICE_TRANSACTIONS: Table<(OwnedUserId, OwnedDeviceId, u64, String, OwnedTransactionId), ()> =
    Table::new(141, "to_device_transactions", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[TO_DEVICE.info(), TO_DEVICE_TRANSACTIONS.info()];
