use std::net::Ipv4Addr;

use super::*;

const ME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Bounds that nothing here reaches, unless a test lowers one.
fn wide() -> Limits {
    Limits {
        connects: Rate::UNBOUNDED,
        connects_per_address: Rate::UNBOUNDED,
        failures_per_address: Rate::UNBOUNDED,
        ..Limits::default()
    }
}

fn gate(limits: Limits) -> Gate {
    Gate::new(limits, Timestamp(0))
}

fn enter(gate: &mut Gate, ip: IpAddr, ms: i64) -> Result<u64, Answer> {
    match gate.enter(ip, Timestamp(ms)) {
        Answer::Enter { number, .. } => Ok(number),
        other => Err(other),
    }
}

fn refused(gate: &mut Gate, ip: IpAddr, ms: i64) -> Option<Refused> {
    match gate.enter(ip, Timestamp(ms)) {
        Answer::Refuse(refused) => Some(refused),
        _ => None,
    }
}

#[test]
fn one_address_cannot_take_all_the_places() {
    let mut gate = gate(Limits { connections_per_address_max: 2, ..wide() });
    let first = enter(&mut gate, ME, 0).unwrap();
    enter(&mut gate, ME, 0).unwrap();
    assert_eq!(refused(&mut gate, ME, 0), Some(Refused::AddressFull));
    enter(&mut gate, OTHER, 0).unwrap();
    gate.leave(first, ME, false, Timestamp(1));
    enter(&mut gate, ME, 1).unwrap();
    assert_eq!(gate.connections(), 3);
}

#[test]
fn there_are_no_more_connections_than_fit() {
    let mut gate = gate(Limits { connections_max: 1, ..wide() });
    let only = enter(&mut gate, ME, 0).unwrap();
    assert_eq!(refused(&mut gate, OTHER, 0), Some(Refused::Full));
    gate.leave(only, ME, false, Timestamp(0));
    enter(&mut gate, OTHER, 0).unwrap();
}

#[test]
fn an_address_connects_so_often_and_no_more() {
    let mut gate = gate(Limits { connects_per_address: Rate::new(2, 3), ..wide() });
    let let_in = (0..10).filter(|_| enter(&mut gate, ME, 0).is_ok()).count();
    assert_eq!(let_in, 3);
    assert_eq!(refused(&mut gate, ME, 499), Some(Refused::AddressRate));
    enter(&mut gate, OTHER, 499).unwrap();
    enter(&mut gate, ME, 500).unwrap();
}

#[test]
fn all_together_connect_so_often_and_no_more() {
    let mut gate = gate(Limits { connects: Rate::new(10, 1), ..wide() });
    enter(&mut gate, ME, 0).unwrap();
    assert_eq!(refused(&mut gate, OTHER, 99), Some(Refused::Rate));
    enter(&mut gate, OTHER, 100).unwrap();
}

#[test]
fn strangers_of_one_address_are_few() {
    let mut gate = gate(Limits { strangers_per_address_max: 1, ..wide() });
    let first = enter(&mut gate, ME, 0).unwrap();
    assert_eq!(refused(&mut gate, ME, 0), Some(Refused::AddressStrangers));
    gate.introduced(first);
    enter(&mut gate, ME, 0).unwrap();
}

#[test]
fn a_storm_waits_for_its_turn_and_loses_nobody() {
    let mut gate = gate(Limits { strangers_max: 2, stranger_grace_ms: 1_000, ..wide() });
    let first = enter(&mut gate, ME, 0).unwrap();
    enter(&mut gate, ME, 10).unwrap();
    assert_eq!(enter(&mut gate, OTHER, 500), Err(Answer::Wait(Timestamp(1_000))));
    gate.introduced(first);
    enter(&mut gate, OTHER, 501).unwrap();
}

#[test]
fn who_keeps_a_place_and_says_nothing_makes_way_for_the_next() {
    let mut gate = gate(Limits { strangers_max: 2, stranger_grace_ms: 1_000, ..wide() });
    let silent = enter(&mut gate, ME, 0).unwrap();
    enter(&mut gate, ME, 10).unwrap();
    let answer = gate.enter(OTHER, Timestamp(1_000));
    assert!(matches!(answer, Answer::Enter { instead_of: Some(gone), .. } if gone == silent));
    assert_eq!(gate.connections(), 3, "until the one that has to go has gone");
    gate.leave(silent, ME, true, Timestamp(1_001));
    assert_eq!(gate.connections(), 2);
}

#[test]
fn an_address_that_keeps_failing_is_slowed_down_and_no_other() {
    let mut gate = gate(Limits { failures_per_address: Rate::new(1, 2), ..wide() });
    let mut attempts = 0;
    for ms in 0..9_500 {
        if let Ok(number) = enter(&mut gate, ME, ms) {
            attempts += 1;
            gate.leave(number, ME, true, Timestamp(ms));
        }
    }
    assert!((10..=14).contains(&attempts), "{attempts}");
    assert_eq!(refused(&mut gate, ME, 9_500), Some(Refused::AddressFailures));
    enter(&mut gate, OTHER, 9_500).unwrap();
    let back = enter(&mut gate, ME, 15_000).unwrap();
    gate.leave(back, ME, false, Timestamp(15_000));
    enter(&mut gate, ME, 15_000).unwrap();
}

#[test]
fn an_ipv6_network_is_one_address() {
    let mut gate = gate(Limits { connections_per_address_max: 1, ..wide() });
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    enter(&mut gate, ip("2001:db8:0:1::1"), 0).unwrap();
    assert_eq!(refused(&mut gate, ip("2001:db8:0:1:ffff::2"), 0), Some(Refused::AddressFull));
    enter(&mut gate, ip("2001:db8:0:2::1"), 0).unwrap();
    enter(&mut gate, ip("::ffff:192.0.2.1"), 0).unwrap();
    assert_eq!(refused(&mut gate, ME, 0), Some(Refused::AddressFull), "the same in IPv4");
}

#[test]
fn loopback_is_bounded_only_when_asked_for() {
    let tight = Limits { connections_per_address_max: 1, ..wide() };
    let mut free = gate(tight);
    let mut bounded = gate(Limits { is_loopback_bounded: true, ..tight });
    for gate in [&mut free, &mut bounded] {
        enter(gate, LOOPBACK, 0).unwrap();
    }
    enter(&mut free, LOOPBACK, 0).unwrap();
    assert_eq!(refused(&mut bounded, LOOPBACK, 0), Some(Refused::AddressFull));
}

#[test]
fn however_many_addresses_come_only_so_many_are_remembered() {
    let limits = Limits {
        addresses_max: 100,
        failures_per_address: Rate::new(1, 10),
        connects: Rate::new(1_000, 1_000),
        ..wide()
    };
    let mut gate = gate(limits);
    for at in 0..100_000_u32 {
        let ip = IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + at));
        let ms = i64::from(at / 1_000);
        if let Ok(number) = enter(&mut gate, ip, ms) {
            gate.leave(number, ip, true, Timestamp(ms));
        }
        assert!(gate.addresses.len() <= 101 && gate.leaving.len() <= 101);
    }
    assert_eq!(gate.connections(), 0);
    enter(&mut gate, ME, 60_000).unwrap();
    assert_eq!(gate.addresses.len(), 1, "after a while none is remembered");
}
