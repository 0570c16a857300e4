//! Reports as administrators' tools list, read and resolve them: Synapse's `/_synapse/admin/v1/event_reports`, and the same for
//! reports of rooms and of users.

use axum::{
    Extension, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    routing::get,
};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    http::{app::App, authenticate::Administrator, json::Json},
    rooms::Rooms,
    storage::Direction,
    users::{Report, ReportKind, ReportedSubject, Reports, ReportsRequest},
};

/// How many reports come at once if nobody says.
const USUAL_LIMIT: usize = 100;
/// How many reports come at once at most.
const MAXIMUM_LIMIT: usize = 1_000;

/// Which reports a tool wants.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
    dir: Option<String>,
    user_id: Option<OwnedUserId>,
    room_id: Option<OwnedRoomId>,
    event_sender_user_id: Option<OwnedUserId>,
    target_user_id: Option<OwnedUserId>,
}

/// The same addresses for reports of each kind.
pub fn routes() -> Router<App> {
    let kinds = [ReportKind::Event, ReportKind::Room, ReportKind::User];
    kinds.into_iter().fold(Router::new(), |router, kind| {
        let address = format!("/_synapse/admin/v1/{}", list_name(kind));
        router
            .route(&address, get(list).layer(Extension(kind)))
            .route(&format!("{address}/{{id}}"), get(read).delete(resolve).layer(Extension(kind)))
    })
}

/// `GET /_synapse/admin/v1/event_reports`, `…/room_reports` and `…/user_reports`
async fn list(
    State(reports): State<Reports>,
    State(rooms): State<Rooms>,
    Extension(kind): Extension<ReportKind>,
    _: Administrator,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>> {
    let Query(wanted) =
        query.map_err(|cause| Error::invalid(format!("The query is not what is asked for: {cause}.")))?;
    let direction = match wanted.dir.as_deref() {
        None | Some("b") => Direction::Reverse,
        Some("f") => Direction::Forward,
        Some(_) => return Err(Error::invalid("The direction is f (from the oldest on) or b (from the newest).")),
    };
    let limit = wanted.limit.unwrap_or(USUAL_LIMIT).min(MAXIMUM_LIMIT);
    let page = reports
        .list(&ReportsRequest {
            kind,
            from: wanted.from,
            limit,
            direction,
            reporter: wanted.user_id.as_deref(),
            room: wanted.room_id.as_deref(),
            about: wanted.event_sender_user_id.as_deref().or(wanted.target_user_id.as_deref()),
        })
        .await?;
    let next = wanted.from.saturating_add(page.reports.len() as u64);
    let mut found = Vec::new();
    for (number, report) in &page.reports {
        found.push(summary(&rooms, *number, report).await?);
    }
    let mut answer = json!({"total": page.total});
    answer[list_name(kind)] = found.into();
    if next < page.total && limit > 0 {
        answer["next_token"] = next.into();
    }
    Ok(Json(answer))
}

/// `GET /_synapse/admin/v1/event_reports/{id}` and the like
async fn read(
    State(reports): State<Reports>,
    State(rooms): State<Rooms>,
    Extension(kind): Extension<ReportKind>,
    _: Administrator,
    path: Result<Path<u64>, PathRejection>,
) -> Result<Json<Value>> {
    let number = number(path)?;
    let report = reports.get(kind, number).await?;
    let mut answer = summary(&rooms, number, &report).await?;
    if let ReportedSubject::Event { json, .. } = &report.subject {
        answer["event_json"] = serde_json::from_str(json).map_err(Error::internal)?;
    }
    Ok(Json(answer))
}

/// `DELETE /_synapse/admin/v1/event_reports/{id}` and the like
async fn resolve(
    State(reports): State<Reports>,
    Extension(kind): Extension<ReportKind>,
    Administrator(caller): Administrator,
    path: Result<Path<u64>, PathRejection>,
) -> Result<Json<Value>> {
    let number = number(path)?;
    reports.resolve(kind, number).await?;
    tracing::info!(administrator = %caller.user_id, ?kind, number, "a report was resolved");
    Ok(Json(json!({})))
}

/// What a list says of a report, in the words that Synapse has for it.
async fn summary(rooms: &Rooms, number: u64, report: &Report) -> Result<Value> {
    let mut answer = json!({
        "id": number,
        "received_ts": report.at,
        "user_id": report.reporter,
        "reason": report.reason,
    });
    let room = match &report.subject {
        ReportedSubject::Event { room, event, sender, .. } => {
            answer["event_id"] = event.as_str().into();
            answer["sender"] = sender.as_str().into();
            Some(room)
        }
        ReportedSubject::Room(room) => Some(room),
        ReportedSubject::User(user) => {
            answer["target_user_id"] = user.as_str().into();
            None
        }
    };
    if let Some(room) = room {
        let names = rooms.names(room).await?;
        answer["room_id"] = room.as_str().into();
        answer["name"] = names.name.into();
        answer["canonical_alias"] = names.alias.map(String::from).into();
    }
    Ok(answer)
}

fn list_name(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::Event => "event_reports",
        ReportKind::Room => "room_reports",
        ReportKind::User => "user_reports",
    }
}

fn number(path: Result<Path<u64>, PathRejection>) -> Result<u64> {
    path.map(|Path(number)| number).map_err(|_| Error::invalid("The id of a report is a number."))
}
