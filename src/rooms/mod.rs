//! The heart: the timeline and the state of every room, and who may do and see what in it.
//!
//! Everything that happens in a room goes the same way: a `draft` becomes a signed event, `authorise` asks the
//! protocol's rules about it, and `append` writes it and tells the log. Reading asks `visibility`.

mod aliases;
mod append;
mod authorise;
mod company;
mod context;
mod create;
mod create_plan;
mod create_power_levels;
mod delayed;
mod departure;
mod directory;
mod directory_filter;
mod draft;
mod erasure;
mod guests;
mod hierarchy;
mod invite_permission;
mod jump_to_date;
mod keeping_up;
mod listing;
mod load;
mod member_event;
mod members;
mod membership;
mod messages;
mod mutual_rooms;
mod of_user;
mod pagination;
mod peek;
mod profile_propagation;
mod reading;
mod receipts;
mod redaction;
mod relations;
mod render;
mod reported;
mod restricted;
mod room;
mod send;
mod sent_membership;
mod server_notices;
mod space_children;
mod state;
mod state_at;
mod state_delta;
mod state_reading;
mod state_sending;
mod stretch;
mod stripped_state;
mod summary;
mod thread_subscriptions;
mod threads;
mod timeline;
mod typing;
mod unread;
mod upgrade;
mod upgrade_levels;
mod upgrade_plan;
mod upgrade_settings;
mod viewers;
mod visibility;

use std::sync::Arc;

use ruma::{OwnedServerName, RoomVersionId};

pub use self::{
    append::Writer,
    company::Company,
    context::{Context, Surroundings},
    delayed::{DelayAction, DelayRequest, DelayedStatus, LONGEST_DELAY, MAXIMUM_DELAYED},
    directory::{DirectoryBatch, DirectoryNetwork, DirectoryPage, DirectoryRequest},
    draft::Intent,
    erasure::Erasures,
    hierarchy::{HierarchyPage, HierarchyRequest},
    listing::children_of_spaces,
    members::MemberFilter,
    messages::{Messages, MessagesRequest},
    mutual_rooms::MutualRooms,
    pagination::PageToken,
    peek::{Heard, Peek},
    reading::{Reader, Reading},
    receipts::{Mark, ReceiptKind},
    relations::{Neighbours, Relations, RelationsRequest, ThreadPage, ThreadsRequest},
    render::{Recipient, Renderer},
    reported::RoomNames,
    room::Room,
    server_notices::{Notice, NoticeRequest, NoticeSettings},
    state::RoomState,
    stretch::Stretch,
    timeline::{Page, PageRequest, TimelineEvent},
    unread::{Counts, Missed, MissedRequest, News, Unread},
    visibility::{StateAccess, Viewer},
};
use self::{
    delayed::Alarm, load::LoadedRooms, relations::ThreadMemos, typing::Typing, unread::UnreadMemos,
    viewers::KnownChanges,
};
use crate::{
    clock::Clock,
    config::HistoryVisibility,
    matrix::signing::SigningKey,
    storage::Store,
    streams::{Ephemerals, Notifier},
    users::{AccountData, Accounts, Profiles, PushRules, RoomsBehind, Tags, Users},
};

/// The service of rooms: a cheap-clone handle.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
}

/// What all parts of the service share.
struct Shared {
    store: Store,
    clock: Clock,
    notifier: Notifier,
    accounts: Accounts,
    profiles: Profiles,
    rooms_behind: RoomsBehind,
    account_data: AccountData,
    tags: Tags,
    push_rules: PushRules,
    key: SigningKey,
    settings: Settings,
    loaded: LoadedRooms,
    known_changes: KnownChanges,
    typing: Typing,
    unread: UnreadMemos,
    thread_memos: ThreadMemos,
    alarm: Alarm,
}

/// What the operator decides about rooms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this server.
    pub server_name: OwnedServerName,
    /// The version of rooms whose creator asks for none.
    pub default_version: RoomVersionId,
    /// Who may read what was said before they joined, in rooms whose creator does not say.
    pub default_history_visibility: HistoryVisibility,
    /// In whose name the server itself speaks, and where.
    pub server_notices: NoticeSettings,
}

impl Rooms {
    /// The service over `store` for the people in `users`, signing events with `key`; what is only in memory gets its
    /// positions from `ephemerals`.
    pub fn new(
        store: Store,
        clock: Clock,
        notifier: Notifier,
        ephemerals: Ephemerals,
        users: &Users,
        key: SigningKey,
        settings: Settings,
    ) -> Self {
        let shared = Shared {
            store,
            clock,
            notifier,
            accounts: users.accounts.clone(),
            profiles: users.profiles.clone(),
            rooms_behind: users.rooms_behind.clone(),
            account_data: users.account_data.clone(),
            tags: users.tags.clone(),
            push_rules: users.push_rules.clone(),
            key,
            settings,
            loaded: LoadedRooms::default(),
            known_changes: KnownChanges::default(),
            typing: Typing::new(ephemerals),
            unread: UnreadMemos::default(),
            thread_memos: ThreadMemos::default(),
            alarm: Alarm::default(),
        };
        Self { shared: Arc::new(shared) }
    }
}

#[cfg(test)]
mod tests;
