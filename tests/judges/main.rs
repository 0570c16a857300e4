//! Two judges of the whole server from outside: hostile requests to every endpoint, and who may read what.

#[allow(dead_code, unused_imports, reason = "judges need less than the stories do")]
#[path = "../stories/support/mod.rs"]
mod support;

mod authorisation;
mod fuzz;
