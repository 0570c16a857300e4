//! The identity keys of devices.

use ruma::UserId;

use super::{Keys, Owner, belongings::forget_stock};
use crate::{
    error::Result,
    matrix::public_keys::{DeviceKeys, key_id},
    storage::{
        Batch, KeyRange, Snapshot,
        schema::encryption::{CROSS_SIGNING_KEYS, DEVICE_KEYS, KEY_SIGNATURES, KeyUsage, PublicKey},
    },
};

/// What becomes of a device's identity with an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// It stays as it is.
    Same,
    /// It is new, or vouched for by more than before.
    Added,
    /// It is another one than before, and what the former one signed is gone.
    Replaced,
}

impl Keys {
    /// Adds to `batch` that the device of `owner` has these keys; its slot 0 tells of it if that is news.
    pub(super) async fn stage_device_keys(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        owner @ Owner { user, device }: Owner<'_>,
        keys: &DeviceKeys,
    ) -> Result<Identity> {
        let before = DEVICE_KEYS.get(snapshot, (user, device)).await?;
        DEVICE_KEYS.expect(batch, (user, device), before.as_ref());
        let after = PublicKey { json: keys.signed.bare().into(), ed25519: keys.ed25519.clone() };
        let identity = match &before {
            Some(before) if *before == after => Identity::Same,
            Some(before) if before.ed25519 != after.ed25519 => Identity::Replaced,
            _ => Identity::Added,
        };
        if identity != Identity::Same {
            KEY_SIGNATURES.delete_range(batch, KeyRange::prefix((user, device.as_str())));
            DEVICE_KEYS.put(batch, (user, device), &after);
        }
        if before.is_none_or(|before| before.ed25519 != after.ed25519) {
            self.stage_new_identity(batch, snapshot, owner).await?;
        }
        let vouched = self.stage_own_signatures(batch, snapshot, owner, (keys, identity)).await?;
        let identity = if vouched && identity == Identity::Same { Identity::Added } else { identity };
        if identity != Identity::Same {
            self.sessions.announce_devices(batch, user);
        }
        Ok(identity)
    }

    /// Adds to `batch` that nothing is left of what the device signed with another key than the one it gets.
    async fn stage_new_identity(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        Owner { user, device }: Owner<'_>,
    ) -> Result<()> {
        forget_stock(batch, user, device);
        if let Some(master) = CROSS_SIGNING_KEYS.get(snapshot, (user, KeyUsage::Master)).await? {
            KEY_SIGNATURES.delete(batch, (user, &*master.ed25519, user, &*key_id(device.as_str())));
        }
        Ok(())
    }

    /// Adds the signatures by the device itself and by its user's self-signing key; returns whether one of them is new.
    async fn stage_own_signatures(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        Owner { user, device }: Owner<'_>,
        (keys, identity): (&DeviceKeys, Identity),
    ) -> Result<bool> {
        let self_signing = CROSS_SIGNING_KEYS.get(snapshot, (user, KeyUsage::SelfSigning)).await?;
        let mut vouched = false;
        for (name, signature) in keys.signed.signatures_of(user) {
            let by_device = name == device.as_str();
            let by_user = self_signing
                .as_ref()
                .is_some_and(|key| name == &*key.ed25519 && keys.signed.verifies(signature, &key.ed25519));
            // The device's own was verified; what is by neither vouches for nothing.
            if !by_device && !by_user {
                continue;
            }
            let place = (user, device.as_str(), user, &*key_id(name));
            let known = KEY_SIGNATURES.get(snapshot, place).await?;
            if identity == Identity::Same && known.as_deref() == Some(signature) {
                continue;
            }
            if by_user {
                CROSS_SIGNING_KEYS.expect(batch, (user, KeyUsage::SelfSigning), self_signing.as_ref());
                vouched = true;
            }
            KEY_SIGNATURES.put(batch, place, &signature.to_owned());
        }
        Ok(vouched)
    }
}

/// The ed25519 key of a device, with the row that it is from.
pub(super) async fn device_key(snapshot: &Snapshot, user: &UserId, name: &str) -> Result<Option<PublicKey>> {
    let device: &ruma::DeviceId = name.into();
    DEVICE_KEYS.get(snapshot, (user, device)).await
}
