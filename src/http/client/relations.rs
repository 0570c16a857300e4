//! What relates to an event, and the threads of a room
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#relationships-api)).

use axum::extract::State;
use ruma::{
    EventId, RoomId, UInt,
    api::{
        Direction as Wanted,
        client::{
            relations::{
                get_relating_events as all, get_relating_events_with_rel_type as of_relation,
                get_relating_events_with_rel_type_and_event_type as of_type,
            },
            threads::get_threads::v1::{self as get_threads, IncludeThreads},
        },
    },
    events::relation::RelationType,
};

use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{Reader, Relations, RelationsRequest, Rooms, ThreadsRequest},
    storage::Direction,
};

/// How many events a page has when the client does not say.
const USUAL_LIMIT: u32 = 50;
/// The most that it has, whatever the client says.
const HIGHEST_LIMIT: u32 = 500;

/// `GET /rooms/{roomId}/relations/{eventId}`
pub async fn all(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<all::v1::Request>,
) -> Answer<all::v1::Response> {
    let all::v1::Request { room_id, event_id, from, dir, to, limit, recurse, .. } = request;
    let parameters = Parameters { from, to, dir, limit, recurse };
    let found = parameters.find(&rooms, &caller, (&room_id, &event_id), (None, None)).await?;
    let mut response = all::v1::Response::new(found.chunk);
    response.next_batch = found.next.map(|token| token.to_string());
    response.prev_batch = found.previous.map(|token| token.to_string());
    response.recursion_depth = found.depth.map(UInt::from);
    Ok(Reply(response))
}

/// `GET /rooms/{roomId}/relations/{eventId}/{relType}`
pub async fn of_relation(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<of_relation::v1::Request>,
) -> Answer<of_relation::v1::Response> {
    let of_relation::v1::Request { room_id, event_id, rel_type, from, dir, to, limit, recurse, .. } = request;
    let parameters = Parameters { from, to, dir, limit, recurse };
    let found = parameters.find(&rooms, &caller, (&room_id, &event_id), (Some(&rel_type), None)).await?;
    let mut response = of_relation::v1::Response::new(found.chunk);
    response.next_batch = found.next.map(|token| token.to_string());
    response.prev_batch = found.previous.map(|token| token.to_string());
    response.recursion_depth = found.depth.map(UInt::from);
    Ok(Reply(response))
}

/// `GET /rooms/{roomId}/relations/{eventId}/{relType}/{eventType}`
pub async fn of_type(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<of_type::v1::Request>,
) -> Answer<of_type::v1::Response> {
    let of_type::v1::Request { room_id, event_id, rel_type, event_type, from, dir, to, limit, recurse, .. } = request;
    let parameters = Parameters { from, to, dir, limit, recurse };
    let kind = event_type.to_string();
    let found = parameters.find(&rooms, &caller, (&room_id, &event_id), (Some(&rel_type), Some(&kind))).await?;
    let mut response = of_type::v1::Response::new(found.chunk);
    response.next_batch = found.next.map(|token| token.to_string());
    response.prev_batch = found.previous.map(|token| token.to_string());
    response.recursion_depth = found.depth.map(UInt::from);
    Ok(Reply(response))
}

/// `GET /rooms/{roomId}/threads`
pub async fn threads(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_threads::Request>,
) -> Answer<get_threads::Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let wanted = ThreadsRequest {
        from: request.from.as_deref().map(str::parse).transpose()?,
        limit: capped(request.limit)?,
        only_participated: match request.include {
            IncludeThreads::All => false,
            IncludeThreads::Participated => true,
            _ => return Err(Error::invalid("Threads are included that are \"all\" or \"participated\".")),
        },
    };
    let page = rooms.threads(&request.room_id, reader, wanted).await?;
    let mut response = get_threads::Response::new(page.roots);
    response.next_batch = page.next.map(|token| token.to_string());
    Ok(Reply(response))
}

/// What the three ways to ask for relations have in common.
struct Parameters {
    from: Option<String>,
    to: Option<String>,
    dir: Wanted,
    limit: Option<UInt>,
    recurse: bool,
}

impl Parameters {
    async fn find(
        self,
        rooms: &Rooms,
        caller: &Caller,
        (room_id, event_id): (&RoomId, &EventId),
        (relation, kind): (Option<&RelationType>, Option<&str>),
    ) -> Result<Relations> {
        let reader = Reader { user: &caller.user_id, device: &caller.device_id };
        let request = RelationsRequest {
            event_id,
            relation,
            kind,
            from: self.from.as_deref().map(str::parse).transpose()?,
            to: self.to.as_deref().map(str::parse).transpose()?,
            direction: match self.dir {
                Wanted::Forward => Direction::Forward,
                Wanted::Backward => Direction::Reverse,
            },
            limit: capped(self.limit)?,
            recurse: self.recurse,
        };
        rooms.relations(room_id, reader, request).await
    }
}

/// The number of events in a page.
fn capped(limit: Option<UInt>) -> Result<usize> {
    let limit = limit.unwrap_or(USUAL_LIMIT.into()).min(HIGHEST_LIMIT.into());
    match usize::try_from(u64::from(limit)) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(Error::invalid("The limit must be greater than zero.")),
    }
}
