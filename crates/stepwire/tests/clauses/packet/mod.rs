//! MQTT packets as one line of text, both ways, without the product's codec: what one gets wrong the
//! other must not hide.
//!
//! `PUBLISH a/b "hello" qos=1 #7 user=unit:kelvin`: the type; what it is about; flags; the packet
//! identifier; properties by name, in the order of their numbers. Words with spaces are quoted,
//! `0x…` is bytes in hex, `z*1000` is a thousand times `z`. Reading is strict: a packet that a server
//! must not send is an error.

mod decode;
mod encode;

pub(crate) use decode::decode;
pub(crate) use encode::{encode, frame, text};

/// Which specification a connection follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V311,
    V5,
}

impl Version {
    pub(crate) fn parse(text: &str) -> Option<Version> {
        match text {
            "3.1.1" => Some(Version::V311),
            "5.0" => Some(Version::V5),
            _ => None,
        }
    }

    pub(crate) fn level(self) -> u8 {
        match self {
            Version::V311 => 4,
            Version::V5 => 5,
        }
    }
}

/// How a property's value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Binary,
    Pair,
}

/// Every property: number, name in scripts, encoding, and the packets that may carry it, by the
/// first letters a script uses for them (MQTT 5.0, table 2-4). `WILL` is the will of a CONNECT.
pub(crate) const PROPERTIES: &[(u8, &str, Kind, &[&str])] = &[
    (0x01, "payload-format", Kind::Byte, &["PUBLISH", "WILL"]),
    (0x02, "message-expiry", Kind::Four, &["PUBLISH", "WILL"]),
    (0x03, "content-type", Kind::Text, &["PUBLISH", "WILL"]),
    (0x08, "response-topic", Kind::Text, &["PUBLISH", "WILL"]),
    (0x09, "correlation-data", Kind::Binary, &["PUBLISH", "WILL"]),
    (0x0B, "subscription-id", Kind::Variable, &["PUBLISH", "SUBSCRIBE"]),
    (0x11, "session-expiry", Kind::Four, &["CONNECT", "CONNACK", "DISCONNECT"]),
    (0x12, "assigned-client-id", Kind::Text, &["CONNACK"]),
    (0x13, "server-keep-alive", Kind::Two, &["CONNACK"]),
    (0x15, "auth-method", Kind::Text, &["CONNECT", "CONNACK", "AUTH"]),
    (0x16, "auth-data", Kind::Binary, &["CONNECT", "CONNACK", "AUTH"]),
    (0x17, "request-problem-info", Kind::Byte, &["CONNECT"]),
    (0x18, "will-delay", Kind::Four, &["WILL"]),
    (0x19, "request-response-info", Kind::Byte, &["CONNECT"]),
    (0x1A, "response-info", Kind::Text, &["CONNACK"]),
    (0x1C, "server-reference", Kind::Text, &["CONNACK", "DISCONNECT"]),
    (0x1F, "reason-string", Kind::Text, &["CONNACK", "ACK", "DISCONNECT", "AUTH"]),
    (0x21, "receive-max", Kind::Two, &["CONNECT", "CONNACK"]),
    (0x22, "alias-max", Kind::Two, &["CONNECT", "CONNACK"]),
    (0x23, "alias", Kind::Two, &["PUBLISH"]),
    (0x24, "max-qos", Kind::Byte, &["CONNACK"]),
    (0x25, "retain-available", Kind::Byte, &["CONNACK"]),
    (
        0x26,
        "user",
        Kind::Pair,
        &[
            "CONNECT",
            "CONNACK",
            "PUBLISH",
            "WILL",
            "ACK",
            "SUBSCRIBE",
            "UNSUBSCRIBE",
            "DISCONNECT",
            "AUTH",
        ],
    ),
    (0x27, "packet-max", Kind::Four, &["CONNECT", "CONNACK"]),
    (0x28, "wildcards-available", Kind::Byte, &["CONNACK"]),
    (0x29, "subscription-ids-available", Kind::Byte, &["CONNACK"]),
    (0x2A, "shared-available", Kind::Byte, &["CONNACK"]),
];

/// The first word of a line and its place in the first byte of the packet.
pub(crate) const TYPES: &[(&str, u8)] = &[
    ("CONNECT", 1),
    ("CONNACK", 2),
    ("PUBLISH", 3),
    ("PUBACK", 4),
    ("PUBREC", 5),
    ("PUBREL", 6),
    ("PUBCOMP", 7),
    ("SUBSCRIBE", 8),
    ("SUBACK", 9),
    ("UNSUBSCRIBE", 10),
    ("UNSUBACK", 11),
    ("PINGREQ", 12),
    ("PINGRESP", 13),
    ("DISCONNECT", 14),
    ("AUTH", 15),
];

/// Splits at spaces that are not quoted; quotes stay, and a comma after a word is a word.
pub(crate) fn words(line: &str) -> Vec<&str> {
    let comma = |word: &str| word.len() > 1 && word.ends_with(',');
    let split = |word| {
        let (word, comma) = if comma(word) { word.split_at(word.len() - 1) } else { (word, "") };
        [word, comma].into_iter().filter(|part| !part.is_empty())
    };
    spaced(line).into_iter().flat_map(split).collect()
}

fn spaced(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut quoted = false;
    let mut start = None;
    for (at, c) in line.char_indices() {
        match (c, start) {
            ('"', _) => {
                quoted = !quoted;
                start = start.or(Some(at));
            }
            (' ', Some(from)) if !quoted => {
                words.push(&line[from..at]);
                start = None;
            }
            (' ', None) => {}
            (_, None) => start = Some(at),
            _ => {}
        }
    }
    assert!(!quoted, "a quote is open: {line}");
    words.extend(start.map(|from| &line[from..]));
    words
}

/// The bytes a word stands for.
pub(crate) fn bytes_of(word: &str) -> Vec<u8> {
    if let Some(hex) = word.strip_prefix("0x") {
        return hex_bytes(hex);
    }
    if let Some((text, count)) = word.rsplit_once('*')
        && let Ok(count) = count.parse()
    {
        return bytes_of(text).repeat(count);
    }
    word.replace('"', "").into_bytes()
}

/// Bytes written as an even number of hex digits.
pub(crate) fn hex_bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "odd hex: {hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The word for bytes: as short as it can be read back.
pub(crate) fn word_of(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return hex_of(bytes) };
    if bytes.len() > 40 && bytes.iter().all(|byte| *byte == bytes[0]) && text.is_ascii() {
        return format!("{}*{}", &text[..1], bytes.len());
    }
    if text.contains(|c: char| c == '"' || c.is_control()) {
        return hex_of(bytes);
    }
    let plain = !text.is_empty() && !text.contains([' ', '*']) && !text.starts_with("0x");
    if plain { text.to_owned() } else { format!("\"{text}\"") }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A number, decimal or hex.
pub(crate) fn number(word: &str) -> u32 {
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("not a number: {word}"))
}
