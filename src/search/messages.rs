//! Finds messages, names and topics that the searcher may see
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#server-side-search)).

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::discriminant,
    sync::Arc,
};

use futures_util::future::try_join_all;
use ruma::{
    OwnedRoomId, OwnedUserId, UInt, UserId,
    api::client::{
        filter::{RoomEventFilter, UrlFilter},
        search::search_events::v3::{
            Criteria, EventContextResult, GroupingKey, OrderBy, ResultGroup, ResultGroupMap, ResultRoomEvents,
            SearchKeys, SearchResult, UserProfile,
        },
    },
    events::{StateEventType, room::member::RoomMemberEventContent},
};
use tokio::task::spawn_blocking;

use super::{
    Search, Searching,
    analysis::Sought,
    index::{From, Hit, Key, Wanted},
    matches::Scopes,
    page_token::{Group, PageToken},
    texts::content,
};
use crate::{
    error::{Error, Kind, Result},
    matrix::{event::Event, event_filter},
    rooms::{Reader, Reading, TimelineEvent, Viewer},
    storage::{Order, Snapshot},
};

/// The longest text that is searched for, in bytes, and how many of its terms count.
const LONGEST: usize = 1_000;
const TERMS: usize = 32;

/// How many results come without and at most with a wish.
const USUAL: usize = 10;
const MOST: usize = 100;

/// How many neighbours of a result are given at most on each side.
const NEIGHBOURS: u64 = 50;

/// Of how many rooms it is read at once what the searcher may see.
const AT_ONCE: usize = 64;

/// How often the index is asked for more when what it found is filtered out.
const ROUNDS: usize = 20;

/// An event that was found.
struct Match {
    event: TimelineEvent,
    /// The text by which it was found.
    text: String,
    rank: u32,
    /// Where the search goes on after it.
    beyond: From,
}

/// Results, and where to go on.
struct PageOfResults {
    results: Vec<Match>,
    count: usize,
    next: Option<From>,
}

impl Search {
    /// What matches `criteria` of what the reader may see.
    ///
    /// # Errors
    ///
    /// [`Kind::Unrecognized`] where the server does not search; [`Kind::InvalidParam`] if a key, an order or `next_batch` is
    /// not known, or the text is too long.
    pub async fn messages(
        &self,
        reader: Reader<'_>,
        criteria: &Criteria,
        next_batch: Option<&str>,
    ) -> Result<ResultRoomEvents> {
        let searching = self.searching()?;
        let mut wanted = searching.wanted(criteria)?;
        let (from, group) = start(criteria, next_batch)?;
        let mut answer = ResultRoomEvents::new();
        answer.count = Some(UInt::MIN);
        if let Group::Sender(sender) = &group {
            let others = wanted.senders.as_ref().is_some_and(|senders| !senders.contains(sender));
            wanted.senders = Some(if others { Vec::new() } else { vec![sender.clone()] });
        }
        if wanted.terms.is_empty() || wanted.keys.is_empty() {
            return Ok(answer);
        }
        searching.reach(searching.store.snapshot().position()).await;
        let terms = wanted.terms.clone();
        let page = searching.page(reader.user, criteria, wanted, (from, &group)).await?;
        answer.count = UInt::try_from(page.count).ok();
        answer.next_batch = page.next.map(|from| PageToken { from, group }.to_string());
        searching.fill(&mut answer, reader, criteria, page.results, &terms).await?;
        Ok(answer)
    }
}

impl Searching {
    /// What the index is asked.
    fn wanted(&self, criteria: &Criteria) -> Result<Wanted> {
        if criteria.search_term.len() > LONGEST {
            return Err(Error::invalid("search_term is longer than 1,000 bytes."));
        }
        let mut terms = self.analysis.clone().wanted(&criteria.search_term);
        terms.truncate(TERMS);
        for sought in &mut terms {
            if let Sought::Phrase(words) = sought {
                words.truncate(TERMS);
            }
        }
        let key = |key: &SearchKeys| match key {
            SearchKeys::ContentBody => Ok(vec![Key::Body, Key::File]),
            SearchKeys::ContentName => Ok(vec![Key::Name]),
            SearchKeys::ContentTopic => Ok(vec![Key::Topic]),
            _ => Err(Error::invalid("Keys to search in are content.body, content.name and content.topic.")),
        };
        let keys = match &criteria.keys {
            Some(keys) => keys.iter().map(key).collect::<Result<Vec<_>>>()?,
            None => vec![vec![Key::Body, Key::File, Key::Name, Key::Topic]],
        };
        let keys = keys.into_iter().flatten().filter(|key| may_have(&criteria.filter, *key)).collect();
        let (senders, not_senders) = (criteria.filter.senders.clone(), criteria.filter.not_senders.clone());
        Ok(Wanted { terms, keys, senders, not_senders, ignored: Vec::new() })
    }

    async fn page(
        &self,
        user: &UserId,
        criteria: &Criteria,
        mut wanted: Wanted,
        (mut from, group): (From, &Group),
    ) -> Result<PageOfResults> {
        let snapshot = self.store.snapshot();
        let ignored = self.rooms.ignored_by(&snapshot, user).await?;
        wanted.ignored.extend(ignored.iter().cloned());
        let rooms = self.rooms_of(&snapshot, user, criteria, group).await?;
        let viewers = self.viewers(&snapshot, user, rooms, &wanted, Arc::new(ignored)).await?;
        let scopes = viewers.iter().map(|(room, viewer)| (room.clone(), viewer.visible_stretches()));
        let scopes: Arc<Scopes> = Arc::new(scopes.collect());
        let limit = criteria.filter.limit.map_or(USUAL, |limit| usize::try_from(u64::from(limit)).unwrap_or(MOST));
        let limit = limit.clamp(1, MOST);
        let mut page = PageOfResults { results: Vec::new(), count: 0, next: None };
        for _ in 0..ROUNDS {
            let (index, asked, places) = (self.index.clone(), wanted.clone(), scopes.clone());
            let find = move || index.find(&asked, places, from, limit);
            let found = spawn_blocking(find).await.map_err(Error::internal)??;
            page.count = found.count;
            let exhausted = found.hits.len() < limit;
            let results = found.hits.iter().map(|hit| self.result(&snapshot, criteria, &viewers, hit));
            for (hit, result) in found.hits.iter().zip(try_join_all(results).await?) {
                from = beyond(from, hit);
                page.results.extend(result.map(|(event, text)| Match { event, text, rank: hit.rank, beyond: from }));
                if page.results.len() == limit {
                    // Also where nothing follows, as clients know it from other servers.
                    page.next = Some(from);
                    return Ok(page);
                }
            }
            if exhausted {
                return Ok(page);
            }
        }
        page.next = Some(from);
        Ok(page)
    }

    /// The rooms in which the searcher looks.
    async fn rooms_of(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        criteria: &Criteria,
        group: &Group,
    ) -> Result<BTreeSet<OwnedRoomId>> {
        let own = self.rooms.of_user(snapshot, user).await?.into_iter();
        let in_group = |room: &OwnedRoomId| !matches!(group, Group::Room(only) if only != room);
        let rooms = own.filter(|(room, row)| {
            !row.value.forgotten && in_group(room) && event_filter::passes_by_room(&criteria.filter, room)
        });
        Ok(rooms.map(|(room, _)| room).collect())
    }

    /// What decides over what the searcher may see, for each room of theirs in which something is found.
    async fn viewers(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        rooms: BTreeSet<OwnedRoomId>,
        wanted: &Wanted,
        ignored: Arc<BTreeSet<OwnedUserId>>,
    ) -> Result<BTreeMap<OwnedRoomId, Viewer>> {
        let (index, asked) = (self.index.clone(), wanted.clone());
        let found = spawn_blocking(move || index.rooms_with(&asked, &rooms)).await.map_err(Error::internal)??;
        let (found, ignored) = (Vec::from_iter(found), &ignored);
        let mut viewers = BTreeMap::new();
        for some in found.chunks(AT_ONCE) {
            let loading = some.iter().map(|room| async move {
                let viewer = self.rooms.viewer_ignoring(snapshot, room, user, ignored.clone()).await?;
                Ok::<_, Error>((room.clone(), viewer))
            });
            viewers.extend(try_join_all(loading).await?);
        }
        Ok(viewers)
    }

    /// The event that was found and the text that it shows, if it is still there for the searcher and passes the filter.
    async fn result(
        &self,
        snapshot: &Snapshot,
        criteria: &Criteria,
        viewers: &BTreeMap<OwnedRoomId, Viewer>,
        hit: &Hit,
    ) -> Result<Option<(TimelineEvent, String)>> {
        let (Some(viewer), room) = (viewers.get(&hit.room), self.rooms.room(&hit.room).await?) else {
            return Ok(None);
        };
        let event = self.rooms.events_at(snapshot, &room, &[Order::Live(hit.shown)]).await?.pop();
        let visible = event.filter(|found| {
            found.header.redacted_by.is_none()
                && viewer.may_see(found.order, &found.event)
                && event_filter::passes(&criteria.filter, &found.event)
        });
        let Some(event) = visible else { return Ok(None) };
        if self.rooms.erasures(snapshot, &room, [&*event.event.sender]).await?.hide(viewer, &event) {
            return Ok(None);
        }
        let edit = match event.event.is_state() {
            true => None,
            false => self.rooms.newest_edit(snapshot, &room, &event.event.id, viewer).await?,
        };
        if edit.unwrap_or(event.order) != Order::Live(hit.order) {
            // The reader sees another text.
            return Ok(None);
        }
        let shows = match edit {
            Some(edit) => self.rooms.events_at(snapshot, &room, &[edit]).await?.pop(),
            None => None,
        };
        let text = content(&shows.as_ref().unwrap_or(&event).event).map(|content| content.text);
        Ok(Some((event, text.unwrap_or_default())))
    }

    /// Renders the results, each with what stands around it.
    async fn fill(
        &self,
        answer: &mut ResultRoomEvents,
        reader: Reader<'_>,
        criteria: &Criteria,
        results: Vec<Match>,
        terms: &[Sought],
    ) -> Result<()> {
        let rooms: BTreeSet<OwnedRoomId> = results.iter().map(|found| found.event.event.room_id.clone()).collect();
        let readings = self.readings(reader, rooms).await?;
        let (mut highlights, mut analysis) = (BTreeSet::new(), self.analysis.clone());
        let (mut places, mut rendering) = (Vec::new(), Vec::new());
        for Match { event, text, rank, beyond } in &results {
            let Some(reading) = readings.get(&event.event.room_id) else { continue };
            highlights.extend(analysis.matching(terms, text).into_iter().map(str::to_lowercase));
            places.push((event.event.clone(), *beyond));
            rendering.push(self.rendered(reading, reader, criteria, event, *rank));
        }
        answer.results = try_join_all(rendering).await?;
        answer.highlights = highlights.into_iter().collect();
        group(answer, criteria, &places);
        if criteria.include_state == Some(true) {
            for room in readings.into_keys() {
                let state = self.rooms.state(&room, reader).await?;
                answer.state.insert(room, state);
            }
        }
        Ok(())
    }

    /// The rooms as the reader may read them now, without those that they have forgotten since.
    async fn readings(
        &self,
        reader: Reader<'_>,
        rooms: BTreeSet<OwnedRoomId>,
    ) -> Result<BTreeMap<OwnedRoomId, Reading>> {
        let readings = rooms.into_iter().map(async |room| match self.rooms.read(&room, reader.user).await {
            Ok(reading) => Ok(Some((room, reading))),
            Err(error) if error.kind == Kind::Forbidden => Ok(None),
            Err(error) => Err(error),
        });
        Ok(try_join_all(readings).await?.into_iter().flatten().collect())
    }

    async fn rendered(
        &self,
        reading: &Reading,
        reader: Reader<'_>,
        criteria: &Criteria,
        event: &TimelineEvent,
        rank: u32,
    ) -> Result<SearchResult> {
        let limits = &criteria.event_context;
        let limits = [limits.before_limit, limits.after_limit].map(|limit| u64::from(limit).min(NEIGHBOURS) as usize);
        let around = self.rooms.surroundings(reading, reader, event, limits.into()).await?;
        let mut context = EventContextResult::new();
        context.start = Some(around.start.to_string());
        context.end = Some(around.end.to_string());
        context.events_before = around.before;
        context.events_after = around.after;
        if criteria.event_context.include_profile {
            context.profile_info = self.profiles(reading, event.order, around.senders).await?;
        }
        let mut result = SearchResult::new();
        result.rank = Some(rank.into());
        result.result = Some(around.event);
        result.context = context;
        Ok(result)
    }

    /// What people showed of themselves in a room at a place.
    async fn profiles(
        &self,
        reading: &Reading,
        order: Order,
        people: BTreeSet<OwnedUserId>,
    ) -> Result<BTreeMap<OwnedUserId, UserProfile>> {
        let state = self.rooms.state_at(&reading.room, order).await?;
        let profile = |user: OwnedUserId| {
            let member = state.get(&StateEventType::RoomMember, user.as_str())?;
            let content: RoomMemberEventContent = member.content_as().ok()?;
            let mut profile = UserProfile::new();
            (profile.displayname, profile.avatar_url) = (content.displayname, content.avatar_url);
            Some((user, profile))
        };
        Ok(people.into_iter().filter_map(profile).collect())
    }
}

/// In which order results come and where they go on, and of which group.
fn start(criteria: &Criteria, next_batch: Option<&str>) -> Result<(From, Group)> {
    let first = match criteria.order_by.clone().unwrap_or(OrderBy::Rank) {
        OrderBy::Recent => From::Before(u64::MAX),
        OrderBy::Rank => From::Behind(u32::MAX, u64::MAX),
        _ => return Err(Error::invalid("Search results are ordered by `rank` or by `recent`.")),
    };
    let Some(token) = next_batch else { return Ok((first, Group::All)) };
    let PageToken { from, group } = token.parse()?;
    match discriminant(&from) == discriminant(&first) {
        true => Ok((from, group)),
        false => Err(Error::invalid("next_batch belongs to another order of results.")),
    }
}

/// Where the search goes on after a hit.
fn beyond(from: From, hit: &Hit) -> From {
    match from {
        From::Before(_) => From::Before(hit.shown.get()),
        From::Behind(..) => From::Behind(hit.rank, hit.shown.get()),
    }
}

/// Whether what has such a text may pass the filter.
fn may_have(filter: &RoomEventFilter, key: Key) -> bool {
    let (kind, has_url) = match key {
        Key::Body => ("m.room.message", false),
        Key::File => ("m.room.message", true),
        Key::Name => ("m.room.name", false),
        Key::Topic => ("m.room.topic", false),
    };
    let url = match filter.url_filter {
        None => true,
        Some(UrlFilter::EventsWithUrl) => has_url,
        Some(UrlFilter::EventsWithoutUrl) => !has_url,
    };
    // Senders are asked for elsewhere.
    let mut kinds = RoomEventFilter::default();
    (kinds.types, kinds.not_types) = (filter.types.clone(), filter.not_types.clone());
    url && event_filter::passes_by_type(&kinds, kind, None)
}

/// Says which results belong together: by their rooms, or by who wrote them. Each group can be paged through by itself.
fn group(answer: &mut ResultRoomEvents, criteria: &Criteria, found: &[(Event, From)]) {
    let more = answer.next_batch.is_some();
    for grouping in &criteria.groupings.group_by {
        let map = match &grouping.key {
            Some(GroupingKey::RoomId) => {
                ResultGroupMap::RoomId(groups(found, more, |event| &event.room_id, Group::Room))
            }
            Some(GroupingKey::Sender) => {
                ResultGroupMap::Sender(groups(found, more, |event| &event.sender, Group::Sender))
            }
            _ => continue,
        };
        answer.groups.insert(map);
    }
}

fn groups<K: Ord + Clone>(
    found: &[(Event, From)],
    more: bool,
    key: impl Fn(&Event) -> &K,
    named: impl Fn(K) -> Group,
) -> BTreeMap<K, ResultGroup> {
    let mut groups: BTreeMap<K, ResultGroup> = BTreeMap::new();
    for (event, from) in found {
        let (key, order) = (key(event), UInt::try_from(groups.len()).ok());
        let group = groups.entry(key.clone()).or_insert_with(|| {
            let mut group = ResultGroup::new();
            group.order = order;
            group
        });
        group.results.push(event.id.clone());
        // The last one's stays.
        group.next_batch = more.then(|| PageToken { from: *from, group: named(key.clone()) }.to_string());
    }
    groups
}
