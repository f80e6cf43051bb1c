//! Events that other services send: rules, schedules, topics, buckets, logs.

use std::sync::Arc;

use super::events::Event;
use super::function::{Role, Target};
use super::policies::substitution;
use super::{Sam, allow, object, pull, trust};
use crate::expanded::Resource;
use crate::sub::Part;
use crate::value::{Data, Map, Value};

const PERMISSION: &str = "AWS::Lambda::Permission";

/// Lets a service call the target.
pub(super) fn permit(
    sam: &mut Sam<'_>,
    event: &Event<'_>,
    target: &Target,
    suffix: &str,
    principal: &str,
    source: [(&str, Option<Value>); 2],
) -> String {
    let id = format!("{}Permission{suffix}", event.id);
    let [first, second] = source;
    let properties = object([
        ("Action", Some(Value::string("lambda:InvokeFunction"))),
        ("FunctionName", Some(target.name.clone())),
        ("Principal", Some(Value::string(principal))),
        first,
        second,
    ]);
    sam.put_beside(&event.origin, &id, PERMISSION, properties);
    id
}

/// `arn:…:` of a service, then `after` with one variable in it.
pub(super) fn arn(
    sam: &Sam<'_>,
    service: &str,
    before: &str,
    name: &str,
    value: &Value,
    after: &str,
) -> Value {
    let start = format!("{}{before}", sam.arn(service));
    let mut open = Map::new();
    let middle = match value.text() {
        Some(text) => Part::Text(text.to_string()),
        None => {
            open.insert(name.into(), value.clone());
            Part::Name(name.to_owned())
        }
    };
    substitution(&[Part::Text(start), middle, Part::Text(after.to_owned())], open)
}

pub(super) fn iot_rule(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    event.only(sam, &["AwsIotSqlVersion", "Sql"]);
    let Some(sql) = event.must(sam, "Sql") else { return };
    let source = arn(sam, "iot", "rule/", "RuleName", &Value::reference(&event.id), "");
    let account = Value::string(sam.given.account.as_str());
    permit(
        sam,
        event,
        target,
        "",
        "iot.amazonaws.com",
        [("SourceArn", Some(source)), ("SourceAccount", Some(account))],
    );
    let action = Value::map([("Lambda", Value::map([("FunctionArn", target.arn.clone())]))]);
    let payload = object([
        ("Sql", Some(sql.clone())),
        ("RuleDisabled", Some(Value::from(false))),
        ("Actions", Some(Value::list([action]))),
        ("AwsIotSqlVersion", event.get("AwsIotSqlVersion").cloned()),
    ]);
    let properties = Value::map([("TopicRulePayload", payload)]);
    sam.put_beside(&event.origin, &event.id, "AWS::IoT::TopicRule", properties);
}

/// `State` of a rule, from `State` or `Enabled`.
pub(super) fn state(sam: &mut Sam<'_>, event: &Event<'_>) -> Option<Value> {
    match (event.get("State"), event.get("Enabled")) {
        (Some(state), Some(_)) => {
            event.wrong(
                sam,
                state.pointer(),
                "State and Enabled Properties cannot both be specified.",
            );
            None
        }
        (Some(state), None) => Some(state.clone()),
        (None, Some(on)) => {
            let on = on.as_bool() != Some(false);
            Some(Value::string(if on { "ENABLED" } else { "DISABLED" }))
        }
        (None, None) => None,
    }
}

/// `Id` of a rule's target.
pub(super) fn target_id(event: &Event<'_>, suffix: &str) -> Value {
    const LETTERS_MAX: usize = 64;
    if let Some(id) = event.get("Target").and_then(|target| target.member("Id")) {
        return id.clone();
    }
    let kept: String = event.id.chars().take(LETTERS_MAX - suffix.len()).collect();
    Value::string(format!("{kept}{suffix}"))
}

/// The queue for what could not be delivered, made if need be.
pub(super) fn dead_letters(
    sam: &mut Sam<'_>,
    event: &Event<'_>,
    with_policy: bool,
) -> Option<Value> {
    let config = event.get("DeadLetterConfig")?;
    let kind = config.member("Type");
    if let Some(arn) = config.member("Arn") {
        if kind.is_some() {
            event.wrong(
                sam,
                config.pointer(),
                "You can either define 'Arn' or 'Type' property of DeadLetterConfig.",
            );
        }
        return Some(Value::map([("Arn", arn.clone())]));
    }
    if kind.and_then(Value::as_str) != Some("SQS") {
        let what = if kind.is_some() {
            "The only valid value for 'Type' property of DeadLetterConfig is 'SQS'."
        } else {
            "No 'Arn' or 'Type' property provided for DeadLetterConfig."
        };
        event.wrong(sam, config.pointer(), what);
        return None;
    }
    let own = config.member("QueueLogicalId").and_then(Value::text);
    let queue = own.map_or_else(|| format!("{}Queue", event.id), |id| id.to_string());
    sam.put_beside(&event.origin, &queue, "AWS::SQS::Queue", Value::map::<&str>([]));
    let arn = Value::attribute(&queue, "Arn");
    if with_policy {
        let sender = Value::map([("Service", Value::string("events.amazonaws.com"))]);
        let rule = Value::attribute(&event.id, "Arn");
        let properties = queue_policy(sender, rule, arn.clone(), Value::reference(&queue));
        let id = format!("{}QueuePolicy", event.id);
        sam.put_beside(&event.origin, &id, "AWS::SQS::QueuePolicy", properties);
    }
    Some(Value::map([("Arn", arn)]))
}

/// Lets `sender` send from `source` to a queue.
fn queue_policy(sender: Value, source: Value, queue_arn: Value, queue_url: Value) -> Value {
    let condition = Value::map([("ArnEquals", Value::map([("aws:SourceArn", source)]))]);
    let statement = Value::map([
        ("Action", Value::string("sqs:SendMessage")),
        ("Effect", Value::string("Allow")),
        ("Principal", sender),
        ("Resource", queue_arn),
        ("Condition", condition),
    ]);
    let document = Value::map([
        ("Version", Value::string("2012-10-17")),
        ("Statement", Value::list([statement])),
    ]);
    Value::map([("PolicyDocument", document), ("Queues", Value::list([queue_url]))])
}

const SCHEDULE: &[&str] = &[
    "DeadLetterConfig",
    "Description",
    "Enabled",
    "Input",
    "Name",
    "RetryPolicy",
    "RoleArn",
    "RuleName",
    "Schedule",
    "State",
    "Target",
];

pub(super) fn schedule(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    event.only(sam, SCHEDULE);
    let Some(expression) = event.must(sam, "Schedule") else { return };
    let state = state(sam, event);
    let rule_target = rule_target(sam, event, target, None);
    let properties = object([
        ("ScheduleExpression", Some(expression.clone())),
        ("State", state),
        ("Name", event.get("Name").cloned()),
        ("Description", event.get("Description").cloned()),
        ("Targets", Some(Value::list([rule_target]))),
    ]);
    sam.put_beside(&event.origin, &event.id, "AWS::Events::Rule", properties);
    let source = Value::attribute(&event.id, "Arn");
    permit(
        sam,
        event,
        target,
        "",
        "events.amazonaws.com",
        [("SourceArn", Some(source)), ("SourceAccount", None)],
    );
}

const RULE: &[&str] = &[
    "DeadLetterConfig",
    "Enabled",
    "EventBusName",
    "Input",
    "InputPath",
    "InputTransformer",
    "Pattern",
    "RetryPolicy",
    "RuleName",
    "State",
    "Target",
];

pub(super) fn event_bridge(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    event.only(sam, RULE);
    let properties = rule(sam, event, target, None);
    sam.put_beside(&event.origin, &event.id, "AWS::Events::Rule", properties);
    let source = Value::attribute(&event.id, "Arn");
    permit(
        sam,
        event,
        target,
        "",
        "events.amazonaws.com",
        [("SourceArn", Some(source)), ("SourceAccount", None)],
    );
}

/// A rule with a pattern.
fn rule(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target, role: Option<Value>) -> Value {
    let state = state(sam, event);
    let rule_target = rule_target(sam, event, target, role);
    object([
        ("EventBusName", event.get("EventBusName").cloned()),
        ("EventPattern", event.get("Pattern").cloned()),
        ("Name", event.get("RuleName").cloned()),
        ("State", state),
        ("Targets", Some(Value::list([rule_target]))),
    ])
}

/// The target of a rule: a function, or a state machine that it starts in `role`.
fn rule_target(
    sam: &mut Sam<'_>,
    event: &Event<'_>,
    target: &Target,
    role: Option<Value>,
) -> Value {
    let suffix = if role.is_some() { "StepFunctionsTarget" } else { "LambdaTarget" };
    let dead = dead_letters(sam, event, true);
    object([
        ("Arn", Some(target.arn.clone())),
        ("Id", Some(target_id(event, suffix))),
        ("RoleArn", role),
        ("Input", event.get("Input").cloned()),
        ("InputPath", event.get("InputPath").cloned()),
        ("DeadLetterConfig", dead),
        ("RetryPolicy", event.get("RetryPolicy").cloned()),
        ("InputTransformer", event.get("InputTransformer").cloned()),
    ])
}

/// A rule or schedule that starts a state machine, and the role in which it does.
pub(super) fn starts(
    sam: &mut Sam<'_>,
    event: &Event<'_>,
    target: &Target,
    boundary: Option<&Value>,
) {
    let is_schedule = event.kind == "Schedule";
    event.only(sam, if is_schedule { SCHEDULE } else { RULE });
    let given = event.get("RoleArn").filter(|_| is_schedule);
    let role_id = format!("{}Role", event.id);
    let role = given.cloned().unwrap_or_else(|| Value::attribute(&role_id, "Arn"));
    let properties = if is_schedule {
        let Some(expression) = event.must(sam, "Schedule") else { return };
        let state = state(sam, event);
        let rule_target = rule_target(sam, event, target, Some(role));
        object([
            ("ScheduleExpression", Some(expression.clone())),
            ("State", state),
            ("Name", event.get("Name").cloned()),
            ("Description", event.get("Description").cloned()),
            ("Targets", Some(Value::list([rule_target]))),
        ])
    } else {
        rule(sam, event, target, Some(role))
    };
    sam.put_beside(&event.origin, &event.id, "AWS::Events::Rule", properties);
    if given.is_none() {
        let policy = allow(
            format!("{role_id}StartExecutionPolicy"),
            "states:StartExecution",
            target.arn.clone(),
        );
        let properties = object([
            ("AssumeRolePolicyDocument", Some(trust("events.amazonaws.com"))),
            ("Policies", Some(Value::list([policy]))),
            ("PermissionsBoundary", boundary.cloned()),
        ]);
        sam.put_beside(&event.origin, &role_id, "AWS::IAM::Role", properties);
    }
}

/// A schedule of EventBridge Scheduler, for a function or a state machine.
pub(super) fn scheduler(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    event.only(
        sam,
        &[
            "DeadLetterConfig",
            "Description",
            "EndDate",
            "FlexibleTimeWindow",
            "GroupName",
            "Input",
            "KmsKeyArn",
            "Name",
            "OmitName",
            "PermissionsBoundary",
            "RetryPolicy",
            "RoleArn",
            "ScheduleExpression",
            "ScheduleExpressionTimezone",
            "StartDate",
            "State",
        ],
    );
    let Some(expression) = event.must(sam, "ScheduleExpression") else { return };
    let get = |name: &str| event.get(name).cloned();
    let omits = event.get("OmitName").and_then(Value::as_bool) == Some(true);
    let name = (!omits).then(|| get("Name").unwrap_or_else(|| Value::string(event.id.as_str())));
    let dead = dead_letters(sam, event, false);
    let role_id = format!("{}Role", event.id);
    let is_machine = event.origin.kind == "AWS::Serverless::StateMachine";
    let role = get("RoleArn").unwrap_or_else(|| Value::attribute(&role_id, "Arn"));
    let its_target = object([
        ("Arn", Some(target.arn.clone())),
        ("RoleArn", Some(role)),
        ("Input", get("Input")),
        ("DeadLetterConfig", dead.clone()),
        ("RetryPolicy", get("RetryPolicy")),
    ]);
    let window = || Value::map([("Mode", Value::string("OFF"))]);
    let properties = object([
        ("ScheduleExpression", Some(expression.clone())),
        ("State", get("State")),
        ("Name", name),
        ("Description", get("Description")),
        ("FlexibleTimeWindow", Some(get("FlexibleTimeWindow").unwrap_or_else(window))),
        ("StartDate", get("StartDate")),
        ("EndDate", get("EndDate")),
        ("ScheduleExpressionTimezone", get("ScheduleExpressionTimezone")),
        ("GroupName", get("GroupName")),
        ("KmsKeyArn", get("KmsKeyArn")),
        ("Target", Some(its_target)),
    ]);
    sam.put_beside(&event.origin, &event.id, "AWS::Scheduler::Schedule", properties);
    if event.get("RoleArn").is_some() {
        return;
    }
    let mut policies = vec![if is_machine {
        let name = format!("{}StartExecutionPolicy", event.id);
        allow(name, "states:StartExecution", target.arn.clone())
    } else {
        let name = format!("{}LambdaPolicy", event.id);
        allow(name, "lambda:InvokeFunction", target.arn.clone())
    }];
    if let Some(arn) = dead.as_ref().and_then(|dead| dead.member("Arn")) {
        policies.push(allow(format!("{}SQSPolicy", event.id), "sqs:SendMessage", arn.clone()));
    }
    let properties = object([
        ("AssumeRolePolicyDocument", Some(trust("scheduler.amazonaws.com"))),
        ("Policies", Some(Value::list(policies))),
        ("PermissionsBoundary", get("PermissionsBoundary")),
    ]);
    sam.put_beside(&event.origin, &role_id, "AWS::IAM::Role", properties);
}

pub(super) fn topic(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target, role: &mut Role) {
    event.only(
        sam,
        &[
            "FilterPolicy",
            "FilterPolicyScope",
            "RedrivePolicy",
            "Region",
            "SqsSubscription",
            "Topic",
        ],
    );
    let Some(topic) = event.must(sam, "Topic") else { return };
    let subscribe = |sam: &mut Sam<'_>, protocol: &str, endpoint: Value| {
        let properties = object([
            ("Protocol", Some(Value::string(protocol))),
            ("Endpoint", Some(endpoint)),
            ("TopicArn", Some(topic.clone())),
            ("Region", event.get("Region").cloned()),
            ("FilterPolicy", event.get("FilterPolicy").cloned()),
            ("FilterPolicyScope", event.get("FilterPolicyScope").cloned()),
            ("RedrivePolicy", event.get("RedrivePolicy").cloned()),
        ]);
        sam.put_beside(&event.origin, &event.id, "AWS::SNS::Subscription", properties);
    };
    let by_queue = event.get("SqsSubscription").filter(|wish| wish.as_bool() != Some(false));
    let Some(by_queue) = by_queue else {
        permit(
            sam,
            event,
            target,
            "",
            "sns.amazonaws.com",
            [("SourceArn", Some(topic.clone())), ("SourceAccount", None)],
        );
        subscribe(sam, "lambda", target.arn.clone());
        return;
    };
    let (arn, url, policy_id, size) = if by_queue.as_map().is_some() {
        let (arn, url) = (by_queue.member("QueueArn"), by_queue.member("QueueUrl"));
        let (Some(arn), Some(url)) = (arn, url) else {
            event.wrong(sam, by_queue.pointer(), "No QueueARN or QueueURL provided.");
            return;
        };
        let policy = by_queue.member("QueuePolicyLogicalId").and_then(Value::text);
        (arn.clone(), url.clone(), policy, by_queue.member("BatchSize").cloned())
    } else {
        let id = format!("{}Queue", event.id);
        let named = topic.as_reference().and_then(|name| sam.source.get(name));
        let is_fifo = named
            .and_then(|topic| topic.properties.member("FifoTopic"))
            .and_then(Value::as_bool)
            .unwrap_or_default();
        let fifo = is_fifo.then(|| Value::from(true));
        sam.put_beside(&event.origin, &id, "AWS::SQS::Queue", object([("FifoQueue", fifo)]));
        (Value::attribute(&id, "Arn"), Value::reference(&id), None, None)
    };
    let policy = queue_policy(Value::string("*"), topic.clone(), arn.clone(), url);
    let policy_id =
        policy_id.map_or_else(|| format!("{}QueuePolicy", event.id), |id| id.to_string());
    sam.put_beside(&event.origin, &policy_id, "AWS::SQS::QueuePolicy", policy);
    subscribe(sam, "sqs", arn.clone());
    let mapping = object([
        ("FunctionName", Some(target.name.clone())),
        ("EventSourceArn", Some(arn)),
        ("BatchSize", Some(size.unwrap_or_else(|| Value::from(10)))),
        ("Enabled", Some(Value::from(true))),
    ]);
    let id = format!("{}EventSourceMapping", event.id);
    sam.put_beside(&event.origin, &id, "AWS::Lambda::EventSourceMapping", mapping);
    pull::grant(sam, role, "AWSLambdaSQSQueueExecutionRole");
}

/// A bucket of the same template gets a notification.
pub(super) fn bucket(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    event.only(sam, &["Bucket", "Events", "Filter"]);
    let (Some(bucket), Some(kinds)) = (event.must(sam, "Bucket"), event.must(sam, "Events")) else {
        return;
    };
    let id = bucket.as_reference().filter(|id| sam.source.contains_key(*id)).map(str::to_owned);
    let Some(id) = id else {
        event.wrong(
            sam,
            bucket.pointer(),
            "S3 events must reference an S3 bucket in the same template.",
        );
        return;
    };
    let account = Value::string(sam.given.account.as_str());
    let permission = permit(
        sam,
        event,
        target,
        "",
        "s3.amazonaws.com",
        [("SourceArn", None), ("SourceAccount", Some(account))],
    );
    let one = std::slice::from_ref(kinds);
    let entries = kinds.as_list().unwrap_or(one).iter().map(|kind| {
        object([
            ("Function", Some(target.arn.clone())),
            ("Filter", event.get("Filter").cloned()),
            ("Event", Some(kind.clone())),
        ])
    });
    let Some(resource) = sam.source.get_mut(&id) else { return };
    notify(resource, entries.collect());
    if !resource.depends_on.contains(&permission) {
        resource.depends_on.push(permission);
    }
}

fn notify(bucket: &mut Resource, entries: Vec<Value>) {
    let member =
        |value: Option<&Value>, name: &str| value.and_then(|value| value.member(name)).cloned();
    let config = member(Some(&bucket.properties), "NotificationConfiguration");
    let list = member(config.as_ref(), "LambdaConfigurations");
    let mut items = list.as_ref().and_then(Value::as_list).unwrap_or_default().to_vec();
    for entry in entries {
        if !items.contains(&entry) {
            items.push(entry);
        }
    }
    let set = |value: Option<Value>, name: &str, member: Value| {
        let value = value.unwrap_or_default();
        let mut members = value.as_map().cloned().unwrap_or_default();
        members.insert(name.into(), member);
        Value { data: Data::Map(Arc::new(members)), ..value }
    };
    let config = set(config, "LambdaConfigurations", Value::list(items));
    bucket.properties = set(Some(bucket.properties.clone()), "NotificationConfiguration", config);
}

pub(super) fn logs(sam: &mut Sam<'_>, event: &Event<'_>, target: &Target) {
    event.only(sam, &["FilterPattern", "LogGroupName"]);
    let group = event.must(sam, "LogGroupName");
    let pattern = event.must(sam, "FilterPattern");
    let (Some(group), Some(pattern)) = (group, pattern) else { return };
    let source = arn(sam, "logs", "log-group:", "__LogGroupName__", group, ":*");
    let permission = permit(
        sam,
        event,
        target,
        "",
        "logs.amazonaws.com",
        [("SourceArn", Some(source)), ("SourceAccount", None)],
    );
    let properties = Value::map([
        ("LogGroupName", group.clone()),
        ("FilterPattern", pattern.clone()),
        ("DestinationArn", target.arn.clone()),
    ]);
    let mut filter =
        super::beside(&event.origin, &event.id, "AWS::Logs::SubscriptionFilter", properties);
    filter.depends_on.push(permission);
    sam.put(&event.origin, filter);
}
