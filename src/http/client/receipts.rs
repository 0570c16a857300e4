//! Saying how far one has read: "Receipts" in the client-server specification.

use axum::extract::State;
use ruma::{
    api::client::receipt::create_receipt::{self, v3::ReceiptType},
    events::receipt::ReceiptThread,
};

use crate::{
    error::Error,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    presence::Presence,
    rooms::{Mark, ReceiptKind, Rooms},
};

pub async fn create(
    State(rooms): State<Rooms>,
    State(presence): State<Presence>,
    caller: Caller,
    Request(request): Request<create_receipt::v3::Request>,
) -> Answer<create_receipt::v3::Response> {
    let mark = match (request.receipt_type, request.thread) {
        (ReceiptType::Read, thread) => Mark::Receipt { kind: ReceiptKind::Public, thread },
        (ReceiptType::ReadPrivate, thread) => Mark::Receipt { kind: ReceiptKind::Private, thread },
        (ReceiptType::FullyRead, ReceiptThread::Unthreaded) => Mark::FullyRead,
        (ReceiptType::FullyRead, _) => return Err(Error::invalid("m.fully_read is for no thread in particular.")),
        (kind, _) => return Err(Error::invalid(format!("{kind} is no type of receipts."))),
    };
    rooms.mark_read(&request.room_id, &caller.user_id, &[(mark, request.event_id)]).await?;
    presence.act(&caller.user_id).await;
    Ok(Reply(create_receipt::v3::Response::new()))
}
