//! One's own account: "Account management" and "Current account information" in the client-server specification.

use axum::extract::State;
use ruma::api::client::account::{ThirdPartyIdRemovalStatus, change_password, deactivate, get_3pids, whoami};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        reauthentication::Reauthentication,
    },
    users::{self, Accounts, Belongings, OtherSessions, Sessions},
};

pub async fn whoami(caller: Caller, _: Request<whoami::v3::Request>) -> Answer<whoami::v3::Response> {
    let mut response = whoami::v3::Response::new(caller.user_id.clone(), false);
    response.device_id = Some(caller.device_id.clone());
    Ok(Reply(response))
}

pub async fn change_password(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    reauthentication: Reauthentication,
    caller: Option<Caller>,
    Request(request): Request<change_password::v3::Request>,
) -> Answer<change_password::v3::Response> {
    accounts.passwords().check_strength(&request.new_password)?;
    let user = reauthentication.require_owner(caller.as_ref(), "change the password", request.auth.as_ref()).await?;
    let others = match request.logout_devices {
        true => OtherSessions::End { but: caller.map(|caller| caller.device_id.clone()) },
        false => OtherSessions::Keep,
    };
    users::change_password(&accounts, &sessions, &user, &request.new_password, &others).await?;
    Ok(Reply(change_password::v3::Response::new()))
}

pub async fn deactivate(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    reauthentication: Reauthentication,
    caller: Option<Caller>,
    Request(request): Request<deactivate::v3::Request>,
) -> Answer<deactivate::v3::Response> {
    let user = reauthentication.require_owner(caller.as_ref(), "deactivate", request.auth.as_ref()).await?;
    let belongings = if request.erase { Belongings::Erase } else { Belongings::Keep };
    users::deactivate(&accounts, &sessions, &user, belongings).await?;
    // Nothing was ever bound at an identity server, so everything is unbound.
    Ok(Reply(deactivate::v3::Response::new(ThirdPartyIdRemovalStatus::Success)))
}

/// Accounts here have no email addresses or phone numbers, which clients show as an empty list.
pub async fn third_party_ids(_: Caller, _: Request<get_3pids::v3::Request>) -> Answer<get_3pids::v3::Response> {
    Ok(Reply(get_3pids::v3::Response::new(Vec::new())))
}
