//! What a client speaks, by the first bytes it sends: so that one at the wrong port is told apart
//! from a broken one.

use std::io;

use tokio::net::TcpStream;

use super::port::Role;

/// What begins with given bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// A TLS handshake.
    Tls,
    /// CONNECT.
    Mqtt,
    /// The method of a request.
    Http,
    /// None of them.
    Unknown,
}

impl Spoken {
    /// What the client has begun to say. Nothing is taken from the socket.
    pub(super) async fn peek(socket: &TcpStream) -> io::Result<Spoken> {
        let mut first = [0; 2];
        match socket.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(Spoken::of(&first[..count])),
        }
    }

    fn of(first: &[u8]) -> Spoken {
        match first {
            [0x16, ..] => Spoken::Tls,
            [0x10, ..] => Spoken::Mqtt,
            // one letter alone could be PUBREC
            [b'A'..=b'Z', b'A'..=b'Z'] => Spoken::Http,
            _ => Spoken::Unknown,
        }
    }

    /// What to tell whoever runs the client, if this is not what the port is for.
    pub(super) fn misplaced(self, role: Role) -> Option<&'static str> {
        match (role, self) {
            (Role::Mqtts | Role::Https, Spoken::Mqtt) => {
                Some("it speaks MQTT in plain text to a TLS port: let it use TLS (`mqtts://`)")
            }
            (Role::Mqtts, Spoken::Http) => Some(
                "it speaks HTTP in plain text to the port of MQTT over TLS: see `--http` and `--https`",
            ),
            (Role::Https, Spoken::Http) => {
                Some("it speaks HTTP in plain text to a TLS port: let it use TLS (`https://`)")
            }
            (Role::Mqtt, Spoken::Tls) => {
                Some("it speaks TLS to the port of MQTT in plain text: see `--mqtts`")
            }
            (Role::Mqtt, Spoken::Http) => {
                Some("it speaks HTTP to the port of MQTT in plain text: see `--http`")
            }
            (Role::Http, Spoken::Tls) => {
                Some("it speaks TLS to the port of HTTP in plain text: see `--https`")
            }
            (Role::Http, Spoken::Mqtt) => Some(
                "it speaks MQTT to the port of HTTP: see `--mqtts` and `--mqtt`, or use MQTT over WebSocket",
            ),
            _ => None,
        }
    }
}

/// What a client that speaks HTTP is told in place of an answer.
pub(super) const WRONG_PORT: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 29\r\nconnection: close\r\n\r\nHTTP is not spoken here: TLS\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_apart_by_their_first_bytes() {
        for (first, spoken) in [
            (&b"\x16\x03"[..], Spoken::Tls),
            (b"\x16", Spoken::Tls),
            (b"\x10\x0d", Spoken::Mqtt),
            (b"GE", Spoken::Http),
            (b"PR", Spoken::Http),
            (b"P\x02", Spoken::Unknown),
            (b"P", Spoken::Unknown),
            (b"\x00", Spoken::Unknown),
        ] {
            assert_eq!(Spoken::of(first), spoken, "{first:?}");
        }
    }

    #[test]
    fn who_is_at_the_right_port_hears_nothing() {
        for (role, right) in [
            (Role::Mqtt, Spoken::Mqtt),
            (Role::Mqtts, Spoken::Tls),
            (Role::Http, Spoken::Http),
            (Role::Https, Spoken::Tls),
        ] {
            for spoken in [Spoken::Tls, Spoken::Mqtt, Spoken::Http] {
                assert_eq!(
                    spoken.misplaced(role).is_none(),
                    spoken == right,
                    "{role:?} {spoken:?}"
                );
            }
        }
    }
}
