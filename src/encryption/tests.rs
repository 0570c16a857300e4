//! People with devices over a store in memory, for the tests of this folder.

use ruma::{DeviceId, UserId, user_id};

use super::{DEVICE_BELONGINGS, Encryption, USER_BELONGINGS};
use crate::{
    clock::Clock,
    config::Config,
    storage::Store,
    streams::Notifier,
    users::{Admission, NewAccount, NewDevice, Role, Users},
};

pub(super) fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

pub(super) fn bob() -> &'static UserId {
    user_id!("@bob:example.org")
}

/// The services over a store in memory.
pub(super) struct Scene {
    pub store: Store,
    pub notifier: Notifier,
    pub clock: Clock,
    pub users: Users,
    pub encryption: Encryption,
}

impl Scene {
    /// Alice has the devices A and B, and Bob has C.
    pub async fn new() -> Self {
        let it = Self::over(Store::in_memory(), Clock::manual(1_000_000_000_000));
        for user in [alice(), bob()] {
            let account = NewAccount {
                username: Some(user.localpart().to_owned()),
                password: None,
                display_name: None,
                admission: Admission::Granted(Role::User),
            };
            it.users.registration.register(account).await.unwrap();
        }
        for (user, device) in [(alice(), "A"), (alice(), "B"), (bob(), "C")] {
            it.log_in(user, device.into()).await;
        }
        it
    }

    /// The services as they start on what a store holds.
    fn over(store: Store, clock: Clock) -> Self {
        let text = "server_name = \"example.org\"\ndata_dir = \"data\"";
        let config = Config::read(text, "".as_ref(), []).unwrap();
        let notifier = Notifier::default();
        let users = Users::new(&store, &notifier, &clock, &config, DEVICE_BELONGINGS).unwrap();
        let users = users.with_user_belongings(USER_BELONGINGS);
        let encryption = Encryption::new(&store, &notifier, &clock, &users);
        Self { store, notifier, clock, users, encryption }
    }

    /// The same after a restart.
    pub fn restarted(&self) -> Self {
        Self::over(self.store.clone(), self.clock.clone())
    }

    pub async fn log_in(&self, user: &UserId, device: &DeviceId) {
        let device = NewDevice { device_id: Some(device.to_owned()), ..NewDevice::default() };
        self.users.sessions.start(user, device).await.unwrap();
    }

    pub async fn log_out(&self, user: &UserId, device: &DeviceId) {
        self.users.sessions.end(user, &[device.to_owned()]).await.unwrap();
    }
}
