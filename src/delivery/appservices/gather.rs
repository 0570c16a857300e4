//! What an application service is told next: what concerns it of what the log holds, and of what is only in memory.

use std::{collections::BTreeSet, mem, sync::Arc};

use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};
use serde_json::json;

use super::{
    Bridges,
    interest::Place,
    transaction::{Told, addressed},
    worker::Course,
};
use crate::{
    appservices::Appservice,
    error::{Error, Result},
    rooms::Room,
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
    /// The rooms of which it says who types, and whether anybody does.
    pub typing: Vec<(OwnedRoomId, bool)>,
    /// Whether there may be more to find already.
    pub more: bool,
}

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
        let typing = mem::take(&mut told.typing);
        // Where nothing is left of the messages, that they need not be told is kept all the same.
        let body = match told.is_empty() && inbox.is_empty() {
            true => None,
            false => Some(self.body(&snapshot, service, told).await?),
        };
        Ok(Gathered { body, done, ephemeral, inbox, typing, more })
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
        let mut typing: BTreeSet<_> = rooms.rooms_with_typing_since(since).into_iter().collect();
        typing.extend(course.typing_before.iter().cloned());
        for room_id in typing {
            // Nobody has typed since the start where there was typing before it.
            let typists = rooms.typing_since(&room_id, since).unwrap_or_default();
            let room = rooms.room(&room_id).await?;
            let place = Place { position, member: None };
            if course.interest.in_room(rooms, snapshot, service, &room, place).await? {
                told.typing.push((room_id.clone(), !typists.is_empty()));
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
}
