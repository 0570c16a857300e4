//! Requests as bytes, so that they may be as wrong as no HTTP library would send them.

use std::{fmt, io};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A request.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// Sends the request to the server at `address` (`127.0.0.1:1234`) and reads the answer to its end.
    ///
    /// # Errors
    ///
    /// If the connection ends without an answer.
    pub async fn send(&self, address: &str) -> io::Result<Reply> {
        let (mut reading, mut writing) = TcpStream::connect(address).await?.into_split();
        let bytes = self.bytes(address);
        let mut answer = Vec::new();
        // The server may refuse and close before it has read everything; then only the answer counts.
        let (_, read) = tokio::join!(writing.write_all(&bytes), reading.read_to_end(&mut answer));
        Reply::parse(&answer).ok_or_else(|| {
            let cause = read.err().map_or_else(|| "the connection was closed".to_owned(), |cause| cause.to_string());
            io::Error::other(format!("no answer ({} bytes): {cause}", answer.len()))
        })
    }

    /// Whether an HTTP server may refuse the request before anybody looks at its path.
    pub fn is_no_http(&self) -> bool {
        let is_odd = |byte: &u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(byte);
        let has_control = |(_, value): &(String, String)| value.bytes().any(|byte| byte.is_ascii_control());
        self.target.len() > 8_000 || self.target.iter().any(is_odd) || self.headers.iter().any(has_control)
    }

    fn bytes(&self, address: &str) -> Vec<u8> {
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend(&self.target);
        bytes.extend(format!(" HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n").bytes());
        for (name, value) in &self.headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", self.body.len()).bytes());
        bytes.extend(&self.body);
        bytes
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(1_500)]).into_owned();
        write!(f, "{} {}\n{:?}\n{}", self.method, shown(&self.target), self.headers, shown(&self.body))?;
        write!(f, " ({} bytes)", self.body.len())
    }
}

impl Reply {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = &bytes[end + 4..];
        let body = if head.contains("transfer-encoding: chunked") { unchunked(body)? } else { body.to_vec() };
        Some(Self { status, head, body })
    }
}

/// A body without the sizes of its chunks; `None` if it is cut off.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}
