//! What a web page says about itself: OpenGraph properties, and where it has none, the next best thing.
//!
//! Only the tokens of the page are looked at, and no document is built from it. What a hostile page costs is bounded by time,
//! because the tokenizer compares each attribute of a tag with all the others.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::{Duration, Instant},
};

use html5ever::tokenizer::{
    BufferQueue, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
    states::{Rawtext, Rcdata, ScriptData},
};

/// The most properties that are kept of a page.
const MOST_PROPERTIES: usize = 40;
/// The longest value that is kept, in characters.
const LONGEST_VALUE: usize = 1_000;
/// How long the beginning of the text is that stands for a description, in characters.
const LONGEST_EXCERPT: usize = 300;
/// A paragraph shorter than this, in bytes, is rarely what a page is about.
const SHORTEST_PARAGRAPH: usize = 50;

/// How much of a page is read between two looks at the clock, in bytes.
const PIECE: usize = 4 << 10;
/// How long a page may take; usual ones take a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a page says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The OpenGraph properties by their full names, such as `og:title`; each has its first value.
    pub properties: BTreeMap<String, String>,
    /// Where its oEmbed description is, as written in the page.
    pub oembed: Option<String>,
    /// What relative addresses in it are relative to, as written in the page.
    pub base: Option<String>,
}

/// Reads a page, or its beginning if that takes too long; whatever is wrong with its HTML is mended as browsers do.
pub(super) fn read(html: &str) -> Page {
    let started = Instant::now();
    let queue = BufferQueue::default();
    let tokenizer = Tokenizer::new(Reader::default(), TokenizerOpts::default());
    let mut rest = html;
    while !rest.is_empty() && started.elapsed() < PATIENCE {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(PIECE));
        queue.push_back(piece.into());
        let _ = tokenizer.feed(&queue);
        rest = after;
    }
    tokenizer.end();
    tokenizer.sink.finish()
}

/// Gathers what is worth keeping while the tokens go by.
#[derive(Default)]
struct Reader {
    page: RefCell<Page>,
    /// What stands in for properties that the page lacks, by their names.
    substitutes: RefCell<BTreeMap<&'static str, String>>,
    text: RefCell<String>,
    inside: Cell<Inside>,
}

/// The element whose text is being gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Elsewhere,
    Title,
    Paragraph,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            TagToken(tag) if tag.kind == StartTag => return self.opened(&tag),
            TagToken(tag) => self.closed(&tag.name),
            Token::CharacterTokens(text) if self.inside.get() != Inside::Elsewhere => {
                let mut gathered = self.text.borrow_mut();
                if gathered.len() <= 4 * LONGEST_VALUE {
                    gathered.push_str(&text);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Reader {
    fn opened(&self, tag: &Tag) -> TokenSinkResult<()> {
        match &*tag.name {
            "meta" => self.meta(tag),
            "link" => self.link(tag),
            "base" => {
                self.page
                    .borrow_mut()
                    .base
                    .get_or_insert_with(|| attribute(tag, "href").unwrap_or_default().to_owned());
            }
            "title" => {
                self.gather(Inside::Title);
                return TokenSinkResult::RawData(Rcdata);
            }
            "p" => self.gather(Inside::Paragraph),
            // Their text is not for readers.
            "script" => return TokenSinkResult::RawData(ScriptData),
            "style" | "noscript" | "iframe" | "noframes" => return TokenSinkResult::RawData(Rawtext),
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn closed(&self, name: &str) {
        match (self.inside.get(), name) {
            (Inside::Title, "title") | (Inside::Paragraph, "p" | "div" | "body" | "article") => {
                self.gather(Inside::Elsewhere);
            }
            _ => {}
        }
    }

    /// Ends what was being gathered and begins anew.
    fn gather(&self, inside: Inside) {
        let text = folded(&self.text.take());
        match self.inside.replace(inside) {
            Inside::Title => self.substitute("og:title", &text),
            Inside::Paragraph if text.len() >= SHORTEST_PARAGRAPH => {
                self.substitute("og:description ", &shortened(&text, LONGEST_EXCERPT));
            }
            _ => {}
        }
    }

    fn meta(&self, tag: &Tag) {
        let Some(content) = attribute(tag, "content").map(folded).filter(|content| !content.is_empty()) else { return };
        let name = attribute(tag, "property").or_else(|| attribute(tag, "name")).unwrap_or_default();
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "description" => self.substitute("og:description", &content),
            "twitter:title" => self.substitute("og:title", &content),
            "twitter:description" => self.substitute("og:description", &content),
            "twitter:image" | "twitter:image:src" => self.substitute("og:image", &content),
            "og:image:url" | "og:image:secure_url" => self.substitute("og:image", &content),
            _ if is_property(&name) => self.keep(name, &content),
            _ => {}
        }
    }

    fn link(&self, tag: &Tag) {
        let (Some(rel), Some(href)) = (attribute(tag, "rel"), attribute(tag, "href")) else { return };
        let is = |wanted: &str| rel.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case(wanted));
        if is("image_src") {
            self.substitute("og:image", href);
        }
        if is("alternate") && attribute(tag, "type") == Some("application/json+oembed") {
            self.page.borrow_mut().oembed.get_or_insert_with(|| href.to_owned());
        }
    }

    fn keep(&self, name: String, value: &str) {
        let properties = &mut self.page.borrow_mut().properties;
        if properties.len() < MOST_PROPERTIES {
            properties.entry(name).or_insert_with(|| shortened(value, LONGEST_VALUE));
        }
    }

    fn substitute(&self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.substitutes.borrow_mut().entry(name).or_insert_with(|| shortened(value, LONGEST_VALUE));
        }
    }

    fn finish(&self) -> Page {
        self.gather(Inside::Elsewhere);
        let mut page = self.page.take();
        // "og:description " comes after "og:description": the text of the page is worth less than what it says of itself.
        for (name, value) in self.substitutes.take() {
            page.properties.entry(name.trim_end().to_owned()).or_insert(value);
        }
        page
    }
}

/// Whether this is the name of an OpenGraph property, and of a sane length and alphabet.
fn is_property(name: &str) -> bool {
    let rest = name.strip_prefix("og:").unwrap_or_default();
    let sane = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    (1..=60).contains(&rest.len()) && rest.chars().all(sane)
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

/// The text with each run of white space as one space, and none around it.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text, or its beginning with an ellipsis if it has more characters than `limit`.
fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
