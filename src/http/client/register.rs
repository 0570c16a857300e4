//! Making an account: "Account registration" in the client-server specification, and the way for tools beside it.

use std::net::IpAddr;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use ruma::{
    OwnedDeviceId, OwnedUserId, UserId,
    api::client::{
        account::{
            check_registration_token_validity, get_username_availability,
            register::{self, LoginType, RegistrationKind},
        },
        uiaa::AuthData,
    },
};
use serde::Serialize;

use super::amended::{Amended, OldCredentials};
use crate::{
    error::{Error, Kind, Result},
    http::{
        authenticate::MaybeService,
        client_address::ClientAddress,
        endpoint::{Answer, Reply, Request},
        json::Json,
        rate_limit::{Limit, RateLimits},
    },
    users::{
        Admission, Grant, InteractiveAuth, NewAccount, NewDevice, Operation, Purpose, Refreshing, Registration,
        RegistrationTokens, Seen, Sessions, SharedSecretRequest,
    },
};

/// A new account and, if its client wants that, its first session; ruma's type has no way to leave the device out.
#[derive(Serialize)]
pub struct Registered {
    user_id: OwnedUserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<OwnedDeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
    /// Older clients and tools read it.
    home_server: String,
}

pub async fn register(
    State(rate_limits): State<RateLimits>,
    State(registration): State<Registration>,
    State(interactive_auth): State<InteractiveAuth>,
    State(sessions): State<Sessions>,
    ClientAddress(address): ClientAddress,
    service: MaybeService,
    Request(Amended(request)): Request<Amended<OldCredentials<register::v3::Request>>>,
) -> Result<Json<Registered>> {
    if request.kind == RegistrationKind::Guest {
        rate_limits.spend(Limit::Registration, address)?;
        let user = registration.register_guest().await?;
        // Everything but the name of the device is for the server to choose.
        let device = NewDevice { display_name: request.initial_device_display_name, ..NewDevice::default() };
        return Ok(Json(Registered::with_session(sessions.start(&user, device).await?)));
    }
    match &request.login_type {
        None => {}
        Some(LoginType::ApplicationService) => return register_ghost(&registration, &sessions, service, request).await,
        Some(_) => return Err(Kind::Unknown.with("This server does not know this way to register.")),
    }
    let flows = registration.flows()?;
    let guest = guest(&registration, &sessions, &request, address).await?;
    check(&registration, &request, guest.as_deref()).await?;
    // Clients ask every few seconds whether the link in the mail was followed; the mail itself was counted.
    if request.auth.as_ref().is_some_and(|auth| !matches!(auth, AuthData::EmailIdentity(_))) {
        rate_limits.spend(Limit::Registration, address)?;
    }
    let register = Operation::of_stranger("register").with_address_for(Purpose::Register);
    let proof = interactive_auth.authorise(register, &flows, request.auth.as_ref()).await?;

    let password = request.password.clone().ok_or_else(|| Kind::MissingParam.with("A password is needed."))?;
    let new = NewAccount {
        username: request.username.clone(),
        password: Some(password),
        display_name: None,
        admission: proof.registration_token.map_or(Admission::Open, Admission::Token),
    };
    let user = match guest {
        None => registration.register_with(new, proof.address.as_ref()).await?,
        Some(guest) => {
            registration.register_guests_account(&guest, &new, proof.address.as_ref()).await?;
            sessions.reread(&guest).await?;
            guest
        }
    };
    begin(&sessions, user, request.inhibit_login, session_of(request)).await
}

/// Makes an account for an application service, whose users have no passwords.
async fn register_ghost(
    registration: &Registration,
    sessions: &Sessions,
    service: MaybeService,
    request: register::v3::Request,
) -> Result<Json<Registered>> {
    let new = NewAccount {
        admission: Admission::Appservice(service.require()?),
        username: Some(request.username.clone().ok_or_else(|| Kind::MissingParam.with("A username is needed."))?),
        password: None,
        display_name: None,
    };
    let user = registration.register(new).await?;
    begin(sessions, user, request.inhibit_login, session_of(request)).await
}

/// Begins the first session of a new account, if its client wants one.
async fn begin(sessions: &Sessions, user: OwnedUserId, inhibited: bool, device: NewDevice) -> Result<Json<Registered>> {
    Ok(Json(match inhibited {
        true => Registered::without_session(user),
        false => Registered::with_session(sessions.start(&user, device).await?),
    }))
}

/// The device that registers.
fn session_of(request: register::v3::Request) -> NewDevice {
    let refreshing = if request.refresh_token { Refreshing::Supported } else { Refreshing::Unsupported };
    NewDevice { device_id: request.device_id, display_name: request.initial_device_display_name, refreshing }
}

/// The guest whose account is to become a whole one, if the request says so.
async fn guest(
    registration: &Registration,
    sessions: &Sessions,
    request: &register::v3::Request,
    address: IpAddr,
) -> Result<Option<OwnedUserId>> {
    let Some(token) = &request.guest_access_token else { return Ok(None) };
    let session = sessions.authenticate(token, Seen { address, user_agent: None }).await?;
    if !session.guest {
        return Err(Error::forbidden("The guest_access_token is not one of a guest."));
    }
    registration.check_name_of_guest(&session.user_id, request.username.as_deref())?;
    Ok(Some(session.user_id.clone()))
}

/// Finds what is wrong with the account before the user authenticates in vain.
async fn check(registration: &Registration, request: &register::v3::Request, guest: Option<&UserId>) -> Result<()> {
    if let Some(username) = &request.username
        && guest.is_none()
    {
        registration.available(username).await?;
    }
    match &request.password {
        Some(password) => registration.check_password(password),
        None => Ok(()),
    }
}

impl Registered {
    fn with_session(grant: Grant) -> Self {
        Self {
            device_id: Some(grant.device_id),
            access_token: Some(grant.access_token.reveal()),
            refresh_token: grant.refresh_token.map(|token| token.reveal()),
            expires_in_ms: grant.expires_in.map(|lifetime| lifetime.as_millis() as u64),
            ..Self::without_session(grant.user_id)
        }
    }

    fn without_session(user_id: OwnedUserId) -> Self {
        let home_server = user_id.server_name().to_string();
        Self { user_id, home_server, device_id: None, access_token: None, refresh_token: None, expires_in_ms: None }
    }
}

pub async fn availability(
    State(registration): State<Registration>,
    Request(request): Request<get_username_availability::v3::Request>,
) -> Answer<get_username_availability::v3::Response> {
    registration.available(&request.username).await?;
    Ok(Reply(get_username_availability::v3::Response::new(true)))
}

pub async fn token_validity(
    State(rate_limits): State<RateLimits>,
    State(registration): State<Registration>,
    State(tokens): State<RegistrationTokens>,
    ClientAddress(address): ClientAddress,
    Request(request): Request<check_registration_token_validity::v1::Request>,
) -> Answer<check_registration_token_validity::v1::Response> {
    // Otherwise this would be the place to guess tokens.
    rate_limits.spend(Limit::Registration, address)?;
    registration.flows()?;
    let valid = tokens.is_valid(&request.token).await?;
    Ok(Reply(check_registration_token_validity::v1::Response::new(valid)))
}

/// `GET /_synapse/admin/v1/register`
pub async fn shared_secret_nonce(State(registration): State<Registration>) -> Result<Json<serde_json::Value>> {
    let nonce = registration.nonce()?;
    Ok(Json(serde_json::json!({"nonce": nonce})))
}

/// `POST /_synapse/admin/v1/register`
pub async fn shared_secret(
    State(rate_limits): State<RateLimits>,
    State(registration): State<Registration>,
    State(sessions): State<Sessions>,
    ClientAddress(address): ClientAddress,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Registered>> {
    let body = body.map_err(|_| Kind::Unknown.with("The body of the request did not arrive whole."))?;
    let request: SharedSecretRequest = serde_json::from_slice(&body)
        .map_err(|cause| Kind::BadJson.with(format!("The body of the request is not what is asked for: {cause}.")))?;
    rate_limits.spend(Limit::Login, address)?;
    let user = registration.register_with_secret(request).await?;
    Ok(Json(Registered::with_session(sessions.start(&user, NewDevice::default()).await?)))
}
