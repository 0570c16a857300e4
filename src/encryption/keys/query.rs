//! Somebody asks for the keys of people and their devices
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery)).
//!
//! A reader sees the signatures that people made of their own keys, and those that the reader made; never those by which
//! others vouch for each other
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#key-and-signature-security)).

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    OwnedDeviceId, OwnedServerName, OwnedUserId, UserId,
    encryption::{CrossSigningKey, DeviceKeys},
    serde::Raw,
};

use super::Keys;
use crate::{
    error::Result,
    matrix::public_keys::{Signatures, complete},
    storage::{
        Direction, KeyRange, Snapshot,
        schema::encryption::{CROSS_SIGNING_KEYS, DEVICE_KEYS, KEY_SIGNATURES, KeyUsage, PublicKey},
    },
    users::Standing,
};

/// Whose keys somebody wants, and of which devices; of all if none is named.
pub type Query = BTreeMap<OwnedUserId, Vec<OwnedDeviceId>>;

/// The keys that were found.
#[derive(Debug, Default)]
pub struct Found {
    /// The keys of devices, with an entry for each user of this server.
    pub device_keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, Raw<DeviceKeys>>>,
    /// The master keys.
    pub master_keys: BTreeMap<OwnedUserId, Raw<CrossSigningKey>>,
    /// The self-signing keys.
    pub self_signing_keys: BTreeMap<OwnedUserId, Raw<CrossSigningKey>>,
    /// The reader's own user-signing key.
    pub user_signing_keys: BTreeMap<OwnedUserId, Raw<CrossSigningKey>>,
    /// The servers of users who are not of this one.
    pub unreachable: BTreeSet<OwnedServerName>,
}

impl Keys {
    /// What `reader` may know of the keys of others.
    pub async fn query(&self, reader: &UserId, query: &Query) -> Result<Found> {
        let snapshot = self.store.snapshot();
        let mut found = Found::default();
        for (user, devices) in query {
            if user.server_name() != self.accounts.server_name() {
                found.unreachable.insert(user.server_name().to_owned());
                continue;
            }
            let account = self.accounts.get(user).await?;
            if account.is_none_or(|account| matches!(account.standing, Standing::Deactivated { .. })) {
                continue;
            }
            found.device_keys.insert(user.clone(), self.devices_with_keys(&snapshot, user, devices).await?);
            let key = |usage| cross_signing_key(&snapshot, reader, user, usage);
            found.master_keys.extend(key(KeyUsage::Master).await?);
            found.self_signing_keys.extend(key(KeyUsage::SelfSigning).await?);
            if *user == *reader {
                found.user_signing_keys.extend(key(KeyUsage::UserSigning).await?);
            }
        }
        Ok(found)
    }

    /// Those of the devices that have keys; all of them if `wanted` names none.
    async fn devices_with_keys(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        wanted: &[OwnedDeviceId],
    ) -> Result<BTreeMap<OwnedDeviceId, Raw<DeviceKeys>>> {
        let rows = DEVICE_KEYS.scan(snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: BTreeMap<_, _> = self.sessions.device_names(snapshot, user).await?.into_iter().collect();
        let mut devices = BTreeMap::new();
        for ((_, device), keys) in rows {
            if !wanted.is_empty() && !wanted.contains(&device) {
                continue;
            }
            let mut signatures = signatures(snapshot, (user, device.as_str()), &[user]).await?;
            // Clients expect the field, although there may be nothing in it.
            signatures.entry(user.to_owned()).or_default();
            let name = names.get(&device).and_then(Option::as_deref);
            let json = complete(&keys.json, &signatures, name)?;
            devices.insert(device, Raw::from_json(json));
        }
        Ok(devices)
    }
}

/// A cross-signing key of `user` with the signatures that `reader` may see.
async fn cross_signing_key(
    snapshot: &Snapshot,
    reader: &UserId,
    user: &UserId,
    usage: KeyUsage,
) -> Result<Option<(OwnedUserId, Raw<CrossSigningKey>)>> {
    let Some(PublicKey { json, ed25519 }) = CROSS_SIGNING_KEYS.get(snapshot, (user, usage)).await? else {
        return Ok(None);
    };
    let signatures = signatures(snapshot, (user, &ed25519), &[user, reader]).await?;
    Ok(Some((user.to_owned(), Raw::from_json(complete(&json, &signatures, None)?))))
}

/// The signatures that `signers` made of one key.
async fn signatures(snapshot: &Snapshot, (user, name): (&UserId, &str), signers: &[&UserId]) -> Result<Signatures> {
    let mut signatures = Signatures::new();
    for signer in signers {
        let range = KeyRange::prefix((user, name, *signer));
        let rows = KEY_SIGNATURES.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        for ((_, _, signer, key), signature) in rows {
            signatures.entry(signer).or_default().insert(key, signature);
        }
    }
    Ok(signatures)
}
