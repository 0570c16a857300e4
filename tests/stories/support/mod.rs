//! Makes stories read like a chat: a real server in a folder of its own, and people who talk to it over HTTP.

mod answer;
mod connection;
mod eventually;
mod files;
mod log;
mod server;
mod sync;
mod user;

pub use self::{
    answer::Answer,
    connection::{Connection, encode},
    eventually::{PATIENCE, eventually},
    files::{FileAnswer, id_of},
    server::Server,
    sync::Sync,
    user::User,
};
