//! Requests with what ruma does not keep of them: the filters in their bodies and queries as they were sent.

use std::borrow::Cow;

use ruma::{
    api::{IncomingRequest, Metadata, error::DeserializationError},
    exports::http,
};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Kind, Result},
    matrix::relation_filter::RelationFilter,
};

/// The request of an endpoint with the text that it was read from.
pub struct AsSent<R> {
    /// The request.
    pub request: R,
    /// The query, without the question mark.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
}

impl<R> AsSent<R> {
    /// What the filter of room events in the query says of relations.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidParam`] if it is no such filter.
    pub fn relation_filter(&self) -> Result<RelationFilter> {
        let filter = self.in_query("filter").filter(|filter| !filter.is_empty());
        let filter = filter.map(|filter| RelationFilter::of_room_events(&filter)).transpose();
        filter.map(Option::unwrap_or_default).map_err(|cause| Error::invalid(format!("This is no filter: {cause}.")))
    }

    /// The value of a parameter of the query.
    pub fn in_query(&self, name: &str) -> Option<String> {
        let pair = |pair: &str| {
            let (found, value) = pair.split_once('=')?;
            (found == name).then(|| decoded(value))
        };
        self.query.split('&').find_map(pair)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// [`Kind::NotJson`] if it is none.
    pub fn body(&self) -> Result<&RawValue> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Kind::NotJson.with("The body of the request is not JSON in UTF-8."))
    }
}

/// A value of a query with its percent signs and plus signs resolved.
fn decoded(value: &str) -> String {
    let value = match value.contains('+') {
        true => Cow::Owned(value.replace('+', " ")),
        false => Cow::Borrowed(value),
    };
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl<R: IncomingRequest> Metadata for AsSent<R> {
    const METHOD: http::Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = <R as Metadata>::Authentication;
    type PathBuilder = <R as Metadata>::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest> IncomingRequest for AsSent<R> {
    type EndpointError = <R as IncomingRequest>::EndpointError;
    type OutgoingResponse = <R as IncomingRequest>::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = request.body().to_vec();
        R::try_from_http_request_inner(request, path_args).map(|request| Self { request, query, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_and_decoded() {
        let sent = AsSent { request: (), query: "dir=b&filter=%7B%22a%22:+1%7D&x=%zz%4".to_owned(), body: Vec::new() };
        assert_eq!(sent.in_query("filter").as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(sent.in_query("x").as_deref(), Some("%zz%4"));
        assert_eq!(sent.in_query("filte"), None);
    }

    #[test]
    fn what_a_filter_says_of_relations_is_read() {
        let sent = |query: &str| AsSent { request: (), query: query.to_owned(), body: Vec::new() };
        let filter = sent("filter=%7B%22related_by_rel_types%22:%5B%22m.thread%22%5D%7D").relation_filter().unwrap();
        assert_eq!(filter.related_by_rel_types, Some(vec!["m.thread".to_owned()]));
        assert!(!sent("filter=").relation_filter().unwrap().asks_for_children());
        assert_eq!(sent("filter=%7B").relation_filter().unwrap_err().kind, Kind::InvalidParam);
        assert_eq!(
            sent("filter=%7B%22related_by_senders%22:1%7D").relation_filter().unwrap_err().kind,
            Kind::InvalidParam
        );
    }
}
