//! E-mail addresses of one's account: "Adding Account Administrative Contact Information" in the client-server
//! specification, and the mails of "Account registration" and "Password management".
//!
//! This server proves addresses itself. It sends no short messages and works with no identity server.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequestParts, State, rejection::BytesRejection},
    http::request::Parts,
};
use ruma::{
    OwnedSessionId,
    api::client::account::{
        ThirdPartyIdRemovalStatus, add_3pid, bind_3pid, delete_3pid, get_3pids,
        request_3pid_management_token_via_email as email, request_3pid_management_token_via_msisdn as telephone,
        request_password_change_token_via_email as email_for_password,
        request_password_change_token_via_msisdn as telephone_for_password,
        request_registration_token_via_email as email_for_registration,
        request_registration_token_via_msisdn as telephone_for_registration, unbind_3pid,
    },
};
use serde::Deserialize;

use super::amended::{Amended, OldCredentials};
use crate::{
    config::Config,
    error::{Error, Kind, Result},
    http::{
        authenticate::Caller,
        client_address::ClientAddress,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Client, Limit, RateLimits},
        reauthentication::Reauthentication,
    },
    users::{EmailValidations, Purpose, Registration, ThirdPartyIds, ValidationRequest},
};

pub async fn list(
    State(third_party_ids): State<ThirdPartyIds>,
    caller: Caller,
    _: Request<get_3pids::v3::Request>,
) -> Answer<get_3pids::v3::Response> {
    Ok(Reply(get_3pids::v3::Response::new(third_party_ids.of(&caller.user_id).await?)))
}

/// What a handler needs to have a mail sent.
pub struct Mails {
    validations: EmailValidations,
    rate_limits: RateLimits,
    address: ClientAddress,
}

/// A validation that a client asked for.
struct Begun {
    sid: OwnedSessionId,
    submit_url: Option<String>,
}

impl Mails {
    async fn begin(&self, wanted: ValidationRequest<'_>) -> Result<Begun> {
        self.validations.require_possible(wanted.purpose)?;
        self.rate_limits.spend(Limit::Mails, self.address.0)?;
        self.rate_limits.spend(Limit::Mails, Client::mailbox(wanted.email))?;
        let sid = self.validations.request(wanted).await?;
        Ok(Begun { sid: sid.try_into().map_err(Error::internal)?, submit_url: self.validations.submit_url() })
    }
}

/// Anybody may ask, as the specification has it; who is logged in hears more.
pub async fn request_token(
    mails: Mails,
    caller: Option<Caller>,
    Request(request): Request<email::v3::Request>,
) -> Answer<email::v3::Response> {
    let wanted = ValidationRequest {
        purpose: Purpose::Add,
        email: &request.email,
        client_secret: request.client_secret.as_str(),
        send_attempt: request.send_attempt.into(),
        next_link: request.next_link.as_deref(),
        requester: caller.as_ref().map(|caller| &*caller.user_id),
    };
    let begun = mails.begin(wanted).await?;
    let mut response = email::v3::Response::new(begun.sid);
    response.submit_url = begun.submit_url;
    Ok(Reply(response))
}

pub async fn request_registration_token(
    State(registration): State<Registration>,
    mails: Mails,
    Request(request): Request<email_for_registration::v3::Request>,
) -> Answer<email_for_registration::v3::Response> {
    registration.check_takes_addresses()?;
    let wanted = ValidationRequest {
        purpose: Purpose::Register,
        email: &request.email,
        client_secret: request.client_secret.as_str(),
        send_attempt: request.send_attempt.into(),
        next_link: request.next_link.as_deref(),
        requester: None,
    };
    let begun = mails.begin(wanted).await?;
    let mut response = email_for_registration::v3::Response::new(begun.sid);
    response.submit_url = begun.submit_url;
    Ok(Reply(response))
}

pub async fn request_password_token(
    mails: Mails,
    Request(request): Request<email_for_password::v3::Request>,
) -> Answer<email_for_password::v3::Response> {
    let wanted = ValidationRequest {
        purpose: Purpose::ResetPassword,
        email: &request.email,
        client_secret: request.client_secret.as_str(),
        send_attempt: request.send_attempt.into(),
        next_link: request.next_link.as_deref(),
        requester: None,
    };
    let begun = mails.begin(wanted).await?;
    let mut response = email_for_password::v3::Response::new(begun.sid);
    response.submit_url = begun.submit_url;
    Ok(Reply(response))
}

pub async fn request_telephone_token(Request(_): Request<telephone::v3::Request>) -> Answer<telephone::v3::Response> {
    Err(Kind::MediumNotSupported.with(NO_TELEPHONE))
}

pub async fn request_telephone_registration_token(
    Request(_): Request<telephone_for_registration::v3::Request>,
) -> Answer<telephone_for_registration::v3::Response> {
    Err(Kind::AddressDenied.with(NO_TELEPHONE))
}

pub async fn request_telephone_password_token(
    Request(_): Request<telephone_for_password::v3::Request>,
) -> Answer<telephone_for_password::v3::Response> {
    Err(Kind::AddressDenied.with(NO_TELEPHONE))
}

const NO_TELEPHONE: &str = "This server sends no short messages: accounts have no telephone numbers.";

pub async fn add(
    State(third_party_ids): State<ThirdPartyIds>,
    State(validations): State<EmailValidations>,
    reauthentication: Reauthentication,
    caller: Caller,
    Request(Amended(request)): Request<Amended<OldCredentials<add_3pid::v3::Request>>>,
) -> Answer<add_3pid::v3::Response> {
    // Nobody gives a password in vain.
    let proof = validations.proved(Purpose::Add, request.sid.as_str(), request.client_secret.as_str()).await?;
    let subjects = vec![request.sid.to_string()];
    reauthentication.require(&caller, "add an address", subjects, request.auth.as_ref()).await?;
    third_party_ids.add(&caller.user_id, &proof).await?;
    Ok(Reply(add_3pid::v3::Response::new()))
}

pub async fn remove(
    State(third_party_ids): State<ThirdPartyIds>,
    caller: Caller,
    Request(request): Request<delete_3pid::v3::Request>,
) -> Answer<delete_3pid::v3::Response> {
    third_party_ids.remove(&caller.user_id, &request.medium, &request.address).await?;
    Ok(Reply(delete_3pid::v3::Response::new(ThirdPartyIdRemovalStatus::NoSupport)))
}

pub async fn bind(_: Caller, _: Request<bind_3pid::v3::Request>) -> Answer<bind_3pid::v3::Response> {
    Err(Kind::IdentityServerNotTrusted.with("This server works with no identity server."))
}

/// Nothing was ever bound, so that there is no identity server to ask.
pub async fn unbind(_: Caller, _: Request<unbind_3pid::v3::Request>) -> Answer<unbind_3pid::v3::Response> {
    Ok(Reply(unbind_3pid::v3::Response::new(ThirdPartyIdRemovalStatus::NoSupport)))
}

/// What the deprecated way to add an address takes, which ruma does not know any more.
#[derive(Deserialize)]
struct AddByIdentityServer {
    #[serde(rename = "three_pid_creds", alias = "threePidCreds")]
    _credentials: IdentityServerCredentials,
}

#[derive(Deserialize)]
struct IdentityServerCredentials {
    #[serde(rename = "client_secret")]
    _client_secret: String,
    #[serde(rename = "sid")]
    _sid: String,
}

/// `POST /_matrix/client/v3/account/3pid`: deprecated, and without a password, so that a stolen token would be enough.
pub async fn add_by_identity_server(
    _: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<std::convert::Infallible> {
    let body = body.map_err(|_| Kind::Unknown.with("The body of the request did not arrive whole."))?;
    let _: AddByIdentityServer = serde_json::from_slice(&body).map_err(|cause| {
        let kind = if cause.is_data() { Kind::BadJson } else { Kind::NotJson };
        kind.with(format!("The body of the request is not what this endpoint asks for: {cause}."))
    })?;
    Err(Kind::AddressUnproven
        .with("This server works with no identity server: add an address with /account/3pid/add instead."))
}

impl<S> FromRequestParts<S> for Mails
where
    S: Send + Sync,
    EmailValidations: FromRef<S>,
    RateLimits: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            validations: FromRef::from_ref(state),
            rate_limits: FromRef::from_ref(state),
            address: ClientAddress::from_request_parts(parts, state).await?,
        })
    }
}
