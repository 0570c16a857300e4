//! What an operator may ask of the server, through the commands of the binary, whether it is running or not.

mod protocol;
mod socket;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ruma::{OwnedUserId, UserId};
use tracing::info;

pub use self::{
    protocol::{AdminAnswer, AdminRequest, AdminResponse, AppserviceSummary, ReportSummary, TokenSummary, UserSummary},
    socket::{AdminSocket, ask},
};
use crate::{
    clock::Clock,
    delivery::{Bridges, appservices::Standing},
    error::{Error, Result},
    rooms::{Notice, Rooms},
    users::{
        self, Account, Accounts, Admission, Belongings, NewAccount, NewRegistrationToken, OtherSessions, Registration,
        RegistrationToken, RegistrationTokens, Report, ReportKind, ReportedSubject, Reports, ReportsRequest, Role,
        Sessions, Users,
    },
};

/// How many reports of each kind are listed at most.
const LISTED_REPORTS: usize = 1_000;

/// A cheap-clone service that carries out what operators ask for.
#[derive(Clone)]
pub struct Admin {
    accounts: Accounts,
    sessions: Sessions,
    registration: Registration,
    registration_tokens: RegistrationTokens,
    reports: Reports,
    rooms: Rooms,
    clock: Clock,
    /// `None` where nobody has built what tells application services.
    bridges: Option<Bridges>,
}

impl Admin {
    /// Carries commands out on those of `users` that they are about, and speaks to them in `rooms`.
    pub fn new(users: &Users, rooms: Rooms, clock: Clock) -> Self {
        Self {
            accounts: users.accounts.clone(),
            sessions: users.sessions.clone(),
            registration: users.registration.clone(),
            registration_tokens: users.registration_tokens.clone(),
            reports: users.reports.clone(),
            rooms,
            clock,
            bridges: None,
        }
    }

    /// The same service, which also knows of application services.
    #[must_use]
    pub fn with_bridges(self, bridges: Bridges) -> Self {
        Self { bridges: Some(bridges), ..self }
    }

    /// Carries out `request`.
    ///
    /// # Errors
    ///
    /// Those of the service behind the request, with a sentence for the operator.
    pub async fn handle(&self, request: AdminRequest) -> Result<AdminResponse> {
        match request {
            AdminRequest::CreateUser { name, password, role } => self.create_user(name, password, role).await,
            AdminRequest::ListUsers => self.list_users().await,
            AdminRequest::SetPassword { name, password } => self.set_password(&name, &password).await,
            AdminRequest::SetRole { name, role } => self.set_role(&name, role).await,
            AdminRequest::Deactivate { name } => self.deactivate(&name).await,
            AdminRequest::CreateToken { token, uses_allowed, expires_in, role } => {
                let expires_at = expires_in.map(|after| self.clock.millis() + after.as_millis() as u64);
                self.create_token(NewRegistrationToken { token, uses_allowed, expires_at, role }).await
            }
            AdminRequest::ListAppservices => self.list_appservices().await,
            AdminRequest::ReloadAppservices => {
                let count = self.bridges.as_ref().map_or(Ok(0), Bridges::reload)?;
                info!(count, "the operator had the registrations of application services read again");
                Ok(AdminResponse::Reloaded(count))
            }
            AdminRequest::ListTokens => self.list_tokens().await,
            AdminRequest::RevokeToken { token } => self.revoke_token(token).await,
            AdminRequest::SendNotice { name, text } => self.send_notice(&name, &text).await,
            AdminRequest::SendNoticeToEveryone { text } => {
                let told = self.rooms.send_notice_to_everyone(&Notice::text(&text)?).await?;
                info!(told, "the operator told everyone something");
                Ok(AdminResponse::Told(told))
            }
            AdminRequest::ListReports => self.list_reports().await,
            AdminRequest::ShowReport { kind, number } => self.show_report(kind, number).await,
            AdminRequest::ResolveReport { kind, number } => {
                let report = self.show_report(kind, number).await?;
                self.reports.resolve(kind, number).await?;
                info!(?kind, number, "the operator resolved a report");
                Ok(report)
            }
        }
    }

    async fn create_user(&self, name: String, password: String, role: Role) -> Result<AdminResponse> {
        let admission = Admission::Granted(role);
        let new = NewAccount { username: Some(name), password: Some(password), display_name: None, admission };
        let user = self.registration.register(new).await?;
        info!(%user, ?role, "the operator made an account");
        Ok(AdminResponse::User(user))
    }

    async fn list_users(&self) -> Result<AdminResponse> {
        let now = self.clock.millis();
        let summary = |(user_id, account): (OwnedUserId, Account)| UserSummary {
            user_id,
            role: account.role,
            standing: account.standing,
            age: Duration::from_millis(now.saturating_sub(account.created_at)),
        };
        Ok(AdminResponse::Users(self.accounts.list().await?.into_iter().map(summary).collect()))
    }

    async fn set_password(&self, name: &str, password: &str) -> Result<AdminResponse> {
        let user = self.user(name)?;
        let everywhere = OtherSessions::End { but: None };
        users::change_password(&self.accounts, &self.sessions, &user, password, &everywhere).await?;
        info!(%user, "the operator set a new password");
        Ok(AdminResponse::User(user))
    }

    async fn deactivate(&self, name: &str) -> Result<AdminResponse> {
        let user = self.user(name)?;
        users::deactivate(&self.accounts, &self.sessions, &user, Belongings::Keep).await?;
        info!(%user, "the operator deactivated an account");
        Ok(AdminResponse::User(user))
    }

    async fn set_role(&self, name: &str, role: Role) -> Result<AdminResponse> {
        let user = self.user(name)?;
        self.accounts.set_role(&user, role).await?;
        info!(%user, ?role, "the operator changed what an account may do");
        Ok(AdminResponse::User(user))
    }

    async fn list_appservices(&self) -> Result<AdminResponse> {
        let summary = |Standing { appservice, behind, failing }: Standing| AppserviceSummary {
            id: appservice.id.clone(),
            sender: appservice.sender.clone(),
            url: appservice.url.clone(),
            behind,
            failing,
        };
        let (standings, gone) = match &self.bridges {
            Some(bridges) => (bridges.standings().await?, bridges.gone().await?),
            None => (Vec::new(), Vec::new()),
        };
        Ok(AdminResponse::Appservices(standings.into_iter().map(summary).collect(), gone))
    }

    async fn create_token(&self, new: NewRegistrationToken) -> Result<AdminResponse> {
        let role = new.role;
        let token = self.registration_tokens.create(new).await?;
        info!(?role, "the operator made a registration token");
        Ok(AdminResponse::Token(token))
    }

    async fn list_tokens(&self) -> Result<AdminResponse> {
        let now = self.clock.millis();
        let summary = |(token, row): (String, RegistrationToken)| TokenSummary {
            token,
            uses_allowed: row.uses_allowed,
            uses: row.uses,
            expires_in: row.expires_at.map(|at| Duration::from_millis(at.saturating_sub(now))),
            role: row.role,
        };
        Ok(AdminResponse::Tokens(self.registration_tokens.list().await?.into_iter().map(summary).collect()))
    }

    async fn revoke_token(&self, token: String) -> Result<AdminResponse> {
        self.registration_tokens.revoke(&token).await?;
        info!("the operator revoked a registration token");
        Ok(AdminResponse::Token(token))
    }

    async fn send_notice(&self, name: &str, text: &str) -> Result<AdminResponse> {
        let user = self.user(name)?;
        self.rooms.send_notice(&user, &Notice::text(text)?, None).await?;
        info!(%user, "the operator told somebody something");
        Ok(AdminResponse::User(user))
    }

    /// The newest open reports of each kind.
    async fn list_reports(&self) -> Result<AdminResponse> {
        let mut summaries = Vec::new();
        for kind in [ReportKind::Event, ReportKind::Room, ReportKind::User] {
            let page = self.reports.list(&ReportsRequest::newest(kind, LISTED_REPORTS)).await?;
            summaries.extend(page.reports.into_iter().map(|(number, report)| self.report_summary(number, report).0));
        }
        Ok(AdminResponse::Reports(summaries))
    }

    async fn show_report(&self, kind: ReportKind, number: u64) -> Result<AdminResponse> {
        let (summary, json) = self.report_summary(number, self.reports.get(kind, number).await?);
        Ok(AdminResponse::Report(summary, json))
    }

    fn report_summary(&self, number: u64, report: Report) -> (ReportSummary, Option<String>) {
        let kind = ReportKind::of(&report.subject);
        let (about, json) = match report.subject {
            ReportedSubject::Event { room, event, sender, json } => {
                (format!("{event} of {sender} in {room}"), Some(json))
            }
            ReportedSubject::Room(room) => (room.to_string(), None),
            ReportedSubject::User(user) => (user.to_string(), None),
        };
        let age = Duration::from_millis(self.clock.millis().saturating_sub(report.at));
        (ReportSummary { kind, number, age, reporter: report.reporter, about, reason: report.reason }, json)
    }

    /// Whom the operator means by a localpart or a whole user id.
    fn user(&self, name: &str) -> Result<OwnedUserId> {
        UserId::parse_with_server_name(name.to_ascii_lowercase(), self.accounts.server_name()).map_err(|_| {
            Error::invalid(format!("\"{name}\" is neither a user id nor the part of one before the colon."))
        })
    }
}
