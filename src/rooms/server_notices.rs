//! Server notices: what the server itself tells its users, each in a room of their own
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#server-notices)).

use std::collections::BTreeSet;

use ruma::{
    OwnedDeviceId, OwnedEventId, OwnedMxcUri, OwnedTransactionId, OwnedUserId, UserId,
    api::client::room::create_room::v3::{Request, RoomPreset},
    events::{StateEventType, TimelineEventType, room::member::MembershipState, tag::TagName},
    serde::Raw,
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::{Intent, Room, Rooms, Writer, create_plan::Plan, member_event::MemberContent};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Snapshot,
        schema::rooms::{NOTICE_ROOMS, TRANSACTIONS},
        until_settled,
    },
    users::{Account, Role, Standing},
};

/// What the transaction ids of notices are unique within, besides the administrator's device.
const TRANSACTION_SCOPE: &str = "send_server_notice";

/// What speaking and changing anything takes in these rooms, and only the server has.
const LEVEL: i64 = 50;

/// The state that a notice can set: how the room looks, and which notices are active.
const STATE: [StateEventType; 4] =
    [StateEventType::RoomAvatar, StateEventType::RoomName, StateEventType::RoomPinnedEvents, StateEventType::RoomTopic];

/// In whose name the server itself speaks, and where.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    /// The server's own user id.
    pub sender: OwnedUserId,
    /// What new rooms are called.
    pub room_name: String,
    /// The picture of new rooms.
    pub avatar_url: Option<OwnedMxcUri>,
}

/// What the server tells a user.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The type of the event, usually `m.room.message`.
    pub kind: TimelineEventType,
    /// The state key, if the notice sets state of the room.
    pub state_key: Option<String>,
    /// The content as JSON.
    pub content: Box<RawValue>,
}

/// An administrator's request for a notice, which sends it only once however often it is repeated.
#[derive(Clone, Debug)]
pub struct NoticeRequest {
    /// The administrator.
    pub user_id: OwnedUserId,
    /// The administrator's device.
    pub device_id: OwnedDeviceId,
    /// The id that it gave the request.
    pub transaction_id: OwnedTransactionId,
}

impl Notice {
    /// A message that people read.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if there is nothing to read.
    pub fn text(body: &str) -> Result<Self> {
        if body.trim().is_empty() {
            return Err(Error::invalid("A notice needs a text."));
        }
        let content = to_raw_value(&json!({ "msgtype": "m.text", "body": body })).map_err(Error::internal)?;
        Ok(Self { kind: TimelineEventType::RoomMessage, state_key: None, content })
    }

    fn check(&self) -> Result<()> {
        match (&self.kind, &self.state_key) {
            (TimelineEventType::RoomRedaction, _) => Err(Error::invalid("A redaction is no notice.")),
            (kind, Some(_)) if !STATE.iter().any(|state| state.to_string() == kind.to_string()) => Err(Error::invalid(
                format!("A notice cannot set {kind}, only what the room looks like and what is pinned."),
            )),
            _ => Ok(()),
        }
    }

    fn intent(&self, sender: &UserId) -> Intent {
        let message = Intent::message(sender, self.kind.clone(), self.content.clone());
        Intent { state_key: self.state_key.clone(), ..message }
    }
}

impl Rooms {
    /// Whether it is the server itself that speaks in the name of `user`.
    pub fn speaks_for_server(&self, user: &UserId) -> bool {
        self.shared.settings.server_notices.sender == *user
    }

    /// The people whom `user` does not want to hear of as of `snapshot`. What the server itself has to say comes through, and
    /// so does what users say themselves: who has put their own name on the list has other devices that must hear of it.
    pub async fn ignored_by(&self, snapshot: &Snapshot, user: &UserId) -> Result<BTreeSet<OwnedUserId>> {
        let mut ignored = self.shared.account_data.ignored_users(snapshot, user).await?;
        ignored.remove(&self.shared.settings.server_notices.sender);
        ignored.remove(user);
        Ok(ignored)
    }

    /// Tells a user of this server something, and gives the event's id; the same id if the request is repeated. The first
    /// notice makes the room; whoever has left it is invited again.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if there is no such user, or not any more; [`Kind::InvalidParam`] for users of other servers, the
    /// server itself, and events that are no notices; and what [`Writer::add`] says of the content.
    pub async fn send_notice(
        &self,
        to: &UserId,
        notice: &Notice,
        request: Option<&NoticeRequest>,
    ) -> Result<OwnedEventId> {
        notice.check()?;
        let mut attempts = 0..;
        until_settled(|| self.tell(to, notice, request, attempts.next().unwrap_or_default())).await
    }

    /// Tells everybody with an account something, and says how many they are.
    ///
    /// # Errors
    ///
    /// As for [`Rooms::send_notice`]: the first failure, after everybody else was told.
    pub async fn send_notice_to_everyone(&self, notice: &Notice) -> Result<usize> {
        let (mut told, mut outcome) = (0, Ok(()));
        for (user, account) in self.shared.accounts.list().await? {
            if !hears_notices(&account) {
                continue;
            }
            match self.send_notice(&user, notice, None).await {
                Ok(_) => told += 1,
                // The account ended just now.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| told)
    }

    /// Refuses that `user` declines the invitation to the room in which the server speaks to them. Once in it they may leave.
    pub(super) async fn check_may_leave(&self, room: &Room, user: &UserId) -> Result<()> {
        if room.current().membership(user) != MembershipState::Invite {
            return Ok(());
        }
        match NOTICE_ROOMS.get(&self.shared.store.snapshot(), (user,)).await? {
            Some(own) if own == room.id => Err(Kind::CannotLeaveServerNoticeRoom.with(
                "The server itself invites you to this room, which cannot be declined. You can join it and leave.",
            )),
            _ => Ok(()),
        }
    }

    async fn tell(
        &self,
        to: &UserId,
        notice: &Notice,
        request: Option<&NoticeRequest>,
        attempt: u64,
    ) -> Result<OwnedEventId> {
        let snapshot = self.shared.store.snapshot();
        let key = request.map(|it| (&it.user_id, &it.device_id, TRANSACTION_SCOPE, &it.transaction_id));
        if let Some(key) = key
            && let Some(sent) = TRANSACTIONS.get(&snapshot, key).await?
        {
            return Ok(sent);
        }
        let account = self.recipient(to).await?;
        let mut writer = self.notice_writer(&snapshot, to, attempt).await?;
        let event = writer.add(notice.intent(&self.shared.settings.server_notices.sender))?;
        // Who leaves the server at this moment is not invited any more.
        self.shared.accounts.require_unchanged(writer.batch(), to, &account);
        if let Some(key) = key {
            TRANSACTIONS.expect(writer.batch(), key, None);
            TRANSACTIONS.put(writer.batch(), key, &event.id);
        }
        self.mark(&mut writer, &snapshot, to).await?;
        writer.commit().await?;
        Ok(event.id.clone())
    }

    /// The account of a user who can be told something.
    async fn recipient(&self, user: &UserId) -> Result<Account> {
        if user.server_name() != self.shared.settings.server_name {
            return Err(Error::invalid(format!("{user} is of another server.")));
        }
        match self.shared.accounts.get(user).await? {
            Some(Account { role: Role::Server, .. }) => Err(Error::invalid("The server does not talk to itself.")),
            Some(account) if hears_notices(&account) => Ok(account),
            _ => Err(Error::not_found(format!("There is no user {user} on this server."))),
        }
    }

    /// Starts to append to the room in which the server speaks to `user`, with everything added that has to be so that the
    /// user is there or invited.
    async fn notice_writer(&self, snapshot: &Snapshot, user: &UserId, attempt: u64) -> Result<Writer> {
        let sender = &self.shared.settings.server_notices.sender;
        let known = NOTICE_ROOMS.get(snapshot, (user,)).await?;
        if let Some(room_id) = &known {
            let room = self.room(room_id).await?;
            let invitation = MemberContent::new(MembershipState::Invite);
            let invitation = self.member_intent(sender, user, invitation).await?;
            let mut writer = self.write(&room).await?;
            // The room of a sender that the operator had before is of no use any more.
            if writer.state().is_joined(sender) {
                if !matches!(writer.state().membership(user), MembershipState::Join | MembershipState::Invite) {
                    self.add_member(&mut writer, invitation)?;
                }
                return Ok(writer);
            }
        }
        let plan = Plan::new(sender, self.notice_room(user)?, &self.shared.settings)?;
        let mut writer = self.lay_out(&plan, attempt).await?;
        let room_id = writer.room().id.clone();
        NOTICE_ROOMS.expect(writer.batch(), (user,), known.as_ref());
        NOTICE_ROOMS.put(writer.batch(), (user,), &room_id);
        Ok(writer)
    }

    /// The room to be created for `user`: all that happens in it is that the server speaks.
    fn notice_room(&self, user: &UserId) -> Result<Request> {
        let NoticeSettings { room_name, avatar_url, .. } = &self.shared.settings.server_notices;
        let state = |kind: StateEventType, content: Value| raw(&json!({ "type": kind, "content": content }));
        let mut request = Request::new();
        request.preset = Some(RoomPreset::PrivateChat);
        request.name = Some(room_name.clone());
        request.invite = vec![user.to_owned()];
        request.creation_content = Some(raw(&json!({ "m.federate": false }))?);
        let levels = json!({ "events_default": LEVEL, "invite": LEVEL, "state_default": LEVEL });
        request.power_level_content_override = Some(raw(&levels)?);
        request.initial_state = vec![
            // Notices come before the user has joined, and while the user is away.
            state(StateEventType::RoomHistoryVisibility, json!({ "history_visibility": "shared" }))?,
            state(StateEventType::RoomGuestAccess, json!({ "guest_access": "forbidden" }))?,
        ];
        if let Some(url) = avatar_url {
            request.initial_state.push(state(StateEventType::RoomAvatar, json!({ "url": url }))?);
        }
        Ok(request)
    }

    /// Tells the user's clients by a tag what the room is, unless they know.
    async fn mark(&self, writer: &mut Writer, snapshot: &Snapshot, user: &UserId) -> Result<()> {
        let room_id = writer.room().id.clone();
        let tag = TagName::ServerNotice;
        if self.shared.tags.of(user, &room_id).await?.contains_key(&tag) {
            return Ok(());
        }
        let slot = writer.take_slot();
        self.shared.tags.add_to(writer.batch(), slot, snapshot, (user, &room_id, tag.as_ref())).await
    }
}

/// Whether an account is one that can be told something: those that are locked for a while can.
fn hears_notices(account: &Account) -> bool {
    account.role != Role::Server && !matches!(account.standing, Standing::Deactivated { .. })
}

fn raw<T>(json: &Value) -> Result<Raw<T>> {
    to_raw_value(json).map(Raw::from_json).map_err(Error::internal)
}
