//! Whom the hostile requests are aimed at: a person with secrets, whose data must neither show up elsewhere nor change.

use serde_json::{Value, json};

use super::valid::Names;
use crate::support::{Server, User, encode, mail_server::MailServer};

/// What every secret starts with; no request contains it, so that no answer to others may.
pub const SECRET: &str = "zqsecret";

/// The person with their friend, and what is theirs.
pub struct Victim {
    pub user: User,
    friend: User,
    room: String,
    version: String,
    filter: String,
    file: String,
}

fn secret(name: &str) -> String {
    format!("{SECRET}-{name}")
}

impl Victim {
    /// Makes the accounts and their data, and tells the ids in `names`.
    pub async fn new(server: &Server, mail: &MailServer, names: &mut Names) -> Self {
        let (user, friend) = (server.register("victim").await, server.register("friend").await);
        let room = user.create_room_with(json!({"name": secret("name"), "topic": secret("topic")})).await;
        user.invite(&room, &friend).await;
        friend.join(&room).await;
        for event in talk(&user, &friend, &room).await {
            names.add("event", event);
        }
        keep_settings(&user, &room).await;
        have_address(server, mail, &user).await;
        let version = back_up(&user).await;
        let filter = json!({"room": {"timeline": {"types": [secret("filter")]}}});
        let filter = user.post(&format!("user/{}/filter", user.id), filter).await.expect_ok();
        let filter = filter["filter_id"].as_str().unwrap().to_owned();
        // Everybody on the server may read a file whose address they know.
        let file = user.upload("the bytes of a file", "text/plain", "file").await;
        let note = json!({"messages": {&user.id: {&user.device_id: {"text": secret("note")}}}});
        friend.put("sendToDevice/org.example.note/1", note).await.expect_ok();

        names.add("room", &room);
        names.add("user", &user.id);
        names.add("user", &friend.id);
        names.add("localpart", "victim");
        names.add("device", &user.device_id);
        names.add("token", user.sync().await.next_batch());
        names.add("version", &version);
        names.add("filter", &filter);
        names.add("uri", &file);
        names.add("media", file.rsplit('/').next().unwrap());
        Self { user, friend, room, version, filter, file }
    }

    /// Whether these bytes hold something that only the victim may know.
    pub fn is_betrayed_by(&self, bytes: &[u8]) -> bool {
        let tokens = [self.user.token(), self.friend.token()];
        let secrets = [SECRET, &self.user.password].into_iter().chain(tokens.into_iter().flatten());
        secrets.map(str::as_bytes).any(|secret| bytes.windows(secret.len()).any(|window| window == secret))
    }

    /// Everything of the victim's that nobody else has a say in.
    pub async fn possessions(&self) -> Vec<(String, Value)> {
        let (id, room, version) = (encode(&self.user.id), encode(&self.room), &self.version);
        let mut all = Vec::new();
        for path in [
            "account/whoami".to_owned(),
            "account/3pid".to_owned(),
            "devices".to_owned(),
            "pushers".to_owned(),
            "pushrules/".to_owned(),
            "joined_rooms".to_owned(),
            "room_keys/version".to_owned(),
            format!("room_keys/keys?version={version}"),
            format!("profile/{id}"),
            format!("user/{id}/filter/{}", self.filter),
            format!("user/{id}/account_data/org.example.secret"),
            format!("user/{id}/rooms/{room}/account_data/org.example.secret"),
            format!("user/{id}/rooms/{room}/tags"),
            format!("rooms/{room}/messages?dir=b&limit=1000"),
            format!("rooms/{room}/state"),
            format!("rooms/{room}/members"),
            format!("rooms/{room}/joined_members"),
        ] {
            let mut answer = self.user.get(&path).await.expect_ok();
            forget_times(&mut answer);
            // A room's state and its members have no order.
            for pointer in ["", "/chunk"] {
                let items = answer.pointer_mut(pointer).and_then(Value::as_array_mut);
                items.into_iter().for_each(|items| items.sort_by_key(Value::to_string));
            }
            all.push((path, answer));
        }
        let inbox = self.user.sync().await.0["to_device"].to_string();
        all.push(("the note is there".to_owned(), inbox.contains(&secret("note")).into()));
        all.push(("the file".to_owned(), self.user.download(&self.file).await.expect_ok().into()));
        self.friend.get("account/whoami").await.expect_ok();
        all
    }
}

/// Events of every kind in the private room; gives their ids.
async fn talk(user: &User, friend: &User, room: &str) -> Vec<String> {
    let question = user.send_text(room, &secret("question")).await;
    let regretted = friend.send_text(room, &secret("regretted")).await;
    user.set_state(room, "org.example.secret", &secret("key"), json!({"is": secret("state")})).await;
    let answer = json!({
        "msgtype": "m.text", "body": secret("answer"),
        "m.relates_to": {"rel_type": "m.thread", "event_id": question},
    });
    let answer = friend.send_event(room, "m.room.message", answer).await;
    friend.redact(room, &regretted).await;
    vec![question, regretted, answer]
}

async fn keep_settings(user: &User, room: &str) {
    let (id, room) = (encode(&user.id), encode(room));
    let own = || json!({"is": secret("setting")});
    user.put(&format!("user/{id}/account_data/org.example.secret"), own()).await.expect_ok();
    user.put(&format!("user/{id}/rooms/{room}/account_data/org.example.secret"), own()).await.expect_ok();
    user.put(&format!("user/{id}/rooms/{room}/tags/u.{}", secret("tag")), json!({"order": 0.1})).await.expect_ok();
    let rule = json!({"pattern": secret("word"), "actions": ["notify"]});
    user.put(&format!("pushrules/global/content/{}", secret("rule")), rule).await.expect_ok();
    let pusher = json!({
        "pushkey": secret("pushkey"), "kind": "http", "app_id": "org.example.phone", "app_display_name": "Phone",
        "device_display_name": "phone", "lang": "en", "data": {"url": "https://push.example/_matrix/push/v1/notify"},
    });
    user.post("pushers/set", pusher).await.expect_ok();
}

async fn have_address(server: &Server, mail: &MailServer, user: &User) {
    let wish = json!({"client_secret": secret("proof"), "email": format!("{SECRET}@mail.example"), "send_attempt": 1});
    let begun = user.post("account/3pid/email/requestToken", wish).await.expect_ok();
    mail.mail_number(1).await.confirm(server.stranger()).await;
    let identifier = json!({"type": "m.id.user", "user": user.id});
    let auth = json!({"type": "m.login.password", "identifier": identifier, "password": user.password});
    let body = json!({"client_secret": secret("proof"), "sid": begun["sid"], "auth": auth});
    user.post("account/3pid/add", body).await.expect_ok();
}

/// Begins a backup of keys with one in it and gives its version.
async fn back_up(user: &User) -> String {
    let auth_data = json!({"public_key": secret("backup"), "signatures": {}});
    let backup = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": auth_data});
    let made = user.post("room_keys/version", backup).await.expect_ok();
    let version = made["version"].as_str().unwrap().to_owned();
    let data = json!({"ephemeral": "abcd", "ciphertext": secret("session"), "mac": "ijkl"});
    let key = json!({"first_message_index": 1, "forwarded_count": 0, "is_verified": false, "session_data": data});
    let keys = json!({"rooms": {"!a:story.example": {"sessions": {secret("id"): key}}}});
    user.put(&format!("room_keys/keys?version={version}"), keys).await.expect_ok();
    version
}

/// Takes out what changes by itself.
fn forget_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !["age", "last_seen_ts", "last_seen_ip", "start", "end"].contains(&&**name));
            fields.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        _ => {}
    }
}
