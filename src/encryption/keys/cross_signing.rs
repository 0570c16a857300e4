//! Somebody publishes the keys by which they vouch for their devices and for others
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload)).

use std::collections::BTreeSet;

use ruma::{
    OwnedDeviceId, UserId,
    encryption::{CrossSigningKey as KeyJson, KeyUsage as Usage},
    serde::Raw,
};

use super::{Keys, Owner, device_keys::device_key};
use crate::{
    error::{Error, Kind, Result},
    matrix::public_keys::{CrossSigningKey, key_id},
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::encryption::{CROSS_SIGNING_KEYS, DEVICE_KEYS, KEY_SIGNATURES, KeyUsage, PublicKey},
        until_settled,
    },
    streams::{Change, Log},
};

/// The usages, the master key first.
const USAGES: [KeyUsage; 3] = [KeyUsage::Master, KeyUsage::SelfSigning, KeyUsage::UserSigning];

/// What somebody uploads, each key found to be in order by itself.
#[derive(Clone, Debug)]
pub struct CrossSigningUpload {
    /// In the order of [`USAGES`].
    keys: [Option<CrossSigningKey>; 3],
}

/// Whether the one who uploads has just proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// They have an access token and nothing else.
    Missing,
    /// They have the password, too.
    Given,
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The keys are published.
    Published,
    /// Nothing happened: these keys would replace others, or join them, and that takes more than an access token.
    AuthenticationNeeded,
}

/// How the keys of a user change.
struct Replacement<'a> {
    before: [Option<PublicKey>; 3],
    uploaded: [Option<&'a CrossSigningKey>; 3],
}

impl CrossSigningUpload {
    /// Checks what `user` uploads.
    ///
    /// # Errors
    ///
    /// As [`CrossSigningKey::check`], and `InvalidParam` if a key is there twice.
    pub fn check(
        user: &UserId,
        master: Option<&Raw<KeyJson>>,
        self_signing: Option<&Raw<KeyJson>>,
        user_signing: Option<&Raw<KeyJson>>,
    ) -> Result<Self> {
        let check = |key: Option<&Raw<KeyJson>>, usage: Usage| {
            key.map(|key| CrossSigningKey::check(key.json(), user, &usage)).transpose()
        };
        let keys = [
            check(master, Usage::Master)?,
            check(self_signing, Usage::SelfSigning)?,
            check(user_signing, Usage::UserSigning)?,
        ];
        Ok(Self { keys })
    }

    /// The names of the keys.
    pub fn names(&self) -> Vec<String> {
        self.keys.iter().flatten().map(|key| key.ed25519.to_string()).collect()
    }
}

impl Keys {
    /// Publishes cross-signing keys. A master key replaces the other two, if they do not come with it.
    ///
    /// # Errors
    ///
    /// `MissingParam` if there is no master key; `InvalidSignature` if the master key did not sign the others, or a device is
    /// said to have signed the master key and did not; `Forbidden` if a device has a key as its id; `InvalidParam` if two keys
    /// are the same; `NotFound` if the device that uploads is gone.
    pub async fn upload_cross_signing(
        &self,
        owner: Owner<'_>,
        upload: &CrossSigningUpload,
        authentication: Authentication,
    ) -> Result<Outcome> {
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let before = CROSS_SIGNING_KEYS.get_many(&snapshot, USAGES.map(|usage| (owner.user, usage))).await?;
            let before = before.try_into().map_err(|_| Error::internal("a key was not looked up"))?;
            let change = Replacement { before, uploaded: upload.keys.each_ref().map(Option::as_ref) };
            change.check(owner.user)?;
            if change.is_guarded() && authentication == Authentication::Missing {
                return Ok(Outcome::AuthenticationNeeded);
            }
            let mut batch = Batch::new();
            let replaced = self.stage_keys(&mut batch, &snapshot, owner.user, &change).await?;
            let vouched = self.stage_master_signatures(&mut batch, &snapshot, owner.user, &change).await?;
            if replaced.is_empty() && !vouched {
                return Ok(Outcome::Published);
            }
            self.sessions.require_origin(&mut batch, &snapshot, (owner.user, owner.device)).await?;
            if vouched || replaced != [KeyUsage::UserSigning] {
                self.sessions.announce_devices(&mut batch, owner.user);
            } else {
                // Nobody else sees that key.
                self.announce_signed(&mut batch, 0, owner.user, owner.user);
            }
            self.store.commit(batch).await?;
            Ok(Outcome::Published)
        })
        .await
    }

    /// Adds to `batch` the keys that are new and removes those that are not valid any more; returns the usages that changed.
    async fn stage_keys(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        change: &Replacement<'_>,
    ) -> Result<Vec<KeyUsage>> {
        let mut replaced = Vec::new();
        let gone = |place: usize| change.before[place].as_ref().filter(|_| change.replaces(place));
        for (place, usage) in USAGES.into_iter().enumerate() {
            CROSS_SIGNING_KEYS.expect(batch, (user, usage), change.before[place].as_ref());
            let Some(key) = gone(place) else { continue };
            KEY_SIGNATURES.delete_range(batch, KeyRange::prefix((user, &*key.ed25519)));
            CROSS_SIGNING_KEYS.delete(batch, (user, usage));
            self.sessions.release_device_id(batch, user, &key.ed25519);
            replaced.push(usage);
        }
        if let Some(self_signing) = gone(1) {
            forget_vouching(batch, snapshot, user, &self_signing.ed25519).await?;
        }
        let master = change.master().unwrap_or_default();
        for (place, usage) in USAGES.into_iter().enumerate() {
            let Some(key) = change.uploaded[place].filter(|_| change.is_signed_anew(place)) else { continue };
            if !change.is_new(place) {
                // The old master key's word counts no more.
                KEY_SIGNATURES.delete_range(batch, KeyRange::prefix((user, &*key.ed25519)));
            }
            self.sessions.reserve_device_id(batch, snapshot, user, &key.ed25519).await?;
            let row = PublicKey { json: key.signed.bare().into(), ed25519: key.ed25519.clone() };
            CROSS_SIGNING_KEYS.put(batch, (user, usage), &row);
            if usage != KeyUsage::Master {
                let verified = key.signed.signatures_of(user).filter(|(name, _)| *name == master);
                for (name, signature) in verified {
                    let place = (user, &*key.ed25519, user, &*key_id(name));
                    KEY_SIGNATURES.put(batch, place, &signature.to_owned());
                }
            }
            replaced.push(usage);
        }
        replaced.sort_unstable();
        replaced.dedup();
        Ok(replaced)
    }

    /// Adds to `batch` the signatures of an uploaded master key by the user's devices; returns whether one of them is new.
    async fn stage_master_signatures(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        change: &Replacement<'_>,
    ) -> Result<bool> {
        let Some(master) = change.uploaded[0] else { return Ok(false) };
        let mut vouched = false;
        for (name, signature) in master.signed.signatures_of(user) {
            let device = match name == &*master.ed25519 {
                true => None,
                // Nobody could verify a signature by a device without keys.
                false => match device_key(snapshot, user, name).await? {
                    Some(device) => Some(device),
                    None => continue,
                },
            };
            let key = device.as_ref().map_or(&master.ed25519, |device| &device.ed25519);
            if !master.signed.verifies(signature, key) {
                return Err(Kind::InvalidSignature.with(format!("The signature of the master key by {name} is wrong.")));
            }
            let place = (user, &*master.ed25519, user, &*key_id(name));
            if !change.replaces(0) && KEY_SIGNATURES.get(snapshot, place).await?.as_deref() == Some(signature) {
                continue;
            }
            if let Some(device) = &device {
                let id: OwnedDeviceId = name.into();
                DEVICE_KEYS.expect(batch, (user, &id), Some(device));
            }
            KEY_SIGNATURES.put(batch, place, &signature.to_owned());
            vouched = true;
        }
        Ok(vouched)
    }

    /// Adds to `batch` that the devices of `signer` learn of a signature of a key of `owner` that nobody else sees.
    pub(super) fn announce_signed(&self, batch: &mut Batch, slot: u16, signer: &UserId, owner: &UserId) {
        Log::append(batch, slot, &Change::Signed { user: signer.to_owned(), owner: owner.to_owned() });
        let (notifier, signer) = (self.notifier.clone(), signer.to_owned());
        batch.on_visible(move |_| notifier.wake(&signer));
    }
}

impl Replacement<'_> {
    /// The master key that holds from now on.
    fn master(&self) -> Option<&str> {
        let uploaded = self.uploaded[0].map(|key| &*key.ed25519);
        uploaded.or_else(|| self.before[0].as_ref().map(|key| &*key.ed25519))
    }

    /// Whether the key at this place of [`USAGES`] is uploaded and was not there before.
    fn is_new(&self, place: usize) -> bool {
        let before = self.before[place].as_ref().map(|key| &*key.json);
        self.uploaded[place].is_some_and(|key| Some(key.signed.bare()) != before)
    }

    /// Whether the key at this place is uploaded and has a signature to keep: it may be an old one under a new master key.
    fn is_signed_anew(&self, place: usize) -> bool {
        self.is_new(place) || (self.is_new(0) && self.uploaded[place].is_some())
    }

    /// Whether the key that was there before does not stay.
    fn replaces(&self, place: usize) -> bool {
        self.is_new(place) || (self.is_new(0) && self.uploaded[place].is_none())
    }

    /// Whether the upload takes more than an access token
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload)).
    fn is_guarded(&self) -> bool {
        self.before[0].is_some() && (0..USAGES.len()).any(|place| self.is_new(place))
    }

    fn check(&self, user: &UserId) -> Result<()> {
        let others = || self.uploaded.iter().skip(1).flatten();
        if others().next().is_some() {
            let master = self.master().ok_or_else(|| Kind::MissingParam.with("You have no master key yet."))?;
            for key in others() {
                key.require_signature(user, master)?;
            }
        }
        let mut names = BTreeSet::new();
        for place in 0..USAGES.len() {
            let kept = self.before[place].as_ref().filter(|_| !self.replaces(place)).map(|key| &key.ed25519);
            let name = self.uploaded[place].map(|key| &key.ed25519).or(kept);
            if name.is_some_and(|name| !names.insert(name)) {
                return Err(Error::invalid("The three cross-signing keys are three different keys."));
            }
        }
        Ok(())
    }
}

/// Adds to `batch` that a self-signing key, which is replaced, vouches for no device any more.
async fn forget_vouching(batch: &mut Batch, snapshot: &Snapshot, user: &UserId, self_signing: &str) -> Result<()> {
    let range = KeyRange::prefix((user,));
    for ((_, device), _) in DEVICE_KEYS.scan(snapshot, range, Direction::Forward, usize::MAX).await? {
        KEY_SIGNATURES.delete(batch, (user, device.as_str(), user, &*key_id(self_signing)));
    }
    Ok(())
}
