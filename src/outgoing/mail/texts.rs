//! What mails say: built-in texts, or an operator's own, with places for the few values that vary.
//!
//! A text is two files, `<name>.txt` and `<name>.html`. The first line of the plain one is `Subject: …`.

use std::{fs, io, path::Path, time::Duration};

use super::{Confirmation, Letter};
use crate::error::{Error, Result};

/// The names of all mails with their built-in texts, and whether they have something to confirm.
const BUILT_IN: [(&str, &str, &str); 5] = [
    (
        "confirm_registration",
        include_str!("texts/confirm_registration.txt"),
        include_str!("texts/confirm_registration.html"),
    ),
    ("confirm_address", include_str!("texts/confirm_address.txt"), include_str!("texts/confirm_address.html")),
    ("reset_password", include_str!("texts/reset_password.txt"), include_str!("texts/reset_password.html")),
    ("address_in_use", include_str!("texts/address_in_use.txt"), include_str!("texts/address_in_use.html")),
    ("no_account", include_str!("texts/no_account.txt"), include_str!("texts/no_account.html")),
];

/// The texts of all mails.
pub(super) struct Texts(Vec<(&'static str, Text)>);

/// The text of one kind of mail.
pub(super) struct Text {
    subject: Pattern,
    plain: Pattern,
    html: Pattern,
}

/// A text with its values filled in.
pub(super) struct Filled {
    pub(super) subject: String,
    pub(super) plain: String,
    pub(super) html: String,
}

/// What varies from mail to mail.
pub(super) struct Values<'a> {
    pub(super) server_name: &'a str,
    pub(super) confirmation: Option<Confirmation<'a>>,
}

/// Text with places for values.
struct Pattern(Vec<Piece>);

enum Piece {
    Text(String),
    Place(Place),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    ServerName,
    Link,
    Code,
    Lifetime,
}

/// How the values of a pattern have to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Plain,
    Html,
}

impl Texts {
    /// The texts in `folder`, and the built-in ones for the files that are not there.
    ///
    /// # Errors
    ///
    /// `InvalidParam` with the file that cannot be used and why.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Error::invalid(format!("mail.templates: there is no folder {}", folder.display())));
        }
        let texts = BUILT_IN.into_iter().map(|(name, plain, html)| {
            let confirms = name.starts_with("confirm") || name == "reset_password";
            let own = |extension, built_in| own_or_built_in(folder, &format!("{name}.{extension}"), built_in);
            let text = read(&own("txt", plain)?, &own("html", html)?, confirms);
            text.map(|text| (name, text)).map_err(|problem| Error::invalid(format!("the mail {name}: {problem}")))
        });
        Ok(Self(texts.collect::<Result<_>>()?))
    }

    /// The text of `letter`.
    pub(super) fn of(&self, letter: Letter<'_>) -> &Text {
        let found = self.0.iter().find(|(name, _)| *name == letter.name());
        &found.expect("every letter has a text").1
    }
}

impl Text {
    /// The text with `values` in their places.
    pub(super) fn fill(&self, values: &Values<'_>) -> Filled {
        Filled {
            subject: self.subject.fill(values, Format::Plain),
            plain: self.plain.fill(values, Format::Plain),
            html: self.html.fill(values, Format::Html),
        }
    }
}

fn own_or_built_in(folder: Option<&Path>, file: &str, built_in: &str) -> Result<String> {
    let Some(path) = folder.map(|folder| folder.join(file)) else { return Ok(built_in.to_owned()) };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(built_in.to_owned()),
        Err(cause) => Err(Error::invalid(format!("cannot read {}: {cause}", path.display()))),
    }
}

/// Reads a text; one that `confirms` something must show how.
fn read(plain: &str, html: &str, confirms: bool) -> Result<Text, String> {
    let missing = "its .txt must start with a line such as \"Subject: Your address\"";
    let (first, rest) = plain.split_once('\n').ok_or(missing)?;
    let subject = first.trim_end().strip_prefix("Subject: ").ok_or(missing)?;
    let text =
        Text { subject: Pattern::read(subject)?, plain: Pattern::read(rest.trim_start())?, html: Pattern::read(html)? };
    for (pattern, extension) in [(&text.plain, "txt"), (&text.html, "html")] {
        if pattern.has(Place::Link) != confirms {
            let wanted = if confirms { "must have" } else { "has no use for" };
            return Err(format!("its .{extension} {wanted} {{{{link}}}}"));
        }
    }
    Ok(text)
}

impl Pattern {
    fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or("a {{ has no }}")?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Place(Place::called(name.trim())?));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    fn has(&self, place: Place) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Place(found) if *found == place))
    }

    fn fill(&self, values: &Values<'_>, format: Format) -> String {
        self.0.iter().fold(String::new(), |mut text, piece| {
            match (piece, format) {
                (Piece::Text(piece), _) => text.push_str(piece),
                (Piece::Place(place), Format::Plain) => text.push_str(&place.value(values)),
                (Piece::Place(place), Format::Html) => text.push_str(&escaped(&place.value(values))),
            }
            text
        })
    }
}

impl Place {
    fn called(name: &str) -> Result<Self, String> {
        match name {
            "server_name" => Ok(Self::ServerName),
            "link" => Ok(Self::Link),
            "code" => Ok(Self::Code),
            "lifetime" => Ok(Self::Lifetime),
            _ => Err(format!("there is no {{{{{name}}}}}: there are server_name, link, code and lifetime")),
        }
    }

    fn value(self, values: &Values<'_>) -> String {
        match (self, values.confirmation) {
            (Self::ServerName, _) => values.server_name.to_owned(),
            (Self::Link, Some(confirmation)) => confirmation.link.to_owned(),
            (Self::Code, Some(confirmation)) => confirmation.code.to_owned(),
            (Self::Lifetime, Some(confirmation)) => in_words(confirmation.lifetime),
            (_, None) => String::new(),
        }
    }
}

/// A duration in the largest unit that it is a whole number of.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        _ if seconds >= 86_400 && seconds.is_multiple_of(86_400) => (seconds / 86_400, "day"),
        _ if seconds >= 3_600 && seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
        _ if seconds >= 60 && seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Text as it has to be written in HTML, also between quotation marks.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escaped("<b a=\"1\" c='2'>&amp;ä"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;ä");
    }

    fn confirmation() -> Confirmation<'static> {
        let link = "https://example.org/confirm?sid=a&token=b";
        Confirmation { link, code: "abcd", lifetime: Duration::from_secs(7_200) }
    }

    fn fill(plain: &str, html: &str) -> Filled {
        let text = read(plain, html, true).unwrap_or_else(|problem| panic!("{problem}"));
        text.fill(&Values { server_name: "<example>", confirmation: Some(confirmation()) })
    }

    #[test]
    fn values_are_filled_in_once_and_escaped_in_html() {
        let filled = fill(
            "Subject: On {{server_name}}\n\n{{ link }} {{code}} {{lifetime}}",
            "<a href=\"{{link}}\">{{server_name}}</a>",
        );
        assert_eq!(filled.subject, "On <example>");
        assert_eq!(filled.plain, "https://example.org/confirm?sid=a&token=b abcd 2 hours");
        assert_eq!(filled.html, "<a href=\"https://example.org/confirm?sid=a&amp;token=b\">&lt;example&gt;</a>");
    }

    #[test]
    fn a_text_that_cannot_be_used_says_why() {
        let cases = [
            ("Hello {{link}}", "{{link}}", true, "must start with a line"),
            ("Hello\n{{link}}", "{{link}}", true, "must start with a line"),
            ("Subject: a\n{{link}} {{user}}", "{{link}}", true, "there is no {{user}}"),
            ("Subject: a\n{{link}} {{code", "{{link}}", true, "has no }}"),
            ("Subject: a\n{{code}}", "{{link}}", true, "its .txt must have {{link}}"),
            ("Subject: a\n{{link}}", "", true, "its .html must have {{link}}"),
            ("Subject: a\nb", "{{link}}", false, "its .html has no use for {{link}}"),
        ];
        for (plain, html, confirms, expected) in cases {
            let problem = read(plain, html, confirms).err().unwrap_or_else(|| panic!("{plain} {html}"));
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn a_folder_replaces_what_it_has_and_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("no_account.txt"), "Subject: Nobody\n\nNobody.").unwrap();
        let texts = Texts::load(Some(folder.path())).unwrap();
        let values = Values { server_name: "example.org", confirmation: None };
        assert_eq!(texts.of(Letter::NoAccount).fill(&values).subject, "Nobody");
        assert!(texts.of(Letter::AddressInUse).fill(&values).plain.contains("example.org"));

        fs::write(folder.path().join("no_account.html"), "{{nonsense}}").unwrap();
        let error = Texts::load(Some(folder.path())).err().unwrap().to_string();
        assert!(error.contains("no_account") && error.contains("nonsense"), "{error}");
        let error = Texts::load(Some(&folder.path().join("nowhere"))).err().unwrap().to_string();
        assert!(error.contains("mail.templates"), "{error}");
    }

    #[test]
    fn durations_are_said_in_words() {
        let cases =
            [(3_600, "1 hour"), (5_400, "90 minutes"), (172_800, "2 days"), (61, "61 seconds"), (0, "0 seconds")];
        for (seconds, words) in cases {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
