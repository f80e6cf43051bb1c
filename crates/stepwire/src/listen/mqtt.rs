//! The MQTT listener: from sockets to the broker's inputs, and from its packets back to sockets.
//!
//! One task per connection, which holds no buffer while nothing moves. The listener knows bytes,
//! TLS and time-outs; what a packet means is the broker's business, in the kernel.
//!
//! Read in this order: [`serve`], `session`, [`Connections`].

mod connections;
mod patience;
mod session;
mod stream;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use stepwire_core::broker::{self, Identity, Input, Principal, Profile};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::listen::entrance::{Entrance, Ticket};

pub use connections::{Connections, Room};
pub use patience::Rates;
pub use session::serve_stream;
use stream::Stream;

/// Takes what happens on connections to the kernel.
pub trait Kernel: Send + Sync + 'static {
    /// Queues inputs of one connection; waits while the queue is full. They are sent one after the
    /// other and must stay in that order.
    fn send(&self, inputs: Vec<Input>) -> impl Future<Output = ()> + Send;
}

/// How a listener treats those who connect.
#[derive(Clone)]
pub struct Options {
    /// TLS with client certificates; `None` for plain TCP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Which rules it keeps to.
    pub profile: Profile,
    /// Whether clients without a certificate may connect, and do everything.
    pub anonymous_allowed: bool,
    /// What is bounded.
    pub limits: Limits,
    /// Who is let in at all: one for all listeners of a node.
    pub entrance: Arc<Entrance>,
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

/// Serves MQTT on `listener` until `shutdown` is done; then closes its connections, and returns
/// when each has been told and the kernel knows.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    connections: Arc<Connections>,
    kernel: Arc<impl Kernel>,
    shutdown: impl Future<Output = ()>,
) {
    let options = Arc::new(options);
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &options.entrance) => accepted,
        };
        let Some((socket, peer, ticket)) = accepted else { continue };
        let (options, open) = (Arc::clone(&options), open.clone());
        let (connections, kernel) = (Arc::clone(&connections), Arc::clone(&kernel));
        tokio::spawn(async move {
            welcome(socket, peer, ticket, &options, &connections, kernel.as_ref()).await;
            drop(open);
        });
    }
    drop((listener, open));
    connections.shut_down();
    let closed = all_closed.recv();
    if time::timeout(options.limits.close_timeout * 2, closed).await.is_err() {
        tracing::warn!("some MQTT connections did not close in time");
    }
}

/// The next connection that is let in; `None`: this one was not.
async fn accept(
    listener: &TcpListener,
    entrance: &Arc<Entrance>,
) -> Option<(TcpStream, SocketAddr, Ticket)> {
    match listener.accept().await {
        Ok((socket, peer)) => Some((socket, peer, entrance.enter(peer.ip()).await?)),
        Err(error) => {
            pause_after(&error).await;
            None
        }
    }
}

/// Without file descriptors `accept` fails at once, again and again.
async fn pause_after(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tracing::warn!("cannot accept a connection: {error}");
        time::sleep(Duration::from_millis(100)).await;
    }
}

async fn welcome(
    socket: TcpStream,
    peer: SocketAddr,
    mut ticket: Ticket,
    options: &Options,
    connections: &Connections,
    kernel: &impl Kernel,
) {
    // small packets matter more than full segments; where it fails the connection is gone anyway
    let _ = socket.set_nodelay(true);
    let deadline = time::Instant::now() + options.limits.connect_timeout;
    let mut principal = Principal {
        identity: Identity::Anonymous,
        ip: peer.ip().to_canonical(),
        profile: options.profile,
        anonymous_allowed: options.anonymous_allowed,
    };
    // boxed, so that a connection without TLS does not reserve the memory of one with it
    let stream = match &options.tls {
        None => Stream::Plain(socket),
        Some(tls) => {
            let secured = tokio::select! {
                secured = Box::pin(handshake(socket, tls, deadline)) => secured,
                () = ticket.has_to_go() => return,
            };
            match secured {
                Ok(stream) => {
                    principal.identity = identity(&stream);
                    Stream::Secure(stream)
                }
                Err(error) => return tracing::info!("TLS with {peer} failed: {error}"),
            }
        }
    };
    let limits = &options.limits;
    serve_stream(stream, principal, ticket, deadline, limits, connections, kernel).await;
}

async fn handshake(
    socket: TcpStream,
    tls: &Arc<ServerConfig>,
    deadline: time::Instant,
) -> io::Result<Box<TlsStream<TcpStream>>> {
    let accepted = TlsAcceptor::from(Arc::clone(tls)).accept(socket);
    let stream = time::timeout_at(deadline, accepted).await??;
    acknowledge_now(stream.get_ref().0);
    Ok(Box::new(stream))
}

/// The client had the last word of the handshake. Unless it has switched Nagle's algorithm off, its
/// CONNECT waits for the acknowledgement, which the system delays by some 40 ms.
#[cfg(target_os = "linux")]
fn acknowledge_now(socket: &TcpStream) {
    // where it fails the connection is gone anyway
    let _ = socket2::SockRef::from(socket).set_tcp_quickack(true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_now(_: &TcpStream) {}

/// Who the client is: its certificate's SHA-256, in hex.
fn identity(stream: &TlsStream<TcpStream>) -> Identity {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let Some(certificate) = certificate else { return Identity::Anonymous };
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(certificate) {
        let _ = write!(text, "{byte:02x}");
    }
    Identity::Certificate(text.into())
}
