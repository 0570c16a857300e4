//! Logging in and out: "Login", "Refreshing access tokens" and "Logout" in the client-server specification.

use std::sync::Arc;

use axum::extract::State;
use ruma::{
    OwnedUserId,
    api::client::{
        session::{
            get_login_token,
            get_login_types::{
                self,
                v3::{ApplicationServiceLoginType, LoginType, PasswordLoginType, TokenLoginType},
            },
            login::{
                self,
                v3::{ApplicationService, DiscoveryInfo, HomeserverInfo, LoginInfo, Password},
            },
            logout, logout_all, refresh_token, sso_login, sso_login_with_provider,
        },
        uiaa::{MatrixUserIdentifier, UserIdentifier},
    },
};

use super::amended::{Amended, LoginHasType};
use crate::{
    config::Config,
    error::{Error, Kind, Result},
    http::{
        authenticate::{Caller, LockedOrNot, MaybeService},
        client_address::ClientAddress,
        endpoint::{Answer, Reply, Request},
        password_check::user_with_password,
        rate_limit::{Limit, RateLimits},
        reauthentication::Reauthentication,
    },
    users::{Accounts, LoginTokens, NewDevice, Refreshing, Sessions},
};

pub async fn flows(_: Request<get_login_types::v3::Request>) -> Answer<get_login_types::v3::Response> {
    let mut token = TokenLoginType::new();
    token.get_login_token = true;
    let flows = vec![
        LoginType::Password(PasswordLoginType::new()),
        LoginType::Token(token),
        LoginType::ApplicationService(ApplicationServiceLoginType::new()),
    ];
    Ok(Reply(get_login_types::v3::Response::new(flows)))
}

pub async fn login(
    (State(config), State(rate_limits)): (State<Arc<Config>>, State<RateLimits>),
    State(accounts): State<Accounts>,
    State(login_tokens): State<LoginTokens>,
    State(sessions): State<Sessions>,
    ClientAddress(address): ClientAddress,
    service: MaybeService,
    Request(Amended(request)): Request<Amended<LoginHasType>>,
) -> Answer<login::v3::Response> {
    if !matches!(request.login_info, LoginInfo::ApplicationService(_)) {
        rate_limits.spend(Limit::Login, address)?;
    }
    let user = match &request.login_info {
        LoginInfo::Password(password) => {
            let identifier = identifier(password)?;
            user_with_password(&rate_limits, &accounts, &identifier, &password.password).await?
        }
        LoginInfo::Token(token) => login_tokens.redeem(&token.token).await?,
        LoginInfo::ApplicationService(info) => user_of_service(&accounts, service, info).await?,
        _ => return Err(Kind::Unknown.with("This server does not know this way to log in.")),
    };
    let refreshing = if request.refresh_token { Refreshing::Supported } else { Refreshing::Unsupported };
    let device =
        NewDevice { device_id: request.device_id, display_name: request.initial_device_display_name, refreshing };
    let grant = sessions.start(&user, device).await?;

    let mut response = login::v3::Response::new(grant.user_id, grant.access_token.reveal(), grant.device_id);
    response.refresh_token = grant.refresh_token.map(|token| token.reveal());
    response.expires_in = grant.expires_in;
    response.well_known = config.well_known.client.clone().map(|url| DiscoveryInfo::new(HomeserverInfo::new(url)));
    Ok(Reply(response))
}

/// Whom an application service logs in as, which may be any user of its namespaces.
async fn user_of_service(accounts: &Accounts, service: MaybeService, info: &ApplicationService) -> Result<OwnedUserId> {
    let service = service.require()?;
    #[expect(deprecated, reason = "older bridges still name their user this way")]
    let name = match (&info.identifier, &info.user) {
        (Some(UserIdentifier::Matrix(identifier)), _) => &identifier.user,
        (None, Some(user)) => user,
        _ => return Err(Kind::MissingParam.with("The user is not named by a user id.")),
    };
    let user = accounts.user_called(name)?;
    if !service.has_user(&user) {
        return Err(Kind::Exclusive.with("This user is outside of the namespaces of the application service."));
    }
    match accounts.get(&user).await? {
        Some(_) => Ok(user),
        None => Err(Error::forbidden("The application service has not registered this user.")),
    }
}

/// Whom the client names, in today's way or in that of r0.
fn identifier(password: &Password) -> Result<UserIdentifier> {
    #[expect(deprecated, reason = "old clients still name their user this way")]
    let Password { identifier, user, medium, address, .. } = password;
    match (identifier, user, medium, address) {
        (Some(identifier), ..) => Ok(identifier.clone()),
        (None, Some(user), ..) => Ok(MatrixUserIdentifier::new(user.clone()).into()),
        (None, None, Some(medium), Some(address)) => {
            Ok(UserIdentifier::third_party_id(medium.as_str().into(), address.clone()))
        }
        _ => Err(Kind::MissingParam.with("The user is not named.")),
    }
}

/// `GET /login/sso/redirect`
pub async fn sso(_: Request<sso_login::v3::Request>) -> Answer<sso_login::v3::Response> {
    Err(no_single_sign_on())
}

/// `GET /login/sso/redirect/{idpId}`
pub async fn sso_with(
    _: Request<sso_login_with_provider::v3::Request>,
) -> Answer<sso_login_with_provider::v3::Response> {
    Err(no_single_sign_on())
}

fn no_single_sign_on() -> Error {
    Error::not_found("This server has no single sign-on: log in with a password.")
}

pub async fn refresh(
    State(rate_limits): State<RateLimits>,
    State(sessions): State<Sessions>,
    ClientAddress(address): ClientAddress,
    Request(request): Request<refresh_token::v3::Request>,
) -> Answer<refresh_token::v3::Response> {
    let grant = sessions.refresh(&request.refresh_token).await.inspect_err(|_| {
        // Only a wrong token counts, since every client of a household refreshes its own from one address.
        let _ = rate_limits.spend(Limit::Login, address);
    })?;
    let mut response = refresh_token::v3::Response::new(grant.access_token.reveal());
    response.refresh_token = grant.refresh_token.map(|token| token.reveal());
    response.expires_in_ms = grant.expires_in;
    Ok(Reply(response))
}

pub async fn login_token(
    State(login_tokens): State<LoginTokens>,
    reauthentication: Reauthentication,
    caller: Caller,
    Request(request): Request<get_login_token::v1::Request>,
) -> Answer<get_login_token::v1::Response> {
    reauthentication.require(&caller, "get a login token", Vec::new(), request.auth.as_ref()).await?;
    let token = login_tokens.issue(&caller.user_id).await?;
    Ok(Reply(get_login_token::v1::Response::new(login_tokens.lifetime(), token.reveal())))
}

pub async fn logout(
    State(sessions): State<Sessions>,
    LockedOrNot(caller): LockedOrNot,
    _: Request<logout::v3::Request>,
) -> Answer<logout::v3::Response> {
    sessions.end(&caller.user_id, std::slice::from_ref(&caller.device_id)).await?;
    Ok(Reply(logout::v3::Response::new()))
}

pub async fn logout_all(
    State(sessions): State<Sessions>,
    LockedOrNot(caller): LockedOrNot,
    _: Request<logout_all::v3::Request>,
) -> Answer<logout_all::v3::Response> {
    sessions.end_all(&caller.user_id).await?;
    Ok(Reply(logout_all::v3::Response::new()))
}
