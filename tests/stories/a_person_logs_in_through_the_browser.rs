//! A person logs in by the OAuth 2.0 API: the app opens a page of the server, and gets its tokens with what comes back.

use std::collections::HashMap;

use reqwest::{Client, Method, StatusCode, Url, header::HeaderMap, redirect::Policy};
use ruma::serde::base64::{Base64, UrlSafe};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, Connection, Server, User, encode};

const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-standard-1234";
const REDIRECT: &str = "https://app.example.com/cb?from=story";
const METADATA: &str = "/_matrix/client/v1/auth_metadata";

async fn server() -> Server {
    server_with("").await
}

async fn server_with(more: &str) -> Server {
    let config = format!("[oauth]\nenabled = true\n[well_known]\nclient = \"https://matrix.story.example/\"\n{more}");
    Server::start_with(&config).await
}

fn app() -> Value {
    json!({"client_name": "Story App", "client_uri": "https://example.com/", "redirect_uris": [REDIRECT],
        "policy_uri": "https://example.com/privacy?a&b", "token_endpoint_auth_method": "none",
        "response_types": ["code"], "grant_types": ["authorization_code", "refresh_token"]})
}

async fn register(server: &Server, app: Value) -> String {
    let answer = server.stranger().post("/oauth2/register", app).await.expect_status(201);
    answer["client_id"].as_str().expect("a client has an id").to_owned()
}

/// Values as a form or a query.
fn encoded(values: &[(&str, &str)]) -> String {
    values.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
}

/// What an app asks for, with `changes`; an empty value leaves it out.
fn request(client_id: &str, changes: &[(&str, &str)]) -> String {
    let challenge = Base64::<UrlSafe, _>::new(Sha256::digest(VERIFIER).to_vec()).encode();
    let mut values = vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", REDIRECT),
        ("scope", "urn:matrix:client:api:* urn:matrix:client:device:STORYDEVICE"),
        ("state", "s&t"),
        ("response_mode", "fragment"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    values.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    values.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    format!("/oauth2/authorize?{}", encoded(&values))
}

/// What a browser shows, before it follows a redirect.
struct Shown {
    path: String,
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Shown {
    async fn open(anyone: &Connection, method: Method, path: &str, cookie: &str, form: Option<String>) -> Self {
        let browser = Client::builder().redirect(Policy::none()).build().unwrap();
        let mut request = browser.request(method, format!("{}{path}", anyone.base_url())).header("cookie", cookie);
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        let response = request.send().await.expect("a page");
        let (status, headers) = (response.status(), response.headers().clone());
        Self { path: path.to_owned(), status, headers, text: response.text().await.unwrap() }
    }

    async fn get(server: &Server, path: &str) -> Self {
        Self::open(server.stranger(), Method::GET, path, "", None).await
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn cookie(&self) -> &str {
        self.header("set-cookie").split(';').next().unwrap()
    }

    fn seal(&self) -> &str {
        let (_, rest) = self.text.split_once("name=\"seal\" value=\"").expect("the page has a form");
        rest.split('"').next().unwrap()
    }

    /// Fills in the form of this page and sends it.
    async fn send(&self, server: &Server, username: &str, password: &str) -> Self {
        let form = [("seal", self.seal()), ("username", username), ("password", password), ("decision", "allow")];
        self.send_form(server, self.cookie(), &form).await
    }

    async fn send_form(&self, server: &Server, cookie: &str, form: &[(&str, &str)]) -> Self {
        Self::open(server.stranger(), Method::POST, &self.path, cookie, Some(encoded(form))).await
    }

    /// What the redirect back to the app tells it, in the fragment or in the query.
    #[track_caller]
    fn told(&self) -> HashMap<String, String> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        let location = self.header("location");
        assert!(location.starts_with(REDIRECT), "{location}");
        let mut url = Url::parse(location).unwrap();
        if let Some(fragment) = url.fragment().map(str::to_owned) {
            url.set_query(Some(&fragment));
        }
        url.query_pairs().into_owned().collect()
    }
}

async fn post_form(anyone: &Connection, path: &str, values: &[(&str, &str)]) -> Answer {
    let body = encoded(values);
    let build = |request: reqwest::RequestBuilder| {
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    anyone.send(Method::POST, path, build).await
}

async fn exchange(server: &Server, client_id: &str, code: &str, changes: &[(&str, &str)]) -> Answer {
    let mut values = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", client_id),
        ("code_verifier", VERIFIER),
    ];
    values.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    values.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    post_form(server.stranger(), "/oauth2/token", &values).await
}

async fn refresh(server: &Server, client_id: &str, token: &Value) -> Answer {
    let token = token.as_str().expect("there is a refresh token");
    let values = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client_id)];
    post_form(server.stranger(), "/oauth2/token", &values).await
}

#[track_caller]
fn refused(answer: Answer, status: u16, error: &str) {
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = answer.expect_status(status);
    assert_eq!(body["error"], error, "{body}");
}

/// The code that the app gets when `user` allows what it asks for.
async fn code(server: &Server, request: &str, user: &User) -> String {
    let page = Shown::get(server, request).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let told = page.send(server, &user.id, &user.password).await.told();
    told["code"].clone()
}

#[tokio::test]
async fn alice_allows_the_app_and_it_chats_as_her() {
    let server = server().await;
    let alice = server.register("alice").await;
    let metadata = server.stranger().get(METADATA).await.expect_ok();
    assert_eq!(metadata["issuer"], "https://matrix.story.example/");
    assert_eq!(metadata["token_endpoint"], "https://matrix.story.example/oauth2/token");
    assert_eq!(metadata["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
    let unstable = "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata";
    assert_eq!(server.stranger().get(unstable).await.expect_ok(), metadata);

    let client_id = register(&server, app()).await;
    assert_eq!(register(&server, app()).await, client_id, "the same client is registered once");
    let page = Shown::get(&server, &request(&client_id, &[])).await;
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-store"));
    assert_eq!((page.header("referrer-policy"), page.header("x-frame-options")), ("no-referrer", "DENY"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let rest = "; form-action 'self' https://app.example.com; base-uri 'none'; frame-ancestors 'none'";
    assert!(policy.ends_with(rest) && !policy.contains("script"), "{policy}");
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with("__Host-") && cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    for text in ["story.example", "Story App", "app.example.com", "https://example.com/privacy?a&amp;b"] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert!(!page.text.contains("<script"));

    let told = page.send(&server, "alice", &alice.password).await.told();
    assert_eq!((told["state"].as_str(), told["iss"].as_str()), ("s&t", "https://matrix.story.example/"));
    let answer = exchange(&server, &client_id, &told["code"], &[]).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let tokens = answer.expect_ok();
    assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_u64()), (Some("Bearer"), Some(3_600)));
    assert_eq!(tokens["scope"], "urn:matrix:client:api:* urn:matrix:client:device:STORYDEVICE");

    let app = server.stranger().with_token(tokens["access_token"].as_str().unwrap());
    let whoami = app.get("account/whoami").await.expect_ok();
    assert_eq!((&whoami["user_id"], &whoami["device_id"]), (&json!(alice.id), &json!("STORYDEVICE")));
    assert_eq!(alice.get("devices/STORYDEVICE").await.expect_ok()["display_name"], "Story App");
    app.post("createRoom", json!({})).await.expect_ok();
    // Her older session goes on, and the older API with it.
    alice.get("account/whoami").await.expect_ok();
    alice.log_in_again().await;
}

#[tokio::test]
async fn without_being_switched_on_nothing_of_it_is_there() {
    let server = Server::start().await;
    server.stranger().get(METADATA).await.expect_error(404, "M_UNRECOGNIZED");
    for path in ["/oauth2/authorize", "/oauth2/token", "/oauth2/register", "/oauth2/revoke"] {
        server.stranger().post(path, json!({})).await.expect_error(404, "M_UNRECOGNIZED");
        server.stranger().get(path).await.expect_error(404, "M_UNRECOGNIZED");
    }
}

#[tokio::test]
async fn tokens_are_refreshed_and_revoked() {
    let mut server = server().await;
    let alice = server.register("alice").await;
    let client_id = register(&server, app()).await;
    let code = code(&server, &request(&client_id, &[("response_mode", "query")]), &alice).await;
    let first = exchange(&server, &client_id, &code, &[]).await.expect_ok();
    let mut other_app = app();
    other_app["client_name"] = json!("Another");
    let other = register(&server, other_app).await;
    refused(refresh(&server, &other, &first["refresh_token"]).await, 400, "invalid_grant");
    refused(refresh(&server, "nobody", &first["refresh_token"]).await, 401, "invalid_client");

    server.kill_and_restart().await;
    let second = refresh(&server, &client_id, &first["refresh_token"]).await.expect_ok();
    assert_eq!(second["scope"], first["scope"]);
    let anyone = server.stranger();
    let with = |tokens: &Value| anyone.with_token(tokens["access_token"].as_str().unwrap());
    with(&second).get("account/whoami").await.expect_ok();
    with(&first).get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    refused(refresh(&server, &client_id, &first["refresh_token"]).await, 400, "invalid_grant");

    refused(post_form(anyone, "/oauth2/revoke", &[("token_type_hint", "access_token")]).await, 400, "invalid_request");
    for token in ["nonsense", second["refresh_token"].as_str().unwrap(), second["refresh_token"].as_str().unwrap()] {
        post_form(anyone, "/oauth2/revoke", &[("token", token)]).await.expect_ok();
    }
    with(&second).get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    refused(refresh(&server, &client_id, &second["refresh_token"]).await, 400, "invalid_grant");
    alice.get("devices/STORYDEVICE").await.expect_error(404, "M_NOT_FOUND");
    alice.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn a_stolen_code_is_of_no_use() {
    let server = server().await;
    let alice = server.register("alice").await;
    let client_id = register(&server, app()).await;
    let code = code(&server, &request(&client_id, &[]), &alice).await;
    for (name, value, error) in [
        ("code_verifier", "another-verifier-that-is-long-enough-for-it-12345678", "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("redirect_uri", "https://app.example.com/cb", "invalid_grant"),
        ("redirect_uri", "", "invalid_request"),
        ("code", "cr_code_1_x", "invalid_grant"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
    ] {
        refused(exchange(&server, &client_id, &code, &[(name, value)]).await, 400, error);
    }
    refused(exchange(&server, "nobody", &code, &[]).await, 401, "invalid_client");
    let twice = [("grant_type", "authorization_code"), ("code", &*code), ("code", &*code)];
    refused(post_form(server.stranger(), "/oauth2/token", &twice).await, 400, "invalid_request");
    refused(server.stranger().post("/oauth2/token", json!({"code": code})).await, 400, "invalid_request");

    let tokens = exchange(&server, &client_id, &code, &[]).await.expect_ok();
    let app = server.stranger().with_token(tokens["access_token"].as_str().unwrap());
    app.get("account/whoami").await.expect_ok();
    // Who comes second shows that two have it: nobody keeps anything.
    refused(exchange(&server, &client_id, &code, &[]).await, 400, "invalid_grant");
    app.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn only_who_knows_the_password_logs_in_and_only_from_the_page() {
    let server = server().await;
    let alice = server.register("alice").await;
    let client_id = register(&server, app()).await;
    let page = Shown::get(&server, &request(&client_id, &[])).await;
    for name in ["alice", "nobody", "@bob:elsewhere.example", "alice@mail.example", "", "\"><b>"] {
        let wrong = page.send(&server, name, "wrong").await;
        assert_eq!(wrong.status, 403, "{name}");
        assert!(wrong.text.contains("The username or the password is wrong."), "{}", wrong.text);
        assert!(!wrong.text.contains("\"><b>"), "{}", wrong.text);
    }
    // The form of one browser is nothing in another, nor with another request, nor without the page.
    let form = |seal| [("seal", seal), ("username", "alice"), ("password", &*alice.password), ("decision", "allow")];
    let other = Shown::get(&server, &request(&client_id, &[("state", "other")])).await;
    let strange = [
        page.send_form(&server, "", &form(page.seal())).await,
        page.send_form(&server, other.cookie(), &form(page.seal())).await,
        page.send_form(&server, page.cookie(), &form("")).await,
        other.send_form(&server, page.cookie(), &form(page.seal())).await,
    ];
    for answer in strange {
        assert_eq!((answer.status.as_u16(), answer.header("location")), (403, ""));
        assert!(answer.text.contains("Nothing happened"), "{}", answer.text);
    }
    let nonsense =
        Shown::open(server.stranger(), Method::POST, &page.path, page.cookie(), Some("seal=%ff&seal=".into()));
    assert_eq!(nonsense.await.status, 400);

    let cancelled = page.send_form(&server, page.cookie(), &[("seal", page.seal()), ("decision", "deny")]).await.told();
    assert_eq!((cancelled["error"].as_str(), cancelled["state"].as_str()), ("access_denied", "s&t"));
    page.send(&server, &alice.id, &alice.password).await.told();

    let administrator = server.administrator().await;
    let lock = format!("/_matrix/client/v1/admin/lock/{}", encode(&alice.id));
    administrator.put(&lock, json!({"locked": true})).await.expect_ok();
    let locked = page.send(&server, "alice", &alice.password).await;
    assert_eq!(locked.status, 403);
    assert!(locked.text.contains("This account has been locked."), "{}", locked.text);
    let wrong = page.send(&server, "alice", "wrong").await;
    assert!(!wrong.text.contains("locked"), "only who knows the password is told: {}", wrong.text);
}

#[tokio::test]
async fn nobody_tries_passwords_for_ever() {
    let limits = "[limits]\nenabled = true\nlogin = { per_second = 0.001, burst = 3 }\n\
                  registration = { per_second = 0.001, burst = 3 }";
    let server = server_with(limits).await;
    let client_id = register(&server, app()).await;
    let page = Shown::get(&server, &request(&client_id, &[])).await;
    for _ in 0..3 {
        assert_eq!(page.send(&server, "alice", "wrong").await.status, 403);
    }
    let refusal = page.send(&server, "alice", "wrong").await;
    assert_eq!(refusal.status, 429, "{}", refusal.text);
    assert!(refusal.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    for _ in 0..2 {
        register(&server, app()).await;
    }
    let refusal = server.stranger().post("/oauth2/register", app()).await;
    assert!(refusal.headers.contains_key("retry-after"));
    refused(refusal, 429, "temporarily_unavailable");
}

#[tokio::test]
async fn a_browser_is_sent_only_where_the_app_registered() {
    let server = server().await;
    let client_id = register(&server, app()).await;
    for changes in [
        [("redirect_uri", "https://evil.example/")],
        [("redirect_uri", "https://app.example.com/cb")],
        [("redirect_uri", "")],
        [("client_id", "nobody")],
        [("client_id", "")],
        [("prompt", "create")],
    ] {
        let shown = Shown::get(&server, &request(&client_id, &changes)).await;
        assert_eq!((shown.status.as_u16(), shown.header("location")), (400, ""), "{changes:?}");
        assert!(shown.header("content-security-policy").contains("form-action 'none'"));
        let sent = Shown::open(server.stranger(), Method::POST, &shown.path, "", Some(String::new())).await;
        assert_eq!((sent.status.as_u16(), sent.header("location")), (400, ""), "{changes:?}");
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", request(&client_id, &[]));
    assert_eq!(Shown::get(&server, &twice).await.status, 400);
    for (name, value, error) in [
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "openid", "invalid_scope"),
        ("prompt", "none", "login_required"),
    ] {
        let told = Shown::get(&server, &request(&client_id, &[(name, value)])).await.told();
        assert_eq!((told["error"].as_str(), told["state"].as_str()), (error, "s&t"), "{name}");
        assert_eq!(told["iss"], "https://matrix.story.example/");
    }
}

#[tokio::test]
async fn what_an_app_says_about_itself_is_text_and_has_to_fit_together() {
    let server = server().await;
    let mut hostile = app();
    hostile["client_name"] = json!("<script>alert('x')</script>\"&");
    hostile["policy_uri"] = json!("https://example.com/'onmouseover='x");
    let client_id = register(&server, hostile).await;
    let page = Shown::get(&server, &request(&client_id, &[])).await;
    assert!(page.text.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"), "{}", page.text);
    assert!(!page.text.contains("<script") && !page.text.contains("'onmouseover"), "{}", page.text);
    assert!(page.text.contains("of example.com wants") && page.text.contains("/&#39;onmouseover="), "{}", page.text);

    let anyone = server.stranger();
    for (name, value, error) in [
        ("redirect_uris", json!(["https://evil.example/"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["http://localhost/"]), "invalid_redirect_uri"),
        ("client_uri", json!("http://example.com"), "invalid_client_metadata"),
        ("token_endpoint_auth_method", json!("client_secret_post"), "invalid_client_metadata"),
        ("client_name", json!({"en": "x"}), "invalid_client_metadata"),
        ("client_name", json!("x".repeat(20_000)), "invalid_client_metadata"),
    ] {
        let mut wrong = app();
        wrong[name] = value;
        refused(anyone.post("/oauth2/register", wrong).await, 400, error);
    }
    let nonsense = anyone.send(Method::POST, "/oauth2/register", |request| request.body("{")).await;
    refused(nonsense, 400, "invalid_client_metadata");
}

#[tokio::test]
async fn an_app_on_a_computer_comes_back_on_any_port_with_the_older_names() {
    let server = server().await;
    let alice = server.register("alice").await;
    let native = json!({"client_uri": "https://example.com/", "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"]});
    let client_id = register(&server, native).await;
    let older = "openid urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:OLD";
    for (redirect_uri, source) in
        [("http://127.0.0.1:4711/cb", "http://127.0.0.1:4711"), ("com.example.app:/cb", "com.example.app:")]
    {
        let asked =
            request(&client_id, &[("redirect_uri", redirect_uri), ("scope", older), ("response_mode", "query")]);
        let page = Shown::get(&server, &asked).await;
        assert!(page.header("content-security-policy").contains(&format!("form-action 'self' {source};")));
        let sent = page.send(&server, "alice", &alice.password).await;
        let location = sent.header("location");
        assert!(location.starts_with(&format!("{redirect_uri}?code=")), "{location}");
        let code = Url::parse(location).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let tokens = exchange(&server, &client_id, &code, &[("redirect_uri", redirect_uri)]).await.expect_ok();
        assert_eq!(tokens["scope"], older.trim_start_matches("openid "));
        let device = alice.get("devices/OLD").await.expect_ok();
        assert_eq!(device["display_name"], "example.com");
    }
}
