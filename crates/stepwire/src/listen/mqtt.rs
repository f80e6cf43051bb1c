//! The MQTT listener: from sockets to the broker's inputs, and from its packets back to sockets.
//!
//! One task per connection, which holds no buffer while nothing moves. It knows bytes
//! and time-outs; what a packet means is the broker's business, in the kernel.
//!
//! Read in this order: [`serve_stream`], [`Transport`], [`Connections`].

mod connections;
mod patience;
mod session;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use stepwire_core::broker::{self, Input};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub use connections::{Connections, Room};
pub use patience::Rates;
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
    /// Queues inputs of one connection; waits while the queue is full. They are sent one after the
    /// other and must stay in that order.
    fn send(&self, inputs: Vec<Input>) -> impl Future<Output = ()> + Send;
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
    /// Longest time from the first byte of a packet to its last, besides what its length takes.
    pub packet_timeout: Duration,
    /// How many bytes of a packet a second are enough.
    pub packet_bytes_per_s_min: usize,
    /// How long a client may not read at all what is sent to it.
    pub stall_timeout: Duration,
    /// Who sends faster is read from more slowly.
    pub rates: Rates,
}

impl Limits {
    /// Longest time for a packet whose body has so many bytes.
    fn packet_timeout(&self, body: usize) -> Duration {
        self.packet_timeout
            + Duration::from_secs((body / self.packet_bytes_per_s_min.max(1)) as u64)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_timeout: Duration::from_secs(10),
            connect_bytes_max: 16 * 1024,
            packet_bytes_max: 1024 * 1024,
            close_timeout: Duration::from_secs(5),
            packet_timeout: Duration::from_secs(30),
            packet_bytes_per_s_min: 4_096,
            stall_timeout: Duration::from_mins(1),
            rates: {
                let rates = broker::Rates::STANDARD;
                Rates { packets: rates.publishes, bytes: rates.publish_bytes }
            },
        }
    }
}
