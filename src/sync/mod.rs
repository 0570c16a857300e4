//! What changed for one device since a position: `/sync`
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#syncing)).
//!
//! A sync registers with the notifier, reads one snapshot, and waits if there is nothing to tell. Each section of the answer
//! has a small file of its own.

mod account_data;
mod changed;
mod device_lists;
mod ephemeral;
mod initial;
mod invited;
mod joined;
mod key_stock;
mod lazy_members;
mod left;
mod presence;
mod rooms;
mod sliding;
mod state;
mod summary;
mod timeline;
mod to_device;
mod token;
mod unread;

use std::{sync::Arc, time::Duration};

use ruma::{
    OwnedDeviceId, OwnedUserId,
    api::client::{
        filter::FilterDefinition,
        sync::sync_events::{
            DeviceLists,
            v3::{GlobalAccountData, Presence as PresenceSection, Rooms as RoomSections},
        },
    },
    events::AnyToDeviceEvent,
    serde::Raw,
};
use tokio::time::{Instant, timeout_at};

use self::{
    changed::Changed,
    lazy_members::LazyMembers,
    rooms::Sections,
    sliding::{Connections, Overviews},
};
pub use self::{
    initial::InitialAnswer,
    sliding::{SlidingAnswer, SlidingBody, SlidingRequest},
    token::SyncToken,
};
use crate::{
    encryption::{Keys, Stock, ToDevice},
    error::Result,
    matrix::relation_filter::RelationFilter,
    presence::{Availability, Presence},
    rooms::Rooms,
    shutdown::Shutdown,
    storage::{Snapshot, Store},
    streams::{Ephemerals, Notifier, Position},
    users::{AccountData, ThreadSubscriptions},
};

/// The longest that a sync waits for news.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The service of syncs: a cheap-clone handle.
#[derive(Clone)]
pub struct Sync {
    store: Store,
    notifier: Notifier,
    ephemerals: Ephemerals,
    shutdown: Shutdown,
    rooms: Rooms,
    account_data: AccountData,
    presence: Presence,
    to_device: ToDevice,
    keys: Keys,
    thread_subscriptions: ThreadSubscriptions,
    lazy_members: LazyMembers,
    connections: Connections,
    overviews: Overviews,
}

/// What a device asks for.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The user.
    pub user: OwnedUserId,
    /// The user's device.
    pub device: OwnedDeviceId,
    /// Where the device stands; nothing for a first sync.
    pub since: Option<SyncToken>,
    /// What it wants to hear of.
    pub filter: FilterDefinition,
    /// How the events that it wants to hear of must be related.
    pub relations: RelationFilter,
    /// Whether it wants the whole state of its rooms and not only what changed.
    pub extent: StateExtent,
    /// At which end of the timeline the state shall hold.
    pub state_style: StateStyle,
    /// How its user wants to appear to others meanwhile.
    pub appearance: Availability,
    /// How long it is willing to wait for news.
    pub timeout: Duration,
}

/// How much of a room's state an answer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateExtent {
    /// What changed since the last answer.
    Changes,
    /// All of it, without waiting for news (`full_state`).
    Full,
}

/// At which end of the timeline the state of an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateStyle {
    /// At the start: `state`.
    Before,
    /// At the end: `state_after`.
    After,
}

/// The answer to a sync.
#[derive(Debug)]
pub struct SyncAnswer {
    /// Where the device stands now.
    pub next: SyncToken,
    /// Rooms by membership.
    pub rooms: RoomSections,
    /// The presence of people who share a room with the user.
    pub presence: PresenceSection,
    /// Global account data.
    pub account_data: GlobalAccountData,
    /// What others have sent to the device.
    pub to_device: Vec<Raw<AnyToDeviceEvent>>,
    /// Whose devices have to be asked for again, and whose need not be known any more.
    pub device_lists: DeviceLists,
    /// What the device has left of its one-time and fallback keys.
    pub key_stock: Arc<Stock>,
    /// Whether that changed since the device was told.
    key_stock_is_news: bool,
}

/// One look at the data, for one device.
#[derive(Clone)]
struct Reading {
    user: OwnedUserId,
    device: OwnedDeviceId,
    snapshot: Snapshot,
    since: Option<SyncToken>,
    filter: FilterDefinition,
    relations: RelationFilter,
    extent: StateExtent,
    state_style: StateStyle,
}

/// The services that a sync reads from.
pub struct Sources {
    /// Rooms.
    pub rooms: Rooms,
    /// Account data.
    pub account_data: AccountData,
    /// Who is online.
    pub presence: Presence,
    /// What devices send to each other.
    pub to_device: ToDevice,
    /// The keys of devices.
    pub keys: Keys,
    /// Which threads people want to hear of.
    pub thread_subscriptions: ThreadSubscriptions,
}

impl Sync {
    /// Syncs over `store`, woken by `notifier` and ended early by `shutdown`.
    pub fn new(store: Store, notifier: Notifier, ephemerals: Ephemerals, shutdown: Shutdown, sources: Sources) -> Self {
        let Sources { rooms, account_data, presence, to_device, keys, thread_subscriptions } = sources;
        Self {
            store,
            notifier,
            ephemerals,
            shutdown,
            rooms,
            account_data,
            presence,
            to_device,
            keys,
            thread_subscriptions,
            lazy_members: LazyMembers::default(),
            connections: Connections::default(),
            overviews: Overviews::default(),
        }
    }

    /// Answers as soon as there is something to tell, or when the device is not willing to wait any longer.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn sync(&self, request: SyncRequest) -> Result<SyncAnswer> {
        let deadline = Instant::now() + request.timeout.min(LONGEST_WAIT);
        let waits = request.since.is_some() && request.extent == StateExtent::Changes;
        // Registered before the first look, so that no change falls between the look and the wait.
        let watch = self.notifier.watch(&request.user);
        let _syncing = self.presence.sync_begins(&request.user, &request.device, request.appearance).await?;
        to_device::acknowledge(self, &request).await?;
        loop {
            let answer = self.look(&request).await?;
            // A timer would take a millisecond to find out that it is over already.
            let is_over = !waits || self.shutdown.has_begun() || Instant::now() >= deadline;
            if is_over || !answer.is_empty() {
                return Ok(answer);
            }
            tokio::select! {
                woken = timeout_at(deadline, watch.changed()) => if woken.is_err() { return Ok(answer) },
                () = self.shutdown.begun() => return Ok(answer),
            }
        }
    }

    /// Everything that there is to tell at this moment.
    async fn look(&self, request: &SyncRequest) -> Result<SyncAnswer> {
        // The ephemeral position first: what comes between the two is told again, and not lost.
        let ephemeral = self.ephemerals.current();
        let reading = Reading {
            user: request.user.clone(),
            device: request.device.clone(),
            snapshot: self.store.snapshot(),
            since: request.since,
            filter: request.filter.clone(),
            relations: request.relations.clone(),
            extent: request.extent,
            state_style: request.state_style,
        };
        let changed = self.changed(&reading).await?;
        let mut account_data = GlobalAccountData::new();
        account_data.events = account_data::global(self, &reading, changed.as_ref()).await?;
        let Sections { rooms, met } = rooms::sections(self, &reading, changed.as_ref()).await?;
        let presence = presence::section(self, &reading, &met).await?;
        let to_device = to_device::section(self, &reading).await?;
        let device_lists = device_lists::section(self, &reading, changed.as_ref()).await?;
        let key_stock = key_stock::section(self, &reading).await?;
        let key_stock_is_news = key_stock::is_news(&reading, &key_stock);
        let next = SyncToken { position: reading.snapshot.position(), ephemeral, to_device: to_device.until };
        let to_device = to_device.events;
        Ok(SyncAnswer { next, rooms, presence, account_data, to_device, device_lists, key_stock, key_stock_is_news })
    }
}

impl Sync {
    /// What changed since the device was told; nothing for one that starts.
    async fn changed(&self, reading: &Reading) -> Result<Option<Changed>> {
        let Some(since) = reading.since else { return Ok(None) };
        let mut changed = Changed::since(&self.rooms, &reading.snapshot, &reading.user, since.position).await?;
        let typing = self.rooms.rooms_with_typing_since(self.ephemerals.since(since.ephemeral));
        changed.note_rooms(&self.rooms, &reading.snapshot, &reading.user, typing).await?;
        Ok(Some(changed))
    }
}

impl SyncAnswer {
    /// Whether there is nothing in it that a device would want to know.
    fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && self.presence.is_empty()
            && self.account_data.is_empty()
            && self.to_device.is_empty()
            && self.device_lists.is_empty()
            && !self.key_stock_is_news
    }
}

impl Reading {
    /// The position up to which this look reaches.
    fn until(&self) -> Position {
        self.snapshot.position()
    }

    /// The position at which the device stands.
    fn since_position(&self) -> Option<Position> {
        self.since.map(|since| since.position)
    }
}
