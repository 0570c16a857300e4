//! The grammar and the canonical form of e-mail addresses ("3PID Types" in the specification's appendices).

/// The longest address and the longest part before the `@`, in bytes (RFC 5321, section 4.5.3.1).
const MAXIMUM_LENGTH: usize = 254;
const MAXIMUM_LOCAL_LENGTH: usize = 64;
/// The longest part of a domain between two dots, in bytes.
const MAXIMUM_LABEL_LENGTH: usize = 63;

/// An e-mail address in its canonical form, so that two ways to write one address are equal.
///
/// Mails go to this form and never to what somebody typed: an address that looks like another one then leads to its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address that stands alone: without a name, angle brackets, comments or quotation marks.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAXIMUM_LENGTH {
            return None;
        }
        let folded: String = text.chars().flat_map(folded).collect();
        let (local, domain) = folded.rsplit_once('@')?;
        let fits = folded.len() <= MAXIMUM_LENGTH && local.len() <= MAXIMUM_LOCAL_LENGTH;
        let local_is_well_formed = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
        let domain_is_well_formed = domain.split('.').all(is_label);
        (fits && local_is_well_formed && domain_is_well_formed).then_some(Self(folded))
    }

    /// The canonical address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// What a character becomes where case does not count: "ß" and "ẞ" are "ss", "ſ" is "s".
///
/// It is the full case folding of Unicode but for a few characters that no address has.
fn folded(c: char) -> impl Iterator<Item = char> {
    // The dotless i is a letter of its own, although its capital letter is that of the i.
    let (kept, changed) = if c == 'ı' { (Some(c), None) } else { (None, Some(c)) };
    let lower_upper_lower = |c: char| c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    kept.into_iter().chain(changed.into_iter().flat_map(lower_upper_lower))
}

fn is_atom(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_label(label: &str) -> bool {
    let is_inside = |c: char| c.is_alphanumeric() || c == '-';
    let has_length = (1..=MAXIMUM_LABEL_LENGTH).contains(&label.len());
    has_length && label.chars().all(is_inside) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        EmailAddress::parse(text).map(|address| address.as_str().to_owned())
    }

    #[test]
    fn case_does_not_count() {
        let cases = [
            ("alice@example.org", "alice@example.org"),
            ("Alice.B+tag@Example.ORG", "alice.b+tag@example.org"),
            ("Strauß@Example.com", "strauss@example.com"),
            ("STRAUẞ@EXAMPLE.COM", "strauss@example.com"),
            ("Ωmega@bücher.example", "ωmega@bücher.example"),
            ("o'neil_!#$%&*/=?^`{|}~-@a-b.c", "o'neil_!#$%&*/=?^`{|}~-@a-b.c"),
            ("a@localhost", "a@localhost"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        assert_ne!(canonical("mıke@example.org"), canonical("mike@example.org"));
        assert_eq!(EmailAddress::parse("a@Example.org").unwrap().domain(), "example.org");
    }

    #[test]
    fn what_is_no_address_alone_is_refused() {
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}example.org", "a.".repeat(130));
        for text in [
            "",
            "alice",
            "@example.org",
            "alice@",
            "alice@@example.org",
            "a b@example.org",
            " alice@example.org",
            "alice@example.org\n",
            "alice@example.org\r\nBcc: bob@example.org",
            "alice@example.org\0",
            "Alice <alice@example.org>",
            "<alice@example.org>",
            "mailto:alice@example.org",
            "\"a\"@example.org",
            "a,b@example.org",
            ".a@example.org",
            "a..b@example.org",
            "a@example..org",
            "a@-example.org",
            "a@example-.org",
            "a@[127.0.0.1]",
            "a@exam_ple.org",
            "a(c)@example.org",
            &long,
            &longer,
        ] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(text in "\\PC{1,8}@[a-zA-ZßİΣſK.]{1,8}") {
            if let Some(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Some(once));
            }
        }
    }
}
