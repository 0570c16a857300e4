//! The tables of files and pictures. Their bytes are objects in an object store, which only these rows name.

use ruma::{OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::storage::{Family, Table, TableInfo};

/// Every file that is whole, by the two parts of its `mxc://` URI.
pub const FILES: Table<(OwnedServerName, String), File> = Table::new(150, "files", Family::Rows);

/// The objects that no row names: those that are being written, so that a crash leaves none behind, and those that are to
/// be deleted.
pub const LOOSE_OBJECTS: Table<(ObjectId,), Loose> = Table::new(151, "loose_objects", Family::Rows);

/// The files that were announced and are not there yet, by the second part of their URI; they are all of this server.
pub const ANNOUNCED: Table<(String,), Announced> = Table::new(152, "announced_files", Family::Rows);

/// Which file each of a user's announcements is for, numbered from 0, so that the number bounds how many there can be.
pub const ANNOUNCEMENTS: Table<(OwnedUserId, u32), Announcement> = Table::new(153, "announcements", Family::Rows);

/// The announced files by when they expire, so that old ones are found without a look at the others.
pub const ANNOUNCED_BY_END: Table<(u64, String), ()> = Table::new(154, "announced_by_end", Family::Rows);

/// The thumbnails of each picture that were asked for so far, by size.
pub const THUMBNAILS: Table<(OwnedServerName, String, String), Thumbnail> = Table::new(155, "thumbnails", Family::Rows);

/// How many bytes each user has uploaded in all, so that a quota needs no look at every file. It changes only in the commits
/// that add and delete files.
pub const UPLOADED: Table<(OwnedUserId,), u64> = Table::new(156, "uploaded_bytes", Family::Rows);

/// The files by when they were last asked for, so that old ones are found without a look at the others.
pub const FILES_BY_USE: Table<(u64, OwnedServerName, String), ()> = Table::new(157, "files_by_use", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[
    FILES.info(),
    LOOSE_OBJECTS.info(),
    ANNOUNCED.info(),
    ANNOUNCEMENTS.info(),
    ANNOUNCED_BY_END.info(),
    THUMBNAILS.info(),
    UPLOADED.info(),
    FILES_BY_USE.info(),
];

/// The random number that names an object.
pub type ObjectId = [u8; 16];

/// A file: what is known of it besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where the bytes are.
    pub object: ObjectId,
    /// How many bytes there are.
    pub size: u64,
    /// The media type that the uploader gave it.
    pub content_type: String,
    /// The name that the uploader gave it.
    pub name: Option<String>,
    /// Who uploaded it; `None` for what the server keeps for itself.
    pub uploader: Option<OwnedUserId>,
    /// When it was uploaded, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// When it was last asked for, in milliseconds since the Unix epoch; kept to the day, and only where that matters.
    pub used_at: u64,
    /// Whether it can be read without an access token even when that is frozen.
    pub unauthenticated: bool,
    /// Changes with everything else that is kept of the file, so that a commit that deletes all of it misses nothing.
    pub revision: u32,
}

/// Why no row names an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loose {
    /// It is being written, or was when the server crashed.
    BeingWritten {
        /// The run of the server that writes it; with another one running, nobody does any more.
        boot: u64,
    },
    /// It is to be deleted.
    Discarded,
}

/// A file that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Who announced it, and may upload it.
    pub by: OwnedUserId,
    /// Which of the user's announcements it is.
    pub number: u32,
    /// When its upload must have begun, in milliseconds since the Unix epoch.
    pub expires_at: u64,
}

/// One of a user's announcements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The file, by the second part of its URI.
    pub id: String,
    /// When its upload must have begun; the number is free then.
    pub expires_at: u64,
}

/// A thumbnail of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// Where its bytes are; `None` where the picture itself serves as one.
    pub object: Option<ObjectId>,
    /// How many bytes there are.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
}
