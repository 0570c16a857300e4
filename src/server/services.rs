//! Builds the services, lowest layer first.

use std::sync::Arc;

use crate::{
    clock::Clock,
    config::Config,
    error::Result,
    http::{Parts, rate_limit::RateLimits},
    matrix::signing::SigningKey,
    rooms::{Rooms, Settings},
    storage::Store,
    streams::Notifier,
    users::Users,
};

/// Every service over `store`, for the server that `config` describes and that signs with `key`.
///
/// # Errors
///
/// Says which choice of the operator cannot be met.
pub fn build(config: Arc<Config>, store: Store, key: SigningKey, clock: Clock) -> Result<Parts> {
    let notifier = Notifier::default();
    let users = Users::new(&store, &notifier, &clock, &config)?;
    let settings = Settings {
        server_name: config.server_name.clone(),
        default_version: config.rooms.default_version.clone(),
        default_history_visibility: config.rooms.default_history_visibility,
    };
    let rooms = Rooms::new(store.clone(), clock.clone(), notifier, key, settings);
    Ok(Parts { rate_limits: RateLimits::new(&config.limits), config, clock, store, users, rooms })
}
