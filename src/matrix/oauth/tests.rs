//! The rules by tables.

use serde_json::{Value, json};

use super::*;

fn metadata(more: Value) -> Value {
    let mut sent = json!({"client_uri": "https://example.com/", "redirect_uris": ["https://app.example.com/callback"]});
    sent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sent
}

fn code(outcome: Result<ClientMetadata, Refusal>) -> Option<ErrorCode> {
    outcome.err().map(|refusal| refusal.code)
}

#[test]
fn a_client_is_registered_with_what_is_understood() {
    let client = ClientMetadata::read(metadata(json!({
        "client_name": " My App ", "client_name#fr": "Mon application", "contacts": ["a@example.com"],
        "logo_uri": "https://static.example.com/logo.png", "tos_uri": "https://example.com:8443/tos", "policy_uri": null,
        "token_endpoint_auth_method": "none", "response_types": ["code", "id_token"],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "redirect_uris": ["https://example.com/b", "https://example.com/a?x=1", "https://example.com/b"],
    })))
    .unwrap();
    let expected = json!({
        "client_name": "My App", "client_uri": "https://example.com/",
        "logo_uri": "https://static.example.com/logo.png", "tos_uri": "https://example.com:8443/tos",
        "redirect_uris": ["https://example.com/a?x=1", "https://example.com/b"],
        "token_endpoint_auth_method": "none", "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"], "application_type": "web",
    });
    assert_eq!(serde_json::to_value(&client).unwrap(), expected);
    assert_eq!(client.display_name(), "My App");
    assert_eq!(ClientMetadata::read(metadata(json!({}))).unwrap().display_name(), "example.com");
}

#[test]
fn what_a_client_may_not_say() {
    let wrong = [
        json!({"client_uri": null}),
        json!({"client_uri": 5}),
        json!({"client_uri": "http://example.com/"}),
        json!({"client_uri": "https:example.com"}),
        json!({"client_uri": "https://user@example.com/"}),
        json!({"client_uri": "https://@example.com/"}),
        json!({"client_uri": "https://com/"}),
        json!({"client_uri": "https://127.0.0.1/"}),
        json!({"client_uri": "https://[::1]/"}),
        json!({"client_uri": "https://0x7f.1/"}),
        json!({"client_uri": "https://exa;mple.com/"}),
        json!({"client_uri": "https://example.com/\n"}),
        json!({"client_uri": "https://example.com\\@evil.com/"}),
        json!({"client_uri": format!("https://example.com/{}", "a".repeat(2_000))}),
        json!({"logo_uri": "https://evil.com/logo.png"}),
        json!({"tos_uri": "http://example.com/tos"}),
        json!({"policy_uri": "https://notexample.com/"}),
        json!({"policy_uri": "javascript:alert(1)"}),
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
        json!({"response_types": ["token"]}),
        json!({"grant_types": ["authorization_code"]}),
        json!({"grant_types": ["refresh_token"]}),
        json!({"application_type": "browser"}),
        json!({"client_name": "a".repeat(101)}),
        json!({"client_name": "Element\u{202e}"}),
        json!({"client_name": "Ele\nment"}),
    ];
    for more in wrong {
        let outcome = code(ClientMetadata::read(metadata(more.clone())));
        assert_eq!(outcome, Some(ErrorCode::InvalidClientMetadata), "{more}");
    }
    for sent in [json!([]), json!(null), json!("x")] {
        assert_eq!(code(ClientMetadata::read(sent)), Some(ErrorCode::InvalidClientMetadata));
    }
    for uris in [json!([]), json!(null), (0..11).map(|n| format!("https://example.com/{n}")).collect()] {
        let outcome = code(ClientMetadata::read(metadata(json!({"redirect_uris": uris}))));
        assert_eq!(outcome, Some(ErrorCode::InvalidRedirectUri));
    }
}

#[test]
fn where_browsers_may_be_sent() {
    let web = [
        ("https://example.com/callback", true),
        ("https://app.example.com/callback", true),
        ("https://example.com:5173/?query=value", true),
        ("https://example.com/callback#fragment", false),
        ("https://example.com/callback#", false),
        ("http://example.com/callback", false),
        ("http://localhost/", false),
        ("https://user:password@example.com/", false),
        ("https://evil.com/", false),
        ("https://evilexample.com/", false),
        ("https://example.com.evil.com/", false),
        ("https://example.com\\.evil.com/", false),
        ("https://example.com@evil.com/", false),
        ("//example.com/", false),
        ("/callback", false),
        ("", false),
        ("com.example.app:/callback", false),
        ("javascript:alert(1)", false),
        ("HTTPS://example.com/", false),
    ];
    let native = [
        ("https://example.com/callback", true),
        ("com.example.app:/callback", true),
        ("com.example:/", true),
        ("com.example:callback", true),
        ("http://localhost/callback", true),
        ("http://127.0.0.1/callback", true),
        ("http://[::1]/callback", true),
        ("http://localhost", true),
        ("example:/callback", false),
        ("com.example.app://callback", false),
        ("com.example2:/callback", false),
        ("com.evil:/callback", false),
        ("https://localhost/callback", false),
        ("http://localhost:1234/callback", false),
        ("http://localhost:80/callback", false),
        ("http://localhost.evil.com/", false),
        ("http://user@localhost/", false),
        ("http://example.com/", false),
        ("http://127.0.0.2/", false),
        ("com.example:/#x", false),
        ("javascript:alert(1)", false),
        ("data:text/html,x", false),
    ];
    let tables = web.map(|row| ("web", row)).into_iter().chain(native.map(|row| ("native", row)));
    for (kind, (uri, is_good)) in tables {
        let sent = metadata(json!({"application_type": kind, "redirect_uris": [uri]}));
        let outcome = ClientMetadata::read(sent);
        assert_eq!(outcome.is_ok(), is_good, "{kind} {uri:?}: {outcome:?}");
        assert!(is_good || code(outcome) == Some(ErrorCode::InvalidRedirectUri));
    }
}

#[test]
fn a_request_names_exactly_what_was_registered() {
    let uris = ["http://localhost/callback", "http://[::1]", "com.example:/cb", "https://example.com/cb?x=1"];
    let sent = json!({"client_uri": "https://example.com", "application_type": "native", "redirect_uris": uris});
    let client = ClientMetadata::read(sent).unwrap();
    let table = [
        ("http://localhost/callback", true),
        ("http://localhost:1234/callback", true),
        ("http://[::1]:65535/", true),
        ("http://[::1]:65535", true),
        ("com.example:/cb", true),
        ("https://example.com/cb?x=1", true),
        ("http://localhost:1234/callback/", false),
        ("http://localhost:1234/callback?x=1", false),
        ("http://localhost:99999/callback", false),
        ("http://localhost:+1/callback", false),
        ("http://localhost:1@evil.com/callback", false),
        ("http://localhost.evil.com/callback", false),
        ("http://localhostx/callback", false),
        ("http://localhost1234/callback", false),
        ("http://localhost:1:2/callback", false),
        ("http://127.0.0.1:1234/callback", false),
        ("https://localhost:1234/callback", false),
        ("https://example.com:1234/cb?x=1", false),
        ("https://example.com/cb", false),
        ("https://example.com/cb?x=1&y=2", false),
        ("https://example.com/cb?x=1#f", false),
        ("com.example:/cb/", false),
        ("com.example:/CB", false),
    ];
    for (uri, is_good) in table {
        assert_eq!(client.redirect_uri(uri).is_some(), is_good, "{uri}");
    }
}

#[test]
fn scopes() {
    const API: &str = "urn:matrix:client:api:*";
    let long = format!("{API} urn:matrix:client:device:{}", "x".repeat(256));
    let table = [
        ("urn:matrix:client:api:* urn:matrix:client:device:AB-c._~1", Ok(("AB-c._~1", None))),
        (
            "openid email urn:matrix:client:device:A urn:matrix:client:api:*",
            Ok(("A", Some("urn:matrix:client:device:A urn:matrix:client:api:*"))),
        ),
        ("urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:A", Ok(("A", None))),
        (
            "urn:matrix:client:api:* urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:client:device:A \
             urn:matrix:org.matrix.msc2967.client:device:A",
            Ok(("A", None)),
        ),
        ("", Err(())),
        ("openid", Err(())),
        (API, Err(())),
        ("urn:matrix:client:device:A", Err(())),
        ("urn:matrix:client:api:read urn:matrix:client:device:A", Err(())),
        ("urn:matrix:client:api:* urn:matrix:client:device:", Err(())),
        ("urn:matrix:client:api:* urn:matrix:client:device:A urn:matrix:client:device:B", Err(())),
        ("urn:matrix:client:api:* urn:matrix:client:device:A urn:matrix:client:device:A", Err(())),
        ("urn:matrix:client:api:* urn:matrix:client:device:A urn:matrix:org.matrix.msc2967.client:device:B", Err(())),
        ("urn:matrix:client:api:* urn:matrix:client:device:A/B", Err(())),
        ("urn:matrix:client:api:* urn:matrix:client:device:Ä", Err(())),
        ("urn:matrix:client:api:*\turn:matrix:client:device:A", Err(())),
        (&long, Err(())),
    ];
    for (text, expected) in table {
        match (Scope::read(text), expected) {
            (Ok(scope), Ok((device, granted))) => {
                assert_eq!((scope.device_id.as_str(), scope.to_string().as_str()), (device, granted.unwrap_or(text)));
            }
            (Err(refusal), Err(())) => assert_eq!(refusal.code, ErrorCode::InvalidScope, "{text}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
}

/// The example of RFC 7636, appendix B.
#[test]
fn only_the_verifier_meets_its_challenge() {
    let challenge = CodeChallenge::read("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
    assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    for wrong in ["dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"] {
        assert!(!challenge.is_met_by(wrong), "{wrong}");
    }
    // A verifier that is too short does not count, whatever its hash is.
    let of_abc = CodeChallenge::read("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0").unwrap();
    assert!(!of_abc.is_met_by("abc"));
    for wrong in
        ["", "abc", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="]
    {
        assert_eq!(CodeChallenge::read(wrong), None, "{wrong}");
    }
}

fn request(changes: &[(&str, Option<&str>)]) -> Result<AuthorisationRequest, BadRequest> {
    let client = ClientMetadata::read(metadata(json!({"redirect_uris": ["https://example.com/cb?x=1"]}))).unwrap();
    let mut parameters: Parameters = [
        ("response_type", "code"),
        ("redirect_uri", "https://example.com/cb?x=1"),
        ("scope", "urn:matrix:client:api:* urn:matrix:client:device:A"),
        ("state", "s t&"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (name, value) in changes {
        match value {
            Some(value) => drop(parameters.insert((*name).to_owned(), (*value).to_owned())),
            None => drop(parameters.remove(*name)),
        }
    }
    AuthorisationRequest::read("client", client, &parameters)
}

#[test]
fn the_outcome_goes_back_in_the_query_or_in_the_fragment() {
    let good = request(&[]).unwrap();
    assert_eq!(
        good.return_address.with_code("abc", "https://m.example/"),
        "https://example.com/cb?x=1&code=abc&iss=https%3A%2F%2Fm.example%2F&state=s+t%26"
    );
    assert_eq!(
        (good.return_address.place(), good.return_address.source()),
        ("example.com".to_owned(), "https://example.com".to_owned())
    );
    let good = request(&[("response_mode", Some("fragment")), ("state", None)]).unwrap();
    assert_eq!(
        good.return_address.with_refusal(&ErrorCode::AccessDenied.with("no way"), "https://m.example/"),
        "https://example.com/cb?x=1#error=access_denied&error_description=no+way&iss=https%3A%2F%2Fm.example%2F"
    );
}

#[test]
fn bad_requests_are_told_to_the_client_only_where_the_browser_may_go() {
    for (name, value) in [
        ("redirect_uri", None),
        ("redirect_uri", Some("https://evil.com/")),
        ("redirect_uri", Some("")),
        ("prompt", Some("create")),
    ] {
        let outcome = request(&[(name, value)]);
        assert!(matches!(outcome, Err(BadRequest::Shown(_))), "{name}={value:?}: {outcome:?}");
    }
    let long = "x".repeat(3_000);
    for (name, value, code) in [
        ("response_type", None, ErrorCode::InvalidRequest),
        ("response_type", Some("token"), ErrorCode::UnsupportedResponseType),
        ("response_mode", Some("form_post"), ErrorCode::InvalidRequest),
        ("code_challenge", None, ErrorCode::InvalidRequest),
        ("code_challenge", Some("x"), ErrorCode::InvalidRequest),
        ("code_challenge_method", None, ErrorCode::InvalidRequest),
        ("code_challenge_method", Some("plain"), ErrorCode::InvalidRequest),
        ("scope", None, ErrorCode::InvalidScope),
        ("scope", Some("openid"), ErrorCode::InvalidScope),
        ("prompt", Some("none"), ErrorCode::LoginRequired),
        ("state", Some(long.as_str()), ErrorCode::InvalidRequest),
    ] {
        match request(&[(name, value)]) {
            Err(BadRequest::Told(to, refusal)) => {
                assert_eq!(refusal.code, code, "{name}={value:?}");
                assert!(to.with_refusal(&refusal, "i").starts_with("https://example.com/cb?x=1&error="));
            }
            outcome => panic!("{name}={value:?}: {outcome:?}"),
        }
    }
}

#[test]
fn places_are_named_for_people_and_for_browsers() {
    let table = [
        ("com.example.app:/cb", "the app com.example.app on this device", "com.example.app:"),
        ("http://localhost/cb", "an app on this computer", "http://localhost"),
        ("http://[::1]/cb", "an app on this computer", "http:"),
    ];
    for (uri, place, source) in table {
        let sent = metadata(json!({"application_type": "native", "redirect_uris": [uri]}));
        let url = ClientMetadata::read(sent).unwrap().redirect_uri(uri).unwrap();
        let address = ReturnAddress::to(url);
        assert_eq!((address.place().as_str(), address.source().as_str()), (place, source));
        assert!(address.with_code("c", "i").starts_with(&format!("{uri}?code=c")), "{}", address.with_code("c", "i"));
    }
}
