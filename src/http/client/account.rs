//! One's own account: "Account management" and "Current account information" in the client-server specification.

use axum::extract::State;
use ruma::api::client::account::{ThirdPartyIdRemovalStatus, change_password, deactivate, whoami};

use super::amended::{Amended, OldCredentials};
use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        reauthentication::Reauthentication,
    },
    users::{self, Accounts, Belongings, OtherSessions, Sessions, ThirdPartyIds},
};

pub async fn whoami(caller: Caller, _: Request<whoami::v3::Request>) -> Answer<whoami::v3::Response> {
    let mut response = whoami::v3::Response::new(caller.user_id.clone(), caller.guest);
    // An application service may act as a user without a device.
    response.device_id = Some(caller.device_id.clone()).filter(|device| !device.as_str().is_empty());
    Ok(Reply(response))
}

pub async fn change_password(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    State(third_party_ids): State<ThirdPartyIds>,
    reauthentication: Reauthentication,
    caller: Option<Caller>,
    Request(Amended(request)): Request<Amended<OldCredentials<change_password::v3::Request>>>,
) -> Answer<change_password::v3::Response> {
    accounts.passwords().check_strength(&request.new_password)?;
    caller.as_ref().map_or(Ok(()), Caller::require_person)?;
    let name = "change the password";
    let owner = reauthentication.require_owner_or_address(caller.as_ref(), name, request.auth.as_ref()).await?;
    let others = match request.logout_devices {
        true => OtherSessions::End { but: caller.map(|caller| caller.device_id.clone()) },
        false => OtherSessions::Keep,
    };
    match &owner.address {
        None => users::change_password(&accounts, &sessions, &owner.user, &request.new_password, &others).await?,
        Some(address) => {
            let services = (&accounts, &sessions, &third_party_ids);
            users::reset_password(services, &owner.user, &request.new_password, &others, address).await?;
        }
    }
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
