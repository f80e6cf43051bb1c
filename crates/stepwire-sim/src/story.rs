//! What is deployed in the simulated world: the example of this repository, word for word, and a
//! state machine that retries a waiting task.

use stepwire_asl::Json;
use stepwire_core::registry::{self, certificates};
use stepwire_core::{Request, Service};

use crate::keeper::{GROUPS, ONLINE, TYPES};

/// Name of the example's state machine.
pub const MACHINE: &str = "ConfigManagement";
/// Name of the state machine whose waiting task times out and is retried.
pub const STUBBORN: &str = "Stubborn";
/// Name of the state machine whose branches run beside each other.
pub const FORK: &str = "Fork";
/// Name of the state machine that every presence event starts.
pub const AUDIT: &str = "Audit";
/// Name of the state machine whose items are executions of their own.
pub const SPREAD: &str = "Spread";
/// Children of it that run at a time.
pub const SPREAD_MAX: i64 = 3;
/// Items of it that fail until they are redriven.
pub const SPREAD_FAIL: i64 = 3;
/// Where stubborn tasks leave their tokens.
pub const TOKENS: &str = "StubbornTokens";

const DEFINITION: &str =
    include_str!("../../../examples/config-management/config_management.asl.json");
const POLICY: &str = include_str!("../../../examples/config-management/policy.json");
const TABLE: &str = include_str!("../../../examples/config-management/table.json");
const START_RULE: &str =
    include_str!("../../../examples/config-management/rules/StartCMStateMachine.json");
const ANSWER_RULE: &str =
    include_str!("../../../examples/config-management/rules/CompleteConfiguration.json");

/// Where the third party's service would be: the world answers in its place.
const PROFILES: &str = "http://127.0.0.1:1";

const DAWDLE: &str = r#""States": {
  "Dawdle": {"Type": "Wait", "Seconds": 1, "Next": "WaitForConfirmationEventFromDevice"},"#;

const STUBBORN_DEFINITION: &str = r#"{"StartAt": "Begin", "States": {
  "Begin": {"Type": "Pass", "Result": true, "ResultPath": "$.begun", "Next": "Wait"},
  "Wait": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
    "HeartbeatSeconds": 3,
    "Parameters": {"TableName": "StubbornTokens", "Item": {
      "operationId": {"S.$": "$$.Execution.Name"}, "token": {"S.$": "$$.Task.Token"},
      "status": {"S": "ACTIVE"}}},
    "Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}],
    "ResultPath": "$.result", "Next": "Check"},
  "Check": {"Type": "Choice", "Choices": [
    {"Variable": "$.result.verdict", "StringEquals": "good", "Next": "Done"}], "Default": "Bad"},
  "Done": {"Type": "Succeed"}, "Bad": {"Type": "Fail", "Error": "Bad"}}}"#;

/// Tells the end of executions of `Fork` to a queue.
const ENDS: &str = r#"{"source": ["aws.states"], "detail": {
  "stateMachineArn": ["arn:aws:states:us-east-1:000000000000:stateMachine:Fork"]}}"#;

/// One branch waits for the operator, the other rests, asks a function and stores for each item,
/// two at a time.
const FORK_DEFINITION: &str = r#"{"StartAt": "Both", "States": {
  "Both": {"Type": "Parallel", "Branches": [
    {"StartAt": "Ask", "States": {"Ask": {"Type": "Task",
      "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken", "TimeoutSeconds": 20,
      "Parameters": {"TableName": "StubbornTokens", "Item": {
        "operationId": {"S.$": "$$.Execution.Name"}, "token": {"S.$": "$$.Task.Token"}}}, "End": true}}},
    {"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2,
      "ItemProcessor": {"StartAt": "Rest", "States": {
        "Rest": {"Type": "Wait", "Seconds": 1, "Next": "Echo"},
        "Echo": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:echo",
          "Retry": [{"ErrorEquals": ["Flaky"], "MaxAttempts": 9, "BackoffRate": 1}], "Next": "Store"},
        "Store": {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:putItem",
          "Parameters": {"TableName": "StubbornTokens", "Item": {
            "operationId": {"S": "items"}, "token": {"S.$": "$"}}}, "End": true}}}, "End": true}}}],
    "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Missed"}], "Next": "Tell"},
  "Tell": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {
    "QueueUrl": "http://localhost/000000000000/told", "MessageBody.$": "$$.Execution.Name"}, "Next": "Done"},
  "Done": {"Type": "Succeed"}, "Missed": {"Type": "Fail", "Error": "Missed"}}}"#;

/// Name of the state machine that starts another and waits for its end.
pub const ERRAND: &str = "Errand";
/// Name of the activity that workers take tasks of.
pub const ACTIVITY: &str = "work";

/// Starts a `Chore` and waits for it; is given up after a while.
const ERRAND_DEFINITION: &str = r#"{"StartAt": "Send", "States": {
  "Send": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "TimeoutSeconds": 40,
    "Parameters": {"StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:Chore",
      "Name.$": "$$.Execution.Name", "Input.$": "$"},
    "ResultPath": "$.chore", "End": true}}}"#;

/// A worker does it, or it is offered again.
const CHORE_DEFINITION: &str = r#"{"StartAt": "Do", "States": {
  "Do": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:work",
    "HeartbeatSeconds": 2,
    "Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1}],
    "ResultPath": "$.done", "Next": "Rest"},
  "Rest": {"Type": "Wait", "Seconds": 1, "End": true}}}"#;
const SPREAD_DEFINITION: &str = r#"{"StartAt": "Spread", "States": {
  "Spread": {"Type": "Map", "ItemsPath": "$.numbers", "MaxConcurrency": 3,
    "ToleratedFailureCountPath": "$.tolerated",
    "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
      "StartAt": "Rest", "States": {
        "Rest": {"Type": "Wait", "Seconds": 1, "Next": "Check"},
        "Check": {"Type": "Choice", "Choices": [{"Or": [
          {"Variable": "$", "NumericGreaterThanEquals": 3},
          {"Variable": "$$.Execution.RedriveCount", "NumericEquals": 1}], "Next": "Keep"}]},
        "Keep": {"Type": "Pass", "End": true}}},
    "End": true}}}"#;

/// Name of the log group that Express executions log to.
pub const LOG: &str = "flashes";
/// Name of the Express state machine.
pub const FLASH: &str = "Flash";
/// Under which key of the table its executions leave their ARNs.
pub const FLASHES: &str = "flash";

/// Rests, then leaves its ARN where it can be seen.
const FLASH_DEFINITION: &str = r#"{"StartAt": "Rest", "States": {
  "Rest": {"Type": "Wait", "Seconds": 1, "Next": "Leave"},
  "Leave": {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:putItem",
    "Parameters": {"TableName": "StubbornTokens", "Item": {
      "operationId": {"S": "flash"}, "token": {"S.$": "$$.Execution.Id"}}}, "End": true}}}"#;

const FLASH_LOGGING: &str = r#"{"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": {
  "logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:flashes:*"}}]}"#;

const AUDIT_DEFINITION: &str =
    r#"{"StartAt": "Note", "States": {"Note": {"Type": "Pass", "End": true}}}"#;

/// Everything that happens in the registry is told.
const EVENTS: &str = r#"{"eventConfigurations": {"THING": {"Enabled": true},
  "THING_TYPE": {"Enabled": true}, "THING_TYPE_ASSOCIATION": {"Enabled": true},
  "THING_GROUP": {"Enabled": true}, "THING_GROUP_MEMBERSHIP": {"Enabled": true},
  "THING_GROUP_HIERARCHY": {"Enabled": true}}}"#;
const INDEXING: &str = r#"{"thingIndexingConfiguration": {
  "thingIndexingMode": "REGISTRY", "thingConnectivityIndexingMode": "STATUS"}}"#;

const BROAD: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}"#;

/// A thing with its certificate.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Thing name.
    pub name: &'a str,
    /// Certificate id.
    pub certificate: &'a str,
    /// Name of its policy.
    pub policy: &'static str,
}

/// The policy of the example.
pub const DEVICE_POLICY: &str = "device";
/// A policy that allows everything.
pub const BROAD_POLICY: &str = "broad";

/// The requests that deploy the story for these members. `dawdles`: the workflow rests a while
/// between asking the device and storing its token, so that answers come before it.
pub fn deployment(members: &[Member<'_>], dawdles: bool) -> Vec<(Service, &'static str, Json)> {
    let mut definition = DEFINITION.replace("${ProfileEndpoint}", PROFILES);
    if dawdles {
        definition = definition
            .replace(r#""Next": "WaitForConfirmationEventFromDevice""#, r#""Next": "Dawdle""#)
            .replacen(r#""States": {"#, DAWDLE, 1);
    }
    let mut requests = vec![
        (Service::DynamoDb, "CreateTable", parsed(TABLE)),
        (Service::DynamoDb, "CreateTable", token_table()),
        (Service::Sqs, "CreateQueue", parsed(r#"{"QueueName": "told"}"#)),
        (Service::Sqs, "CreateQueue", parsed(r#"{"QueueName": "ends"}"#)),
        (Service::Events, "PutRule", ends_rule()),
        (Service::Events, "PutTargets", ends_target()),
        (Service::States, "CreateStateMachine", machine(MACHINE, &definition)),
        (Service::States, "CreateStateMachine", machine(STUBBORN, STUBBORN_DEFINITION)),
        (Service::States, "CreateStateMachine", published(FORK, FORK_DEFINITION)),
        (Service::States, "CreateStateMachineAlias", alias()),
        (Service::States, "CreateStateMachine", machine(SPREAD, SPREAD_DEFINITION)),
        (Service::States, "CreateStateMachine", machine(AUDIT, AUDIT_DEFINITION)),
        (Service::States, "CreateStateMachine", machine("Chore", CHORE_DEFINITION)),
        (Service::States, "CreateStateMachine", machine(ERRAND, ERRAND_DEFINITION)),
        (Service::Logs, "CreateLogGroup", Json::object([("logGroupName", Json::from(LOG))])),
        (Service::States, "CreateStateMachine", flash()),
        (Service::States, "CreateActivity", Json::object([("name", Json::from(ACTIVITY))])),
        (Service::Lambda, "CreateFunction", function()),
        (Service::Iot, "CreatePolicy", policy(DEVICE_POLICY, POLICY)),
        (Service::Iot, "CreatePolicy", policy(BROAD_POLICY, BROAD)),
        (Service::Iot, "CreateTopicRule", rule("StartCMStateMachine", parsed(START_RULE))),
        (Service::Iot, "CreateTopicRule", rule("CompleteConfiguration", parsed(ANSWER_RULE))),
        (Service::Iot, "CreateTopicRule", rule("Audit", audit_rule())),
        (Service::DynamoDb, "CreateTable", keyed("Weighed", "data")),
        (Service::DynamoDb, "CreateTable", keyed("Undelivered", "base64OriginalPayload")),
        (Service::Iot, "CreateTopicRule", rule("Weigh", weigh_rule())),
    ];
    requests.extend(members.iter().copied().flat_map(member));
    requests.extend(fleet());
    requests
}

/// Types, groups, the index, and the events that tell of them.
fn fleet() -> Vec<(Service, &'static str, Json)> {
    let named = |member: &'static str, name| Json::object([(member, Json::from(name))]);
    let kinds = TYPES.map(|kind| (Service::Iot, "CreateThingType", named("thingTypeName", kind)));
    let groups =
        GROUPS.map(|group| (Service::Iot, "CreateThingGroup", named("thingGroupName", group)));
    let online = Json::object([
        ("thingGroupName", Json::from(ONLINE)),
        ("queryString", "connectivity.connected:true".into()),
    ]);
    let mut requests = vec![
        (Service::DynamoDb, "CreateTable", moves_table()),
        (Service::Iot, "CreateTopicRule", rule("Moves", moves_rule())),
        (Service::Iot, "CreatePolicyVersion", mute_version()),
        (Service::Iot, "UpdateEventConfigurations", parsed(EVENTS)),
        (Service::Iot, "UpdateIndexingConfiguration", parsed(INDEXING)),
    ];
    requests.extend(kinds.into_iter().chain(groups));
    requests.push((Service::Iot, "CreateDynamicThingGroup", online));
    requests
}

/// The ARN of a certificate.
pub fn certificate_arn(certificate: &str) -> Json {
    Json::from(format!("arn:aws:iot:us-east-1:000000000000:cert/{certificate}"))
}

/// The body of DetachPolicy that takes a member's policy away.
pub fn revocation(member: Member<'_>) -> Json {
    let target = certificate_arn(member.certificate);
    Json::object([("policyName", Json::from(member.policy)), ("target", target)])
}

fn member(member: Member<'_>) -> [(Service, &'static str, Json); 4] {
    let Member { name, certificate, policy } = member;
    let arn = certificate_arn(certificate);
    [
        (
            Service::Iot,
            "CreateThing",
            Json::object([
                ("thingName", Json::from(name)),
                (
                    "attributePayload",
                    Json::object([("attributes", Json::object([("profileId", Json::from(name))]))]),
                ),
            ]),
        ),
        (Service::Iot, REGISTER, Json::object([("certificateId", Json::from(certificate))])),
        (
            Service::Iot,
            "AttachPolicy",
            Json::object([("policyName", Json::from(policy)), ("target", arn.clone())]),
        ),
        (
            Service::Iot,
            "AttachThingPrincipal",
            Json::object([("thingName", Json::from(name)), ("principal", arn)]),
        ),
    ]
}

/// What a node does with a certificate it has made: no operation of its own.
pub const REGISTER: &str = "(register an issued certificate)";

/// The request that [`REGISTER`] stands for.
pub fn registration(body: &Json) -> Request {
    let id = body.member("certificateId").and_then(Json::as_str).unwrap_or_default();
    let facts = certificates::Facts::default();
    let document = certificates::Document { id: id.into(), pem: "simulated".into(), facts };
    let registration = certificates::Registration {
        document,
        status: certificates::Status::Active,
        mode: certificates::Mode::Default,
        authority: None,
    };
    let request = certificates::Request::Register(registration);
    Request::Registry(registry::Request::Certificates(request))
}

fn machine(name: &str, definition: &str) -> Json {
    Json::object([
        ("name", Json::from(name)),
        ("definition", Json::from(definition)),
        ("roleArn", "arn:aws:iam::000000000000:role/story".into()),
    ])
}

/// A state machine with a first version.
fn published(name: &str, definition: &str) -> Json {
    Json::object([
        ("name", Json::from(name)),
        ("definition", Json::from(definition)),
        ("roleArn", "arn:aws:iam::000000000000:role/story".into()),
        ("publish", true.into()),
    ])
}

/// The alias by which [`FORK`] is started.
fn alias() -> Json {
    parsed(
        r#"{"name": "live", "routingConfiguration": [{"weight": 100,
            "stateMachineVersionArn": "arn:aws:states:us-east-1:000000000000:stateMachine:Fork:1"}]}"#,
    )
}

fn flash() -> Json {
    Json::object([
        ("name", Json::from(FLASH)),
        ("type", "EXPRESS".into()),
        ("definition", FLASH_DEFINITION.into()),
        ("loggingConfiguration", parsed(FLASH_LOGGING)),
        ("roleArn", "arn:aws:iam::000000000000:role/story".into()),
    ])
}

/// A function whose part the world plays.
fn function() -> Json {
    parsed(
        r#"{"FunctionName": "echo", "Runtime": "python3.12", "Handler": "echo.handler",
            "Role": "arn:aws:iam::000000000000:role/story", "Code": {"ZipFile": "UEsFBg=="}}"#,
    )
}

fn policy(name: &str, document: &str) -> Json {
    Json::object([("policyName", Json::from(name)), ("policyDocument", Json::from(document))])
}

/// A version of [`DEVICE_POLICY`] that lets nobody connect, not yet its default.
fn mute_version() -> Json {
    let document = POLICY.replace("\"iot:Connect\"", "\"iot:DeleteThingShadow\"");
    policy(DEVICE_POLICY, &document)
}

fn rule(name: &str, payload: Json) -> Json {
    Json::object([("ruleName", Json::from(name)), ("topicRulePayload", payload)])
}

fn audit_rule() -> Json {
    parsed(
        r#"{"sql": "SELECT * FROM '$aws/events/presence/+/+'", "awsIotSqlVersion": "2016-03-23",
            "actions": [{"stepFunctions": {"stateMachineName": "Audit",
                "roleArn": "arn:aws:iam::000000000000:role/story"}},
              {"lambda": {"functionArn": "arn:aws:lambda:us-east-1:000000000000:function:echo"}}]}"#,
    )
}

/// What a function says of a message is stored, and delivered to a server outside. What cannot be
/// delivered is stored, too.
fn weigh_rule() -> Json {
    parsed(
        r#"{"sql": "SELECT encode(*, 'base64') AS data, aws_lambda('arn:aws:lambda:us-east-1:000000000000:function:echo', *) AS weight FROM 'chatter/message'",
            "awsIotSqlVersion": "2016-03-23", "actions": [
              {"dynamoDBv2": {"putItem": {"tableName": "Weighed"},
                "roleArn": "arn:aws:iam::000000000000:role/story"}},
              {"http": {"url": "https://scales.example/weights", "confirmationUrl": "https://scales.example/"}}],
            "errorAction": {"dynamoDBv2": {"putItem": {"tableName": "Undelivered"},
              "roleArn": "arn:aws:iam::000000000000:role/story"}}}"#,
    )
}

/// A table whose items have this name for a key.
fn keyed(table: &str, key: &str) -> Json {
    parsed(&format!(
        r#"{{"TableName": "{table}", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{{"AttributeName": "{key}", "AttributeType": "S"}}],
            "KeySchema": [{{"AttributeName": "{key}", "KeyType": "HASH"}}]}}"#
    ))
}

fn moves_rule() -> Json {
    parsed(
        r#"{"sql": "SELECT * FROM '$aws/events/thingGroupMembership/#'", "awsIotSqlVersion": "2016-03-23",
            "actions": [{"dynamoDBv2": {"putItem": {"tableName": "Moves"},
                "roleArn": "arn:aws:iam::000000000000:role/story"}}]}"#,
    )
}

fn moves_table() -> Json {
    parsed(
        r#"{"TableName": "Moves", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "eventId", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "eventId", "KeyType": "HASH"}]}"#,
    )
}

fn ends_rule() -> Json {
    Json::object([("Name", Json::from("Ends")), ("EventPattern", ENDS.into())])
}

fn ends_target() -> Json {
    parsed(
        r#"{"Rule": "Ends", "Targets": [
            {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:ends"}]}"#,
    )
}

fn token_table() -> Json {
    parsed(
        r#"{"TableName": "StubbornTokens", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "operationId", "AttributeType": "S"},
              {"AttributeName": "token", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "operationId", "KeyType": "HASH"},
              {"AttributeName": "token", "KeyType": "RANGE"}]}"#,
    )
}

fn parsed(text: &str) -> Json {
    Json::parse(text).expect("the story is JSON")
}
