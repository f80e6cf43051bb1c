//! Functions of IoT SQL that interpret what devices send: patterns, times, messages of Protocol
//! Buffers. Nothing makes them panic, and they say the same of the same.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use stepwire_asl::{Json, Timestamp};
use stepwire_core::Settings;
use stepwire_core::message::{Caller, Identity, Message, Origin, Profile, Properties, QoS};
use stepwire_core::rules::sql::protobuf::{DESCRIPTORS_MAX, Descriptor, NoDescriptor};
use stepwire_core::rules::sql::{Facts, Statement, Value, Version};

/// `Reading` and `Frame` of `tests/cases/sql/functions-protobuf.md`.
const SET: &str = "\
    Co4EChBwbGFudC90YW5rLnByb3RvEgVwbGFudCLKAwoHUmVhZGluZxIbCglzZW5z\
    b3JfaWQYASABKAlSCHNlbnNvcklkEh0KCmZpbGxfbGV2ZWwYAiABKAFSCWZpbGxM\
    ZXZlbBIiCgVzdGF0ZRgDIAEoDjIMLnBsYW50LlN0YXRlUgVzdGF0ZRIQCgNyYXcY\
    BCABKAxSA3JhdxIWCgZjb3VudHMYBSADKAVSBmNvdW50cxIUCgV0b3RhbBgGIAEo\
    A1IFdG90YWwSLAoEdGFncxgHIAMoCzIYLnBsYW50LlJlYWRpbmcuVGFnc0VudHJ5\
    UgR0YWdzEh8KCnZhbHZlX25hbWUYCCABKAlIAFIJdmFsdmVOYW1lEiEKC3B1bXBf\
    bnVtYmVyGAkgASgESABSCnB1bXBOdW1iZXISLQoGbGltaXRzGAogASgLMhUucGxh\
    bnQuUmVhZGluZy5MaW1pdHNSBmxpbWl0cxo3CglUYWdzRW50cnkSEAoDa2V5GAEg\
    ASgJUgNrZXkSFAoFdmFsdWUYAiABKAVSBXZhbHVlOgI4ARo7CgZMaW1pdHMSFQoD\
    bG93GAEgASgFSABSA2xvd4gBARISCgRoaWdoGAIgASgCUgRoaWdoQgYKBF9sb3dC\
    CAoGc291cmNlKh4KBVN0YXRlEggKBElETEUQABILCgdGSUxMSU5HEAFiBnByb3Rv\
    MwpNCgtmcmFtZS5wcm90byI2CgVGcmFtZRITCgV0b19pZBgBIAEoCVIEdG9JZBIY\
    CgdwYXlsb2FkGAIgASgMUgdwYXlsb2FkYgZwcm90bzM=\
    ";
const READING: &str = "CgNzLTkRAAAAAABgWUAYASIDAAH/KgMBAgMwgYCAgICAgBA6BQoBYRABSAdSBwgAFQAAwD8=";

fn set() -> Vec<u8> {
    STANDARD.decode(SET.replace(' ', "")).expect("base64")
}

/// What a statement makes of a payload; twice the same.
fn value(sql: &str, payload: Json) -> Value {
    let caller = Caller {
        identity: Identity::Anonymous,
        ip: [127, 0, 0, 1].into(),
        profile: Profile::Standard,
    };
    let message = Message {
        topic: "a/b".into(),
        payload: payload.to_text().into(),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::default(),
        origin: Origin::Caller(Arc::new(caller)),
        at: Timestamp(1_700_000_000_000),
    };
    let statement = Statement::parse(sql, Version::V2016).expect(sql);
    let settings = Settings::default();
    let run = || statement.run(&Facts::new(&message, Some(&payload), &settings, 1));
    let first = run().expect("no WHERE");
    assert_eq!(Some(&first), run().as_ref());
    first
}

fn texts<const N: usize>(texts: [(&str, String); N]) -> Json {
    Json::object(texts.map(|(name, text)| (name, Json::from(text))))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn any_pattern_is_searched_for_or_is_none(
        pattern in r"(\\[dDwWsSbBAzZRQEGkpPux0c1-9]|\(\?[=!:<>imsx]?|[a-c()\[\]*+?{},|\\^$.#&<>:=!1-3-]|ä| ){0,16}",
        replacement in r"(\$[0-9{}a]|\\|[a-c]){0,6}",
        text in "[a-c1-3 \n\rä.$-]{0,24}",
    ) {
        let sql = "SELECT regexp_matches(t, p) AS m, regexp_substr(t, p) AS s,
            regexp_replace(t, p, r) AS r FROM '#'";
        let found = value(sql, texts([("t", text), ("p", pattern), ("r", replacement)]));
        let found = found.into_json().expect("an object");
        let matches = found.member("m").and_then(Json::as_bool);
        prop_assert_eq!(matches == Some(true), found.member("s").is_some());
    }

    #[test]
    fn any_time_is_written_or_is_none(
        pattern in "[a-zA-Z'\\[\\] .:ä-]{0,12}",
        at in any::<i64>(),
        zone in "(UTC|GMT|Europe/Berlin|[+-][0-9:]{0,6}|[A-Z]{0,3})[+-]?[0-9:]{0,4}",
        text in "[a-zA-Z0-9 .:+ä-]{0,12}",
    ) {
        let payload = texts([("p", pattern), ("z", zone), ("t", text)]);
        let sql = format!("SELECT VALUE [parse_time(p, {}, z), time_to_epoch(t, p)] FROM '#'", at >> 8);
        value(&sql, payload);
    }

    #[test]
    fn what_is_written_of_a_time_is_read_as_that_time(
        at in 0_i64..200_000_000_000_000,
        zone in prop::sample::select(&["UTC", "Asia/Kathmandu", "America/St_Johns", "Europe/Berlin", "+13:45"][..]),
    ) {
        let sql = format!(
            "SELECT VALUE time_to_epoch(parse_time(\"yyyy-MM-dd'T'HH:mm:ss.SSSZZ\", {at}, '{zone}'),
            \"uuuu-MM-dd'T'HH:mm:ss.SSSxxx\") FROM '#'"
        );
        prop_assert_eq!(value(&sql, Json::object::<&str>([])), Value::from(at));
    }

    #[test]
    fn any_bytes_are_a_message_or_none(
        cut in 0_usize..60,
        changes in prop::collection::vec((0_usize..64, any::<u8>()), 0..6),
        message in prop::sample::select(&["Reading", "Reading.Limits", "Frame"][..]),
    ) {
        let file = if message == "Frame" { "frame" } else { "plant/tank.proto" };
        let descriptor = Descriptor::find(&set().into(), file, message).expect("is there");
        let mut bytes = STANDARD.decode(READING).expect("base64");
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(cut);
        let first = descriptor.read(&bytes);
        prop_assert_eq!(first, descriptor.read(&bytes));
    }

    #[test]
    fn any_bytes_are_a_set_or_none(
        changes in prop::collection::vec((0_usize..620, any::<u8>()), 0..4),
        cut in 0_usize..640,
    ) {
        let mut bytes = set();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(cut);
        let bytes = Bytes::from(bytes);
        let reading = STANDARD.decode(READING).expect("base64");
        for (file, message) in [("tank", "Reading"), ("frame", "Frame"), ("", "")] {
            if let Ok(descriptor) = Descriptor::find(&bytes, file, message) {
                descriptor.read(&reading);
            }
        }
    }
}

#[test]
fn a_descriptor_that_is_not_there_is_told_apart() {
    let none =
        |set: Vec<u8>, file: &str, name: &str| Descriptor::find(&set.into(), file, name).err();
    assert_eq!(none(set(), "tank", "Reading"), None);
    assert_eq!(none(vec![7; DESCRIPTORS_MAX + 1], "f", "M"), Some(NoDescriptor::TooLarge));
    assert_eq!(none(vec![7; 9], "f", "M"), Some(NoDescriptor::NoSet));
    assert_eq!(none(set(), "ank", "Reading"), Some(NoDescriptor::NoFile));
    assert_eq!(none(set(), "tank", "Frame"), Some(NoDescriptor::NoMessage));
}

#[test]
fn a_message_whose_json_is_too_long_is_none() {
    let descriptor = Descriptor::find(&set().into(), "tank", "Reading").expect("is there");
    let counts = |count: usize| [&[0x28, 0x01_u8][..]].concat().repeat(count);
    assert!(descriptor.read(&counts(60_000)).is_some());
    assert!(descriptor.read(&counts(70_000)).is_none());
}

#[test]
fn messages_in_messages_without_end_are_none() {
    // A group in a group, and a length-delimited field that is said to hold itself.
    let descriptor = Descriptor::find(&set().into(), "tank", "Reading").expect("is there");
    assert!(descriptor.read(&vec![0x53; 100_000]).is_none());
}
