//! Whatever people do in a room and whatever is forgotten meanwhile, the counts are the same.

use proptest::{prelude::*, sample::Index, test_runner::TestCaseError};
use ruma::{
    UserId,
    events::receipt::ReceiptThread,
    push::{NewPushRule, NewSimplePushRule, RuleKind},
};
use serde_json::{Value, json, value::to_raw_value};

use super::{Scene, mention, people};
use crate::users::Place;

/// Something that somebody does.
#[derive(Clone, Debug)]
enum Deed {
    Say {
        who: usize,
        about: Option<(&'static str, Index)>,
        mentions: usize,
    },
    Read {
        who: usize,
        event: Index,
        thread: Option<Option<Index>>,
    },
    Come {
        who: usize,
    },
    Go {
        who: usize,
    },
    Mute {
        who: usize,
        muted: bool,
    },
    Ignore {
        who: usize,
        whom: Option<usize>,
    },
    TakePower {
        taken: bool,
    },
    /// The memory is lost.
    Forget,
    /// Everybody asks for their counts.
    Ask,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let who = || 0..people().len();
    let relation = prop::option::of((
        prop::sample::select(vec!["m.thread", "m.thread", "m.replace", "m.reference", "m.annotation"]),
        any::<Index>(),
    ));
    let thread = prop::option::of(prop::option::of(any::<Index>()));
    let deed = prop_oneof![
        10 => (who(), relation, 0..4_usize).prop_map(|(who, about, mentions)| Deed::Say { who, about, mentions }),
        4 => (who(), any::<Index>(), thread).prop_map(|(who, event, thread)| Deed::Read { who, event, thread }),
        2 => who().prop_map(|who| Deed::Come { who }),
        1 => who().prop_map(|who| Deed::Go { who }),
        1 => (who(), any::<bool>()).prop_map(|(who, muted)| Deed::Mute { who, muted }),
        1 => (who(), prop::option::of(who())).prop_map(|(who, whom)| Deed::Ignore { who, whom }),
        1 => any::<bool>().prop_map(|taken| Deed::TakePower { taken }),
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
            Deed::Say { who, about, mentions } => self.try_to_say(people()[who], about, mentions).await,
            Deed::Read { who, event, thread } if !self.sent.is_empty() => {
                let thread = match thread {
                    None => ReceiptThread::Unthreaded,
                    Some(None) => ReceiptThread::Main,
                    Some(Some(root)) => ReceiptThread::Thread(root.get(&self.sent).clone()),
                };
                drop(self.read(people()[who], thread, event.get(&self.sent)).await);
            }
            Deed::Come { who } => drop(rooms.join(&self.id, people()[who], None).await),
            // Somebody has to stay, or the room dies.
            Deed::Go { who: 0 } => {}
            Deed::Go { who } => drop(rooms.leave(&self.id, people()[who], None).await),
            Deed::Mute { who, muted } => {
                let rules = &rooms.shared.push_rules;
                let mute = NewPushRule::Room(NewSimplePushRule::new(self.id.clone(), vec![]));
                match muted {
                    true => rules.put(people()[who], mute, Place::default()).await.unwrap(),
                    false => drop(rules.remove(people()[who], RuleKind::Room, self.id.as_str()).await),
                }
            }
            Deed::Ignore { who, whom } => {
                let ignored: Value = whom.map(|whom| (people()[whom].to_string(), json!({}))).into_iter().collect();
                let content = to_raw_value(&json!({ "ignored_users": ignored })).unwrap();
                rooms.shared.account_data.set(people()[who], None, "m.ignored_user_list", content).await.unwrap();
            }
            Deed::TakePower { taken } => self.give_power_to_call(if taken { 75 } else { 0 }).await,
            Deed::Forget => self.forget(),
            Deed::Read { .. } | Deed::Ask => {}
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
        self.say(who, content).await;
    }

    /// Everybody's counts, which are the same when the memory of them is lost.
    async fn check(&self) -> Result<(), TestCaseError> {
        for who in people() {
            let remembered = self.unread(who).await;
            let known = self.rooms.shared.unread.folds.get(&(who.to_owned(), self.id.clone()));
            self.rooms.shared.unread.folds.remove(&(who.to_owned(), self.id.clone()));
            let anew = self.unread(who).await;
            prop_assert_eq!(remembered, anew, "{}", who);
            // The memory stays as old as it was, so that it has further to go next time.
            if let Some(known) = known {
                self.rooms.shared.unread.folds.insert((who.to_owned(), self.id.clone()), known);
            }
        }
        Ok(())
    }
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
