//! What users report to the administrators, kept until one of these has resolved it
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#reporting-content)).

use std::time::Duration;

use ruma::{RoomId, UserId};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot, Store,
        schema::moderation::{LAST_REPORTS, REPORTS, REPORTS_BY_USER, Report, ReportedSubject},
        until_settled,
    },
};

/// The longest reason, in bytes.
const MAXIMUM_REASON: usize = 4 << 10;
/// The most reports of one user that nobody has resolved.
const MAXIMUM_OPEN: usize = 100;
/// How many reports are read at a time.
const AT_ONCE: usize = 100;

/// A cheap-clone service over all reports.
#[derive(Clone)]
pub struct Reports {
    store: Store,
    clock: Clock,
}

/// What reports can be about; the numbers of reports count anew for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportKind {
    /// Something that was said or done in a room.
    Event,
    /// Whole rooms.
    Room,
    /// People.
    User,
}

/// Which reports are wanted.
#[derive(Clone, Debug)]
pub struct ReportsRequest<'a> {
    /// About what.
    pub kind: ReportKind,
    /// How many matching ones are passed over.
    pub from: u64,
    /// How many at most.
    pub limit: usize,
    /// From the oldest on, or from the newest.
    pub direction: Direction,
    /// Only those of this reporter.
    pub reporter: Option<&'a UserId>,
    /// Only those about this room or something in it.
    pub room: Option<&'a RoomId>,
    /// Only those about this user or something of theirs.
    pub about: Option<&'a UserId>,
}

/// Some reports with their numbers.
#[derive(Debug)]
pub struct ReportsPage {
    /// The reports.
    pub reports: Vec<(u64, Report)>,
    /// How many there are in all that match.
    pub total: u64,
}

impl ReportKind {
    /// How the kind stands in keys.
    fn number(self) -> u8 {
        match self {
            Self::Event => 0,
            Self::Room => 1,
            Self::User => 2,
        }
    }

    /// The kind of a report about `subject`.
    pub fn of(subject: &ReportedSubject) -> Self {
        match subject {
            ReportedSubject::Event { .. } => Self::Event,
            ReportedSubject::Room(_) => Self::Room,
            ReportedSubject::User(_) => Self::User,
        }
    }
}

impl Reports {
    /// The reports in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Checks that `reporter` may report something for this reason, before it matters whether what is reported exists.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the reason is too long; `LimitExceeded` if the reporter has too many reports that are not resolved.
    pub async fn check(&self, reporter: &UserId, reason: Option<&str>) -> Result<()> {
        if reason.is_some_and(|reason| reason.len() > MAXIMUM_REASON) {
            return Err(Error::invalid("The reason of a report has at most 4096 bytes."));
        }
        check_number(&self.store.snapshot(), reporter).await
    }

    /// Keeps a report for the administrators and gives its number.
    ///
    /// # Errors
    ///
    /// As [`Reports::check`].
    pub async fn file(&self, reporter: &UserId, reason: Option<String>, subject: ReportedSubject) -> Result<u64> {
        self.check(reporter, reason.as_deref()).await?;
        let kind = ReportKind::of(&subject);
        let report = Report { reporter: reporter.to_owned(), at: self.clock.millis(), reason, subject };
        let number = until_settled(|| self.try_to_file(kind, &report)).await?;
        info!(%reporter, ?kind, number, "somebody reported something");
        Ok(number)
    }

    async fn try_to_file(&self, kind: ReportKind, report: &Report) -> Result<u64> {
        let (snapshot, kind) = (self.store.snapshot(), kind.number());
        check_number(&snapshot, &report.reporter).await?;
        let last = LAST_REPORTS.get(&snapshot, (kind,)).await?;
        let number = last.unwrap_or_default() + 1;
        let mut batch = Batch::new();
        // No client hears of it, so it needs no position.
        batch.slots(0);
        LAST_REPORTS.expect(&mut batch, (kind,), last.as_ref());
        LAST_REPORTS.put(&mut batch, (kind,), &number);
        REPORTS.put(&mut batch, (kind, number), report);
        REPORTS_BY_USER.put(&mut batch, (&report.reporter, kind, number), &());
        self.store.commit(batch).await.map(|_| number)
    }

    /// Some of the reports of one kind.
    pub async fn list(&self, request: &ReportsRequest<'_>) -> Result<ReportsPage> {
        let (snapshot, kind) = (self.store.snapshot(), request.kind.number());
        let mut page = ReportsPage { reports: Vec::new(), total: 0 };
        let mut beyond = None;
        loop {
            let range = match (beyond, request.direction) {
                (None, _) => KeyRange::prefix((kind,)),
                (Some(number), Direction::Forward) => KeyRange::prefix_after((kind,), number),
                (Some(number), Direction::Reverse) => KeyRange::prefix_before((kind,), number),
            };
            let rows = REPORTS.scan(&snapshot, range, request.direction, AT_ONCE).await?;
            let Some(((_, last), _)) = rows.last() else { return Ok(page) };
            beyond = Some(*last);
            for ((_, number), report) in rows.into_iter().filter(|(_, report)| request.wants(report)) {
                if page.total >= request.from && page.reports.len() < request.limit {
                    page.reports.push((number, report));
                }
                page.total += 1;
            }
        }
    }

    /// One report.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none with this number, or not any more.
    pub async fn get(&self, kind: ReportKind, number: u64) -> Result<Report> {
        let report = REPORTS.get(&self.store.snapshot(), (kind.number(), number)).await?;
        report.ok_or_else(|| Error::not_found("There is no such report."))
    }

    /// Removes a report that an administrator has dealt with.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none with this number, or not any more.
    pub async fn resolve(&self, kind: ReportKind, number: u64) -> Result<()> {
        until_settled(|| async {
            let report = self.get(kind, number).await?;
            let mut batch = Batch::new();
            batch.slots(0);
            REPORTS.expect(&mut batch, (kind.number(), number), Some(&report));
            REPORTS.delete(&mut batch, (kind.number(), number));
            REPORTS_BY_USER.delete(&mut batch, (&report.reporter, kind.number(), number));
            self.store.commit(batch).await.map(drop)
        })
        .await
    }
}

impl ReportsRequest<'_> {
    /// The newest reports of a kind, whoever made them.
    pub fn newest(kind: ReportKind, limit: usize) -> Self {
        let (reporter, room, about) = (None, None, None);
        Self { kind, from: 0, limit, direction: Direction::Reverse, reporter, room, about }
    }

    fn wants(&self, report: &Report) -> bool {
        let (room, about) = match &report.subject {
            ReportedSubject::Event { room, sender, .. } => (Some(room), Some(sender)),
            ReportedSubject::Room(room) => (Some(room), None),
            ReportedSubject::User(user) => (None, Some(user)),
        };
        self.reporter.is_none_or(|reporter| report.reporter == *reporter)
            && self.room.is_none_or(|wanted| room.is_some_and(|room| room == wanted))
            && self.about.is_none_or(|wanted| about.is_some_and(|about| about == wanted))
    }
}

async fn check_number(snapshot: &Snapshot, reporter: &UserId) -> Result<()> {
    let own = KeyRange::prefix((reporter,));
    let open = REPORTS_BY_USER.scan(snapshot, own, Direction::Forward, MAXIMUM_OPEN).await?.len();
    let retry_after = Duration::from_secs(3600);
    match open < MAXIMUM_OPEN {
        true => Ok(()),
        false => Err(Kind::LimitExceeded { retry_after }
            .with("You have 100 reports that the administrators have not looked at yet: wait until they have.")),
    }
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;

    fn request(kind: ReportKind) -> ReportsRequest<'static> {
        ReportsRequest { direction: Direction::Forward, ..ReportsRequest::newest(kind, 10) }
    }

    fn numbers(page: &ReportsPage) -> Vec<u64> {
        page.reports.iter().map(|(number, _)| *number).collect()
    }

    #[tokio::test]
    async fn reports_are_numbered_listed_in_pages_and_resolved_once() {
        let reports = Reports::new(Store::in_memory(), Clock::manual(1_000));
        let (alice, bob) = (user_id!("@alice:example.org"), user_id!("@bob:example.org"));
        for number in 1..=250 {
            let (reporter, room) = match number % 125 {
                0 => (bob, room_id!("!bad:example.org")),
                _ => (alice, room_id!("!worse:example.org")),
            };
            let subject = ReportedSubject::Room(room.to_owned());
            assert_eq!(reports.file(reporter, Some("spam".to_owned()), subject).await.unwrap(), number);
            if reporter == alice && number > 50 {
                reports.resolve(ReportKind::Room, number).await.unwrap();
            }
        }
        let page = reports.list(&request(ReportKind::Room)).await.unwrap();
        assert_eq!((numbers(&page), page.total), ((1..=10).collect(), 52));
        let newest = ReportsRequest { direction: Direction::Reverse, from: 1, limit: 2, ..request(ReportKind::Room) };
        assert_eq!(numbers(&reports.list(&newest).await.unwrap()), [125, 50]);
        let of_bob = ReportsRequest { reporter: Some(bob), ..request(ReportKind::Room) };
        assert_eq!(numbers(&reports.list(&of_bob).await.unwrap()), [125, 250]);
        let bad = room_id!("!bad:example.org");
        assert_eq!(
            reports.list(&ReportsRequest { room: Some(bad), ..request(ReportKind::Room) }).await.unwrap().total,
            2
        );
        let about = ReportsRequest { about: Some(bob), ..request(ReportKind::Room) };
        assert_eq!(reports.list(&about).await.unwrap().total, 0);
        assert_eq!(reports.list(&request(ReportKind::User)).await.unwrap().total, 0);

        reports.resolve(ReportKind::Room, 250).await.unwrap();
        assert_eq!(reports.resolve(ReportKind::Room, 250).await.unwrap_err().kind, Kind::NotFound);
        assert_eq!(reports.get(ReportKind::Room, 250).await.unwrap_err().kind, Kind::NotFound);
        // A number that was resolved is not given again.
        assert_eq!(reports.file(bob, None, ReportedSubject::Room(bad.to_owned())).await.unwrap(), 251);
    }

    #[tokio::test]
    async fn nobody_has_more_than_a_hundred_open_reports_or_a_longer_reason_than_there_can_be() {
        let reports = Reports::new(Store::in_memory(), Clock::manual(1_000));
        let alice = user_id!("@alice:example.org");
        let file = async |reason: usize| {
            let subject = ReportedSubject::User(user_id!("@bob:example.org").to_owned());
            reports.file(alice, Some("x".repeat(reason)), subject).await.map_err(|error| error.kind)
        };
        assert_eq!(file(4097).await, Err(Kind::InvalidParam));
        for _ in 0..100 {
            file(4096).await.unwrap();
        }
        assert!(matches!(file(0).await, Err(Kind::LimitExceeded { .. })));
        reports.resolve(ReportKind::User, 17).await.unwrap();
        assert_eq!(file(0).await, Ok(101));
    }
}
