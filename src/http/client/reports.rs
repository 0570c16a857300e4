//! What people tell the administrators: "Reporting Content" in the client-server specification.

use std::time::Duration;

use axum::extract::State;
use ruma::api::client::{
    reporting::report_user,
    room::{report_content, report_room},
};
use tokio::time::sleep;

use crate::{
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    rooms::Rooms,
    users::{Accounts, ReportedSubject, Reports},
};

/// The longest time, in milliseconds, that is added to an answer so that it does not show whether something was found.
const LONGEST_DELAY: u64 = 100;

/// `POST /rooms/{roomId}/report/{eventId}`
pub async fn event(
    State(reports): State<Reports>,
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<report_content::v3::Request>,
) -> Answer<report_content::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    reports.check(&caller.user_id, request.reason.as_deref()).await?;
    let subject = rooms.reported_event(&request.room_id, &caller.user_id, &request.event_id).await?;
    reports.file(&caller.user_id, request.reason, subject).await?;
    Ok(Reply(report_content::v3::Response::new()))
}

/// `POST /rooms/{roomId}/report`, which does not tell whether there is such a room.
pub async fn room(
    State(reports): State<Reports>,
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<report_room::v3::Request>,
) -> Answer<report_room::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let exists = rooms.exists(&request.room_id).await?;
    let subject = ReportedSubject::Room(request.room_id);
    file_if(exists, &reports, &caller, request.reason, subject).await?;
    Ok(Reply(report_room::v3::Response::new()))
}

/// `POST /users/{userId}/report`, which does not tell whether there is such a user.
pub async fn user(
    State(reports): State<Reports>,
    State(accounts): State<Accounts>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<report_user::v3::Request>,
) -> Answer<report_user::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let exists = accounts.get(&request.user_id).await?.is_some();
    let subject = ReportedSubject::User(request.user_id);
    file_if(exists, &reports, &caller, request.reason, subject).await?;
    Ok(Reply(report_user::v3::Response::new()))
}

/// Keeps a report about something that exists. Neither the answer nor the time that it takes tells whether it does.
async fn file_if(
    exists: bool,
    reports: &Reports,
    caller: &Caller,
    reason: String,
    subject: ReportedSubject,
) -> Result<()> {
    reports.check(&caller.user_id, Some(&reason)).await?;
    if exists {
        let reason = Some(reason).filter(|reason| !reason.is_empty());
        reports.file(&caller.user_id, reason, subject).await?;
    }
    sleep(Duration::from_millis(rand::random_range(0..=LONGEST_DELAY))).await;
    Ok(())
}
