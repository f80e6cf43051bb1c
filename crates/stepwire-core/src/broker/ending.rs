//! Why connections end, in the words of AWS's presence events.

use serde::{Deserialize, Serialize};

use super::Closed;

/// Why a connection has ended, as presence events name it.
///
/// AWS names two more, which do not occur here: a node has no list of denied addresses
/// (`FORBIDDEN_ACCESS`), and neither WebSockets nor authorizers end by age (`…_TTL_EXPIRATION`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DisconnectReason {
    /// The client said goodbye.
    ClientInitiated,
    /// The client broke the protocol or a limit of its listener.
    ClientError,
    /// The client did what it may not do, or may no longer connect.
    AuthError,
    /// The client connected again.
    DuplicateClientId,
    /// The socket was cut.
    ConnectionLost,
    /// The client was silent for one and a half keep-alives.
    KeepAliveTimeout,
    /// The node ended it: it stops, or the client did not read.
    ServerInitiated,
    /// The node died.
    ServerError,
    /// `DeleteConnection` ended it.
    ApiInitiated,
    /// The client did something too often.
    Throttled,
}

impl DisconnectReason {
    /// The reason as AWS spells it.
    pub fn name(self) -> &'static str {
        match self {
            DisconnectReason::ClientInitiated => "CLIENT_INITIATED_DISCONNECT",
            DisconnectReason::ClientError => "CLIENT_ERROR",
            DisconnectReason::AuthError => "AUTH_ERROR",
            DisconnectReason::DuplicateClientId => "DUPLICATE_CLIENTID",
            DisconnectReason::ConnectionLost => "CONNECTION_LOST",
            DisconnectReason::KeepAliveTimeout => "MQTT_KEEP_ALIVE_TIMEOUT",
            DisconnectReason::ServerInitiated => "SERVER_INITIATED_DISCONNECT",
            DisconnectReason::ServerError => "SERVER_ERROR",
            DisconnectReason::ApiInitiated => "API_INITIATED_DISCONNECT",
            DisconnectReason::Throttled => "THROTTLED",
        }
    }
}

/// What becomes of a client's will when its connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WillFate {
    /// It is published, after its delay.
    Published,
    /// It is dropped.
    Dropped,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client said goodbye.
    Goodbye,
    /// The client said goodbye and asked for its will to be published.
    GoodbyeWithWill,
    /// The client broke the protocol.
    ClientError,
    /// The client did what it may not do.
    AuthError,
    /// The client connected again.
    TakenOver,
    /// The socket was cut.
    Lost,
    /// The client was silent for too long.
    Silent,
    /// The broker does not want it any more.
    ServerInitiated,
    /// The process died.
    ServerError,
    /// Somebody asked for it.
    ByRequest(WillFate),
    /// The client did something too often.
    Throttled,
}

impl From<Closed> for Ending {
    fn from(cause: Closed) -> Ending {
        match cause {
            Closed::Lost => Ending::Lost,
            Closed::ProtocolError(_) => Ending::ClientError,
            Closed::TooSlow | Closed::NoRoom | Closed::Shutdown => Ending::ServerInitiated,
        }
    }
}

impl Ending {
    /// The reason that presence events give.
    pub(super) fn reason(self) -> DisconnectReason {
        match self {
            Ending::Goodbye | Ending::GoodbyeWithWill => DisconnectReason::ClientInitiated,
            Ending::ClientError => DisconnectReason::ClientError,
            Ending::AuthError => DisconnectReason::AuthError,
            Ending::TakenOver => DisconnectReason::DuplicateClientId,
            Ending::Lost => DisconnectReason::ConnectionLost,
            Ending::Silent => DisconnectReason::KeepAliveTimeout,
            Ending::ServerInitiated => DisconnectReason::ServerInitiated,
            Ending::ServerError => DisconnectReason::ServerError,
            Ending::ByRequest(_) => DisconnectReason::ApiInitiated,
            Ending::Throttled => DisconnectReason::Throttled,
        }
    }

    /// What becomes of the client's will.
    pub(super) fn will(self) -> WillFate {
        match self {
            Ending::Goodbye => WillFate::Dropped,
            Ending::ByRequest(fate) => fate,
            Ending::GoodbyeWithWill
            | Ending::ClientError
            | Ending::AuthError
            | Ending::TakenOver
            | Ending::Lost
            | Ending::Silent
            | Ending::ServerInitiated
            | Ending::ServerError
            | Ending::Throttled => WillFate::Published,
        }
    }
}
