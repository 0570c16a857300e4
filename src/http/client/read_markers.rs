//! Saying how far one has read in several ways at once: "Fully read markers" in the client-server specification.

use axum::extract::State;
use ruma::{api::client::read_marker::set_read_marker, events::receipt::ReceiptThread};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{Mark, ReceiptKind, Rooms},
};

pub async fn set(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<set_read_marker::v3::Request>,
) -> Answer<set_read_marker::v3::Response> {
    let receipt = |kind| Mark::Receipt { kind, thread: ReceiptThread::Unthreaded };
    let marks = [
        (Mark::FullyRead, request.fully_read),
        (receipt(ReceiptKind::Public), request.read_receipt),
        (receipt(ReceiptKind::Private), request.private_read_receipt),
    ];
    let wanted: Vec<_> = marks.into_iter().filter_map(|(mark, event_id)| Some((mark, event_id?))).collect();
    rooms.mark_read(&request.room_id, &caller.user_id, &wanted).await?;
    Ok(Reply(set_read_marker::v3::Response::new()))
}
