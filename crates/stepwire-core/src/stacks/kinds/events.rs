//! `AWS::Events::*`.

use stepwire_asl::Json;

use super::property::{Property, any, document, integer, map, object, objects, tags, text};
use super::resource::{Resource, ask, listed, look, made, s};
use super::{Ask, Kind, Update};
use crate::request::Service::Events;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

pub(super) const KINDS: &[Kind] = &[
    RULE,
    EVENT_BUS,
    Kind {
        made: |policy, _| made(policy.name_or("StatementId", 64), []),
        ..Kind::without_effect("AWS::Events::EventBusPolicy", "policies of buses are not enforced")
    },
    Kind::refused("AWS::Events::Archive", "events are not kept; send them to a queue or a table"),
    Kind::refused("AWS::Events::ApiDestination", "let a workflow call it with `http:invoke`"),
    Kind::refused(
        "AWS::Events::Connection",
        "put the secret into the file that `stepwire serve --secrets` names, by the connection's name",
    ),
    Kind::refused("AWS::Events::Endpoint", "there is one region"),
    Kind::refused("AWS::Pipes::Pipe", "use AWS::Lambda::EventSourceMapping or a rule"),
];

const ELSEWHERE: &str = "target a function, a state machine, a queue or a topic";

const TARGET: &[Property] = &[
    text("Id").required(),
    text("Arn").required(),
    text("Input"),
    text("InputPath"),
    object("InputTransformer", &[map("InputPathsMap"), text("InputTemplate").required()]),
    text("RoleArn"),
    object("RetryPolicy", &[integer("MaximumEventAgeInSeconds"), integer("MaximumRetryAttempts")]),
    object("DeadLetterConfig", &[text("Arn")]),
    object("SqsParameters", &[text("MessageGroupId").required()]),
    object("AppSyncParameters", &[]).refused(ELSEWHERE),
    object("BatchParameters", &[]).refused(ELSEWHERE),
    object("EcsParameters", &[]).refused(ELSEWHERE),
    object("HttpParameters", &[]).refused(ELSEWHERE),
    object("KinesisParameters", &[]).refused(ELSEWHERE),
    object("RedshiftDataParameters", &[]).refused(ELSEWHERE),
    object("RunCommandParameters", &[]).refused(ELSEWHERE),
    object("SageMakerPipelineParameters", &[]).refused(ELSEWHERE),
];

fn put(rule: &Resource<'_>, name: Option<Json>, tags: Option<Json>) -> Ask {
    let asked = [
        ("Name", name),
        ("EventBusName", rule.take("EventBusName")),
        ("EventPattern", rule.document("EventPattern")),
        ("ScheduleExpression", rule.take("ScheduleExpression")),
        ("State", rule.take("State")),
        ("Description", rule.take("Description")),
        ("RoleArn", rule.take("RoleArn")),
        ("Tags", tags),
    ];
    ask(Events, "PutRule", asked)
}

/// Targets that one request takes.
const TARGETS_MAX: usize = 10;

fn put_targets(rule: &Resource<'_>, name: &str, targets: &[Json]) -> Vec<Ask> {
    let chunks = targets.chunks(TARGETS_MAX).map(|targets| {
        let asked = [
            ("Rule", s(name)),
            ("EventBusName", rule.take("EventBusName")),
            ("Targets", Some(Json::array(targets.iter().cloned()))),
        ];
        ask(Events, "PutTargets", asked)
    });
    chunks.collect()
}

fn remove_targets(rule: &Resource<'_>, name: &str, ids: Vec<Json>) -> Option<Ask> {
    let asked = [
        ("Rule", s(name)),
        ("EventBusName", rule.take("EventBusName")),
        ("Ids", Some(Json::array(ids.iter().cloned()))),
    ];
    (!ids.is_empty()).then(|| ask(Events, "RemoveTargets", asked).or(GONE))
}

/// The name of a rule, which its physical id ends with.
fn name_in(id: &str) -> &str {
    id.rsplit_once('|').map_or(id, |(_, name)| name)
}

/// The bus, where it is not the default one.
fn bus<'a>(rule: &'a Resource<'_>) -> Option<&'a str> {
    let bus = rule.text("EventBusName")?;
    let bus = bus.rsplit_once(":event-bus/").map_or(bus, |(_, name)| name);
    (bus != "default").then_some(bus)
}

const RULE: Kind = Kind {
    attributes: &["Arn"],
    create: |rule, _| {
        let name = rule.name_or("Name", 64);
        let mut asks = vec![put(rule, s(name.as_str()), rule.tag_list("Key", "Value"))];
        asks.extend(put_targets(rule, &name, rule.items("Targets")));
        Ok(asks)
    },
    look: |rule| {
        let name = rule.text("Name")?;
        let asked = [("Name", s(name)), ("EventBusName", rule.take("EventBusName"))];
        Some(look(ask(Events, "DescribeRule", asked).or(GONE), name))
    },
    made: |rule, _| {
        let name = rule.name_or("Name", 64);
        match bus(rule) {
            None => made(name.clone(), [("Arn", rule.arn("events", &format!("rule/{name}")))]),
            Some(bus) => {
                let arn = rule.arn("events", &format!("rule/{bus}/{name}"));
                made(format!("{bus}|{name}"), [("Arn", arn)])
            }
        }
    },
    update: |update: &Update<'_>, _| {
        let (old, new) = (&update.old, &update.new);
        let name = name_in(&update.made.physical_id);
        let ids = |rule: &Resource<'_>| -> Vec<Json> {
            rule.items("Targets").iter().filter_map(|target| target.member("Id").cloned()).collect()
        };
        let there = ids(new);
        let gone = ids(old).into_iter().filter(|id| !there.contains(id)).collect();
        let mut asks = vec![put(new, s(name), None)];
        asks.extend(remove_targets(new, name, gone));
        asks.extend(put_targets(new, name, new.items("Targets")));
        let tags = update.retagged();
        let arn = || s(update.made.attribute("Arn"));
        if !tags.gone.is_empty() {
            let asked = [("ResourceARN", arn()), ("TagKeys", tags.keys())];
            asks.push(ask(Events, "UntagResource", asked));
        }
        if !tags.set.is_empty() {
            let set = listed(tags.set, "Key", "Value");
            asks.push(ask(Events, "TagResource", [("ResourceARN", arn()), ("Tags", Some(set))]));
        }
        Ok(asks)
    },
    delete: |rule, made, _| {
        let name = name_in(&made.physical_id);
        let ids = rule.items("Targets").iter().filter_map(|target| target.member("Id").cloned());
        let asked = [("Name", s(name)), ("EventBusName", rule.take("EventBusName"))];
        remove_targets(rule, name, ids.collect())
            .into_iter()
            .chain([ask(Events, "DeleteRule", asked).or(GONE)])
            .collect()
    },
    ..Kind::new(
        "AWS::Events::Rule",
        &[
            text("Name").replaces(),
            text("EventBusName").replaces(),
            document("EventPattern"),
            text("ScheduleExpression"),
            text("State"),
            text("Description"),
            text("RoleArn"),
            objects("Targets", TARGET),
            tags(),
        ],
    )
};

const EVENT_BUS: Kind = Kind {
    attributes: &["Arn", "Name", "Policy"],
    create: |bus, _| {
        let asked = [
            ("Name", bus.take("Name")),
            ("Description", bus.take("Description")),
            ("Tags", bus.tag_list("Key", "Value")),
        ];
        Ok(vec![ask(Events, "CreateEventBus", asked)])
    },
    made: |bus, _| {
        let name = bus.str("Name").to_owned();
        let arn = bus.arn("events", &format!("event-bus/{name}"));
        made(name.clone(), [("Arn", arn), ("Name", name)])
    },
    delete: |_, made, _| vec![ask(Events, "DeleteEventBus", [("Name", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::Events::EventBus",
        &[
            text("Name").required().replaces(),
            text("Description").replaces(),
            tags().replaces(),
            text("KmsKeyIdentifier").without_effect("events are not encrypted"),
            any("Policy").without_effect("policies of buses are not enforced"),
            object("LogConfig", &[text("IncludeDetail"), text("Level")])
                .without_effect("buses write no log"),
            object("DeadLetterConfig", &[text("Arn")]).refused("give each target its own"),
            text("EventSourceName").refused("there are no partner event sources"),
        ],
    )
};
