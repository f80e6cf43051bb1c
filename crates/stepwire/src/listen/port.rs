//! A port: it accepts connections, finds out what is spoken on them and who is at the other end.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::server::Acceptor;
use stepwire_core::broker::{Identity, Principal, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use tokio_rustls::LazyConfigAcceptor;

use super::choice::{Configs, choose};
use super::entrance::{Entrance, Ticket};
use super::http::{self, Peer};
use super::mqtt::{self, Connections};
use super::newcomer::{newcomer, register};
use super::spoken::{Spoken, WRONG_PORT};
use super::stream::Stream;
use crate::access_key::AccessKey;
use crate::ca::certificate_id;
use crate::driver::Inputs;
use crate::node::Node;
use crate::warnings::Warnings;

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// MQTT in plain text.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// HTTP in plain text, and MQTT over WebSocket.
    Http,
    /// HTTP over TLS, and MQTT over WebSocket; plain MQTT for those who ask for it by ALPN.
    Https,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Mqtt,
    Http,
}

/// How a port treats those who connect.
#[derive(Default)]
pub(crate) struct Options {
    /// Whether MQTT clients that prove nothing may connect, and do everything.
    pub(crate) anonymous_allowed: bool,
    /// The key that HTTP requests must be signed with; `None` on loopback.
    pub(crate) keys: Option<AccessKey>,
    /// Which rules it keeps to.
    pub(crate) profile: Profile,
}

/// What all ports of a node share.
pub(crate) struct Rim {
    pub(crate) node: Node,
    pub(crate) kernel: Inputs,
    pub(crate) connections: Arc<Connections>,
    pub(crate) configs: Configs,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) warnings: Arc<Warnings>,
}

/// A port of a node.
pub(crate) struct Port {
    pub(crate) role: Role,
    pub(crate) options: Options,
    /// What MQTT is bounded by.
    pub(crate) limits: mqtt::Limits,
    pub(crate) rim: Arc<Rim>,
}

impl Port {
    /// Serves `listener` until the node is asked to stop; then closes its connections, and returns
    /// when each has been told and the kernel knows.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let port = Arc::new(self);
        let (open, mut all_closed) = mpsc::channel::<()>(1);
        let shutdown = port.rim.node.stopping();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&listener, &port.rim.entrance) => accepted,
            };
            let Some((socket, peer, ticket)) = accepted else { continue };
            let (port, open) = (Arc::clone(&port), open.clone());
            tokio::spawn(async move {
                port.welcome(socket, peer, ticket).await;
                drop(open);
            });
        }
        drop((listener, open));
        port.rim.connections.shut_down();
        let closed = all_closed.recv();
        if time::timeout(port.limits.close_timeout * 2, closed).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }

    async fn welcome(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, mut ticket: Ticket) {
        // small packets matter more than full segments; where it fails the connection is gone anyway
        let _ = socket.set_nodelay(true);
        let deadline = Instant::now() + self.limits.connect_timeout;
        // boxed, so that a connection does not reserve for ever what its beginning needs
        let arriving = Box::pin(time::timeout_at(deadline, self.arrive(socket)));
        let arrived = tokio::select! {
            arrived = arriving => arrived,
            () = ticket.has_to_go() => return,
        };
        let arrived = match arrived {
            Ok(Ok(arrived)) => arrived,
            Ok(Err(failed)) => return self.turned_away(peer.ip(), &failed),
            Err(_) => return tracing::debug!("{peer}: nothing said in time"),
        };
        let Arrived { stream, certificate, protocol } = arrived;
        let peer = Peer { ip: peer.ip().to_canonical(), certificate };
        match protocol {
            Protocol::Mqtt => {
                let identity = peer.certificate.map_or(Identity::Anonymous, Identity::Certificate);
                let principal = self.principal(identity, peer.ip);
                let Rim { connections, kernel, .. } = self.rim.as_ref();
                mqtt::serve_stream(
                    stream,
                    principal,
                    ticket,
                    deadline,
                    &self.limits,
                    connections,
                    kernel,
                )
                .await;
            }
            Protocol::Http => Box::pin(self.welcome_http(stream, peer, ticket)).await,
        }
    }

    /// HTTP, until the client asks for MQTT over WebSocket.
    async fn welcome_http(self: &Arc<Self>, stream: Stream, peer: Peer, mut ticket: Ticket) {
        let ip = peer.ip;
        let served = http::serve(stream, peer, &mut ticket, Arc::clone(self)).await;
        let Some((websocket, identity)) = served else { return };
        let principal = self.principal(identity, ip);
        let Rim { connections, kernel, .. } = self.rim.as_ref();
        let deadline = Instant::now() + self.limits.connect_timeout;
        mqtt::serve_stream(
            websocket,
            principal,
            ticket,
            deadline,
            &self.limits,
            connections,
            kernel,
        )
        .await;
    }

    /// Who is at the wrong port is told of where people look; what else fails is everyday life.
    fn turned_away(&self, ip: IpAddr, failed: &Failed) {
        match failed {
            Failed::Misplaced(hint) => {
                let text = format_args!("a client from {ip} is not served: {hint}");
                self.rim.warnings.warn("misplaced", &format!("{ip} {hint}"), text);
            }
            Failed::Io(error) => tracing::info!("TLS with {ip} failed: {error}"),
        }
    }

    fn principal(&self, identity: Identity, ip: IpAddr) -> Principal {
        let Options { profile, anonymous_allowed, .. } = self.options;
        Principal { identity, ip, profile, anonymous_allowed }
    }

    /// Finds out what is spoken, and with whom.
    async fn arrive(&self, mut socket: TcpStream) -> Result<Arrived, Failed> {
        let spoken = Spoken::peek(&socket).await?;
        if let Some(hint) = spoken.misplaced(self.role) {
            // closing with unread bytes would reset the connection; if that happens, nobody is hurt
            let _ = socket.read(&mut [0; 4_096]).await;
            if spoken == Spoken::Http && self.role != Role::Mqtt {
                let _ = socket.write_all(WRONG_PORT).await;
            }
            return Err(Failed::Misplaced(hint.into()));
        }
        let protocol = match self.role {
            Role::Mqtts | Role::Https => return self.secure(socket).await,
            Role::Mqtt => Protocol::Mqtt,
            Role::Http => Protocol::Http,
        };
        Ok(Arrived { stream: Stream::Plain(socket), certificate: None, protocol })
    }

    async fn secure(&self, socket: TcpStream) -> Result<Arrived, Failed> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        let offers: Vec<&[u8]> = start.client_hello().alpn().into_iter().flatten().collect();
        let choice = match choose(self.role, &offers) {
            Ok(choice) => choice,
            Err(refused) => {
                // the client is told that nothing of what it offers is spoken
                let _ = start.into_stream(self.rim.configs.refusing()).await;
                return Err(Failed::Misplaced(refused.to_string().into()));
            }
        };
        let stream = start.into_stream(self.rim.configs.of(&choice)).await?;
        let (socket, session) = stream.get_ref();
        acknowledge_now(socket);
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        let certificate: Option<Arc<str>> = shown.map(|der| certificate_id(der).into());
        let node = &self.rim.node;
        let newcomer =
            shown.zip(certificate.as_ref()).and_then(|(der, id)| newcomer(node, id, der));
        if let Some(newcomer) = newcomer {
            register(node, newcomer).await;
        }
        Ok(Arrived {
            certificate,
            stream: Stream::Secure(Box::new(stream)),
            protocol: choice.protocol,
        })
    }
}

/// Why nothing comes of a connection.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// It is at the wrong port; what to do instead.
    #[error("{0}")]
    Misplaced(Cow<'static, str>),
    /// The socket or TLS.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A connection of which is known what is spoken on it.
struct Arrived {
    stream: Stream,
    /// The client's, by its identifier.
    certificate: Option<Arc<str>>,
    protocol: Protocol,
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
        time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// The client had the last word of the handshake. Unless it has switched Nagle's algorithm off, its
/// first packet waits for the acknowledgement, which the system delays by some 40 ms.
#[cfg(target_os = "linux")]
fn acknowledge_now(socket: &TcpStream) {
    // where it fails the connection is gone anyway
    let _ = socket2::SockRef::from(socket).set_tcp_quickack(true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_now(_: &TcpStream) {}
