//! The places where clients connect: TCP, TLS and Unix sockets.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use axum_server::{Address, Handle, Server, tls_rustls::RustlsConfig};
use hyper_util::rt::TokioTimer;

use crate::{
    config::{Endpoint, Listener, Tls},
    error::{Error, Result},
    shutdown::Shutdown,
};

/// How long requests that are under way may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long a connection may stay without a whole request on it. Longer than the minute for which reverse proxies keep
/// connections by default, since a proxy may send a request just when the server closes.
const IDLE: Duration = Duration::from_secs(120);

/// A listener that has its address and can be served.
pub(super) enum Bound {
    Tcp(TcpListener, SocketAddr),
    Tls(TcpListener, SocketAddr, RustlsConfig),
    Unix(UnixListener, PathBuf),
}

impl Bound {
    /// Takes the address or socket of `listener`.
    ///
    /// # Errors
    ///
    /// Says which address, socket or certificate cannot be used and why.
    pub(super) async fn new(listener: &Listener) -> Result<Self> {
        match (&listener.endpoint, &listener.tls) {
            (Endpoint::Tcp(address), None) => bind_tcp(*address).map(|(bound, address)| Self::Tcp(bound, address)),
            (Endpoint::Tcp(address), Some(tls)) => {
                let tls = certificate(tls).await?;
                bind_tcp(*address).map(|(bound, address)| Self::Tls(bound, address, tls))
            }
            (Endpoint::Unix(path), _) => bind_unix(path).map(|bound| Self::Unix(bound, path.clone())),
        }
    }

    /// Serves `router` until `shutdown` begins and the requests under way have ended.
    ///
    /// # Errors
    ///
    /// Says why no more connections can be accepted.
    pub(super) async fn serve(self, router: Router, shutdown: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(listener, _) => {
                let service = router.into_make_service_with_connect_info::<SocketAddr>();
                ready(axum_server::from_tcp(listener)?, shutdown).serve(service).await
            }
            Self::Tls(listener, _, tls) => {
                let service = router.into_make_service_with_connect_info::<SocketAddr>();
                ready(axum_server::from_tcp_rustls(listener, tls)?, shutdown).serve(service).await
            }
            Self::Unix(listener, path) => {
                let server = ready(axum_server::from_unix(listener)?, shutdown);
                let served = server.serve(router.into_make_service()).await;
                // What is left of a socket that nobody listens on only confuses.
                let _ = fs::remove_file(path);
                served
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => write!(f, "http://{address}"),
            Self::Tls(_, address, _) => write!(f, "https://{address}"),
            Self::Unix(_, path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Checks that the certificates of `listeners` can be used, without listening.
///
/// # Errors
///
/// Names the first that cannot.
pub(super) async fn check(listeners: &[Listener]) -> Result<()> {
    for tls in listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        certificate(tls).await?;
    }
    Ok(())
}

fn bind_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(|e| cannot_listen(&address.to_string(), &e))
}

fn bind_unix(path: &Path) -> Result<UnixListener> {
    let bind = || {
        remove_abandoned_socket(path)?;
        let listener = UnixListener::bind(path)?;
        // As with a port on loopback, whoever can reach the socket may connect; its folder decides who can.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|e| cannot_listen(&path.display().to_string(), &e))
}

/// A socket outlives the process that was killed while listening on it.
fn remove_abandoned_socket(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    Ok(())
}

async fn certificate(tls: &Tls) -> Result<RustlsConfig> {
    RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await.map_err(|e| {
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        Error::invalid(format!("the certificate {certificate} with the key {key} cannot be used: {e}"))
    })
}

/// A server that closes connections on which nothing comes, and stops accepting when `shutdown` begins.
fn ready<A: Address + Send + 'static, Acc>(mut server: Server<A, Acc>, shutdown: Shutdown) -> Server<A, Acc> {
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    server.http_builder().http2().timer(TokioTimer::new()).keep_alive_interval(IDLE);
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        shutdown.begun().await;
        stopping.graceful_shutdown(Some(GRACE));
    });
    server.handle(handle)
}

fn cannot_listen(place: &str, cause: &io::Error) -> Error {
    Error::internal(format!("cannot listen on {place}: {cause}"))
}
