//! `AWS::SNS::*`.

use std::sync::Arc;

use stepwire_asl::Json;

use super::property::{Property, any, boolean, document, integer, objects, tags, text, texts};
use super::resource::{Resource, ask, deep, document_text, listed, look, made, s, told};
use super::{Ask, Kind, Update};
use crate::request::Service::Sns;

/// Errors of what is not there.
const GONE: &[&str] = &["NotFound", "NotFoundException"];

pub(super) const KINDS: &[Kind] = &[TOPIC, SUBSCRIPTION, TOPIC_POLICY, TOPIC_INLINE_POLICY];

/// Properties of a topic that are attributes of the same name.
const ATTRIBUTES: [&str; 5] = [
    "ContentBasedDeduplication",
    "DisplayName",
    "FifoThroughputScope",
    "FifoTopic",
    "KmsMasterKeyId",
];

fn name(topic: &Resource<'_>) -> String {
    match topic.text("TopicName") {
        Some(name) => name.to_owned(),
        None if topic.is_true("FifoTopic") => format!("{}.fifo", topic.context.generated_name(251)),
        None => topic.context.generated_name(256),
    }
}

fn subscribe(arn: &str, given: &Json) -> Ask {
    let asked = [
        ("TopicArn", s(arn)),
        ("Protocol", given.member("Protocol").cloned()),
        ("Endpoint", given.member("Endpoint").cloned()),
    ];
    ask(Sns, "Subscribe", asked)
}

const TOPIC: Kind = Kind {
    attributes: &["TopicArn", "TopicName"],
    create: |topic, _| {
        let name = name(topic);
        let given = ATTRIBUTES.iter().filter_map(|name| {
            let value = topic.get(name)?;
            let absent = *name == "FifoTopic" && value.as_bool() == Some(false);
            (!absent).then(|| (Arc::<str>::from(*name), document_text(value)))
        });
        let asked = [
            ("Name", s(name.as_str())),
            ("Attributes", Some(Json::object(given))),
            ("Tags", topic.tag_list("Key", "Value")),
        ];
        let mut asks = vec![ask(Sns, "CreateTopic", asked)];
        let arn = topic.arn("sns", &name);
        asks.extend(topic.items("Subscription").iter().map(|given| subscribe(&arn, given)));
        Ok(asks)
    },
    look: |topic| {
        topic.text("TopicName")?;
        let arn = topic.arn("sns", &name(topic));
        Some(look(ask(Sns, "GetTopicAttributes", [("TopicArn", s(arn.as_str()))]).or(GONE), &arn))
    },
    made: |topic, _| {
        let name = name(topic);
        let arn = topic.arn("sns", &name);
        made(arn.clone(), [("TopicArn", arn), ("TopicName", name)])
    },
    update: update_topic,
    delete: |_, made, _| vec![ask(Sns, "DeleteTopic", [("TopicArn", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::SNS::Topic",
        &[
            text("TopicName").replaces(),
            boolean("FifoTopic").replaces(),
            boolean("ContentBasedDeduplication"),
            text("DisplayName"),
            text("FifoThroughputScope"),
            text("KmsMasterKeyId").shown("topics are not encrypted"),
            objects("Subscription", &[text("Endpoint").required(), text("Protocol").required()]),
            tags(),
            text("SignatureVersion")
                .without_effect("messages are signed with a key of the node alone"),
            text("TracingConfig").without_effect("nothing is traced"),
            objects("DeliveryStatusLogging", &[]).without_effect("deliveries are not logged"),
            integer("MaximumMessageSize").without_effect("messages have at most 256 KiB"),
            any("ArchivePolicy").refused("topics do not keep messages"),
            any("DataProtectionPolicy").refused("messages are not masked"),
        ],
    )
};

fn update_topic(update: &Update<'_>, answers: &[Json]) -> Result<Vec<Ask>, String> {
    let (old, new, arn) = (&update.old, &update.new, update.made.physical_id.as_str());
    let before = old.items("Subscription");
    let there = new.items("Subscription");
    let gone: Vec<&Json> = before.iter().filter(|given| !there.contains(given)).collect();
    let mut asks = Vec::new();
    if !gone.is_empty() {
        asks.push(ask(Sns, "ListSubscriptionsByTopic", [("TopicArn", s(arn))]));
        if answers.is_empty() {
            return Ok(asks);
        }
        let all = deep(answers, 0, &["Subscriptions"]).and_then(Json::as_array).unwrap_or_default();
        let is_gone = |there: &&Json| {
            let same = |given: &&Json, name| given.member(name) == there.member(name);
            gone.iter().any(|given| same(given, "Protocol") && same(given, "Endpoint"))
        };
        asks.extend(all.iter().filter(is_gone).map(|there| {
            let asked = [("SubscriptionArn", there.member("SubscriptionArn").cloned())];
            ask(Sns, "Unsubscribe", asked).or(GONE)
        }));
    }
    let changed = ATTRIBUTES.iter().filter(|name| update.changes(name));
    asks.extend(changed.map(|name| {
        let value = new.get(name).map(document_text);
        let value =
            value.or_else(|| s(if *name == "ContentBasedDeduplication" { "false" } else { "" }));
        let asked = [("TopicArn", s(arn)), ("AttributeName", s(*name)), ("AttributeValue", value)];
        ask(Sns, "SetTopicAttributes", asked)
    }));
    let come = there.iter().filter(|given| !before.contains(given));
    asks.extend(come.map(|given| subscribe(arn, given)));
    let tags = update.retagged();
    if !tags.gone.is_empty() {
        asks.push(ask(Sns, "UntagResource", [("ResourceArn", s(arn)), ("TagKeys", tags.keys())]));
    }
    if !tags.set.is_empty() {
        let set = listed(tags.set, "Key", "Value");
        asks.push(ask(Sns, "TagResource", [("ResourceArn", s(arn)), ("Tags", Some(set))]));
    }
    Ok(asks)
}

/// Properties of a subscription that are attributes of the same name, and what they are without.
const OF_SUBSCRIPTION: [(&str, &str); 5] = [
    ("DeliveryPolicy", ""),
    ("FilterPolicy", ""),
    ("FilterPolicyScope", "MessageAttributes"),
    ("RawMessageDelivery", "false"),
    ("RedrivePolicy", ""),
];

const SUBSCRIPTION: Kind = Kind {
    attributes: &["Arn"],
    create: |subscription, _| {
        let given = OF_SUBSCRIPTION
            .iter()
            .filter_map(|(name, _)| Some((Arc::<str>::from(*name), subscription.document(name)?)));
        let asked = [
            ("TopicArn", subscription.take("TopicArn")),
            ("Protocol", subscription.take("Protocol")),
            ("Endpoint", subscription.take("Endpoint")),
            ("Attributes", Some(Json::object(given))),
            ("ReturnSubscriptionArn", Some(true.into())),
        ];
        Ok(vec![ask(Sns, "Subscribe", asked)])
    },
    made: |_, answers| {
        let arn = told(answers, 0, "SubscriptionArn");
        made(arn, [("Arn", arn.to_owned())])
    },
    update: |update, _| {
        let changed = OF_SUBSCRIPTION.iter().filter(|(name, _)| update.changes(name));
        let set = |(name, without): &(&'static str, &'static str)| {
            let value = update.new.document(name).or_else(|| s(*without));
            let asked = [
                ("SubscriptionArn", update.id()),
                ("AttributeName", s(*name)),
                ("AttributeValue", value),
            ];
            ask(Sns, "SetSubscriptionAttributes", asked)
        };
        // A scope is looked at with the policy there is: the policy goes first, and comes last.
        let mut asks: Vec<Ask> = changed.map(set).collect();
        if update.new.get("FilterPolicy").is_some() {
            asks.sort_by_key(|ask| {
                ask.body.member("AttributeName").and_then(Json::as_str) == Some("FilterPolicy")
            });
        }
        Ok(asks)
    },
    delete: |_, made, _| vec![ask(Sns, "Unsubscribe", [("SubscriptionArn", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::SNS::Subscription",
        &[
            text("TopicArn").required().replaces(),
            text("Protocol").required().replaces(),
            text("Endpoint").replaces(),
            document("DeliveryPolicy"),
            document("FilterPolicy"),
            text("FilterPolicyScope"),
            boolean("RawMessageDelivery"),
            document("RedrivePolicy"),
            text("Region").without_effect("there is one region"),
            text("SubscriptionRoleArn").without_effect("roles are not enforced"),
            document("ReplayPolicy").refused("topics do not keep messages"),
        ],
    )
};

/// Who may do what with a topic when no policy says more.
const OWN: &str = r#"{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[]}"#;

fn set_policy(topic: Option<Json>, policy: Option<Json>) -> Ask {
    let asked = [("TopicArn", topic), ("AttributeName", s("Policy")), ("AttributeValue", policy)];
    ask(Sns, "SetTopicAttributes", asked)
}

const NOT_ENFORCED: &str = "policies of topics are kept, not enforced";

const TOPIC_POLICY: Kind = Kind {
    attributes: &["Id"],
    create: |policy, _| {
        let document = policy.document("PolicyDocument");
        Ok(policy.texts("Topics").map(|topic| set_policy(s(topic), document.clone())).collect())
    },
    made: |policy, _| {
        let id = policy.context.generated_name(128);
        made(id.clone(), [("Id", id)])
    },
    update: |update, _| {
        let document = update.new.document("PolicyDocument");
        let there: Vec<&str> = update.new.texts("Topics").collect();
        let gone = update.old.texts("Topics").filter(|topic| !there.contains(topic));
        let gone = gone.map(|topic| set_policy(s(topic), s(OWN)).or(GONE));
        Ok(gone.chain(there.iter().map(|topic| set_policy(s(*topic), document.clone()))).collect())
    },
    delete: |policy, _, _| {
        policy.texts("Topics").map(|topic| set_policy(s(topic), s(OWN)).or(GONE)).collect()
    },
    ..Kind::new("AWS::SNS::TopicPolicy", &[DOCUMENT, texts("Topics").required()])
};

const DOCUMENT: Property = document("PolicyDocument").required().shown(NOT_ENFORCED);

const TOPIC_INLINE_POLICY: Kind = Kind {
    create: |policy, _| {
        Ok(vec![set_policy(policy.take("TopicArn"), policy.document("PolicyDocument"))])
    },
    made: |policy, _| made(policy.str("TopicArn"), []),
    update: |update, _| Ok(vec![set_policy(update.id(), update.new.document("PolicyDocument"))]),
    delete: |_, made, _| vec![set_policy(made.id(), s(OWN)).or(GONE)],
    ..Kind::new("AWS::SNS::TopicInlinePolicy", &[DOCUMENT, text("TopicArn").required().replaces()])
};
