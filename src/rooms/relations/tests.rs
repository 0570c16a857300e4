//! What relates to an event and which threads there are, for readers who may not see or do not want everything.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseError};
use ruma::RoomVersionId;
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::rooms::tests::scene::{Scene, reader, user};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// A room of three, where newcomers see what was said before.
async fn scene() -> Scene {
    let scene = Scene::new(RoomVersionId::V12, "shared").await;
    scene.join("bob").await;
    scene.join("carol").await;
    scene
}

impl Scene {
    async fn relate(&self, name: &str, kind: &str, event: &EventId) -> Result<OwnedEventId> {
        let relation = json!({ "rel_type": kind, "event_id": event });
        self.send(name, "m.room.message", json!({ "body": "x", "m.relates_to": relation })).await
    }

    async fn ignore(&self, name: &str, ignored: &[&str]) {
        let ignored: Value = ignored.iter().map(|name| (user(name).to_string(), json!({}))).collect();
        let content = to_raw_value(&json!({ "ignored_users": ignored })).unwrap();
        self.rooms.shared.account_data.set(&user(name), None, "m.ignored_user_list", content).await.unwrap();
    }

    /// The ids of a page of what relates to an event, newest first, and whether there is more.
    async fn related(&self, name: &str, event: &EventId, kind: &RelationType, limit: usize) -> (Vec<String>, bool) {
        let request = RelationsRequest {
            event_id: event,
            relation: Some(kind),
            kind: None,
            from: None,
            to: None,
            direction: Direction::Reverse,
            limit,
            recurse: false,
        };
        let found = self.rooms.relations(&self.id, reader(&user(name)), request).await.unwrap();
        let ids = found.chunk.iter().map(|event| event.get_field("event_id").unwrap().unwrap());
        (ids.collect(), found.next.is_some())
    }

    /// The roots of all threads for somebody, page by page.
    async fn threads(&self, name: &str, limit: usize, only_participated: bool) -> Vec<OwnedEventId> {
        let (mut roots, mut from) = (Vec::new(), None);
        loop {
            let request = ThreadsRequest { from, limit, only_participated };
            let page = self.rooms.threads(&self.id, reader(&user(name)), request).await.unwrap();
            roots.extend(page.roots.iter().map(|root| root.get_field("event_id").unwrap().unwrap()));
            from = page.next;
            if from.is_none() {
                return roots;
            }
        }
    }
}

#[tokio::test]
async fn what_a_reader_does_not_see_takes_no_place_among_the_references() {
    let scene = scene().await;
    let said = scene.say("alice", "a poll").await;
    for _ in 0..1_000 {
        scene.relate("carol", "m.reference", &said).await.unwrap();
    }
    let shown = scene.relate("alice", "m.reference", &said).await.unwrap();
    scene.ignore("bob", &["carol"]).await;
    let seen = scene.event("bob", &said).await.unwrap();
    let chunk = &seen["unsigned"]["m.relations"]["m.reference"]["chunk"];
    assert_eq!(*chunk, json!([{ "event_id": shown }]));
    let all = scene.event("alice", &said).await.unwrap();
    assert_eq!(all["unsigned"]["m.relations"]["m.reference"]["chunk"].as_array().unwrap().len(), 1_000);
}

#[tokio::test]
async fn what_ignored_people_say_takes_no_place_on_a_page_of_relations() {
    let scene = scene().await;
    let root = scene.say("carol", "root").await;
    let mut wanted = Vec::new();
    for _ in 0..3 {
        wanted.push(scene.relate("alice", "m.thread", &root).await.unwrap().to_string());
        scene.relate("carol", "m.thread", &root).await.unwrap();
    }
    wanted.reverse();
    scene.ignore("bob", &["carol"]).await;
    let page = scene.related("bob", &root, &RelationType::Thread, 2).await;
    assert_eq!(page, (wanted[..2].to_vec(), true), "a thread can be read whose root is by somebody who is ignored");
    let page = scene.related("bob", &root, &RelationType::Thread, 10).await;
    assert_eq!(page, (wanted, false));
}

#[tokio::test]
async fn a_burst_of_messages_leaves_each_thread_once_in_the_list() {
    let scene = scene().await;
    let (one, two) = (scene.say("alice", "one").await, scene.say("alice", "two").await);
    let sends = (0..40).map(|number| scene.relate("bob", "m.thread", if number % 2 == 0 { &one } else { &two }));
    join_all(sends).await.into_iter().for_each(|sent| drop(sent.unwrap()));
    for limit in [1, 5] {
        let roots: Vec<_> = scene.threads("carol", limit, false).await;
        assert_eq!((roots.len(), roots.into_iter().collect::<BTreeSet<_>>().len()), (2, 2));
    }
    let last = scene.relate("bob", "m.thread", &one).await.unwrap();
    assert_eq!(scene.threads("carol", 1, false).await, [one.clone(), two.clone()]);
    scene.redact("bob", &last).await.unwrap();
    let newest = scene.related("carol", &one, &RelationType::Thread, 50).await.0.len();
    assert_eq!(newest, 20);
    scene.relate("bob", "m.thread", &two).await.unwrap();
    assert_eq!(scene.threads("carol", 1, false).await, [two, one]);
}

/// Something that happens in a room with threads; who does it comes first.
#[derive(Clone, Debug)]
enum Deed {
    Start(usize),
    GoOn(usize, Index),
    Redact(Index),
    Ignore(usize, Vec<usize>),
    Leave(usize),
    Return(usize),
    Hide(bool),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let who = || 0..NAMES.len();
    let deed = prop_oneof![
        4 => who().prop_map(Deed::Start),
        10 => (who(), any::<Index>()).prop_map(|(who, thread)| Deed::GoOn(who, thread)),
        2 => any::<Index>().prop_map(Deed::Redact),
        2 => (who(), prop::collection::vec(who(), 0..2)).prop_map(|(who, whom)| Deed::Ignore(who, whom)),
        1 => (1..NAMES.len()).prop_map(Deed::Leave),
        1 => (1..NAMES.len()).prop_map(Deed::Return),
        1 => any::<bool>().prop_map(Deed::Hide),
    ];
    prop::collection::vec(deed, 1..40)
}

/// What was said: the roots of the threads, and all messages in them, each with its thread.
#[derive(Default)]
struct Said {
    roots: Vec<OwnedEventId>,
    inside: Vec<OwnedEventId>,
}

async fn carry_out(scene: &Scene, said: &mut Said, deed: Deed) {
    match deed {
        // Who is not in the room says nothing, which changes nothing.
        Deed::Start(who) => {
            said.roots.extend(scene.send(NAMES[who], "m.room.message", json!({ "body": "root" })).await);
        }
        Deed::GoOn(who, thread) if !said.roots.is_empty() => {
            let root: &OwnedEventId = thread.get(&said.roots);
            said.inside.extend(scene.relate(NAMES[who], "m.thread", root).await);
        }
        Deed::Redact(event) if !said.inside.is_empty() => {
            drop(scene.redact("alice", event.get::<OwnedEventId>(&said.inside)).await.unwrap());
        }
        Deed::Ignore(who, whom) => {
            let whom: Vec<&str> = whom.into_iter().map(|whom| NAMES[whom]).collect();
            scene.ignore(NAMES[who], &whom).await;
        }
        Deed::Leave(who) => drop(scene.rooms.leave(&scene.id, &user(NAMES[who]), None).await),
        Deed::Return(who) if !scene.rooms.room(&scene.id).await.unwrap().current().is_joined(&user(NAMES[who])) => {
            scene.join(NAMES[who]).await;
        }
        Deed::Hide(hides) => {
            let word = if hides { "joined" } else { "shared" };
            let content = json!({ "history_visibility": word });
            scene.set("alice", "m.room.history_visibility", "", content).await.unwrap();
        }
        Deed::GoOn(..) | Deed::Redact(..) | Deed::Return(..) => {}
    }
}

/// Everybody's list is that of the threads in which something is for them, by the newest of that.
async fn check(scene: &Scene, said: &Said) -> Result<(), TestCaseError> {
    for name in NAMES {
        let viewer = {
            let snapshot = scene.rooms.shared.store.snapshot();
            scene.rooms.viewer(&snapshot, &scene.id, &user(name)).await.unwrap()
        };
        let place = async |id: &EventId| {
            let snapshot = scene.rooms.shared.store.snapshot();
            scene.rooms.place(&snapshot, &scene.id, id).await.unwrap()
        };
        let (mut all, mut own) = (Vec::new(), Vec::new());
        for root in &said.roots {
            if !viewer.may_see_place(place(root).await) {
                continue;
            }
            let inside = scene.related(name, root, &RelationType::Thread, 1_000).await.0;
            let Some(newest) = inside.first() else { continue };
            let newest: OwnedEventId = newest.as_str().try_into().unwrap();
            let newest = place(&newest).await;
            all.push((newest, root.clone()));
            let mut spoke = false;
            for id in inside.iter().map(|id| OwnedEventId::try_from(id.as_str()).unwrap()).chain([root.clone()]) {
                let room = scene.rooms.room(&scene.id).await.unwrap();
                let snapshot = scene.rooms.shared.store.snapshot();
                spoke |= scene.rooms.event(&snapshot, &room, &id).await.unwrap().unwrap().event.sender == user(name);
            }
            own.extend(spoke.then(|| (newest, root.clone())));
        }
        for (expected, only_participated) in [(all, false), (own, true)] {
            let mut expected = expected;
            expected.sort_by(|one, two| two.cmp(one));
            let expected: Vec<OwnedEventId> = expected.into_iter().map(|(_, root)| root).collect();
            for limit in [1, 3, 100] {
                let found = scene.threads(name, limit, only_participated).await;
                prop_assert_eq!(&found, &expected, "{} in pages of {}, own {}", name, limit, only_participated);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn threads_are_listed_by_the_newest_event_that_is_for_the_reader(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (scene, mut said) = (scene().await, Said::default());
            for deed in deeds {
                carry_out(&scene, &mut said, deed).await;
            }
            check(&scene, &said).await
        })?;
    }
}
