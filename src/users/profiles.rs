//! Profiles: what users show of themselves to others, custom fields included.

use ruma::{
    OwnedUserId, UserId,
    profile::{ProfileFieldName, ProfileFieldValue, UserProfile},
};

use super::{accounts::Accounts, rooms_behind};
use crate::{
    error::{Error, Kind, Result},
    storage::{Batch, Direction, KeyRange, Snapshot, Store, schema::users::PROFILES, until_settled},
    streams::{Change, Log, Notifier},
};

/// A profile as JSON is smaller than this, in bytes ("Profiles").
const MAXIMUM_PROFILE: usize = 64 << 10;
/// The longest name of a field, in bytes.
const MAXIMUM_FIELD_NAME: usize = 255;
/// The longest display name, in characters: it goes into every membership event of its user.
const MAXIMUM_DISPLAY_NAME: usize = 256;
/// The longest avatar URL, in bytes, for the same reason.
const MAXIMUM_AVATAR_URL: usize = 1000;

/// The fields that the member events of joined rooms repeat ("Events on Change of Profile Information").
pub const SHOWN_IN_ROOMS: [&str; 2] = ["displayname", "avatar_url"];

/// A cheap-clone service over the profiles of this server's users.
#[derive(Clone)]
pub struct Profiles {
    store: Store,
    accounts: Accounts,
    notifier: Notifier,
}

impl Profiles {
    /// The profiles in `store` of the users in `accounts`.
    pub fn new(store: Store, accounts: Accounts, notifier: Notifier) -> Self {
        Self { store, accounts, notifier }
    }

    /// The profile of a user of this server.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such user.
    pub async fn get(&self, user: &UserId) -> Result<UserProfile> {
        match PROFILES.get(&self.store.snapshot(), (user,)).await? {
            Some(profile) => Ok(profile),
            None => match self.accounts.get(user).await? {
                Some(_) => Ok(UserProfile::new()),
                None => Err(Error::not_found("There is no such user on this server.")),
            },
        }
    }

    /// What is known of the profile of `user` in `snapshot`: nothing if there is no such user.
    pub async fn of(&self, snapshot: &Snapshot, user: &UserId) -> Result<UserProfile> {
        Ok(PROFILES.get(snapshot, (user,)).await?.unwrap_or_default())
    }

    /// Every profile that is stored in `snapshot`.
    pub async fn all(&self, snapshot: &Snapshot) -> Result<Vec<(OwnedUserId, UserProfile)>> {
        let rows = PROFILES.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((user,), profile)| (user, profile)).collect())
    }

    /// The profile of `user` as it is stored in `snapshot`, for who writes something that goes with it.
    pub async fn stored(&self, snapshot: &Snapshot, user: &UserId) -> Result<Option<UserProfile>> {
        PROFILES.get(snapshot, (user,)).await
    }

    /// Adds to `batch` the condition that the profile of `user` still is as it was [`stored`](Profiles::stored).
    pub fn require_unchanged(&self, batch: &mut Batch, user: &UserId, profile: Option<&UserProfile>) {
        PROFILES.expect(batch, (user,), profile);
    }

    /// Sets one field of the profile of `user`. A display name or an avatar URL without a character is none at all.
    ///
    /// # Errors
    ///
    /// `KeyTooLarge` or `InvalidParam` if the field's name is not one; `InvalidParam` if the display name or the avatar
    /// URL is too long; `ProfileTooLarge` if the profile would reach 64 KiB.
    pub async fn set(&self, user: &UserId, value: &ProfileFieldValue) -> Result<()> {
        let name = value.field_name();
        check_name(&name)?;
        check_value(value)?;
        let unset = match value {
            ProfileFieldValue::DisplayName(name) => name.is_empty(),
            ProfileFieldValue::AvatarUrl(url) => url.as_str().is_empty(),
            _ => false,
        };
        if unset {
            return self.remove(user, &name).await;
        }
        let json = value.value().into_owned();
        self.change(user, |profile| profile.set(name.as_str().to_owned(), json.clone())).await
    }

    /// Removes one field of the profile of `user`, if it is there.
    ///
    /// # Errors
    ///
    /// `KeyTooLarge` or `InvalidParam` if the field's name is not one.
    pub async fn remove(&self, user: &UserId, name: &ProfileFieldName) -> Result<()> {
        check_name(name)?;
        self.change(user, |profile| drop(profile.remove(name.as_str()))).await
    }

    async fn change(&self, user: &UserId, edit: impl Fn(&mut UserProfile)) -> Result<()> {
        until_settled(|| async {
            let before = PROFILES.get(&self.store.snapshot(), (user,)).await?;
            let old = before.clone().unwrap_or_default();
            let mut new = old.clone();
            edit(&mut new);
            if new.iter().eq(old.iter()) {
                return Ok(());
            }
            if serde_json::to_vec(&new).map_err(Error::internal)?.len() >= MAXIMUM_PROFILE {
                return Err(Kind::ProfileTooLarge.with("A profile is smaller than 64 KiB."));
            }
            let mut batch = Batch::new();
            PROFILES.expect(&mut batch, (user,), before.as_ref());
            PROFILES.put(&mut batch, (user,), &new);
            Log::append(&mut batch, 0, &Change::Profile { user: user.to_owned() });
            if SHOWN_IN_ROOMS.iter().any(|field| new.get(field) != old.get(field)) {
                rooms_behind::note(&mut batch, &self.notifier, user);
            }
            let (notifier, user) = (self.notifier.clone(), user.to_owned());
            batch.on_visible(move |_| notifier.wake(&user));
            self.store.commit(batch).await.map(drop)
        })
        .await
    }
}

/// Checks a field's name against the common namespaced identifier grammar of the specification's appendices.
fn check_name(name: &ProfileFieldName) -> Result<()> {
    let name = name.as_str();
    if name.len() > MAXIMUM_FIELD_NAME {
        return Err(Kind::KeyTooLarge.with("The name of a profile field has at most 255 bytes."));
    }
    let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.bytes().all(is_allowed) {
        return Err(Error::invalid(
            "The name of a profile field starts with a letter from a to z, and has only these, digits, - _ and dots.",
        ));
    }
    Ok(())
}

fn check_value(value: &ProfileFieldValue) -> Result<()> {
    match value {
        ProfileFieldValue::DisplayName(name) if name.chars().count() > MAXIMUM_DISPLAY_NAME => {
            Err(Error::invalid("A display name has at most 256 characters."))
        }
        ProfileFieldValue::AvatarUrl(url) if url.as_str().len() > MAXIMUM_AVATAR_URL => {
            Err(Error::invalid("An avatar URL has at most 1000 bytes."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
