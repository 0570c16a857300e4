//! Requests that ruma decodes otherwise than the specification says, and what is done about it before it does.

use std::{borrow::Cow, marker::PhantomData};

use ruma::{
    api::{
        IncomingRequest, Metadata,
        client::{
            directory::set_room_visibility, message::get_message_events, push::set_pushrule, search::search_events,
            session::login, typing::create_typing_event,
        },
        error::DeserializationError,
    },
    exports::http,
    serde::JsonObject,
};
use serde::{Deserialize, de::IgnoredAny};

/// The request of an endpoint whose body and query went through `A` first.
pub struct Amended<A: Amend>(pub A::Request);

/// What has to happen to an endpoint's requests.
pub trait Amend {
    /// The endpoint's request.
    type Request: IncomingRequest;

    /// Checks or changes a body.
    fn amend(body: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(body))
    }

    /// What is added to a query.
    fn add_to_query(_query: &str) -> Option<&'static str> {
        None
    }
}

/// A login without a `type` is refused, where ruma 0.17 panics.
pub enum LoginHasType {}

impl Amend for LoginHasType {
    type Request = login::v3::Request;

    fn amend(body: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
        #[derive(Deserialize)]
        struct Login {
            #[serde(rename = "type")]
            _type: IgnoredAny,
        }

        serde_json::from_slice::<Login>(body)?;
        Ok(Cow::Borrowed(body))
    }
}

/// What proves an e-mail address may still be called `threepidCreds`, as clients of old versions of the specification do.
pub struct OldCredentials<R>(PhantomData<R>);

impl<R: IncomingRequest> Amend for OldCredentials<R> {
    type Request = R;

    fn amend(body: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
        let old = b"threepidCreds";
        if !body.windows(old.len()).any(|window| window == old) {
            return Ok(Cow::Borrowed(body));
        }
        let mut request: JsonObject = serde_json::from_slice(body)?;
        if let Some(auth) = request.get_mut("auth").and_then(serde_json::Value::as_object_mut)
            && !auth.contains_key("threepid_creds")
            && let Some(credentials) = auth.remove("threepidCreds")
        {
            auth.insert("threepid_creds".to_owned(), credentials);
        }
        serde_json::to_vec(&request).map(Cow::Owned)
    }
}

/// Who says that they are typing, and not for how long, types for half a minute; ruma 0.17 refuses the request.
pub enum TypesForAWhile {}

impl Amend for TypesForAWhile {
    type Request = create_typing_event::v3::Request;

    fn amend(body: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
        let mut state: JsonObject = serde_json::from_slice(body)?;
        if state.contains_key("timeout") || state.get("typing") != Some(&true.into()) {
            return Ok(Cow::Borrowed(body));
        }
        state.insert("timeout".to_owned(), 30_000.into());
        serde_json::to_vec(&state).map(Cow::Owned)
    }
}

/// A push rule without `conditions` always matches, where ruma 0.17 refuses it; rules that have none ignore them.
pub enum RuleHasConditions {}

impl Amend for RuleHasConditions {
    type Request = set_pushrule::v3::Request;

    fn amend(body: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
        let mut rule: JsonObject = serde_json::from_slice(body)?;
        if rule.contains_key("conditions") {
            return Ok(Cow::Borrowed(body));
        }
        rule.insert("conditions".to_owned(), serde_json::json!([]));
        serde_json::to_vec(&rule).map(Cow::Owned)
    }
}

/// A room whose visibility is not said becomes public, where ruma 0.17 refuses the request.
pub enum UsuallyPublic {}

impl Amend for UsuallyPublic {
    type Request = set_room_visibility::v3::Request;

    fn amend(body: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
        let mut wish: JsonObject = serde_json::from_slice(body)?;
        if wish.contains_key("visibility") {
            return Ok(Cow::Borrowed(body));
        }
        wish.insert("visibility".to_owned(), "public".into());
        serde_json::to_vec(&wish).map(Cow::Owned)
    }
}

/// What stands around a search result is given to clients that ask for it, where ruma 0.17 takes every client for one.
pub enum ContextIsWanted {}

impl Amend for ContextIsWanted {
    type Request = search_events::v3::Request;

    fn amend(body: &[u8]) -> serde_json::Result<Cow<'_, [u8]>> {
        let mut search: JsonObject = serde_json::from_slice(body)?;
        let categories = search.get_mut("search_categories").and_then(serde_json::Value::as_object_mut);
        let criteria = categories.and_then(|categories| categories.get_mut("room_events"));
        let Some(criteria) = criteria.and_then(serde_json::Value::as_object_mut) else {
            return Ok(Cow::Borrowed(body));
        };
        if criteria.contains_key("event_context") {
            return Ok(Cow::Borrowed(body));
        }
        let none = serde_json::json!({ "before_limit": 0, "after_limit": 0 });
        criteria.insert("event_context".to_owned(), none);
        serde_json::to_vec(&search).map(Cow::Owned)
    }
}

/// A page of history goes forward if nobody says where, as old clients expect. They also expect to hear that a room is
/// closed to them before they hear that something is missing.
pub enum UsuallyForward {}

impl Amend for UsuallyForward {
    type Request = get_message_events::v3::Request;

    fn add_to_query(query: &str) -> Option<&'static str> {
        let says = query.split('&').any(|pair| pair.split('=').next() == Some("dir"));
        (!says).then_some("dir=f")
    }
}

impl<A: Amend> Metadata for Amended<A> {
    const METHOD: http::Method = A::Request::METHOD;
    const RATE_LIMITED: bool = A::Request::RATE_LIMITED;
    type Authentication = <A::Request as Metadata>::Authentication;
    type PathBuilder = <A::Request as Metadata>::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = A::Request::PATH_BUILDER;
}

impl<A: Amend> IncomingRequest for Amended<A> {
    type EndpointError = <A::Request as IncomingRequest>::EndpointError;
    type OutgoingResponse = <A::Request as IncomingRequest>::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let (mut head, body) = request.into_parts();
        let body = A::amend(body)?;
        if let Some(added) = A::add_to_query(head.uri.query().unwrap_or_default()) {
            head.uri = with_query(&head.uri, added);
        }
        A::Request::try_from_http_request_inner(http::Request::from_parts(head, &*body), path_args).map(Self)
    }
}

/// The address with one more pair in its query.
fn with_query(uri: &http::Uri, added: &str) -> http::Uri {
    let query = match uri.query() {
        Some(query) if !query.is_empty() => format!("{query}&{added}"),
        _ => added.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{}?{query}", uri.path()).parse().ok();
    http::Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
