//! The server's own account, in whose name it speaks to its users. Nobody can log in to it.

use ruma::{
    OwnedUserId, UserId,
    profile::{ProfileFieldName, ProfileFieldValue, UserProfile},
};

use super::{Users, usernames};
use crate::{
    config,
    error::{Error, Result},
    storage::{
        Batch,
        schema::users::{Account, PROFILES, Role},
        until_settled,
    },
};

impl Users {
    /// Makes the server's own account, unless it is there, and has its profile show what the operator chose.
    ///
    /// # Errors
    ///
    /// `InvalidUsername` if its id would be too long; `InvalidParam` if the account is a person's.
    pub async fn prepare_server_account(&self, chosen: &config::ServerNotices) -> Result<OwnedUserId> {
        let user = usernames::new_user_id(&chosen.localpart, self.accounts.server_name())?;
        until_settled(|| self.found_server_account(&user, chosen)).await?;
        self.profiles.set(&user, &ProfileFieldValue::DisplayName(chosen.display_name.clone())).await?;
        match &chosen.avatar_url {
            Some(url) => self.profiles.set(&user, &ProfileFieldValue::AvatarUrl(url.clone())).await?,
            None => self.profiles.remove(&user, &ProfileFieldName::AvatarUrl).await?,
        }
        Ok(user)
    }

    async fn found_server_account(&self, user: &UserId, chosen: &config::ServerNotices) -> Result<()> {
        match self.accounts.get(user).await? {
            Some(Account { role: Role::Server, .. }) => return Ok(()),
            Some(_) => {
                return Err(Error::invalid(format!(
                    "the server cannot speak in the name of {user}, which is somebody's account: \
                     set server_notices.localpart to a name that nobody has"
                )));
            }
            None => {}
        }
        let mut batch = Batch::new();
        self.accounts.insert(&mut batch, user, None, Role::Server);
        // Both at once, so that a first start waits for the disk once.
        let name = ProfileFieldValue::DisplayName(chosen.display_name.clone());
        PROFILES.put(&mut batch, (user,), &UserProfile::from_iter([name]));
        self.accounts.store().commit(batch).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;
    use crate::{
        clock::Clock,
        config::Config,
        error::Kind,
        storage::Store,
        streams::Notifier,
        users::{Admission, Belongings, NewAccount, NewDevice, deactivate},
    };

    fn users_in(store: &Store) -> (Users, Config) {
        let text = "server_name = \"example.org\"\ndata_dir = \"data\"\n[passwords]\nmemory_kib = 8\niterations = 1";
        let config = Config::read(text, "".as_ref(), []).unwrap();
        (Users::new(store, &Notifier::default(), &Clock::manual(1_000), &config, &[]).unwrap(), config)
    }

    #[tokio::test]
    async fn it_is_made_once_and_shows_what_the_operator_chose_last() {
        let store = Store::in_memory();
        let (users, Config { mut server_notices, .. }) = users_in(&store);
        let server = users.prepare_server_account(&server_notices).await.unwrap();
        assert_eq!(server, "@_server:example.org");
        let before = store.snapshot().position();
        users.prepare_server_account(&server_notices).await.unwrap();
        assert_eq!(store.snapshot().position(), before, "an ordinary start writes nothing");

        server_notices.display_name = "Head office".to_owned();
        server_notices.avatar_url = Some("mxc://example.org/a".into());
        users.prepare_server_account(&server_notices).await.unwrap();
        let profile = users.profiles.get(&server).await.unwrap();
        assert_eq!(profile.get("displayname").unwrap(), "Head office");
        assert_eq!(profile.get("avatar_url").unwrap(), "mxc://example.org/a");
        server_notices.avatar_url = None;
        users.prepare_server_account(&server_notices).await.unwrap();
        assert!(users.profiles.get(&server).await.unwrap().get("avatar_url").is_none());
    }

    #[tokio::test]
    async fn nobody_gets_hold_of_it() {
        let (users, Config { server_notices, .. }) = users_in(&Store::in_memory());
        let server = users.prepare_server_account(&server_notices).await.unwrap();
        let password = "correct horse";
        let new = NewAccount {
            username: Some("_server".to_owned()),
            password: Some(password.to_owned()),
            display_name: None,
            admission: Admission::Open,
        };
        assert_eq!(users.registration.register(new).await.unwrap_err().kind, Kind::UserInUse);
        assert_eq!(users.accounts.check_password(&server, password).await.unwrap_err().kind, Kind::Forbidden);
        let refused = [
            users.sessions.start(&server, NewDevice::default()).await.err(),
            users.accounts.set_role(&server, Role::User).await.err(),
            users.sessions.lock(&server).await.err(),
            deactivate(&users.accounts, &users.sessions, &server, Belongings::Erase).await.err(),
        ];
        for error in refused {
            assert_eq!(error.expect("it is refused").kind, Kind::Forbidden);
        }
    }

    #[tokio::test]
    async fn the_account_of_a_person_is_not_taken_over() {
        let (users, Config { mut server_notices, .. }) = users_in(&Store::in_memory());
        let new = NewAccount {
            username: Some("alice".to_owned()),
            password: None,
            display_name: None,
            admission: Admission::Open,
        };
        users.registration.register(new).await.unwrap();
        server_notices.localpart = "alice".to_owned();
        let error = users.prepare_server_account(&server_notices).await.unwrap_err();
        assert!(error.message.contains("set server_notices.localpart"), "{error}");
        let profile = users.profiles.get(user_id!("@alice:example.org")).await.unwrap();
        assert_eq!(profile.get("displayname").unwrap(), "alice");
    }
}
