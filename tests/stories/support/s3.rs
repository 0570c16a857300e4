//! A small stand-in for S3: one bucket in memory, with as much of the protocol as the server speaks.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

/// The service; it ends with the story.
#[derive(Clone, Default)]
pub struct S3(Arc<Bucket>);

#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, Bytes>>,
    /// The parts of each upload that is under way.
    uploads: Mutex<HashMap<String, BTreeMap<u32, Bytes>>>,
    /// Whether everything is refused.
    broken: AtomicBool,
}

impl S3 {
    /// Starts it, and gives the configuration of a server that keeps its files there.
    pub async fn start() -> (Self, String) {
        let s3 = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let object = get(read).put(write).post(assemble).delete(delete);
        let router = Router::new().route("/bucket/{*key}", object).with_state(s3.clone());
        // A part has 5 MiB.
        let router = router.layer(axum::extract::DefaultBodyLimit::max(6 << 20));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = format!(
            "[media]\ns3_bucket = \"bucket\"\ns3_endpoint = \"http://{address}\"\ns3_access_key = \"story\"\n\
             s3_secret_key = \"secret\"\n"
        );
        (s3, config)
    }

    /// How many objects there are.
    pub fn objects(&self) -> usize {
        self.0.objects.lock().unwrap().len()
    }

    /// How many uploads are under way.
    pub fn uploads(&self) -> usize {
        self.0.uploads.lock().unwrap().len()
    }

    /// Refuses everything from now on, or no more.
    pub fn set_broken(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::Relaxed);
    }

    /// Asserts that a request is signed by the configured key.
    fn check(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let signature = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if self.0.broken.load(Ordering::Relaxed) || !signature.starts_with("AWS4-HMAC-SHA256 Credential=story/") {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(())
    }
}

type Parameters = Query<HashMap<String, String>>;

async fn write(
    State(s3): State<S3>,
    Path(key): Path<String>,
    Query(query): Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, StatusCode> {
    s3.check(&headers)?;
    match (query.get("uploadId"), query.get("partNumber")) {
        (Some(upload), Some(number)) => {
            let mut uploads = s3.0.uploads.lock().unwrap();
            let parts = uploads.get_mut(upload).ok_or(StatusCode::NOT_FOUND)?;
            parts.insert(number.parse().map_err(|_| StatusCode::BAD_REQUEST)?, body);
        }
        _ => drop(s3.0.objects.lock().unwrap().insert(key, body)),
    }
    Ok([(header::ETAG, "\"tag\"")].into_response())
}

/// Begins or completes an upload in parts.
async fn assemble(
    State(s3): State<S3>,
    Path(key): Path<String>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    s3.check(&headers)?;
    let mut uploads = s3.0.uploads.lock().unwrap();
    let mut answer = String::new();
    match query.get("uploadId") {
        None => {
            let id = format!("upload{}", key.len() + uploads.len());
            write!(answer, "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>")
                .unwrap();
            uploads.insert(id, BTreeMap::new());
        }
        Some(id) => {
            let parts = uploads.remove(id).ok_or(StatusCode::NOT_FOUND)?;
            let sizes: Vec<_> = parts.values().map(Bytes::len).collect();
            // The real service refuses parts that are too small, but for the last one.
            if sizes[..sizes.len() - 1].iter().any(|size| *size < 5 << 20) {
                return Err(StatusCode::BAD_REQUEST);
            }
            s3.0.objects.lock().unwrap().insert(key, parts.into_values().collect::<Vec<_>>().concat().into());
            answer.push_str("<CompleteMultipartUploadResult><ETag>tag</ETag></CompleteMultipartUploadResult>");
        }
    }
    Ok(answer)
}

async fn read(State(s3): State<S3>, Path(key): Path<String>, headers: HeaderMap) -> Result<Response, StatusCode> {
    s3.check(&headers)?;
    let whole = s3.0.objects.lock().unwrap().get(&key).cloned().ok_or(StatusCode::NOT_FOUND)?;
    let range =
        headers.get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let (first, last) = range.ok_or(StatusCode::BAD_REQUEST)?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| StatusCode::BAD_REQUEST);
    let (first, last) = (number(first)?, number(last)?.min(whole.len() - 1));
    let answer = [
        (header::ETAG, "\"tag\"".to_owned()),
        (header::LAST_MODIFIED, "Wed, 25 Nov 2026 00:00:00 GMT".to_owned()),
        (header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", whole.len())),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, answer, whole.slice(first..=last)).into_response())
}

async fn delete(
    State(s3): State<S3>,
    Path(key): Path<String>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Result<StatusCode, StatusCode> {
    s3.check(&headers)?;
    match query.get("uploadId") {
        Some(id) => drop(s3.0.uploads.lock().unwrap().remove(id)),
        None => drop(s3.0.objects.lock().unwrap().remove(&key)),
    }
    Ok(StatusCode::NO_CONTENT)
}
