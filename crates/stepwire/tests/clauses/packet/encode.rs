//! From a line to bytes: what a client may send, and some of what it may not.

use super::{Kind, PROPERTIES, TYPES, Version, bytes_of, number, words};

/// The packet that `line` describes.
pub(crate) fn encode(version: Version, line: &str) -> Vec<u8> {
    let words = words(line);
    let (name, rest) = words.split_first().unwrap_or_else(|| panic!("an empty line"));
    let kind = TYPES.iter().find(|(known, _)| known == name);
    let &(_, kind) = kind.unwrap_or_else(|| panic!("no packet is called {name}"));
    let arguments = Arguments { version, words: rest };
    let (flags, body) = match *name {
        "CONNECT" => (0, arguments.connect()),
        "PUBLISH" => (publish_flags(rest), arguments.publish()),
        "PUBACK" | "PUBREC" | "PUBCOMP" => (0, arguments.ack()),
        "PUBREL" => (2, arguments.ack()),
        "SUBSCRIBE" => (2, arguments.subscribe()),
        "UNSUBSCRIBE" => (2, arguments.unsubscribe()),
        "PINGREQ" => (0, Vec::new()),
        "DISCONNECT" | "AUTH" => (0, arguments.reason()),
        _ => panic!("clients do not send {name}"),
    };
    frame(kind << 4 | flags, &body)
}

/// A packet with its length.
pub(crate) fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first], &variable(body.len())[..], body].concat()
}

/// DUP, QoS and RETAIN as the words of a PUBLISH say.
fn publish_flags(words: &[&str]) -> u8 {
    let qos = words.iter().find_map(|word| word.strip_prefix("qos=")).map_or(0, number) as u8;
    let flag = |name| u8::from(words.contains(&name));
    flag("dup") << 3 | qos << 1 | flag("retain")
}

struct Arguments<'a> {
    version: Version,
    words: &'a [&'a str],
}

impl Arguments<'_> {
    fn has(&self, name: &str) -> bool {
        self.words.contains(&name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// `#7`
    fn packet_id(&self) -> Option<[u8; 2]> {
        let number = self.words.iter().find_map(|word| word.strip_prefix('#')?.parse::<u16>().ok());
        number.map(u16::to_be_bytes)
    }

    /// What is neither a flag, an identifier nor a property.
    fn plain(&self) -> impl Iterator<Item = &str> {
        let is_plain = |word: &&&str| {
            !is_packet_id(word)
                && property(word).is_none()
                && !word.starts_with("qos=")
                && !["dup", "retain"].contains(*word)
        };
        self.words.iter().filter(is_plain).copied()
    }

    fn connect(&self) -> Vec<u8> {
        let will = self.words.iter().position(|word| *word == "will");
        let (own, of_will) = self.words.split_at(will.unwrap_or(self.words.len()));
        let own = Arguments { version: self.version, words: own };
        let will = Arguments { version: self.version, words: of_will };
        let (username, password) = (own.value("user-name"), own.value("password"));
        let mut flags = if own.has("keep") { 0 } else { 2 };
        if !of_will.is_empty() {
            let of_message = publish_flags(of_will);
            flags |= 0x04 | (of_message & 0b110) << 2 | (of_message & 1) << 5;
        }
        flags |= u8::from(password.is_some()) << 6 | u8::from(username.is_some()) << 7;
        let mut body = [text(b"MQTT"), vec![self.version.level(), flags]].concat();
        let keep_alive = own.value("keep-alive").map_or(0, number) as u16;
        body.extend(keep_alive.to_be_bytes());
        body.extend(own.properties());
        body.extend(text(&bytes_of(own.value("id").unwrap_or("\"\""))));
        if !of_will.is_empty() {
            let mut plain = will.plain().skip(1);
            let topic = bytes_of(plain.next().unwrap());
            let payload = bytes_of(plain.next().unwrap());
            body.extend(will.properties());
            body.extend([text(&topic), text(&payload)].concat());
        }
        body.extend(username.into_iter().chain(password).flat_map(|word| text(&bytes_of(word))));
        body
    }

    fn publish(&self) -> Vec<u8> {
        let mut plain = self.plain();
        let topic = bytes_of(plain.next().unwrap());
        let payload = plain.next().map(bytes_of).unwrap_or_default();
        let packet_id = self.packet_id().into_iter().flatten().collect();
        [text(&topic), packet_id, self.properties(), payload].concat()
    }

    fn ack(&self) -> Vec<u8> {
        let mut body = self.packet_id().unwrap().to_vec();
        body.extend(self.reason());
        body
    }

    /// A reason and properties, as short as can be.
    fn reason(&self) -> Vec<u8> {
        let reason = self.plain().next().map(|word| number(word) as u8);
        let properties = if self.version == Version::V5 { self.properties() } else { Vec::new() };
        match (reason, properties.len()) {
            (None, 0 | 1) => Vec::new(),
            (Some(reason), 0 | 1) => vec![reason],
            (reason, _) => [vec![reason.unwrap_or(0)], properties].concat(),
        }
    }

    fn subscribe(&self) -> Vec<u8> {
        let mut body = self.packet_id().unwrap().to_vec();
        body.extend(self.properties());
        let rest: Vec<&str> = self
            .words
            .iter()
            .copied()
            .filter(|word| !is_packet_id(word) && property(word).is_none())
            .collect();
        for filter in rest.split(|word| *word == ",") {
            let Some((filter, options)) = filter.split_first() else { continue };
            body.extend(text(&bytes_of(filter)));
            body.push(options.iter().map(|option| subscription_option(option)).sum());
        }
        body
    }

    fn unsubscribe(&self) -> Vec<u8> {
        let mut body = self.packet_id().unwrap().to_vec();
        body.extend(self.properties());
        body.extend(
            self.plain().filter(|word| *word != ",").flat_map(|word| text(&bytes_of(word))),
        );
        body
    }

    fn properties(&self) -> Vec<u8> {
        if self.version < Version::V5 {
            return Vec::new();
        }
        let found: Vec<u8> =
            self.words.iter().filter_map(|word| property(word)).flatten().collect();
        [variable(found.len()), found].concat()
    }
}

/// `#7`; a lone `#` is a topic filter.
fn is_packet_id(word: &str) -> bool {
    word.strip_prefix('#').is_some_and(|number| number.parse::<u16>().is_ok())
}

fn subscription_option(word: &str) -> u8 {
    match word.split_once('=') {
        Some(("qos", qos)) => number(qos) as u8,
        Some(("retain-handling", handling)) => (number(handling) as u8) << 4,
        _ if word == "no-local" => 4,
        _ if word == "retain-as-published" => 8,
        _ => panic!("no subscription option is called {word}"),
    }
}

/// `name=value` as a property, if it is one.
fn property(word: &str) -> Option<Vec<u8>> {
    let (name, value) = word.split_once('=')?;
    let (id, _, kind, _) = PROPERTIES.iter().find(|(_, known, ..)| *known == name)?;
    let value = match kind {
        Kind::Byte => vec![number(value) as u8],
        Kind::Two => (number(value) as u16).to_be_bytes().to_vec(),
        Kind::Four => number(value).to_be_bytes().to_vec(),
        Kind::Variable => variable(number(value) as usize),
        Kind::Text | Kind::Binary => text(&bytes_of(value)),
        Kind::Pair => {
            let (key, value) = value.split_once(':')?;
            [text(&bytes_of(key)), text(&bytes_of(value))].concat()
        }
    };
    Some([vec![*id], value].concat())
}

/// Bytes behind their length in two bytes.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or_else(|_| panic!("too long for a text"));
    [&length.to_be_bytes(), bytes].concat()
}

/// A variable byte integer.
pub(crate) fn variable(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number % 128) as u8;
        number /= 128;
        bytes.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return bytes;
        }
    }
}
