//! Somebody gets one-time keys of others' devices, to start encrypted sessions with them
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim)).

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    DeviceId, OneTimeKeyAlgorithm, OwnedDeviceId, OwnedOneTimeKeyId, OwnedServerName, OwnedUserId, UserId,
    encryption::OneTimeKey, serde::Raw,
};
use serde_json::value::RawValue;

use super::Keys;
use crate::{
    error::{Error, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::encryption::{FALLBACK_KEYS, FallbackKey, ONE_TIME_KEY_NAMES, ONE_TIME_KEYS},
        until_settled,
    },
};

/// From which devices somebody wants a key, and of which algorithm.
pub type Claims = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, OneTimeKeyAlgorithm>>;

/// The keys that somebody got.
#[derive(Debug, Default)]
pub struct Claimed {
    /// At most one key of each device.
    pub keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, BTreeMap<OwnedOneTimeKeyId, Raw<OneTimeKey>>>>,
    /// The servers of users who are not of this one.
    pub unreachable: BTreeSet<OwnedServerName>,
}

/// A key that leaves the server.
struct Given {
    name: String,
    json: Box<str>,
}

impl Keys {
    /// Gives out the oldest one-time key of each device, or its fallback key if there is none. Nobody else gets the same
    /// one-time key.
    pub async fn claim(&self, claims: &Claims) -> Result<Claimed> {
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let (mut batch, mut claimed) = (Batch::new(), Claimed::default());
            for (user, devices) in claims {
                if user.server_name() != self.accounts.server_name() {
                    claimed.unreachable.insert(user.server_name().to_owned());
                    continue;
                }
                for (device, algorithm) in devices {
                    let place = (&**user, &**device, algorithm.as_str());
                    if let Some(Given { name, json }) = self.stage_claim(&mut batch, &snapshot, place).await? {
                        let id = format!("{algorithm}:{name}").try_into().map_err(Error::internal)?;
                        let key = RawValue::from_string(json.into()).map(Raw::from_json).map_err(Error::internal)?;
                        let of_user = claimed.keys.entry(user.clone()).or_default();
                        of_user.insert(device.clone(), BTreeMap::from([(id, key)]));
                    }
                }
            }
            if !batch.is_empty() {
                self.store.commit(batch).await?;
            }
            Ok(claimed)
        })
        .await
    }

    /// Adds to `batch` that a key of a device is given out, if there is one.
    async fn stage_claim(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        (user, device, algorithm): (&UserId, &DeviceId, &str),
    ) -> Result<Option<Given>> {
        let range = KeyRange::prefix((user, device, algorithm));
        let oldest = ONE_TIME_KEYS.scan(snapshot, range, Direction::Forward, 1).await?;
        if let Some(((.., position, name), json)) = oldest.into_iter().next() {
            self.stage_stock(batch, snapshot, user, device).await?;
            ONE_TIME_KEYS.delete(batch, (user, device, algorithm, position, &name));
            let place = (user, device, algorithm, &name);
            if let Some(mut known) = ONE_TIME_KEY_NAMES.get(snapshot, place).await? {
                known.given_out = true;
                ONE_TIME_KEY_NAMES.put(batch, place, &known);
            }
            return Ok(Some(Given { name, json }));
        }
        let Some(key) = FALLBACK_KEYS.get(snapshot, (user, device, algorithm)).await? else { return Ok(None) };
        if !key.used {
            self.stage_stock(batch, snapshot, user, device).await?;
            FALLBACK_KEYS.put(batch, (user, device, algorithm), &FallbackKey { used: true, ..key.clone() });
        }
        Ok(Some(Given { name: key.name, json: key.json }))
    }
}
