//! One's own devices: "Device Management" in the client-server specification.

use axum::{extract::State, http::StatusCode};
use ruma::{
    OwnedDeviceId,
    api::client::device::{delete_device, delete_devices, get_device, get_devices, update_device},
};
use serde::Serialize;

use crate::{
    error::{Kind, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
        reauthentication::Reauthentication,
    },
    users::{DeviceInfo, Sessions},
};

/// How both ways to delete devices are called where a session of authentication is bound to one.
const DELETE: &str = "delete devices";

/// A device as its owner sees it; ruma's type writes `null` where the specification has nothing.
#[derive(Serialize)]
pub struct OwnDevice {
    device_id: OwnedDeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ts: Option<u64>,
}

/// All of one's own devices.
#[derive(Serialize)]
pub struct OwnDevices {
    devices: Vec<OwnDevice>,
}

pub async fn list(
    State(sessions): State<Sessions>,
    caller: Caller,
    _: Request<get_devices::v3::Request>,
) -> Result<Json<OwnDevices>> {
    let devices = sessions.devices(&caller.user_id).await?;
    Ok(Json(OwnDevices { devices: devices.into_iter().map(OwnDevice::from).collect() }))
}

pub async fn get(
    State(sessions): State<Sessions>,
    caller: Caller,
    Request(request): Request<get_device::v3::Request>,
) -> Result<Json<OwnDevice>> {
    sessions.device(&caller.user_id, &request.device_id).await.map(|device| Json(device.into()))
}

pub async fn rename(
    State(sessions): State<Sessions>,
    caller: Caller,
    Request(request): Request<update_device::v3::Request>,
) -> Result<(StatusCode, Json<serde_json::Value>)> {
    let renamed = match &request.display_name {
        Some(name) => sessions.rename_device(&caller.user_id, &request.device_id, name).await,
        None => sessions.device(&caller.user_id, &request.device_id).await.map(drop),
    };
    let status = match renamed {
        // An application service makes the devices of its users this way.
        Err(error) if error.kind == Kind::NotFound && caller.appservice().is_some() => {
            sessions.add_device(&caller.user_id, &request.device_id, request.display_name).await?;
            StatusCode::CREATED
        }
        outcome => outcome.map(|()| StatusCode::OK)?,
    };
    Ok((status, Json(serde_json::json!({}))))
}

pub async fn delete(
    State(sessions): State<Sessions>,
    reauthentication: Reauthentication,
    caller: Caller,
    Request(request): Request<delete_device::v3::Request>,
) -> Answer<delete_device::v3::Response> {
    let subjects = vec![request.device_id.to_string()];
    reauthentication.require(&caller, DELETE, subjects, request.auth.as_ref()).await?;
    sessions.end(&caller.user_id, &[request.device_id]).await?;
    Ok(Reply(delete_device::v3::Response::new()))
}

pub async fn delete_many(
    State(sessions): State<Sessions>,
    reauthentication: Reauthentication,
    caller: Caller,
    Request(request): Request<delete_devices::v3::Request>,
) -> Answer<delete_devices::v3::Response> {
    let subjects = request.devices.iter().map(ToString::to_string).collect();
    reauthentication.require(&caller, DELETE, subjects, request.auth.as_ref()).await?;
    sessions.end(&caller.user_id, &request.devices).await?;
    Ok(Reply(delete_devices::v3::Response::new()))
}

impl From<DeviceInfo> for OwnDevice {
    fn from(device: DeviceInfo) -> Self {
        Self {
            device_id: device.device_id,
            display_name: device.display_name,
            last_seen_ip: device.last_seen.map(|seen| seen.address.to_string()),
            last_seen_ts: device.last_seen.map(|seen| seen.at),
        }
    }
}
