//! Policies and what they say of devices.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use stepwire_asl::Timestamp;

use super::{Facts, Policy, Question, ThingOf, Verdict};
use crate::broker::{Action, ConnectAttributes};
use crate::registry::certificates::{self, Document};
use crate::registry::things::Thing;

const DEVICE: &str = include_str!("../tests/device.pem");

/// Who asks, in a test: the thing `a` at a site in the north, with the certificate of the fixture.
struct Asker {
    thing: Option<Thing>,
    certificate: certificates::Facts,
    client_id: Option<&'static str>,
    connect: Option<ConnectAttributes>,
}

fn asker(client_id: &'static str) -> Asker {
    let thing = Thing {
        name: "a".into(),
        id: "id".into(),
        thing_type: Some("Lamp".into()),
        attributes: BTreeMap::from([("site".into(), "north".into())]),
        version: 1,
        created: Timestamp(0),
    };
    Asker {
        thing: Some(thing).filter(|thing| &*thing.name == client_id),
        certificate: Document::parse(DEVICE).unwrap().facts,
        client_id: Some(client_id),
        connect: None,
    }
}

impl Asker {
    fn verdict(&self, statements: &str, action: Action, name: &str) -> Verdict {
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
        let policy = Policy::parse(&document).unwrap();
        let find = || self.thing.as_ref();
        let facts = Facts {
            client_id: self.client_id,
            certificate: Some(&self.certificate),
            ip: Some(IpAddr::from([10, 1, 2, 3])),
            now: Some(Timestamp(1_700_000_000_000)),
            connect: self.connect,
            thing: ThingOf::new(&find),
        };
        policy.verdict(Question::new(action, name), &facts)
    }

    /// Whether a publish is allowed when this condition must hold.
    fn passes(&self, condition: &str) -> bool {
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"iot:Publish","Resource":"*","Condition":{condition}}}"#
        );
        self.verdict(&statement, Action::Publish, "t") == Verdict::Allowed
    }

    /// Whether a publish to `topic` is allowed by a policy on this resource.
    fn may_publish(&self, resource: &str, topic: &str) -> bool {
        let statement =
            format!(r#"{{"Effect":"Allow","Action":"iot:Publish","Resource":"{resource}"}}"#);
        self.verdict(&statement, Action::Publish, topic) == Verdict::Allowed
    }
}

fn fault(statement: &str) -> String {
    let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
    Policy::parse(&document).unwrap_err().to_string()
}

#[test]
fn a_device_may_do_what_its_own_name_allows() {
    let own = "arn:aws:iot:*:*:topic/devices/${iot:Connection.Thing.ThingName}/*";
    assert!(asker("a").may_publish(own, "devices/a/x"));
    assert!(!asker("a").may_publish(own, "devices/b/x"));
    assert!(!asker("b").may_publish(own, "devices/b/x"));
    assert!(asker("a").may_publish("arn:aws:iot:eu-west-1:1:topic/${iot:ClientId}", "a"));
}

#[test]
fn an_action_allows_no_other() {
    let own = r#"{"Effect":"Allow","Action":"iot:Publish","Resource":"*"}"#;
    assert_eq!(asker("a").verdict(own, Action::Publish, "t"), Verdict::Allowed);
    for action in [Action::Connect, Action::RetainPublish, Action::Subscribe, Action::Receive] {
        assert_eq!(asker("a").verdict(own, action, "t"), Verdict::Silent);
    }
}

#[test]
fn all_but_some_actions_and_resources_can_be_named() {
    let but = r#"{"Effect":"Allow","NotAction":["iot:Connect","iot:R*"],
        "NotResource":"arn:aws:iot:*:*:topic/secret/*"}"#;
    assert_eq!(asker("a").verdict(but, Action::Publish, "open/x"), Verdict::Allowed);
    assert_eq!(asker("a").verdict(but, Action::Publish, "secret/x"), Verdict::Silent);
    assert_eq!(asker("a").verdict(but, Action::RetainPublish, "open/x"), Verdict::Silent);
    assert_eq!(asker("a").verdict(but, Action::Connect, "a"), Verdict::Silent);
}

#[test]
fn a_denial_wins_wherever_it_stands() {
    let both = r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"},
        {"Effect":"Deny","Action":["iot:Publish"],"Resource":"*:topic/secret/??"}"#;
    assert_eq!(asker("a").verdict(both, Action::Publish, "secret/ab"), Verdict::Denied);
    assert_eq!(asker("a").verdict(both, Action::Publish, "secret/abc"), Verdict::Allowed);
}

#[test]
fn a_resource_is_of_its_kind() {
    let topic = r#"{"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:*:*:topic/a"}"#;
    assert_eq!(asker("a").verdict(topic, Action::Receive, "a"), Verdict::Allowed);
    assert_eq!(asker("a").verdict(topic, Action::Subscribe, "a"), Verdict::Silent);
    assert_eq!(asker("a").verdict(topic, Action::Connect, "a"), Verdict::Silent);
    assert!(asker("a").may_publish("arn:aws:iot:us-east-1:0:top*", "x"));
    assert!(!asker("a").may_publish("arn:aws:iot:us-east-1:0:client*", "x"));
    assert!(!asker("a").may_publish("arn:aws:s3:::topic/x", "x"));
}

#[test]
fn plus_and_number_sign_are_letters_like_others() {
    let filter = r#"{"Effect":"Allow","Action":"iot:Subscribe",
        "Resource":"arn:aws:iot:*:*:topicfilter/a/+/#"}"#;
    assert_eq!(asker("a").verdict(filter, Action::Subscribe, "a/+/#"), Verdict::Allowed);
    assert_eq!(asker("a").verdict(filter, Action::Subscribe, "a/b/c"), Verdict::Silent);
}

#[test]
fn a_value_that_could_be_a_pattern_replaces_no_variable() {
    let own = r#"{"Effect":"Allow","Action":"iot:Subscribe",
        "Resource":"arn:aws:iot:us-east-1:0:topicfilter/d/${iot:ClientId}/#"}"#;
    assert_eq!(asker("+").verdict(own, Action::Subscribe, "d/+/#"), Verdict::Silent);
    assert_eq!(asker("a").verdict(own, Action::Subscribe, "d/a/#"), Verdict::Allowed);
    let long: &'static str = Box::leak("x".repeat(1_025).into_boxed_str());
    assert!(!asker(long).may_publish("arn:aws:iot:*:*:topic/${iot:ClientId}", long));
    assert!(asker(&long[..1_024]).may_publish("arn:aws:iot:*:*:topic/${iot:ClientId}", &long[1..]));
}

#[test]
fn attributes_types_and_escapes_are_replaced() {
    let site = "arn:aws:iot:*:*:topic/${iot:Connection.Thing.Attributes[site]}/${*}";
    assert!(asker("a").may_publish(site, "north/*"));
    assert!(!asker("a").may_publish(site, "north/x"));
    let kind = "arn:aws:iot:*:*:topic/${iot:Connection.Thing.ThingTypeName}";
    assert!(asker("a").may_publish(kind, "Lamp"));
    assert!(asker("a").may_publish("arn:aws:iot:*:*:topic/${aws:SourceIp}", "10.1.2.3"));
}

#[test]
fn what_a_certificate_says_is_replaced() {
    let says = |variable: &str, value: &str| {
        let resource = format!("arn:aws:iot:*:*:topic/${{iot:Certificate.{variable}}}");
        assert!(asker("a").may_publish(&resource, value), "{variable} is not {value}");
    };
    says("SerialNumber", "10525622389124227206");
    says("Subject.CommonName", "Bulb 1");
    says("Subject.Organization", r"Amazon\, Inc. O\=x");
    says("Subject.OrganizationalUnit", "Bulbs");
    says("Subject.OrganizationalUnit.1", "Lamps");
    says("Subject.State", "NY");
    says("Subject.Title", "RGB");
    says("Subject.Surname", "Multi Color");
    says("Subject.GivenName", "Bulb");
    says("Subject.Initials", "BB");
    says("Subject.DistinguishedNameQualifier", "Bulb001");
    says("Subject.Pseudonym", "RGB Device");
    says("Subject.GenerationQualifier", "4");
    says("Subject.SerialNumber", "123");
    says("Issuer.Country", "US");
    says("Issuer.CommonName", "Primary CA");
    says("Subject.AlternativeName.DNSName", "example.com");
    says("Subject.AlternativeName.IPAddress", "1.2.3.4");
    says("Subject.AlternativeName.RFC822Name", "device1@example.com");
    says("Subject.AlternativeName.UniformResourceIdentifier", "ResourceIdentifier001");
    says("Subject.AlternativeName.DirectoryName", "cn=LightBulbCert,ou=SmartHome,o=IoT,c=US");
    says("Issuer.AlternativeName.DNSName", "issuer.com");
    assert!(!asker("a").may_publish("*:topic/${iot:Certificate.Issuer.Title}", "CA"));
}

#[test]
fn conditions_compare_text() {
    let a = asker("a");
    assert!(a.passes(r#"{"StringEquals":{"iot:ClientId":["b","a"]}}"#));
    assert!(!a.passes(r#"{"StringEquals":{"iot:ClientId":"A"}}"#));
    assert!(a.passes(r#"{"StringEqualsIgnoreCase":{"iot:ClientId":"A"}}"#));
    assert!(!a.passes(r#"{"StringNotEquals":{"iot:ClientId":["b","a"]}}"#));
    assert!(!a.passes(r#"{"StringEquals":{"iot:ClientId":"*"}}"#));
    assert!(a.passes(r#"{"StringLike":{"iot:Connection.Thing.Attributes[site]":"n*h"}}"#));
    assert!(a.passes(r#"{"StringEquals":{"iot:Connection.Thing.ThingName":"${iot:ClientId}"}}"#));
    let both = r#"{"StringEquals":{"iot:ClientId":"a","iot:Connection.Thing.ThingName":"b"}}"#;
    assert!(!a.passes(both), "every key must pass");
}

#[test]
fn conditions_compare_addresses_numbers_dates_and_truth() {
    let a = asker("a");
    assert!(a.passes(r#"{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","10.0.0.0/8"]}}"#));
    assert!(!a.passes(r#"{"NotIpAddress":{"aws:SourceIp":"10.1.2.3"}}"#));
    assert!(!a.passes(r#"{"IpAddress":{"aws:SourceIp":"::/0"}}"#));
    assert!(a.passes(r#"{"NumericLessThan":{"iot:Certificate.Subject.SerialNumber":"124"}}"#));
    assert!(!a.passes(r#"{"NumericGreaterThan":{"iot:Certificate.Subject.SerialNumber":123}}"#));
    assert!(a.passes(r#"{"DateLessThan":{"aws:CurrentTime":"2023-11-15"}}"#));
    assert!(a.passes(r#"{"DateGreaterThan":{"aws:EpochTime":"1699999999"}}"#));
    assert!(a.passes(r#"{"Bool":{"iot:Connection.Thing.IsAttached":["true"]}}"#));
    assert!(asker("b").passes(r#"{"Bool":{"iot:Connection.Thing.IsAttached":false}}"#));
}

#[test]
fn a_missing_key_passes_only_what_asks_for_its_absence() {
    let a = asker("a");
    let key = "iot:Certificate.Issuer.Title";
    assert!(!a.passes(&format!(r#"{{"StringEquals":{{"{key}":"x"}}}}"#)));
    assert!(a.passes(&format!(r#"{{"StringNotEquals":{{"{key}":"x"}}}}"#)));
    assert!(a.passes(&format!(r#"{{"StringEqualsIfExists":{{"{key}":"x"}}}}"#)));
    assert!(a.passes(&format!(r#"{{"Null":{{"{key}":"true"}}}}"#)));
    assert!(!a.passes(&format!(r#"{{"Null":{{"{key}":"false"}}}}"#)));
    assert!(a.passes(&format!(r#"{{"ForAllValues:StringEquals":{{"{key}.List":"x"}}}}"#)));
    assert!(!a.passes(&format!(r#"{{"ForAnyValue:StringEquals":{{"{key}.List":"x"}}}}"#)));
    assert!(a.passes(r#"{"Null":{"iot:Certificate.SerialNumber":"false"}}"#));
}

#[test]
fn conditions_look_at_all_values_or_any() {
    let a = asker("a");
    let units = "iot:Certificate.Subject.OrganizationalUnit.List";
    assert!(
        a.passes(&format!(r#"{{"ForAllValues:StringEquals":{{"{units}":["Bulbs","Lamps"]}}}}"#))
    );
    assert!(!a.passes(&format!(r#"{{"ForAllValues:StringEquals":{{"{units}":"Bulbs"}}}}"#)));
    assert!(a.passes(&format!(r#"{{"ForAnyValue:StringEquals":{{"{units}":"Lamps"}}}}"#)));
    let keys = "iot:Certificate.AvailableKeys";
    let there = "iot:Certificate.Subject.Title";
    assert!(a.passes(&format!(r#"{{"ForAnyValue:StringEquals":{{"{keys}":"{there}"}}}}"#)));
}

#[test]
fn what_a_connect_asks_for_is_a_condition() {
    let connects = |condition: &str, last_will: bool, persistent: bool| {
        let statement = format!(
            r#"{{"Effect":"Allow","Action":"iot:Connect","Resource":"*","Condition":{condition}}}"#
        );
        let connect = Some(ConnectAttributes { last_will, persistent });
        let asker = Asker { connect, ..asker("a") };
        asker.verdict(&statement, Action::Connect, "a") == Verdict::Allowed
    };
    let only = r#"{"ForAllValues:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}}"#;
    assert!(connects(only, false, true) && connects(only, false, false));
    assert!(!connects(only, true, true));
    let none = r#"{"ForAllValues:StringEquals":{"iot:ConnectAttributes":[]}}"#;
    assert!(connects(none, false, false) && !connects(none, false, true));
    let needs = r#"{"ForAnyValue:StringEquals":{"iot:ConnectAttributes":"LastWill"}}"#;
    assert!(connects(needs, true, false) && !connects(needs, false, true));
    let not = r#"{"ForAllValues:StringNotEquals":{"iot:ConnectAttributes":"PersistentConnect"}}"#;
    assert!(connects(not, true, false) && !connects(not, true, true));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_hint() {
    let action = fault(r#"{"Effect":"Allow","Action":["iot:Publis"],"Resource":"*"}"#);
    let told = "at Statement[0].Action[0]: `iot:Publis` is no action; \
                hint: did you mean `iot:Publish`?";
    assert_eq!(action, told);
    let resource = fault(r#"{"Effect":"Allow","Action":"iot:*","Resource":"topic/a"}"#);
    assert!(resource.starts_with("at Statement[0].Resource: `topic/a` is no resource; hint: "));
    let base = r#""Effect":"Allow","Action":"iot:*","Resource":"*""#;
    let condition = fault(&format!(r#"{{{base},"Condition":{{"StringEqual":{{}}}}}}"#));
    assert!(condition.contains("at Statement[0].Condition.StringEqual: `StringEqual` is no"));
    assert!(condition.ends_with("hint: did you mean `StringEquals`?"), "{condition}");
    let key = fault(&format!(r#"{{{base},"Condition":{{"Bool":{{"iot:ClientID2":"x"}}}}}}"#));
    assert!(key.ends_with("`iot:ClientID2` is not available; hint: did you mean `iot:ClientId`?"));
    let value = fault(&format!(r#"{{{base},"Condition":{{"Bool":{{"iot:ClientId":"x"}}}}}}"#));
    assert!(
        value.ends_with("Condition.Bool.iot:ClientId: `x` is not `true` or `false`"),
        "{value}"
    );
    let member = fault(&format!(r#"{{{base},"Principal":"*"}}"#));
    assert_eq!(member, "at Statement[0]: `Principal` is not known in a statement");
}

#[test]
fn no_text_makes_the_parser_panic() {
    for text in ["", "{", "[]", "null", "{}", "\u{0}", r#"{"Version":"2012-10-17"}"#] {
        assert!(Policy::parse(text).is_err());
    }
    for piece in ["${", "${}", "$", "arn:", "arn:::::", "arn:aws:iot:::", "*:${x}", "é${é}", ":"]
    {
        let _ = fault_or_policy(piece);
    }
}

fn fault_or_policy(piece: &str) -> Result<Policy, super::Malformed> {
    let piece = stepwire_asl::Json::from(piece).to_text();
    Policy::parse(&format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":{piece},
        "Resource":[{piece}],"Condition":{{"ArnLike":{{{piece}:[{piece}]}}}}}}}}"#
    ))
}
