//! Connections over byte streams in memory, and a kernel that only listens.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::task::Waker;

use stepwire_core::broker::{Closed, Identity, Principal, Profile};
use stepwire_core::mqtt::{Packet, Publish, ReasonCode};
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

/// A message with so many bytes.
fn message(bytes: usize) -> Packet {
    Packet::Publish(Publish::new("t", vec![b'x'; bytes]))
}

#[tokio::test]
async fn who_does_not_read_at_all_is_closed_after_a_while() {
    let mut bench = Bench::new();
    bench.limits.stall_timeout = Duration::from_millis(200);
    let mut deaf = bench.open();
    deaf.write_all(CONNECT).await.unwrap();
    let Input::Connect { connection, .. } = bench.input().await else { panic!("no CONNECT") };
    // more than the stream takes
    let woken = bench.connections.send(connection, message(200_000));
    woken.unwrap().wake();
    let begun = time::Instant::now();
    let heard = bench.input().await;
    assert!(matches!(heard, Input::Closed { cause: Closed::TooSlow, .. }), "{heard:?}");
    assert!(begun.elapsed() >= bench.limits.stall_timeout);
}

#[tokio::test]
async fn who_reads_slowly_is_waited_for() {
    let mut bench = Bench::new();
    bench.limits.stall_timeout = Duration::from_secs(1);
    let mut slow = bench.open();
    slow.write_all(CONNECT).await.unwrap();
    let Input::Connect { connection, .. } = bench.input().await else { panic!("no CONNECT") };
    bench.connections.send(connection, message(400_000)).unwrap().wake();
    let mut part = vec![0; 20_000];
    for _ in 0..20 {
        time::sleep(Duration::from_millis(100)).await;
        slow.read_exact(&mut part).await.unwrap();
    }
    assert!(bench.inputs.try_recv().is_err());
}

#[tokio::test]
async fn a_large_packet_has_the_time_its_length_takes() {
    let mut bench = Bench::new();
    bench.limits.packet_timeout = Duration::from_millis(100);
    bench.limits.packet_bytes_per_s_min = 40_960;
    let mut client = bench.open();
    client.write_all(CONNECT).await.unwrap();
    bench.input().await;
    let begun = time::Instant::now();
    // 40,960 bytes to come: a second more than a small packet has
    client.write_all(b"\x30\x80\xc0\x02").await.unwrap();
    let heard = bench.input().await;
    let closed = Closed::ProtocolError(ReasonCode::KeepAliveTimeout);
    assert!(matches!(heard, Input::Closed { cause, .. } if cause == closed), "{heard:?}");
    assert!(begun.elapsed() >= Duration::from_millis(1_100));
}

#[tokio::test]
async fn when_all_hold_too_much_who_holds_most_is_closed() {
    let mut bench = Bench::new();
    let room = Room { bytes_max: 1 << 20, bytes_all_max: 1 << 20 };
    bench.connections = Arc::new(Connections::new(room));
    let mut open = Vec::new();
    for id in [b'a', b'b', b'c'] {
        let mut client = bench.open();
        let mut connect = CONNECT.to_vec();
        *connect.last_mut().unwrap() = id;
        client.write_all(&connect).await.unwrap();
        let Input::Connect { connection, .. } = bench.input().await else { panic!("no CONNECT") };
        open.push((connection, client));
    }
    let mut woken = Vec::new();
    for (bytes, (connection, _)) in [300_000, 600_000, 400_000].into_iter().zip(&open) {
        woken.extend(bench.connections.send(*connection, message(bytes)));
    }
    woken.into_iter().for_each(Waker::wake);
    let heard = bench.input().await;
    let (most, _) = open[1];
    assert!(
        matches!(heard, Input::Closed { connection, cause: Closed::NoRoom } if connection == most),
        "{heard:?}"
    );
    assert!(bench.inputs.try_recv().is_err(), "and nobody else");
}

#[test]
fn a_connection_that_was_refused_leaves_the_older_one_in_its_place() {
    let connections = Connections::default();
    let client: Arc<str> = "d".into();
    let (_, first, older) = connections.register(&client);
    assert!(older.is_none());
    let (refused, ..) = connections.register(&client);
    connections.remove(refused);
    let (_, _, older) = connections.register(&client);
    assert!(Arc::ptr_eq(&older.unwrap(), &first));
}
