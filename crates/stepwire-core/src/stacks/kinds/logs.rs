//! `AWS::Logs::*`.

use std::sync::Arc;

use stepwire_asl::Json;

use super::property::{any, boolean, integer, number, objects, tags, text, texts};
use super::resource::{Resource, ask, camel, look_in, made, pairs, s};
use super::{Ask, Kind, Look};
use crate::request::Service::Logs;

/// The error of what is not there.
const GONE: &[&str] = &["ResourceNotFoundException"];

pub(super) const KINDS: &[Kind] = &[
    METRIC_FILTER,
    SUBSCRIPTION_FILTER,
    GROUP,
    STREAM,
    Kind {
        made: |policy, _| made(policy.name_or("PolicyName", 255), []),
        ..Kind::without_effect(
            "AWS::Logs::ResourcePolicy",
            "policies of log groups are not enforced",
        )
    },
    Kind {
        attributes: &["QueryDefinitionId"],
        made: |query, _| {
            let id = query.context.generated_name(255);
            made(id.clone(), [("QueryDefinitionId", id)])
        },
        ..Kind::without_effect("AWS::Logs::QueryDefinition", "queries are not kept")
    },
    Kind::refused("AWS::Logs::Destination", "search the log groups with FilterLogEvents"),
    Kind::refused("AWS::Logs::Delivery", "read the log groups with the API"),
];

const GROUP: Kind = Kind {
    attributes: &["Arn"],
    create: |group, _| {
        let name = s(group.name_or("LogGroupName", 512));
        let asked = [("logGroupName", name.clone()), ("tags", group.tag_map())];
        let mut asks = vec![ask(Logs, "CreateLogGroup", asked)];
        asks.extend(group.take("RetentionInDays").map(|days| {
            let asked = [("logGroupName", name), ("retentionInDays", Some(days))];
            ask(Logs, "PutRetentionPolicy", asked)
        }));
        Ok(asks)
    },
    made: |group, _| {
        let name = group.name_or("LogGroupName", 512);
        let arn = group.arn("logs", &format!("log-group:{name}:*"));
        made(name, [("Arn", arn)])
    },
    update: |update, _| {
        let mut asks = Vec::new();
        if update.changes("RetentionInDays") {
            asks.push(match update.new.take("RetentionInDays") {
                Some(days) => {
                    let asked = [("logGroupName", update.id()), ("retentionInDays", Some(days))];
                    ask(Logs, "PutRetentionPolicy", asked)
                }
                None => ask(Logs, "DeleteRetentionPolicy", [("logGroupName", update.id())]),
            });
        }
        let tags = update.retagged();
        let arn = || s(update.made.attribute("Arn").trim_end_matches(":*"));
        if !tags.gone.is_empty() {
            let asked = [("resourceArn", arn()), ("tagKeys", tags.keys())];
            asks.push(ask(Logs, "UntagResource", asked));
        }
        if !tags.set.is_empty() {
            let asked = [("resourceArn", arn()), ("tags", Some(Json::object(tags.set)))];
            asks.push(ask(Logs, "TagResource", asked));
        }
        Ok(asks)
    },
    delete: |_, made, _| vec![ask(Logs, "DeleteLogGroup", [("logGroupName", made.id())]).or(GONE)],
    ..Kind::new(
        "AWS::Logs::LogGroup",
        &[
            text("LogGroupName").replaces(),
            integer("RetentionInDays"),
            tags(),
            text("KmsKeyId").without_effect("log groups are not encrypted"),
            text("LogGroupClass").without_effect("there is one class of log groups"),
            any("ResourcePolicyDocument").without_effect("policies of log groups are not enforced"),
            boolean("BearerTokenAuthenticationEnabled")
                .without_effect("there are no bearer tokens"),
            boolean("DeletionProtectionEnabled")
                .without_effect("log groups are not protected; `DeletionPolicy: Retain` keeps one"),
            any("DataProtectionPolicy").refused("log events are not masked"),
            objects("FieldIndexPolicies", &[]).refused("log groups have no field indexes"),
        ],
    )
};

const STREAM: Kind = Kind {
    create: |stream, _| {
        let name = stream.name_or("LogStreamName", 512);
        let asked = [("logGroupName", stream.take("LogGroupName")), ("logStreamName", s(name))];
        Ok(vec![ask(Logs, "CreateLogStream", asked)])
    },
    made: |stream, _| made(stream.name_or("LogStreamName", 512), []),
    delete: |stream, made, _| {
        let asked = [("logGroupName", stream.take("LogGroupName")), ("logStreamName", made.id())];
        vec![ask(Logs, "DeleteLogStream", asked).or(GONE)]
    },
    ..Kind::new(
        "AWS::Logs::LogStream",
        &[text("LogGroupName").required().replaces(), text("LogStreamName").replaces()],
    )
};

/// A filter's place: its group and its name.
fn place(filter: &Resource<'_>, name: Option<Json>) -> [(&'static str, Option<Json>); 2] {
    [("logGroupName", filter.take("LogGroupName")), ("filterName", name)]
}

fn put_subscription(filter: &Resource<'_>, name: Option<Json>) -> Ask {
    let [group, name] = place(filter, name);
    let asked = [
        group,
        name,
        ("filterPattern", filter.take("FilterPattern")),
        ("destinationArn", filter.take("DestinationArn")),
        ("roleArn", filter.take("RoleArn")),
        ("distribution", filter.take("Distribution")),
    ];
    ask(Logs, "PutSubscriptionFilter", asked)
}

fn put_metric(filter: &Resource<'_>, name: Option<Json>) -> Ask {
    let made = filter.items("MetricTransformations").iter().map(|made| {
        let mut made = camel(made, &[]).as_object().cloned().unwrap_or_default();
        if let Some(dimensions) = made.get("dimensions").and_then(Json::as_array) {
            let dimensions = Json::object(pairs(dimensions, "key", "value"));
            made.insert("dimensions".into(), dimensions);
        }
        Json::Object(Arc::new(made))
    });
    let [group, name] = place(filter, name);
    let asked = [
        group,
        name,
        ("filterPattern", filter.take("FilterPattern")),
        ("metricTransformations", Some(Json::array(made))),
    ];
    ask(Logs, "PutMetricFilter", asked)
}

/// Putting a filter changes one of the same name.
fn look_for(filter: &Resource<'_>, operation: &'static str, list: &'static str) -> Option<Look> {
    let name = filter.text("FilterName")?;
    let asked = [("logGroupName", filter.take("LogGroupName")), ("filterNamePrefix", s(name))];
    Some(look_in(ask(Logs, operation, asked).or(GONE), (list, "filterName"), name))
}

const SUBSCRIPTION_FILTER: Kind = Kind {
    create: |filter, _| Ok(vec![put_subscription(filter, s(filter.name_or("FilterName", 512)))]),
    look: |filter| look_for(filter, "DescribeSubscriptionFilters", "subscriptionFilters"),
    made: |filter, _| made(filter.name_or("FilterName", 512), []),
    update: |update, _| Ok(vec![put_subscription(&update.new, update.id())]),
    delete: |filter, made, _| {
        vec![ask(Logs, "DeleteSubscriptionFilter", place(filter, made.id())).or(GONE)]
    },
    ..Kind::new(
        "AWS::Logs::SubscriptionFilter",
        &[
            text("FilterName").replaces(),
            text("LogGroupName").required().replaces(),
            text("FilterPattern").required(),
            text("DestinationArn").required(),
            text("RoleArn"),
            text("Distribution"),
            boolean("ApplyOnTransformedLogs").without_effect("log events are not transformed"),
            texts("EmitSystemFields").refused("events have no further fields"),
            text("FieldSelectionCriteria").refused("use `FilterPattern`"),
        ],
    )
};

const METRIC_FILTER: Kind = Kind {
    create: |filter, _| Ok(vec![put_metric(filter, s(filter.name_or("FilterName", 512)))]),
    look: |filter| look_for(filter, "DescribeMetricFilters", "metricFilters"),
    made: |filter, _| made(filter.name_or("FilterName", 512), []),
    update: |update, _| Ok(vec![put_metric(&update.new, update.id())]),
    delete: |filter, made, _| {
        vec![ask(Logs, "DeleteMetricFilter", place(filter, made.id())).or(GONE)]
    },
    ..Kind::new(
        "AWS::Logs::MetricFilter",
        &[
            text("FilterName").replaces(),
            text("LogGroupName").required().replaces(),
            text("FilterPattern").required(),
            objects(
                "MetricTransformations",
                &[
                    text("MetricName").required(),
                    text("MetricNamespace").required(),
                    text("MetricValue").required(),
                    number("DefaultValue"),
                    objects("Dimensions", &[text("Key").required(), text("Value").required()]),
                    text("Unit"),
                ],
            )
            .required(),
            boolean("ApplyOnTransformedLogs").without_effect("log events are not transformed"),
            texts("EmitSystemFieldDimensions").refused("events have no further fields"),
            text("FieldSelectionCriteria").refused("use `FilterPattern`"),
        ],
    )
};
