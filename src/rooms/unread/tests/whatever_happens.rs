//! Whatever people do in a room and whatever is forgotten meanwhile, the counts are the same.

use proptest::{prelude::*, sample::Index, test_runner::TestCaseError};
use ruma::{
    OwnedEventId, UserId,
    api::client::push::get_notifications::v3::Notification,
    device_id,
    events::{TimelineEventType, receipt::ReceiptThread},
    push::{Action, NewPushRule, NewSimplePushRule, RuleKind},
};
use serde_json::{Value, json, value::to_raw_value};

use super::{Counts, MissedRequest, Scene, mention, people};
use crate::{
    error::Kind,
    rooms::Reader,
    storage::{Order, Position},
    users::Place,
};

/// More than is ever said in a test.
const ALL: MissedRequest = MissedRequest { before: None, limit: 1_000, only_highlights: false };

/// Something that somebody does, whose number in [`people`] comes first.
#[derive(Clone, Debug)]
enum Deed {
    /// With a relation to an event, and with a mention of a person, or of everybody.
    Say(usize, Option<(&'static str, Index)>, usize),
    /// Outside of threads, in all of them, or in one.
    Read(usize, Index, Option<Option<Index>>),
    Redact(usize, Index),
    Come(usize),
    Go(usize),
    Mute(usize),
    Unmute(usize),
    Ignore(usize, Option<usize>),
    /// Subscribes to the thread of an event or not.
    Follow(usize, Index, bool),
    /// Hears of threads without having subscribed or not.
    Silence(usize, bool),
    /// How much power it takes to call everybody.
    GivePower(i64),
    /// The memory is lost.
    Forget,
    /// Everybody asks for their counts.
    Ask,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let who = || 0..people().len();
    let event = any::<Index>;
    let kinds = prop::sample::select(vec!["m.thread", "m.thread", "m.replace", "m.reference", "m.annotation"]);
    let relation = prop::option::of((kinds, event()));
    let thread = prop::option::of(prop::option::of(event()));
    let deed = prop_oneof![
        10 => (who(), relation, 0..4_usize).prop_map(|(who, about, mentions)| Deed::Say(who, about, mentions)),
        4 => (who(), event(), thread).prop_map(|(who, event, thread)| Deed::Read(who, event, thread)),
        1 => (who(), event()).prop_map(|(who, event)| Deed::Redact(who, event)),
        2 => who().prop_map(Deed::Come),
        1 => who().prop_map(Deed::Go),
        1 => who().prop_map(Deed::Mute),
        1 => who().prop_map(Deed::Unmute),
        1 => (who(), prop::option::of(who())).prop_map(|(who, whom)| Deed::Ignore(who, whom)),
        2 => (who(), event(), any::<bool>()).prop_map(|(who, event, follows)| Deed::Follow(who, event, follows)),
        1 => (who(), any::<bool>()).prop_map(|(who, silent)| Deed::Silence(who, silent)),
        1 => prop::sample::select(vec![0, 75]).prop_map(Deed::GivePower),
        1 => Just(Deed::Forget),
        4 => Just(Deed::Ask),
    ];
    prop::collection::vec(deed, 1..50)
}

impl Scene {
    /// Does it, if the rules of the room and of receipts let them.
    async fn carry_out(&mut self, deed: Deed) {
        let rooms = self.rooms.clone();
        match deed {
            Deed::Say(who, about, mentions) => self.try_to_say(people()[who], about, mentions).await,
            Deed::Read(who, event, thread) if !self.sent.is_empty() => {
                let thread = match thread {
                    None => ReceiptThread::Unthreaded,
                    Some(None) => ReceiptThread::Main,
                    Some(Some(root)) => ReceiptThread::Thread(root.get(&self.sent).clone()),
                };
                drop(self.read(people()[who], thread, event.get(&self.sent)).await);
            }
            Deed::Redact(who, event) if !self.sent.is_empty() => {
                let event = event.get(&self.sent).clone();
                drop(self.redact(people()[who], &event).await);
            }
            Deed::Come(who) => drop(rooms.join(&self.id, people()[who], None).await),
            // Somebody has to stay, or the room dies.
            Deed::Go(0) => {}
            Deed::Go(who) => drop(rooms.leave(&self.id, people()[who], None).await),
            Deed::Mute(who) => {
                let mute = NewPushRule::Room(NewSimplePushRule::new(self.id.clone(), vec![]));
                rooms.shared.push_rules.put(people()[who], mute, Place::default()).await.unwrap();
            }
            Deed::Unmute(who) => {
                drop(rooms.shared.push_rules.remove(people()[who], RuleKind::Room, self.id.as_str()).await);
            }
            Deed::Ignore(who, whom) => {
                let ignored: Value = whom.map(|whom| (people()[whom].to_string(), json!({}))).into_iter().collect();
                let content = to_raw_value(&json!({ "ignored_users": ignored })).unwrap();
                rooms.shared.account_data.set(people()[who], None, "m.ignored_user_list", content).await.unwrap();
            }
            Deed::Follow(who, event, follows) if !self.sent.is_empty() => {
                self.follow(people()[who], event.get(&self.sent), follows).await;
            }
            Deed::Silence(who, silent) => self.silence_threads(people()[who], silent).await,
            Deed::GivePower(level) => self.give_power_to_call(level).await,
            Deed::Forget => self.forget(),
            Deed::Read(..) | Deed::Redact(..) | Deed::Follow(..) | Deed::Ask => {}
        }
    }

    async fn try_to_say(&mut self, who: &UserId, about: Option<(&'static str, Index)>, mentions: usize) {
        let room = self.rooms.room(&self.id).await.unwrap();
        if !room.current().is_joined(who) {
            return;
        }
        let mut content = match mentions {
            3 => json!({ "m.mentions": { "room": true } }),
            mentioned => mention(people()[mentioned]),
        };
        if let Some((kind, event)) = about.filter(|_| !self.sent.is_empty()) {
            content["m.relates_to"] = json!({ "rel_type": kind, "event_id": event.get(&self.sent) });
        }
        // A thread at an event that relates to another one itself is refused, which changes nothing; whatever else is not.
        let sent = self.try_to_send(who, TimelineEventType::RoomMessage, content).await;
        assert!(sent.is_ok() || about.is_some_and(|(kind, _)| kind == "m.thread"), "{sent:?}");
        assert!(sent.as_ref().err().is_none_or(|error| error.kind == Kind::Unknown), "{sent:?}");
    }

    /// Everybody's counts, which are the same when the memory of them is lost.
    async fn check(&self) -> Result<(), TestCaseError> {
        for who in people() {
            let remembered = self.unread(who).await;
            let known = self.rooms.shared.unread.folds.get(&(who.to_owned(), self.id.clone()));
            self.rooms.shared.unread.folds.remove(&(who.to_owned(), self.id.clone()));
            let anew = self.unread(who).await;
            prop_assert_eq!(&remembered, &anew, "{}", who);
            self.check_list(who, anew.total()).await?;
            // The memory stays as old as it was, so that it has further to go next time.
            if let Some(known) = known {
                self.rooms.shared.unread.folds.insert((who.to_owned(), self.id.clone()), known);
            }
        }
        Ok(())
    }
}

impl Scene {
    /// The list of what somebody was notified of has as many unread events as the counts say, and just of these a phone is told.
    async fn check_list(&self, who: &UserId, counts: Counts) -> Result<(), TestCaseError> {
        let reader = Reader { user: who, device: device_id!("D") };
        let listed = self.rooms.missed(reader, ALL).await.unwrap().notifications;
        let unread: Vec<_> = listed.iter().filter(|it| !it.read).collect();
        let highlights = unread.iter().filter(|it| it.actions.iter().any(Action::is_highlight)).count() as u64;
        prop_assert_eq!((unread.len() as u64, highlights), (counts.notifications, counts.highlights), "{}", who);

        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = self.rooms.missed(reader, MissedRequest { before, limit: 3, ..ALL }).await.unwrap();
            pages.extend(page.notifications.iter().map(id_of));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        prop_assert_eq!(pages, listed.iter().map(id_of).collect::<Vec<_>>());

        let snapshot = self.rooms.shared.store.snapshot();
        let room = self.rooms.room(&self.id).await.unwrap();
        let mut told = Vec::new();
        let all = (Position::ZERO, snapshot.position());
        for place in self.rooms.places_of_news(&snapshot, &room, who, all).await.unwrap() {
            let news = self.rooms.news(&snapshot, &room, who, Order::Live(place)).await.unwrap();
            told.extend(news.map(|news| news.event.event.id));
        }
        told.reverse();
        prop_assert_eq!(told, unread.into_iter().map(id_of).collect::<Vec<_>>(), "{}", who);
        Ok(())
    }
}

fn id_of(notification: &Notification) -> OwnedEventId {
    notification.event.get_field("event_id").unwrap().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_lost_memory_changes_no_count(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new().await;
            for deed in deeds {
                let asks = matches!(deed, Deed::Ask);
                scene.carry_out(deed).await;
                if asks {
                    scene.check().await?;
                }
            }
            scene.check().await
        })?;
    }
}
