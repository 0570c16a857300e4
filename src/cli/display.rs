//! What commands print: answers of the server, lists, durations.

use std::time::Duration;

use crate::{
    server::admin::{AdminResponse, AppserviceSummary, ReportSummary, TokenSummary, UserSummary},
    users::{ReportKind, Role, Standing},
};

/// How much of a reason stands in a list, in characters.
const LONGEST_CELL: usize = 60;

/// An answer for the operator; `outcome` says what came of the user or token that it is about, if that needs words.
pub(super) fn response(response: &AdminResponse, outcome: &str) -> String {
    match response {
        AdminResponse::User(user) => format!("{user} {outcome}").trim_end().to_owned() + "\n",
        AdminResponse::Token(token) => format!("{token} {outcome}").trim_end().to_owned() + "\n",
        AdminResponse::Told(1) => "1 user was told.\n".to_owned(),
        AdminResponse::Told(count) => format!("{count} users were told.\n"),
        AdminResponse::Reloaded(1) => "1 application service is registered.\n".to_owned(),
        AdminResponse::Reloaded(count) => format!("{count} application services are registered.\n"),
        AdminResponse::Appservices(services, gone) => {
            let rows: Vec<_> = services.iter().map(appservice_row).chain(gone.iter().map(gone_row)).collect();
            table(["ID", "USER", "URL", "BEHIND", "STANDING"], &rows)
        }
        AdminResponse::Users(users) => {
            table(["USER", "ROLE", "STANDING", "AGE"], &users.iter().map(user_row).collect::<Vec<_>>())
        }
        AdminResponse::Tokens(tokens) => {
            table(["TOKEN", "USES", "EXPIRES IN", "MAKES"], &tokens.iter().map(token_row).collect::<Vec<_>>())
        }
        AdminResponse::Reports(reports) => {
            table(["REPORT", "AGE", "BY", "ABOUT", "REASON"], &reports.iter().map(report_row).collect::<Vec<_>>())
        }
        AdminResponse::Report(report, event) => {
            let lines = ["Report", "Age", "By", "About"].into_iter().zip(report_row(report));
            let lines = lines.map(|(label, value)| format!("{label}: {value}\n")).collect::<String>();
            let reason = printable(report.reason.as_deref().unwrap_or_default());
            let event = event.as_ref().map(|json| format!("Event: {}\n", printable(json))).unwrap_or_default();
            let outcome = if outcome.is_empty() { String::new() } else { format!("{outcome}\n") };
            format!("{lines}Reason: {reason}\n{event}{outcome}")
        }
    }
}

fn user_row(user: &UserSummary) -> [String; 4] {
    let standing = match user.standing {
        Standing::Active => "active",
        Standing::Locked => "locked",
        Standing::Deactivated { .. } => "deactivated",
    };
    [user.user_id.to_string(), role(user.role), standing.to_owned(), duration(user.age)]
}

fn token_row(token: &TokenSummary) -> [String; 4] {
    let allowed = token.uses_allowed.map_or("any number".to_owned(), |allowed| allowed.to_string());
    let expires_in = match token.expires_in {
        None => "never".to_owned(),
        Some(Duration::ZERO) => "has expired".to_owned(),
        Some(left) => duration(left),
    };
    [token.token.clone(), format!("{} of {allowed}", token.uses), expires_in, role(token.role)]
}

fn appservice_row(service: &AppserviceSummary) -> [String; 5] {
    let standing = match (&service.failing, service.behind) {
        (Some((since, cause)), _) => format!("not reached for {}: {cause}", duration(*since)),
        (None, Some(0)) => "told of everything so far".to_owned(),
        (None, Some(_)) => "still being told".to_owned(),
        (None, None) => "wants to be told nothing".to_owned(),
    };
    let behind = service.behind.map_or_else(|| "-".to_owned(), |behind| behind.to_string());
    let url = service.url.clone().unwrap_or_else(|| "-".to_owned());
    [service.id.clone(), service.sender.to_string(), url, behind, standing]
}

/// A service that is told nothing any more, and how long it can come back without having missed anything.
fn gone_row((id, left): &(String, Duration)) -> [String; 5] {
    let none = || "-".to_owned();
    let standing = format!("not registered, or without a URL; what waits for it is kept for {}", duration(*left));
    [id.clone(), none(), none(), none(), standing]
}

fn report_row(report: &ReportSummary) -> [String; 5] {
    let kind = match report.kind {
        ReportKind::Event => "event",
        ReportKind::Room => "room",
        ReportKind::User => "user",
    };
    let reason = printable(report.reason.as_deref().unwrap_or_default());
    let reason = match reason.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    };
    let about = printable(&report.about);
    [format!("{kind} {}", report.number), duration(report.age), report.reporter.to_string(), about, reason]
}

/// Text of users without what would do something to a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn role(role: Role) -> String {
    match role {
        Role::User => "user".to_owned(),
        Role::Administrator => "administrator".to_owned(),
        Role::Server => "server".to_owned(),
        Role::Guest => "guest".to_owned(),
    }
}

/// Lines of columns that are as wide as their widest cell, under their headings.
fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or_default()
    });
    let line = |cells: [&str; N]| {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let body = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    [line(headings)].into_iter().chain(body).collect()
}

/// A duration in its largest whole unit, in which people think of it: `"3 d"`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["@a:b", "user"], ["@long:b", "administrator"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["USER", "ROLE"], &rows), "USER     ROLE\n@a:b     user\n@long:b  administrator\n");
        assert_eq!(table(["USER", "ROLE"], &[]), "USER  ROLE\n");
    }

    #[test]
    fn a_report_does_nothing_to_the_terminal() {
        let reporter = ruma::owned_user_id!("@a:b");
        let reason = Some(format!("\u{1b}[2J{}", "x".repeat(100)));
        let about = "!room:b".to_owned();
        let report = ReportSummary { kind: ReportKind::Room, number: 3, age: Duration::ZERO, reporter, about, reason };
        let list = response(&AdminResponse::Reports(vec![report]), "");
        assert!(list.contains("room 3") && list.contains("…") && !list.contains('\u{1b}'), "{list}");
    }

    #[test]
    fn durations_are_short() {
        let cases = [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7_199, "1 h"), (86_399, "23 h"), (259_200, "3 d")];
        for (seconds, text) in cases {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
