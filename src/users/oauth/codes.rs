//! Authorisation codes: what a browser carries from the person who allowed a client to that client, once and soon.

use std::time::Duration;

use ruma::UserId;

use super::{
    OAuth, OAuthFailure, OAuthGrant,
    secrets::{self, Token, TokenHash},
};
use crate::{
    error::{Kind, Result},
    matrix::oauth::{AuthorisationRequest, ErrorCode, Refusal},
    storage::{
        Batch, KeyRange, Snapshot,
        schema::oauth::{OAUTH_CLIENT_SESSIONS, OAUTH_CODES, OAUTH_SESSIONS, OAuthCode, OAuthSession},
        until_settled,
    },
    users::sessions::{MAXIMUM_DISPLAY_NAME, NewDevice, Refreshing},
};

/// How long a code works.
const LIFETIME: Duration = Duration::from_secs(60);

/// How long a code is kept after that, so that a second use is noticed.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// How a code starts; then comes the time at which it expires.
const PREFIX: &str = "cr_code_";

/// A client that comes for what it was allowed.
#[derive(Clone, Copy, Debug)]
pub struct CodeExchange<'a> {
    /// The code.
    pub code: &'a str,
    /// The client's id.
    pub client_id: &'a str,
    /// The redirect URI of its request.
    pub redirect_uri: &'a str,
    /// The proof that the request was its own.
    pub verifier: &'a str,
}

/// What a look at a code says.
enum Exchanged {
    Granted(Box<OAuthGrant>),
    Refused(Refusal),
    /// It has been used before, for a session that is not to go on.
    Repeated(OAuthCode, TokenHash),
}

impl OAuth {
    /// Notes that `user`, who has just proved who they are, allows `request`; gives the code for the client.
    pub async fn allow(&self, user: &UserId, request: &AuthorisationRequest) -> Result<Token> {
        let now = self.clock.millis();
        let ends_at = now + LIFETIME.as_millis() as u64;
        let code = Token::generate(&format!("code_{ends_at:x}"));
        let row = OAuthCode {
            user_id: user.to_owned(),
            client_id: request.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            device_id: request.scope.device_id.clone(),
            scope: request.scope.to_string(),
            used: false,
        };
        let mut batch = Batch::new();
        // Nobody is told of it, so it needs no position.
        batch.slots(0);
        let forgotten = now.saturating_sub(REMEMBERED_FOR.as_millis() as u64);
        OAUTH_CODES.delete_range(&mut batch, KeyRange::before((forgotten,)));
        OAUTH_CODES.put(&mut batch, (ends_at, code.hash()), &row);
        self.store.commit(batch).await.map(|_| code)
    }

    /// Gives the client the session that its code stands for.
    ///
    /// A code that comes twice is in two hands, so that the session which it began ends.
    ///
    /// # Errors
    ///
    /// `InvalidGrant` if there is no such code, it has expired or been used, or is not for who brings it.
    pub async fn exchange(&self, exchange: CodeExchange<'_>) -> Result<OAuthGrant, OAuthFailure> {
        let exchanged = until_settled(|| async {
            match self.try_exchange(exchange).await {
                Err(error) if is_about_the_account(&error.kind) => Ok(Exchanged::Refused(refused(error.message))),
                outcome => outcome,
            }
        });
        match exchanged.await? {
            Exchanged::Granted(grant) => Ok(*grant),
            Exchanged::Refused(refusal) => Err(refusal.into()),
            Exchanged::Repeated(code, hash) => {
                self.end_session_of(&code, hash).await?;
                Err(not_valid().into())
            }
        }
    }

    async fn try_exchange(&self, exchange: CodeExchange<'_>) -> Result<Exchanged> {
        let snapshot = self.store.snapshot();
        let Some((key, code)) = self.find(&snapshot, exchange.code).await? else {
            return Ok(Exchanged::Refused(not_valid()));
        };
        if code.used {
            return Ok(Exchanged::Repeated(code, key.1));
        }
        let is_theirs = code.client_id == exchange.client_id
            && code.redirect_uri == exchange.redirect_uri
            && code.challenge.is_met_by(exchange.verifier);
        if !is_theirs || key.0 <= self.clock.millis() {
            return Ok(Exchanged::Refused(not_valid()));
        }

        let mut batch = Batch::new();
        let client = self.note_use(&mut batch, &snapshot, &code.client_id).await?;
        let name = client.metadata.display_name().chars().take(MAXIMUM_DISPLAY_NAME).collect();
        let device = NewDevice {
            device_id: Some(code.device_id.clone()),
            display_name: Some(name),
            refreshing: Refreshing::Supported,
        };
        let (user, device_id) = (&*code.user_id, &*code.device_id);
        let grant = self.sessions.start_in(&mut batch, &snapshot, user, &device).await?;
        // After the start of the session, which forgets whose the device was before.
        let session = OAuthSession { client_id: code.client_id.clone(), scope: code.scope.clone(), code: key.1 };
        OAUTH_SESSIONS.put(&mut batch, (user, device_id), &session);
        OAUTH_CLIENT_SESSIONS.put(&mut batch, (&code.client_id, user, device_id), &());
        OAUTH_CODES.expect(&mut batch, key, Some(&code));
        OAUTH_CODES.put(&mut batch, key, &OAuthCode { used: true, ..code.clone() });
        self.store.commit(batch).await?;
        Ok(Exchanged::Granted(Box::new(OAuthGrant { grant, scope: code.scope.clone() })))
    }

    /// Ends the session that began with a code, unless another one has taken its place on the device.
    async fn end_session_of(&self, code: &OAuthCode, hash: TokenHash) -> Result<()> {
        let session = OAUTH_SESSIONS.get(&self.store.snapshot(), (&code.user_id, &code.device_id)).await?;
        match session.is_some_and(|session| session.code == hash) {
            true => self.sessions.end(&code.user_id, std::slice::from_ref(&code.device_id)).await,
            false => Ok(()),
        }
    }

    /// The row of a code, and its key. When a code says that it expires is true if it is in the table.
    async fn find(&self, snapshot: &Snapshot, code: &str) -> Result<Option<((u64, TokenHash), OAuthCode)>> {
        let ends_at = code.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let Some(ends_at) = ends_at.and_then(|(ends_at, _)| u64::from_str_radix(ends_at, 16).ok()) else {
            return Ok(None);
        };
        let key = (ends_at, secrets::hash(code));
        let row = OAUTH_CODES.get(snapshot, key).await?;
        Ok(row.map(|row| (key, row)))
    }
}

/// Whether nothing can come of a code because of what became of the account, the device or the client meanwhile.
fn is_about_the_account(kind: &Kind) -> bool {
    matches!(kind, Kind::Forbidden | Kind::NotFound | Kind::InvalidParam | Kind::UserDeactivated | Kind::UserLocked)
}

fn refused(message: std::borrow::Cow<'static, str>) -> Refusal {
    ErrorCode::InvalidGrant.with(message)
}

fn not_valid() -> Refusal {
    ErrorCode::InvalidGrant.with("the code is not valid, or not for this client")
}
