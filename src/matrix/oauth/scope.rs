//! What a client asks for: the whole client-server API, for a device whose id it chooses ("Scope").

use std::fmt;

use ruma::OwnedDeviceId;

use super::{ErrorCode, Refusal};

/// How tokens about the use of the API start, and how they started before they were part of the specification.
const API: [&str; 2] = ["urn:matrix:client:api:", "urn:matrix:org.matrix.msc2967.client:api:"];

/// How the token that names the device starts, and how it started.
const DEVICE: [&str; 2] = ["urn:matrix:client:device:", "urn:matrix:org.matrix.msc2967.client:device:"];

/// The longest device id, in bytes, as for every other way to log in.
const MAXIMUM_DEVICE_ID: usize = 255;

/// A scope that this server grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The device that gets the tokens.
    pub device_id: OwnedDeviceId,
    /// The tokens of the scope that are granted, as the client wrote them.
    granted: String,
}

impl Scope {
    /// Reads a scope. Tokens that are nobody's business here, such as `openid`, are not granted, as RFC 6749 allows.
    ///
    /// # Errors
    ///
    /// `InvalidScope` if it does not ask for the whole API, or does not name exactly one device with a good id.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let mut granted: Vec<&str> = Vec::new();
        let (mut api, mut device_id) = (false, None);
        // A client may write each token in both ways, old and new, but not twice in the same.
        let mut devices = [0; DEVICE.len()];
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if API.iter().any(|start| token.strip_prefix(start) == Some("*")) {
                api = true;
            } else if let Some((way, id)) = device_of(token) {
                devices[way] += 1;
                if devices[way] > 1 || device_id.is_some_and(|other| other != id) {
                    return Err(ErrorCode::InvalidScope.with("the scope names more than one device"));
                }
                device_id = Some(id);
            } else {
                continue;
            }
            if !granted.contains(&token) {
                granted.push(token);
            }
        }
        if !api {
            return Err(ErrorCode::InvalidScope.with("the scope lacks urn:matrix:client:api:*"));
        }
        let device_id = device_id.ok_or_else(|| ErrorCode::InvalidScope.with("the scope names no device"))?;
        check_device_id(device_id)?;
        Ok(Self { device_id: device_id.into(), granted: granted.join(" ") })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.granted)
    }
}

fn device_of(token: &str) -> Option<(usize, &str)> {
    DEVICE.iter().enumerate().find_map(|(way, start)| Some((way, token.strip_prefix(start)?)))
}

/// A server may refuse what is not of the unreserved characters of URIs, and so does this one.
fn check_device_id(id: &str) -> Result<(), Refusal> {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    match (1..=MAXIMUM_DEVICE_ID).contains(&id.len()) && id.bytes().all(is_unreserved) {
        true => Ok(()),
        false => {
            Err(ErrorCode::InvalidScope.with("a device id is 1 to 255 letters, digits and the characters - . _ ~"))
        }
    }
}
