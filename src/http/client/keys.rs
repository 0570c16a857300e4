//! The keys of devices and people: "End-to-End Encryption" in the client-server specification.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use ruma::{
    OwnedServerName, OwnedUserId,
    api::client::keys::{claim_keys, get_key_changes, get_keys, upload_keys, upload_signatures, upload_signing_keys},
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    encryption::{Authentication, CrossSigningUpload, KeyUpload, Keys, Outcome, Owner},
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        error_response::errcode,
        json::Json,
        rate_limit::{Limit, RateLimits},
        reauthentication::Reauthentication,
    },
    sync::{Sync, SyncToken},
};

/// How the upload of cross-signing keys is called where a session of authentication is bound to it.
const CROSS_SIGNING: &str = "upload cross-signing keys";

pub async fn upload(
    State(keys): State<Keys>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<upload_keys::v3::Request>,
) -> Answer<upload_keys::v3::Response> {
    caller.require_device()?;
    caller.spend(&rate_limits, Limit::Encryption)?;
    let owner = owner(&caller);
    let upload = KeyUpload::check(owner, request.device_keys.as_ref(), &request.one_time_keys, &request.fallback_keys)?;
    let stock = keys.upload(owner, &upload).await?;
    Ok(Reply(upload_keys::v3::Response::new(stock.one_time_key_counts.clone())))
}

/// The answer to a query. Clients read all of its parts whether or not there is anything in them, and ruma leaves out what is
/// empty.
#[derive(Serialize)]
struct KeysFound<D, C> {
    device_keys: D,
    master_keys: C,
    self_signing_keys: C,
    user_signing_keys: C,
    failures: BTreeMap<String, Value>,
}

pub async fn query(
    State(keys): State<Keys>,
    caller: Caller,
    Request(request): Request<get_keys::v3::Request>,
) -> Result<Json<impl Serialize>> {
    let found = keys.query(&caller.user_id, &request.device_keys).await?;
    Ok(Json(KeysFound {
        device_keys: found.device_keys,
        master_keys: found.master_keys,
        self_signing_keys: found.self_signing_keys,
        user_signing_keys: found.user_signing_keys,
        failures: failures(found.unreachable),
    }))
}

/// The answer to a claim. As with [`KeysFound`]: without `failures`, Hydrogen would not send the keys of its rooms to anybody.
#[derive(Serialize)]
struct KeysClaimed<K> {
    one_time_keys: K,
    failures: BTreeMap<String, Value>,
}

pub async fn claim(
    State(keys): State<Keys>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<claim_keys::v3::Request>,
) -> Result<Json<impl Serialize>> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    let claimed = keys.claim(&request.one_time_keys).await?;
    Ok(Json(KeysClaimed { one_time_keys: claimed.keys, failures: failures(claimed.unreachable) }))
}

pub async fn changes(
    State(sync): State<Sync>,
    caller: Caller,
    Request(request): Request<get_key_changes::v3::Request>,
) -> Answer<get_key_changes::v3::Response> {
    let (from, to): (SyncToken, SyncToken) = (request.from.parse()?, request.to.parse()?);
    let lists = sync.device_list_changes(&caller.user_id, from, to).await?;
    Ok(Reply(get_key_changes::v3::Response::new(lists.changed, lists.left)))
}

pub async fn upload_cross_signing(
    State(keys): State<Keys>,
    reauthentication: Reauthentication,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<upload_signing_keys::v3::Request>,
) -> Answer<upload_signing_keys::v3::Response> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    let (master, self_signing) = (request.master_key.as_ref(), request.self_signing_key.as_ref());
    let upload = CrossSigningUpload::check(&caller.user_id, master, self_signing, request.user_signing_key.as_ref())?;
    let owner = owner(&caller);
    if keys.upload_cross_signing(owner, &upload, Authentication::Missing).await? == Outcome::AuthenticationNeeded {
        reauthentication.require(&caller, CROSS_SIGNING, upload.names(), request.auth.as_ref()).await?;
        keys.upload_cross_signing(owner, &upload, Authentication::Given).await?;
    }
    Ok(Reply(upload_signing_keys::v3::Response::new()))
}

/// The answer to an upload of signatures, in which ruma's type has no place for an errcode of ours.
#[derive(Serialize)]
pub struct SignaturesUploaded {
    failures: BTreeMap<OwnedUserId, BTreeMap<String, Value>>,
}

pub async fn upload_signatures(
    State(keys): State<Keys>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<upload_signatures::v3::Request>,
) -> Result<Json<SignaturesUploaded>> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    let signed: BTreeMap<_, Vec<(&str, &RawValue)>> =
        request.signed_keys.iter().map(|(user, keys)| (&**user, keys.iter().collect())).collect();
    let failures = keys.upload_signatures(owner(&caller), &signed).await?.into_iter().map(|(user, keys)| {
        let failure = |(name, error): (_, crate::error::Error)| {
            (name, json!({ "errcode": errcode(&error.kind), "error": error.message }))
        };
        (user, keys.into_iter().map(failure).collect())
    });
    Ok(Json(SignaturesUploaded { failures: failures.collect() }))
}

fn owner(caller: &Caller) -> Owner<'_> {
    Owner { user: &caller.user_id, device: &caller.device_id }
}

/// What is said of servers that cannot be asked.
fn failures(servers: BTreeSet<OwnedServerName>) -> BTreeMap<String, Value> {
    let failure = json!({ "errcode": "M_UNKNOWN", "error": "This server does not talk to other servers." });
    servers.into_iter().map(|server| (server.to_string(), failure.clone())).collect()
}
