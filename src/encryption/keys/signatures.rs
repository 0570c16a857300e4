//! Somebody vouches for a device of theirs, for their own master key, or for somebody else's
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload)).

use std::collections::{BTreeMap, BTreeSet};

use ruma::{DeviceId, OwnedUserId, UserId};
use serde_json::value::RawValue;

use super::{Keys, Owner, device_keys::device_key};
use crate::{
    error::{Error, Kind, Result},
    matrix::public_keys::{Signed, key_id},
    storage::{
        Batch, Snapshot,
        schema::encryption::{CROSS_SIGNING_KEYS, DEVICE_KEYS, KEY_SIGNATURES, KeyUsage, PublicKey},
        until_settled,
    },
};

/// Why which keys of which users were not signed, by the names under which they were uploaded.
pub type Failures = BTreeMap<OwnedUserId, BTreeMap<String, Error>>;

/// The most users whose keys one request signs: each of them takes a position of the log.
const MAXIMUM_SIGNED_USERS: usize = 1_000;

/// A key, or the keys of a device, with the place where they are kept.
struct Known {
    place: Place,
    row: PublicKey,
}

/// Where a key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is of a device, which has this name.
    Device,
    /// It is a cross-signing key.
    CrossSigning(KeyUsage),
}

impl Keys {
    /// Keeps the signatures of those of the keys that `signer` signed, and says why it did not take others.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if they are of too many users, `NotFound` if the device that uploads is gone.
    pub async fn upload_signatures<'a>(
        &self,
        signer: Owner<'_>,
        signed: &BTreeMap<&'a UserId, Vec<(&'a str, &'a RawValue)>>,
    ) -> Result<Failures> {
        if signed.len() > MAXIMUM_SIGNED_USERS {
            return Err(Error::invalid("One request signs the keys of at most 1000 users."));
        }
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let (mut batch, mut failures, mut vouched) = (Batch::new(), Failures::new(), BTreeSet::new());
            for (owner, keys) in signed {
                for (name, json) in keys {
                    match stage_signatures(&mut batch, &snapshot, signer.user, (owner, name, json)).await {
                        Ok(false) => {}
                        Ok(true) => drop(vouched.insert(*owner)),
                        Err(error) if error.kind == Kind::Internal => return Err(error),
                        Err(error) => {
                            let failures = failures.entry((*owner).to_owned()).or_default();
                            failures.insert((*name).to_owned(), error);
                        }
                    }
                }
            }
            if !vouched.is_empty() {
                self.sessions.require_origin(&mut batch, &snapshot, (signer.user, signer.device)).await?;
                self.announce_vouching(&mut batch, signer.user, &vouched);
                self.store.commit(batch).await?;
            }
            Ok(failures)
        })
        .await
    }

    /// Adds to `batch` who has to hear of the signatures of the keys of these users.
    fn announce_vouching(&self, batch: &mut Batch, signer: &UserId, owners: &BTreeSet<&UserId>) {
        // Slot 0 is for what everybody sees.
        let mut slot = 0;
        for owner in owners {
            if *owner == signer {
                self.sessions.announce_devices(batch, signer);
            } else {
                slot += 1;
                self.announce_signed(batch, slot, signer, owner);
            }
        }
        batch.slots(slot + 1);
    }
}

/// Adds to `batch` the signatures by `signer` of the key that is called `name`, and returns whether one of them is new.
///
/// # Errors
///
/// `BadJson` if this is no signed object; `NotFound` if there is no such key that `signer` could sign; `InvalidSignature` if it
/// is another key than the one uploaded, or not signed by a key that may sign it.
async fn stage_signatures(
    batch: &mut Batch,
    snapshot: &Snapshot,
    signer: &UserId,
    (owner, name, json): (&UserId, &str, &RawValue),
) -> Result<bool> {
    let signed = Signed::parse(json)?;
    let key = signable(snapshot, signer, owner, name).await?;
    let key = key.ok_or_else(|| Error::not_found("There is no such key that you could sign."))?;
    if &*key.row.json != signed.bare() {
        return Err(Kind::InvalidSignature.with("What was signed is not the key that was uploaded under this name."));
    }
    let mut verified = Vec::new();
    for (signing, signature) in signed.signatures_of(signer) {
        // A client may send along what others of the user's keys signed before.
        let Some(by) = signing_key(snapshot, signer, (owner, name, &key), signing).await? else { continue };
        if !signed.verifies(signature, &by.row.ed25519) {
            return Err(Kind::InvalidSignature.with(format!("The signature by {signing} is wrong.")));
        }
        verified.push((signing, signature, by));
    }
    if verified.is_empty() {
        return Err(Kind::InvalidSignature.with("There is no signature by one of your keys that may sign this."));
    }
    let mut vouched = false;
    for (signing, signature, by) in verified {
        let place = (owner, name, signer, &*key_id(signing));
        if KEY_SIGNATURES.get(snapshot, place).await?.as_deref() == Some(signature) {
            continue;
        }
        expect(batch, owner, name, &key);
        expect(batch, signer, signing, &by);
        KEY_SIGNATURES.put(batch, place, &signature.to_owned());
        vouched = true;
    }
    Ok(vouched)
}

/// The key of `owner` that is called `name`, if `signer` may sign it.
async fn signable(snapshot: &Snapshot, signer: &UserId, owner: &UserId, name: &str) -> Result<Option<Known>> {
    let master = cross_signing_key(snapshot, owner, KeyUsage::Master, name).await?;
    if master.is_some() || owner != signer {
        return Ok(master);
    }
    device(snapshot, owner, name).await
}

/// The key of `signer` that is called `signing`, if it may sign `key`.
async fn signing_key(
    snapshot: &Snapshot,
    signer: &UserId,
    (owner, name, key): (&UserId, &str, &Known),
    signing: &str,
) -> Result<Option<Known>> {
    match key.place {
        Place::CrossSigning(_) if owner != signer => {
            cross_signing_key(snapshot, signer, KeyUsage::UserSigning, signing).await
        }
        Place::CrossSigning(usage) if name == signing => cross_signing_key(snapshot, signer, usage, signing).await,
        Place::CrossSigning(_) => device(snapshot, signer, signing).await,
        Place::Device if name == signing => device(snapshot, signer, signing).await,
        Place::Device => cross_signing_key(snapshot, signer, KeyUsage::SelfSigning, signing).await,
    }
}

async fn cross_signing_key(snapshot: &Snapshot, user: &UserId, usage: KeyUsage, name: &str) -> Result<Option<Known>> {
    let row = CROSS_SIGNING_KEYS.get(snapshot, (user, usage)).await?.filter(|row| &*row.ed25519 == name);
    Ok(row.map(|row| Known { place: Place::CrossSigning(usage), row }))
}

async fn device(snapshot: &Snapshot, user: &UserId, name: &str) -> Result<Option<Known>> {
    let row = device_key(snapshot, user, name).await?;
    Ok(row.map(|row| Known { place: Place::Device, row }))
}

/// Adds to `batch` the condition that a key does not change before.
fn expect(batch: &mut Batch, user: &UserId, name: &str, known: &Known) {
    match known.place {
        Place::Device => {
            let device: &DeviceId = name.into();
            DEVICE_KEYS.expect(batch, (user, device), Some(&known.row));
        }
        Place::CrossSigning(usage) => CROSS_SIGNING_KEYS.expect(batch, (user, usage), Some(&known.row)),
    }
}
