//! Dehydrated devices: MSC3814.

use axum::extract::State;
use ruma::{
    OwnedDeviceId,
    api::client::dehydrated_device::{
        delete_dehydrated_device, get_dehydrated_device, get_events, put_dehydrated_device,
    },
    serde::Raw,
};

use crate::{
    encryption::{DehydratedDevices, KeyUpload, NewDehydratedDevice, Owner},
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    streams::Position,
};

pub async fn put(
    State(dehydrated): State<DehydratedDevices>,
    caller: Caller,
    Request(request): Request<put_dehydrated_device::unstable::Request>,
) -> Answer<put_dehydrated_device::unstable::Response> {
    let device_id: OwnedDeviceId = request.device_id;
    let owner = Owner { user: &caller.user_id, device: &device_id };
    let (one_time_keys, fallback_keys) = (&request.one_time_keys, &request.fallback_keys);
    let new = NewDehydratedDevice {
        upload: KeyUpload::check(owner, Some(&request.device_keys), one_time_keys, fallback_keys)?,
        display_name: request.initial_device_display_name,
        data: request.device_data.into_json(),
        device_id: device_id.clone(),
    };
    dehydrated.put(Owner { user: &caller.user_id, device: &caller.device_id }, &new).await?;
    Ok(Reply(put_dehydrated_device::unstable::Response::new(device_id)))
}

pub async fn get(
    State(dehydrated): State<DehydratedDevices>,
    caller: Caller,
    _: Request<get_dehydrated_device::unstable::Request>,
) -> Answer<get_dehydrated_device::unstable::Response> {
    let (device_id, data) = dehydrated.get(&caller.user_id).await?;
    Ok(Reply(get_dehydrated_device::unstable::Response::new(device_id, Raw::from_json(data))))
}

pub async fn delete(
    State(dehydrated): State<DehydratedDevices>,
    caller: Caller,
    _: Request<delete_dehydrated_device::unstable::Request>,
) -> Answer<delete_dehydrated_device::unstable::Response> {
    let device_id = dehydrated.delete(&caller.user_id).await?;
    Ok(Reply(delete_dehydrated_device::unstable::Response::new(device_id)))
}

pub async fn events(
    State(dehydrated): State<DehydratedDevices>,
    caller: Caller,
    Request(request): Request<get_events::unstable::Request>,
) -> Answer<get_events::unstable::Response> {
    let after = request.next_batch.as_deref().map(position).transpose()?.unwrap_or(Position::ZERO);
    let received = dehydrated.received(&caller.user_id, &request.device_id, after).await?;
    let mut response = get_events::unstable::Response::new(received.events);
    response.next_batch = received.next.map(|position| position.to_string());
    Ok(Reply(response))
}

/// The position in a token that an earlier answer gave.
fn position(token: &str) -> Result<Position> {
    let position: u64 = token.parse().map_err(|_| Error::invalid("The next_batch is not one of this endpoint's."))?;
    Ok(position.into())
}
