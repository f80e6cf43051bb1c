//! The MQTT listener: from sockets to the broker's inputs, and from its packets back to sockets.
//!
//! One task per connection, which holds no buffer while nothing moves. It knows bytes
//! and time-outs; what a packet means is the broker's business, in the kernel.
//!
//! Read in this order: [`serve_stream`], [`Transport`], [`Connections`].

mod connections;
mod session;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use stepwire_core::broker::{self, Input, Profile};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub use connections::Connections;
pub use session::serve_stream;

/// A stream of bytes that MQTT is spoken on.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// What it means that nothing more can be read, once that is so.
    fn ending(&self) -> Ending {
        Ending::Lost
    }

    /// Whether bytes, or the end, have arrived here that reading may not have told yet. `false` where
    /// that cannot be known.
    fn is_readable(&self) -> bool {
        false
    }
}

impl Transport for TcpStream {
    fn is_readable(&self) -> bool {
        let nothing = socket2::SockRef::from(self).peek(&mut [MaybeUninit::uninit()]);
        !nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// How a stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was cut, or closed without a word.
    Lost,
    /// The client took its leave: as good as DISCONNECT.
    Goodbye,
    /// The client broke the rules of what carries MQTT.
    Invalid,
}

/// Takes what happens on connections to the kernel.
pub trait Kernel: Send + Sync + 'static {
    /// Queues an input; waits while the queue is full. Inputs of one connection are sent one after
    /// the other and must stay in that order.
    fn send(&self, input: Input) -> impl Future<Output = ()> + Send;
}

/// What a listener bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest time from the first byte to a whole CONNECT, TLS included.
    pub connect_timeout: Duration,
    /// Largest CONNECT, in bytes.
    pub connect_bytes_max: usize,
    /// Largest other packet, in bytes.
    pub packet_bytes_max: usize,
    /// Longest time to send what is left when a connection is closed.
    pub close_timeout: Duration,
}

impl Limits {
    /// What a listener of this profile bounds.
    pub fn of(profile: Profile) -> Limits {
        let packet_bytes_max = match profile {
            Profile::Standard => broker::Limits::STANDARD.packet_bytes_max,
            Profile::Aws => broker::Limits::AWS.packet_bytes_max,
        };
        Limits { packet_bytes_max: packet_bytes_max as usize, ..Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_timeout: Duration::from_secs(10),
            connect_bytes_max: 16 * 1024,
            packet_bytes_max: 1024 * 1024,
            close_timeout: Duration::from_secs(5),
        }
    }
}
