//! People of every relation that one can have to a room, and rooms of every history visibility with the same plot.

use serde_json::{Value, json};

use super::rule::{Event, Reader};
use crate::support::{Server, User, encode};

/// How many parts the plot has.
pub const PHASES: usize = 5;

/// What somebody does, or has done to them, at the beginning of a part of the plot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Invited,
    /// Invited and joined at once.
    Joins,
    /// Joins by an earlier invitation.
    Accepts,
    Leaves,
    Kicked,
    Banned,
    Unbanned,
    Knocks,
    Forgets,
}

/// Each person's name and what happens to them, by part.
const PLOT: &[(&str, &[(usize, Deed)])] = &[
    ("stranger", &[]),
    ("early", &[(1, Deed::Joins)]),
    ("ignorer", &[(1, Deed::Joins)]),
    ("late", &[(3, Deed::Joins)]),
    ("invited", &[(2, Deed::Invited)]),
    ("patient", &[(1, Deed::Invited), (3, Deed::Accepts)]),
    ("declining", &[(1, Deed::Invited), (3, Deed::Leaves)]),
    ("uninvited", &[(1, Deed::Invited), (3, Deed::Kicked)]),
    ("leaver", &[(1, Deed::Joins), (3, Deed::Leaves)]),
    ("kicked", &[(1, Deed::Joins), (3, Deed::Kicked)]),
    ("banned", &[(1, Deed::Joins), (3, Deed::Banned)]),
    ("outlaw", &[(2, Deed::Banned)]),
    ("pardoned", &[(1, Deed::Joins), (2, Deed::Banned), (4, Deed::Unbanned)]),
    ("knocking", &[(2, Deed::Knocks)]),
    ("admitted", &[(1, Deed::Knocks), (3, Deed::Joins)]),
    ("returning", &[(1, Deed::Joins), (2, Deed::Leaves), (4, Deed::Joins)]),
    ("recalled", &[(1, Deed::Joins), (2, Deed::Leaves), (3, Deed::Invited)]),
    ("forgetful", &[(1, Deed::Joins), (3, Deed::Leaves), (4, Deed::Forgets)]),
];

/// The history visibility in each part of the plot, one line for each room.
const ROOMS: &[(&str, [&str; PHASES])] = &[
    ("shared", ["shared"; PHASES]),
    ("joined", ["joined"; PHASES]),
    ("invited", ["invited"; PHASES]),
    ("world", ["world_readable"; PHASES]),
    ("closing", ["world_readable", "shared", "invited", "joined", "joined"]),
    ("opening", ["joined", "joined", "invited", "shared", "world_readable"]),
    ("changing", ["shared", "joined", "world_readable", "joined", "shared"]),
];

/// A person of the plot.
pub struct Person {
    pub name: &'static str,
    pub user: User,
    /// A token of the syncs at the end of each part.
    pub tokens: Vec<String>,
    ignores: Option<String>,
}

impl Person {
    /// As the rule sees them.
    pub fn reader(&self) -> Reader<'_> {
        Reader { id: &self.user.id, ignores: self.ignores.as_deref(), forgot: self.name == "forgetful" }
    }
}

/// A room of the plot after its end.
pub struct Room {
    pub name: &'static str,
    pub id: String,
    /// Everything that happened, in order.
    pub events: Vec<Event>,
}

/// Plays the whole plot.
pub async fn play(server: &Server) -> (Vec<Person>, Vec<Room>) {
    let owner = server.register("owner").await;
    let pest = server.register("pest").await;
    let mut people = Vec::new();
    for (name, _) in PLOT {
        let user = server.register(name).await;
        let ignores = (*name == "ignorer").then(|| pest.id.clone());
        if let Some(ignored) = &ignores {
            let path = format!("user/{}/account_data/m.ignored_user_list", encode(&user.id));
            user.put(&path, json!({"ignored_users": {ignored: {}}})).await.expect_ok();
        }
        people.push(Person { name, user, tokens: Vec::new(), ignores });
    }
    let stages = ROOMS.iter().map(|(name, visibilities)| Stage::open(&owner, &pest, name, visibilities));
    let mut stages = futures_util::future::join_all(stages).await;
    for phase in 0..PHASES {
        futures_util::future::join_all(stages.iter_mut().map(|stage| stage.act(phase, &people))).await;
        for person in &mut people {
            person.tokens.push(person.user.sync().await.next_batch().to_owned());
        }
    }
    let rooms = futures_util::future::join_all(stages.into_iter().map(Stage::close)).await;
    (people, rooms)
}

/// A room while the plot is played.
struct Stage<'a> {
    owner: &'a User,
    pest: &'a User,
    name: &'static str,
    visibilities: &'static [&'static str; PHASES],
    id: String,
    /// The message that starts a thread and is edited in the end.
    root: String,
}

impl<'a> Stage<'a> {
    async fn open(
        owner: &'a User,
        pest: &'a User,
        name: &'static str,
        visibilities: &'static [&'static str; PHASES],
    ) -> Self {
        let state = json!([
            {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": visibilities[0]}},
            {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}},
        ]);
        let id = owner.create_room_with(json!({"preset": "private_chat", "initial_state": state})).await;
        owner.invite(&id, pest).await;
        pest.join(&id).await;
        let root = owner.send_text(&id, &format!("mark-{name}-root-end")).await;
        Self { owner, pest, name, visibilities, id, root }
    }

    /// One part of the plot: the visibility changes, people come and go, and then something is said in every way.
    async fn act(&mut self, phase: usize, people: &[Person]) {
        if phase > 0 && self.visibilities[phase] != self.visibilities[phase - 1] {
            let content = json!({"history_visibility": self.visibilities[phase]});
            self.owner.set_state(&self.id, "m.room.history_visibility", "", content).await;
        }
        for (person, (_, deeds)) in people.iter().zip(PLOT) {
            for (_, deed) in deeds.iter().filter(|(when, _)| *when == phase) {
                self.perform(phase, &person.user, person.name, *deed).await;
            }
        }
        let (id, mark) = (&self.id, |kind: &str| format!("mark-{}-{phase}-{kind}-end", self.name));
        self.owner.send_text(id, &mark("text")).await;
        self.owner.set_state(id, "org.example.mark", &format!("{phase}"), json!({"is": mark("state")})).await;
        self.owner.set_state(id, "org.example.changing", "", json!({"is": mark("changing")})).await;
        self.pest.send_text(id, &mark("pest")).await;
        let relation = json!({"rel_type": "m.thread", "event_id": self.root});
        let reply = json!({"msgtype": "m.text", "body": mark("reply"), "m.relates_to": relation});
        self.owner.send_event(id, "m.room.message", reply).await;
        let regretted = self.owner.send_text(id, &mark("taken_back")).await;
        self.owner.redact(id, &regretted).await;
        let regretted = self.owner.set_state(id, "org.example.regret", "", json!({"is": mark("taken_back_too")})).await;
        self.owner.redact(id, &regretted).await;
        if phase == PHASES - 1 {
            let new = json!({"msgtype": "m.text", "body": mark("edit")});
            let relation = json!({"rel_type": "m.replace", "event_id": self.root});
            let edit =
                json!({"msgtype": "m.text", "body": mark("edit"), "m.new_content": new, "m.relates_to": relation});
            self.owner.send_event(id, "m.room.message", edit).await;
        }
    }

    async fn perform(&self, phase: usize, user: &User, name: &str, deed: Deed) {
        let reason = |what: &str| format!("mark-{}-{phase}-{name}_{what}-end", self.name);
        let by_owner = async |action: &str| {
            let body = json!({"user_id": user.id, "reason": reason(action)});
            self.owner.act(&self.id, action, body).await.expect_ok();
        };
        let by_user = async |action: &str| {
            user.act(&self.id, action, json!({"reason": reason(action)})).await.expect_ok();
        };
        match deed {
            Deed::Invited => by_owner("invite").await,
            Deed::Joins => {
                by_owner("invite").await;
                by_user("join").await;
            }
            Deed::Accepts => by_user("join").await,
            Deed::Leaves => by_user("leave").await,
            Deed::Kicked => by_owner("kick").await,
            Deed::Banned => by_owner("ban").await,
            Deed::Unbanned => by_owner("unban").await,
            Deed::Forgets => by_user("forget").await,
            Deed::Knocks => {
                let path = format!("knock/{}", encode(&self.id));
                user.post(&path, json!({"reason": reason("knock")})).await.expect_ok();
            }
        }
    }

    /// The end: the owner, who was there all the time, has the whole history.
    async fn close(self) -> Room {
        let mut events: Vec<Value> = self.owner.messages(&self.id, 1_000).await;
        events.reverse();
        assert_eq!(events[0]["type"], "m.room.create", "the history is whole");
        Room { name: self.name, id: self.id, events: events.iter().map(Event::of).collect() }
    }
}
