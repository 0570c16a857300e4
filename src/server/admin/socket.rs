//! The Unix socket in the data folder through which a running server takes its operator's commands.

use std::{
    fs, io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};
use tracing::{debug, warn};

use super::{Admin, AdminAnswer, AdminRequest, AdminResponse};
use crate::{
    error::{Error, Kind, Result},
    shutdown::Shutdown,
};

/// The longest line that is read, in bytes, so that a stray client cannot fill the memory.
const LONGEST_LINE: u64 = 1 << 20;

/// The socket, ready to take commands; only the server's own user and root may use it.
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Listens at `path`, in the place of what a killed server left there: whoever holds the database is the only server.
    ///
    /// # Errors
    ///
    /// Says why the socket cannot be made.
    pub fn bind(path: PathBuf) -> Result<Self> {
        let bind = || {
            // The socket gets its name only when its permissions are right.
            let unfinished = path.with_extension("sock.new");
            remove(&unfinished)?;
            let listener = UnixListener::bind(Short::of(&unfinished)?.path())?;
            fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
            fs::rename(&unfinished, &path)?;
            Ok(listener)
        };
        match bind() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(e) => Err(unusable(&path, &e)),
        }
    }

    /// Carries out commands until `shutdown` begins.
    pub async fn serve(self, admin: Admin, shutdown: Shutdown) -> io::Result<()> {
        loop {
            let accepted = tokio::select! {
                () = shutdown.begun() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => drop(tokio::spawn(converse(stream, admin.clone()))),
                Err(e) => warn!("a command could not be taken: {e}"),
            }
        }
        remove(&self.path)
    }
}

/// Asks the server that listens at `path`; `None` if none does.
///
/// # Errors
///
/// The server's own, and `Internal` if it cannot be reached for another reason than not running.
pub async fn ask(path: &Path, request: &AdminRequest) -> Result<Option<AdminResponse>> {
    let connected = async { UnixStream::connect(Short::of(path)?.path()).await };
    let mut stream = match connected.await {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(e) => return Err(unusable(path, &e)),
    };
    let exchange = async {
        stream.write_all(&line(request)?).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        Ok(serde_json::from_str::<AdminAnswer>(&answer)?)
    };
    let answer = exchange.await.map_err(|e: io::Error| unusable(path, &e))?;
    answer.map(Some).map_err(|message| Kind::Unknown.with(message))
}

/// Answers the requests of one command, of which each but the first is rare.
async fn converse(mut stream: UnixStream, admin: Admin) {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader.take(LONGEST_LINE)).lines();
    let conversation = async {
        while let Some(request) = lines.next_line().await? {
            let answer: AdminAnswer = match serde_json::from_str(&request) {
                Ok(request) => admin.handle(request).await.map_err(|e| e.to_string()),
                Err(_) => Err("The running server does not know this command: is it of another version?".to_owned()),
            };
            writer.write_all(&line(&answer)?).await?;
        }
        Ok::<_, io::Error>(())
    };
    if let Err(e) = conversation.await {
        debug!("a command went away: {e}");
    }
}

/// A name for a file that is short enough for the address of a socket, which holds about 100 bytes.
struct Short {
    path: PathBuf,
    /// The file's folder, through which the file is named if its own name is too long.
    _folder: Option<fs::File>,
}

impl Short {
    fn of(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if path.as_os_str().len() < 100 {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = fs::File::open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

fn line(value: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn unusable(path: &Path, cause: &io::Error) -> Error {
    Error::internal(format!("the admin socket {} cannot be used: {cause}", path.display()))
}
