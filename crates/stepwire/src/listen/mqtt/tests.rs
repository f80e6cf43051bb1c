//! Connections over byte streams in memory, and a kernel that only listens.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use stepwire_core::broker::{Closed, Identity, Principal, Profile};
use stepwire_core::mqtt::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time;

use super::*;
use crate::listen::entrance::Entrance;
use crate::listen::gate;

impl Transport for DuplexStream {}

struct Heard(UnboundedSender<Input>);

impl Kernel for Heard {
    async fn send(&self, inputs: Vec<Input>) {
        inputs.into_iter().for_each(|input| drop(self.0.send(input)));
    }
}

/// A listener without a socket.
struct Bench {
    limits: Limits,
    connections: Arc<Connections>,
    kernel: Arc<Heard>,
    inputs: UnboundedReceiver<Input>,
}

impl Bench {
    fn new() -> Bench {
        let (heard, inputs) = unbounded_channel();
        let connections = Arc::new(Connections::default());
        Bench { limits: Limits::default(), connections, kernel: Arc::new(Heard(heard)), inputs }
    }

    /// The client's end of a connection.
    fn open(&self) -> DuplexStream {
        let (client, server) = duplex(64 * 1024);
        let (connections, kernel) = (Arc::clone(&self.connections), Arc::clone(&self.kernel));
        let limits = self.limits.clone();
        tokio::spawn(async move {
            let principal = Principal {
                identity: Identity::Anonymous,
                ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
                profile: Profile::Standard,
                anonymous_allowed: true,
            };
            let deadline = time::Instant::now() + limits.connect_timeout;
            let entrance = Entrance::new(gate::Limits::default(), Arc::default());
            let ticket = entrance.enter(principal.ip).await.unwrap();
            serve_stream(server, principal, ticket, deadline, &limits, &connections, &*kernel)
                .await;
        });
        client
    }

    async fn input(&mut self) -> Input {
        self.inputs.recv().await.unwrap()
    }
}

/// CONNECT of MQTT 3.1.1 with client identifier `d`.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01d";
const DISCONNECT: &[u8] = b"\xe0\x00";

#[tokio::test]
async fn what_a_client_sent_before_it_connects_again_is_heard_first() {
    let mut bench = Bench::new();
    let (mut old, mut new) = (bench.open(), bench.open());
    old.write_all(CONNECT).await.unwrap();
    assert!(matches!(bench.input().await, Input::Connect { .. }));
    // the new connection's task is woken before the old one's
    new.write_all(CONNECT).await.unwrap();
    old.write_all(DISCONNECT).await.unwrap();
    let heard = bench.input().await;
    assert!(matches!(heard, Input::Packet { packet: Packet::Disconnect(_), .. }), "{heard:?}");
    let heard = bench.input().await;
    assert!(matches!(heard, Input::Connect { .. }), "{heard:?}");
}

#[tokio::test]
async fn a_connection_that_was_cut_is_known_to_be_before_its_client_is_back() {
    let mut bench = Bench::new();
    let (mut old, mut new) = (bench.open(), bench.open());
    old.write_all(CONNECT).await.unwrap();
    bench.input().await;
    new.write_all(CONNECT).await.unwrap();
    drop(old);
    let heard = bench.input().await;
    assert!(matches!(heard, Input::Closed { cause: Closed::Lost, .. }), "{heard:?}");
    assert!(matches!(bench.input().await, Input::Connect { .. }));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_after_the_connect_timeout() {
    let mut bench = Bench::new();
    bench.limits.connect_timeout = Duration::from_millis(20);
    let mut silent = bench.open();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(bench.inputs.try_recv().is_err(), "the kernel never hears of it");
}

#[tokio::test]
async fn an_open_connection_is_counted_until_it_ends() {
    let mut bench = Bench::new();
    let mut client = bench.open();
    client.write_all(CONNECT).await.unwrap();
    bench.input().await;
    assert_eq!(bench.connections.len(), 1);
    drop(client);
    bench.input().await;
    assert!(bench.connections.is_empty());
}
