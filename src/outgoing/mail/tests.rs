//! What goes out in a mail, and what happens when nobody takes it.

use ruma::server_name;

use super::*;
use crate::config::Config;

fn confirmation() -> Confirmation<'static> {
    Confirmation { link: "https://example.org/confirm", code: "abcd-efgh", lifetime: Duration::from_secs(3_600) }
}

fn options(mail: &str) -> config::Mail {
    let text = format!("server_name = \"example.org\"\ndata_dir = \"data\"\n[mail]\n{mail}");
    Config::read(&text, std::path::Path::new(""), []).unwrap().mail.unwrap()
}

fn mailer(mail: &str) -> Result<Mailer> {
    Mailer::new(&options(mail), &config::Outgoing::default(), server_name!("example.org"))
}

#[tokio::test]
async fn a_mail_says_for_whom_from_whom_and_what_for_in_both_ways() {
    let mailer = Mailer::outbox();
    mailer.send("alice@example.org", Letter::ResetPassword(confirmation())).await.unwrap();
    let sent = &mailer.sent()[0];
    assert_eq!(sent.to, "alice@example.org");
    for part in [
        "From: commonroom@example.org\r\n",
        "To: alice@example.org\r\n",
        "Subject: Reset your password on example.org\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "@example.org>\r\n",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "https://example.org/confirm",
        "abcd-efgh",
        "within 1 hour",
    ] {
        assert!(sent.message.contains(part), "{part:?} is missing in {}", sent.message);
    }
}

#[tokio::test]
async fn nothing_but_an_address_is_written_to() {
    let mailer = Mailer::outbox();
    let hostile = [
        "alice@example.org\r\nBcc: everybody@example.org",
        "alice@example.org, bob@example.org",
        "<alice@example.org>",
        "alice@example.org\0",
        "alice",
        "",
    ];
    for to in hostile {
        let error = mailer.send(to, Letter::NoAccount).await.unwrap_err();
        assert_eq!(error.kind, Kind::InvalidParam, "{to:?}");
    }
    assert!(mailer.sent().is_empty());
}

#[tokio::test]
async fn a_mail_server_that_is_not_there_is_a_failure_that_names_no_address() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mailer =
        mailer(&format!("host = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\nfrom = \"a@example.org\"")).unwrap();
    let error = mailer.send("alice@example.org", Letter::NoAccount).await.unwrap_err();
    assert_eq!(error.kind, Kind::Internal);
    assert!(!error.message.contains("alice"), "{error}");
}

#[test]
fn what_cannot_be_used_is_found_at_the_start() {
    let error = mailer("host = \"localhost\"\nfrom = \"nobody\"").err().unwrap().to_string();
    assert!(error.contains("mail.from: \"nobody\""), "{error}");
    let error = mailer("host = \"localhost\"\nfrom = \"a@example.org\"\ntemplates = \"/nonexistent\"").err().unwrap();
    assert!(error.to_string().contains("mail.templates"), "{error}");
    for security in ["tls", "starttls", "none"] {
        let mail = format!("host = \"localhost\"\nfrom = \"Us <a@example.org>\"\nsecurity = \"{security}\"");
        assert!(mailer(&mail).is_ok(), "{security}");
    }
}
