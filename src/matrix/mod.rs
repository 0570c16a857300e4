//! The protocol's rules as pure functions over values: no I/O, no clock, no async.
//!
//! Services fetch what a rule needs, ask it, and write the outcome.

pub mod auth_rules;
pub mod client_event;
pub mod draft;
pub mod email_address;
pub mod event;
pub mod event_filter;
pub mod glob;
pub mod history_visibility;
pub mod invite_filter;
pub mod known_fields;
pub mod oauth;
pub mod owned_state;
pub mod power_levels;
pub mod public_keys;
pub mod push_rules;
pub mod redact;
pub mod relation_filter;
pub mod room_version;
pub mod signing;
pub mod turn;

#[cfg(test)]
pub(crate) mod fixtures;
