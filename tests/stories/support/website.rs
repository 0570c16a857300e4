//! A website on loopback that says what a story wants it to say.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// What the pages answer: a status line with headers, and a body.
type Pages = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

/// The website; it is gone when the story ends.
pub struct Website {
    address: SocketAddr,
    pages: Pages,
    visits: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Website {
    /// A website without pages.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (pages, visits) = (Pages::default(), Arc::<Mutex<Vec<String>>>::default());
        let (shown, noted) = (pages.clone(), visits.clone());
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, shown.clone(), noted.clone()));
            }
        };
        Self { address, pages, visits, task: tokio::spawn(serve).abort_handle() }
    }

    /// Puts a page there, or another one in its place.
    pub fn show(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}");
        self.pages.lock().unwrap().insert(path.to_owned(), (head, body.into()));
    }

    /// Has a path lead elsewhere.
    pub fn redirect(&self, path: &str, place: &str) {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {place}");
        self.pages.lock().unwrap().insert(path.to_owned(), (head, Vec::new()));
    }

    /// The address of a page.
    pub fn link(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The paths that were asked for, in order.
    pub fn visits(&self) -> Vec<String> {
        self.visits.lock().unwrap().clone()
    }
}

impl Drop for Website {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, pages: Pages, visits: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let missing = || ("HTTP/1.1 404 Not Found".to_owned(), Vec::new());
    let (head, body) = pages.lock().unwrap().get(&path).cloned().unwrap_or_else(missing);
    visits.lock().unwrap().push(path);
    let head = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
}
