//! What makes a good request a bad one.

use serde_json::{Value, json};

use super::{
    dice::Dice,
    endpoints::Endpoint,
    valid::{Names, Target, content, value},
    wire::Request,
};
use crate::support::encode;

/// Text that `written` puts in place of strings with this start: JSON that no value can hold.
const RAW: &str = "@raw:";

/// JSON that is wrong or odd.
const ODD_JSON: &[&str] = &[
    "1e400",
    "-1e400",
    "1e-400",
    "18446744073709551616",
    "9007199254740993",
    "-9223372036854775809",
    "0.1",
    "-0",
    "1.0",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "NaN",
    "01",
    "'a'",
    "{\"a\":1,\"a\":2}",
    "[1,]",
    "tru",
    "\"\\u0000\"",
    "\"\\x\"",
    "99999999999999999999999999999999999999999999999999999999999999999999999999999999",
];

/// Strings that are wrong or odd wherever an id is expected.
const ODD_TEXT: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "!",
    "@",
    "#",
    "$",
    "+",
    "!:",
    "@:",
    "@:story.example",
    "!a:",
    "$a:b:c",
    "@ALICE:story.example",
    "@a:story.example:99999",
    "#\u{202e}:story.example",
    "..",
    ".",
    "../../etc/passwd",
    "/",
    "%",
    "%00",
    "mxc://",
    "mxc://a/b/c",
    "mxc://../..",
    "null",
    "undefined",
    "-1",
    "0",
    "1e99",
    "99999999999999999999",
    "s0",
    "s1_1_1",
    "s99999999999_9_9",
    "s-1_-1_-1",
    "t1",
    "{",
    "{}",
    "[]",
    "{\"room\":1}",
    "{\"limit\":-1}",
    "\u{feff}",
    "\u{10ffff}",
    "🙂🙂",
    "a\u{301}",
    "' OR 1=1 --",
    "<script>",
    "${jndi:ldap://x}",
    "m.room.member",
    "@_server:story.example",
    "\r\n",
    "*",
    "?",
    "_",
    "true",
];

/// A request to an endpoint with a few things wrong, or, now and then, nothing.
pub fn request(endpoint: &Endpoint, token: Option<&str>, names: &Names, dice: &mut Dice) -> Request {
    let mut target = Target::new(endpoint, names, dice);
    let mut method = endpoint.method.clone();
    // Where nobody needs to be logged in, half of the requests come from those who are not.
    let mut token = token.filter(|_| endpoint.auth || dice.happens(50)).map(str::to_owned);
    let mut content_type = "application/json";
    let mut body = match &endpoint.body {
        Value::Null => None,
        Value::String(file) if file == "file" => Some(json!("the bytes of a file")),
        schema => Some(value("", schema, names, dice)),
    };
    let mut damage = Vec::new();
    for _ in 0..*dice.of(&[0, 0, 0, 1, 1, 1, 2, 2, 3]) {
        match dice.below(20) {
            0..=3 => mutate_path(endpoint, &mut target, names, dice),
            4..=6 => mutate_query(&mut target, names, dice),
            7..=14 => match &mut body {
                Some(body) => mutate_json(body, names, dice),
                None => mutate_path(endpoint, &mut target, names, dice),
            },
            15..=16 => damage.push(dice.below(DAMAGES)),
            17 => {
                content_type = dice.pick(&["text/plain", "", "application/json; charset=latin1", "image/png", "\u{1}"])
            }
            18 if dice.happens(30) => {
                token = [None, Some("wrong".into()), Some("Bearer".into())][dice.below(3)].clone()
            }
            _ if dice.happens(30) => {
                method =
                    dice.pick(&["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "X"]).to_owned();
            }
            _ => body = body.map(|_| content(names, dice)),
        }
    }
    let mut body = body.map(|body| written(&body).into_bytes()).unwrap_or_default();
    for kind in damage {
        damage_bytes(kind, &mut body, dice);
    }
    let mut headers = Vec::new();
    if !body.is_empty() && !content_type.is_empty() {
        headers.push(("content-type".to_owned(), content_type.to_owned()));
    }
    match token {
        Some(token) if dice.happens(97) => headers.push(("authorization".to_owned(), format!("Bearer {token}"))),
        Some(token) => target.query.push(("access_token".to_owned(), token)),
        None => {}
    }
    Request { method, target: target.written(), headers, body }
}

/// A string that is wrong or odd.
fn odd_text(names: &Names, dice: &mut Dice) -> String {
    match dice.below(10) {
        0 => "a".repeat(*dice.of(&[256, 300, 1_000, 5_000])),
        1 => format!("@{}:story.example", "b".repeat(*dice.of(&[230, 255, 3_000]))),
        2..=4 => names.any(dice),
        _ => dice.pick(ODD_TEXT).to_owned(),
    }
}

fn mutate_path(endpoint: &Endpoint, target: &mut Target, names: &Names, dice: &mut Dice) {
    let parts = endpoint.path.split('/').skip(1).enumerate();
    let parameters: Vec<usize> = parts.filter(|(_, part)| part.starts_with('{')).map(|(index, _)| index).collect();
    if parameters.is_empty() || dice.happens(5) {
        let odd = encode(&odd_text(names, dice));
        target.segments.push(dice.pick(&["", "..", "%2e%2e", "%00", "x", &odd]).to_owned());
        return;
    }
    let Some(segment) = target.segments.get_mut(*dice.of(&parameters)) else { return };
    *segment = match dice.below(12) {
        0 => "%".to_owned(),
        1 => "%zz%4".to_owned(),
        2 => "%ff%fe%80".to_owned(),
        3 => "%C0%AF%ED%A0%80".to_owned(),
        4 => "\u{e9}\u{1f600}".to_owned(),
        5 => format!("{segment}%00"),
        6 => segment.to_uppercase(),
        7 => segment.replace("%3A", ":").replace("%21", "!"),
        _ => encode(&odd_text(names, dice)),
    };
}

fn mutate_query(target: &mut Target, names: &Names, dice: &mut Dice) {
    let changeable = |(_, (name, _)): &(usize, &(String, String))| !name.contains("timeout");
    let places: Vec<usize> = target.query.iter().enumerate().filter(changeable).map(|(index, _)| index).collect();
    if places.is_empty() || dice.happens(15) {
        let odd = encode(&odd_text(names, dice));
        target.query.push((dice.pick(&["x", "", "limit", "user_id", "%ff", "filter", "from"]).to_owned(), odd));
        return;
    }
    let place = *dice.of(&places);
    match dice.below(10) {
        0 => drop(target.query.remove(place)),
        1 => target.query.push(target.query[place].clone()),
        2 => target.query[place].1 = "%ff%zz%".to_owned(),
        3 => target.query[place].1 = encode(&written(&content(names, dice))),
        4 => target.query[place].1 = encode(&written(&odd_json(names, dice))),
        _ => target.query[place].1 = encode(&odd_text(names, dice)),
    }
}

fn odd_json(names: &Names, dice: &mut Dice) -> Value {
    match dice.below(16) {
        0 => Value::Null,
        1 => json!([]),
        2 => json!({}),
        3 => json!(true),
        4 => json!(*dice.of(&[-1_i64, 0, i64::MAX, i64::MIN, 9_007_199_254_740_992])),
        5 => json!(u64::MAX),
        6 => json!("x".repeat(*dice.of(&[256, 600, 70_000]))),
        7 => format!("{RAW}{}0{}", "[".repeat(120), "]".repeat(120)).into(),
        8 => format!("{RAW}{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)).into(),
        9 if dice.happens(20) => vec![names.any(dice); 5_000].into(),
        10 => (0..300).map(|number| (format!("k{number}"), json!({}))).collect(),
        11 => content(names, dice),
        12..=13 => odd_text(names, dice).into(),
        _ => format!("{RAW}{}", dice.pick(ODD_JSON)).into(),
    }
}

/// Changes one place somewhere in the value.
fn mutate_json(place: &mut Value, names: &Names, dice: &mut Dice) {
    match place {
        Value::Object(fields) if !fields.is_empty() && dice.happens(75) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = dice.of(&keys).clone();
            match dice.below(8) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert(odd_text(names, dice), odd_json(names, dice))),
                2 => {
                    let moved = fields.remove(&key).unwrap_or_default();
                    fields.insert(odd_text(names, dice), moved);
                }
                _ => fields.get_mut(&key).into_iter().for_each(|inner| mutate_json(inner, names, dice)),
            }
        }
        Value::Array(items) if !items.is_empty() && dice.happens(75) => {
            let index = dice.below(items.len());
            match dice.below(4) {
                0 => *items = vec![items[index].clone(); *dice.of(&[2, 20, 2_000])],
                _ => mutate_json(&mut items[index], names, dice),
            }
        }
        place => *place = odd_json(names, dice),
    }
}

/// The JSON of a value, with the raw texts that it could not hold.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.strip_prefix(RAW).map_or_else(|| json!(text).to_string(), str::to_owned),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{}:{}", json!(key), written(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// How many ways there are to damage the bytes of a body.
const DAMAGES: usize = 9;

fn damage_bytes(kind: usize, body: &mut Vec<u8>, dice: &mut Dice) {
    let place = dice.below(body.len() + 1);
    match kind {
        0 => body.truncate(place),
        1 => body.insert(place, 0),
        2 => drop(body.splice(place..place, *b"\xff\xfe\xc0\x80")),
        3 => body.clear(),
        4 => body.extend(b"}garbage"),
        5 => drop(body.splice(0..0, *b"\xef\xbb\xbf")),
        6 => *body = dice.pick(&["null", "[]", "1", "\"a\"", "{", "true", "\u{0}"]).as_bytes().to_vec(),
        7 if dice.happens(3) => *body = format!("{{\"a\":\"{}\"}}", "a".repeat(3_000_000)).into_bytes(),
        _ => *body = b"a=b&c=%ff".to_vec(),
    }
}
