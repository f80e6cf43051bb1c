//! Metrics and alarms against a kernel and a disk that outlives it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use node::{Node, text};
use stepwire_asl::{Json, Timestamp};
use stepwire_core::{ApiError, Effect, Input, Request, Service, Settings};

/// 2027-01-15T08:00:00Z, the begin of a minute.
const START: Timestamp = Timestamp(1_800_000_000_000);

fn call(node: &mut Node, service: Service, operation: &str, body: &str) -> Result<Json, ApiError> {
    let body = Json::parse(body).unwrap();
    let request = Request::parse(service, operation, &body);
    let request = request.unwrap_or_else(|| panic!("{operation} is not served"))?;
    if request.is_read() {
        return request.answer(&node.disk, &node.settings);
    }
    let answer = node.change(request);
    node.check();
    answer
}

fn ask(node: &mut Node, operation: &str, body: &str) -> Json {
    call(node, Service::CloudWatch, operation, body)
        .unwrap_or_else(|error| panic!("{operation}: {error}"))
}

fn refused(node: &mut Node, operation: &str, body: &str) -> (String, String) {
    let error = call(node, Service::CloudWatch, operation, body).unwrap_err();
    (error.code.into_owned(), error.message)
}

fn put(node: &mut Node, datum: &str) {
    let body = format!(r#"{{"Namespace":"Fleet","MetricData":[{datum}]}}"#);
    ask(node, "PutMetricData", &body);
}

/// The time goes on, and what is due by then is done.
fn wait(node: &mut Node, seconds: i64) {
    let until = node.now.plus_ms(seconds * 1_000);
    while let Some(due) = node.kernel.due().filter(|due| *due <= until) {
        node.now = node.now.max(due);
        node.input(Input::Tick);
    }
    node.now = until;
    node.check();
}

fn statistics(node: &mut Node, period: i64, unit: &str) -> String {
    let (start, end) = (START.seconds() - 600.0, START.seconds() + 7_200.0);
    let body = format!(
        r#"{{"Namespace":"Fleet","MetricName":"Temperature","StartTime":{start},"EndTime":{end},
            "Period":{period},"Statistics":["SampleCount","Sum","Average","Minimum","Maximum"]{unit}}}"#
    );
    ask(node, "GetMetricStatistics", &body).member("Datapoints").unwrap().to_text()
}

fn alarm(node: &mut Node, more: &str) {
    let body = format!(
        r#"{{"AlarmName":"hot","Namespace":"Fleet","MetricName":"Temperature","Statistic":"Maximum",
            "Period":60,"EvaluationPeriods":1,"Threshold":80,
            "ComparisonOperator":"GreaterThanThreshold"{more}}}"#
    );
    ask(node, "PutMetricAlarm", &body);
}

fn state(node: &mut Node) -> String {
    let alarms = ask(node, "DescribeAlarms", r#"{"AlarmNames":["hot"]}"#);
    let alarms = alarms.member("MetricAlarms").unwrap().as_array().unwrap().to_vec();
    text(alarms.first().expect("an alarm"), "StateValue")
}

fn history(node: &mut Node) -> Vec<String> {
    let body = r#"{"AlarmName":"hot","ScanBy":"TimestampAscending"}"#;
    let items = ask(node, "DescribeAlarmHistory", body);
    let items = items.member("AlarmHistoryItems").unwrap().as_array().unwrap().to_vec();
    items.iter().map(|item| text(item, "HistorySummary")).collect()
}

/// A topic that a queue subscribes to; the queue's messages.
fn topic(node: &mut Node) {
    call(node, Service::Sns, "CreateTopic", r#"{"Name":"alerts"}"#).unwrap();
    call(node, Service::Sqs, "CreateQueue", r#"{"QueueName":"alerts"}"#).unwrap();
    let subscribe = r#"{"TopicArn":"arn:aws:sns:us-east-1:000000000000:alerts","Protocol":"sqs",
        "Endpoint":"arn:aws:sqs:us-east-1:000000000000:alerts",
        "Attributes":{"RawMessageDelivery":"true"}}"#;
    call(node, Service::Sns, "Subscribe", subscribe).unwrap();
}

fn received(node: &mut Node) -> Vec<Json> {
    let body = r#"{"QueueUrl":"http://localhost:4566/000000000000/alerts",
        "MaxNumberOfMessages":10,"VisibilityTimeout":43200}"#;
    let answer = call(node, Service::Sqs, "ReceiveMessage", body).unwrap();
    let messages = answer.member("Messages").and_then(Json::as_array).unwrap_or_default().to_vec();
    messages.iter().map(|message| Json::parse(&text(message, "Body")).unwrap()).collect()
}

const ACTIONS: &str = r#","AlarmActions":["arn:aws:sns:us-east-1:000000000000:alerts"],
    "OKActions":["arn:aws:sns:us-east-1:000000000000:alerts"]"#;

#[test]
fn values_of_a_minute_become_one_point() {
    let mut node = Node::new();
    put(&mut node, r#"{"MetricName":"Temperature","Value":20}"#);
    put(&mut node, r#"{"MetricName":"Temperature","Values":[30,40],"Counts":[1,2]}"#);
    let set = r#"{"SampleCount":2,"Sum":10,"Minimum":4,"Maximum":6}"#;
    put(&mut node, &format!(r#"{{"MetricName":"Temperature","StatisticValues":{set}}}"#));
    wait(&mut node, 61);
    put(&mut node, r#"{"MetricName":"Temperature","Value":"1.5"}"#);
    node.kill();
    node.check();
    assert_eq!(
        statistics(&mut node, 60, ""),
        r#"[{"Timestamp":1800000000,"SampleCount":6,"Sum":140,"Average":23.333333333333332,"Minimum":4,"Maximum":40,"Unit":"None"},{"Timestamp":1800000060,"SampleCount":1,"Sum":1.5,"Average":1.5,"Minimum":1.5,"Maximum":1.5,"Unit":"None"}]"#
    );
    assert_eq!(
        statistics(&mut node, 600, ""),
        r#"[{"Timestamp":1800000000,"SampleCount":7,"Sum":141.5,"Average":20.214285714285715,"Minimum":1.5,"Maximum":40,"Unit":"None"}]"#
    );
}

#[test]
fn units_are_kept_apart() {
    let mut node = Node::new();
    put(&mut node, r#"{"MetricName":"Temperature","Value":20,"Unit":"Count"}"#);
    put(&mut node, r#"{"MetricName":"Temperature","Value":30,"Unit":"Percent"}"#);
    let both = statistics(&mut node, 60, "");
    assert_eq!(both.matches("Timestamp").count(), 2, "{both}");
    let one = statistics(&mut node, 60, r#","Unit":"Percent""#);
    assert!(one.contains(r#""Sum":30"#) && !one.contains(r#""Sum":20"#), "{one}");
    assert_eq!(statistics(&mut node, 60, r#","Unit":"Bytes""#), "[]");
}

#[test]
fn seconds_are_there_for_metrics_of_high_resolution_alone() {
    let mut node = Node::new();
    put(&mut node, r#"{"MetricName":"Temperature","Value":1}"#);
    assert_eq!(statistics(&mut node, 60, "").matches("Timestamp").count(), 1);
    put(&mut node, r#"{"MetricName":"Temperature","Value":2,"StorageResolution":1}"#);
    let body = r#"{"MetricDataQueries":[{"Id":"q","MetricStat":{"Metric":{"Namespace":"Fleet",
        "MetricName":"Temperature"},"Period":1,"Stat":"Sum"}}],
        "StartTime":1800000000,"EndTime":1800000060}"#;
    let answer = ask(&mut node, "GetMetricData", body).to_text();
    assert!(answer.contains(r#""Timestamps":[1800000000],"Values":[2]"#), "{answer}");
    assert!(statistics(&mut node, 60, "").contains(r#""Sum":3"#));
}

#[test]
fn pages_of_data_go_on_where_the_last_ended() {
    let mut node = Node::new();
    for at in 0..5 {
        let time = 1_800_000_000 - at * 60;
        put(&mut node, &format!(r#"{{"MetricName":"a","Value":{at},"Timestamp":{time}}}"#));
        put(&mut node, &format!(r#"{{"MetricName":"b","Value":1{at},"Timestamp":{time}}}"#));
    }
    let mut values = Vec::new();
    let mut token = String::new();
    loop {
        let query = |name: &str| {
            format!(
                r#"{{"Id":"{name}","MetricStat":{{"Metric":{{"Namespace":"Fleet",
                "MetricName":"{name}"}},"Period":60,"Stat":"Maximum"}}}}"#
            )
        };
        let body = format!(
            r#"{{"MetricDataQueries":[{},{}],"StartTime":1799990000,"EndTime":1800000060,
            "MaxDatapoints":3{token}}}"#,
            query("a"),
            query("b")
        );
        let page = ask(&mut node, "GetMetricData", &body);
        for result in page.member("MetricDataResults").unwrap().as_array().unwrap() {
            let found = result.member("Values").unwrap().as_array().unwrap();
            values.extend(found.iter().filter_map(Json::as_i64));
        }
        match page.member("NextToken").and_then(Json::as_str) {
            Some(next) => token = format!(r#","NextToken":"{next}""#),
            None => break,
        }
    }
    assert_eq!(values, [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]);
}

#[test]
fn metrics_are_listed_by_what_they_are() {
    let mut node = Node::new();
    put(
        &mut node,
        r#"{"MetricName":"t","Value":1,"Dimensions":[{"Name":"b","Value":"2"},{"Name":"a","Value":"1"}]}"#,
    );
    put(
        &mut node,
        r#"{"MetricName":"t","Value":1,"Dimensions":[{"Name":"a","Value":"1"},{"Name":"b","Value":"2"}]}"#,
    );
    put(&mut node, r#"{"MetricName":"t","Value":1}"#);
    put(&mut node, r#"{"MetricName":"u","Value":1}"#);
    let mut count = |body: &str| {
        let answer = ask(&mut node, "ListMetrics", body);
        answer.member("Metrics").unwrap().as_array().unwrap().len()
    };
    assert_eq!(count("{}"), 3);
    assert_eq!(count(r#"{"Namespace":"Fleet","MetricName":"t"}"#), 2);
    assert_eq!(count(r#"{"MetricName":"t","Dimensions":[{"Name":"a"}]}"#), 1);
    assert_eq!(count(r#"{"Dimensions":[{"Name":"a","Value":"9"}]}"#), 0);
    assert_eq!(count(r#"{"RecentlyActive":"PT3H"}"#), 3);
    assert_eq!(count(r#"{"Namespace":"Flee"}"#), 0);
    wait(&mut node, 4 * 3_600);
    let answer = ask(&mut node, "ListMetrics", r#"{"RecentlyActive":"PT3H"}"#);
    assert_eq!(answer.to_text(), r#"{"Metrics":[]}"#);
}

#[test]
fn what_has_been_kept_long_enough_goes_and_the_metric_with_it() {
    let mut node = Node::new();
    put(&mut node, r#"{"MetricName":"Temperature","Value":1,"StorageResolution":1}"#);
    let (all, points) = (node.disk.len(), |node: &Node| {
        node.disk.keys().filter(|key| key.first() == Some(&0x5B)).count()
    });
    assert_eq!(points(&node), 2, "a second and a minute");
    wait(&mut node, 4 * 3_600);
    assert_eq!(points(&node), 1, "the minute");
    wait(&mut node, 17 * 24 * 3_600);
    assert_eq!(points(&node), 0);
    assert!(node.disk.len() < all);
    assert_eq!(ask(&mut node, "ListMetrics", "{}").to_text(), r#"{"Metrics":[]}"#);
    assert_eq!(node.kernel.due(), None, "nothing is left to do");
}

#[test]
fn what_cannot_be_put_is_refused_and_nothing_of_it_is_kept() {
    let mut settings = Settings::default();
    settings.quotas.metrics_max = 1;
    let mut node = Node::with(settings);
    let cases = [
        (
            r#"{"MetricName":"m","Value":1},{"MetricName":"m","Value":"NaN"}"#,
            "InvalidParameterValueException",
        ),
        (r#"{"MetricName":"m"}"#, "MissingRequiredParameterException"),
        (r#"{"Value":1}"#, "MissingRequiredParameterException"),
        (r#"{"MetricName":"m","Value":1,"Values":[1]}"#, "InvalidParameterCombinationException"),
        (r#"{"MetricName":"m","Values":[1],"Counts":[1,2]}"#, "InvalidParameterValueException"),
        (r#"{"MetricName":"m","Value":1,"Unit":"Kelvin"}"#, "InvalidParameterValueException"),
        (r#"{"MetricName":"m","Value":1,"StorageResolution":5}"#, "InvalidParameterValueException"),
        (
            r#"{"MetricName":"m","Value":1,"Timestamp":1798700000}"#,
            "InvalidParameterValueException",
        ),
        (
            r#"{"MetricName":"m","Value":1,"Timestamp":1800007300}"#,
            "InvalidParameterValueException",
        ),
        (r#"{"MetricName":"m","Value":1,"Surprise":1}"#, "ValidationError"),
        (r#"{"MetricName":"m","Value":1},{"MetricName":"n","Value":1}"#, "LimitExceededFault"),
        (r#"{"MetricName":"m\u0000","Value":1}"#, "InvalidParameterValueException"),
    ];
    for (data, code) in cases {
        let body = format!(r#"{{"Namespace":"Fleet","MetricData":[{data}]}}"#);
        let (found, why) = refused(&mut node, "PutMetricData", &body);
        assert_eq!(found, code, "{data}: {why}");
    }
    assert!(node.disk.is_empty());
    let body = r#"{"MetricDataQueries":[{"Id":"e","Expression":"SUM(METRICS())"}],
        "StartTime":0,"EndTime":60}"#;
    let (_, why) = refused(&mut node, "GetMetricData", body);
    assert!(why.contains("Expression") && why.contains("not available"), "{why}");
}

#[test]
fn an_alarm_goes_off_and_back_and_tells_its_topic() {
    let mut node = Node::new();
    topic(&mut node);
    alarm(&mut node, ACTIONS);
    wait(&mut node, 1);
    assert_eq!(state(&mut node), "INSUFFICIENT_DATA");
    put(&mut node, r#"{"MetricName":"Temperature","Value":90}"#);
    assert_eq!(state(&mut node), "INSUFFICIENT_DATA", "the minute is not over");
    wait(&mut node, 60);
    assert_eq!(state(&mut node), "ALARM");
    let told = received(&mut node);
    let told = told.first().expect("a message");
    assert_eq!(text(told, "NewStateValue"), "ALARM");
    assert_eq!(text(told, "OldStateValue"), "INSUFFICIENT_DATA");
    assert_eq!(
        text(told, "NewStateReason"),
        "Threshold Crossed: 1 datapoint [90.0 (15/01/27 08:00:00)] was greater than the threshold \
         (80.0)."
    );
    node.kill();
    node.check();
    put(&mut node, r#"{"MetricName":"Temperature","Value":70}"#);
    wait(&mut node, 60);
    assert_eq!(state(&mut node), "OK");
    assert_eq!(received(&mut node).len(), 1);
    assert_eq!(
        history(&mut node),
        [
            "Alarm \"hot\" created",
            "Alarm updated from INSUFFICIENT_DATA to ALARM",
            "Successfully executed action arn:aws:sns:us-east-1:000000000000:alerts",
            "Alarm updated from ALARM to OK",
            "Successfully executed action arn:aws:sns:us-east-1:000000000000:alerts",
        ]
    );
    wait(&mut node, 600);
    assert_eq!(state(&mut node), "INSUFFICIENT_DATA", "the metric is silent");
}

#[test]
fn an_alarm_whose_metric_is_silent_is_not_looked_at() {
    let mut node = Node::new();
    alarm(&mut node, "");
    wait(&mut node, 1);
    assert_eq!(node.kernel.due(), None);
    let datum = r#"{"MetricName":"Temperature","Value":90,"Timestamp":1800003600}"#;
    put(&mut node, datum);
    wait(&mut node, 3_600 + 60);
    assert_eq!(state(&mut node), "ALARM", "data of an hour ahead is looked at when it is over");
    wait(&mut node, 3_600);
    let later = node.kernel.due().unwrap();
    assert!(later.since_ms(node.now) > 24 * 3_600_000, "only points that are removed some day");
}

#[test]
fn a_restart_looks_at_what_was_missed() {
    let mut node = Node::new();
    alarm(&mut node, "");
    put(&mut node, r#"{"MetricName":"Temperature","Value":90}"#);
    node.kill();
    node.now = node.now.plus_ms(61_000);
    wait(&mut node, 0);
    assert_eq!(state(&mut node), "ALARM");
}

#[test]
fn a_state_that_is_set_has_its_consequences_until_the_data_say_otherwise() {
    let mut node = Node::new();
    topic(&mut node);
    alarm(&mut node, ACTIONS);
    wait(&mut node, 1);
    let set = r#"{"AlarmName":"hot","StateValue":"ALARM","StateReason":"drill"}"#;
    ask(&mut node, "SetAlarmState", set);
    assert_eq!(state(&mut node), "ALARM");
    assert_eq!(received(&mut node).len(), 1);
    ask(&mut node, "SetAlarmState", set);
    assert_eq!(received(&mut node).len(), 0, "it was in that state already");
    wait(&mut node, 60);
    assert_eq!(state(&mut node), "INSUFFICIENT_DATA");
    ask(&mut node, "DisableAlarmActions", r#"{"AlarmNames":["hot"]}"#);
    ask(&mut node, "SetAlarmState", set);
    assert_eq!(received(&mut node).len(), 0);
    let missing = r#"{"AlarmName":"none","StateValue":"OK","StateReason":"x"}"#;
    assert_eq!(refused(&mut node, "SetAlarmState", missing).0, "ResourceNotFound");
    let wrong = r#"{"AlarmName":"hot","StateValue":"WARM","StateReason":"x"}"#;
    assert_eq!(refused(&mut node, "SetAlarmState", wrong).0, "ValidationError");
}

#[test]
fn an_action_that_fails_is_reported_and_noted() {
    let mut node = Node::new();
    alarm(&mut node, ACTIONS);
    let set = r#"{"AlarmName":"hot","StateValue":"ALARM","StateReason":"drill"}"#;
    ask(&mut node, "SetAlarmState", set);
    assert!(node.effects.iter().any(|effect| matches!(effect, Effect::Report(_))));
    let last = history(&mut node).pop().unwrap();
    assert!(last.starts_with("Failed to execute action"), "{last}");
}

#[test]
fn what_an_alarm_cannot_be_is_refused_by_name() {
    let mut node = Node::new();
    let base = r#""AlarmName":"a","Namespace":"n","MetricName":"m","EvaluationPeriods":1,
        "Threshold":1"#;
    let above = r#""ComparisonOperator":"GreaterThanThreshold""#;
    let whole = format!(r#"{base},{above},"Period":60,"Statistic":"Sum""#);
    let cases = [
        (format!(r#"{whole},"Metrics":[]"#), "metric math"),
        (format!(r#"{base},{above},"Period":60,"ExtendedStatistic":"p90""#), "percentiles"),
        (format!(r#"{whole},"AlarmActions":["arn:aws:automate:us-east-1:ec2:stop"]"#), "automate"),
        (format!(r#"{base},{above},"Period":7,"Statistic":"Sum""#), "Period"),
        (
            format!(r#"{base},{above},"Period":86460,"Statistic":"Sum","EvaluationPeriods":99"#),
            "more than",
        ),
        (format!(r#"{base},"Period":60,"Statistic":"Sum""#), "ComparisonOperator"),
        (format!(r#"{whole},"EvaluationWindow":{{}}"#), "EvaluationWindow"),
        (format!(r#"{whole},"DatapointsToAlarm":2"#), "datapointsToAlarm"),
    ];
    for (members, named) in cases {
        let (_, why) = refused(&mut node, "PutMetricAlarm", &format!("{{{members}}}"));
        assert!(why.contains(named), "{members}: {why}");
    }
    assert!(Request::parse(Service::CloudWatch, "PutCompositeAlarm", &Json::Null).is_none());
    assert!(node.disk.is_empty());
}

#[test]
fn deleted_alarms_leave_nothing_behind() {
    let mut node = Node::new();
    alarm(&mut node, r#","Tags":[{"Key":"k","Value":"v"}]"#);
    let arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:hot";
    let body = format!(r#"{{"ResourceARN":"{arn}"}}"#);
    let tags = ask(&mut node, "ListTagsForResource", &body);
    assert_eq!(tags.to_text(), r#"{"Tags":[{"Key":"k","Value":"v"}]}"#);
    let body = format!(r#"{{"ResourceARN":"{arn}","TagKeys":["k"]}}"#);
    ask(&mut node, "UntagResource", &body);
    for state in ["ALARM", "OK", "ALARM"] {
        let body = format!(r#"{{"AlarmName":"hot","StateValue":"{state}","StateReason":"drill"}}"#);
        ask(&mut node, "SetAlarmState", &body);
    }
    let (code, _) = refused(&mut node, "DeleteAlarms", r#"{"AlarmNames":["hot","cold"]}"#);
    assert_eq!(code, "ResourceNotFound");
    assert_eq!(state(&mut node), "ALARM");
    ask(&mut node, "DeleteAlarms", r#"{"AlarmNames":["hot"]}"#);
    assert!(node.disk.is_empty(), "{:?}", node.disk);
    assert_eq!(node.kernel.due(), None);
}

#[test]
fn the_oldest_items_of_a_long_history_go() {
    let mut node = Node::new();
    alarm(&mut node, "");
    for at in 0..1_010 {
        let state = if at % 2 == 0 { "ALARM" } else { "OK" };
        let body = format!(r#"{{"AlarmName":"hot","StateValue":"{state}","StateReason":"drill"}}"#);
        let body = Json::parse(&body).unwrap();
        let request = Request::parse(Service::CloudWatch, "SetAlarmState", &body);
        node.change(request.unwrap().unwrap()).unwrap();
    }
    node.check();
    let items = node.disk.keys().filter(|key| key.first() == Some(&0x5A)).count();
    assert_eq!(items, 1_000);
}
