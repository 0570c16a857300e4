//! What lies at a place of the client's folder, looked up anew for each request, so that the files can be exchanged at any time.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use axum::http::HeaderValue;

use super::place::can_be_served;
use crate::error::{Error, Result};

/// A file of the client.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What tells this file from every other that was ever at its place.
    pub tag: HeaderValue,
    /// Whether the same compressed with Brotli lies beside it, called `.br`.
    pub brotli: bool,
    /// Whether the same compressed with gzip lies beside it, called `.gz`.
    pub gzip: bool,
}

/// What is at `place` in `folder`, and nothing if that is no plain file or, through a symbolic link, outside or hidden.
///
/// This waits for the disk.
pub(super) fn look(folder: &Path, place: &Path) -> Option<Found> {
    // The folder itself may be a link that is moved from one version to the next.
    let folder = folder.canonicalize().ok()?;
    let path = folder.join(place);
    let metadata = inside(&folder, &path)?;
    let compressed = |ending: &str| {
        let mut beside = path.clone().into_os_string();
        beside.push(ending);
        // One that is older than the file was left there by an earlier version.
        inside(&folder, Path::new(&beside)).is_some_and(|other| modified(&other) >= modified(&metadata))
    };
    Some(Found { brotli: compressed(".br"), gzip: compressed(".gz"), tag: tag(&metadata), path })
}

/// What is known of the file at `path` if it really lies in `folder`.
fn inside(folder: &Path, path: &Path) -> Option<Metadata> {
    let real = path.canonicalize().ok()?;
    let mut names = real.strip_prefix(folder).ok()?.iter();
    if !names.all(|name| name.to_str().is_some_and(can_be_served)) {
        return None;
    }
    // Reading from a pipe would wait for whoever writes to it.
    fs::metadata(&real).ok().filter(Metadata::is_file)
}

/// The time of modification alone would not do: many archives give all their files the same, in every version.
fn tag(metadata: &Metadata) -> HeaderValue {
    let tag =
        format!("W/\"{:x}-{:x}-{:x}{:08x}\"", metadata.size(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""))
}

fn modified(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Says what is wrong with `folder` as one of a web client beside the server's own `data`.
///
/// # Errors
///
/// If it is no folder, has no page in it, or would hand out the server's data.
pub(super) fn check(folder: &Path, data: &Path) -> Result<()> {
    let shown = folder.display();
    let real = folder.canonicalize().map_err(|e| Error::invalid(format!("web.client_dir: cannot use {shown}: {e}")))?;
    if !real.is_dir() {
        return Err(Error::invalid(format!("web.client_dir: {shown} is not a folder")));
    }
    if data.canonicalize().is_ok_and(|data| data.starts_with(&real)) {
        let data = data.display();
        let problem = format!(
            "web.client_dir: {shown} holds the data folder {data}, which nobody may read: give the web client a folder \
             of its own"
        );
        return Err(Error::invalid(problem));
    }
    match look(folder, Path::new(super::PAGE)) {
        Some(_) => Ok(()),
        None => Err(Error::invalid(format!(
            "web.client_dir: there is no index.html in {shown}: name the folder that a web client was unpacked into"
        ))),
    }
}
