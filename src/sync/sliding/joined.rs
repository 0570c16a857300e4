//! A room that the user is in, in a sliding sync.

use std::sync::Arc;

use ruma::{
    OwnedMxcUri, UInt, UserId,
    api::client::sync::sync_events::v5::response::Hero,
    events::{StateEventType, TimelineEventType, room::member::MembershipState},
};
use serde::Deserialize;

use super::{
    answer::RoomAnswer,
    look::{Look, Pick},
    required_state::{self, Wish},
    told::ToldRoom,
};
use crate::{
    error::Result,
    matrix::event::Event,
    rooms::{Counts, PageRequest, Room, RoomState, Viewer},
    storage::{Direction, KeyRange, Order, Position},
    sync::{
        Reading, StateStyle,
        joined::Known,
        state::{self, Scope},
        summary,
        timeline::{self, Section},
    },
};

/// The types of events that show that people are active in a room.
const BUMPING: [&str; 7] = [
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "m.beacon_info",
];

/// A room with the one who reads it, and what that one's client knows of it.
pub(super) struct Insight<'a> {
    pub room: &'a Room,
    pub viewer: &'a Viewer,
    pub known: Known,
}

/// What there is to tell of the room, if anything, and what the client knows then.
pub(super) async fn tell(
    look: &Look<'_>,
    pick: &Pick,
    insight: &Insight<'_>,
    before: Option<&ToldRoom>,
) -> Result<(ToldRoom, Option<RoomAnswer>)> {
    let Insight { room, viewer, known } = *insight;
    let before = before.filter(|_| known != Known::Nothing);
    let mut told = before.cloned().unwrap_or_else(|| ToldRoom::unknown(MembershipState::Join, pick.config.clone()));
    told.behind = None;
    let reading = reading(look, pick, known);
    let until = Order::Live(reading.until());
    let expanded = before.is_some_and(|before| pick.config.limit > before.depth);
    let timeline = match expanded {
        true => {
            let reading = Reading { since: None, ..reading.clone() };
            timeline::section(look.sync, &reading, room, viewer, Known::Nothing).await?
        }
        false => timeline::section(look.sync, &reading, room, viewer, known).await?,
    };
    let scope = Scope { room, viewer, known, whole: known == Known::Nothing, until };
    let delta = match known {
        Known::Nothing => Vec::new(),
        Known::Until(_) => state::delta(look.sync, &reading, &scope, &timeline).await?,
    };
    let wish = Wish { required: &pick.config.required, before: before.map(|before| &before.config.required) };
    let mut answer = RoomAnswer { initial: before.is_none(), ..RoomAnswer::default() };
    answer.required_state =
        required_state::section(look.sync, &reading, &scope, &timeline, (wish, &delta), &mut told.members).await?;
    let told_before = before.map_or(0, |before| before.depth);
    describe(look, pick, insight, &delta, &mut answer).await?;
    answer.bump_stamp = bump_stamp(look, insight, &timeline).await?;
    let counts = look.sync.rooms.unread(&reading.snapshot, room, viewer).await?.total();
    let is_dm = look.direct.contains(&room.id);
    let news = answer.initial
        || !timeline.events.is_empty()
        || !answer.required_state.is_empty()
        || answer.describes()
        || counts != told.unread
        || is_dm != told.is_dm;
    told.depth = match pick.config.limit {
        0 => 0,
        limit => depth(told_before, &timeline, expanded || known == Known::Nothing).max(limit),
    };
    (answer.notification_count, answer.highlight_count) = numbers(counts);
    answer.is_dm = (is_dm != told.is_dm).then_some(is_dm);
    answer.membership = before.is_none().then_some(MembershipState::Join);
    (told.unread, told.is_dm, told.config) = (counts, is_dm, pick.config.clone());
    take_timeline(look, timeline, expanded, &mut answer);
    Ok((told, news.then_some(answer)))
}

/// Puts the timeline into the answer.
pub(super) fn take_timeline(look: &Look<'_>, timeline: Section, expanded: bool, answer: &mut RoomAnswer) {
    let Section { timeline, events } = timeline;
    let live = look
        .told
        .token
        .map_or(0, |token| events.iter().filter(|event| event.order > Order::Live(token.position)).count());
    answer.num_live = Some(UInt::new_saturating(live as u64));
    answer.expanded_timeline = expanded && events.len() > live;
    answer.timeline = timeline.events;
    answer.prev_batch = timeline.prev_batch;
    // Clients that do not know of expanded timelines look for what they have already only where there may be a gap.
    answer.limited = timeline.limited || answer.expanded_timeline;
}

/// The moment of the look for a client that stands where it does, or at a start.
pub(super) fn reading_as_known(look: &Look<'_>, known: Known) -> Reading {
    let since = look.reading.since.filter(|_| known != Known::Nothing);
    Reading { since, ..look.reading.clone() }
}

/// The reading of one room, from where the client knows it.
pub(super) fn reading(look: &Look<'_>, pick: &Pick, known: Known) -> Reading {
    let mut reading = look.reading.clone();
    reading.filter.room.timeline.limit = Some(UInt::new_saturating(pick.config.limit as u64));
    reading.state_style = StateStyle::After;
    reading.since = match (known, look.reading.since) {
        (Known::Until(position), Some(since)) => Some(since.moved_to(position)),
        _ => None,
    };
    reading
}

/// How many of the newest events the client knows without a gap.
fn depth(before: usize, timeline: &Section, starts_anew: bool) -> usize {
    let count = timeline.events.len();
    match (starts_anew, timeline.timeline.limited) {
        (true, false) => usize::MAX,
        (_, true) => count,
        (false, false) => before.saturating_add(count),
    }
}

impl RoomAnswer {
    /// Whether it says something of what the room looks like from outside.
    fn describes(&self) -> bool {
        self.name.is_some() || self.avatar.is_some() || self.heroes.is_some() || self.joined_count.is_some()
    }
}

/// Says what the room looks like, as far as that is news: all of it, or what is in `delta`.
async fn describe(
    look: &Look<'_>,
    pick: &Pick,
    insight: &Insight<'_>,
    delta: &[Arc<Event>],
    answer: &mut RoomAnswer,
) -> Result<()> {
    let changed = |kind: TimelineEventType| answer.initial || delta.iter().any(|event| event.kind == kind);
    let (named, pictured) = (changed(TimelineEventType::RoomName), changed(TimelineEventType::RoomAvatar));
    let peopled = changed(TimelineEventType::RoomMember);
    answer.lists.clone_from(&pick.lists);
    if !(named || pictured || peopled) {
        return Ok(());
    }
    let state = look.sync.rooms.state_at(insight.room, Order::Live(look.reading.until())).await?;
    let name = name(&state);
    if (named || peopled) && name.is_none() {
        answer.heroes = Some(heroes(&state, insight.viewer.user()));
    }
    if named {
        answer.name = Some(name).filter(|name| name.is_some() || !answer.initial);
    }
    if pictured {
        answer.avatar = Some(avatar(&state)).filter(|avatar| avatar.is_some() || !answer.initial);
    }
    if peopled {
        answer.joined_count = Some(UInt::new_saturating(state.joined.len() as u64));
        answer.invited_count = Some(UInt::new_saturating(state.invited.len() as u64));
    }
    Ok(())
}

/// The name that the room was given.
fn name(state: &RoomState) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        name: String,
    }
    let content = state.content::<Content>(&StateEventType::RoomName, "")?;
    Some(content.name).filter(|name| !name.is_empty())
}

/// The picture that the room was given.
fn avatar(state: &RoomState) -> Option<OwnedMxcUri> {
    #[derive(Deserialize)]
    struct Content {
        url: OwnedMxcUri,
    }
    let content = state.content::<Content>(&StateEventType::RoomAvatar, "")?;
    Some(content.url).filter(|url| !url.as_str().is_empty())
}

fn heroes(state: &RoomState, reader: &UserId) -> Vec<Hero> {
    #[derive(Deserialize)]
    struct Content {
        displayname: Option<String>,
        avatar_url: Option<OwnedMxcUri>,
    }
    let hero = |user: ruma::OwnedUserId| {
        let content = state.member(&user).and_then(|event| event.content_as::<Content>().ok());
        let mut hero = Hero::new(user);
        (hero.name, hero.avatar) = content.map(|it| (it.displayname, it.avatar_url)).unwrap_or_default();
        hero
    };
    summary::heroes(state, reader).into_iter().map(hero).collect()
}

/// When people were active in the room last: in what is news, or at all if the room is; since the user came, if never.
async fn bump_stamp(look: &Look<'_>, insight: &Insight<'_>, timeline: &Section) -> Result<Option<UInt>> {
    let Insight { room, viewer, known } = *insight;
    let bumps = |event: &Event| BUMPING.iter().any(|kind| event.kind == TimelineEventType::from(*kind));
    let stamp = |order: Order| match order {
        Order::Live(position) => position_stamp(position),
        Order::Backfilled(_) => UInt::MIN,
    };
    let newest = timeline.events.iter().rev().find(|event| bumps(&event.event)).map(|event| event.order);
    if newest.is_some() || !timeline.timeline.limited {
        let newest = newest.or(viewer.joined_at().filter(|_| known == Known::Nothing));
        return Ok(newest.map(stamp));
    }
    let range = match known {
        Known::Nothing => KeyRange::prefix((&room.id,)),
        Known::Until(since) => KeyRange::prefix_after((&room.id,), Order::Live(since)),
    };
    let range = range.and(KeyRange::prefix_until((&room.id,), Order::Live(look.reading.until())));
    let request = PageRequest { room, range, direction: Direction::Reverse, limit: 1 };
    let page = look.sync.rooms.page(&look.reading.snapshot, request, viewer, bumps).await?;
    let newest = page.events.first().map(|event| event.order);
    Ok(newest.or(viewer.joined_at().filter(|_| known == Known::Nothing)).map(stamp))
}

/// A position as a client compares it.
pub(super) fn position_stamp(position: Position) -> UInt {
    UInt::new_saturating(position.get())
}

fn numbers(counts: Counts) -> (Option<UInt>, Option<UInt>) {
    (Some(UInt::new_saturating(counts.notifications)), Some(UInt::new_saturating(counts.highlights)))
}
