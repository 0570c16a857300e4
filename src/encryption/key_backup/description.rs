//! How a client describes a backup: the algorithm, and what belongs to it.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    error::{Error, Kind, Result},
    storage::schema::key_backup::KeyBackup,
};

/// The longest name of an algorithm, in bytes.
const MAXIMUM_ALGORITHM: usize = 255;
/// The largest `auth_data`, in bytes of JSON.
const MAXIMUM_AUTH_DATA: usize = 65_536;

/// A description that the server can keep.
pub(super) struct Description {
    /// The version that it says it is of.
    pub version: Option<String>,
    /// The name of the algorithm.
    pub algorithm: String,
    /// The JSON object that belongs to it.
    pub auth_data: String,
}

impl Description {
    /// Reads what a client sent. The server need not know the algorithm, since it cannot read the keys anyway.
    ///
    /// # Errors
    ///
    /// `BadJson` if it is no description; `TooLarge` if it is too large.
    pub fn parse(json: &RawValue) -> Result<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            version: Option<String>,
            algorithm: String,
            #[serde(borrow)]
            auth_data: &'a RawValue,
        }
        let Body { version, algorithm, auth_data } = serde_json::from_str(json.get())
            .map_err(|cause| Kind::BadJson.with(format!("This does not describe a backup of keys: {cause}.")))?;
        if !auth_data.get().starts_with('{') {
            return Err(Kind::BadJson.with("The auth_data of a backup must be a JSON object."));
        }
        if algorithm.len() > MAXIMUM_ALGORITHM || auth_data.get().len() > MAXIMUM_AUTH_DATA {
            return Err(Kind::TooLarge.with("An algorithm has at most 255 bytes, and auth_data at most 65,536."));
        }
        Ok(Self { version, algorithm, auth_data: auth_data.get().to_owned() })
    }
}

/// The description of a backup, without its version.
pub(super) fn of(backup: &KeyBackup) -> Result<Box<RawValue>> {
    #[derive(Serialize)]
    struct Body<'a> {
        algorithm: &'a str,
        auth_data: &'a RawValue,
    }
    let auth_data = serde_json::from_str(&backup.auth_data).map_err(Error::internal)?;
    to_raw_value(&Body { algorithm: &backup.algorithm, auth_data }).map_err(Error::internal)
}
