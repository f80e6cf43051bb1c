//! From bytes to a line: what a server may send. Anything else is an error that says why.

use super::{Kind, PROPERTIES, Version, word_of};

type Result<T> = std::result::Result<T, String>;

/// Reason codes that each packet of a server may have (MQTT 5.0, table 2-6).
fn reasons(name: &str) -> &'static [u8] {
    match name {
        "CONNACK" => &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
            0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
        ],
        "PUBACK" | "PUBREC" => &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
        "PUBREL" | "PUBCOMP" => &[0x00, 0x92],
        "SUBACK" => &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
        "UNSUBACK" => &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91],
        "AUTH" => &[0x00, 0x18],
        // not 0x04: a server has no will
        _ => &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
            0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
        ],
    }
}

/// The line for a packet from the server.
pub(crate) fn decode(version: Version, first: u8, body: &[u8]) -> Result<String> {
    let mut reader = Reader { version, rest: body };
    let (kind, flags) = (first >> 4, first & 0x0F);
    if kind != 3 && flags != if kind == 6 { 2 } else { 0 } {
        return Err(format!("flags {flags:04b} of packet type {kind}"));
    }
    let line = match kind {
        2 => reader.connack()?,
        3 => reader.publish(flags)?,
        4 => reader.ack("PUBACK")?,
        5 => reader.ack("PUBREC")?,
        6 => reader.ack("PUBREL")?,
        7 => reader.ack("PUBCOMP")?,
        9 => reader.suback("SUBACK")?,
        11 if version == Version::V311 => format!("UNSUBACK {}", reader.packet_id()?),
        11 => reader.suback("UNSUBACK")?,
        13 => "PINGRESP".to_owned(),
        14 if version == Version::V5 => reader.reason("DISCONNECT")?,
        15 if version == Version::V5 => reader.reason("AUTH")?,
        _ => return Err(format!("a server does not send packet type {kind}")),
    };
    if reader.rest.is_empty() { Ok(line) } else { Err(format!("{line} and more bytes")) }
}

struct Reader<'a> {
    version: Version,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into().unwrap()))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.u16()?;
        let bytes = self.take(usize::from(length))?;
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        if text.contains('\0') { Err("a text with U+0000".to_owned()) } else { Ok(word_of(bytes)) }
    }

    fn packet_id(&mut self) -> Result<String> {
        match self.u16()? {
            0 => Err("packet identifier 0".to_owned()),
            number => Ok(format!("#{number}")),
        }
    }

    fn reason_code(&mut self, name: &str) -> Result<u8> {
        let code = self.u8()?;
        let known = reasons(name).contains(&code);
        if known { Ok(code) } else { Err(format!("{name} with reason 0x{code:02X}")) }
    }

    fn connack(&mut self) -> Result<String> {
        let flags = self.u8()?;
        if flags > 1 {
            return Err(format!("CONNACK with flags {flags:08b}"));
        }
        let code = match self.version {
            Version::V5 => self.reason_code("CONNACK")?,
            Version::V311 => match self.u8()? {
                code @ 0..=5 => code,
                code => return Err(format!("CONNACK with return code {code}")),
            },
        };
        if flags == 1 && code > 0 {
            return Err("a refusing CONNACK with session present".to_owned());
        }
        let present = if flags == 1 { " present" } else { "" };
        Ok(format!("CONNACK {}{present}{}", hex(code), self.properties("CONNACK")?))
    }

    fn publish(&mut self, flags: u8) -> Result<String> {
        let (dup, qos, retain) = (flags & 8 != 0, flags >> 1 & 3, flags & 1 != 0);
        if qos == 3 || dup && qos == 0 {
            return Err(format!("PUBLISH with flags {flags:04b}"));
        }
        let mut line = format!("PUBLISH {}", self.text()?);
        if line.contains(['+', '#']) {
            return Err(format!("{line}: a wildcard in a topic name"));
        }
        let packet_id = if qos > 0 { Some(self.packet_id()?) } else { None };
        let properties = self.properties("PUBLISH")?;
        line.extend([" ", &word_of(std::mem::take(&mut self.rest))]);
        if let Some(packet_id) = packet_id {
            line.extend([" qos=", &qos.to_string(), " ", &packet_id]);
        }
        for (set, name) in [(dup, " dup"), (retain, " retain")] {
            line += if set { name } else { "" };
        }
        Ok(line + &properties)
    }

    fn ack(&mut self, name: &str) -> Result<String> {
        let line = format!("{name} {}", self.packet_id()?);
        if self.version == Version::V311 || self.rest.is_empty() {
            return Ok(line);
        }
        let code = self.reason_code(name)?;
        let reason = if code == 0 { String::new() } else { format!(" {}", hex(code)) };
        let properties = if self.rest.is_empty() { String::new() } else { self.properties("ACK")? };
        Ok(line + &reason + &properties)
    }

    fn suback(&mut self, name: &str) -> Result<String> {
        let mut line = format!("{name} {}", self.packet_id()?);
        let properties = self.properties("ACK")?;
        while !self.rest.is_empty() {
            let code = match self.version {
                Version::V5 => self.reason_code(name)?,
                Version::V311 => match self.u8()? {
                    code @ (0 | 1 | 2 | 0x80) => code,
                    code => return Err(format!("SUBACK with return code {code}")),
                },
            };
            line.extend([" ", &hex(code)]);
        }
        Ok(line + &properties)
    }

    fn reason(&mut self, name: &str) -> Result<String> {
        if self.rest.is_empty() {
            return Ok(name.to_owned());
        }
        let code = self.reason_code(name)?;
        let properties = if self.rest.is_empty() { String::new() } else { self.properties(name)? };
        if name == "DISCONNECT" && properties.contains("session-expiry") {
            return Err("a server's DISCONNECT with a session expiry".to_owned());
        }
        Ok(format!("{name} {}{properties}", hex(code)))
    }

    fn properties(&mut self, packet: &str) -> Result<String> {
        if self.version == Version::V311 {
            return Ok(String::new());
        }
        let length = self.variable()?;
        let mut inner = Reader { version: self.version, rest: self.take(length)? };
        let mut found: Vec<(u8, String)> = Vec::new();
        while !inner.rest.is_empty() {
            let id = inner.u8()?;
            let known = PROPERTIES.iter().find(|(number, ..)| *number == id);
            let &(_, name, kind, packets) = known.ok_or_else(|| format!("property 0x{id:02X}"))?;
            let repeated = found.iter().any(|(number, _)| *number == id);
            let may_repeat = id == 0x26 || id == 0x0B && packet == "PUBLISH";
            if !packets.contains(&packet) || repeated && !may_repeat {
                return Err(format!("property {name} in {packet}, repeated: {repeated}"));
            }
            found.push((id, format!(" {name}={}", inner.value(kind)?)));
        }
        found.sort_by_key(|(id, _)| *id);
        Ok(found.into_iter().map(|(_, text)| text).collect())
    }

    fn value(&mut self, kind: Kind) -> Result<String> {
        Ok(match kind {
            Kind::Byte => match self.u8()? {
                value @ (0 | 1) => value.to_string(),
                value => return Err(format!("property with value {value}")),
            },
            Kind::Two => self.u16()?.to_string(),
            Kind::Four => u32::from_be_bytes(self.take(4)?.try_into().unwrap()).to_string(),
            Kind::Variable => self.variable()?.to_string(),
            Kind::Text => self.text()?,
            Kind::Binary => {
                let length = self.u16()?;
                word_of(self.take(usize::from(length))?)
            }
            Kind::Pair => format!("{}:{}", self.text()?, self.text()?),
        })
    }

    /// A variable byte integer, which must be as short as it can be.
    fn variable(&mut self) -> Result<usize> {
        let mut number = 0;
        for at in 0..4 {
            let byte = self.u8()?;
            number |= usize::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                let shortest = at == 0 || byte > 0;
                return if shortest { Ok(number) } else { Err("a length too long".to_owned()) };
            }
        }
        Err("a length without end".to_owned())
    }
}

/// 0 to 2 as they are, other reasons in hex.
fn hex(code: u8) -> String {
    if code < 0x10 { code.to_string() } else { format!("0x{code:02X}") }
}
