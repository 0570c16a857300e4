//! A mail server that delivers nothing: it keeps what it gets, so that a story can read it.

use std::sync::{Arc, Mutex};

use reqwest::{Client, Method, StatusCode, header::HeaderMap, redirect::Policy};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, split},
    net::{TcpListener, TcpStream},
};

use super::{Connection, PATIENCE, eventually};

/// A mail server on this machine; it takes every mail, but those to addresses that start with `full`.
pub struct MailServer {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

/// A mail that arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Every address that it was sent to.
    pub to: Vec<String>,
    /// Its headers and its body.
    pub text: String,
}

/// A page as a browser gets it.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl MailServer {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, mails) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<Mail>>>::default());
        let arrived = mails.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(converse(connection, arrived.clone()));
            }
        });
        Self { port, mails }
    }

    /// The section of a configuration that sends mails here, with `more` keys.
    pub fn config(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "[mail]\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\nfrom = \"Story <noreply@story.example>\"\n{more}\n"
        )
    }

    /// How many mails arrived.
    pub fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// The newest mail, once `count` have arrived.
    pub async fn mail_number(&self, count: usize) -> Mail {
        let arrived = async || self.mails.lock().unwrap().get(count - 1).cloned();
        let mail = eventually("a mail to arrive", PATIENCE, arrived).await;
        assert_eq!(self.count(), count, "more mails arrived than the story expects");
        mail
    }
}

impl Mail {
    /// The path and the query of its link.
    pub fn link(&self) -> &str {
        let start = self.text.find("/_commonroom/email/confirm").expect("the mail has a link");
        let rest = &self.text[start..];
        &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())]
    }

    /// The code that an app may ask for.
    pub fn code(&self) -> &str {
        let mut lines = self.text.lines().skip_while(|line| !line.contains("asks for a code"));
        lines.find(|line| line.len() == 23 && line.matches('-').count() == 3).expect("the mail has a code")
    }

    /// Follows the link and presses the button, as a person does.
    pub async fn confirm(&self, anyone: &Connection) {
        let question = Page::get(anyone, Method::GET, self.link()).await;
        assert!(question.status == 200 && question.text.contains("<button>"), "{question:?}");
        let answer = Page::get(anyone, Method::POST, self.link()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

impl Page {
    /// What a browser gets for `path`, before it follows a redirect.
    pub async fn get(anyone: &Connection, method: Method, path: &str) -> Self {
        let browser = Client::builder().redirect(Policy::none()).build().unwrap();
        let response = browser.request(method, format!("{}{path}", anyone.base_url())).send().await.expect("a page");
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }
}

/// Speaks SMTP (RFC 5321) to one client.
async fn converse(connection: TcpStream, mails: Arc<Mutex<Vec<Mail>>>) {
    let (reading, mut writing) = split(connection);
    let mut lines = BufReader::new(reading).lines();
    let mut to = Vec::new();
    let mut answer = "220 ready";
    loop {
        if writing.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let Ok(Some(line)) = lines.next_line().await else { return };
        let command = line.to_ascii_uppercase();
        answer = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "HELO" | "MAIL" | "RSET" => "250 fine",
            "RCPT" if line.contains("<full") => "550 <full@story.example>: this mailbox is full",
            "RCPT" => {
                let address =
                    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
                to.push(address.unwrap_or_default().to_owned());
                "250 fine"
            }
            "DATA" => {
                let _ = writing.write_all(b"354 go on\r\n").await;
                let text = read_text(&mut lines).await;
                mails.lock().unwrap().push(Mail { to: std::mem::take(&mut to), text });
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "500 what?",
        };
    }
}

/// Reads the text of a mail, up to the dot that stands alone.
async fn read_text<R: tokio::io::AsyncBufRead + Unpin>(lines: &mut Lines<R>) -> String {
    let mut text = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "." {
            break;
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    decoded(&text)
}

/// Text as it was before it was made "quoted-printable" (RFC 2045, section 6.7).
fn decoded(text: &str) -> String {
    let mut pieces = text.split('=');
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, piece.strip_prefix('\n')) {
            (_, Some(rest)) => decoded.push_str(rest),
            (Some(byte), None) => {
                decoded.push(byte.into());
                decoded.push_str(&piece[2..]);
            }
            (None, None) => {
                decoded.push('=');
                decoded.push_str(piece);
            }
        }
    }
    decoded
}
