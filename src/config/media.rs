//! `[media]`: files and pictures, how many, how large, and where they are kept.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::{secret::Secret, units};

/// `[media]`: files and pictures.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// The largest file that can be uploaded, in bytes.
    #[serde(deserialize_with = "units::bytes")]
    pub max_upload_size: u64,
    /// What can be read without an access token.
    pub unauthenticated_access: UnauthenticatedAccess,
    /// How many files a user may have announced and not uploaded.
    pub max_announced: u32,
    /// How long an announced file may take to be uploaded.
    #[serde(deserialize_with = "units::duration")]
    pub announced_for: Duration,
    /// The largest picture of which thumbnails are made, in pixels.
    pub max_pixels: u64,
    /// How long files are kept that nobody looks at; `None` is forever.
    #[serde(deserialize_with = "optional_duration")]
    pub keep_for: Option<Duration>,
    /// How much each user may have uploaded, in bytes; `None` is any amount.
    #[serde(deserialize_with = "optional_bytes")]
    pub quota_per_user: Option<u64>,
    /// The bucket in which files are kept; `None` is the data folder. [`Media::s3`] has these together.
    pub s3_bucket: Option<String>,
    /// The service's URL.
    pub s3_endpoint: Option<String>,
    /// The region.
    pub s3_region: Option<String>,
    /// The name of the key.
    pub s3_access_key: Option<String>,
    /// The key itself.
    pub s3_secret_key: Option<Secret>,
    /// Whether the bucket's name stands in the path of addresses.
    pub s3_path_style: bool,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            max_upload_size: 100 << 20,
            unauthenticated_access: UnauthenticatedAccess::Frozen,
            max_announced: 50,
            announced_for: Duration::from_secs(24 * 3600),
            max_pixels: 32_000_000,
            keep_for: None,
            quota_per_user: None,
            s3_bucket: None,
            s3_endpoint: None,
            s3_region: None,
            s3_access_key: None,
            s3_secret_key: None,
            s3_path_style: true,
        }
    }
}

/// What can be read without an access token, under the addresses of Matrix 1.10 and older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnauthenticatedAccess {
    /// Everything.
    On,
    /// What was uploaded while it was on.
    Frozen,
    /// Nothing.
    Off,
}

/// Where files are kept in S3 or a service that speaks its language.
#[derive(Clone, Debug, PartialEq)]
pub struct S3 {
    /// The bucket, which must exist.
    pub bucket: String,
    /// The service's URL; `None` is that of Amazon.
    pub endpoint: Option<String>,
    /// The region; services other than Amazon's mostly do not care.
    pub region: String,
    /// The name of the key.
    pub access_key: String,
    /// The key itself.
    pub secret_key: Secret,
    /// Whether the bucket's name stands in the path of addresses.
    pub path_style: bool,
}

impl Media {
    /// Where files are kept if it is not the data folder.
    pub fn s3(&self) -> Option<S3> {
        Some(S3 {
            bucket: self.s3_bucket.clone()?,
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
            access_key: self.s3_access_key.clone()?,
            secret_key: self.s3_secret_key.clone()?,
            path_style: self.s3_path_style,
        })
    }

    /// What is missing or cannot be, with the key that it begins with.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.max_announced == 0 {
            return Some("max_announced must be at least 1");
        }
        let others = [&self.s3_endpoint, &self.s3_region, &self.s3_access_key];
        match &self.s3_bucket {
            None if self.s3_secret_key.is_some() || others.iter().any(|key| key.is_some()) => {
                Some("s3_bucket is missing, without which files are not kept in S3")
            }
            Some(_) if self.s3_access_key.is_none() => Some("s3_access_key is missing: the bucket needs one"),
            Some(_) if self.s3_secret_key.is_none() => {
                Some("s3_secret_key is missing: set it or s3_secret_key_file, since the bucket needs one")
            }
            _ => None,
        }
    }
}

fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    units::duration(deserializer).map(Some)
}

fn optional_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    units::bytes(deserializer).map(Some)
}
