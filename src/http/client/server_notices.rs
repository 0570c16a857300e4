//! Server notices, sent by an administrator's tool as Synapse documents it for `/_synapse/admin/v1/send_server_notice`.

use axum::extract::{Path, State, rejection::PathRejection};
use ruma::{OwnedEventId, OwnedTransactionId, OwnedUserId, events::TimelineEventType};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    http::{authenticate::Administrator, endpoint::JsonBody, json::Json},
    rooms::{Notice, NoticeRequest, Rooms},
};

/// The longest transaction id, in bytes.
const MAXIMUM_TRANSACTION_ID: usize = 255;

/// What an administrator wants a user to be told.
#[derive(Deserialize)]
pub struct NoticeBody {
    user_id: OwnedUserId,
    #[serde(rename = "type", default = "message")]
    kind: TimelineEventType,
    #[serde(default)]
    state_key: Option<String>,
    content: Box<RawValue>,
}

/// The event that told it.
#[derive(Serialize)]
pub struct Told {
    event_id: OwnedEventId,
}

/// `POST /_synapse/admin/v1/send_server_notice`
pub async fn send(
    State(rooms): State<Rooms>,
    _: Administrator,
    JsonBody(body): JsonBody<NoticeBody>,
) -> Result<Json<Told>> {
    let (to, notice) = body.into_notice();
    Ok(Json(Told { event_id: rooms.send_notice(&to, &notice, None).await? }))
}

/// `PUT /_synapse/admin/v1/send_server_notice/{txnId}`
pub async fn send_once(
    State(rooms): State<Rooms>,
    Administrator(caller): Administrator,
    path: Result<Path<OwnedTransactionId>, PathRejection>,
    JsonBody(body): JsonBody<NoticeBody>,
) -> Result<Json<Told>> {
    let transaction_id = match path {
        Ok(Path(id)) if (1..=MAXIMUM_TRANSACTION_ID).contains(&id.as_str().len()) => id,
        _ => return Err(Error::invalid("A transaction id is text of at least one and at most 255 bytes.")),
    };
    let (user_id, device_id) = (caller.user_id.clone(), caller.device_id.clone());
    let (to, notice) = body.into_notice();
    let request = NoticeRequest { user_id, device_id, transaction_id };
    Ok(Json(Told { event_id: rooms.send_notice(&to, &notice, Some(&request)).await? }))
}

impl NoticeBody {
    fn into_notice(self) -> (OwnedUserId, Notice) {
        let Self { user_id, kind, state_key, content } = self;
        (user_id, Notice { kind, state_key, content })
    }
}

fn message() -> TimelineEventType {
    TimelineEventType::RoomMessage
}
