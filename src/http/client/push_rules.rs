//! What a user wants to be notified of: "Push Rules: API" in the client-server specification.

use axum::extract::State;
use ruma::{
    api::client::push::{
        delete_pushrule, get_pushrule, get_pushrule_actions, get_pushrule_enabled, get_pushrules_all,
        get_pushrules_global_scope, set_pushrule, set_pushrule_actions, set_pushrule_enabled,
    },
    push::{AnyPushRule, RuleKind, Ruleset},
};
use serde::Serialize;
use serde_json::Value;

use super::amended::{Amended, RuleHasConditions};
use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    users::{Place, PushRules, WholeRuleset},
};

/// All rules in every scope there is, which is one.
#[derive(Serialize)]
pub struct AllScopes {
    global: Value,
}

pub async fn all(
    State(push_rules): State<PushRules>,
    caller: Caller,
    _: Request<get_pushrules_all::v3::Request>,
) -> Result<Json<AllScopes>> {
    let rules = push_rules.current(&caller.user_id).await?;
    Ok(Json(AllScopes { global: whole(&rules)? }))
}

pub async fn global(
    State(push_rules): State<PushRules>,
    caller: Caller,
    _: Request<get_pushrules_global_scope::v3::Request>,
) -> Result<Json<Value>> {
    let rules = push_rules.current(&caller.user_id).await?;
    whole(&rules).map(Json)
}

fn whole(rules: &Ruleset) -> Result<Value> {
    serde_json::to_value(WholeRuleset::from(rules)).map_err(Error::internal)
}

/// The kind that a path names. That of MSC4306 has no prefix in the proposal and one in the library, so that clients use both.
fn kind(named: RuleKind) -> RuleKind {
    match named.as_str() {
        "postcontent" => RuleKind::PostContent,
        _ => named,
    }
}

pub async fn get(
    State(push_rules): State<PushRules>,
    caller: Caller,
    Request(request): Request<get_pushrule::v3::Request>,
) -> Answer<get_pushrule::v3::Response> {
    let rule = push_rules.rule(&caller.user_id, kind(request.kind), &request.rule_id).await?;
    let rule = match rule {
        // For the library there is nothing that it could be written as; it looks like the others that have conditions.
        AnyPushRule::PostContent(rule) => AnyPushRule::Override(rule),
        rule => rule,
    };
    Ok(Reply(get_pushrule::v3::Response::new(rule.into())))
}

pub async fn set(
    State(push_rules): State<PushRules>,
    caller: Caller,
    Request(Amended(request)): Request<Amended<RuleHasConditions>>,
) -> Answer<set_pushrule::v3::Response> {
    let place = Place { before: request.before, after: request.after };
    push_rules.put(&caller.user_id, request.rule, place).await?;
    Ok(Reply(set_pushrule::v3::Response::new()))
}

pub async fn delete(
    State(push_rules): State<PushRules>,
    caller: Caller,
    Request(request): Request<delete_pushrule::v3::Request>,
) -> Answer<delete_pushrule::v3::Response> {
    push_rules.remove(&caller.user_id, kind(request.kind), &request.rule_id).await?;
    Ok(Reply(delete_pushrule::v3::Response::new()))
}

pub async fn enabled(
    State(push_rules): State<PushRules>,
    caller: Caller,
    Request(request): Request<get_pushrule_enabled::v3::Request>,
) -> Answer<get_pushrule_enabled::v3::Response> {
    let rule = push_rules.rule(&caller.user_id, kind(request.kind), &request.rule_id).await?;
    Ok(Reply(get_pushrule_enabled::v3::Response::new(rule.enabled())))
}

pub async fn set_enabled(
    State(push_rules): State<PushRules>,
    caller: Caller,
    Request(request): Request<set_pushrule_enabled::v3::Request>,
) -> Answer<set_pushrule_enabled::v3::Response> {
    push_rules.set_enabled(&caller.user_id, kind(request.kind), &request.rule_id, request.enabled).await?;
    Ok(Reply(set_pushrule_enabled::v3::Response::new()))
}

pub async fn actions(
    State(push_rules): State<PushRules>,
    caller: Caller,
    Request(request): Request<get_pushrule_actions::v3::Request>,
) -> Answer<get_pushrule_actions::v3::Response> {
    let rule = push_rules.rule(&caller.user_id, kind(request.kind), &request.rule_id).await?;
    Ok(Reply(get_pushrule_actions::v3::Response::new(rule.actions().to_vec())))
}

pub async fn set_actions(
    State(push_rules): State<PushRules>,
    caller: Caller,
    Request(request): Request<set_pushrule_actions::v3::Request>,
) -> Answer<set_pushrule_actions::v3::Response> {
    push_rules.set_actions(&caller.user_id, kind(request.kind), &request.rule_id, request.actions).await?;
    Ok(Reply(set_pushrule_actions::v3::Response::new()))
}
