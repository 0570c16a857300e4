//! How long it takes to find people as somebody types, among a hundred thousand: `cargo run --release --example people_search`.
//!
//! Everything but HTTP is on the way: the names, the searcher's rooms, the profiles of those who are shown. The first line is
//! the first search after a start, which reads everybody's names once.

use std::time::{Duration, Instant};

use commonroom::{
    clock::Clock,
    config::{self, Config},
    matrix::signing::SigningKey,
    rooms::{NoticeSettings, Rooms, Settings},
    search::{People, PeopleSettings},
    storage::{Durability, StorageOptions, Store},
    streams::{Ephemerals, Notifier},
    users::{Admission, NewAccount, Users},
};
use ruma::{
    OwnedUserId, RoomVersionId,
    api::client::room::create_room::v3::{Request, RoomPreset},
    owned_user_id, user_id,
};
use tokio::task::JoinSet;

const PEOPLE: usize = 100_000;
const FIRST: [&str; 40] = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Élise",
    "Felix",
    "Greta",
    "Hugo",
    "Ida",
    "Jonas",
    "Karin",
    "Leon",
    "Müşerref",
    "Nora",
    "Otto",
    "Paula",
    "Quentin",
    "Rosa",
    "Søren",
    "Tom",
    "Uschi",
    "Viktor",
    "Wanda",
    "Xenia",
    "Yusuf",
    "Zoë",
    "Ágnes",
    "Boris",
    "Carmen",
    "Dmitri",
    "Emma",
    "François",
    "Giulia",
    "Hannah",
    "Iván",
    "Jürgen",
    "Katarzyna",
    "Łukasz",
    "Maria",
    "Noël",
];
const SYLLABLES: [&str; 24] = [
    "ber", "mann", "stein", "ski", "son", "ler", "hof", "mey", "schu", "fisch", "wag", "ner", "kow", "lin", "bau",
    "er", "ro", "ssi", "tan", "aka", "vic", "ez", "gar", "cia",
];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let durability = Durability::Relaxed { interval: Duration::from_secs(10) };
    let options = StorageOptions { durability, ..StorageOptions::default() };
    let store = Store::open(folder.path(), &options).expect("the folder is new");
    let (users, rooms) = services(&store);
    register(&users).await;
    let searcher = user_id!("@person0:example.org");
    for size in [20, 200, 2_000] {
        let mut request = Request::new();
        request.preset = Some(RoomPreset::PublicChat);
        let room = rooms.create(searcher, request).await.expect("a room is made");
        for number in 1..size {
            rooms.join(&room, &person(number * 7), None).await.expect("anybody may join");
        }
    }
    for everyone in [false, true] {
        let settings = PeopleSettings { everyone };
        let people =
            People::new(store.clone(), users.accounts.clone(), users.profiles.clone(), rooms.clone(), settings);
        let started = Instant::now();
        people.find(searcher, "nobody at all", 10).await.expect("names are read");
        println!("show_all_users = {everyone}: first search {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
        measure(&people, searcher).await;
    }
}

/// Types names letter by letter.
async fn measure(people: &People, searcher: &ruma::UserId) {
    let mut times = Vec::new();
    let names =
        (0..400).map(|number| display_name(number * 211)).chain((0..40).map(|number| format!("person{number}7")));
    for name in names {
        for (end, _) in name.char_indices().skip(1) {
            let started = Instant::now();
            people.find(searcher, &name[..end], 10).await.expect("people can be found");
            times.push((started.elapsed(), name[..end].to_owned()));
        }
    }
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].0.as_secs_f64() * 1e3;
    let slowest = &times[times.len() - 1].1;
    println!(
        "  {} keystrokes: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, slowest {:.2} ms ({slowest:?})",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
    );
}

fn person(number: usize) -> OwnedUserId {
    format!("@person{number}:example.org").try_into().expect("it is an id")
}

fn display_name(number: usize) -> String {
    let syllable = |number: usize| SYLLABLES[number % SYLLABLES.len()];
    let first = FIRST[number % FIRST.len()];
    format!("{first} {}{}{}", syllable(number / 40), syllable(number / 960), syllable(number / 23))
}

async fn register(users: &Users) {
    let mut registering = JoinSet::new();
    for number in 0..PEOPLE {
        if registering.len() >= 256 {
            registering.join_next().await;
        }
        let registration = users.registration.clone();
        registering.spawn(async move {
            let new = NewAccount {
                username: Some(format!("person{number}")),
                password: None,
                display_name: Some(display_name(number)),
                admission: Admission::Open,
            };
            registration.register(new).await.expect("the name is free");
        });
    }
    registering.join_all().await;
}

fn services(store: &Store) -> (Users, Rooms) {
    let text = "server_name = \"example.org\"\ndata_dir = \"data\"\n[registration]\nmode = \"open\"";
    let config = Config::read(text, "".as_ref(), []).expect("the configuration is whole");
    let (notifier, clock) = (Notifier::default(), Clock::system());
    let users = Users::new(store, &notifier, &clock, &config, &[]).expect("passwords can be hashed");
    let settings = Settings {
        server_name: config.server_name.clone(),
        default_version: RoomVersionId::V12,
        default_history_visibility: config::HistoryVisibility::Joined,
        server_notices: NoticeSettings {
            sender: owned_user_id!("@_server:example.org"),
            room_name: "Server notices".to_owned(),
            avatar_url: None,
        },
    };
    let rooms =
        Rooms::new(store.clone(), clock, notifier, Ephemerals::new(1), &users, SigningKey::generate(), settings);
    (users, rooms)
}
