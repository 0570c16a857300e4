//! What goes with a device, and with an account.

use ruma::{DeviceId, UserId};

use crate::{
    storage::{
        Batch, KeyRange,
        schema::encryption::{
            CROSS_SIGNING_KEYS, DEHYDRATED_DEVICES, DEVICE_KEYS, FALLBACK_KEYS, KEY_SIGNATURES, KEY_STOCKS,
            ONE_TIME_KEY_NAMES, ONE_TIME_KEYS,
        },
    },
    users::Belongings,
};

/// Adds to `batch` that all keys of a device of `user` go.
pub fn forget_device(batch: &mut Batch, user: &UserId, device: &DeviceId) {
    DEVICE_KEYS.delete(batch, (user, device));
    KEY_SIGNATURES.delete_range(batch, KeyRange::prefix((user, device.as_str())));
    forget_stock(batch, user, device);
    KEY_STOCKS.delete(batch, (user, device));
    DEHYDRATED_DEVICES.delete(batch, (user, device));
}

/// Adds to `batch` that the one-time and fallback keys of a device go.
pub(super) fn forget_stock(batch: &mut Batch, user: &UserId, device: &DeviceId) {
    ONE_TIME_KEYS.delete_range(batch, KeyRange::prefix((user, device)));
    ONE_TIME_KEY_NAMES.delete_range(batch, KeyRange::prefix((user, device)));
    FALLBACK_KEYS.delete_range(batch, KeyRange::prefix((user, device)));
}

/// Adds to `batch` that the cross-signing keys of `user` go, and what signatures there are of any key of theirs: nobody is
/// there any more whom they stand for.
pub fn forget_user(batch: &mut Batch, user: &UserId, _: Belongings) {
    CROSS_SIGNING_KEYS.delete_range(batch, KeyRange::prefix((user,)));
    KEY_SIGNATURES.delete_range(batch, KeyRange::prefix((user,)));
}
