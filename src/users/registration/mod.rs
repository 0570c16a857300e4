//! Registration: who may make an account, under which name, and the making of it.

mod guests;
mod shared_secret;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ruma::{
    OwnedUserId, UserId,
    api::client::uiaa::{AuthFlow, AuthType},
    profile::{ProfileFieldValue, UserProfile},
};

use self::shared_secret::Nonces;
pub use self::shared_secret::SharedSecretRequest;
use super::{
    accounts::Accounts,
    registration_tokens::RegistrationTokens,
    secrets,
    third_party_ids::{ThirdPartyIds, ValidatedAddress},
    usernames,
};
use crate::{
    appservices::{Appservice, Appservices},
    clock::Clock,
    config::{self, RegistrationEmail, RegistrationMode},
    error::{Error, Kind, Result},
    storage::{
        Batch, Snapshot, Store,
        schema::users::{PROFILES, PasswordHash, Role},
        until_settled,
    },
    streams::{Change, Log},
};

/// How long a localpart is that the server chooses.
const CHOSEN_LENGTH: usize = 12;

/// A cheap-clone service that makes accounts.
#[derive(Clone)]
pub struct Registration {
    store: Store,
    accounts: Accounts,
    tokens: RegistrationTokens,
    third_party_ids: ThirdPartyIds,
    nonces: Nonces,
    appservices: Appservices,
    options: config::Registration,
}

/// An account to be made.
#[derive(Clone)]
pub struct NewAccount {
    /// The localpart, which may be written with capital letters; `None` has the server choose.
    pub username: Option<String>,
    /// The password; without one nobody can log in by password.
    pub password: Option<String>,
    /// The name that others see; `None` is the localpart.
    pub display_name: Option<String>,
    /// What lets this account be made.
    pub admission: Admission,
}

/// What lets an account be made.
#[derive(Clone)]
pub enum Admission {
    /// Registration is open to everybody.
    Open,
    /// The holder of this registration token may, if it still is valid.
    Token(String),
    /// Somebody with power over the server wants it, and says what the account may do.
    Granted(Role),
    /// The application service may, whose user it is.
    Appservice(Arc<Appservice>),
}

impl Registration {
    /// Registration into `accounts`, open to those whom `options` name.
    pub fn new(
        store: Store,
        accounts: Accounts,
        tokens: RegistrationTokens,
        third_party_ids: ThirdPartyIds,
        clock: Clock,
        options: config::Registration,
    ) -> Self {
        let appservices = Appservices::none(accounts.server_name());
        Self { store, accounts, tokens, third_party_ids, nonces: Nonces::new(clock), appservices, options }
    }

    /// The same registration, where `appservices` have names to themselves.
    #[must_use]
    pub(super) fn with_appservices(self, appservices: Appservices) -> Self {
        Self { appservices, ..self }
    }

    /// Makes the account of an application service's own user, unless it is there.
    ///
    /// # Errors
    ///
    /// As [`Registration::register`], but not if there is one.
    pub async fn found_sender(&self, appservice: &Arc<Appservice>) -> Result<()> {
        let new = NewAccount {
            username: Some(appservice.sender.localpart().to_owned()),
            password: None,
            display_name: None,
            admission: Admission::Appservice(appservice.clone()),
        };
        match self.register(new).await {
            Err(error) if error.kind == Kind::UserInUse => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// The ways in which a client can prove that it may register, of which it chooses one.
    ///
    /// # Errors
    ///
    /// `Forbidden` if clients cannot register at all.
    pub fn flows(&self) -> Result<Vec<AuthFlow>> {
        let token = || vec![AuthType::RegistrationToken];
        let admissions = match self.options.mode {
            RegistrationMode::Closed => return Err(Error::forbidden("Registration is closed on this server.")),
            RegistrationMode::Token => vec![token()],
            // A token still counts, because it may make an administrator.
            RegistrationMode::Open => vec![Vec::new(), token()],
        };
        let with_address = |admission: &Vec<AuthType>| [admission.clone(), vec![AuthType::EmailIdentity]].concat();
        // A flow that is the beginning of another one could not be told from it, hence the stage that is always passed.
        let with_dummy = |admission: &Vec<AuthType>| [admission.clone(), vec![AuthType::Dummy]].concat();
        let flows: Vec<_> = match self.options.email {
            RegistrationEmail::Off => {
                let dummy_alone =
                    |admission: Vec<_>| if admission.is_empty() { vec![AuthType::Dummy] } else { admission };
                admissions.into_iter().map(dummy_alone).collect()
            }
            RegistrationEmail::Optional => {
                admissions.iter().flat_map(|admission| [with_dummy(admission), with_address(admission)]).collect()
            }
            RegistrationEmail::Required => admissions.iter().map(with_address).collect(),
        };
        Ok(flows.into_iter().map(AuthFlow::new).collect())
    }

    /// Checks that somebody who registers may prove an e-mail address.
    ///
    /// # Errors
    ///
    /// `Forbidden` if clients cannot register at all, `AddressDenied` if they are not asked for an address.
    pub fn check_takes_addresses(&self) -> Result<()> {
        self.flows()?;
        match self.options.email {
            RegistrationEmail::Off => {
                Err(Kind::AddressDenied.with("This server asks nobody who registers for an address."))
            }
            RegistrationEmail::Optional | RegistrationEmail::Required => Ok(()),
        }
    }

    /// The id that `username` would get, if it is free now.
    ///
    /// # Errors
    ///
    /// `InvalidUsername` if no account may have this name, `UserInUse` if one has it or once had it, `Exclusive` if an
    /// application service has it to itself.
    pub async fn available(&self, username: &str) -> Result<OwnedUserId> {
        let user = self.free(username).await?;
        self.appservices.check_user(&user, None)?;
        Ok(user)
    }

    /// The id that `username` would get, if nobody has it.
    async fn free(&self, username: &str) -> Result<OwnedUserId> {
        let user = usernames::new_user_id(username, self.accounts.server_name())?;
        match self.accounts.get(&user).await? {
            Some(_) => Err(taken()),
            None => Ok(user),
        }
    }

    /// Checks that `password` may be the one of a new account.
    ///
    /// # Errors
    ///
    /// `WeakPassword` if it is too weak.
    pub fn check_password(&self, password: &str) -> Result<()> {
        self.accounts.passwords().check_strength(password)
    }

    /// Makes an account without an e-mail address and returns its id.
    ///
    /// # Errors
    ///
    /// As [`Registration::register_with`].
    pub async fn register(&self, new: NewAccount) -> Result<OwnedUserId> {
        self.register_with(new, None).await
    }

    /// Makes an account, with an e-mail address if one was proved for that, and returns its id.
    ///
    /// # Errors
    ///
    /// As [`Registration::available`]; `WeakPassword` if the password is too weak; `Forbidden` if the registration token
    /// is not, or no longer, valid; `AddressInUse` or `AddressUnproven` if the address cannot be the account's.
    pub async fn register_with(&self, new: NewAccount, address: Option<&ValidatedAddress>) -> Result<OwnedUserId> {
        let user = match &new.username {
            Some(username) => self.free(username).await?,
            None => usernames::new_user_id(&secrets::random_text(CHOSEN_LENGTH), self.accounts.server_name())?,
        };
        match &new.admission {
            Admission::Open | Admission::Token(_) => self.appservices.check_user(&user, None)?,
            Admission::Appservice(appservice) => self.appservices.check_user(&user, Some(appservice))?,
            // The operator knows which bridges there are.
            Admission::Granted(_) => {}
        }
        let password_hash = match &new.password {
            Some(password) => Some(self.accounts.passwords().hash(password).await?),
            None => None,
        };
        until_settled(|| self.commit(&user, &new, address, password_hash.clone())).await?;
        Ok(user)
    }

    async fn commit(
        &self,
        user: &UserId,
        new: &NewAccount,
        address: Option<&ValidatedAddress>,
        password_hash: Option<PasswordHash>,
    ) -> Result<()> {
        let snapshot = self.store.snapshot();
        if self.accounts.get(user).await?.is_some() {
            return Err(taken());
        }
        let mut batch = Batch::new();
        let role = self.admit(&mut batch, &snapshot, &new.admission).await?;
        self.accounts.insert(&mut batch, user, password_hash, role);
        if let Some(address) = address {
            self.third_party_ids.bind(&mut batch, &snapshot, user, address).await?;
        }
        // People should see a name where clients would otherwise show them an id.
        let display_name = new.display_name.clone().unwrap_or_else(|| user.localpart().to_owned());
        let mut profile = UserProfile::from_iter([ProfileFieldValue::DisplayName(display_name)]);
        if !matches!(new.admission, Admission::Appservice(_)) {
            profile.extend(self.options.avatar_url.clone().map(ProfileFieldValue::AvatarUrl));
        }
        PROFILES.put(&mut batch, (user,), &profile);
        Log::append(&mut batch, 0, &Change::Profile { user: user.to_owned() });
        self.store.commit(batch).await.map(drop)
    }

    /// What an account may do that is made with `batch`, which takes what lets it be made.
    async fn admit(&self, batch: &mut Batch, snapshot: &Snapshot, admission: &Admission) -> Result<Role> {
        match admission {
            Admission::Open | Admission::Appservice(_) => Ok(Role::User),
            Admission::Token(token) => self.tokens.spend(batch, snapshot, token).await,
            Admission::Granted(role) => Ok(*role),
        }
    }
}

fn taken() -> Error {
    Kind::UserInUse.with("This username is taken.")
}
