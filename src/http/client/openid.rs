//! Proving to other services who one is: "OpenID" in the client-server specification, and the question that such a service
//! asks back, which is in the server-server specification.

use axum::extract::State;
use ruma::{
    api::{client::account::request_openid_token, federation::openid::get_openid_userinfo},
    authentication::TokenType,
};

use crate::{
    error::Kind,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    users::{Accounts, OpenIdTokens, Standing},
};

pub async fn request_token(
    State(accounts): State<Accounts>,
    State(tokens): State<OpenIdTokens>,
    caller: Caller,
    Request(request): Request<request_openid_token::v3::Request>,
) -> Answer<request_openid_token::v3::Response> {
    caller.require_self(&request.user_id)?;
    let token = tokens.issue(&caller.user_id).await?.reveal();
    let server_name = accounts.server_name().to_owned();
    let response = request_openid_token::v3::Response::new(token, TokenType::Bearer, server_name, tokens.lifetime());
    Ok(Reply(response))
}

pub async fn user_info(
    State(accounts): State<Accounts>,
    State(tokens): State<OpenIdTokens>,
    Request(request): Request<get_openid_userinfo::v1::Request>,
) -> Answer<get_openid_userinfo::v1::Response> {
    let user = tokens.owner(&request.access_token).await?;
    // Whose account ended or is locked meanwhile proves nothing by a token from before.
    let account = accounts.get(&user).await?;
    if account.is_none_or(|account| account.standing != Standing::Active) {
        return Err(
            Kind::UnknownToken { soft_logout: false }.with("The account of this token cannot be used any more.")
        );
    }
    Ok(Reply(get_openid_userinfo::v1::Response::new(user)))
}
