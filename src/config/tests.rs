//! What a configuration file may say, and how it is told that it may not.

use std::{path::Path, time::Duration};

use ruma::RoomVersionId;

use super::*;

const REQUIRED: &str = "server_name = \"example.org\"\ndata_dir = \"data\"\n";

fn read(text: &str) -> Result<Config, Invalid> {
    Config::read(text, Path::new("/etc/commonroom"), [])
}

fn with_variables(text: &str, variables: &[(&str, &str)]) -> Result<Config, Invalid> {
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Config::read(text, Path::new("/etc/commonroom"), variables)
}

#[test]
fn two_keys_are_enough() {
    let config = read(REQUIRED).unwrap();
    assert_eq!(config.server_name, "example.org");
    assert_eq!(config.data_dir, Path::new("/etc/commonroom/data"), "relative paths start at the file's folder");
    assert_eq!(config.listeners, [Listener::default()]);
    assert_eq!(config.registration.mode, RegistrationMode::Token);
    assert_eq!(config.rooms.default_version, RoomVersionId::V12);
    assert_eq!(config.rooms.default_history_visibility, HistoryVisibility::Joined);
    assert_eq!(config.storage.durability, Durability::Fsync);
    assert!(config.limits.enabled);
}

#[test]
fn the_example_shows_the_defaults() {
    let example = read(EXAMPLE).unwrap();
    let mut defaults = read(REQUIRED).unwrap();
    defaults.data_dir = "/var/lib/commonroom".into();
    assert_eq!(format!("{example:#?}"), format!("{defaults:#?}"));
}

#[test]
fn everything_the_example_offers_can_be_switched_on() {
    let secrets_in_place = known_keys::uncommented(EXAMPLE)
        .replace("shared_secret_file = ", "#")
        .replace("s3_secret_key_file = ", "#")
        .replace("password_file = ", "#");
    let config = read(&secrets_in_place).unwrap();
    assert_eq!(config.listeners.len(), 3);
    assert!(config.listeners[1].tls.is_some());
    assert_eq!(config.listeners[2].endpoint, Endpoint::Unix("/run/commonroom/http.sock".into()));
    assert_eq!(config.registration.shared_secret.unwrap().reveal(), "a long random text");
    assert_eq!(config.well_known.client.as_deref(), Some("https://matrix.example.org"));
    let mail = config.mail.unwrap();
    assert_eq!(
        (mail.port(), mail.security, mail.password.unwrap().reveal()),
        (465, MailSecurity::Tls, "the mail account's password")
    );
    assert_eq!(mail.templates.as_deref(), Some(Path::new("/etc/commonroom/mail")));
    assert_eq!(config.well_known.support_contacts.len(), 1);
    assert_eq!(config.web.client_dir.as_deref(), Some(Path::new("/usr/share/commonroom/web-client")));
}

#[test]
fn the_web_client_may_lie_beside_the_configuration() {
    let config = read(&format!("{REQUIRED}[web]\nclient_dir = \"element\"")).unwrap();
    assert_eq!(config.web.client_dir.as_deref(), Some(Path::new("/etc/commonroom/element")));
}

/// The list of known keys comes from the example, so each field of each section must stand there.
#[test]
fn the_example_has_every_key() {
    fn fields<T: DeserializeOwned>(name: &str) {
        let error = toml::from_str::<T>("no_such_key = 1").err().expect("unknown keys are refused").to_string();
        let (_, list) = error.split_once("expected").expect("the error lists the fields");
        let fields: Vec<_> = list.split('`').skip(1).step_by(2).collect();
        assert!(!fields.is_empty(), "{name}: {error}");
        for field in fields {
            let path = name.split('.').filter(|part| !part.is_empty()).chain([field]).map(str::to_owned);
            let path: Vec<_> = path.collect();
            assert!(known_keys::example_value(&path).is_some(), "config.example.toml lacks {}", path.join("."));
        }
    }
    fields::<Registration>("registration");
    fields::<Rooms>("rooms");
    fields::<ServerNotices>("server_notices");
    fields::<Passwords>("passwords");
    fields::<Sessions>("sessions");
    fields::<OAuth>("oauth");
    fields::<Presence>("presence");
    fields::<Media>("media");
    fields::<Push>("push");
    fields::<Limits>("limits");
    fields::<Rate>("limits.login");
    fields::<Previews>("previews");
    fields::<Outgoing>("outgoing");
    fields::<Mail>("mail");
    fields::<Turn>("turn");
    fields::<Calls>("calls");
    fields::<Storage>("storage");
    fields::<Log>("log");
    fields::<WellKnown>("well_known");
}

#[test]
fn problems_name_the_key_and_the_remedy() {
    let cases = [
        ("server_name = \"http://x\"\ndata_dir = \"d\"", "server_name: \"http://x\" is not a server name"),
        ("data_dir = \"d\"", "server_name is missing: set it to the domain"),
        ("server_name = 3\ndata_dir = \"d\"", "server_name is not a string"),
        ("server_name = \"example.org\"", "data_dir is missing: set it to the folder"),
        ("listeners = []", "listeners is empty"),
        ("[[listeners]]\naddress = \"localhost\"", "listeners: address \"localhost\" is not an IP address with a port"),
        ("[[listeners]]\ntls = { certificate = \"c\", key = \"k\" }", "listeners: set address"),
        ("[[listeners]]\nunix = \"s\"\naddress = \"[::]:1\"", "listeners: address and unix are both set"),
        ("[[listeners]]\nunix = \"s\"\ntls = { certificate = \"c\", key = \"k\" }", "a Unix socket does not speak TLS"),
        ("[registration]\nmode = \"opened\"", "registration.mode: unknown variant `opened`, expected one of `closed`"),
        ("[registration]\nshared_secret = \"\"", "registration.shared_secret: a secret cannot be empty"),
        ("[rooms]\ndefault_version = \"2\"", "rooms.default_version: \"2\" is not a room version of this server"),
        ("[rooms]\ndefault_history_visibility = \"shared\"", "expected `joined` or `preset`"),
        (
            "[server_notices]\nlocalpart = \"The Server\"",
            "server_notices.localpart: \"The Server\" is not the first part",
        ),
        ("[server_notices]\nroom_name = \" \"", "server_notices.room_name: write a name"),
        ("[server_notices]\navatar_url = \"https://x\"", "server_notices.avatar_url: \"https://x\" is not the address"),
        ("[passwords]\nmemory_kib = 4", "passwords.memory_kib must be at least 8 times parallelism"),
        ("[passwords]\niterations = 0", "passwords.iterations must be at least 1"),
        ("[passwords]\nminimum_length = \"8\"", "passwords.minimum_length: invalid type: string \"8\""),
        (
            "[sessions]\naccess_token_lifetime = \"1 hour\"",
            "sessions.access_token_lifetime: \"1 hour\" is not a duration",
        ),
        ("[presence]\naway_after = \"0 s\"", "presence.away_after: \"0 s\" is not a duration"),
        ("[media]\nmax_announced = 0", "media.max_announced must be at least 1"),
        ("[media]\nkeep_for = \"forever\"", "media.keep_for: \"forever\" is not a duration"),
        ("[media]\nquota_per_user = \"10 GB\"", "media.quota_per_user: \"10 GB\" is not a size"),
        ("[media]\nunauthenticated_access = \"maybe\"", "media.unauthenticated_access: unknown variant `maybe`"),
        ("[media]\ns3_endpoint = \"https://s3.example.org\"", "media.s3_bucket is missing"),
        ("[media]\ns3_bucket = \"b\"", "media.s3_access_key is missing"),
        ("[media]\ns3_bucket = \"b\"\ns3_access_key = \"a\"", "media.s3_secret_key is missing"),
        ("[limits]\nmax_body_size = \"2 MB\"", "limits.max_body_size: \"2 MB\" is not a size"),
        ("[limits]\nlogin = { per_second = 0, burst = 1 }", "limits.login: per_second must be above 0"),
        ("[limits]\nlogin = { per_second = 1, burst = 0 }", "limits.login: burst must be at least 1"),
        ("[limits]\nlogin = { per_second = 1 }", "limits.login: missing field `burst`"),
        ("[limits]\ntrusted_proxies = [\"nginx\"]", "limits.trusted_proxies: \"nginx\" is not an address"),
        ("[limits]\ntrusted_proxies = [\"10.0.0.0/33\"]", "limits.trusted_proxies: \"10.0.0.0/33\" is not an address"),
        ("[registration]\nemail = \"required\"", "registration.email needs a mail server: add a [mail] section"),
        ("[mail]\nfrom = \"a@example.org\"", "mail: missing field `host`"),
        ("[mail]\nhost = \"h\"", "mail: missing field `from`"),
        ("[mail]\nhost = \" \"\nfrom = \"a@example.org\"", "mail.host is empty"),
        ("[mail]\nhost = \"h\"\nfrom = \"a@example.org\"\nuser = \"a\"", "mail.user and mail.password belong together"),
        ("[mail]\nhost = \"h\"\nfrom = \"a@example.org\"\nsecurity = \"ssl\"", "mail.security: unknown variant `ssl`"),
        (
            "[mail]\nhost = \"h\"\nfrom = \"a@example.org\"\nsecurity = \"none\"\nuser = \"a\"\npassword = \"b\"",
            "mail.security = \"none\" would send the password in the clear",
        ),
        ("[mail]\nhost = \"h\"\nfrom = \"a@example.org\"\npublic_url = \"h\"", "mail.public_url: \"h\" is not a URL"),
        ("[mail]\nhots = \"h\"", "there is no key mail.hots: did you mean mail.host?"),
        ("[well_known]\nclient = \"example.org\"", "well_known.client: \"example.org\" is not a URL"),
        ("[well_known]\nsupport_contacts = [{ role = \"m.role.admin\" }]", "a contact needs an email_address"),
        ("[well_known]\npolicy_server_key = \"abc\"", "well_known.policy_server_key: \"abc\" is not an ed25519 key"),
        (
            "[turn]\nuris = [\"turn.example.org\"]",
            "turn.uris: \"turn.example.org\" is not the address of a TURN server",
        ),
        ("[turn]\nuris = [\"turn:example.org\"]", "turn.shared_secret is missing"),
        ("[turn]\nuser = \"u\"", "turn.user and turn.password belong together"),
        (
            "[calls]\nlivekit_service_urls = [\"example.org\"]",
            "calls.livekit_service_urls: \"example.org\" is not a URL",
        ),
        ("registration = 1", "registration: invalid type: integer `1`"),
        ("rooms = ", "TOML parse error at line"),
    ];
    for (text, expected) in cases {
        let text = match text.contains("data_dir") || text.contains("server_name") {
            true => text.to_owned(),
            false => format!("{REQUIRED}{text}"),
        };
        let error = read(&text).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\ngave {error}\ninstead of {expected}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let error = read("[registration]\nmode = \"x\"\n[log]\nformat = \"y\"\n[lgo]\n").unwrap_err();
    assert_eq!(error.problems.len(), 5, "{error}");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let cases = [
        ("[registration]\nmod = \"open\"", "there is no key registration.mod: did you mean registration.mode?"),
        ("[registraton]\nmode = \"open\"", "there is no key registraton: did you mean registration?"),
        ("default_version = \"11\"", "there is no key default_version: did you mean rooms.default_version?"),
        ("[limits.logins]\nburst = 1", "there is no key limits.logins: did you mean limits.login?"),
        (
            "[limits.login]\nper_minute = 1",
            "there is no key limits.login.per_minute: did you mean limits.login.per_second?",
        ),
        ("[[listeners]]\nadress = \"[::]:1\"", "there is no key listeners.adress: did you mean listeners.address?"),
        (
            "[[listeners]]\ntls = { cert = \"c\", key = \"k\" }",
            "no key listeners.tls.cert: did you mean listeners.tls.certificate?",
        ),
        (
            "[well_known]\nsupport_contacts = [{ mail_address = \"x\" }]",
            "no key well_known.support_contacts.mail_address: did you mean well_known.support_contacts.email_address?",
        ),
    ];
    for (text, expected) in cases {
        let error = read(&format!("{REQUIRED}{text}")).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}\ngave {error}");
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let config = with_variables(
        &format!("{REQUIRED}[registration]\nmode = \"closed\"\n"),
        &[
            ("COMMONROOM_SERVER_NAME", "chat.example.org"),
            ("COMMONROOM_REGISTRATION__MODE", "open"),
            // A secret of digits is still text.
            ("COMMONROOM_REGISTRATION__SHARED_SECRET", "12345"),
            ("COMMONROOM_LIMITS__ENABLED", "false"),
            ("COMMONROOM_LIMITS__LOGIN__PER_SECOND", "3"),
            ("COMMONROOM_LIMITS__LOGIN__BURST", "7"),
            ("COMMONROOM_LIMITS__TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
            ("COMMONROOM_PRESENCE__AWAY_AFTER", "2 min"),
            ("COMMONROOM_LISTENERS", "[{ address = \"0.0.0.0:1234\" }, { unix = \"http.sock\" }]"),
            ("OTHER_SERVER_NAME", "ignored.example.org"),
            // Set by container platforms for a service of this name.
            ("COMMONROOM_PORT", "tcp://10.0.0.1:8008"),
        ],
    )
    .unwrap();
    assert_eq!(config.server_name, "chat.example.org");
    assert_eq!(config.registration.mode, RegistrationMode::Open);
    assert_eq!(config.registration.shared_secret.unwrap().reveal(), "12345");
    assert!(!config.limits.enabled);
    assert_eq!(config.limits.login, Rate { per_second: 3.0, burst: 7 });
    assert!(config.limits.trusted_proxies[0].contains([10, 1, 2, 3].into()));
    assert_eq!(config.presence.away_after, Duration::from_secs(120));
    assert_eq!(config.listeners[0].endpoint, Endpoint::Tcp(([0, 0, 0, 0], 1234).into()));
    assert_eq!(config.listeners[1].endpoint, Endpoint::Unix("/etc/commonroom/http.sock".into()));
}

#[test]
fn problems_of_the_environment_name_the_variable() {
    let cases = [
        ("COMMONROOM_REGISTRATION__MOD", "open", "did you mean COMMONROOM_REGISTRATION__MODE?"),
        ("COMMONROOM_LIMITS__ENABLED", "maybe", "variable COMMONROOM_LIMITS__ENABLED: \"maybe\" is not true or false"),
        ("COMMONROOM_PASSWORDS__ITERATIONS", "two", "\"two\" is not a number"),
        ("COMMONROOM_LIMITS__TRUSTED_PROXIES", "10.0.0.1", "is not a list in TOML"),
        ("COMMONROOM_REGISTRATION__MODE", "x", "registration.mode: unknown variant `x`"),
    ];
    for (name, value, expected) in cases {
        let error = with_variables(REQUIRED, &[(name, value)]).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}={value}\ngave {error}");
    }
}

#[test]
fn a_secret_may_be_in_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "hush hush\n").unwrap();
    let text = format!("{REQUIRED}[registration]\nshared_secret_file = \"secret\"\n");
    let config = Config::read(&text, folder.path(), []).unwrap();
    assert_eq!(config.registration.shared_secret.as_ref().unwrap().reveal(), "hush hush");
    assert!(!format!("{config:?}").contains("hush"));

    let missing = text.replace("\"secret\"", "\"nowhere\"");
    let error = Config::read(&missing, folder.path(), []).unwrap_err().to_string();
    assert!(error.contains("registration.shared_secret_file: cannot read"), "{error}");

    let both = format!("{text}shared_secret = \"also\"\n");
    let error = Config::read(&both, folder.path(), []).unwrap_err().to_string();
    assert!(error.contains("registration.shared_secret and registration.shared_secret_file are both set"), "{error}");

    let from_environment = [("COMMONROOM_REGISTRATION__SHARED_SECRET_FILE".to_owned(), "secret".to_owned())];
    let config = Config::read(REQUIRED, folder.path(), from_environment).unwrap();
    assert_eq!(config.registration.shared_secret.unwrap().reveal(), "hush hush");
}

#[test]
fn durations_and_sizes_have_units() {
    let durations = [("5 ms", 5), ("10s", 10_000), ("2 min", 120_000), ("1 h", 3_600_000), ("90 d", 7_776_000_000)];
    for (text, millis) in durations {
        let config = read(&format!("{REQUIRED}[presence]\naway_after = \"{text}\"")).unwrap();
        assert_eq!(config.presence.away_after, Duration::from_millis(millis), "{text}");
    }
    for (text, bytes) in [("512 B", 512), ("64 KiB", 65_536), ("2MiB", 2_097_152), ("1 GiB", 1_073_741_824)] {
        let config = read(&format!("{REQUIRED}[storage]\nblock_cache = \"{text}\"")).unwrap();
        assert_eq!(config.storage.block_cache, bytes, "{text}");
    }
}

#[test]
fn networks_contain_their_addresses() {
    let cases = [
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("192.0.2.7", "::ffff:192.0.2.7", true),
        ("172.16.0.0/12", "172.31.255.255", true),
        ("172.16.0.0/12", "172.32.0.0", false),
        ("0.0.0.0/0", "203.0.113.1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
    ];
    for (network, address, expected) in cases {
        let network: Network = network.parse().unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("/nonexistent/config.toml")).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/config.toml") && error.contains("commonroom init"), "{error}");
}
