//! What leaves the server and what does not, against servers on loopback.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::AbortHandle,
};

use super::*;

/// A server that gives each connection the same answer.
struct Stand {
    address: SocketAddr,
    task: AbortHandle,
}

impl Stand {
    async fn answering(text: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(text.as_bytes()).await;
                let _: io::Result<()> = stream.shutdown().await;
            }
        };
        Self { address, task: tokio::spawn(serve).abort_handle() }
    }

    async fn saying(body: &str) -> Self {
        Self::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await
    }

    async fn redirecting(place: &str) -> Self {
        Self::answering(format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n")).await
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn way_out(keys: &str) -> Outgoing {
    // It fails only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = format!("server_name = \"example.org\"\ndata_dir = \"data\"\n[outgoing]\nresolve_names = false\n{keys}");
    Outgoing::new(&config::Config::read(&text, "".as_ref(), []).unwrap().outgoing).unwrap()
}

fn get(url: &str) -> Call {
    Call {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Vec::new(),
        timeout: Duration::from_secs(10),
        max_body: 100,
        redirects: 2,
    }
}

const LOOPBACK: &str = "allowed_addresses = [\"127.0.0.1\"]\n";

#[tokio::test]
async fn nobody_looks_into_the_operators_network() {
    let secret = Stand::saying("the secret").await;
    let port = secret.address.port();
    let names = format!("static_names = [{{ name = \"rebound.example\", address = \"127.0.0.1:{port}\" }}]\n");
    let strict = way_out(&names);
    for host in ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "rebound.example"] {
        let call = get(&format!("http://{host}:{port}/"));
        assert_eq!(strict.send(call).await.unwrap_err(), Failure::Forbidden, "{host}");
    }
    for url in ["file:///etc/passwd", "ftp://192.0.2.1/", "gopher://127.0.0.1/", "data:text/plain,x"] {
        assert_eq!(strict.send(get(url)).await.unwrap_err(), Failure::Forbidden, "{url}");
    }
}

#[tokio::test]
async fn what_the_operator_allows_is_called() {
    let friend = Stand::saying("hello").await;
    let names = format!("static_names = [{{ name = \"friend.example\", address = \"{}\" }}]\n", friend.address);
    let outgoing = way_out(&format!("{LOOPBACK}{names}"));
    for host in [friend.address.to_string(), format!("localhost:{}", friend.address.port()), "friend.example".into()] {
        let answer = outgoing.send(get(&format!("http://{host}/"))).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]), "{host}");
    }
    let unknown = outgoing.send(get("http://nobody.example/")).await.unwrap_err();
    assert!(matches!(unknown, Failure::Unreachable(_)), "{unknown:?}");
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_a_call_would_not() {
    let inner = Stand::saying("inner").await;
    let outer = Stand::redirecting(&format!("http://{}/", inner.address)).await;
    let outgoing = way_out(LOOPBACK);
    let answer = outgoing.send(get(&format!("http://{}/", outer.address))).await.unwrap();
    assert_eq!(answer.body, b"inner");
    assert_eq!(answer.url.port(), Some(inner.address.port()));

    for place in ["http://127.0.0.2/", "http://[::1]/", "file:///etc/passwd", "http://10.0.0.1/"] {
        let outer = Stand::redirecting(place).await;
        let call = get(&format!("http://{}/", outer.address));
        assert_eq!(outgoing.send(call).await.unwrap_err(), Failure::Forbidden, "{place}");
    }
}

#[tokio::test]
async fn redirects_end() {
    let circle = Stand::redirecting("/again").await;
    let call = get(&format!("http://{}/", circle.address));
    assert_eq!(way_out(LOOPBACK).send(call.clone()).await.unwrap().status, 302);
    let posted = Call { method: Method::POST, ..call };
    assert_eq!(way_out(LOOPBACK).send(posted).await.unwrap().url.path(), "/", "a POST is not sent elsewhere");
}

#[tokio::test]
async fn an_answer_is_bounded_in_size_and_time() {
    let outgoing = way_out(LOOPBACK);
    let large = "x".repeat(101);
    for stand in [Stand::saying(&large).await, Stand::answering(format!("HTTP/1.1 200 OK\r\n\r\n{large}")).await] {
        let call = get(&format!("http://{}/", stand.address));
        assert_eq!(outgoing.send(call).await.unwrap_err(), Failure::TooLarge);
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let call = get(&format!("http://{}/", silent.local_addr().unwrap()));
    let call = Call { timeout: Duration::from_millis(50), ..call };
    assert_eq!(outgoing.send(call).await.unwrap_err(), Failure::TimedOut);
}

#[test]
fn an_authority_that_cannot_be_read_is_named() {
    let chosen = config::Outgoing { extra_certificate_authorities: vec!["/no/such.pem".into()], ..Default::default() };
    let problem = Outgoing::new(&chosen).err().expect("there is no such file");
    assert!(problem.message.contains("/no/such.pem"), "{problem}");
}
