//! What an application service is told next: what concerns it of what the log holds, and of what is only in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{
    OneTimeKeyAlgorithm, OwnedDeviceId, OwnedRoomId, OwnedUserId, UInt,
    events::{AnyTimelineEvent, room::member::MembershipState},
    serde::Raw,
};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{Bridges, interest::Place, worker::Course};
use crate::{
    appservices::Appservice,
    error::{Error, Result},
    matrix::client_event::{self, Unsigned},
    rooms::{Room, TimelineEvent},
    storage::{Order, Position, Snapshot},
    streams::{Change, Log},
};

/// How many rows of the log are read at a time.
const ROWS: usize = 512;
/// The most events in one transaction.
const EVENTS: usize = 100;
/// The most messages to devices in one transaction.
const MESSAGES: usize = 100;
/// The most people in one transaction whose presence changed.
const PEOPLE: usize = 500;
/// How large the events and messages of one transaction are, in bytes, when nothing more is added: what many bridges take at
/// most is a megabyte, and the last one may be large.
const BYTES: usize = 512 << 10;

/// What was found.
pub(super) struct Gathered {
    /// The body of a transaction, if there is anything to tell.
    pub body: Option<String>,
    /// Up to where the log was read.
    pub done: Position,
    /// Up to where typing and presence were read.
    pub ephemeral: u64,
    /// The messages to devices in it.
    pub inbox: Vec<(Position, OwnedUserId, OwnedDeviceId)>,
    /// Whether there may be more to find already.
    pub more: bool,
}

/// What a transaction says.
#[derive(Default)]
struct Told {
    /// How large the events and messages are together.
    bytes: usize,
    events: Vec<Raw<AnyTimelineEvent>>,
    ephemeral: Vec<Value>,
    to_device: Vec<Value>,
    changed: BTreeSet<OwnedUserId>,
    left: BTreeSet<OwnedUserId>,
    /// The service's users who have something to do with it, whose keys may have to be replenished.
    concerned: BTreeSet<OwnedUserId>,
}

type Stocks<T> = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, T>>;

impl Bridges {
    /// Reads on from where the service is.
    pub(super) async fn gather(&self, service: &Appservice, course: &mut Course) -> Result<Gathered> {
        // Before the snapshot, so that what is told of is never newer than what the position says.
        let mut ephemeral = self.shared.ephemerals.current().count;
        let snapshot = self.shared.store.snapshot();
        let (mut told, mut done) = (Told::default(), course.progress.done);
        let rows = Log::since(&snapshot, done, ROWS).await?;
        let mut more = rows.len() == ROWS;
        for (position, change) in rows {
            if told.events.len() >= EVENTS || told.bytes >= BYTES {
                more = true;
                break;
            }
            self.take_in(&snapshot, service, course, &mut told, (position, change)).await?;
            done = position;
        }
        let mut inbox = Vec::new();
        if service.wishes.ephemeral {
            if let Some(passed) = self.take_in_ephemerals(&snapshot, service, course, &mut told, done).await? {
                (ephemeral, more) = (passed, true);
            }
            let messages = self.shared.sources.to_device.for_appservice(&snapshot, &service.id, MESSAGES).await?;
            more |= messages.len() == MESSAGES;
            for message in messages {
                if told.bytes >= BYTES {
                    more = true;
                    break;
                }
                let (_, user, device) = &message.key;
                if let Some(event) = &message.event {
                    // It stands there under two names.
                    told.bytes += 2 * event.get().len();
                    told.to_device.push(addressed(event, user, device)?);
                    told.concerned.insert(user.clone());
                }
                inbox.push(message.key);
            }
        }
        // Where nothing is left of the messages, that they need not be told is kept all the same.
        let body = match told.is_empty() && inbox.is_empty() {
            true => None,
            false => Some(self.body(&snapshot, service, told).await?),
        };
        Ok(Gathered { body, done, ephemeral, inbox, more })
    }

    /// Takes in one row of the log, if it concerns the service.
    async fn take_in(
        &self,
        snapshot: &Snapshot,
        service: &Appservice,
        course: &mut Course,
        told: &mut Told,
        (position, change): (Position, Change),
    ) -> Result<()> {
        let rooms = &self.shared.sources.rooms;
        match change {
            Change::Event { room, member } => {
                self.take_in_event(snapshot, service, course, told, (position, room, member)).await?;
            }
            Change::Receipt { room: room_id, user, private } if service.wishes.ephemeral => {
                let room = rooms.room(&room_id).await?;
                let place = Place { position, member: None };
                let concerns = match private {
                    true => service.has_user(&user),
                    false => course.interest.in_room(rooms, snapshot, service, &room, place).await?,
                };
                if concerns && let Some(content) = rooms.receipt_at(snapshot, &room_id, position).await? {
                    told.ephemeral.push(json!({"type": "m.receipt", "room_id": room_id, "content": content}));
                }
            }
            Change::DeviceList { user } if service.wishes.encryption => {
                if service.has_user(&user) {
                    told.concerned.insert(user.clone());
                    told.changed.insert(user);
                } else if self.shares_a_room(snapshot, service, course, &user, position).await? {
                    told.changed.insert(user);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn take_in_event(
        &self,
        snapshot: &Snapshot,
        service: &Appservice,
        course: &mut Course,
        told: &mut Told,
        (position, room_id, member): (Position, OwnedRoomId, Option<OwnedUserId>),
    ) -> Result<()> {
        let rooms = &self.shared.sources.rooms;
        let room = rooms.room(&room_id).await?;
        let place = Place { position, member: member.as_deref() };
        let in_room = course.interest.in_room(rooms, snapshot, service, &room, place).await?;
        let event = rooms.events_at(snapshot, &room, &[Order::Live(position)]).await?.pop();
        let Some(event) = event else { return Ok(()) };
        let own = |user: &ruma::UserId| service.has_user(user);
        if !in_room && !own(&event.event.sender) && !member.as_deref().is_some_and(own) {
            return Ok(());
        }
        told.concerned.extend([&event.event.sender].into_iter().chain(&member).filter(|user| own(user)).cloned());
        let event = self.render(&room, &event, service).await?;
        told.bytes += event.json().get().len();
        told.events.push(event);
        if let Some(member) = member.filter(|_| service.wishes.encryption) {
            self.take_in_company(snapshot, service, course, told, (position, &room, member)).await?;
        }
        Ok(())
    }

    /// With whom the service's users share rooms, as far as the change of a membership changes that (MSC3202).
    async fn take_in_company(
        &self,
        snapshot: &Snapshot,
        service: &Appservice,
        course: &mut Course,
        told: &mut Told,
        (position, room, member): (Position, &Arc<Room>, OwnedUserId),
    ) -> Result<()> {
        let rooms = &self.shared.sources.rooms;
        let state = rooms.state_at(room, Order::Live(position)).await?;
        let own = service.has_user(&member);
        let strangers = || state.joined.iter().filter(|user| !service.has_user(user)).cloned();
        match (state.is_joined(&member), own) {
            // Whoever is there already has devices that the newcomer does not know.
            (true, true) => told.changed.extend(strangers()),
            (true, false) => drop(told.changed.insert(member)),
            (false, false) => {
                if !self.shares_a_room(snapshot, service, course, &member, position).await? {
                    told.left.insert(member);
                }
            }
            (false, true) => {
                let place = Place { position, member: None };
                if course.interest.in_room(rooms, snapshot, service, room, place).await? {
                    return Ok(());
                }
                for user in strangers() {
                    if !self.shares_a_room(snapshot, service, course, &user, position).await? {
                        told.left.insert(user);
                    }
                }
            }
        }
        Ok(())
    }

    /// Who types and who is online, as far as that changed where the service hears of it. Where too many changed at once it
    /// gives the count up to which that goes; who types may then be told twice.
    async fn take_in_ephemerals(
        &self,
        snapshot: &Snapshot,
        service: &Appservice,
        course: &mut Course,
        told: &mut Told,
        position: Position,
    ) -> Result<Option<u64>> {
        let (rooms, since) = (&self.shared.sources.rooms, course.ephemeral);
        for room_id in rooms.rooms_with_typing_since(since) {
            let Some(typists) = rooms.typing_since(&room_id, since) else { continue };
            let room = rooms.room(&room_id).await?;
            let place = Place { position, member: None };
            if course.interest.in_room(rooms, snapshot, service, &room, place).await? {
                let content = json!({"user_ids": typists});
                told.ephemeral.push(json!({"type": "m.typing", "room_id": room_id, "content": content}));
            }
        }
        let (changes, passed) = self.shared.sources.presence.all_changes(since, PEOPLE);
        for event in changes {
            if service.has_user(&event.sender)
                || self.shares_a_room(snapshot, service, course, &event.sender, position).await?
            {
                told.ephemeral.push(serde_json::to_value(&event).map_err(Error::internal)?);
            }
        }
        Ok(passed)
    }

    /// Whether somebody is in a room that the service hears of.
    async fn shares_a_room(
        &self,
        snapshot: &Snapshot,
        service: &Appservice,
        course: &mut Course,
        user: &ruma::UserId,
        position: Position,
    ) -> Result<bool> {
        let rooms = &self.shared.sources.rooms;
        for room_id in rooms.joined(snapshot, user).await? {
            let room = rooms.room(&room_id).await?;
            let place = Place { position, member: None };
            if course.interest.in_room(rooms, snapshot, service, &room, place).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An event as services get it: whole, since they act for people who may read it. Where one of their users is invited or
    /// knocks they are told what the user is: what the room looks like from outside.
    async fn render(
        &self,
        room: &Arc<Room>,
        event: &TimelineEvent,
        service: &Appservice,
    ) -> Result<Raw<AnyTimelineEvent>> {
        let rooms = &self.shared.sources.rooms;
        let membership =
            event.event.membership().filter(|_| event.event.target().is_some_and(|user| service.has_user(user)));
        let outside = match membership {
            Some(MembershipState::Invite | MembershipState::Knock) => {
                let state = rooms.state_at(room, event.order).await?;
                state.telling(&event.event).map(client_event::stripped_state).collect()
            }
            _ => Vec::new(),
        };
        let (invite_room_state, knock_room_state) = match membership {
            Some(MembershipState::Invite) => (&outside[..], &[][..]),
            _ => (&[][..], &outside[..]),
        };
        let replaced = event.header.replaces.as_ref();
        let unsigned = Unsigned {
            prev_content: replaced.and_then(|replaced| serde_json::from_str(&replaced.content).ok()),
            replaces_state: replaced.map(|replaced| &*replaced.event_id),
            invite_room_state,
            knock_room_state,
            ..Unsigned::at(self.shared.clock.now(), &event.event)
        };
        Ok(client_event::timeline(&event.event, &unsigned))
    }

    /// The body of a transaction.
    async fn body(&self, snapshot: &Snapshot, service: &Appservice, told: Told) -> Result<String> {
        let mut body = Map::new();
        body.insert("events".to_owned(), value(&told.events)?);
        if service.wishes.ephemeral {
            let ephemeral = value(&told.ephemeral)?;
            if service.wishes.old_names {
                body.insert("de.sorunome.msc2409.ephemeral".to_owned(), ephemeral.clone());
            }
            body.insert("ephemeral".to_owned(), ephemeral);
            if !told.to_device.is_empty() {
                let to_device = value(&told.to_device)?;
                body.insert("de.sorunome.msc2409.to_device".to_owned(), to_device.clone());
                body.insert("to_device".to_owned(), to_device);
            }
        }
        if service.wishes.encryption {
            let lists = json!({"changed": told.changed, "left": told.left});
            body.insert("org.matrix.msc3202.device_lists".to_owned(), lists);
            let (counts, fallback) = self.stocks(snapshot, told.concerned).await?;
            let counts = value(&counts)?;
            body.insert("org.matrix.msc3202.device_one_time_keys_count".to_owned(), counts.clone());
            // The name that older bridges read.
            body.insert("org.matrix.msc3202.device_one_time_key_counts".to_owned(), counts);
            body.insert("org.matrix.msc3202.device_unused_fallback_key_types".to_owned(), value(&fallback)?);
        }
        serde_json::to_string(&body).map_err(Error::internal)
    }

    /// How many keys the devices of these users have left.
    async fn stocks(
        &self,
        snapshot: &Snapshot,
        users: BTreeSet<OwnedUserId>,
    ) -> Result<(Stocks<BTreeMap<OneTimeKeyAlgorithm, UInt>>, Stocks<Vec<OneTimeKeyAlgorithm>>)> {
        let (mut counts, mut fallback) = (Stocks::new(), Stocks::new());
        for user in users {
            for (device, _) in self.shared.sources.sessions.device_names(snapshot, &user).await? {
                let stock = self.shared.sources.keys.stock(snapshot, &user, &device).await?;
                let (of_user, device) = (user.clone(), device.clone());
                let keys = stock.one_time_key_counts.clone();
                counts.entry(of_user.clone()).or_insert_with(BTreeMap::new).insert(device.clone(), keys);
                let unused = stock.unused_fallback_key_types.clone();
                fallback.entry(of_user).or_insert_with(BTreeMap::new).insert(device, unused);
            }
        }
        Ok((counts, fallback))
    }
}

impl Told {
    fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.ephemeral.is_empty()
            && self.to_device.is_empty()
            && self.changed.is_empty()
            && self.left.is_empty()
    }
}

/// A message with the device that it is for (MSC4203).
fn addressed(event: &RawValue, user: &OwnedUserId, device: &OwnedDeviceId) -> Result<Value> {
    let mut event: Map<String, Value> = serde_json::from_str(event.get()).map_err(Error::internal)?;
    event.insert("to_user_id".to_owned(), user.as_str().into());
    event.insert("to_device_id".to_owned(), device.as_str().into());
    Ok(event.into())
}

/// A value as JSON.
fn value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}
