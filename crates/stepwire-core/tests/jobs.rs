//! Jobs in a kernel: what devices ask by MQTT, how a job is rolled out, and that nothing of it is lost.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use node::{Node, number, text};
use stepwire_asl::Json;
use stepwire_core::broker::{self, ConnectionId, Principal};
use stepwire_core::message::{Identity, Profile};
use stepwire_core::mqtt::{Connect, Packet, Publish, Subscribe, SubscriptionOptions, Version};
use stepwire_core::{Effect, Input, Request, Service};

const DEVICE: ConnectionId = ConnectionId(1);
const MINUTE_MS: i64 = 60_000;

fn packet(node: &mut Node, packet: Packet) {
    node.input(Input::Device(broker::Input::Packet { connection: DEVICE, packet }));
}

/// Connects a client of this name that subscribes to `filters`.
fn connect(node: &mut Node, filters: &[&str]) {
    let principal = Principal {
        identity: Identity::Anonymous,
        ip: [127, 0, 0, 1].into(),
        profile: Profile::Standard,
        anonymous_allowed: true,
    };
    let connect = Box::new(Connect::new(Version::V5, "lamp"));
    node.input(Input::Device(broker::Input::Connect { connection: DEVICE, principal, connect }));
    if !filters.is_empty() {
        let filters = filters.iter().map(|it| ((*it).into(), SubscriptionOptions::default()));
        let packet_id = 1.try_into().unwrap();
        let subscribe = Subscribe {
            packet_id,
            filters: filters.collect(),
            subscription_id: None,
            user_properties: Vec::new(),
        };
        packet(node, Packet::Subscribe(subscribe));
    }
    node.effects.clear();
}

fn publish(node: &mut Node, topic: &str, payload: &str) {
    let payload = payload.to_owned().into_bytes();
    let topic = format!("$aws/things/lamp/jobs/{topic}");
    packet(node, Packet::Publish(Publish::new(&*topic, payload)));
}

/// What the device has heard: topics without `$aws/things/lamp/jobs/`, and payloads.
fn heard(node: &mut Node) -> Vec<(String, Json)> {
    let effects = std::mem::take(&mut node.effects).into_iter();
    let messages = effects.filter_map(|effect| match effect {
        Effect::Send { packet: Packet::Publish(publish), .. } => {
            let topic = publish.topic.trim_start_matches("$aws/things/lamp/jobs/").to_owned();
            let payload = std::str::from_utf8(&publish.payload).unwrap().to_owned();
            Some((topic, Json::parse(&payload).unwrap()))
        }
        _ => None,
    });
    messages.collect()
}

fn topics(heard: &[(String, Json)]) -> Vec<&str> {
    heard.iter().map(|(topic, _)| topic.as_str()).collect()
}

fn request(node: &mut Node, service: Service, operation: &str, body: &str) -> Result<Json, String> {
    let request = Request::parse(service, operation, &Json::parse(body).unwrap()).unwrap();
    let request = request.map_err(|error| error.to_string())?;
    if request.is_read() {
        return request.answer(&node.disk, &node.settings).map_err(|error| error.to_string());
    }
    let answer = node.change(request).map_err(|error| error.to_string());
    node.check();
    answer
}

fn iot(node: &mut Node, operation: &str, body: &str) -> Json {
    let answer = request(node, Service::Iot, operation, body);
    answer.unwrap_or_else(|error| panic!("{operation}: {error}"))
}

fn thing(node: &mut Node, name: &str) {
    iot(node, "CreateThing", &format!(r#"{{"thingName":"{name}"}}"#));
}

fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:iot:us-east-1:000000000000:{kind}/{name}")
}

/// A job for targets, with more members.
fn job(node: &mut Node, id: &str, targets: &[String], more: &str) -> Json {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let targets = targets.join(",");
    let document = r#""{\"op\":\"update\"}""#;
    let body = format!(r#"{{"jobId":"{id}","targets":[{targets}],"document":{document}{more}}}"#);
    iot(node, "CreateJob", &body)
}

fn described(node: &mut Node, id: &str) -> Json {
    let answer = iot(node, "DescribeJob", &format!(r#"{{"jobId":"{id}"}}"#));
    answer.member("job").unwrap().clone()
}

fn status(node: &mut Node, id: &str) -> String {
    text(&described(node, id), "status")
}

/// Things by how their executions stand: a letter and a number for each status that some have.
fn counts(node: &mut Node, id: &str) -> String {
    let job = described(node, id);
    let details = job.member("jobProcessDetails").unwrap();
    let all = [
        "Queued",
        "InProgress",
        "Succeeded",
        "Failed",
        "TimedOut",
        "Rejected",
        "Removed",
        "Canceled",
    ];
    let some = all.iter().filter_map(|name| {
        let count = number(details, &format!("numberOf{name}Things"));
        (count > 0).then(|| format!("{name} {count}"))
    });
    some.collect::<Vec<_>>().join(", ")
}

/// What a thing says of its execution of a job.
fn says(node: &mut Node, thing: &str, job: &str, status: &str) -> Result<Json, String> {
    let body = format!(r#"{{"thingName":"{thing}","jobId":"{job}","status":"{status}"}}"#);
    request(node, Service::IotJobsData, "UpdateJobExecution", &body)
}

/// Lets time pass, doing what is due in it.
fn pass(node: &mut Node, ms: i64) {
    let end = node.now.plus_ms(ms);
    while let Some(due) = node.kernel.due().filter(|due| *due <= end) {
        node.now = node.now.max(due);
        node.input(Input::Tick);
    }
    node.now = end;
    node.check();
}

#[test]
fn a_device_does_a_job_by_mqtt_and_needs_no_subscription_for_answers() {
    let mut node = Node::new();
    thing(&mut node, "lamp");
    connect(&mut node, &["$aws/things/lamp/jobs/notify", "$aws/things/lamp/jobs/notify-next"]);
    job(&mut node, "one", &[arn("thing", "lamp")], "");
    let said = heard(&mut node);
    assert_eq!(topics(&said), ["notify", "notify-next"]);
    let execution = said[1].1.member("execution").unwrap();
    assert_eq!(text(execution, "status"), "QUEUED");
    assert_eq!(execution.member("jobDocument").unwrap().to_text(), r#"{"op":"update"}"#);

    publish(&mut node, "get", r#"{"clientToken":"a"}"#);
    let said = heard(&mut node);
    assert_eq!(topics(&said), ["get/accepted"]);
    assert_eq!(text(&said[0].1, "clientToken"), "a");
    assert_eq!(said[0].1.member("queuedJobs").unwrap().as_array().unwrap().len(), 1);

    publish(&mut node, "start-next", r#"{"statusDetails":{"step":"1"}}"#);
    let said = heard(&mut node);
    assert_eq!(topics(&said), ["start-next/accepted"], "the head is still the head");
    let execution = said[0].1.member("execution").unwrap();
    assert_eq!(
        (text(execution, "status"), number(execution, "versionNumber")),
        ("IN_PROGRESS".into(), 2)
    );

    publish(&mut node, "one/update", r#"{"status":"SUCCEEDED","expectedVersion":1}"#);
    let said = heard(&mut node);
    assert_eq!(
        (topics(&said), text(&said[0].1, "code")),
        (vec!["one/update/rejected"], "VersionMismatch".into())
    );
    assert_eq!(text(said[0].1.member("executionState").unwrap(), "status"), "IN_PROGRESS");

    let update = r#"{"status":"SUCCEEDED","expectedVersion":2,"includeJobExecutionState":true}"#;
    publish(&mut node, "one/update", update);
    let said = heard(&mut node);
    assert_eq!(topics(&said), ["one/update/accepted", "notify", "notify-next"]);
    assert_eq!(text(said[0].1.member("executionState").unwrap(), "status"), "SUCCEEDED");
    assert!(said[2].1.member("execution").is_none(), "nothing is left: the time alone");
    assert_eq!(status(&mut node, "one"), "COMPLETED");

    publish(&mut node, "one/update", r#"{"status":"FAILED"}"#);
    publish(&mut node, "two/get", "{}");
    publish(&mut node, "$next/get", "");
    publish(&mut node, "get", "{");
    let said = heard(&mut node);
    let codes: Vec<String> = said.iter().map(|(_, payload)| text(payload, "code")).collect();
    assert_eq!(codes, ["InvalidStateTransition", "ResourceNotFound", "", "InvalidJson"]);
    assert_eq!(said[2].0, "$next/get/accepted");
    node.check();
}

#[test]
fn answers_of_jobs_pass_by_no_rule_but_notices_do() {
    let mut node = Node::new();
    thing(&mut node, "lamp");
    let rule = r#"{"ruleName":"r","topicRulePayload":{"sql":"SELECT topic() AS t FROM '$aws/things/+/jobs/#'",
        "actions":[{"republish":{"topic":"out","roleArn":"arn:aws:iam::000000000000:role/r"}}]}}"#;
    iot(&mut node, "CreateTopicRule", rule);
    connect(&mut node, &["out"]);
    job(&mut node, "one", &[arn("thing", "lamp")], "");
    publish(&mut node, "get", "{}");
    let seen: Vec<String> = heard(&mut node)
        .iter()
        .map(|(topic, payload)| if topic == "out" { text(payload, "t") } else { topic.clone() })
        .collect();
    let prefix = "$aws/things/lamp/jobs/";
    assert!(seen.contains(&format!("{prefix}notify-next")), "{seen:?}");
    assert!(seen.contains(&format!("{prefix}get")), "{seen:?}");
    assert!(seen.contains(&"get/accepted".to_owned()), "{seen:?}");
    assert!(!seen.contains(&format!("{prefix}get/accepted")), "{seen:?}");
}

#[test]
fn things_are_told_at_the_pace_of_the_rollout() {
    let mut node = Node::new();
    let all: Vec<String> = (0..90).map(|number| format!("t{number:02}")).collect();
    all.iter().for_each(|name| thing(&mut node, name));
    let targets: Vec<String> = all.iter().map(|name| arn("thing", name)).collect();
    let pace = r#","jobExecutionsRolloutConfig":{"exponentialRate":{"baseRatePerMinute":30,"incrementFactor":2,
        "rateIncreaseCriteria":{"numberOfNotifiedThings":30}}}"#;
    job(&mut node, "slow", &targets, pace);
    assert_eq!(counts(&mut node, "slow"), "Queued 1");
    pass(&mut node, MINUTE_MS / 2);
    assert_eq!(counts(&mut node, "slow"), "Queued 16");
    pass(&mut node, MINUTE_MS / 2);
    // Thirty have been told: twice as fast from now on.
    assert_eq!(counts(&mut node, "slow"), "Queued 31");
    pass(&mut node, MINUTE_MS / 2);
    assert_eq!(counts(&mut node, "slow"), "Queued 62");
    node.kill();
    pass(&mut node, MINUTE_MS);
    assert_eq!(counts(&mut node, "slow"), "Queued 90");
}

#[test]
fn failures_are_tried_again_and_too_many_end_the_job() {
    let mut node = Node::new();
    let all: Vec<String> = (0..10).map(|number| format!("t{number}")).collect();
    all.iter().for_each(|name| thing(&mut node, name));
    let targets: Vec<String> = all.iter().map(|name| arn("thing", name)).collect();
    let more = r#","jobExecutionsRetryConfig":{"criteriaList":[{"failureType":"FAILED","numberOfRetries":1}]},
        "abortConfig":{"criteriaList":[{"failureType":"FAILED","action":"CANCEL","thresholdPercentage":20,
        "minNumberOfExecutedThings":5}]}"#;
    job(&mut node, "picky", &targets, more);
    says(&mut node, "t0", "picky", "FAILED").unwrap();
    assert_eq!(counts(&mut node, "picky"), "Queued 10", "it is tried again, and counts once");
    let of_thing = iot(&mut node, "ListJobExecutionsForThing", r#"{"thingName":"t0"}"#);
    let listed = of_thing.member("executionSummaries").unwrap().as_array().unwrap();
    let attempts: Vec<(String, i64)> = listed
        .iter()
        .map(|it| it.member("jobExecutionSummary").unwrap())
        .map(|it| (text(it, "status"), number(it, "retryAttempt")))
        .collect();
    assert_eq!(attempts, [("FAILED".into(), 0), ("QUEUED".into(), 1)]);
    says(&mut node, "t0", "picky", "FAILED").unwrap();
    assert_eq!(counts(&mut node, "picky"), "Queued 9, Failed 1");
    says(&mut node, "t2", "picky", "IN_PROGRESS").unwrap();
    says(&mut node, "t1", "picky", "FAILED").unwrap();
    says(&mut node, "t1", "picky", "FAILED").unwrap();
    assert_eq!(status(&mut node, "picky"), "CANCELED");
    assert_eq!(counts(&mut node, "picky"), "InProgress 1, Failed 2, Canceled 7");
    // Who has begun may end.
    says(&mut node, "t2", "picky", "SUCCEEDED").unwrap();
    assert_eq!(counts(&mut node, "picky"), "Succeeded 1, Failed 2, Canceled 7");
    let refused = says(&mut node, "t3", "picky", "SUCCEEDED").unwrap_err();
    assert!(refused.contains("InvalidStateTransitionException"), "{refused}");
}

#[test]
fn what_takes_too_long_times_out_after_a_restart_too() {
    let mut node = Node::new();
    ["a", "b"].iter().for_each(|name| thing(&mut node, name));
    let timeout = r#","timeoutConfig":{"inProgressTimeoutInMinutes":10}"#;
    job(&mut node, "timed", &[arn("thing", "a"), arn("thing", "b")], timeout);
    let start = r#"{"thingName":"a","stepTimeoutInMinutes":2}"#;
    request(&mut node, Service::IotJobsData, "StartNextPendingJobExecution", start).unwrap();
    says(&mut node, "b", "timed", "IN_PROGRESS").unwrap();
    node.kill();
    pass(&mut node, 3 * MINUTE_MS);
    assert_eq!(counts(&mut node, "timed"), "InProgress 1, TimedOut 1");
    pass(&mut node, 8 * MINUTE_MS);
    assert_eq!(counts(&mut node, "timed"), "TimedOut 2");
    assert_eq!(status(&mut node, "timed"), "COMPLETED");
}

#[test]
fn a_continuous_job_follows_who_is_in_its_group() {
    let mut node = Node::new();
    ["a", "b", "c"].iter().for_each(|name| thing(&mut node, name));
    iot(&mut node, "CreateThingGroup", r#"{"thingGroupName":"all"}"#);
    iot(&mut node, "CreateThingGroup", r#"{"thingGroupName":"some","parentGroupName":"all"}"#);
    let member = |node: &mut Node, operation: &str, thing: &str| {
        let body = format!(r#"{{"thingGroupName":"some","thingName":"{thing}"}}"#);
        iot(node, operation, &body);
        pass(node, 1);
    };
    member(&mut node, "AddThingToThingGroup", "a");
    let group = [arn("thinggroup", "all")];
    job(&mut node, "on", &group, r#","targetSelection":"CONTINUOUS""#);
    job(&mut node, "once", &group, "");
    member(&mut node, "AddThingToThingGroup", "b");
    member(&mut node, "AddThingToThingGroup", "c");
    assert_eq!(
        (counts(&mut node, "on"), counts(&mut node, "once")),
        ("Queued 3".into(), "Queued 1".into())
    );
    member(&mut node, "RemoveThingFromThingGroup", "b");
    iot(&mut node, "DeleteThing", r#"{"thingName":"c"}"#);
    assert_eq!(counts(&mut node, "on"), "Queued 1, Removed 2");
    says(&mut node, "a", "on", "SUCCEEDED").unwrap();
    says(&mut node, "a", "once", "SUCCEEDED").unwrap();
    assert_eq!(
        (status(&mut node, "on"), status(&mut node, "once")),
        ("IN_PROGRESS".into(), "COMPLETED".into())
    );
    // Who comes again does it again.
    member(&mut node, "AddThingToThingGroup", "b");
    assert_eq!(counts(&mut node, "on"), "Queued 1, Succeeded 1, Removed 1");
    let again = r#"{"jobId":"on","thingName":"b"}"#;
    let again = iot(&mut node, "DescribeJobExecution", again);
    assert_eq!(number(again.member("execution").unwrap(), "executionNumber"), 2);
}

#[test]
fn a_job_begins_and_ends_when_its_schedule_says() {
    let mut node = Node::new();
    ["a", "b"].iter().for_each(|name| thing(&mut node, name));
    let minute = |node: &Node, minutes: i64| {
        node.now.plus_ms(minutes * MINUTE_MS).rfc3339().get(..16).unwrap().to_owned()
    };
    let (start, end) = (minute(&node, 60), minute(&node, 120));
    let schedule = format!(
        r#","schedulingConfig":{{"startTime":"{start}","endTime":"{end}","endBehavior":"FORCE_CANCEL"}}"#
    );
    job(&mut node, "later", &[arn("thing", "a"), arn("thing", "b")], &schedule);
    assert_eq!(
        (status(&mut node, "later"), counts(&mut node, "later")),
        ("SCHEDULED".into(), String::new())
    );
    pass(&mut node, 60 * MINUTE_MS);
    assert_eq!(
        (status(&mut node, "later"), counts(&mut node, "later")),
        ("IN_PROGRESS".into(), "Queued 2".into())
    );
    says(&mut node, "a", "later", "IN_PROGRESS").unwrap();
    pass(&mut node, 60 * MINUTE_MS);
    assert_eq!(
        (status(&mut node, "later"), counts(&mut node, "later")),
        ("CANCELED".into(), "Canceled 2".into())
    );
    let soon = minute(&node, 10);
    let schedule = format!(r#""schedulingConfig":{{"startTime":"{soon}"}}"#);
    let body = format!(
        r#"{{"jobId":"x","targets":["{}"],"document":"{{}}",{schedule}}}"#,
        arn("thing", "a")
    );
    let refused = request(&mut node, Service::Iot, "CreateJob", &body).unwrap_err();
    assert!(refused.contains("at least 30 minutes"), "{refused}");
}

#[test]
fn a_large_job_is_told_canceled_and_deleted_in_slices_through_crashes() {
    let mut node = Node::new();
    iot(&mut node, "CreateThingGroup", r#"{"thingGroupName":"all"}"#);
    let make = |node: &mut Node, operation: &str, body: &str| {
        let body = Json::parse(body).unwrap();
        let request = Request::parse(Service::Iot, operation, &body).unwrap().unwrap();
        node.change(request).unwrap();
    };
    for number in 0..1_300 {
        let name = format!("t{number:04}");
        make(&mut node, "CreateThing", &format!(r#"{{"thingName":"{name}"}}"#));
        let member = format!(r#"{{"thingGroupName":"all","thingName":"{name}"}}"#);
        make(&mut node, "AddThingToThingGroup", &member);
    }
    job(&mut node, "big", &[arn("thinggroup", "all")], "");
    assert_eq!(counts(&mut node, "big"), "Queued 500");
    node.kill();
    node.run();
    assert_eq!(counts(&mut node, "big"), "Queued 1300");
    iot(&mut node, "CancelJob", r#"{"jobId":"big","comment":"no"}"#);
    assert_eq!(counts(&mut node, "big"), "Queued 300, Canceled 1000");
    node.kill();
    node.run();
    assert_eq!(counts(&mut node, "big"), "Canceled 1300");
    iot(&mut node, "DeleteJob", r#"{"jobId":"big"}"#);
    node.input(Input::Tick);
    node.kill();
    node.run();
    node.check();
    let gone = request(&mut node, Service::Iot, "DescribeJob", r#"{"jobId":"big"}"#).unwrap_err();
    assert!(gone.contains("ResourceNotFoundException"), "{gone}");
    let left = node.disk.keys().filter(|key| (0xB0..=0xB6).contains(&key[0])).count();
    assert_eq!(left, 0, "nothing of it is left");
}

#[test]
fn a_document_may_name_an_object_that_the_device_may_read_for_a_while() {
    let mut node = Node::new();
    thing(&mut node, "lamp");
    node.bucket("firmware");
    node.put(
        "firmware",
        "v 2/image.json",
        r#"{"url":"${aws:iot:s3-presigned-url:https://s3.amazonaws.com/firmware/v 2/image.bin}"}"#,
    );
    let body = |more: &str| {
        format!(
            r#"{{"jobId":"fw","targets":["{}"],"documentSource":"https://firmware.s3.amazonaws.com/v%202/image.json"{more}}}"#,
            arn("thing", "lamp")
        )
    };
    let refused = request(&mut node, Service::Iot, "CreateJob", &body("")).unwrap_err();
    assert!(refused.contains("presignedUrlConfig is needed"), "{refused}");
    let role = r#","presignedUrlConfig":{"roleArn":"arn:aws:iam::000000000000:role/download","expiresInSec":300}"#;
    iot(&mut node, "CreateJob", &body(role));
    let start = r#"{"thingName":"lamp"}"#;
    let started = request(&mut node, Service::IotJobsData, "StartNextPendingJobExecution", start);
    let document = text(started.unwrap().member("execution").unwrap(), "jobDocument");
    let url = text(&Json::parse(&document).unwrap(), "url");
    assert!(url.contains("/firmware/v%202/image.bin?X-Amz-Algorithm=AWS4-HMAC-SHA256&"), "{url}");
    assert!(url.contains("&X-Amz-Expires=300&") && url.contains("&X-Amz-Signature="), "{url}");
}

#[test]
fn events_tell_of_jobs_and_executions_once_they_are_wanted() {
    let mut node = Node::new();
    ["a", "b"].iter().for_each(|name| thing(&mut node, name));
    connect(&mut node, &["$aws/events/#"]);
    job(&mut node, "quiet", &[arn("thing", "a")], "");
    says(&mut node, "a", "quiet", "SUCCEEDED").unwrap();
    assert_eq!(topics(&heard(&mut node)), [""; 0]);
    let on = r#"{"eventConfigurations":{"JOB":{"Enabled":true},"JOB_EXECUTION":{"Enabled":true}}}"#;
    iot(&mut node, "UpdateEventConfigurations", on);
    job(&mut node, "told", &[arn("thing", "a"), arn("thing", "b")], "");
    says(&mut node, "a", "told", "REJECTED").unwrap();
    iot(&mut node, "CancelJob", r#"{"jobId":"told","reasonCode":"NO"}"#);
    iot(&mut node, "DeleteJob", r#"{"jobId":"told"}"#);
    node.run();
    let said = heard(&mut node);
    let mut names: Vec<&str> = topics(&said);
    names.iter_mut().for_each(|name| *name = name.trim_start_matches("$aws/events/"));
    assert_eq!(
        names,
        [
            "jobExecution/told/rejected",
            "job/told/cancellation_in_progress",
            "jobExecution/told/canceled",
            "job/told/canceled",
            "job/told/deletion_in_progress",
            "jobExecution/told/deleted",
            "jobExecution/told/deleted",
            "job/told/deleted",
        ]
    );
    let canceled = &said[3].1;
    assert_eq!(
        (text(canceled, "status"), text(canceled, "reasonCode")),
        ("CANCELED".into(), "NO".into())
    );
}
