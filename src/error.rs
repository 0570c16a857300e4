//! The one error type of the server: a kind, which decides the Matrix errcode, and a sentence for the person who reads it.
//!
//! Services return these; only `http/error_response.rs` turns them into statuses and errcodes.

use std::{borrow::Cow, fmt, mem, time::Duration};

use ruma::{RoomVersionId, api::client::uiaa::UiaaInfo};

/// What every fallible function of the server returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with a sentence that says what happened and, where it can, what to do.
#[derive(Debug)]
pub struct Error {
    /// The kind that callers and the HTTP edge match on.
    pub kind: Kind,
    /// A sentence for the client or the log; never holds a secret.
    pub message: Cow<'static, str>,
}

/// Why something failed, in the vocabulary of the Matrix specification's error codes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The caller is known and may not do this.
    Forbidden,
    /// No access token was given.
    MissingToken,
    /// The access token is not known, or no longer.
    UnknownToken {
        /// Asks the client to keep its keys and log in again.
        soft_logout: bool,
    },
    /// The credentials in the request (not an access token) are wrong.
    Unauthorized,
    /// The endpoint does not exist or is out of scope.
    Unrecognized,
    /// The endpoint exists with another HTTP method.
    MethodNotAllowed,
    /// The thing asked for does not exist, or the caller may not know that it does.
    NotFound,
    /// The position of a sliding sync is not one that the server remembers.
    UnknownPosition,
    /// The body is not JSON.
    NotJson,
    /// The body is JSON of the wrong shape.
    BadJson,
    /// A value is out of its allowed range.
    InvalidParam,
    /// A signature is missing, or is not one of the key that it names.
    InvalidSignature,
    /// A required value is absent.
    MissingParam,
    /// An event or a body is larger than allowed.
    TooLarge,
    /// The rate limit is used up.
    LimitExceeded {
        /// How long the caller should wait before it tries again.
        retry_after: Duration,
    },
    /// The media was announced, and its content has not come yet.
    NotYetUploaded,
    /// The media has its content already.
    CannotOverwriteMedia,
    /// The device that an application service names is not one of the user's.
    UnknownDevice,
    /// An application service has no URL to be called at.
    NoUrl,
    /// An application service could not be reached.
    ConnectionFailed,
    /// An application service did not answer in time.
    ConnectionTimeout,
    /// An application service answered with a status that is no success.
    BadStatus {
        /// The status.
        status: u16,
        /// What stood in the answer.
        body: String,
    },
    /// Somebody else who had to be asked did not answer.
    TimedOut,
    /// The user id is taken.
    UserInUse,
    /// The localpart is not a valid one.
    InvalidUsername,
    /// The localpart or alias is reserved by an application service.
    Exclusive,
    /// The password is too weak.
    WeakPassword,
    /// An account has the e-mail address already.
    AddressInUse,
    /// The server does not want this e-mail address or telephone number.
    AddressDenied,
    /// Nobody has proved that the e-mail address is theirs.
    AddressUnproven,
    /// The server has no such addresses: it sends no mail, or no short messages.
    MediumNotSupported,
    /// The server works with no identity server.
    IdentityServerNotTrusted,
    /// The code that was mailed is another one.
    TokenIncorrect,
    /// What was mailed does not work any more.
    SessionExpired,
    /// The account was deactivated.
    UserDeactivated,
    /// An administrator locked the account; the client keeps its session and waits.
    UserLocked,
    /// An administrator suspended the account: it reads and leaves, and does little else.
    UserSuspended,
    /// Clients cannot write this, because the server itself does.
    WrittenByServer,
    /// Guests may not do this, or there are no guests here.
    GuestAccessForbidden,
    /// The invited user wants no invitations.
    InviteBlocked,
    /// The room alias is taken.
    RoomInUse,
    /// An alias in `m.room.canonical_alias` does not point to the room.
    BadAlias,
    /// The initial state of a room contradicts itself.
    InvalidRoomState,
    /// The change does not fit the current state, such as unbanning someone who is not banned.
    BadState,
    /// The server does not know the room version.
    UnsupportedRoomVersion,
    /// The joining server does not support the room's version.
    IncompatibleRoomVersion(RoomVersionId),
    /// Users cannot leave the server-notices room.
    CannotLeaveServerNoticeRoom,
    /// A profile would become larger than 64 KiB.
    ProfileTooLarge,
    /// A profile key is longer than 255 bytes.
    KeyTooLarge,
    /// Keys were sent for a version of the backup that is not the current one.
    WrongRoomKeysVersion {
        /// The current version.
        current: String,
    },
    /// User-interactive authentication must go on; the value says how.
    InteractiveAuth(Box<UiaaInfo>),
    /// A commit's precondition did not hold: someone else wrote first.
    Conflict,
    /// The same user has annotated the event with the same key before.
    DuplicateAnnotation,
    /// The event that is to cause a subscription to a thread is not in the thread (MSC4306).
    NotInThread,
    /// The user has unsubscribed from a thread since the event that is to subscribe them automatically (MSC4306).
    ConflictingUnsubscription,
    /// A failure that fits nothing else and is the caller's to mend.
    Unknown,
    /// The server failed; the message goes to the log and not to the client.
    Internal,
}

/// Kinds are equal when they are the same variant; what a variant carries for the answer is not compared.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        mem::discriminant(self) == mem::discriminant(other)
    }
}

impl Kind {
    /// An error of this kind with a sentence that explains it.
    pub fn with(self, message: impl Into<Cow<'static, str>>) -> Error {
        Error { kind: self, message: message.into() }
    }
}

impl Error {
    /// The caller may not do this.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Kind::Forbidden.with(message)
    }

    /// What was asked for does not exist.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Kind::NotFound.with(message)
    }

    /// A value of the request is out of its allowed range.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Kind::InvalidParam.with(message)
    }

    /// A failure of the server itself; `cause` is logged and never sent.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Kind::Internal.with(cause.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
