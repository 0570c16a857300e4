//! What leaves the server because of what happened on it: followers of the log that tell others.

pub mod push;

pub use self::push::Push;
