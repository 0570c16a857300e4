//! What is left of a request's body when its answer is known already, such as that the body is too large.
//!
//! A connection that is closed while its client still sends is reset, and then the client never reads why. So the rest is
//! read first, up to a bound, and thrown away.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody as _},
    extract::Request,
    http::header::EXPECT,
    middleware::Next,
    response::Response,
};
use futures_util::{Stream, StreamExt as _};
use tokio::{sync::oneshot, time::timeout};

/// The most that is read for nothing: enough for whatever an honest client may have misjudged.
const MOST: usize = 64 << 20;
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Answers once the request's body has arrived, whether or not anybody wanted it.
pub async fn read_to_the_end(request: Request, next: Next) -> Response {
    // Who expects to be told before sending anything is told that by the answer.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (back, mut returned) = oneshot::channel();
    let request = request.map(|body| Body::from_stream(Lent { rest: Some(body.into_data_stream()), back: Some(back) }));
    let response = next.run(request).await;
    if let Ok(rest) = returned.try_recv() {
        // An error here is the client's end of the connection, and what it would be told is lost either way.
        let _ = timeout(LONGEST, throw_away(rest)).await;
    }
    response
}

/// A body that comes back when nobody wants more of it.
struct Lent {
    rest: Option<BodyDataStream>,
    back: Option<oneshot::Sender<BodyDataStream>>,
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let next = rest.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.rest = None;
        }
        next
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(rest), Some(back)) = (self.rest.take(), self.back.take()) {
            // Whoever lent it may have gone, and the connection with them.
            let _ = back.send(rest);
        }
    }
}

async fn throw_away(mut rest: BodyDataStream) {
    let mut read = 0;
    while let Some(Ok(bytes)) = rest.next().await {
        read += bytes.len();
        if read > MOST {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware::from_fn, routing::post};
    use futures_util::stream;
    use tower::ServiceExt as _;

    use super::*;

    /// What the answer is to a body of so many blocks of 64 KiB, and how many of them were read.
    async fn ask(path: &str, blocks: usize) -> (StatusCode, usize) {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = read.clone();
        let body = stream::iter(0..blocks).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, axum::Error>(Bytes::from(vec![b'x'; 64 << 10]))
        });
        let router: Router = Router::new()
            .route("/reads", post(|_: Bytes| async {}))
            .route("/refuses", post(|| async { StatusCode::FORBIDDEN }))
            .layer(DefaultBodyLimit::max(1 << 20))
            .layer(from_fn(read_to_the_end));
        let request = Request::post(path).body(Body::from_stream(body)).unwrap();
        let status = router.oneshot(request).await.unwrap().status();
        (status, read.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_nobody_wants_is_read_up_to_a_bound() {
        let most = MOST / (64 << 10);
        assert_eq!(ask("/reads", 3).await, (StatusCode::OK, 3));
        assert_eq!(ask("/reads", 100).await, (StatusCode::PAYLOAD_TOO_LARGE, 100));
        assert_eq!(ask("/refuses", 100).await, (StatusCode::FORBIDDEN, 100));
        let (status, read) = ask("/refuses", 10 * most).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!((most..=most + 2).contains(&read), "{read} blocks were read");
    }
}
