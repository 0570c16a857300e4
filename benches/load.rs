//! What the server costs under load, over HTTP, as a table: `cargo bench --bench load`.
//!
//! Each line gives the time that the load took, seen by the clients, and the processor time that the server spent on it.
//! `COMMONROOM_LOAD_ROOMS=10000` adds somebody who is in that many rooms, which takes some minutes.
//! `COMMONROOM_BINARY=target/release/commonroom cargo bench --profile dev --bench load` loads a server that is there already.
//! Machines differ and are noisy: compare two runs on the same machine, not two tables. Writes are fsynced.

#[allow(dead_code, unused_imports, reason = "a load needs less than the stories do")]
#[path = "../tests/stories/support/mod.rs"]
mod support;

use std::{
    fs,
    future::Future,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{Server, User, encode};

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` runs benchmarks too, without this argument; a load is no test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return println!("run it with: cargo bench --bench load");
    }
    // As an operator runs it; the stories log more.
    let mut server = Server::start_with("[log]\nlevel = \"info\"").await;
    println!("{:<48} {:>12} {:>14} {:>16}", "load", "in all", "per second", "server CPU each");
    start(&mut server).await;
    println!("{:<48} {:>9.1} MB", "memory of the idle server", server.resident_megabytes());
    messages(&server).await;
    delivery(&server).await;
    many_rooms(&server).await;
    large_room(&server).await;
    if let Some(rooms) = std::env::var("COMMONROOM_LOAD_ROOMS").ok().and_then(|number| number.parse().ok()) {
        in_rooms(&server, rooms).await;
    }
    println!("{:<48} {:>9.1} MB", "memory after the run", server.resident_megabytes());
    let binary = fs::metadata(Server::binary()).expect("the binary is there").len();
    println!("{:<48} {:>9.1} MB", "size of the binary", binary as f64 / 1e6);
}

/// From the start of the process to its first answer, on data that exists.
async fn start(server: &mut Server) {
    let mut times = Vec::new();
    for _ in 0..5 {
        server.stop().await;
        let started = Instant::now();
        server.start_again().await;
        times.push(started.elapsed());
    }
    times.sort();
    println!("{:<48} {:>9.1} ms", "from start to the first answer (median of 5)", times[2].as_secs_f64() * 1e3);
}

async fn messages(server: &Server) {
    let people = register(server, "sender", 20).await;
    let mut rooms = Vec::new();
    for person in &people {
        rooms.push(person.create_room().await);
    }
    let shared = people[0].create_room_with(json!({"preset": "public_chat"})).await;
    for person in &people[1..] {
        person.join(&shared).await;
    }
    say(&people[0], &rooms[0], 100).await;
    measure(server, "a message: one sender", 1_000, say(&people[0], &rooms[0], 1_000)).await;
    let apart = all(people.iter().zip(&rooms).map(|(person, room)| say(person, room, 200)));
    measure(server, "a message: 20 senders in 20 rooms", 4_000, apart).await;
    let together = all(people.iter().map(|person| say(person, &shared, 200)));
    measure(server, "a message: 20 senders in one room", 4_000, together).await;
    let page = format!("rooms/{}/messages?dir=b&limit=100", encode(&rooms[0]));
    measure(server, "a page of 100 messages", 200, repeat(200, async || drop(people[0].get(&page).await.expect_ok())))
        .await;
}

/// One speaks, fifty wait: the cost of telling one of them.
async fn delivery(server: &Server) {
    let people = register(server, "listener", 50).await;
    let speaker = server.register("speaker").await;
    let room = speaker.create_room_with(json!({"preset": "public_chat"})).await;
    for person in &people {
        person.join(&room).await;
    }
    let listen = |person: &'static User| async {
        let mut sync = person.sync().await;
        // Until the last one, since an answer leaves some out where many came at once.
        while !sync.texts(&room).contains(&"99") {
            sync = person.wait_since(sync.next_batch(), Duration::from_secs(30)).await;
        }
    };
    let people: &'static [User] = people.leak();
    let listening = all(people.iter().map(listen));
    let speaking = async {
        for number in 0..100 {
            speaker.send_text(&room, &number.to_string()).await;
            tokio::task::yield_now().await;
        }
    };
    measure(server, "delivery to one of 50 long-polling members", 5_000, async { tokio::join!(listening, speaking) })
        .await;
}

async fn many_rooms(server: &Server) {
    let people = register(server, "member", 6).await;
    let mut rooms = Vec::new();
    for _ in 0..200 {
        let room = people[0].create_room_with(json!({"preset": "public_chat"})).await;
        for person in &people[1..] {
            person.join(&room).await;
        }
        say(&people[1], &room, 20).await;
        rooms.push(room);
    }
    let reader = &people[0];
    let initial = repeat(20, async || drop(reader.sync().await));
    measure(server, "initial sync of 200 rooms", 20, initial).await;
    let since = reader.sync().await.next_batch().to_owned();
    let nothing = repeat(500, async || drop(reader.sync_since(&since).await));
    measure(server, "incremental sync of 200 rooms: nothing new", 500, nothing).await;
    sliding(server, reader, &people[1], &rooms).await;
    let news = async {
        let mut since = since.clone();
        for number in 0..200 {
            people[1].send_text(&rooms[number % 200], "news").await;
            since = reader.sync_since(&since).await.next_batch().to_owned();
        }
    };
    measure(server, "incremental sync of 200 rooms: one message, sent", 200, news).await;
}

/// Rooms by sliding sync, of which the client looks at the newest 20.
async fn sliding(server: &Server, reader: &User, speaker: &User, rooms: &[String]) {
    let ask = async |pos: &str| {
        let query = if pos.is_empty() { String::new() } else { format!("?pos={pos}") };
        let state = json!([["m.room.create", ""], ["m.room.member", "$LAZY"]]);
        let list = json!({"ranges": [[0, 19]], "timeline_limit": 1, "required_state": state});
        let on = json!({"enabled": true});
        let extensions = json!({"to_device": on, "e2ee": on, "account_data": on, "receipts": on, "typing": on});
        let path = format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync{query}");
        let answer = reader.post(&path, json!({"lists": {"rooms": list}, "extensions": extensions})).await.expect_ok();
        answer["pos"].as_str().expect("every answer has a position").to_owned()
    };
    let initial = repeat(50, async || drop(ask("").await));
    measure(server, "sliding sync: the newest 20 rooms", 50, initial).await;
    let mut pos = ask("").await;
    let nothing = repeat(500, async || pos = ask(&pos).await);
    measure(server, "sliding sync: nothing new", 500, nothing).await;
    let news = async {
        let mut pos = pos.clone();
        for room in rooms {
            speaker.send_text(room, "news").await;
            pos = ask(&pos).await;
        }
    };
    measure(server, "sliding sync: one message, sent", 200, news).await;
}

/// Somebody in very many rooms: what happens in one of them must not cost more than if they were in few.
async fn in_rooms(server: &Server, count: usize) {
    let (reader, speaker) = (server.register("reader").await, server.register("talker").await);
    let mut rooms = Vec::new();
    for _ in 0..count {
        let room = reader.create_room_with(json!({"preset": "public_chat"})).await;
        speaker.join(&room).await;
        rooms.push(room);
    }
    println!("in {count} rooms:");
    let recent = &rooms[count.saturating_sub(200)..];
    sliding(server, &reader, &speaker, recent).await;
    let mut since = String::new();
    let whole = async { since = reader.sync().await.next_batch().to_owned() };
    measure(server, "initial sync of all", 1, whole).await;
    say(&speaker, &recent[0], 1).await;
    let news = async {
        for room in recent {
            speaker.send_text(room, "news").await;
            since = reader.sync_since(&since).await.next_batch().to_owned();
        }
    };
    measure(server, "incremental sync: one message, sent", 200, news).await;
}

async fn large_room(server: &Server) {
    let people = register(server, "crowd", 500).await;
    let room = people[0].create_room_with(json!({"preset": "public_chat"})).await;
    let joining = async {
        for person in &people[1..] {
            person.join(&room).await;
        }
    };
    measure(server, "joining a room of up to 500", 499, joining).await;
    let members = format!("rooms/{}/members", encode(&room));
    measure(server, "listing 500 members", 50, repeat(50, async || drop(people[0].get(&members).await.expect_ok())))
        .await;
}

async fn register(server: &Server, name: &str, count: usize) -> Vec<User> {
    let mut people = Vec::new();
    for number in 0..count {
        people.push(server.register(&format!("{name}{number}")).await);
    }
    people
}

async fn say(person: &User, room: &str, count: usize) {
    for number in 0..count {
        person.send_text(room, &format!("message number {number}, about as long as people write them in a chat")).await;
    }
}

async fn repeat(count: usize, mut once: impl AsyncFnMut()) {
    for _ in 0..count {
        once().await;
    }
}

/// Runs the futures at the same time.
async fn all(futures: impl IntoIterator<Item = impl Future>) {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Runs a load of `count` operations and prints what it took.
async fn measure(server: &Server, name: &str, count: u32, load: impl Future) {
    let (started, spent) = (Instant::now(), server.processor_time());
    load.await;
    let (took, spent) = (started.elapsed(), server.processor_time() - spent);
    let each = spent.as_secs_f64() * 1e3 / f64::from(count);
    let rate = f64::from(count) / took.as_secs_f64();
    println!("{name:<48} {:>10.2} s {rate:>12.0}/s {each:>13.3} ms", took.as_secs_f64());
}
