//! What the handlers are served from: every service once, and how each is picked out by its type.

use std::sync::Arc;

use axum::extract::FromRef;

use super::rate_limit::RateLimits;
use crate::{
    clock::Clock,
    config::Config,
    rooms::Rooms,
    users::{
        AccountData, Accounts, Filters, InteractiveAuth, LoginTokens, OpenIdTokens, Profiles, PushRules, Registration,
        RegistrationTokens, Sessions, Tags, Users,
    },
};

/// The services the handlers name in their signatures, shared by all requests.
///
/// A handler cannot see this: it asks for `State<Service>` and gets that one.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The services, built and handed over by the server.
pub struct Parts {
    /// The operator's choices.
    pub config: Arc<Config>,
    /// The current time.
    pub clock: Clock,
    /// How often one client may ask.
    pub rate_limits: RateLimits,
    /// What belongs to one person.
    pub users: Users,
    /// Rooms and what happens in them.
    pub rooms: Rooms,
}

impl App {
    /// Shares `parts` with the handlers.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The largest request body that is read, in bytes.
    pub(super) fn max_body_size(&self) -> usize {
        self.0.config.limits.max_body_size.try_into().unwrap_or(usize::MAX)
    }
}

impl FromRef<App> for Arc<Config> {
    fn from_ref(app: &App) -> Self {
        app.0.config.clone()
    }
}

impl FromRef<App> for Clock {
    fn from_ref(app: &App) -> Self {
        app.0.clock.clone()
    }
}

impl FromRef<App> for Rooms {
    fn from_ref(app: &App) -> Self {
        app.0.rooms.clone()
    }
}

impl FromRef<App> for RateLimits {
    fn from_ref(app: &App) -> Self {
        app.0.rate_limits.clone()
    }
}

impl FromRef<App> for Accounts {
    fn from_ref(app: &App) -> Self {
        app.0.users.accounts.clone()
    }
}

impl FromRef<App> for Sessions {
    fn from_ref(app: &App) -> Self {
        app.0.users.sessions.clone()
    }
}

impl FromRef<App> for Registration {
    fn from_ref(app: &App) -> Self {
        app.0.users.registration.clone()
    }
}

impl FromRef<App> for RegistrationTokens {
    fn from_ref(app: &App) -> Self {
        app.0.users.registration_tokens.clone()
    }
}

impl FromRef<App> for InteractiveAuth {
    fn from_ref(app: &App) -> Self {
        app.0.users.interactive_auth.clone()
    }
}

impl FromRef<App> for LoginTokens {
    fn from_ref(app: &App) -> Self {
        app.0.users.login_tokens.clone()
    }
}

impl FromRef<App> for OpenIdTokens {
    fn from_ref(app: &App) -> Self {
        app.0.users.openid_tokens.clone()
    }
}

impl FromRef<App> for Profiles {
    fn from_ref(app: &App) -> Self {
        app.0.users.profiles.clone()
    }
}

impl FromRef<App> for AccountData {
    fn from_ref(app: &App) -> Self {
        app.0.users.account_data.clone()
    }
}

impl FromRef<App> for Tags {
    fn from_ref(app: &App) -> Self {
        app.0.users.tags.clone()
    }
}

impl FromRef<App> for PushRules {
    fn from_ref(app: &App) -> Self {
        app.0.users.push_rules.clone()
    }
}

impl FromRef<App> for Filters {
    fn from_ref(app: &App) -> Self {
        app.0.users.filters.clone()
    }
}

#[cfg(test)]
impl App {
    /// An app whose services keep everything in memory, with `extra` in its configuration file.
    pub fn in_memory(extra: &str) -> Self {
        let text = format!("server_name = \"example.org\"\ndata_dir = \"data\"\n{extra}");
        let config = Config::read(&text, "".as_ref(), []).unwrap();
        let rate_limits = RateLimits::new(&config.limits);
        let settings = crate::rooms::Settings {
            server_name: config.server_name.clone(),
            default_version: config.rooms.default_version.clone(),
            default_history_visibility: config.rooms.default_history_visibility,
        };
        let (store, clock) = (crate::storage::Store::in_memory(), Clock::system());
        let key = crate::matrix::signing::SigningKey::generate();
        let notifier = crate::streams::Notifier::default();
        let users = Users::new(&store, &notifier, &clock, &config).unwrap();
        let rooms = Rooms::new(store, clock.clone(), notifier, key, settings);
        Self::new(Parts { config: Arc::new(config), clock, rate_limits, users, rooms })
    }
}
