//! How fast messages get into the search index and are found, with 200,000 of them in 500 rooms, for somebody who is in 50:
//! `cargo run --release --example message_search`.
//!
//! Everything but HTTP is on the way: the index, what the searcher may see, the messages with their edits. Words are as frequent
//! as in languages: the second comes half as often as the first, the third a third as often.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use commonroom::{
    clock::Clock,
    config::{self, Config},
    matrix::signing::SigningKey,
    rooms::{NoticeSettings, Reader, Rooms, Settings},
    search::Search,
    shutdown::Shutdown,
    storage::{Durability, StorageOptions, Store},
    streams::{Ephemerals, Notifier},
    users::Users,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use ruma::{
    OwnedRoomId, RoomVersionId, TransactionId, UInt, UserId,
    api::client::{
        room::create_room::v3::{Request, RoomPreset},
        search::search_events::v3::{Criteria, OrderBy},
    },
    device_id, owned_user_id, user_id,
};
use serde_json::{json, value::to_raw_value};
use tokio::task::JoinSet;

const ROOMS: usize = 500;
const OWN_ROOMS: usize = 50;
const MESSAGES: usize = 200_000;
const WORDS: usize = 20_000;
const SEARCHES: usize = 300;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let durability = Durability::Relaxed { interval: Duration::from_secs(10) };
    let options = StorageOptions { durability, ..StorageOptions::default() };
    let store = Store::open(&folder.path().join("database"), &options).expect("the folder is new");
    let notifier = Notifier::default();
    let rooms = rooms(&store, &notifier);
    let (speaker, searcher) = (user_id!("@speaker:example.org"), user_id!("@searcher:example.org"));
    let own = fill(&rooms, speaker, searcher).await;

    let index = folder.path().join("search");
    let shutdown = Shutdown::default();
    let settings = config::Search::default();
    let search =
        Search::new(&settings, &index, store.clone(), rooms.clone(), notifier, shutdown).expect("there is room");
    let started = Instant::now();
    tokio::spawn(search.clone().follow());
    let reader = Reader { user: searcher, device: device_id!("D") };
    // A search waits only for a while.
    loop {
        let found = search.messages(reader, &criteria("welcome to the last room"), None).await.expect("it searches");
        if found.count == Some(UInt::from(1u32)) {
            break;
        }
    }
    let took = started.elapsed().as_secs_f64();
    println!("{MESSAGES} messages indexed in {took:.1} s: {:.0} a second", MESSAGES as f64 / took);
    println!("the index has {:.1} MB", megabytes(&index));

    let mut random = StdRng::seed_from_u64(1);
    for (name, count) in [("frequent words", 20), ("words", 1_000), ("rare words", WORDS)] {
        measure(&search, reader, name, || format!("{} ", word(random.random_range(0..count)))).await;
    }
    measure(&search, reader, "two words", || {
        format!("{} {} ", word(random.random_range(0..100)), word(random.random_range(0..100)))
    })
    .await;
    measure(&search, reader, "beginnings of three letters", || word(random.random_range(0..WORDS))[..3].to_owned())
        .await;
    measure(&search, reader, "two words in quotation marks", || {
        format!("\"{} {}\"", word(random.random_range(0..30)), word(random.random_range(0..30)))
    })
    .await;
    // What was just said is found, which takes a commit of the index.
    let mut number = 0;
    measure_each(&search, reader, "right after a message", 50, async || {
        number += 1;
        say(&rooms, &own, speaker, [format!("news{number}")]).await;
        format!("news{number} ")
    })
    .await;
}

/// Fills the rooms, of which the searcher is in some, and gives one of these.
async fn fill(rooms: &Rooms, speaker: &UserId, searcher: &UserId) -> OwnedRoomId {
    let mut random = StdRng::seed_from_u64(0);
    let mut own = None;
    for number in 0..ROOMS {
        let mut request = Request::new();
        request.preset = Some(RoomPreset::PublicChat);
        let room = rooms.create(speaker, request).await.expect("a room is made");
        if number % (ROOMS / OWN_ROOMS) == 0 {
            rooms.join(&room, searcher, None).await.expect("anybody may join");
            own = Some(room.clone());
        }
        let texts = (0..MESSAGES / ROOMS).map(|_| text(&mut random)).collect::<Vec<_>>();
        say(rooms, &room, speaker, texts).await;
    }
    let own = own.expect("there are rooms");
    say(rooms, &own, speaker, ["Welcome to the last room".to_owned()]).await;
    own
}

async fn say(rooms: &Rooms, room: &OwnedRoomId, speaker: &UserId, texts: impl IntoIterator<Item = String>) {
    let mut sending = JoinSet::new();
    for text in texts {
        if sending.len() >= 64 {
            sending.join_next().await;
        }
        let (rooms, room, speaker) = (rooms.clone(), room.clone(), speaker.to_owned());
        let content = to_raw_value(&json!({ "msgtype": "m.text", "body": text })).expect("it is JSON");
        let transaction = TransactionId::new();
        sending.spawn(async move {
            let sender = (&*speaker, device_id!("D"));
            let sent = rooms.send_message(&room, sender, "m.room.message".into(), &transaction, content).await;
            sent.expect("the speaker may speak");
        });
    }
    sending.join_all().await;
}

/// A message of up to 20 words.
fn text(random: &mut StdRng) -> String {
    let count = random.random_range(3..20);
    let words = (0..count).map(|_| word((WORDS as f64).powf(random.random::<f64>()) as usize - 1));
    words.collect::<Vec<_>>().join(" ")
}

fn word(number: usize) -> String {
    const SYLLABLES: [&str; 20] = [
        "ka", "to", "mi", "ren", "su", "lo", "pa", "dei", "vo", "ni", "sha", "bel", "gur", "tam", "ost", "li", "fe",
        "rud", "hin", "zo",
    ];
    let (mut word, mut rest) = (String::new(), number + 20);
    while rest > 0 {
        word.push_str(SYLLABLES[rest % SYLLABLES.len()]);
        rest /= SYLLABLES.len();
    }
    word
}

/// What a client asks for: the newest ten, each with its neighbours.
fn criteria(text: &str) -> Criteria {
    let mut criteria = Criteria::new(text.to_owned());
    criteria.order_by = Some(OrderBy::Recent);
    criteria.event_context.before_limit = UInt::from(1u32);
    criteria.event_context.after_limit = UInt::from(1u32);
    criteria
}

async fn measure(search: &Search, reader: Reader<'_>, name: &str, mut text: impl FnMut() -> String) {
    measure_each(search, reader, name, SEARCHES, async || text()).await;
}

async fn measure_each(
    search: &Search,
    reader: Reader<'_>,
    name: &str,
    searches: usize,
    mut text: impl AsyncFnMut() -> String,
) {
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..searches {
        let criteria = criteria(&text().await);
        let started = Instant::now();
        let answer = search.messages(reader, &criteria, None).await.expect("it searches");
        times.push(started.elapsed());
        found += u64::from(answer.count.unwrap_or_default());
    }
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let found = found / searches as u64;
    println!("{name:<30} p50 {:>6.2} ms, p99 {:>6.2} ms, {found} found on average", at(0.5), at(0.99));
}

fn megabytes(folder: &Path) -> f64 {
    let entries = fs::read_dir(folder).expect("it is a folder").map(|entry| entry.expect("it can be read"));
    let sizes = entries.map(|entry| match entry.metadata().expect("it can be read") {
        kind if kind.is_dir() => megabytes(&entry.path()),
        file => file.len() as f64 / 1e6,
    });
    sizes.sum()
}

fn rooms(store: &Store, notifier: &Notifier) -> Rooms {
    let text = "server_name = \"example.org\"\ndata_dir = \"data\"\n[registration]\nmode = \"open\"";
    let config = Config::read(text, "".as_ref(), []).expect("the configuration is whole");
    let clock = Clock::system();
    let users = Users::new(store, notifier, &clock, &config, &[]).expect("passwords can be hashed");
    let settings = Settings {
        server_name: config.server_name.clone(),
        default_version: RoomVersionId::V12,
        default_history_visibility: config::HistoryVisibility::Preset,
        server_notices: NoticeSettings {
            sender: owned_user_id!("@_server:example.org"),
            room_name: "Server notices".to_owned(),
            avatar_url: None,
        },
    };
    let (key, ephemerals) = (SigningKey::generate(), Ephemerals::new(1));
    Rooms::new(store.clone(), clock, notifier.clone(), ephemerals, &users, key, settings)
}
