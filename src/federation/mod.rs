//! What servers know of each other. For now only what this one says of itself: the keys that it signs with.

mod server_keys;

pub use self::server_keys::ServerKeys;
