//! Attacks on a real node: each is bounded in memory, the offender is told and named in the log, and
//! a client that behaves does not notice.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "abuse/attacker.rs"]
mod attacker;
#[path = "server/mod.rs"]
mod server;

use std::thread;
use std::time::{Duration, Instant};

use attacker::{Attacker, Canary, packet, publish, resident_bytes, subscribe, text, wait_for};
use server::Server;

const MIB: u64 = 1 << 20;

/// A node in memory with a plain listener and these limits.
fn node(limits: &[&str]) -> Server {
    let mut arguments = vec!["--memory", "--mqtt", "0", "--allow-anonymous"];
    limits.iter().for_each(|limit| arguments.extend(["--mqtt-limit", limit]));
    Server::start(&arguments)
}

fn assert_logged(server: &Server, words: &str) {
    let found = wait_for(|| server.stderr().contains(words));
    assert!(found, "`{words}` is not in the log:\n{}", server.stderr());
}

#[test]
fn silent_connections_make_way_for_a_client_that_speaks() {
    let limits = ["strangers-max=20", "connect-seconds-max=4"];
    let server = node(&limits);
    // the first byte of a CONNECT, and of a TLS handshake
    for (listener, first) in [("mqtt", b"\x10"), ("mqtts", b"\x16")] {
        let begun = Instant::now();
        let mut silent: Vec<_> = (0..40).map(|_| Attacker::open(&server, listener)).collect();
        silent.iter_mut().for_each(|attacker| attacker.send(first));
        Canary::online(&server, "late").flow();
        for attacker in &mut silent {
            assert_eq!(attacker.rest(), b"");
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

#[test]
fn one_address_does_not_take_all_the_places() {
    let server = node(&["loopback-bounded=1", "connections-per-address-max=20"]);
    let mut canary = Canary::online(&server, "canary");
    let mut attackers: Vec<_> = (0..30).map(|_| Attacker::open(&server, "mqtt")).collect();
    canary.flow();
    let refused = attackers.iter_mut().skip(19);
    assert!(refused.map(Attacker::rest).all(|rest| rest.is_empty()), "closed at once");
    assert_logged(
        &server,
        "connection from 127.0.0.1 not taken: its address has as many connections as it may have",
    );
}

#[test]
fn an_address_that_keeps_failing_is_slowed_down() {
    let server = node(&["loopback-bounded=1", "failures-per-address-at-once=5"]);
    let mut canary = Canary::online(&server, "canary");
    for _ in 0..10 {
        let mut attacker = Attacker::open(&server, "mqtt");
        attacker.try_send(b"GET / HTTP/1.1\r\n\r\n");
        attacker.rest();
    }
    canary.flow();
    assert_logged(&server, "127.0.0.1 not taken: its address has failed to connect too often");
}

#[test]
fn a_huge_packet_is_refused_before_there_is_memory_for_it() {
    let server = node(&[]);
    let mut canary = Canary::online(&server, "canary");
    let before = resident_bytes(&server);
    for number in 0..50 {
        let mut attacker = Attacker::online(&server, 5, &format!("huge-{number}"));
        attacker.send(b"\x30\xFF\xFF\xFF\x7F");
        assert_eq!(attacker.rest(), b"\xE0\x02\x95\0");
    }
    canary.flow();
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < 16 * MIB, "{grown} bytes");
    assert_logged(
        &server,
        "device `huge-0` at 127.0.0.1 was cut off: it sent too large a packet (packet too large, 0x95)",
    );
}

#[test]
fn a_packet_that_dribbles_in_is_not_waited_for() {
    let server = node(&["packet-seconds-max=1"]);
    let mut canary = Canary::online(&server, "canary");
    let mut attacker = Attacker::online(&server, 5, "dribble");
    attacker.send(b"\x30\x7F\0\x01t");
    for _ in 0..3 {
        attacker.try_send(b"x");
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(attacker.rest(), b"\xE0\x02\x8D\0");
    canary.flow();
    assert_logged(
        &server,
        "`dribble` at 127.0.0.1 was cut off: it did not finish a packet in time (keep alive timeout, 0x8D)",
    );
}

#[test]
fn packets_that_are_never_finished_share_a_bounded_memory() {
    let server = node(&["waiting-bytes-all-max=8388608"]);
    let mut canary = Canary::online(&server, "canary");
    let before = resident_bytes(&server);
    let mut most = 0;
    let half = [b"\x30\xC0\xFF\x3F\0\x01t\0".to_vec(), vec![b'x'; 900_000]].concat();
    let mut attackers = Vec::new();
    for number in 0..150 {
        let mut attacker = Attacker::online(&server, 5, &format!("half-{number}"));
        attacker.try_send(&half);
        attackers.push(attacker);
        most = most.max(resident_bytes(&server));
    }
    canary.flow();
    let grown = most.max(resident_bytes(&server)).saturating_sub(before);
    assert!(grown < 96 * MIB, "{grown} bytes where 135 MB were sent");
    assert_logged(&server, "was cut off: it took most of the memory that connections may take");
}

#[test]
fn who_does_not_read_is_cut_off() {
    let server = node(&["waiting-bytes-max=1048576"]);
    let mut canary = Canary::online(&server, "canary");
    let mut deaf = Attacker::online(&server, 5, "deaf");
    deaf.send(&subscribe("flood", 0));
    deaf.packet();
    let before = resident_bytes(&server);
    let mut sender = Attacker::online(&server, 5, "sender");
    let message = publish("flood", &vec![b'x'; 60_000], 0, 0);
    for _ in 0..2_000 {
        sender.send(&message);
    }
    canary.flow();
    assert_logged(
        &server,
        "`deaf` at 127.0.0.1 was cut off: it did not read what was sent to it (quota exceeded, 0x97)",
    );
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes where 120 MB were sent");
}

#[test]
fn a_flood_of_messages_is_read_more_slowly_and_loses_none() {
    let server = node(&["publishes-per-second=2000", "publishes-at-once=2000"]);
    let mut flood = Attacker::online(&server, 5, "flood");
    let begun = Instant::now();
    let messages: Vec<u8> = (1..=10_000).flat_map(|id| publish("t", b"x", 1, id)).collect();
    let answers = thread::scope(|scope| {
        let canary = scope.spawn(|| Canary::online(&server, "canary").flow());
        flood.send(&messages);
        let answers =
            (0..10_000).map(|_| flood.packet()).filter(|packet| packet[0] == 0x40).count();
        canary.join().unwrap();
        answers
    });
    assert_eq!(answers, 10_000, "each is acknowledged");
    assert!(begun.elapsed() >= Duration::from_millis(2_500), "{:?}", begun.elapsed());
    assert_logged(&server, "device `flood` at 127.0.0.1 is slowed down: it sends too fast");
}

#[test]
fn a_flood_of_subscriptions_is_refused_and_then_cut_off() {
    let server = node(&["subscriptions-max=50", "refusals-at-once=20", "refusals-per-second=1"]);
    let mut canary = Canary::online(&server, "canary");
    let mut attacker = Attacker::online(&server, 5, "greedy");
    let mut refused = 0;
    for number in 0..100 {
        attacker.try_send(&subscribe(&format!("f/{number}"), 0));
        match attacker.try_packet() {
            Some(packet) if packet[0] == 0x90 && packet.last() == Some(&0x97) => refused += 1,
            Some(packet) if packet[0] == 0x90 => assert_eq!(refused, 0),
            Some(packet) => {
                assert_eq!(packet, b"\xE0\x02\x97\0");
                break;
            }
            None => panic!("closed without a word"),
        }
    }
    assert!((20..=30).contains(&refused), "{refused}");
    canary.flow();
    assert_logged(&server, "device `greedy` was refused `iot:Subscribe`");
    assert_logged(&server, "`greedy` at 127.0.0.1 was cut off: it went on after many refusals");
}

#[test]
fn a_flood_of_retained_messages_leaves_room_for_others() {
    let limits = ["retained-per-owner-max=10", "refusals-at-once=20", "refusals-per-second=1"];
    let server = node(&limits);
    let mut canary = Canary::online(&server, "canary");
    let mut attacker = Attacker::online(&server, 5, "keeper");
    let (mut kept, mut refused) = (0, 0);
    loop {
        let mut message = publish(&format!("r/{}", kept + refused), b"x", 1, 1);
        message[0] |= 1;
        attacker.try_send(&message);
        match attacker.try_packet().unwrap() {
            answer if answer[0] == 0x40 && answer.get(4) == Some(&0x97) => refused += 1,
            answer if answer[0] == 0x40 => kept += 1,
            other => {
                assert_eq!(other, b"\xE0\x02\x97\0");
                break;
            }
        }
    }
    assert_eq!(kept, 10);
    assert!((20..=30).contains(&refused), "{refused}");
    canary.flow();
    assert_logged(&server, "it has as many retained messages as it may have");
    assert_logged(&server, "`keeper` at 127.0.0.1 was cut off: too many retained messages");
}

#[test]
fn topic_bombs_hit_nobody() {
    let server = node(&[]);
    let mut canary = Canary::online(&server, "canary");
    let slashes = "/".repeat(65_000);
    for topic in [&slashes[..], &"a/".repeat(200), &"x".repeat(40_000)] {
        let mut attacker = Attacker::online(&server, 5, "bomber");
        attacker.send(&publish(topic, b"x", 0, 0));
        assert_eq!(attacker.rest(), b"\xE0\x02\x90\0");
    }
    let mut attacker = Attacker::online(&server, 5, "bomber");
    for filter in [&slashes[..], &"+/".repeat(200), &"#".repeat(60_000)] {
        attacker.send(&subscribe(filter, 0));
        let answer = attacker.packet();
        assert_eq!((answer[0], answer.last()), (0x90, Some(&0x8F)));
    }
    canary.flow();
    assert_logged(&server, "`bomber` at 127.0.0.1 was cut off: it broke the protocol");
}

#[test]
fn a_bomb_of_user_properties_is_not_unpacked() {
    let server = node(&[]);
    let mut canary = Canary::online(&server, "canary");
    let before = resident_bytes(&server);
    let properties = b"\x26\0\0\0\0".repeat(200_000);
    let body = [text("t"), b"\xC0\x84\x3D".to_vec(), properties].concat();
    for number in 0..10 {
        let mut attacker = Attacker::online(&server, 5, &format!("bomber-{number}"));
        attacker.try_send(&packet(0x30, &body));
        assert_eq!(attacker.rest(), b"\xE0\x02\x97\0");
    }
    canary.flow();
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes");
    assert_logged(
        &server,
        "was cut off: it sent a packet with too many filters or user properties (quota exceeded, 0x97)",
    );
}

#[test]
fn two_devices_with_one_identifier_fight_slowly() {
    let server = node(&["take-overs-at-once=3", "take-overs-per-second=1"]);
    let mut canary = Canary::online(&server, "canary");
    let mut holder = Attacker::online(&server, 5, "twin");
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..20 {
        let mut rival = Attacker::open(&server, "mqtt");
        rival.hello(5, "twin");
        match rival.packet()[3] {
            0 => {
                assert_eq!(holder.rest(), b"\xE0\x02\x8E\0");
                holder = rival;
                taken += 1;
            }
            0x9F => refused += 1,
            reason => panic!("{reason:02x}"),
        }
    }
    assert!((3..=10).contains(&taken) && refused >= 10, "{taken} {refused}");
    holder.send(b"\xC0\0");
    assert_eq!(holder.packet(), b"\xD0\0", "who has the connection keeps it");
    canary.flow();
    assert_logged(
        &server,
        "`twin` at 127.0.0.1 was cut off: its client identifier was taken over too often: \
         do two devices share it? (connection rate exceeded, 0x9F)",
    );
}

#[test]
fn sessions_and_wills_are_not_hoarded() {
    let server = node(&["sessions-max=20", "session-bytes-all-max=100000"]);
    let mut canary = Canary::online(&server, "canary");
    let mut open = Vec::new();
    let mut reason = 0;
    for number in 0..40 {
        let mut attacker = Attacker::open(&server, "mqtt");
        attacker.hello(5, &format!("hoard-{number}"));
        reason = attacker.packet()[3];
        if reason > 0 {
            break;
        }
        open.push(attacker);
    }
    assert_eq!((open.len(), reason), (19, 0x97));
    drop(open);
    let will = [text("w"), text(&"x".repeat(15_000))].concat();
    let refused = wait_for(|| {
        (0..19).any(|number| {
            let mut attacker = Attacker::open(&server, "mqtt");
            attacker.send(&attacker::connect_lasting(&format!("will-{number}"), &will));
            attacker.packet()[3] == 0x97
        })
    });
    assert!(refused);
    canary.flow();
    assert_logged(&server, "was cut off: no room for more sessions (quota exceeded, 0x97)");
}

#[test]
fn qos_2_messages_are_not_left_unreleased_for_ever() {
    let server = node(&["unreleased-max=10"]);
    let mut canary = Canary::online(&server, "canary");
    let messages = |count: u16, level| -> Vec<u8> {
        (1..=count).flat_map(|id| attacker::publish_as(level, "t", b"x", 2, id)).collect()
    };
    let mut new = Attacker::online(&server, 5, "new");
    new.try_send(&messages(1_100, 5));
    assert!(new.rest().ends_with(b"\xE0\x02\x93\0"));
    let mut old = Attacker::online(&server, 4, "old");
    old.try_send(&messages(20, 4));
    assert_eq!(old.rest().len(), 10 * 4, "ten PUBREC and no more");
    canary.flow();
    for name in ["new", "old"] {
        let words = format!("`{name}` at 127.0.0.1 was cut off: it left too many QoS 2 messages");
        assert_logged(&server, &words);
    }
}

#[test]
fn a_reconnect_loop_of_one_device_is_told_to_wait() {
    let server = node(&["connects-per-client-at-once=5", "connects-per-client-per-second=1"]);
    let mut canary = Canary::online(&server, "canary");
    let mut reasons = Vec::new();
    for _ in 0..15 {
        let mut attacker = Attacker::open(&server, "mqtt");
        attacker.hello(5, "loop");
        reasons.push(attacker.packet()[3]);
        attacker.try_send(b"\xE0\0");
        attacker.rest();
    }
    assert_eq!(reasons[..5], [0; 5]);
    assert!(reasons.contains(&0x9F), "{reasons:02x?}");
    canary.flow();
    assert_logged(&server, "`loop` at 127.0.0.1 was cut off: its client identifier connected too");
}
