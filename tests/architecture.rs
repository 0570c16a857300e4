//! Holds the plan of the house against the source: layers, confined names, sizes and banned constructs.
//!
//! The rules look at text. Comments and strings are taken out first, so that a rule sees only code; that is all the
//! understanding of Rust there is, and it is enough for code that rustfmt has formatted.

use std::{fmt::Write as _, fs, path::Path};

/// The layers, lowest first. A module may use what stands on lines above its own, never its neighbours.
const LAYERS: &[&[&str]] = &[
    &["error", "config", "clock", "shutdown"],
    &["outgoing"],
    &["matrix"],
    &["storage"],
    &["streams"],
    &["federation"],
    &["appservices"],
    &["users", "media"],
    &["rooms"],
    &["encryption", "presence"],
    &["sync", "delivery", "search"],
    &["http"],
    &["server"],
    &["cli"],
];

/// Code that may stand only in certain places: what, where, and why.
const CONFINED: &[(&str, &[&str], &str)] = &[
    ("axum", &["src/http/", "src/server.rs", "src/server/"], "only the edge knows the web framework"),
    ("axum_server", &["src/server.rs", "src/server/"], "only the server accepts connections"),
    ("StatusCode", &["src/http/"], "services return an `Error`; http/error_response.rs makes a status of it"),
    ("extern rocksdb", &["src/storage/rocksdb.rs", "src/storage/rocksdb/"], "the engine is behind a trait"),
    ("reqwest", &["src/outgoing/"], "one door leads out, and it is guarded"),
    ("lettre", &["src/outgoing/mail/"], "one place sends mail"),
    ("SystemTime", &["src/clock.rs"], "time comes from `Clock`; `Instant` may measure a duration that nobody stores"),
    ("MilliSecondsSinceUnixEpoch::now", &["src/clock.rs"], "time comes from `Clock`"),
    ("state_res", &["src/matrix/"], "the protocol's rules are behind functions of `matrix`"),
    ("auth_rules::check", &["src/rooms/authorise.rs", "src/matrix/"], "one place asks the auth rules"),
    (
        "history_visibility::allows",
        &["src/rooms/visibility.rs", "src/matrix/"],
        "one place decides who may see an event",
    ),
    ("TIMELINE.put", &["src/rooms/append.rs"], "one place writes the timeline"),
    ("TIMELINE.delete", &["src/rooms/append.rs"], "one place writes the timeline"),
    ("Family", &["src/storage/"], "tables are declared in storage/schema/"),
    ("schema", OWNERS_OF_TABLES, "what is above the services asks them and touches no table"),
];

/// Where tables are read and written.
const OWNERS_OF_TABLES: &[&str] = &[
    "src/storage/",
    "src/streams/",
    "src/users/",
    "src/media/",
    "src/rooms/",
    "src/encryption/",
    "src/presence",
    "src/sync/",
    "src/delivery/",
    "src/search/",
];

/// Code that may stand nowhere, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("unsafe", "there is always a safe way here"),
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("dbg!", "use tracing"),
    ("macro_rules!", "write a function or a generic"),
    ("super::super", "start the path at `crate`"),
];

/// File and folder names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "misc", "types", "util", "utils"];

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 80;

/// A way in which a source file can break the plan; it yields the line and what is wrong there.
type Rule = fn(&Source) -> Vec<(usize, String)>;

const RULES: &[Rule] = &[
    layers,
    confined_names,
    banned_code,
    empty_names,
    file_length,
    function_length,
    module_sentence,
    no_sleep_in_tests,
];

#[test]
fn the_source_keeps_to_the_plan() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        read_folder(root, &root.join(folder), &mut sources);
    }
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the source was not found");

    let mut report = String::new();
    for source in &sources {
        for (line, problem) in RULES.iter().flat_map(|rule| rule(source)) {
            writeln!(report, "{}:{line}: {problem}", source.path).unwrap();
        }
    }
    assert!(report.is_empty(), "the source breaks the plan of ARCHITECTURE.md:\n{report}");
}

// ---- the rules ----

/// Every `crate::module` in a module of the plan must name a lower layer or the module itself.
fn layers(source: &Source) -> Vec<(usize, String)> {
    let Some(own) = source.module() else { return Vec::new() };
    let Some(own_layer) = layer(own) else {
        return vec![(1, format!("module `{own}` has no layer: give it one in LAYERS and in the map in lib.rs"))];
    };
    let mut problems = Vec::new();
    for (line, used) in source.crate_references() {
        let Some(used_layer) = layer(&used) else { continue };
        if used != own && used_layer >= own_layer {
            let relation = if used_layer == own_layer { "its neighbour" } else { "above it" };
            problems.push((line, format!("`{own}` must not use `{used}`, which is {relation}")));
        }
    }
    problems
}

fn confined_names(source: &Source) -> Vec<(usize, String)> {
    let mut problems = Vec::new();
    if !source.path.starts_with("src/") {
        return problems;
    }
    for (what, places, why) in CONFINED {
        if places.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        let lines = match what.strip_prefix("extern ") {
            Some(name) => source.mentions_of_crate(name),
            None => source.mentions(what),
        };
        problems
            .extend(lines.into_iter().map(|line| (line, format!("`{what}` is only for {}: {why}", places.join(", ")))));
    }
    problems
}

fn banned_code(source: &Source) -> Vec<(usize, String)> {
    let found = |(what, instead): &(&str, &str)| {
        let message = format!("`{what}` is banned: {instead}");
        source.mentions(what).into_iter().map(move |line| (line, message.clone())).collect::<Vec<_>>()
    };
    BANNED.iter().flat_map(found).collect()
}

fn empty_names(source: &Source) -> Vec<(usize, String)> {
    let names = source.path.trim_end_matches(".rs").split('/');
    names
        .filter(|name| EMPTY_NAMES.contains(name))
        .map(|name| (1, format!("`{name}` does not say what is inside: name it for what it owns")))
        .collect()
}

fn file_length(source: &Source) -> Vec<(usize, String)> {
    let lines = source.text.lines().count();
    match lines > MAX_FILE_LINES {
        true => vec![(lines, format!("{lines} lines are too many for one file: split it below {MAX_FILE_LINES}"))],
        false => Vec::new(),
    }
}

fn function_length(source: &Source) -> Vec<(usize, String)> {
    let mut problems = Vec::new();
    for (name, first, last) in source.functions() {
        let lines = last - first + 1;
        if lines > MAX_FUNCTION_LINES {
            problems.push((first, format!("`{name}` has {lines} lines: split it below {MAX_FUNCTION_LINES}")));
        }
    }
    problems
}

fn module_sentence(source: &Source) -> Vec<(usize, String)> {
    match source.text.starts_with("//! ") {
        true => Vec::new(),
        false => vec![(1, "the file must start with a `//!` sentence that says what it owns".to_owned())],
    }
}

fn no_sleep_in_tests(source: &Source) -> Vec<(usize, String)> {
    let is_test = |line: &usize| source.test_lines().any(|(first, last)| (first..=last).contains(line));
    let lines = ["sleep", "sleep_until", "sleep_ms"].into_iter().flat_map(|name| source.mentions(name));
    lines
        .filter(is_test)
        .map(|line| (line, "a test waits for a condition with a deadline, not for time".into()))
        .collect()
}

// ---- reading the source ----

/// A source file, once as it is and once as bare code.
struct Source {
    /// From the root of the package, such as `src/rooms/append.rs`.
    path: String,
    text: String,
    /// The code without comments, strings and needless whitespace.
    code: String,
    /// The line of each byte of `code`, counted from 1.
    lines: Vec<usize>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let (code, lines) = bare_code(text);
        Self { path: path.to_owned(), text: text.to_owned(), code, lines }
    }

    /// The module of the plan that the file belongs to: `rooms` for `src/rooms.rs` and for all of `src/rooms/`.
    fn module(&self) -> Option<&str> {
        let path = self.path.strip_prefix("src/")?;
        let module = path.split_once('/').map_or(path.trim_end_matches(".rs"), |(folder, _)| folder);
        (!["lib", "main"].contains(&module)).then_some(module)
    }

    /// The lines on which `pattern` stands as a whole word or path.
    fn mentions(&self, pattern: &str) -> Vec<usize> {
        self.places(pattern).map(|place| self.lines[place]).collect()
    }

    /// As [`Source::mentions`], without a module of our own that has the crate's name.
    fn mentions_of_crate(&self, name: &str) -> Vec<usize> {
        let is_own = |place: &usize| {
            ["mod ", "self::", "super::", "storage::"].iter().any(|before| self.code[..*place].ends_with(before))
        };
        self.places(name).filter(|place| !is_own(place)).map(|place| self.lines[place]).collect()
    }

    fn places<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.match_indices(pattern).map(|(place, _)| place).filter(move |place| {
            let before = self.code[..*place].chars().next_back();
            let after = self.code[place + pattern.len()..].chars().next();
            let goes_on = pattern.ends_with(in_word) && after.is_some_and(in_word);
            !before.is_some_and(in_word) && !goes_on
        })
    }

    /// The top-level modules that the code names through `crate::`, or `super::` where that is the same, with their lines.
    fn crate_references(&self) -> Vec<(usize, String)> {
        let below_root = self.path.ends_with("/mod.rs") && self.path.matches('/').count() == 2;
        let super_is_crate = below_root || self.path.matches('/').count() == 1;
        let in_test = |place: &usize| self.test_lines().any(|(a, b)| (a..=b).contains(&self.lines[*place]));
        let supers = self.places("super::").filter(|place| super_is_crate && !in_test(place));

        let mut references = Vec::new();
        for place in self.places("crate::").chain(supers) {
            // Both words have the same length.
            let start = place + "crate::".len();
            if !self.code[start..].starts_with('{') {
                references.push((self.lines[start], word_at(&self.code, start)));
                continue;
            }
            let mut depth = 0;
            for (offset, c) in self.code[start..].char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && (c == '{' || c == ',') {
                    let place = start + offset + 1;
                    references.push((self.lines[place], word_at(&self.code, place)));
                }
            }
        }
        references
    }

    /// The functions with a body: name, first line, last line.
    fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut functions = Vec::new();
        for place in self.places("fn ") {
            let mut brackets = 0;
            let body = self.code[place..].char_indices().find(|(_, c)| {
                match c {
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets -= 1,
                    _ => {}
                }
                brackets == 0 && (*c == '{' || *c == ';')
            });
            if let Some((offset, '{')) = body {
                let end = closing_brace(&self.code, place + offset);
                functions.push((word_at(&self.code, place + "fn ".len()), self.lines[place], self.lines[end]));
            }
        }
        functions
    }

    /// The first and last lines of what is compiled only for tests.
    fn test_lines(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let file_is_test = self.path.starts_with("tests/") || self.path.ends_with("/tests.rs");
        let whole = file_is_test.then_some((1, usize::MAX));
        let modules = self.places("#[cfg(test)]").filter_map(|place| {
            let open = place + self.code[place..].find(['{', ';'])?;
            self.code[open..].starts_with('{').then(|| (self.lines[place], self.lines[closing_brace(&self.code, open)]))
        });
        whole.into_iter().chain(modules)
    }
}

fn read_folder(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source::new(path.strip_prefix(root).unwrap().to_str().unwrap(), &text));
        }
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|line| line.contains(&module))
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_at(code: &str, start: usize) -> String {
    code[start..].chars().take_while(|c| in_word(*c)).collect()
}

/// The place of the brace that closes the one at `open`.
fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset;
        }
    }
    code.len() - 1
}

/// Takes comments, the inside of strings and all whitespace that separates no words out of `text`.
fn bare_code(text: &str) -> (String, Vec<usize>) {
    let (mut code, mut lines, mut line, mut at) = (String::new(), Vec::new(), 1, 0);
    while let Some(c) = text[at..].chars().next() {
        let length = skipped(&text[at..], code.chars().next_back());
        let gap = c.is_whitespace() || text[at..].starts_with("//") || text[at..].starts_with("/*");
        if !gap {
            let separates = at > 0 && text[..at].ends_with(char::is_whitespace);
            if separates && in_word(c) && code.ends_with(in_word) {
                code.push(' ');
            }
            code.push(c);
            lines.resize(code.len(), line);
        }
        line += text[at..at + length].matches('\n').count();
        at += length;
    }
    (code, lines)
}

/// How many bytes the comment, string or character at the start of `text` takes; `before` is the code's last character.
fn skipped(text: &str, before: Option<char>) -> usize {
    let until = |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |found| from + found + end.len());
    let raw = text.strip_prefix('r').filter(|_| !before.is_some_and(in_word) || before == Some('b'));
    let hashes = raw.map_or(0, |rest| rest.len() - rest.trim_start_matches('#').len());
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        until("*/", 2)
    } else if raw.is_some_and(|rest| rest[hashes..].starts_with('"')) {
        until(&format!("\"{}", "#".repeat(hashes)), hashes + 2)
    } else if text.starts_with('"') {
        quoted(text, '"').unwrap_or(text.len())
    } else if text.starts_with('\'') && (text[1..].starts_with('\\') || text.chars().nth(2) == Some('\'')) {
        quoted(text, '\'').unwrap_or(1)
    } else {
        text.chars().next().map_or(0, char::len_utf8)
    }
}

/// The length of the literal between two `quote`s at the start of `text`.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (offset, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(offset + c.len_utf8()),
            _ => {}
        }
    }
    None
}

// ---- proof that each rule can fail ----

/// Asserts that `rule` finds something on exactly these lines.
fn assert_finds(rule: Rule, path: &str, text: &str, lines: &[usize]) {
    let found = rule(&Source::new(path, text));
    let at: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(at, lines, "{path}: {found:?}\n{text}");
}

#[test]
fn a_use_of_a_higher_layer_or_a_neighbour_is_found() {
    assert_finds(layers, "src/rooms/send.rs", "use crate::sync::Sync;", &[1]);
    assert_finds(layers, "src/rooms.rs", "fn f() {\n    crate::http::g();\n}", &[2]);
    assert_finds(layers, "src/sync/mod.rs", "use crate::{\n    error::Error,\n    search::{Index, http},\n};", &[3]);
    assert_finds(layers, "src/clock.rs", "use crate::error::Error;", &[1]);
    assert_finds(layers, "src/rooms/mod.rs", "use super::sync::Sync;", &[1]);
    assert_finds(layers, "src/clock.rs", "use super::{http, error};", &[1, 1]);
    assert_finds(layers, "src/gadgets/mod.rs", "", &[1]);
    assert_finds(layers, "src/rooms/send.rs", "use crate::{error::{Kind, http}, rooms::Room, matrix};", &[]);
    assert_finds(layers, "src/rooms/send.rs", "// crate::http\nconst A: &str = \"crate::http\";", &[]);
    assert_finds(layers, "src/rooms/http.rs", "use super::http::Name;", &[]);
    assert_finds(layers, "src/lib.rs", "use crate::http;", &[]);
}

#[test]
fn a_confined_name_outside_its_place_is_found() {
    for (what, places, _) in CONFINED {
        let code = format!("\nfn f() {{ {}(); }}", what.trim_start_matches("extern "));
        assert_finds(confined_names, "src/cli/init.rs", &code, &[2]);
        for place in *places {
            let inside = if place.ends_with('/') { format!("{place}inside.rs") } else { (*place).to_owned() };
            assert_finds(confined_names, &inside, &code, &[]);
        }
    }
    assert_finds(confined_names, "src/rooms/send.rs", "TIMELINE\n    .put(batch);", &[1]);
    assert_finds(confined_names, "src/rooms/send.rs", "TIMELINE.putter(); MY_TIMELINE.put(); let my_axum = 1;", &[]);
    assert_finds(confined_names, "src/storage/mod.rs", "mod rocksdb;\nuse self::rocksdb::RocksDb;", &[]);
    assert_finds(confined_names, "src/storage/mod.rs", "use rocksdb::DB;", &[1]);
    assert_finds(confined_names, "tests/stories/support/user.rs", "use reqwest::StatusCode;", &[]);
}

#[test]
fn banned_code_is_found() {
    for (what, _) in BANNED {
        assert_finds(banned_code, "src/clock.rs", &format!("\n\nfn f() {{ {what} (); }}"), &[3]);
    }
    assert_finds(banned_code, "src/clock.rs", "/* unsafe\n */ fn f() { let a = \"dbg!()\"; todo(); }", &[]);
    assert_finds(banned_code, "src/clock.rs", "fn f<'a>() { let a = '\"'; let b = r#\"\n\"#; unsafe {} }", &[2]);
}

#[test]
fn a_name_that_says_nothing_is_found() {
    assert_finds(empty_names, "src/rooms/utils.rs", "", &[1]);
    assert_finds(empty_names, "tests/common/mod.rs", "", &[1]);
    assert_finds(empty_names, "src/rooms/utilities_of_war.rs", "", &[]);
}

#[test]
fn what_is_too_long_is_found() {
    assert_finds(file_length, "src/clock.rs", &"\n".repeat(MAX_FILE_LINES + 1), &[MAX_FILE_LINES + 1]);
    assert_finds(file_length, "src/clock.rs", &"\n".repeat(MAX_FILE_LINES), &[]);
    let function = |lines| format!("\nfn f(a: [u8; 2])\n{{{}}}\nfn g();", "\n".repeat(lines - 2));
    assert_finds(function_length, "src/clock.rs", &function(MAX_FUNCTION_LINES + 1), &[2]);
    assert_finds(function_length, "src/clock.rs", &function(MAX_FUNCTION_LINES), &[]);
}

#[test]
fn a_file_that_does_not_say_what_it_owns_is_found() {
    assert_finds(module_sentence, "src/clock.rs", "use std::fmt;", &[1]);
    assert_finds(module_sentence, "src/clock.rs", "//! Time.\n", &[]);
}

#[test]
fn a_test_that_sleeps_is_found() {
    let text =
        "fn f() { sleep(1); }\n#[cfg(test)]\nmod tests {\n    fn g() { thread::sleep(1); }\n}\nfn h() { sleep(1); }";
    assert_finds(no_sleep_in_tests, "src/clock.rs", text, &[4]);
    assert_finds(no_sleep_in_tests, "tests/stories/main.rs", "fn f() {\n tokio::time::sleep(a); }", &[2]);
    assert_finds(no_sleep_in_tests, "src/clock.rs", "#[cfg(test)]\nmod tests;\nfn f() { sleep(1); }", &[]);
}
