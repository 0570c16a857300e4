//! Sliding sync and `/sync` over a store in memory: what a client ends up knowing does not depend on which of them it uses.

mod clients;
mod world;

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use self::{
    clients::{Classic, Sliding},
    world::{Deed, World, deeds},
};

/// What the client does between the deeds of people.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody does something.
    Deed(Deed),
    /// The client syncs in the classic way.
    Classic(u64),
    /// The client looks at some places of its list of rooms.
    Look(Glance),
    /// The same, and the answer is lost on its way.
    Lose(Glance),
    /// The sliding client starts anew.
    Restart,
}

/// What a sliding client looks at.
#[derive(Clone, Debug)]
struct Glance {
    range: (u64, u64),
    limit: u64,
    state: usize,
    direct: Option<bool>,
    subscription: Option<Index>,
    with_extensions: bool,
}

fn glances() -> impl Strategy<Value = Glance> {
    let range = (0..3_u64, 0..3_u64).prop_map(|(start, length)| (start, start + length));
    let direct = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let subscription = prop::option::weighted(0.3, any::<Index>());
    let extensions = prop::bool::weighted(0.8);
    (range, 1..4_u64, 0..STATES.len(), direct, subscription, extensions).prop_map(
        |(range, limit, state, direct, subscription, with_extensions)| Glance {
            range,
            limit,
            state,
            direct,
            subscription,
            with_extensions,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => deeds().prop_map(Step::Deed),
        2 => (1..4_u64).prop_map(Step::Classic),
        4 => glances().prop_map(Step::Look),
        1 => glances().prop_map(Step::Lose),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

const STATES: [&[(&str, &str)]; 4] =
    [&[], &[("m.room.topic", "")], &[("m.room.member", "$LAZY"), ("m.room.name", "")], &[("*", "*")]];

impl Glance {
    fn body(&self, world: &World) -> Value {
        let mut filters = json!({});
        if let Some(direct) = self.direct {
            filters["is_dm"] = json!(direct);
        }
        let state = STATES[self.state];
        let list = json!({
            "ranges": [self.range], "timeline_limit": self.limit, "required_state": state, "filters": filters,
        });
        let mut subscriptions = json!({});
        if let Some(index) = &self.subscription
            && !world.rooms().is_empty()
        {
            let room_id = index.get(world.rooms()).to_string();
            subscriptions[room_id] = json!({ "timeline_limit": 2, "required_state": [["m.room.name", ""]] });
        }
        let extensions = if self.with_extensions { every_extension() } else { json!({}) };
        json!({ "lists": { "some": list }, "room_subscriptions": subscriptions, "extensions": extensions })
    }
}

fn every_extension() -> Value {
    let on = json!({ "enabled": true });
    json!({ "account_data": on, "receipts": on, "typing": on, "e2ee": on })
}

/// What a client asks for that wants to know everything.
fn everything() -> Value {
    let list = json!({ "timeline_limit": 3, "required_state": [["*", "*"]] });
    json!({ "lists": { "all": list }, "extensions": every_extension() })
}

async fn play(steps: Vec<Step>) {
    let mut world = World::new().await;
    let (mut classic, mut sliding) = (Classic::default(), Sliding::default());
    for step in steps {
        match step {
            Step::Deed(deed) => world.happen(deed).await,
            Step::Classic(limit) => classic.sync(&world, limit).await,
            Step::Look(glance) => sliding.sync(&world, glance.body(&world)).await,
            Step::Lose(glance) => drop(sliding.ask(&world, glance.body(&world)).await),
            Step::Restart => sliding = Sliding::default(),
        }
    }
    classic.sync(&world, 3).await;
    sliding.sync(&world, everything()).await;
    let unsure = world.unsure().await;
    sliding.known.expect_same(&classic.known, &unsure);
    // What a client that starts now learns is the same as well.
    let mut newcomer = Sliding::named("newcomer");
    newcomer.sync(&world, everything()).await;
    newcomer.known.expect_same(&classic.known, &unsure);
    // With everything told there is nothing left to tell.
    let rest = sliding.ask(&world, everything()).await;
    assert_eq!((&rest["rooms"], &rest["extensions"]["receipts"]), (&Value::Null, &Value::Null), "{rest}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn both_ways_to_sync_lead_to_the_same_knowledge(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
