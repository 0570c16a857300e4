//! A device publishes its keys ([spec](https://spec.matrix.org/v1.19/client-server-api/#uploading-keys)).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{
    OwnedOneTimeKeyId,
    encryption::{DeviceKeys as DeviceKeysJson, OneTimeKey as OneTimeKeyJson},
    serde::Raw,
};
use sha2::{Digest as _, Sha256};

use super::{Keys, Owner, Stock, device_keys::Identity};
use crate::{
    error::{Error, Result},
    matrix::public_keys::{DeviceKeys, OneTimeKey},
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot,
        schema::encryption::{FALLBACK_KEYS, FallbackKey, ONE_TIME_KEY_NAMES, ONE_TIME_KEYS, OneTimeKeyName},
        until_settled,
    },
};

/// How many one-time keys the server keeps of a device. Clients stop uploading at a fraction of it.
const MAXIMUM_ONE_TIME_KEYS: usize = 500;

/// How many fallback keys it keeps: one for each algorithm.
const MAXIMUM_FALLBACK_KEYS: usize = 16;

/// What a device uploads, each key found to be in order by itself.
#[derive(Clone, Debug)]
pub struct KeyUpload {
    device_keys: Option<DeviceKeys>,
    one_time_keys: Vec<OneTimeKey>,
    fallback_keys: Vec<OneTimeKey>,
}

impl KeyUpload {
    /// Checks what is uploaded as the keys of the device of `owner`.
    ///
    /// # Errors
    ///
    /// As [`DeviceKeys::check`] and [`OneTimeKey::check`], and `InvalidParam` if there are too many.
    pub fn check(
        owner: Owner<'_>,
        device_keys: Option<&Raw<DeviceKeysJson>>,
        one_time_keys: &BTreeMap<OwnedOneTimeKeyId, Raw<OneTimeKeyJson>>,
        fallback_keys: &BTreeMap<OwnedOneTimeKeyId, Raw<OneTimeKeyJson>>,
    ) -> Result<Self> {
        if one_time_keys.len() > MAXIMUM_ONE_TIME_KEYS {
            return Err(too_many_one_time_keys());
        }
        let check = |(id, key): (&OwnedOneTimeKeyId, &Raw<OneTimeKeyJson>)| OneTimeKey::check(id, key.json());
        let upload = Self {
            device_keys: device_keys
                .map(|keys| DeviceKeys::check(keys.json(), owner.user, owner.device))
                .transpose()?,
            one_time_keys: one_time_keys.iter().map(check).collect::<Result<_>>()?,
            fallback_keys: fallback_keys.iter().map(check).collect::<Result<_>>()?,
        };
        let algorithms: BTreeSet<_> = upload.fallback_keys.iter().map(|key| &key.algorithm).collect();
        if algorithms.len() < upload.fallback_keys.len() {
            return Err(Error::invalid("There is one fallback key for each algorithm."));
        }
        Ok(upload)
    }
}

impl Keys {
    /// Publishes keys of a device and returns what it has in stock then.
    ///
    /// # Errors
    ///
    /// `NotFound` if the device is gone; `InvalidParam` if there is another one-time key with the name of an uploaded one, or
    /// too many keys.
    pub async fn upload(&self, owner: Owner<'_>, upload: &KeyUpload) -> Result<Arc<Stock>> {
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let mut batch = Batch::new();
            if !self.stage_upload(&mut batch, &snapshot, owner, upload).await? {
                return self.stock(&snapshot, owner.user, owner.device).await;
            }
            self.sessions.require_device(&mut batch, &snapshot, owner.user, owner.device).await?;
            self.store.commit(batch).await?;
            self.stock(&self.store.snapshot(), owner.user, owner.device).await
        })
        .await
    }

    /// Adds keys to `batch`, whose slot 0 it uses, and returns whether any of them is new.
    pub(in crate::encryption) async fn stage_upload(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        owner: Owner<'_>,
        upload: &KeyUpload,
    ) -> Result<bool> {
        let identity = match &upload.device_keys {
            Some(keys) => self.stage_device_keys(batch, snapshot, owner, keys).await?,
            None => Identity::Same,
        };
        // What a former identity signed is of no use to the new one.
        let renewed = identity == Identity::Replaced;
        let mut stocked = renewed;
        stocked |= stage_one_time_keys(batch, snapshot, owner, (&upload.one_time_keys, renewed)).await?;
        stocked |= stage_fallback_keys(batch, snapshot, owner, (&upload.fallback_keys, renewed)).await?;
        if stocked {
            self.stage_stock(batch, snapshot, owner.user, owner.device).await?;
        }
        Ok(stocked || identity != Identity::Same)
    }
}

/// Adds those of the one-time keys that were never there before; `renewed` says that the others are gone.
async fn stage_one_time_keys(
    batch: &mut Batch,
    snapshot: &Snapshot,
    Owner { user, device }: Owner<'_>,
    (keys, renewed): (&[OneTimeKey], bool),
) -> Result<bool> {
    let mut added = 0;
    for OneTimeKey { algorithm, name, json } in keys {
        let digest: [u8; 32] = Sha256::digest(json.as_bytes()).into();
        let place = (user, device, algorithm, name);
        let known = if renewed { None } else { ONE_TIME_KEY_NAMES.get(snapshot, place).await? };
        match known {
            // A client that got no answer uploads again; by then somebody may have got the key, and nobody else may.
            Some(known) if known.digest == digest => continue,
            Some(OneTimeKeyName { given_out: false, .. }) => {
                let message = format!("There is another one-time key {algorithm}:{name} of this device.");
                return Err(Error::invalid(message));
            }
            _ => {}
        }
        ONE_TIME_KEY_NAMES.put(batch, place, &OneTimeKeyName { digest, given_out: false });
        ONE_TIME_KEYS.put(batch, (user, device, algorithm, Position::pending(0), name), json);
        added += 1;
    }
    if added > 0 && !renewed {
        let range = KeyRange::prefix((user, device));
        let kept = ONE_TIME_KEYS.scan(snapshot, range, Direction::Forward, usize::MAX).await?.len();
        if kept + added > MAXIMUM_ONE_TIME_KEYS {
            return Err(too_many_one_time_keys());
        }
    }
    Ok(added > 0)
}

/// Puts each fallback key in the place of the one with its algorithm.
async fn stage_fallback_keys(
    batch: &mut Batch,
    snapshot: &Snapshot,
    Owner { user, device }: Owner<'_>,
    (keys, renewed): (&[OneTimeKey], bool),
) -> Result<bool> {
    let range = KeyRange::prefix((user, device));
    let mut kept: BTreeMap<String, FallbackKey> = BTreeMap::new();
    if !renewed && !keys.is_empty() {
        let rows = FALLBACK_KEYS.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        kept.extend(rows.into_iter().map(|((_, _, algorithm), key)| (algorithm, key)));
    }
    let mut changed = false;
    for OneTimeKey { algorithm, name, json } in keys {
        // One that comes again stays used if it was.
        if kept.get(algorithm).is_some_and(|kept| kept.name == *name && kept.json == *json) {
            continue;
        }
        let key = FallbackKey { name: name.clone(), json: json.clone(), used: false };
        FALLBACK_KEYS.put(batch, (user, device, algorithm), &key);
        kept.insert(algorithm.clone(), key);
        changed = true;
    }
    if kept.len() > MAXIMUM_FALLBACK_KEYS {
        return Err(Error::invalid("A device has at most 16 fallback keys."));
    }
    Ok(changed)
}

fn too_many_one_time_keys() -> Error {
    Error::invalid("The server keeps at most 500 one-time keys of a device.")
}
