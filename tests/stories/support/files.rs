//! Files as people send and fetch them.

use std::{fs, path::Path};

use reqwest::{Body, Method, Response, StatusCode, header::HeaderMap};

use super::{Answer, Connection, encode};

/// The answer to a request for a file.
#[derive(Debug)]
pub struct FileAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The bytes of the body.
    pub bytes: Vec<u8>,
}

impl FileAnswer {
    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, bytes: response.bytes().await.expect("the body arrives").to_vec() }
    }

    /// A header that must be there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    /// The bytes of an answer with status 200.
    #[track_caller]
    pub fn expect_ok(self) -> Vec<u8> {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        self.bytes
    }

    /// Asserts a refusal with this status and errcode.
    #[track_caller]
    pub fn expect_error(self, status: u16, errcode: &str) {
        let text = String::from_utf8_lossy(&self.bytes);
        let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!((self.status.as_u16(), body["errcode"].as_str()), (status, Some(errcode)), "{text}");
    }
}

impl Connection {
    /// Asks to keep a file.
    pub async fn try_upload(&self, content: impl Into<Body>, content_type: &str, name: &str) -> Answer {
        let path = match name {
            "" => "/_matrix/media/v3/upload".to_owned(),
            name => format!("/_matrix/media/v3/upload?filename={}", encode(name)),
        };
        self.send(Method::POST, &path, |request| request.header("content-type", content_type).body(content)).await
    }

    /// Uploads a file and gives its URI.
    pub async fn upload(&self, content: impl Into<Body>, content_type: &str, name: &str) -> String {
        let answer = self.try_upload(content, content_type, name).await.expect_ok();
        answer["content_uri"].as_str().expect("an upload has a URI").to_owned()
    }

    /// Fetches the file with this URI.
    pub async fn download(&self, uri: &str) -> FileAnswer {
        self.fetch(&format!("/_matrix/client/v1/media/download/{}", id_of(uri)), &[]).await
    }

    /// Fetches a file, or a part of it, by a path and with more headers.
    pub async fn fetch(&self, path: &str, headers: &[(&str, &str)]) -> FileAnswer {
        self.fetch_by(Method::GET, path, headers).await
    }

    /// As [`Connection::fetch`], with any method.
    pub async fn fetch_by(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> FileAnswer {
        let add = |request, (name, value): &(&str, &str)| reqwest::RequestBuilder::header(request, *name, *value);
        FileAnswer::read(self.exchange(method, path, |request| headers.iter().fold(request, add)).await).await
    }
}

/// What follows `mxc://`: the server and the id, with a slash between them.
pub fn id_of(uri: &str) -> &str {
    uri.strip_prefix("mxc://").unwrap_or_else(|| panic!("{uri} is no URI of a file"))
}

/// How many files there are in a folder, however deep.
pub fn files_in(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_in(&path) } else { 1 }).sum()
}
