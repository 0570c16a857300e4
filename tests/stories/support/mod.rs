//! Makes stories read like a chat: a real server in a folder of its own, and people who talk to it over HTTP.

mod answer;
mod appservice;
mod connection;
mod eventually;
mod files;
mod gateway;
mod keys;
mod log;
pub mod mail_server;
mod s3;
mod server;
mod sync;
mod user;
mod website;

pub use self::{
    answer::Answer,
    appservice::{Appservice, registrations, with_registrations},
    connection::{Connection, encode},
    eventually::{PATIENCE, eventually},
    files::{FileAnswer, files_in, id_of},
    gateway::{GATEWAYS_ON_LOOPBACK, Gateway, Manner},
    keys::{CrossSigning, Key},
    s3::S3,
    server::Server,
    sync::Sync,
    user::User,
    website::Website,
};
