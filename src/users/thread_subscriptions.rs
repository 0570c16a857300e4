//! Thread subscriptions: which threads a user wants to hear of (MSC4306), and what changed about that (MSC4308).

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId, UInt, UserId,
    api::client::threads::get_thread_subscriptions_changes::unstable as protocol,
};

use crate::{
    error::{Kind, Result},
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot, Stamped, Store,
        schema::users::{THREAD_SUBSCRIPTION_CHANGES, THREAD_SUBSCRIPTIONS, THREADS_DECIDED, ThreadSubscription},
        until_settled,
    },
    streams::{Change, Log, Notifier},
};

/// Something of each thread, by its room and root.
pub type ByThread<T> = BTreeMap<OwnedRoomId, BTreeMap<OwnedEventId, T>>;

/// A cheap-clone service over the thread subscriptions of all users.
#[derive(Clone)]
pub struct ThreadSubscriptions {
    store: Store,
    notifier: Notifier,
}

/// What a user last decided about a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSubscriptionChange {
    /// The room of the thread.
    pub room_id: OwnedRoomId,
    /// The root of the thread.
    pub root: OwnedEventId,
    /// When it was decided: the larger of two is the newer one.
    pub at: Position,
    /// What was decided.
    pub subscription: ThreadSubscription,
}

/// Some of the decisions between two positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadSubscriptionChanges {
    /// The decisions, newest first; only the last one about each thread.
    pub changes: Vec<ThreadSubscriptionChange>,
    /// If there are more: the position up to which they are to be asked for.
    pub rest: Option<Position>,
}

impl ThreadSubscriptionChanges {
    /// The subscriptions and the ends of subscriptions, each by room and root.
    pub fn by_room(self) -> (ByThread<protocol::ThreadSubscription>, ByThread<protocol::ThreadUnsubscription>) {
        let (mut subscribed, mut unsubscribed) = (ByThread::new(), ByThread::new());
        for ThreadSubscriptionChange { room_id, root, at, subscription } in self.changes {
            let bump_stamp = UInt::new_saturating(at.get());
            let automatic = match subscription {
                ThreadSubscription::None => {
                    let gone = protocol::ThreadUnsubscription::new(bump_stamp);
                    unsubscribed.entry(room_id).or_default().insert(root, gone);
                    continue;
                }
                ThreadSubscription::Manual => false,
                ThreadSubscription::Automatic => true,
            };
            let subscription = protocol::ThreadSubscription::new(automatic, bump_stamp);
            subscribed.entry(room_id).or_default().insert(root, subscription);
        }
        (subscribed, unsubscribed)
    }
}

impl ThreadSubscriptions {
    /// The subscriptions in `store`.
    pub fn new(store: Store, notifier: Notifier) -> Self {
        Self { store, notifier }
    }

    /// Whether `user` is subscribed to a thread, and how.
    pub async fn of(&self, user: &UserId, room_id: &RoomId, root: &EventId) -> Result<ThreadSubscription> {
        Self::as_of(&self.store.snapshot(), user, room_id, root).await
    }

    /// Whether `user` was subscribed to a thread as of `snapshot`, and how.
    pub async fn as_of(
        snapshot: &Snapshot,
        user: &UserId,
        room_id: &RoomId,
        root: &EventId,
    ) -> Result<ThreadSubscription> {
        let row = THREAD_SUBSCRIPTIONS.get(snapshot, (user, room_id, root)).await?;
        Ok(row.map_or(ThreadSubscription::None, |row| row.value))
    }

    /// When `user` last decided about a thread of a room; `None` if they never did, and so are subscribed to none.
    pub async fn last_decision(snapshot: &Snapshot, user: &UserId, room_id: &RoomId) -> Result<Option<Position>> {
        Ok(THREADS_DECIDED.get(snapshot, (user, room_id)).await?.map(|row| row.at))
    }

    /// The rooms about whose threads `user` decided after `since`.
    pub async fn rooms_since(snapshot: &Snapshot, user: &UserId, since: Position) -> Result<BTreeSet<OwnedRoomId>> {
        let range = KeyRange::prefix_after((user,), since);
        let rows = THREAD_SUBSCRIPTION_CHANGES.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|(_, (room_id, _))| room_id).collect())
    }

    /// The room of the decision that `user` made at a position, if there was none about the same thread since.
    pub async fn room_at(snapshot: &Snapshot, user: &UserId, at: Position) -> Result<Option<OwnedRoomId>> {
        Ok(THREAD_SUBSCRIPTION_CHANGES.get(snapshot, (user, at)).await?.map(|(room_id, _)| room_id))
    }

    /// Subscribes `user` to a thread because they want it, or, if there is a `cause`, because of the event at this position.
    ///
    /// # Errors
    ///
    /// [`Kind::ConflictingUnsubscription`] if the user has unsubscribed since the cause.
    pub async fn subscribe(
        &self,
        user: &UserId,
        room_id: &RoomId,
        root: &EventId,
        cause: Option<Position>,
    ) -> Result<()> {
        self.decide(user, room_id, root, |before| {
            let subscription = match (cause, before.map(|row| (&row.value, row.at))) {
                (None, Some((ThreadSubscription::Manual, _))) => None,
                (None, _) => Some(ThreadSubscription::Manual),
                (Some(cause), Some((ThreadSubscription::None, at))) if cause < at => {
                    return Err(Kind::ConflictingUnsubscription.with("You have unsubscribed from this thread since."));
                }
                (Some(_), Some((ThreadSubscription::Manual | ThreadSubscription::Automatic, _))) => None,
                (Some(_), _) => Some(ThreadSubscription::Automatic),
            };
            Ok(subscription)
        })
        .await
    }

    /// Ends the subscription of `user` to a thread. If there is none, that they want none is noted all the same: what was said in
    /// the thread until now is not to subscribe them any more.
    pub async fn unsubscribe(&self, user: &UserId, room_id: &RoomId, root: &EventId) -> Result<()> {
        self.decide(user, room_id, root, |_| Ok(Some(ThreadSubscription::None))).await
    }

    /// What `user` decided after `since` and up to `until`, newest first, at most `limit` decisions.
    pub async fn changes(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        (since, until): (Option<Position>, Position),
        limit: usize,
    ) -> Result<ThreadSubscriptionChanges> {
        let range = KeyRange::prefix_until((user,), until);
        let range = match since {
            Some(since) => range.and(KeyRange::prefix_after((user,), since)),
            None => range,
        };
        let wanted = limit.saturating_add(1);
        let mut rows = THREAD_SUBSCRIPTION_CHANGES.scan(snapshot, range, Direction::Reverse, wanted).await?;
        let rest = rows.get(limit).map(|((_, position), _)| *position);
        rows.truncate(limit);
        let keys = rows.iter().map(|(_, (room_id, root))| (user, &**room_id, &**root));
        let found = THREAD_SUBSCRIPTIONS.get_many(snapshot, keys).await?;
        let changes = rows.into_iter().zip(found).filter_map(|((_, (room_id, root)), row)| {
            let Stamped { at, value: subscription } = row?;
            Some(ThreadSubscriptionChange { room_id, root, at, subscription })
        });
        Ok(ThreadSubscriptionChanges { changes: changes.collect(), rest })
    }

    /// Keeps what `decide` makes of what was decided before; `None` leaves it.
    async fn decide(
        &self,
        user: &UserId,
        room_id: &RoomId,
        root: &EventId,
        decide: impl Fn(Option<&Stamped<ThreadSubscription>>) -> Result<Option<ThreadSubscription>>,
    ) -> Result<()> {
        until_settled(|| async {
            let key = (user, room_id, root);
            let before = THREAD_SUBSCRIPTIONS.get(&self.store.snapshot(), key).await?;
            let Some(after) = decide(before.as_ref())? else { return Ok(()) };
            let mut batch = Batch::new();
            THREAD_SUBSCRIPTIONS.expect(&mut batch, key, before.as_ref());
            THREAD_SUBSCRIPTIONS.put(&mut batch, key, &Stamped::now(after));
            if let Some(before) = &before {
                THREAD_SUBSCRIPTION_CHANGES.delete(&mut batch, (user, before.at));
            }
            let thread = (room_id.to_owned(), root.to_owned());
            THREAD_SUBSCRIPTION_CHANGES.put(&mut batch, (user, Position::pending(0)), &thread);
            THREADS_DECIDED.put(&mut batch, (user, room_id), &Stamped::now(()));
            Log::append(&mut batch, 0, &Change::ThreadSubscription { user: user.to_owned() });
            let (notifier, user) = (self.notifier.clone(), user.to_owned());
            batch.on_visible(move |_| notifier.wake(&user));
            self.store.commit(batch).await.map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id, user_id};

    use super::*;

    #[tokio::test]
    async fn the_last_decision_about_each_thread_is_told_newest_first() {
        let service = ThreadSubscriptions::new(Store::in_memory(), Notifier::default());
        let (user, room) = (user_id!("@alice:example.org"), room_id!("!r:example.org"));
        let (one, two) = (event_id!("$one"), event_id!("$two"));
        service.subscribe(user, room, one, None).await.unwrap();
        service.subscribe(user, room, two, Some(Position::from(1))).await.unwrap();
        service.unsubscribe(user, room, one).await.unwrap();
        service.unsubscribe(user, room, one).await.unwrap();
        let snapshot = service.store.snapshot();
        let now = snapshot.position();
        let all = service.changes(&snapshot, user, (None, now), 10).await.unwrap();
        let told: Vec<_> = all.changes.iter().map(|it| (&*it.root, it.subscription.clone())).collect();
        assert_eq!(told, [(one, ThreadSubscription::None), (two, ThreadSubscription::Automatic)]);
        assert_eq!(all.rest, None);

        let first = service.changes(&snapshot, user, (None, now), 1).await.unwrap();
        let second = service.changes(&snapshot, user, (None, first.rest.unwrap()), 1).await.unwrap();
        assert_eq!([first.changes, second.changes.clone()].concat(), all.changes);
        assert_eq!(second.rest, None);
        let since = service.changes(&snapshot, user, (Some(second.changes[0].at), now), 10).await.unwrap();
        assert_eq!(since.changes, all.changes[..1]);

        let rooms = ThreadSubscriptions::rooms_since(&snapshot, user, second.changes[0].at).await.unwrap();
        assert_eq!(rooms, BTreeSet::from([room.to_owned()]));
        assert_eq!(ThreadSubscriptions::rooms_since(&snapshot, user, now).await.unwrap(), BTreeSet::new());
    }

    #[tokio::test]
    async fn what_was_said_before_somebody_unsubscribed_subscribes_them_no_more() {
        use ThreadSubscription::{Automatic, Manual, None as Nothing};
        let service = ThreadSubscriptions::new(Store::in_memory(), Notifier::default());
        let (user, room, root) = (user_id!("@alice:example.org"), room_id!("!r:example.org"), event_id!("$root"));
        // The events of the thread stand between the decisions, of which each takes one position.
        let now = || service.store.position().get();
        let automatically = async |cause: u64| {
            let outcome = service.subscribe(user, room, root, Some(Position::from(cause))).await;
            let conflicts = outcome.map_err(|error| assert_eq!(error.kind, Kind::ConflictingUnsubscription)).is_err();
            (service.of(user, room, root).await.unwrap(), conflicts)
        };
        let last_decision = async || {
            let snapshot = service.store.snapshot();
            ThreadSubscriptions::last_decision(&snapshot, user, room).await.unwrap().map(Position::get)
        };

        assert_eq!(last_decision().await, None);
        service.unsubscribe(user, room, root).await.unwrap();
        assert_eq!(last_decision().await, Some(now()));
        let first = now();
        assert_eq!(
            automatically(first - 1).await,
            (Nothing, true),
            "nobody who unsubscribed is subscribed by the past"
        );
        assert_eq!(automatically(first + 1).await, (Automatic, false));
        assert_eq!(last_decision().await, Some(now()));
        service.subscribe(user, room, root, None).await.unwrap();
        assert_eq!(automatically(first - 1).await, (Manual, false), "it is what the user wants, and stays so");
        service.unsubscribe(user, room, root).await.unwrap();
        let second = now();
        assert_eq!(automatically(first + 1).await, (Nothing, true));
        // Somebody unsubscribes on another device that did not know of it.
        service.unsubscribe(user, room, root).await.unwrap();
        assert_eq!(automatically(second + 1).await, (Automatic, false), "this is newer than both");
        service.unsubscribe(user, room, root).await.unwrap();
        service.unsubscribe(user, room, root).await.unwrap();
        assert_eq!(automatically(now() - 1).await, (Nothing, true));
        service.subscribe(user, room, root, None).await.unwrap();
        assert_eq!(service.of(user, room, root).await.unwrap(), Manual, "whoever asks for it gets it");
    }
}
