//! Rooms that one looks into without being there
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-previews)), and the endpoints of the time before `/sync`.

use std::time::Duration;

use axum::{
    extract::{Path, Query, State, rejection::PathRejection},
    http::Uri,
};
use ruma::{
    OwnedEventId, OwnedRoomId,
    api::client::peeking::get_current_state::v3::{PaginationChunk, Request as CurrentState, Response},
    events::AnyTimelineEvent,
    serde::Raw,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    rooms::{Heard, Peek, Reader, Rooms},
    shutdown::Shutdown,
    sync::Sync,
};

/// The paths of the endpoints for which ruma has no type that fits, in the two versions that they were ever in.
pub const EVENTS: [&str; 2] = ["/_matrix/client/r0/events", "/_matrix/client/v3/events"];
/// See [`EVENTS`].
pub const EVENT: [&str; 2] = ["/_matrix/client/r0/events/{event_id}", "/_matrix/client/v3/events/{event_id}"];
/// See [`EVENTS`].
pub const INITIAL_SYNC: [&str; 2] = ["/_matrix/client/r0/initialSync", "/_matrix/client/v3/initialSync"];

/// How many messages of each room come if nobody says.
const USUAL_MESSAGES: u64 = 10;
/// The longest that somebody listens.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What a client wants to listen to.
#[derive(Deserialize)]
struct Listening {
    from: Option<String>,
    timeout: Option<u64>,
    room_id: Option<OwnedRoomId>,
}

/// What was heard.
#[derive(Serialize)]
pub struct Events {
    start: String,
    end: String,
    chunk: Vec<Raw<AnyTimelineEvent>>,
}

impl From<Heard> for Events {
    fn from(heard: Heard) -> Self {
        Self { start: heard.start.to_string(), end: heard.end.to_string(), chunk: heard.chunk }
    }
}

/// `GET /rooms/{roomId}/initialSync`
pub async fn room(
    State(rooms): State<Rooms>,
    State(sync): State<Sync>,
    caller: Caller,
    Request(request): Request<CurrentState>,
) -> Answer<Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let peek = rooms.peek(&request.room_id, reader, USUAL_MESSAGES).await?;
    let account_data = sync.account_data_of_room(&caller.user_id, &request.room_id).await?;
    let Peek { membership, chunk, start, end, state, visibility } = peek;
    let mut messages = PaginationChunk::new(chunk, end.to_string());
    messages.start = start.map(|start| start.to_string());
    let mut response = Response::new(request.room_id);
    response.account_data = account_data;
    response.membership = Some(membership);
    response.messages = Some(messages);
    response.state = state;
    response.visibility = Some(visibility);
    Ok(Reply(response))
}

/// `GET /events`: of one room, or, as it was before `/sync`, of all rooms that the caller is in.
pub async fn listen(
    State(rooms): State<Rooms>,
    State(sync): State<Sync>,
    State(shutdown): State<Shutdown>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Events>> {
    let Query(Listening { from, timeout, room_id }) = query(&uri)?;
    let from = from.as_deref().map(str::parse).transpose()?;
    let deadline = Instant::now() + Duration::from_millis(timeout.unwrap_or_default()).min(LONGEST_WAIT);
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let heard = match room_id {
        Some(room_id) => rooms.listen(&room_id, reader, from, (deadline, &shutdown)).await?,
        None => sync.listen(reader, from, deadline).await?,
    };
    Ok(Json(heard.into()))
}

/// `GET /events/{eventId}`
pub async fn event(
    State(rooms): State<Rooms>,
    caller: Caller,
    path: Result<Path<OwnedEventId>, PathRejection>,
) -> Result<Json<Raw<AnyTimelineEvent>>> {
    let Path(event_id) = path.map_err(|_| Error::invalid("The path names no event."))?;
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    rooms.visible_event_anywhere(reader, &event_id).await.map(Json)
}

/// What a client wants to know at first.
#[derive(Deserialize)]
struct Initial {
    limit: Option<u64>,
    #[serde(default)]
    archived: bool,
}

/// `GET /initialSync`
pub async fn initial_sync(
    State(sync): State<Sync>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<crate::sync::InitialAnswer>> {
    let Query(Initial { limit, archived }) = query(&uri)?;
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    sync.initial(reader, limit.unwrap_or(USUAL_MESSAGES), archived).await.map(Json)
}

fn query<T: serde::de::DeserializeOwned>(uri: &Uri) -> Result<Query<T>> {
    Query::try_from_uri(uri).map_err(|cause| {
        Error::invalid(format!("The query of the request is not what this endpoint asks for: {cause}."))
    })
}
