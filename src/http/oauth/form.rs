//! The values of a query or a form.

use axum::{
    extract::{FromRequest, RawForm, Request},
    response::{IntoResponse as _, Response},
};

use super::failure::Failure;
use crate::{
    matrix::oauth::{ErrorCode, Parameters, Refusal},
    outgoing::Url,
};

/// The body of a request as a form, in which nothing comes twice.
pub struct Form(pub Parameters);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let form = RawForm::from_request(request, state).await.map_err(|_| {
            ErrorCode::InvalidRequest.with("the body is no form (application/x-www-form-urlencoded), or too long")
        });
        let parameters = form.and_then(|RawForm(form)| read(&form));
        parameters.map(Self).map_err(|refusal| Failure::from(refusal).into_response())
    }
}

impl Form {
    /// A value that the request must have.
    ///
    /// # Errors
    ///
    /// `InvalidRequest` if it is missing or empty.
    pub fn require(&self, name: &str) -> Result<&str, Refusal> {
        let value = self.0.get(name).filter(|value| !value.is_empty());
        value.map(String::as_str).ok_or_else(|| ErrorCode::InvalidRequest.with(format!("{name} is missing")))
    }
}

/// Reads what is encoded as a form.
///
/// # Errors
///
/// `InvalidRequest` if it is not UTF-8, or something comes twice.
pub fn read(encoded: &[u8]) -> Result<Parameters, Refusal> {
    let invalid = |problem: &'static str| ErrorCode::InvalidRequest.with(problem);
    let text = std::str::from_utf8(encoded).map_err(|_| invalid("the request is not UTF-8"))?;
    // A form is encoded as a query is.
    let mut url = Url::parse("https://form.invalid/").map_err(|_| invalid("the request cannot be read"))?;
    url.set_query(Some(text));
    let mut parameters = Parameters::new();
    for (name, value) in url.query_pairs() {
        if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(invalid("a parameter comes twice"));
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_back_and_nothing_comes_twice() {
        let read_one = |text: &str| read(text.as_bytes()).unwrap().remove("a").unwrap();
        for (text, value) in [
            ("a=b%26c+d&x=", "b&c d"),
            ("x=1&a=%C3%A4", "ä"),
            ("a=ä", "ä"),
            ("a=b=c", "b=c"),
            ("a", ""),
            ("a=#?/x", "#?/x"),
            ("a=%zz", "%zz"),
        ] {
            assert_eq!(read_one(text), value, "{text}");
        }
        assert!(read(b"").unwrap().is_empty());
        for wrong in [&b"a=1&a=2"[..], b"a=1&%61=1", b"a=\xff"] {
            assert_eq!(read(wrong).unwrap_err().code, ErrorCode::InvalidRequest);
        }
    }
}
