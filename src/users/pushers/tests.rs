//! Whose pushers there are, over a store in memory.

use ruma::{device_id, user_id};
use serde_json::{Value, json};

use super::*;
use crate::{
    error::Kind,
    storage::schema::users::{Device, DeviceTokens},
};

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn bob() -> &'static UserId {
    user_id!("@bob:example.org")
}

/// With the devices A and B of Alice and A of Bob.
async fn fixture() -> Pushers {
    let store = Store::in_memory();
    let mut batch = Batch::new();
    for (number, (user, device)) in [(alice(), "A"), (alice(), "B"), (bob(), "A")].into_iter().enumerate() {
        let tokens = DeviceTokens { access: [number as u8; 32], refresh: None };
        let device_id: &DeviceId = device.into();
        DEVICES.put(&mut batch, (user, device_id), &Device { display_name: None, tokens, refreshed: None });
    }
    store.commit(batch).await.unwrap();
    Pushers::new(store, Notifier::default(), Clock::manual(5_000), GatewayEncryption::Required)
}

fn pusher(pushkey: &str, change: impl FnOnce(&mut Value)) -> Pusher {
    let mut json = json!({
        "pushkey": pushkey, "app_id": "org.example.app", "kind": "http", "lang": "en",
        "app_display_name": "App", "device_display_name": "Phone",
        "data": {"url": "https://push.example.org/_matrix/push/v1/notify", "custom": [1]},
    });
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

async fn keys(pushers: &Pushers, user: &UserId) -> Vec<String> {
    pushers.current(user).await.unwrap().into_iter().map(|pusher| pusher.ids.pushkey).collect()
}

#[tokio::test]
async fn a_pusher_is_kept_as_it_came_changed_and_removed() {
    let pushers = fixture().await;
    let set = async |pusher: &Pusher| pushers.set(alice(), device_id!("A"), pusher, OtherUsers::Replace).await.unwrap();
    let first = pusher("key", |_| ());
    set(&first).await;
    let found = pushers.current(alice()).await.unwrap();
    assert_eq!(serde_json::to_value(&found[0]).unwrap(), serde_json::to_value(&first).unwrap());
    set(&pusher("key", |json| json["lang"] = "de".into())).await;
    set(&pusher("other", |_| ())).await;
    let found = pushers.current(alice()).await.unwrap();
    assert_eq!((found.len(), found[0].lang.as_str()), (2, "de"));
    for _ in 0..2 {
        pushers.remove(alice(), &first.ids).await.unwrap();
    }
    assert_eq!(keys(&pushers, alice()).await, ["other"]);
}

#[tokio::test]
async fn an_app_with_another_user_forgets_the_one_before() {
    let pushers = fixture().await;
    let one = pusher("key", |_| ());
    pushers.set(alice(), device_id!("A"), &one, OtherUsers::Replace).await.unwrap();
    pushers.set(bob(), device_id!("A"), &one, OtherUsers::Keep).await.unwrap();
    assert_eq!((keys(&pushers, alice()).await, keys(&pushers, bob()).await), (vec!["key".into()], vec!["key".into()]));
    pushers.set(bob(), device_id!("A"), &one, OtherUsers::Replace).await.unwrap();
    assert_eq!((keys(&pushers, alice()).await, keys(&pushers, bob()).await), (vec![], vec!["key".into()]));
}

#[tokio::test]
async fn a_device_takes_its_pushers_along() {
    let pushers = fixture().await;
    let store = &pushers.store;
    pushers.set(alice(), device_id!("A"), &pusher("a", |_| ()), OtherUsers::Replace).await.unwrap();
    pushers.set(alice(), device_id!("B"), &pusher("b", |_| ()), OtherUsers::Replace).await.unwrap();
    // The same app moves from one device to the other.
    pushers.set(alice(), device_id!("A"), &pusher("moved", |_| ()), OtherUsers::Replace).await.unwrap();
    pushers.set(alice(), device_id!("B"), &pusher("moved", |_| ()), OtherUsers::Replace).await.unwrap();
    let before = store.snapshot();
    pushers.set(alice(), device_id!("A"), &pusher("late", |_| ()), OtherUsers::Replace).await.unwrap();

    let mut batch = Batch::new();
    forget(&mut batch, &before, alice(), device_id!("A")).await.unwrap();
    store.commit(batch).await.unwrap();
    assert_eq!(keys(&pushers, alice()).await, ["b", "moved"]);
    // What is left in the index of the one that came late is in nobody's way.
    pushers.remove(alice(), &pusher("late", |_| ()).ids).await.unwrap();
    pushers.set(alice(), device_id!("B"), &pusher("late", |_| ()), OtherUsers::Replace).await.unwrap();
    assert_eq!(keys(&pushers, alice()).await, ["b", "late", "moved"]);
}

#[tokio::test]
async fn a_device_that_is_gone_gets_no_pusher() {
    let pushers = fixture().await;
    let set = pushers.set(bob(), device_id!("B"), &pusher("key", |_| ()), OtherUsers::Keep).await;
    assert_eq!(set.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn what_is_no_push_gateway_is_refused() {
    let pushers = fixture().await;
    let mut refused = vec![
        pusher(&"k".repeat(513), |_| ()),
        pusher("key", |json| json["app_id"] = "a".repeat(65).into()),
        pusher("key", |json| json["data"]["custom"] = "x".repeat(MAXIMUM_SIZE).into()),
        pusher("key", |json| json["kind"] = "email".into()),
        pusher("key", |json| json["kind"] = "pigeon".into()),
    ];
    refused.extend(
        [
            "http://push.example.org/_matrix/push/v1/notify",
            "https:///_matrix/push/v1/notify",
            "https://push.example.org/notify",
            "https://push.example.org",
            "file:///etc/passwd",
            "",
        ]
        .map(|url| pusher("key", |json| json["data"]["url"] = url.into())),
    );
    for pusher in refused {
        let set = pushers.set(alice(), device_id!("A"), &pusher, OtherUsers::Keep).await;
        assert_eq!(set.unwrap_err().kind, Kind::InvalidParam, "{pusher:?}");
    }
    let with_query = "https://push.example.org:8443/_matrix/push/v1/notify?key=1";
    let accepted = pusher("key", |json| json["data"]["url"] = with_query.into());
    pushers.set(alice(), device_id!("A"), &accepted, OtherUsers::Keep).await.unwrap();
}

#[tokio::test]
async fn gateways_without_tls_are_for_operators_who_allow_them() {
    let pushers = Pushers { encryption: GatewayEncryption::Optional, ..fixture().await };
    for url in ["http://10.1.2.3:5000/_matrix/push/v1/notify", "https://push.example.org/_matrix/push/v1/notify"] {
        assert!(pushers.may_call(url), "{url}");
        let pusher = pusher("key", |json| json["data"]["url"] = url.into());
        pushers.set(alice(), device_id!("A"), &pusher, OtherUsers::Keep).await.unwrap();
    }
    assert!(!pushers.may_call("http://push.example.org/notify") && !pushers.may_call("ftp://push.example.org/x"));
}

#[tokio::test]
async fn a_pusher_that_is_set_again_goes_on_where_it_was_and_a_new_one_starts_now() {
    let pushers = fixture().await;
    let one = pusher("key", |_| ());
    let find = async || pushers.find(&pushers.store.snapshot(), alice(), &one.ids).await.unwrap();
    let set = async |device: &DeviceId| pushers.set(alice(), device, &one, OtherUsers::Replace).await.unwrap();
    assert!(find().await.is_none());
    set(device_id!("A")).await;
    let first = find().await.unwrap();
    assert_eq!((first.since, first.set_at), (pushers.store.position(), 5_000));
    pushers.clock.advance(std::time::Duration::from_secs(1));
    for device in ["A", "B"] {
        set(device.into()).await;
        let again = find().await.unwrap();
        assert_eq!((again.since, again.set_at), (first.since, 6_000), "on {device}");
    }
    assert_eq!(pushers.all(&pushers.store.snapshot()).await.unwrap(), [(alice().to_owned(), one.ids.clone())]);
    pushers.remove(alice(), &one.ids).await.unwrap();
    assert!(find().await.is_none());
    set(device_id!("A")).await;
    assert!(find().await.unwrap().since > first.since);

    let mut batch = Batch::new();
    forget(&mut batch, &pushers.store.snapshot(), alice(), device_id!("A")).await.unwrap();
    pushers.store.commit(batch).await.unwrap();
    assert!(pushers.all(&pushers.store.snapshot()).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_has_more_than_a_hundred_pushers() {
    let pushers = fixture().await;
    let set = async |number: usize| {
        let pusher = pusher(&number.to_string(), |_| ());
        pushers.set(alice(), device_id!("A"), &pusher, OtherUsers::Keep).await
    };
    for number in 0..100 {
        set(number).await.unwrap();
    }
    assert_eq!(set(100).await.unwrap_err().kind, Kind::InvalidParam);
    set(99).await.unwrap();
    pushers.remove(alice(), &PusherIds::new("7".to_owned(), "org.example.app".to_owned())).await.unwrap();
    set(100).await.unwrap();
}
