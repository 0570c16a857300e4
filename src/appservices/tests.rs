//! Which registrations are read, and what is whose.

use ruma::{room_alias_id, server_name, user_id};

use super::*;

const IRC: &str = r##"
# Written by the bridge.
id: irc
url: http://127.0.0.1:9999/
as_token: secret-as
hs_token: secret-hs
sender_localpart: _irc_bot
rate_limited: false
namespaces:
  users:
    - exclusive: true
      regex: '@_irc_.*:example\.org'
  aliases:
    - {exclusive: true, regex: "#irc_.*"}
  rooms: []
protocols: [irc]
de.sorunome.msc2409.push_ephemeral: true
something_new: {a: 1}
"##;

const LOGGER: &str = "id: logger\nurl: null\nas_token: other\nhs_token: x\nsender_localpart: logger\nnamespaces:\n  users:\n  - exclusive: false\n    regex: .*\n";

fn read(text: &str) -> Result<Appservice> {
    Appservice::read(text, server_name!("example.org"))
}

#[test]
fn a_registration_is_read_as_bridges_write_it() {
    let irc = read(IRC).unwrap();
    assert_eq!((irc.id.as_str(), irc.url.as_deref()), ("irc", Some("http://127.0.0.1:9999")));
    assert_eq!(irc.sender, "@_irc_bot:example.org");
    assert!(!irc.rate_limited);
    assert_eq!(irc.wishes, Wishes { ephemeral: true, old_names: true, encryption: false });
    assert!(irc.owns_user(user_id!("@_irc_nick:example.org")));
    assert!(!irc.has_user(user_id!("@_irc_nick:elsewhere.org")), "only users of this server");
    assert!(!irc.has_user(user_id!("@my_irc_nick:example.org")), "a pattern holds from the start");
    let logger = read(LOGGER).unwrap();
    assert_eq!(logger.url, None);
    let both =
        "push_ephemeral: true\nreceive_ephemeral: true\nio.element.msc4190: true\nde.sorunome.msc2409.push_ephemeral";
    assert!(read(&IRC.replace("de.sorunome.msc2409.push_ephemeral", both)).unwrap().wishes.ephemeral);
    let bare = "id: a\nurl: ''\nas_token: 1\nhs_token: 2\nsender_localpart: a\nnamespaces: null\nrate_limited: null\n";
    assert!(read(bare).unwrap().rate_limited);
    assert!(logger.has_user(user_id!("@alice:example.org")) && !logger.owns_user(user_id!("@alice:example.org")));
}

#[test]
fn what_cannot_be_used_is_said_without_a_secret() {
    for (from, to, hint) in [
        ("id: irc", "id: ''", "id"),
        ("sender_localpart: _irc_bot", "sender_localpart: 'a:b'", "sender_localpart"),
        ("#irc_.*", "#irc_(", "namespaces.aliases"),
        ("#irc_.*", "#irc_(?!bot).*", "look-around"),
        ("http://127", "ftp://127", "url"),
        ("http://127.0.0.1:9999/", "http://", "url"),
        ("http://127.0.0.1:9999/", "http://127.0.0.1/?token=a", "url"),
        ("sender_localpart: _irc_bot", "sender_localpart: Irc", "sender_localpart"),
        ("hs_token: secret-hs", "hs_token: \"secret\\nhs\"", "hs_token"),
        ("as_token: secret-as", "as_token: [secret-as]", ""),
        ("hs_token: secret-hs\n", "", "hs_token"),
    ] {
        let problem = read(&IRC.replace(from, to)).unwrap_err();
        assert!(problem.message.contains(hint), "{to}: {problem}");
        assert!(!problem.message.contains("secret"), "{problem}");
    }
}

#[test]
fn a_folder_is_read_again_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("irc.yaml"), IRC).unwrap();
    fs::write(path("notes.txt"), "not yaml: [").unwrap();
    let all = Appservices::load(Some(folder.path()), server_name!("example.org")).unwrap();
    assert!(all.with_token("secret-as").is_some() && all.with_token("secret").is_none());

    let ghost = user_id!("@_irc_nick:example.org");
    assert_eq!(all.check_user(ghost, None).unwrap_err().kind, Kind::Exclusive);
    let irc = all.get("irc").unwrap();
    all.check_user(ghost, Some(&irc)).unwrap();
    assert_eq!(all.check_user(user_id!("@alice:example.org"), Some(&irc)).unwrap_err().kind, Kind::Exclusive);
    assert_eq!(all.check_alias(room_alias_id!("#irc_a:example.org"), None).unwrap_err().kind, Kind::Exclusive);
    all.check_alias(room_alias_id!("#other:example.org"), None).unwrap();

    // What an editor leaves behind is none.
    fs::write(path(".#irc.yaml"), "not yaml: [").unwrap();
    fs::write(path("logger.yml"), LOGGER.replace("other", "secret-as")).unwrap();
    assert!(all.reload().unwrap_err().message.contains("as_token"));
    fs::write(path("logger.yml"), LOGGER.replace("logger", "irc")).unwrap();
    assert!(all.reload().unwrap_err().message.contains("the id"));
    fs::write(path("logger.yml"), LOGGER.replace("sender_localpart: logger", "sender_localpart: _irc_bot")).unwrap();
    assert!(all.reload().unwrap_err().message.contains("sender_localpart"));
    assert_eq!(all.all().len(), 1, "what was read before holds");
    fs::write(path("logger.yml"), LOGGER).unwrap();
    assert_eq!(all.reload().unwrap(), 2);
    assert!(Arc::ptr_eq(&irc, &all.get("irc").unwrap()), "a file that has not changed");
    fs::write(path("irc.yaml"), IRC.replace("irc_", "tea_")).unwrap();
    all.reload().unwrap();
    assert!(!Arc::ptr_eq(&irc, &all.get("irc").unwrap()), "a file that has changed");
    fs::write(path("irc.yaml"), IRC).unwrap();
    all.reload().unwrap();
    let logger = all.get("logger").unwrap();
    assert_eq!(all.check_user(ghost, Some(&logger)).unwrap_err().kind, Kind::Exclusive, "it is the other's");
}
