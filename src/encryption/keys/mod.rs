//! The public keys of devices and people. The server gives them out, and says who vouches for them.
//!
//! Signatures are verified before they are stored, so that each one that is read here holds. A device may have published its
//! keys without any, which clients trust for nothing.

mod belongings;
mod claim;
mod cross_signing;
mod device_keys;
mod query;
mod signatures;
mod stock;
mod upload;

pub(super) use self::belongings::{forget_device, forget_user};
pub use self::{
    claim::{Claimed, Claims},
    cross_signing::{Authentication, CrossSigningUpload, Outcome},
    query::{Found, Query},
    signatures::Failures,
    stock::Stock,
    upload::KeyUpload,
};
use crate::{
    storage::Store,
    streams::Notifier,
    users::{Accounts, Sessions},
};

/// A cheap-clone service over the public keys of all devices and people.
#[derive(Clone)]
pub struct Keys {
    store: Store,
    accounts: Accounts,
    sessions: Sessions,
    notifier: Notifier,
    stocks: stock::Stocks,
}

/// The device that a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Its user.
    pub user: &'a ruma::UserId,
    /// The device.
    pub device: &'a ruma::DeviceId,
}

impl Keys {
    /// The keys in `store` of the users in `accounts` and their devices in `sessions`.
    pub fn new(store: Store, accounts: Accounts, sessions: Sessions, notifier: Notifier) -> Self {
        Self { store, accounts, sessions, notifier, stocks: stock::Stocks::default() }
    }
}

#[cfg(test)]
mod tests;
