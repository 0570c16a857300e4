//! What the server answered, and what a story expects of it.

use reqwest::{Response, StatusCode, header::HeaderMap};
use serde_json::Value;

/// An answer of the server with the request it belongs to.
#[derive(Debug)]
pub struct Answer {
    /// The method and path that were asked for.
    request: String,
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The JSON of the body; `null` if there is none.
    pub body: Value,
}

impl Answer {
    pub(super) async fn read(request: String, response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes =
            response.bytes().await.unwrap_or_else(|cause| panic!("{request}: the body did not arrive: {cause}"));
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .unwrap_or_else(|cause| panic!("{request}: {status}: {cause}: {}", String::from_utf8_lossy(&bytes))),
        };
        Self { request, status, headers, body }
    }

    /// The body of an answer with status 200.
    #[track_caller]
    pub fn expect_ok(self) -> Value {
        self.expect_status(200)
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.request, self.body);
        self.body
    }

    /// The body of a refusal with this status and errcode.
    #[track_caller]
    pub fn expect_error(self, status: u16, errcode: &str) -> Value {
        let got = (self.status.as_u16(), self.body["errcode"].as_str());
        assert_eq!(got, (status, Some(errcode)), "{}: {}", self.request, self.body);
        self.body
    }
}
