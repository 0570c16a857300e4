//! What belongs to one person: the account, its sessions, and everything a user keeps on the server for themselves.

mod account_data;
mod accounts;
mod conflicts;
mod deactivation;
mod filters;
mod interactive_auth;
mod password_change;
mod passwords;
mod profiles;
mod push_rules;
mod registration;
mod registration_tokens;
mod secrets;
mod sessions;
mod short_lived_tokens;
mod tags;
mod usernames;

pub use self::{
    account_data::AccountData,
    accounts::Accounts,
    deactivation::{Belongings, deactivate},
    filters::Filters,
    interactive_auth::{InteractiveAuth, Operation, Proof},
    password_change::{OtherSessions, change_password},
    passwords::Passwords,
    profiles::{ProfileChange, Profiles},
    push_rules::{Place, PushRules},
    registration::{Admission, NewAccount, Registration, SharedSecretRequest},
    registration_tokens::{NewRegistrationToken, RegistrationTokens},
    secrets::Token,
    sessions::{DeviceInfo, Grant, NewDevice, Refreshing, Seen, Session, Sessions},
    short_lived_tokens::{LoginTokens, OpenIdTokens},
    tags::Tags,
};
pub use crate::storage::schema::users::{Account, RegistrationToken, Role, Standing};
