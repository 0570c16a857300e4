//! What leaves the server because of what happened on it: followers of the log that tell others.

pub mod appservices;
pub mod push;

pub use self::{appservices::Bridges, push::Push};
