//! Finding messages and people.
//!
//! Messages are found by a full-text index beside the database, which follows the log and can be made anew from it at any
//! time. It says where words stand; what the searcher may see of that, `rooms` decides. People are found by their names.

mod analysis;
mod changes;
mod following;
mod index;
mod matches;
mod messages;
mod names;
mod page_token;
mod people;
mod rooms_found;
mod texts;

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};
use tracing::warn;

pub use self::people::{People, PeopleFound, PeopleSettings, Person};
use self::{analysis::Analysis, index::Index};
use crate::{
    config,
    error::{Error, Kind, Result},
    rooms::Rooms,
    shutdown::Shutdown,
    storage::Store,
    streams::{Notifier, Position},
};

/// How long a search waits for the index to learn of what has just been said.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service of searches in messages: a cheap-clone handle.
#[derive(Clone)]
pub struct Search {
    /// `None` where the operator wants no search.
    searching: Option<Arc<Searching>>,
}

/// What searching takes.
struct Searching {
    store: Store,
    rooms: Rooms,
    notifier: Notifier,
    shutdown: Shutdown,
    index: Arc<Index>,
    analysis: Analysis,
    /// The position that somebody waits for.
    wanted: watch::Sender<Position>,
    /// The position up to which everything can be found.
    reached: watch::Sender<Position>,
}

impl Search {
    /// The search over all rooms, with its index in `folder`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used, or the operator named a language that is not known.
    pub fn new(
        settings: &config::Search,
        folder: &Path,
        store: Store,
        rooms: Rooms,
        notifier: Notifier,
        shutdown: Shutdown,
    ) -> Result<Self> {
        if !settings.enabled {
            return Ok(Self { searching: None });
        }
        let analysis = Analysis::new(&settings.languages)
            .ok_or_else(|| Error::invalid("search.languages names a language that the search does not know"))?;
        let (index, reached) = Index::open(folder, &settings.languages, store.position())?;
        let (wanted, reached) = (watch::Sender::new(Position::ZERO), watch::Sender::new(reached));
        let index = Arc::new(index);
        let searching = Searching { store, rooms, notifier, shutdown, index, analysis, wanted, reached };
        Ok(Self { searching: Some(Arc::new(searching)) })
    }

    fn searching(&self) -> Result<&Searching> {
        self.searching.as_deref().ok_or_else(|| Kind::Unrecognized.with("This server does not search in messages."))
    }
}

impl Searching {
    /// Waits until what had happened by `position` can be found, but not for ever: a new index takes its time.
    async fn reach(&self, position: Position) {
        let mut reached = self.reached.subscribe();
        self.wanted.send_if_modified(|wanted| {
            let later = position > *wanted;
            *wanted = position.max(*wanted);
            later
        });
        if timeout(PATIENCE, reached.wait_for(|reached| *reached >= position)).await.is_err() {
            warn!("a search does not find the newest messages, since the search index lags behind");
        }
    }
}
