//! `AWS::CloudWatch::*`.

use stepwire_asl::Json;

use super::Kind;
use super::property::{Property, boolean, integer, number, object, objects, tags, text, texts};
use super::resource::{Resource, ask, look_in, made, s};
use crate::request::Service::CloudWatch;

pub(super) const KINDS: &[Kind] = &[
    ALARM,
    Kind {
        made: |dashboard, _| made(dashboard.name_or("DashboardName", 255), []),
        ..Kind::without_effect("AWS::CloudWatch::Dashboard", "the node has a console of its own")
    },
    Kind::refused("AWS::CloudWatch::CompositeAlarm", "make an alarm on each metric"),
    Kind::refused("AWS::CloudWatch::AnomalyDetector", "make an alarm with a fixed threshold"),
    Kind::refused("AWS::CloudWatch::InsightRule", "search the log groups"),
    Kind::refused("AWS::CloudWatch::MetricStream", "read the metrics with GetMetricData"),
];

const METRIC_MATH: &str = "make an alarm on one metric: `Namespace`, `MetricName`, `Statistic`";

/// Members of an alarm that the API calls the same.
const SAME: [&str; 17] = [
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluationPeriods",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Tags",
    "Threshold",
    "TreatMissingData",
    "Unit",
];

const PROPERTIES: &[Property] = &[
    text("AlarmName").replaces(),
    boolean("ActionsEnabled"),
    texts("AlarmActions"),
    text("AlarmDescription"),
    text("ComparisonOperator"),
    integer("DatapointsToAlarm"),
    objects("Dimensions", &[text("Name").required(), text("Value").required()]),
    integer("EvaluationPeriods"),
    texts("InsufficientDataActions"),
    text("MetricName"),
    text("Namespace"),
    texts("OKActions"),
    integer("Period"),
    text("Statistic"),
    number("Threshold"),
    text("TreatMissingData"),
    text("Unit"),
    tags(),
    text("EvaluateLowSampleCountPercentile")
        .refused("alarms are not on percentiles; use `Statistic`"),
    text("ExtendedStatistic").refused("alarms are not on percentiles; use `Statistic`"),
    objects("Metrics", &[]).refused(METRIC_MATH),
    text("ThresholdMetricId").refused(METRIC_MATH),
    object("EvaluationCriteria", &[]).refused(METRIC_MATH),
    integer("EvaluationInterval").refused(METRIC_MATH),
    object("EvaluationWindow", &[]).refused(METRIC_MATH),
    object("ActionConfiguration", &[]).refused("tags of alarms are not passed on"),
    object("WarmUpConfiguration", &[]).refused("an alarm looks at its metric from the beginning"),
];

/// The alarm as the API takes it, by this name.
fn put(alarm: &Resource<'_>, name: Option<Json>) -> super::Ask {
    let members = SAME.iter().filter_map(|name| Some((*name, alarm.take(name)?)));
    let members = name.into_iter().map(|name| ("AlarmName", name)).chain(members);
    super::Ask {
        service: CloudWatch,
        operation: "PutMetricAlarm",
        body: Json::object(members),
        tolerate: &[],
    }
}

const ALARM: Kind = Kind {
    attributes: &["Arn"],
    create: |alarm, _| Ok(vec![put(alarm, s(alarm.name_or("AlarmName", 255)))]),
    look: |alarm| {
        let name = alarm.text("AlarmName")?;
        let asked = [("AlarmNames", Some(Json::array([Json::from(name)])))];
        Some(look_in(ask(CloudWatch, "DescribeAlarms", asked), ("MetricAlarms", "AlarmName"), name))
    },
    made: |alarm, _| {
        let name = alarm.name_or("AlarmName", 255);
        let arn = alarm.arn("cloudwatch", &format!("alarm:{name}"));
        made(name, [("Arn", arn)])
    },
    update: |update, _| {
        let mut asks = vec![put(&update.new, update.id())];
        let tags = update.retagged();
        let arn = || s(update.made.attribute("Arn"));
        if !tags.gone.is_empty() {
            let asked = [("ResourceARN", arn()), ("TagKeys", tags.keys())];
            asks.push(ask(CloudWatch, "UntagResource", asked));
        }
        // Of an alarm that is there, PutMetricAlarm leaves the tags as they are.
        if !tags.set.is_empty() {
            let set = super::resource::listed(tags.set, "Key", "Value");
            let asked = [("ResourceARN", arn()), ("Tags", Some(set))];
            asks.push(ask(CloudWatch, "TagResource", asked));
        }
        Ok(asks)
    },
    delete: |_, made, _| {
        let names = Json::array(made.id());
        vec![
            ask(CloudWatch, "DeleteAlarms", [("AlarmNames", Some(names))])
                .or(&["ResourceNotFound", "ResourceNotFoundException"]),
        ]
    },
    ..Kind::new("AWS::CloudWatch::Alarm", PROPERTIES)
};
