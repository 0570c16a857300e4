//! What a push gateway is told ([spec](https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify)).

use ruma::{
    OwnedRoomAliasId, SecondsSinceUnixEpoch, UInt, UserId,
    api::{
        client::push::PusherKind,
        push_gateway::send_event_notification::v1::{Device, Notification, NotificationCounts, NotificationPriority},
    },
    events::{StateEventType, TimelineEventType},
    push::{Action, HttpPusherData, PushFormat, Tweak},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    matrix::event::Event,
    rooms::{News, RoomState},
    users::KeptPusher,
};

/// The largest content that is handed on, in bytes. Providers take a few kilobytes, and gateways shorten what they know how
/// to; a phone that gets no content asks for it.
const MAXIMUM_CONTENT: usize = 16 << 10;

/// The address of the pusher's gateway and the rest of what the client set for it; `None` for a pusher of another kind.
pub(super) fn gateway(kept: &KeptPusher) -> Option<&HttpPusherData> {
    match &kept.pusher.kind {
        PusherKind::Http(data) => Some(data),
        _ => None,
    }
}

/// The body that tells of an event, to a user for whom the room is in `state` and `unread` is on the badge.
pub(super) fn of_event(
    kept: &KeptPusher,
    user: &UserId,
    state: &RoomState,
    news: &News,
    unread: u64,
) -> Result<Vec<u8>> {
    let event = &news.event.event;
    let tweaks = tweaks(&news.actions);
    let mut notification = Notification::new(vec![device(kept, tweaks.clone())]);
    notification.event_id = Some(event.id.clone());
    notification.room_id = Some(event.room_id.clone());
    notification.counts = NotificationCounts::new(UInt::new_saturating(unread), UInt::MIN);
    notification.prio = priority(event, &tweaks);
    if gateway(kept).and_then(|data| data.format.as_ref()) != Some(&PushFormat::EventIdOnly) {
        notification.event_type = Some(event.kind.clone());
        notification.sender = Some(event.sender.clone());
        notification.sender_display_name = display_name(state, &event.sender);
        notification.room_name = room_name(state);
        notification.room_alias = room_alias(state);
        notification.user_is_target = event.target() == Some(user);
        let content = Some(&event.content).filter(|content| content.get().len() <= MAXIMUM_CONTENT);
        notification.content = content.map(|content| content.to_owned());
    }
    body(&serde_json::to_value(notification).map_err(Error::internal)?)
}

/// The body that takes the number away from the app's icon.
///
/// The specification would have zero counts left out. A gateway could not tell then what changed, so that this one stands
/// there.
pub(super) fn of_no_badge(kept: &KeptPusher) -> Result<Vec<u8>> {
    let mut notification = Notification::new(vec![device(kept, Vec::new())]);
    notification.prio = NotificationPriority::Low;
    let mut notification = serde_json::to_value(notification).map_err(Error::internal)?;
    notification["counts"] = json!({ "unread": 0 });
    body(&notification)
}

fn body(notification: &Value) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        notification: &'a Value,
    }
    serde_json::to_vec(&Body { notification }).map_err(Error::internal)
}

fn device(kept: &KeptPusher, tweaks: Vec<Tweak>) -> Device {
    let ids = &kept.pusher.ids;
    let mut device = Device::new(ids.app_id.clone(), ids.pushkey.clone());
    device.pushkey_ts = Some(SecondsSinceUnixEpoch(UInt::new_saturating(kept.set_at / 1_000)));
    device.data = gateway(kept).cloned().map(Into::into).unwrap_or_default();
    device.tweaks = tweaks;
    device
}

/// The tweaks of a rule's actions; of several with the same name the last.
fn tweaks(actions: &[Action]) -> Vec<Tweak> {
    let mut tweaks: Vec<Tweak> = Vec::new();
    for action in actions {
        if let Action::SetTweak(tweak) = action {
            tweaks.retain(|other| other.set_tweak() != tweak.set_tweak());
            tweaks.push(tweak.clone());
        }
    }
    tweaks
}

/// High for what makes a sound or stands out, and for what only the phone can tell, because it alone can decrypt it. What
/// else there is can wait until the phone is awake.
fn priority(event: &Event, tweaks: &[Tweak]) -> NotificationPriority {
    let stands_out = |tweak: &Tweak| match tweak {
        Tweak::Sound(_) => true,
        Tweak::Highlight(_) => Action::SetTweak(tweak.clone()).is_highlight(),
        _ => false,
    };
    match event.kind == TimelineEventType::RoomEncrypted || tweaks.iter().any(stands_out) {
        true => NotificationPriority::High,
        false => NotificationPriority::Low,
    }
}

fn display_name(state: &RoomState, user: &UserId) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        displayname: Option<String>,
    }
    state.content::<Content>(&StateEventType::RoomMember, user.as_str())?.displayname
}

fn room_name(state: &RoomState) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        name: String,
    }
    let name = state.content::<Content>(&StateEventType::RoomName, "")?.name;
    Some(name).filter(|name| !name.is_empty())
}

fn room_alias(state: &RoomState) -> Option<OwnedRoomAliasId> {
    #[derive(Deserialize)]
    struct Content {
        alias: Option<OwnedRoomAliasId>,
    }
    state.content::<Content>(&StateEventType::RoomCanonicalAlias, "")?.alias
}
