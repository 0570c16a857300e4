//! What belongs to one person: the account, its sessions, and everything a user keeps on the server for themselves.

mod account_data;
mod accounts;
mod deactivation;
mod filters;
mod guest_expiry;
mod interactive_auth;
mod local_notifications;
mod oauth;
mod password_change;
mod passwords;
mod profiles;
mod push_rules;
mod pushers;
mod registration;
mod registration_tokens;
mod reports;
mod rooms_behind;
mod secrets;
mod server_account;
mod sessions;
mod short_lived_tokens;
mod tags;
mod third_party_ids;
mod thread_subscriptions;
mod usernames;

pub use self::{
    account_data::{AccountData, RoomsAccountData},
    accounts::Accounts,
    deactivation::{Belongings, UserBelonging, deactivate},
    filters::{Filter, Filters},
    guest_expiry::GuestExpiry,
    interactive_auth::{InteractiveAuth, Operation, Proof},
    oauth::{CodeExchange, OAuth, OAuthFailure, OAuthGrant, SealedPage},
    password_change::{OtherSessions, change_password, reset_password},
    passwords::Passwords,
    profiles::{Profiles, SHOWN_IN_ROOMS},
    push_rules::{CarriedRules, Place, PushRules, WholeRuleset},
    pushers::{GatewayEncryption, KeptPusher, OtherUsers, Pushers},
    registration::{Admission, NewAccount, Registration, SharedSecretRequest},
    registration_tokens::{NewRegistrationToken, RegistrationTokens},
    reports::{ReportKind, Reports, ReportsPage, ReportsRequest},
    rooms_behind::RoomsBehind,
    secrets::{Token, random_text},
    sessions::{DeviceBelonging, DeviceInfo, Grant, NewDevice, Refreshing, Seen, Session, Sessions},
    short_lived_tokens::{LoginTokens, OpenIdTokens},
    tags::Tags,
    third_party_ids::{Confirmed, EmailValidations, ThirdPartyIds, ValidatedAddress, ValidationRequest},
    thread_subscriptions::{ThreadSubscriptionChange, ThreadSubscriptionChanges, ThreadSubscriptions},
};
pub use crate::storage::schema::{
    moderation::{Report, ReportedSubject},
    third_party_ids::Purpose,
    users::{Account, RegistrationToken, Role, Standing, ThreadSubscription},
};
use crate::{appservices::Appservices, clock::Clock, config::Config, error::Result, storage::Store, streams::Notifier};

/// The services of this folder, each for whoever names it; none of them sees this.
#[derive(Clone)]
pub struct Users {
    /// Who has an account.
    pub accounts: Accounts,
    /// Which device a token belongs to.
    pub sessions: Sessions,
    /// How accounts are made.
    pub registration: Registration,
    /// With what they are made.
    pub registration_tokens: RegistrationTokens,
    /// How somebody proves that they want something.
    pub interactive_auth: InteractiveAuth,
    /// Which e-mail addresses accounts have.
    pub third_party_ids: ThirdPartyIds,
    /// How people prove that an address is theirs.
    pub email_validations: EmailValidations,
    /// How a device lets another one log in.
    pub login_tokens: LoginTokens,
    /// How clients log in through a browser.
    pub oauth: OAuth,
    /// How users prove to other services who they are.
    pub openid_tokens: OpenIdTokens,
    /// What people report to the administrators.
    pub reports: Reports,
    /// What users show of themselves.
    pub profiles: Profiles,
    /// Whose rooms do not show yet what they show of themselves.
    pub rooms_behind: RoomsBehind,
    /// What clients keep for each other.
    pub account_data: AccountData,
    /// How users sort their rooms.
    pub tags: Tags,
    /// What users want to be notified of.
    pub push_rules: PushRules,
    /// Where devices want to be told of it.
    pub pushers: Pushers,
    /// What clients want left out.
    pub filters: Filters,
    /// Which threads users want to hear of.
    pub thread_subscriptions: ThreadSubscriptions,
    /// How long guests stay.
    pub guest_expiry: GuestExpiry,
}

impl Users {
    /// Builds the services over `store`, as `config` wants them; devices take `belongings` along when they go.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if passwords cannot be hashed as configured, or if the mail server cannot be used as configured.
    pub fn new(
        store: &Store,
        notifier: &Notifier,
        clock: &Clock,
        config: &Config,
        belongings: &'static [DeviceBelonging],
    ) -> Result<Self> {
        let (store, notifier, clock) = (|| store.clone(), || notifier.clone(), || clock.clone());
        let passwords = Passwords::new(&config.passwords)?;
        let accounts = Accounts::new(store(), passwords, clock(), config.server_name.clone());
        let tokens = RegistrationTokens::new(store(), clock());
        let options = config.registration.clone();
        let validations = EmailValidations::new(store(), clock(), config)?;
        let third_party_ids = ThirdPartyIds::new(store(), accounts.clone(), validations.clone(), clock());
        let encryption = match config.push.allow_http {
            true => GatewayEncryption::Optional,
            false => GatewayEncryption::Required,
        };
        let sessions = Sessions::new(store(), accounts.clone(), notifier(), clock(), config.sessions.clone())
            .with_belongings(belongings);
        let patience = config.registration.guests_expire_after;
        let push_rules = PushRules::new(store(), notifier());
        let account_data = AccountData::new(store(), notifier(), push_rules.clone());
        Ok(Self {
            guest_expiry: GuestExpiry::new(accounts.clone(), sessions.clone(), clock(), patience),
            oauth: OAuth::new(store(), sessions.clone(), clock()),
            sessions,
            registration: Registration::new(
                store(),
                accounts.clone(),
                tokens.clone(),
                third_party_ids.clone(),
                clock(),
                options,
            ),
            interactive_auth: InteractiveAuth::new(accounts.clone(), tokens.clone(), validations.clone(), clock()),
            third_party_ids,
            email_validations: validations,
            registration_tokens: tokens,
            login_tokens: LoginTokens::new(store(), clock()),
            openid_tokens: OpenIdTokens::new(store(), clock()),
            reports: Reports::new(store(), clock()),
            profiles: Profiles::new(store(), accounts.clone(), notifier()),
            rooms_behind: RoomsBehind::new(store(), notifier()),
            accounts,
            tags: Tags::new(account_data.clone()),
            account_data,
            push_rules,
            pushers: Pushers::new(store(), notifier(), clock(), encryption),
            filters: Filters::new(store()),
            thread_subscriptions: ThreadSubscriptions::new(store(), notifier()),
        })
    }

    /// The same services, where `appservices` have names to themselves.
    #[must_use]
    pub fn with_appservices(self, appservices: &Appservices) -> Self {
        Self { registration: self.registration.with_appservices(appservices.clone()), ..self }
    }

    /// The same services, for whose users layers above keep `belongings`.
    #[must_use]
    pub fn with_user_belongings(self, belongings: &'static [UserBelonging]) -> Self {
        let accounts = self.accounts.with_belongings(belongings);
        Self { guest_expiry: self.guest_expiry.with_accounts(accounts.clone()), accounts, ..self }
    }
}
