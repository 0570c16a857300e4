//! Application services: who is registered, and which user ids, aliases and rooms are theirs.
//!
//! Plain knowledge of the registration files. What services are told stands in `delivery/appservices`.

mod namespace;
mod registration;

#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use ruma::{OwnedServerName, RoomAliasId, ServerName, UserId};
use tokio::sync::watch;

pub use self::registration::{Appservice, Wishes};
use crate::error::{Error, Kind, Result};

/// A cheap-clone directory of all application services.
#[derive(Clone)]
pub struct Appservices {
    shared: Arc<Shared>,
}

struct Shared {
    server_name: OwnedServerName,
    folder: Option<PathBuf>,
    current: ArcSwap<Vec<Arc<Appservice>>>,
    reloaded: watch::Sender<()>,
}

impl Appservices {
    /// The services whose registrations lie in `folder`.
    ///
    /// # Errors
    ///
    /// `InvalidParam` with the file that cannot be used and why.
    pub fn load(folder: Option<&Path>, server_name: &ServerName) -> Result<Self> {
        let current = ArcSwap::from_pointee(read_folder(folder, server_name)?);
        let (folder, server_name) = (folder.map(Path::to_owned), server_name.to_owned());
        let reloaded = watch::Sender::new(());
        Ok(Self { shared: Arc::new(Shared { server_name, folder, current, reloaded }) })
    }

    /// No services at all.
    pub fn none(server_name: &ServerName) -> Self {
        let (server_name, current) = (server_name.to_owned(), ArcSwap::from_pointee(Vec::new()));
        let reloaded = watch::Sender::new(());
        Self { shared: Arc::new(Shared { server_name, folder: None, current, reloaded }) }
    }

    /// The name of the server whose services they are.
    pub fn server_name(&self) -> &ServerName {
        &self.shared.server_name
    }

    /// Reads the registrations again; if one of them cannot be used, all stay as they were. Gives their number. One whose file
    /// has not changed stays the same in memory, too, by which others see that there is nothing to do about it.
    ///
    /// # Errors
    ///
    /// As [`Appservices::load`].
    pub fn reload(&self) -> Result<usize> {
        let before = self.shared.current.load();
        let mut registrations = read_folder(self.shared.folder.as_deref(), &self.shared.server_name)?;
        for read in &mut registrations {
            if let Some(same) = before.iter().find(|known| known.fingerprint == read.fingerprint) {
                *read = same.clone();
            }
        }
        let count = registrations.len();
        self.shared.current.store(Arc::new(registrations));
        self.shared.reloaded.send_replace(());
        Ok(count)
    }

    /// What tells of every [`Appservices::reload`] from now on.
    pub fn reloads(&self) -> watch::Receiver<()> {
        self.shared.reloaded.subscribe()
    }

    /// All services, in the order of their files' names.
    pub fn all(&self) -> Arc<Vec<Arc<Appservice>>> {
        self.shared.current.load_full()
    }

    /// The service that shows `token`.
    pub fn with_token(&self, token: &str) -> Option<Arc<Appservice>> {
        let all = self.shared.current.load();
        if all.is_empty() {
            return None;
        }
        let hash = registration::hash(token);
        // Each is compared, so that the time does not tell which one it is.
        all.iter().fold(None, |found, service| if service.shows(&hash) { Some(service.clone()) } else { found })
    }

    /// The service called `id`.
    pub fn get(&self, id: &str) -> Option<Arc<Appservice>> {
        self.shared.current.load().iter().find(|registration| registration.id == id).cloned()
    }

    /// Checks that whoever asks may make or remove the user id `user`: the service `by`, or anybody else.
    ///
    /// # Errors
    ///
    /// `Exclusive` if it belongs to another service, or lies outside of the namespaces of `by`.
    pub fn check_user(&self, user: &UserId, by: Option<&Appservice>) -> Result<()> {
        let others = |other: &Arc<Appservice>| by.is_none_or(|by| by.id != other.id) && other.owns_user(user);
        let outside = by.is_some_and(|by| !by.has_user(user));
        match outside || self.shared.current.load().iter().any(others) {
            true => Err(exclusive(outside, "user id")),
            false => Ok(()),
        }
    }

    /// Checks that whoever asks may make or remove an alias, as [`Appservices::check_user`].
    ///
    /// # Errors
    ///
    /// `Exclusive` if it belongs to another service, or lies outside of the namespaces of `by`.
    pub fn check_alias(&self, alias: &RoomAliasId, by: Option<&Appservice>) -> Result<()> {
        let others = |other: &Arc<Appservice>| by.is_none_or(|by| by.id != other.id) && other.owns_alias(alias);
        let outside = by.is_some_and(|by| !by.has_alias(alias));
        match outside || self.shared.current.load().iter().any(others) {
            true => Err(exclusive(outside, "room alias")),
            false => Ok(()),
        }
    }
}

fn exclusive(outside: bool, what: &str) -> Error {
    Kind::Exclusive.with(match outside {
        true => format!("This {what} is outside of the namespaces of the application service."),
        false => format!("This {what} is reserved for an application service."),
    })
}

fn read_folder(folder: Option<&Path>, server_name: &ServerName) -> Result<Vec<Arc<Appservice>>> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let unreadable = |path: &Path, cause: &dyn std::fmt::Display| {
        Error::invalid(format!("appservices: {}: {cause}", path.display()))
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|cause| unreadable(folder, &cause))? {
        let path = entry.map_err(|cause| unreadable(folder, &cause))?.path();
        // Editors leave their own files with such names beside the one that is edited.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all: Vec<Arc<Appservice>> = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|cause| unreadable(&path, &cause))?;
        let read = Appservice::read(&text, server_name).map_err(|cause| unreadable(&path, &cause))?;
        if all.iter().any(|other| other.id == read.id) {
            return Err(unreadable(&path, &format!("another file has the id \"{}\" too", read.id)));
        }
        if all.iter().any(|other| other.shares_token_with(&read)) {
            return Err(unreadable(&path, &"another file has the same as_token"));
        }
        if all.iter().any(|other| other.sender == read.sender) {
            return Err(unreadable(&path, &"another file has the same sender_localpart"));
        }
        all.push(Arc::new(read));
    }
    Ok(all)
}
