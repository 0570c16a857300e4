//! The children of a space in their order
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space)).

use ruma::{OwnedRoomId, RoomId, events::StateEventType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::to_raw_value};

use super::RoomState;
use crate::{
    error::{Error, Result},
    matrix::event::Event,
};

/// The longest `order` that counts, in characters.
const LONGEST_ORDER: usize = 50;

/// Where a child stands among its siblings: those that are given an order come first, then the oldest links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct ChildPlace {
    is_unordered: bool,
    order: String,
    linked_at: u64,
    /// The child.
    pub room_id: OwnedRoomId,
}

/// What counts of the content of an `m.space.child`.
#[derive(Deserialize)]
struct Content {
    via: Vec<String>,
    order: Option<Value>,
    suggested: Option<Value>,
}

/// The links from a space to its children, in order. A link without servers to join through is none.
pub(super) fn children(state: &RoomState, suggested_only: bool) -> Vec<(ChildPlace, &Event)> {
    let links = state.of_kind(&StateEventType::SpaceChild);
    let mut children: Vec<_> = links.filter_map(|(_, event)| Some((place(event, suggested_only)?, &**event))).collect();
    children.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    children
}

/// Whether a room is a space.
pub(super) fn is_space(state: &RoomState) -> bool {
    let create = state.content::<Value>(&StateEventType::RoomCreate, "");
    create.is_some_and(|content| content["type"] == "m.space")
}

/// The link as others are shown it: stripped, with the time at which it was made.
pub(super) fn shown<T>(event: &Event) -> Result<ruma::serde::Raw<T>> {
    let link = json!({
        "type": event.kind,
        "state_key": event.state_key,
        "sender": event.sender,
        "content": event.content,
        "origin_server_ts": event.origin_server_ts,
    });
    to_raw_value(&link).map(ruma::serde::Raw::from_json).map_err(Error::internal)
}

fn place(event: &Event, suggested_only: bool) -> Option<ChildPlace> {
    let room_id = RoomId::parse(event.state_key.as_deref()?).ok()?;
    let Content { via, order, suggested } = event.content_as().ok()?;
    if via.is_empty() || (suggested_only && suggested != Some(Value::Bool(true))) {
        return None;
    }
    let order = order.as_ref().and_then(Value::as_str).filter(|order| counts(order));
    let linked_at = u64::from(event.origin_server_ts.0);
    Some(ChildPlace { is_unordered: order.is_none(), order: order.unwrap_or_default().to_owned(), linked_at, room_id })
}

fn counts(order: &str) -> bool {
    order.len() <= LONGEST_ORDER && order.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matrix::fixtures::Room;

    /// The children of a space with these links, by the letter of their room.
    fn in_order(links: &[(&str, Value)], suggested_only: bool) -> String {
        let mut room = Room::new(ruma::RoomVersionId::V11, "public");
        let mut state = RoomState::default();
        for (letter, content) in links {
            let key = format!("!{letter}:example.org");
            let event: Arc<Event> = room.send("creator", "m.space.child", Some(&key), content.clone()).unwrap();
            state.set(event);
        }
        children(&state, suggested_only).iter().map(|(place, _)| &place.room_id.as_str()[1..2]).collect()
    }

    #[test]
    fn children_stand_by_order_then_by_the_age_of_the_link() {
        let via = |order: Value| json!({ "via": ["example.org"], "order": order });
        let links = [
            ("a", via(json!("aaaa"))),
            ("b", via(json!(" "))),
            ("c", via(json!("first"))),
            ("e", json!({ "via": ["example.org"] })),
            ("d", json!({ "via": ["example.org"] })),
        ];
        assert_eq!(in_order(&links, false), "baced");
    }

    #[test]
    fn orders_that_are_none_do_not_count() {
        let via = |order: Value| json!({ "via": ["example.org"], "order": order });
        let links = [
            ("a", via(json!("x".repeat(51)))),
            ("b", via(json!("\u{7f}"))),
            ("c", via(json!(7))),
            ("d", via(json!("x".repeat(50)))),
            ("e", via(json!(""))),
        ];
        assert_eq!(in_order(&links, false), "edabc");
    }

    #[test]
    fn links_that_lead_nowhere_are_none() {
        let links = [
            ("a", json!({})),
            ("b", json!({ "via": [] })),
            ("c", json!({ "via": "example.org" })),
            ("d", json!({ "via": ["example.org"], "suggested": "yes" })),
            ("e", json!({ "via": ["example.org"], "suggested": true })),
        ];
        assert_eq!(in_order(&links, false), "de");
        assert_eq!(in_order(&links, true), "e");
    }
}
