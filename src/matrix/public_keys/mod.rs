//! The public keys of end-to-end encryption: what shape they must have, and whether a signature is what it says
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#key-algorithms)).

mod cross_signing;
mod device;
mod one_time;
mod signed;
#[cfg(test)]
pub mod test_key;

pub use self::{
    cross_signing::CrossSigningKey,
    device::DeviceKeys,
    one_time::OneTimeKey,
    signed::{Signatures, Signed, complete, key_id},
};
use crate::error::{Kind, Result};

/// The largest key, or set of keys of a device, as JSON in bytes.
const MAXIMUM_SIZE: usize = 16 << 10;

fn check_size(json: &serde_json::value::RawValue) -> Result<()> {
    if json.get().len() > MAXIMUM_SIZE {
        return Err(Kind::TooLarge.with("A key, or the keys of a device, have at most 16 KiB as JSON."));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
