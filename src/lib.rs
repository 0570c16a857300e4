//! Commonroom, a Matrix homeserver: one binary, one data folder, one config file.
//!
//! The modules stand in layers, lowest first; each uses only the layers above its own line in this list, never its
//! neighbours on the same line. `ARCHITECTURE.md` explains why and `tests/architecture.rs` holds it.
//!
//! ```text
//! error  config  clock  shutdown
//! outgoing                  the guarded door to other servers
//! matrix                    the protocol's rules as pure functions over ruma's types
//! storage                   an ordered key-value engine and every table in it
//! streams                   positions, the change log, waking those who wait
//! federation                what servers know of each other: for now only this one's keys
//! appservices               which bridges and bots are registered, and whose users and aliases are theirs
//! users  media              accounts, sessions, and what belongs to one person; files and pictures
//! rooms                     the heart: the log of each room, its state, and who may see what
//! encryption  presence      what devices need to encrypt for each other, without being able to read it; who is online
//! sync  delivery  search    what changed for one device since a position; telling those outside; finding messages and people
//! http                      the edge: the only place that knows axum, statuses and errcodes
//! server                    builds the services in order, serves, shuts down; what an operator may ask of it
//! cli                       the commands
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod appservices;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod encryption;
pub mod error;
pub mod federation;
pub mod http;
pub mod matrix;
pub mod media;
pub mod outgoing;
pub mod presence;
pub mod rooms;
pub mod search;
pub mod server;
pub mod shutdown;
pub mod storage;
pub mod streams;
pub mod sync;
pub mod users;
