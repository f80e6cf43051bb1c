//! Actions of rules in a kernel: what they do, what becomes of those that fail, and what is left
//! after a crash.

#![expect(clippy::unwrap_used, reason = "tests")]

mod node;

use node::{Node, text};
use stepwire_asl::Json;
use stepwire_core::effect::Report;
use stepwire_core::{Effect, Request, Service};

/// What an operation of a service answers, or the name of its error.
fn call(node: &mut Node, service: Service, operation: &str, body: &str) -> Result<Json, String> {
    let body = Json::parse(body).unwrap();
    let request = Request::parse(service, operation, &body).unwrap();
    let request = request.map_err(|error| error.to_string())?;
    let answer = if request.is_read() {
        request.answer(&node.disk, &node.settings)
    } else {
        node.change(request)
    };
    answer.map_err(|error| error.to_string())
}

fn done(node: &mut Node, service: Service, operation: &str, body: &str) -> Json {
    call(node, service, operation, body).unwrap_or_else(|error| panic!("{operation}: {error}"))
}

/// Creates rule `r`: a statement, actions, and further members.
fn rule(node: &mut Node, sql: &str, actions: &str, more: &str) -> Result<Json, String> {
    let sql = Json::from(sql).to_text();
    let payload =
        format!(r#"{{"sql":{sql},"awsIotSqlVersion":"2016-03-23","actions":[{actions}]{more}}}"#);
    let body = format!(r#"{{"ruleName":"r","topicRulePayload":{payload}}}"#);
    call(node, Service::Iot, "CreateTopicRule", &body)
}

fn publish(node: &mut Node, topic: &str, payload: impl AsRef<[u8]>) {
    use base64::Engine;
    let payload = base64::engine::general_purpose::STANDARD.encode(payload);
    let body = format!(r#"{{"topic":"{topic}","qos":1,"payload":"{payload}"}}"#);
    done(node, Service::IotData, "Publish", &body);
    node.check();
}

/// What was reported of rules since the last time.
fn reports(node: &mut Node) -> Vec<String> {
    let effects = std::mem::take(&mut node.effects).into_iter();
    let reports = effects.filter_map(|effect| match effect {
        Effect::Report(Report::RuleFailed { rule, topic, why }) => {
            Some(format!("{rule} {topic} {why}"))
        }
        _ => None,
    });
    reports.collect()
}

/// Creates table `tab` with partition key `k` of this type, and sort key `s` if it has one.
fn table(node: &mut Node, kind: &str, sort: Option<&str>) {
    let mut names = format!(r#"{{"AttributeName":"k","AttributeType":"{kind}"}}"#);
    let mut schema = r#"{"AttributeName":"k","KeyType":"HASH"}"#.to_owned();
    if let Some(sort) = sort {
        names += &[r#",{"AttributeName":"s","AttributeType":""#, sort, r#""}"#].concat();
        schema.push_str(r#",{"AttributeName":"s","KeyType":"RANGE"}"#);
    }
    let body = format!(
        r#"{{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{names}],
            "KeySchema":[{schema}]}}"#
    );
    done(node, Service::DynamoDb, "CreateTable", &body);
}

fn items(node: &mut Node) -> String {
    done(node, Service::DynamoDb, "Scan", r#"{"TableName":"tab"}"#)
        .member("Items")
        .unwrap()
        .to_text()
}

fn queue(node: &mut Node, name: &str) {
    done(node, Service::Sqs, "CreateQueue", &format!(r#"{{"QueueName":"{name}"}}"#));
}

/// Takes all messages out of a queue.
fn received(node: &mut Node, name: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let body =
            format!(r#"{{"QueueUrl":"{name}","MaxNumberOfMessages":10,"WaitTimeSeconds":0}}"#);
        let got = done(node, Service::Sqs, "ReceiveMessage", &body);
        let Some(messages) = got.member("Messages").and_then(Json::as_array) else { return bodies };
        for message in messages {
            bodies.push(text(message, "Body"));
            let receipt = text(message, "ReceiptHandle");
            let body = format!(r#"{{"QueueUrl":"{name}","ReceiptHandle":"{receipt}"}}"#);
            done(node, Service::Sqs, "DeleteMessage", &body);
        }
    }
}

const TO_QUEUE: &str = r#"{"sqs":{"queueUrl":"http://h/000000000000/q"}}"#;

#[test]
fn a_message_is_one_attribute_under_its_keys() {
    let mut node = Node::new();
    table(&mut node, "S", Some("N"));
    let action = r#"{"dynamoDB":{"tableName":"${table}","hashKeyField":"k","hashKeyValue":"${topic(2)}",
        "rangeKeyField":"s","rangeKeyValue":"${n}","rangeKeyType":"NUMBER","payloadField":"${field}",
        "operation":"${do}"}}"#;
    rule(&mut node, "SELECT v FROM 'in/+'", action, "").unwrap();
    publish(
        &mut node,
        "in/a",
        r#"{"table":"tab","n":1.5,"field":"p","do":"INSERT","v":{"x":[1,"y",null]}}"#,
    );
    let stored = r#"[{"k":{"S":"a"},"p":{"M":{"v":{"M":{"x":{"L":[{"N":"1"},{"S":"y"},{"NULL":true}]}}}}},"s":{"N":"1.5"}}]"#;
    assert_eq!(items(&mut node), stored);
    publish(&mut node, "in/a", r#"{"table":"tab","n":1.5,"field":"more","do":"UPDATE","v":true}"#);
    let updated = items(&mut node);
    assert!(updated.contains(r#""more":{"M":{"v":{"BOOL":true}}}"#) && updated.contains(r#""p":"#));
    publish(&mut node, "in/a", r#"{"table":"tab","n":1.5,"field":"p","do":"DELETE"}"#);
    assert_eq!((items(&mut node).as_str(), reports(&mut node)), ("[]", Vec::new()));
    node.kill();
    node.check();
}

#[test]
fn a_payload_that_is_not_json_is_stored_as_bytes() {
    let mut node = Node::new();
    table(&mut node, "S", None);
    node.bucket("bucket");
    let actions = r#"{"dynamoDB":{"tableName":"tab","hashKeyField":"k","hashKeyValue":"x"}},
        {"s3":{"bucketName":"bucket","key":"${topic()}/x"}},
        {"sqs":{"queueUrl":"q","useBase64":true}},{"sqs":{"queueUrl":"q"}},
        {"cloudwatchLogs":{"logGroupName":"g"}},
        {"lambda":{"functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f"}}"#;
    rule(&mut node, "SELECT * FROM 'in'", actions, "").unwrap();
    queue(&mut node, "q");
    publish(&mut node, "in", [0, 0xFF]);
    assert_eq!(items(&mut node), r#"[{"k":{"S":"x"},"payload":{"B":"AP8="}}]"#);
    assert_eq!(received(&mut node, "q"), ["AP8="]);
    let head = r#"{"Bucket":"bucket","Key":"in/x"}"#;
    let head = done(&mut node, Service::S3, "HeadObject", head);
    assert_eq!(head.member("ContentLength").and_then(Json::as_i64), Some(2));
    let reports = reports(&mut node);
    let failed: Vec<&str> = reports.iter().map(|report| report.lines().next().unwrap()).collect();
    assert_eq!(
        failed,
        [
            "r in SqsAction on `q`: the payload is binary",
            "r in CloudwatchLogsAction on `g`: the payload is binary",
            "r in LambdaAction on `arn:aws:lambda:us-east-1:000000000000:function:f`: the payload is \
             not JSON",
        ]
    );
}

#[test]
fn members_become_attributes() {
    let mut node = Node::new();
    table(&mut node, "S", None);
    let action = r#"{"dynamoDBv2":{"putItem":{"tableName":"${topic(1)}"}}}"#;
    rule(&mut node, "SELECT * FROM 'tab/in'", action, "").unwrap();
    publish(&mut node, "tab/in", r#"{"k":"a","n":-1e3,"b":false,"o":{"e":[]},"z":null}"#);
    let stored = r#"[{"b":{"BOOL":false},"k":{"S":"a"},"n":{"N":"-1000"},"o":{"M":{"e":{"L":[]}}},"z":{"NULL":true}}]"#;
    assert_eq!(items(&mut node), stored);
    for payload in [r#"{"n":1}"#, r#"{"k":1}"#, "[1]", r#"{"k":"b","":1}"#] {
        publish(&mut node, "tab/in", payload);
    }
    let reports = reports(&mut node);
    assert_eq!(reports.len(), 4, "{reports:?}");
    assert!(reports[3].ends_with("the name of an attribute is empty"), "{reports:?}");
    assert!(reports[0].contains("ValidationException"), "{reports:?}");
    assert!(reports[1].contains("ValidationException"), "{reports:?}");
    assert!(reports[2].ends_with("the result is not an object"), "{reports:?}");
}

#[test]
fn actions_of_one_rule_see_what_the_ones_before_have_written() {
    let mut node = Node::new();
    table(&mut node, "S", None);
    node.bucket("bucket");
    let item = r#"{"dynamoDB":{"tableName":"tab","hashKeyField":"k","hashKeyValue":"x"}}"#;
    let object = r#"{"s3":{"bucketName":"bucket","key":"x"}}"#;
    let actions = format!("{item},{object},{item},{object}");
    rule(&mut node, "SELECT * FROM 'in'", &actions, "").unwrap();
    publish(&mut node, "in", r#"{"n":1}"#);
    publish(&mut node, "in", r#"{"n":2}"#);
    assert_eq!(reports(&mut node), [""; 0]);
    // Its size is kept in step with what is in it, which a stale read would break.
    let body = r#"{"TableName":"tab"}"#;
    let described = done(&mut node, Service::DynamoDb, "DescribeTable", body);
    let count = described.member("Table").unwrap().member("ItemCount").and_then(Json::as_i64);
    assert_eq!(count, Some(1));
    assert_eq!(node.object("bucket", "x").to_text(), r#"{"n":2}"#);
    for (service, operation, body) in [
        (Service::S3, "DeleteObject", r#"{"Bucket":"bucket","Key":"x"}"#),
        (Service::S3, "DeleteBucket", r#"{"Bucket":"bucket"}"#),
    ] {
        done(&mut node, service, operation, body);
    }
    node.run();
    node.check();
    // No bytes of a replaced object are left behind.
    let chunks = node.disk.values().filter(|value| value.windows(5).any(|w| w == br#"{"n":"#));
    assert_eq!(chunks.count(), 0);
}

#[test]
fn messages_go_to_queues_topics_and_logs() {
    let mut node = Node::new();
    queue(&mut node, "q");
    done(&mut node, Service::Sns, "CreateTopic", r#"{"Name":"t"}"#);
    let topic = "arn:aws:sns:us-east-1:000000000000:t";
    done(
        &mut node,
        Service::Sns,
        "Subscribe",
        &format!(
            r#"{{"TopicArn":"{topic}","Protocol":"sqs","Attributes":{{"RawMessageDelivery":"true"}},
                "Endpoint":"arn:aws:sqs:us-east-1:000000000000:q"}}"#
        ),
    );
    done(&mut node, Service::Logs, "CreateLogGroup", r#"{"logGroupName":"g"}"#);
    let actions = format!(
        r#"{{"sns":{{"targetArn":"arn:aws:sns:us-east-1:000000000000:${{topic(2)}}"}}}},
           {{"sns":{{"targetArn":"{topic}","messageFormat":"JSON"}}}},
           {{"sqs":{{"queueUrl":"http://h/000000000000/q","useBase64":true}}}},
           {{"cloudwatchLogs":{{"logGroupName":"g"}}}}"#
    );
    rule(&mut node, "SELECT * FROM 'in/+'", &actions, "").unwrap();
    publish(&mut node, "in/t", r#"{"default":"d","sqs":"for queues"}"#);
    let json = r#"{"default":"d","sqs":"for queues"}"#;
    let encoded = "eyJkZWZhdWx0IjoiZCIsInNxcyI6ImZvciBxdWV1ZXMifQ==";
    assert_eq!(received(&mut node, "q"), [json, "for queues", encoded]);
    let events = done(&mut node, Service::Logs, "FilterLogEvents", r#"{"logGroupName":"g"}"#);
    let event = &events.member("events").unwrap().as_array().unwrap()[0];
    assert_eq!(text(event, "message"), json);
    assert!(text(event, "logStreamName").starts_with("rules/r/"), "{}", event.to_text());
    assert_eq!(event.member("timestamp").and_then(Json::as_i64), Some(node.now.0));
    assert_eq!(reports(&mut node), [""; 0]);
}

#[test]
fn a_batch_of_log_events_keeps_their_times() {
    let mut node = Node::new();
    done(&mut node, Service::Logs, "CreateLogGroup", r#"{"logGroupName":"g"}"#);
    let action = r#"{"cloudwatchLogs":{"logGroupName":"g","batchMode":true}}"#;
    rule(&mut node, "SELECT * FROM 'in'", action, "").unwrap();
    let two =
        r#"[{"timestamp":1800000000002,"message":"b"},{"timestamp":1800000000001,"message":"a"}]"#;
    publish(&mut node, "in", two);
    // Nothing to write is no failure.
    publish(&mut node, "in", "[]");
    assert_eq!(reports(&mut node), [""; 0]);
    for bad in
        [r#"{"timestamp":1}"#, r#"[{"message":"a"}]"#, r#"[{"timestamp":"1","message":"a"}]"#]
    {
        publish(&mut node, "in", bad);
    }
    let events = done(&mut node, Service::Logs, "FilterLogEvents", r#"{"logGroupName":"g"}"#);
    let events = events.member("events").unwrap().as_array().unwrap();
    let found: Vec<_> = events
        .iter()
        .map(|event| (event.member("timestamp").and_then(Json::as_i64), text(event, "message")))
        .collect();
    let (first, second) = (Some(1_800_000_000_001), Some(1_800_000_000_002));
    assert_eq!(found, [(first, "a".to_owned()), (second, "b".to_owned())]);
    let reports = reports(&mut node);
    assert_eq!(reports.len(), 3);
    assert!(
        reports.iter().all(|report| report.contains("`batchMode` takes a list")),
        "{reports:?}"
    );
}

#[test]
fn all_failures_of_a_rule_are_in_one_error_document() {
    let mut node = Node::new();
    queue(&mut node, "q");
    let actions = r#"{"s3":{"bucketName":"missing-${topic()}","key":"k"}},
        {"sqs":{"queueUrl":"q"}},
        {"dynamoDBv2":{"putItem":{"tableName":"${nothing}"}}},
        {"sns":{"targetArn":"arn:aws:sns:us-east-1:000000000000:none"}},
        {"cloudwatchLogs":{"logGroupName":"none"}},
        {"stepFunctions":{"stateMachineName":"none"}}"#;
    let more = format!(r#","errorAction":{TO_QUEUE}"#);
    rule(&mut node, "SELECT * FROM 'in'", actions, &more).unwrap();
    publish(&mut node, "in", "{}");
    let bodies = received(&mut node, "q");
    assert_eq!(bodies.len(), 2, "{bodies:?}");
    assert_eq!(bodies[0], "{}");
    let document = Json::parse(&bodies[1]).unwrap();
    let names: Vec<_> = document.as_object().unwrap().keys().map(|name| &**name).collect();
    assert_eq!(
        names,
        ["ruleName", "topic", "cloudwatchTraceId", "clientId", "base64OriginalPayload", "failures"]
    );
    assert_eq!(text(&document, "ruleName"), "r");
    assert_eq!(text(&document, "base64OriginalPayload"), "e30=");
    assert_eq!(text(&document, "cloudwatchTraceId").len(), 36);
    let failures = document.member("failures").unwrap().as_array().unwrap().iter();
    let failures: Vec<_> = failures
        .map(|failure| {
            let of = |name| text(failure, name);
            (of("failedAction"), of("failedResource"), of("errorMessage"))
        })
        .collect();
    let expected = [
        ("S3Action", "missing-in", "NoSuchBucket"),
        ("DynamoDBv2Action", "${nothing}", "`${nothing}` has no value"),
        ("SnsAction", "arn:aws:sns:us-east-1:000000000000:none", "NotFound"),
        ("CloudwatchLogsAction", "none", "ResourceNotFoundException"),
        ("StepFunctionsAction", "none", "StateMachineDoesNotExist"),
    ];
    assert_eq!(failures.len(), expected.len(), "{failures:?}");
    for ((action, resource, why), (kind, on, what)) in failures.iter().zip(expected) {
        assert_eq!((action.as_str(), resource.as_str()), (kind, on));
        assert!(why.contains(what), "{why}");
    }
    assert_eq!(reports(&mut node).len(), expected.len());
}

#[test]
fn templates_of_an_error_action_see_the_original_message() {
    let mut node = Node::new();
    node.bucket("errors");
    let action = r#"{"sqs":{"queueUrl":"missing"}}"#;
    let key = "${replace(topic(), '/', '-')}-${n}-${newuuid()}";
    let more = format!(r#","errorAction":{{"s3":{{"bucketName":"errors","key":"{key}"}}}}"#);
    rule(&mut node, "SELECT 1 AS m FROM 'in/#'", action, &more).unwrap();
    publish(&mut node, "in/a", r#"{"n":7}"#);
    let listed = done(&mut node, Service::S3, "ListObjectsV2", r#"{"Bucket":"errors"}"#);
    let found = &listed.member("Contents").unwrap().as_array().unwrap()[0];
    assert!(text(found, "Key").starts_with("in-a-7-"), "{}", found.to_text());
    let document = node.object("errors", &text(found, "Key"));
    assert_eq!(text(&document, "base64OriginalPayload"), "eyJuIjo3fQ==");
}

#[test]
fn an_error_action_that_fails_is_reported_and_has_none_of_its_own() {
    let mut node = Node::new();
    let action = r#"{"sqs":{"queueUrl":"missing"}}"#;
    let more = format!(r#","errorAction":{action}"#);
    rule(&mut node, "SELECT * FROM 'in'", action, &more).unwrap();
    publish(&mut node, "in", "{}");
    let reports = reports(&mut node);
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(
        reports[0].contains("in SqsAction on `missing`: AWS.SimpleQueueService.NonExistentQueue")
            || reports[0].contains("QueueDoesNotExist"),
        "{reports:?}"
    );
    assert!(reports[1].contains("in its error action failed too: SqsAction"), "{reports:?}");
}

#[test]
fn a_republish_loop_ends_with_a_named_error_for_report_and_error_action() {
    let mut node = Node::new();
    queue(&mut node, "q");
    let more = format!(r#","errorAction":{TO_QUEUE}"#);
    rule(&mut node, "SELECT * FROM 'a'", r#"{"republish":{"topic":"a"}}"#, &more).unwrap();
    publish(&mut node, "a", "{}");
    let said = "RepublishLoop: a republish loop: 16 rules in a row";
    assert_eq!(reports(&mut node), [format!("r a RepublishAction on `a`: {said}")]);
    let bodies = received(&mut node, "q");
    assert_eq!(bodies.len(), 1);
    assert!(bodies[0].contains(said));
}

#[test]
fn a_republish_loop_is_told_of_by_an_error_action_that_republishes() {
    let mut node = Node::new();
    queue(&mut node, "q");
    let more = r#","errorAction":{"republish":{"topic":"errors"}}"#;
    rule(&mut node, "SELECT * FROM 'a'", r#"{"republish":{"topic":"a"}}"#, more).unwrap();
    let told =
        r#"{"ruleName":"told","topicRulePayload":{"sql":"SELECT * FROM 'errors'","actions":["#;
    let told = [told, TO_QUEUE, "]}}"].concat();
    call(&mut node, Service::Iot, "CreateTopicRule", &told).unwrap();
    publish(&mut node, "a", "{}");
    assert_eq!(reports(&mut node).len(), 1);
    let bodies = received(&mut node, "q");
    assert_eq!(bodies.len(), 1);
    assert!(bodies[0].contains("RepublishLoop: "), "{bodies:?}");
}

#[test]
fn an_error_action_is_no_way_out_of_a_loop() {
    let mut node = Node::new();
    let action = r#"{"republish":{"topic":"a"}}"#;
    let more = format!(r#","errorAction":{action}"#);
    rule(&mut node, "SELECT * FROM 'a'", r#"{"sqs":{"queueUrl":"missing"}}"#, &more).unwrap();
    publish(&mut node, "a", "{}");
    let reports = reports(&mut node);
    assert_eq!(reports.len(), 20, "19 messages, and the last of them goes no further: {reports:?}");
    assert!(
        reports[19].contains("its error action failed too: RepublishAction on `a`: RepublishLoop")
    );
}

#[test]
fn rules_that_multiply_messages_in_a_loop_come_to_an_end() {
    let mut node = Node::new();
    let again = [r#"{"republish":{"topic":"a"}}"#; 10].join(",");
    rule(&mut node, "SELECT * FROM 'a'", &again, "").unwrap();
    publish(&mut node, "a", "{}");
    let reports = reports(&mut node);
    assert!(reports.iter().all(|report| report.contains("RepublishLoop: ")));
    // The first message and a thousand more, ten actions each, of which a thousand succeeded.
    assert_eq!(reports.len(), 1_001 * 10 - 1_000);
    publish(&mut node, "b", "{}");
}

#[test]
fn a_call_in_a_template_needs_its_role() {
    let mut node = Node::new();
    let action = r#"{"republish":{"topic":"out","headers":{
        "contentType":"${get_secret('s', 'SecretString', 'k')}"}}}"#;
    let refused = rule(&mut node, "SELECT * FROM 'a'", action, "").unwrap_err();
    let why = "`get_secret` takes the ARN of a role as roleArn, which 'k' is not\n\
               hint: is roleArn missing? write get_secret(secretId, secretType[, key], roleArn)";
    assert!(refused.contains(why), "{refused}");
}

#[test]
fn a_role_of_the_message_that_is_none_is_reported() {
    let mut node = Node::new();
    queue(&mut node, "q");
    let sql = "SELECT get_thing_shadow('x', role) AS s, 1 AS n FROM 'in'";
    rule(&mut node, sql, TO_QUEUE, "").unwrap();
    publish(&mut node, "in", r#"{"role":"x"}"#);
    assert_eq!(received(&mut node, "q"), [r#"{"n":1}"#]);
    let effects = std::mem::take(&mut node.effects);
    let told = format!("{effects:?}");
    assert!(told.contains("get_thing_shadow: its role is no ARN"), "{told}");
}

#[test]
fn headers_are_made_for_the_message() {
    let mut node = Node::new();
    let action = r#"{"republish":{"topic":"out/${topic(2)}","qos":1,"headers":{
        "payloadFormatIndicator":"${f}","contentType":"text/${t}","responseTopic":"r/${t}",
        "correlationData":"${encode(t, 'base64')}","messageExpiry":"${e}",
        "userProperties":[{"key":"${t}","value":"v"},{"key":"gone","value":"${nothing}"},
            {"key":"k","value":""}]}}}"#;
    rule(&mut node, "SELECT t FROM 'in/+'", action, "").unwrap();
    publish(&mut node, "in/a", r#"{"f":"UTF8_DATA","t":"x","e":30}"#);
    assert_eq!(reports(&mut node), [""; 0]);
    publish(&mut node, "in/a", r#"{"f":"SOME","t":"x","e":30}"#);
    publish(&mut node, "in/a", r#"{"f":"UTF8_DATA","t":"x","e":"soon"}"#);
    publish(&mut node, "in/a", r##"{"f":"UTF8_DATA","t":"#","e":1}"##);
    let reports = reports(&mut node);
    let whys: Vec<_> = reports.iter().map(|report| report.rsplit(": ").next().unwrap()).collect();
    assert_eq!(
        whys,
        [
            "`SOME` is neither UNSPECIFIED_BYTES nor UTF8_DATA",
            "`soon` is not a number of seconds",
            "`r/#` is not a topic without wildcards",
        ]
    );
}

#[test]
fn a_message_can_be_republished_to_another_rule_by_name() {
    let mut node = Node::new();
    queue(&mut node, "q");
    let to_rule = r#"{"republish":{"topic":"$$aws/rules/other/x/${topic()}"}}"#;
    rule(&mut node, "SELECT * FROM 'in'", to_rule, "").unwrap();
    let other = format!(
        r#"{{"ruleName":"other","topicRulePayload":{{"sql":"SELECT topic() AS t FROM 'x/#'",
            "actions":[{TO_QUEUE}]}}}}"#
    );
    done(&mut node, Service::Iot, "CreateTopicRule", &other);
    publish(&mut node, "in", "{}");
    assert_eq!(received(&mut node, "q"), [r#"{"t":"x/in"}"#]);
    // What a device writes into a message never leads to a reserved topic.
    let by_message = r#"{"ruleName":"r","topicRulePayload":{"sql":"SELECT * FROM 'in'",
        "actions":[{"republish":{"topic":"${t}"}}]}}"#;
    done(&mut node, Service::Iot, "ReplaceTopicRule", by_message);
    publish(&mut node, "in", r#"{"t":"$$aws/rules/other/x/y"}"#);
    publish(&mut node, "in", r#"{"t":"$aws/events/presence/connected/x"}"#);
    let reports = reports(&mut node);
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(reports.iter().all(|report| report.contains("is a reserved topic")), "{reports:?}");
    assert_eq!(received(&mut node, "q"), [""; 0]);
}

#[test]
fn what_cannot_be_carried_out_is_refused_by_name() {
    let mut node = Node::new();
    for (action, why) in [
        (
            r#"{"kinesis":{"streamName":"s"}}"#,
            "action `kinesis` is not available in stepwire\nhint: use `sqs`",
        ),
        (r#"{"timestream":{}}"#, "hint: use `dynamoDBv2`"),
        (r#"{"iotEvents":{}}"#, "hint: use `stepFunctions`"),
        (r#"{"teleport":{}}"#, "there is no action `teleport`"),
        (r#"{"sqs":{"queueUrl":"q","colour":1}}"#, "`colour`"),
        (r#"{"sqs":{"queueUrl":"q.fifo"}}"#, "FIFO"),
        (r#"{"sqs":{"queueUrl":"q","useBase64":"yes"}}"#, "`useBase64`"),
        (r#"{"sqs":{}}"#, "queueUrl"),
        (r#"{"sqs":{"queueUrl":"q","roleArn":"me"}}"#, "`roleArn`"),
        (r#"{"sqs":{"queueUrl":"q","roleArn":"${r}"}}"#, "`roleArn`"),
        (r#"{"sns":{"targetArn":"t.fifo"}}"#, "FIFO"),
        (r#"{"sns":{"targetArn":"t","messageFormat":"TEXT"}}"#, "`TEXT`"),
        (r#"{"s3":{"bucketName":"b"}}"#, "key"),
        (r#"{"s3":{"bucketName":"b","key":"k","cannedAcl":"mine"}}"#, "`mine`"),
        (r#"{"s3":{"bucketName":"b","key":"${nope()}"}}"#, "nope"),
        (r#"{"dynamoDB":{"tableName":"tab","hashKeyField":"k"}}"#, "hashKeyValue"),
        (
            r#"{"dynamoDB":{"tableName":"tab","hashKeyField":"k","hashKeyValue":"v","hashKeyType":"B"}}"#,
            "`B`",
        ),
        (
            r#"{"dynamoDB":{"tableName":"tab","hashKeyField":"k","hashKeyValue":"v","rangeKeyField":"s"}}"#,
            "rangeKeyValue",
        ),
        (
            r#"{"dynamoDB":{"tableName":"tab","hashKeyField":"k","hashKeyValue":"v","operation":"PUT"}}"#,
            "`PUT`",
        ),
        (r#"{"dynamoDBv2":{}}"#, "`putItem`"),
        (r#"{"cloudwatchLogs":{"logGroupName":"g","batchMode":1}}"#, "`batchMode`"),
        (r#"{"republish":{"topic":"$aws/rules/x"}}"#, "hint: write it with `$$` in front"),
        (
            r#"{"republish":{"topic":"$$aws/things/a/shadow/update/delta"}}"#,
            "nothing in stepwire listens to it",
        ),
        (r#"{"republish":{"topic":"$$aws/things/a/jobs/get"}}"#, "as on AWS"),
        (r#"{"republish":{"topic":"$$aws/events/${a}"}}"#, "only stepwire itself publishes events"),
        (
            r#"{"republish":{"topic":"$$aws/certificates/create/json"}}"#,
            "nothing in stepwire listens to it",
        ),
        (r#"{"republish":{"topic":"a","headers":{"colour":"red"}}}"#, "`colour`"),
        (r#"{"republish":{"topic":"a","headers":{"messageExpiry":"-1"}}}"#, "`-1`"),
        (r#"{"republish":{"topic":"a","headers":{"correlationData":"?"}}}"#, "`?`"),
        (r#"{"republish":{"topic":"a","headers":{"userProperties":[]}}}"#, "1 to 100"),
        (r#"{"republish":{"topic":"a","headers":{"userProperties":[{"key":"a"}]}}}"#, "`value`"),
        (
            r#"{"stepFunctions":{"stateMachineName":"m","executionNamePrefix":"a/b"}}"#,
            "executionNamePrefix",
        ),
        (r#"{"sqs":{"queueUrl":"q"},"sns":{"targetArn":"t"}}"#, "exactly one member"),
    ] {
        let refused = rule(&mut node, "SELECT * FROM 'a'", action, "").unwrap_err();
        assert!(refused.starts_with("InvalidRequestException: "), "{action}: {refused}");
        assert!(refused.contains(why), "{action}: {refused}");
    }
}

#[test]
fn a_rule_is_bounded_and_so_is_their_number() {
    let mut settings = stepwire_core::Settings::default();
    settings.quotas.rules_max = 1;
    let mut node = Node::with(settings);
    let long = format!("SELECT '{}' AS x FROM 'a'", "x".repeat(256 << 10));
    let refused = rule(&mut node, &long, TO_QUEUE, "").unwrap_err();
    assert!(refused.contains("InvalidRequestException") && refused.contains("262144"), "{refused}");
    let eleven = [TO_QUEUE; 11].join(",");
    let refused = rule(&mut node, "SELECT * FROM 'a'", &eleven, "").unwrap_err();
    assert!(
        refused.contains("InvalidRequestException") && refused.contains("at most 10"),
        "{refused}"
    );
    rule(&mut node, "SELECT * FROM 'a'", &[TO_QUEUE; 10].join(","), "").unwrap();
    let second = r#"{"ruleName":"s","topicRulePayload":{"sql":"SELECT * FROM 'a'","actions":[]}}"#;
    let refused = call(&mut node, Service::Iot, "CreateTopicRule", second).unwrap_err();
    assert!(refused.contains("rules-max"), "{refused}");
    // One that is there can be replaced, and makes room when it goes.
    let again = second.replace(r#""s""#, r#""r""#);
    done(&mut node, Service::Iot, "ReplaceTopicRule", &again);
    done(&mut node, Service::Iot, "DeleteTopicRule", r#"{"ruleName":"r"}"#);
    done(&mut node, Service::Iot, "CreateTopicRule", second);
}

#[test]
fn a_replaced_rule_takes_over_between_two_messages() {
    let mut node = Node::new();
    queue(&mut node, "q");
    rule(&mut node, "SELECT 'old' AS v FROM 'a'", TO_QUEUE, "").unwrap();
    publish(&mut node, "a", "{}");
    let replace = |sql: &str, more: &str| {
        format!(
            r#"{{"ruleName":"r","topicRulePayload":{{"sql":"{sql}","actions":[{TO_QUEUE}]{more}}}}}"#
        )
    };
    let new = replace("SELECT 'new' AS v FROM 'b'", "");
    done(&mut node, Service::Iot, "ReplaceTopicRule", &new);
    node.kill();
    publish(&mut node, "a", "{}");
    publish(&mut node, "b", "{}");
    assert_eq!(received(&mut node, "q"), [r#"{"v":"old"}"#, r#"{"v":"new"}"#]);
    // A bad one changes nothing.
    let bad = replace("SELECT", "");
    let refused = call(&mut node, Service::Iot, "ReplaceTopicRule", &bad).unwrap_err();
    assert!(refused.starts_with("SqlParseException"), "{refused}");
    let off = replace("SELECT 'off' AS v FROM 'b'", r#","ruleDisabled":true"#);
    for (operation, body, taken) in [
        ("DisableTopicRule", r#"{"ruleName":"r"}"#, 0),
        ("EnableTopicRule", r#"{"ruleName":"r"}"#, 1),
        ("ReplaceTopicRule", off.as_str(), 0),
        ("EnableTopicRule", r#"{"ruleName":"r"}"#, 1),
        ("DeleteTopicRule", r#"{"ruleName":"r"}"#, 0),
    ] {
        done(&mut node, Service::Iot, operation, body);
        publish(&mut node, "b", "{}");
        assert_eq!(received(&mut node, "q").len(), taken, "{operation}");
    }
}

#[test]
fn metrics_and_alarms_follow_messages_in_the_same_commit() {
    let mut node = Node::new();
    queue(&mut node, "q");
    let alarm = r#"{"AlarmName":"hot","Namespace":"Fleet","MetricName":"Temperature",
        "Statistic":"Maximum","Period":60,"EvaluationPeriods":1,"Threshold":80,
        "ComparisonOperator":"GreaterThanThreshold"}"#;
    done(&mut node, Service::CloudWatch, "PutMetricAlarm", alarm);
    let actions = r#"{"cloudwatchMetric":{"metricNamespace":"Fleet","metricName":"Temperature",
            "metricValue":"${t}","metricUnit":"None"}},
        {"cloudwatchAlarm":{"alarmName":"hot","stateReason":"said by ${topic(2)}",
            "stateValue":"${state}"}}"#;
    rule(&mut node, "SELECT * FROM 'in/+'", actions, "").unwrap();
    publish(&mut node, "in/d1", r#"{"t":81.5,"state":"ALARM"}"#);
    let body = r#"{"Namespace":"Fleet","MetricName":"Temperature","StartTime":1799999940,
        "EndTime":1800000060,"Period":60,"Statistics":["Sum","SampleCount"]}"#;
    let answer = done(&mut node, Service::CloudWatch, "GetMetricStatistics", body);
    assert_eq!(
        answer.member("Datapoints").unwrap().to_text(),
        r#"[{"Timestamp":1800000000,"Sum":81.5,"SampleCount":1,"Unit":"None"}]"#
    );
    let answer = done(&mut node, Service::CloudWatch, "DescribeAlarms", "{}");
    let alarm = &answer.member("MetricAlarms").unwrap().as_array().unwrap()[0];
    assert_eq!(text(alarm, "StateValue"), "ALARM");
    assert_eq!(text(alarm, "StateReason"), "said by d1");
    assert_eq!(reports(&mut node), [""; 0]);
}

#[test]
fn what_cloudwatch_does_not_take_goes_to_the_error_action() {
    let mut node = Node::new();
    queue(&mut node, "q");
    let actions = r#"{"cloudwatchAlarm":{"alarmName":"none","stateReason":"r","stateValue":"OK"}},
        {"cloudwatchMetric":{"metricNamespace":"Fleet","metricName":"m","metricValue":"${t}",
            "metricUnit":"${u}","metricTimestamp":"${at}"}}"#;
    let more = format!(r#","errorAction":{TO_QUEUE}"#);
    rule(&mut node, "SELECT * FROM 'in'", actions, &more).unwrap();
    publish(&mut node, "in", r#"{"t":"warm","u":"Percent","at":1800000000}"#);
    publish(&mut node, "in", r#"{"t":1,"u":"Kelvin","at":1800000000}"#);
    publish(&mut node, "in", r#"{"t":1,"u":"Percent","at":1}"#);
    for (body, metric) in received(&mut node, "q").iter().zip(["number", "Unit", "two weeks"]) {
        let document = Json::parse(body).unwrap();
        let failures = document.member("failures").unwrap().as_array().unwrap();
        assert_eq!(text(&failures[0], "failedAction"), "CloudwatchAlarmAction");
        assert_eq!(text(&failures[0], "failedResource"), "none");
        assert!(text(&failures[0], "errorMessage").starts_with("ResourceNotFound"), "{body}");
        assert_eq!(text(&failures[1], "failedAction"), "CloudwatchMetricAction");
        assert!(text(&failures[1], "errorMessage").contains(metric), "{metric}: {body}");
    }
    let listed = done(&mut node, Service::CloudWatch, "ListMetrics", "{}");
    assert_eq!(listed.to_text(), r#"{"Metrics":[]}"#);
}
