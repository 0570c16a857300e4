//! One look at the data for one connection: which rooms the client looks at, and what it does not know of them yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{
    OwnedRoomId, RoomId, UInt,
    api::client::sync::sync_events::v5::response::{Extensions, List},
    events::room::member::MembershipState,
};

use super::{
    SlidingRequest,
    answer::{RoomAnswer, SlidingAnswer},
    config::RoomConfig,
    extensions,
    joined::{self, Insight},
    lists::{self, ToldList},
    outside,
    overview::{self, Overview, Relation},
    told::{Settings, Told, ToldRoom},
};
use crate::{
    error::Result,
    storage::{Order, Position, Stamped, schema::rooms::Membership},
    sync::{Reading, StateExtent, StateStyle, Sync, SyncToken, changed::Changed, joined::Known},
};

/// What a look goes by.
pub(super) struct Look<'a> {
    pub sync: &'a Sync,
    pub request: &'a SlidingRequest,
    /// What the client knows.
    pub told: &'a Told,
    /// The moment, and where the client stands as a whole.
    pub reading: Reading,
    /// What changed since; nothing for a connection that starts.
    pub changed: Option<Changed>,
    /// The direct chats.
    pub direct: Arc<BTreeSet<OwnedRoomId>>,
    overview: Option<Arc<Overview>>,
    lists: Vec<(String, ToldList)>,
    settings: Settings,
}

/// A room that the client looks at.
pub(super) struct Pick {
    /// What it wants to know of it.
    pub config: Arc<RoomConfig>,
    /// The lists that pick the room.
    pub lists: Vec<String>,
    /// Whether it has subscribed to the room.
    pub is_subscribed: bool,
}

/// What came out of a look.
pub(super) struct Seen {
    pub answer: SlidingAnswer,
    pub told: Told,
    /// Whether there is something in the answer that the client waits for.
    pub is_news: bool,
}

/// What is collected for the answer.
struct Collected {
    rooms: BTreeMap<OwnedRoomId, RoomAnswer>,
    extensions: Extensions,
    told: Told,
}

/// Everything that there is to tell at this moment to a client that knows what was `told`.
pub(super) async fn look(sync: &Sync, request: &SlidingRequest, told: &Told) -> Result<Seen> {
    // The ephemeral position first: what comes between the two is told again, and not lost.
    let ephemeral = sync.ephemerals.current();
    let look = Look::new(sync, request, told).await?;
    let position = look.reading.until();
    let token = SyncToken { position, ephemeral, to_device: position };
    let mut collected = Collected { rooms: BTreeMap::new(), extensions: Extensions::default(), told: told.clone() };
    for room_id in look.candidates() {
        look.consider(&room_id, &mut collected).await?;
    }
    let Collected { rooms, mut extensions, told: mut next } = collected;
    let device_is_told = extensions::section(&look, &mut next, &mut extensions).await?;
    let list = |(name, list): &(String, ToldList)| (name.clone(), answered(list));
    let lists: BTreeMap<String, List> = look.lists.iter().map(list).collect();
    let is_news = device_is_told || !rooms.is_empty() || look.lists_are_news();
    next.pos = format!("{token}_c{:x}", rand::random::<u64>());
    next.token = Some(token);
    next.lists = look.lists.into_iter().collect();
    (next.overview, next.settings) = (look.overview, look.settings);
    let (pos, txn_id) = (next.pos.clone(), request.body.txn_id.clone());
    Ok(Seen { answer: SlidingAnswer { pos, txn_id, lists, rooms, extensions }, told: next, is_news })
}

fn answered(list: &ToldList) -> List {
    let mut answer = List::default();
    answer.count = UInt::new_saturating(list.count() as u64);
    answer
}

impl<'a> Look<'a> {
    async fn new(sync: &'a Sync, request: &'a SlidingRequest, told: &'a Told) -> Result<Self> {
        let (user, body) = (&request.user, &request.body);
        let reading = Reading {
            user: user.clone(),
            device: request.device.clone(),
            snapshot: sync.store.snapshot(),
            since: told.token,
            filter: Default::default(),
            relations: Default::default(),
            extent: StateExtent::Changes,
            state_style: StateStyle::After,
        };
        let changed = sync.changed(&reading).await?;
        let overview = match body.lists.is_empty() {
            true => None,
            false => {
                let before = (told.overview.as_ref(), changed.as_ref());
                Some(overview::current(sync, &reading.snapshot, user, body, before).await?)
            }
        };
        let direct = match &overview {
            Some(overview) => overview.direct.clone(),
            None if body.room_subscriptions.is_empty() => Arc::default(),
            None => Arc::new(sync.account_data.direct_chats(&reading.snapshot, user).await?),
        };
        let mut look = Self {
            sync,
            request,
            told,
            reading,
            changed,
            direct,
            overview,
            lists: Vec::new(),
            settings: Settings::of(body),
        };
        if let Some(overview) = &look.overview {
            look.lists = lists::current(sync, user, body, told, overview, &look.touched()).await?;
        }
        Ok(look)
    }

    /// Up to where the client knows a room; nothing if the connection starts.
    pub fn since(&self, told: &ToldRoom) -> Option<Position> {
        told.behind.or(self.told.token.map(|token| token.position))
    }

    /// Whether something happened in a room that may concern the user.
    pub fn has_changed(&self, room_id: &RoomId) -> bool {
        self.changed.as_ref().is_some_and(|changed| changed.rooms.contains(room_id))
    }

    /// The rooms of which something is different that lists or answers depend on.
    fn touched(&self) -> BTreeSet<OwnedRoomId> {
        let mut touched = self.changed.as_ref().map(|changed| changed.rooms.clone()).unwrap_or_default();
        if let Some(old) = &self.told.overview
            && !Arc::ptr_eq(&old.direct, &self.direct)
        {
            touched.extend(old.direct.symmetric_difference(&self.direct).cloned());
        }
        touched
    }

    /// The rooms that there may be something to tell of. With the same rules as before these are the ones where something
    /// happened, or that came to a place at which the client looks.
    fn candidates(&self) -> BTreeSet<OwnedRoomId> {
        let mut candidates = self.touched();
        candidates.extend(self.request.body.room_subscriptions.keys().cloned());
        let all = self.settings != self.told.settings || self.recounts();
        for (_, list) in &self.lists {
            match all {
                true => candidates.extend(list.shown().cloned()),
                false => candidates.extend(list.arrived()),
            }
        }
        candidates
    }

    /// Whether the user changed what counts as unread, in any room.
    fn recounts(&self) -> bool {
        self.changed.as_ref().is_some_and(Changed::what_counts)
    }

    /// Whether the client asked for other lists than before, or one has got longer or shorter.
    fn lists_are_news(&self) -> bool {
        let same = |(name, list): &(String, ToldList)| {
            let before = self.told.lists.get(name);
            list.is_unchanged() && before.is_some_and(|before| before.count() == list.count())
        };
        !self.lists.iter().all(same)
    }

    /// What the client wants to know of a room; nothing if none of its rules picks it.
    fn pick(&self, room_id: &RoomId) -> Option<Pick> {
        let mut configs = Vec::new();
        let mut lists = Vec::new();
        if let Some(listed) = self.overview.as_ref().and_then(|overview| overview.rooms.get(room_id)) {
            for (name, list) in self.lists.iter().filter(|(_, list)| list.shows(room_id, listed)) {
                configs.push(list.config.clone());
                lists.push(name.clone());
            }
        }
        let subscription = self.request.body.room_subscriptions.get(room_id);
        let is_subscribed = subscription.is_some();
        configs.extend(subscription.map(|details| Arc::new(details.config(&self.request.user))));
        let mut configs = configs.into_iter();
        let first = configs.next()?;
        let config = configs.fold(first, |mut joined, config| {
            if joined != config {
                Arc::make_mut(&mut joined).join(&config);
            }
            joined
        });
        Some(Pick { config, lists, is_subscribed })
    }

    /// Tells of a room what there is to tell, or takes note that the client does not hear of what happened there.
    async fn consider(&self, room_id: &OwnedRoomId, collected: &mut Collected) -> Result<()> {
        let before = self.told.rooms.get(room_id);
        let Some(pick) = self.pick(room_id) else {
            if let (Some(before), true) = (before, self.has_changed(room_id)) {
                let behind = self.since(before);
                collected.told.rooms.insert(room_id.clone(), ToldRoom { behind, ..before.clone() });
            }
            return Ok(());
        };
        if before.is_some_and(|before| self.is_up_to_date(room_id, before, &pick)) {
            return Ok(());
        }
        let membership = self.sync.rooms.membership(&self.reading.snapshot, room_id, &self.reading.user).await?;
        // Of rooms that the user has nothing to do with there is nothing to tell.
        let Some(membership) = membership else { return Ok(()) };
        let (told, answer) = match membership.value.membership {
            MembershipState::Join => {
                let (told, answer) = self.joined(room_id, &pick, before, &mut collected.extensions).await?;
                (Some(told), answer)
            }
            MembershipState::Invite | MembershipState::Knock => {
                outside::invitation(self, &pick, (room_id, &membership), before).await?
            }
            _ if before.is_none() && self.is_gone(room_id, &membership).await? => (None, None),
            _ => {
                let (told, answer) = outside::left(self, &pick, (room_id, &membership), before).await?;
                (Some(told), answer)
            }
        };
        if let Some(mut told) = told {
            if membership.value.membership != MembershipState::Join {
                extensions::outside(self, room_id, &pick, &mut told, &mut collected.extensions).await?;
            }
            collected.told.rooms.insert(room_id.clone(), told);
        }
        collected.rooms.extend(answer.map(|answer| (room_id.clone(), answer)));
        Ok(())
    }

    async fn joined(
        &self,
        room_id: &OwnedRoomId,
        pick: &Pick,
        before: Option<&ToldRoom>,
        extensions: &mut Extensions,
    ) -> Result<(ToldRoom, Option<RoomAnswer>)> {
        let room = &*self.sync.rooms.room(room_id).await?;
        let viewer = &self.sync.rooms.viewer(&self.reading.snapshot, room_id, &self.reading.user).await?;
        let since = before.filter(|before| before.membership == MembershipState::Join);
        let since = since.and_then(|before| self.since(before));
        let was_in = |since: &Position| viewer.membership_at(Order::Live(*since)) == MembershipState::Join;
        let known = since.filter(was_in).map_or(Known::Nothing, Known::Until);
        let insight = Insight { room, viewer, known };
        let (mut told, answer) = joined::tell(self, pick, &insight, before).await?;
        let is_behind = before.is_some_and(|before| before.behind.is_some());
        extensions::inside(self, pick, &insight, is_behind, &mut told, extensions).await?;
        Ok((told, answer))
    }

    /// Whether the client knows everything of a room that it wants to.
    fn is_up_to_date(&self, room_id: &RoomId, before: &ToldRoom, pick: &Pick) -> bool {
        before.behind.is_none()
            && before.config == pick.config
            && before.is_dm == self.direct.contains(room_id)
            && !self.has_changed(room_id)
            && !self.recounts()
            && extensions::are_known(self, room_id, pick, before)
    }

    /// Whether only clients that know the room hear of it.
    async fn is_gone(&self, room_id: &OwnedRoomId, membership: &Stamped<Membership>) -> Result<bool> {
        let relation =
            overview::relation(self.sync, &self.reading.snapshot, &self.reading.user, room_id, membership).await?;
        Ok(relation == Relation::Gone)
    }
}
