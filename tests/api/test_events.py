"""Event buses: what matches a rule goes to its queues and topics."""

import json
import re

import pytest
from support import ACCOUNT, REGION, ROLE, UUID, eventually, refused

ARN = f"arn:aws:events:{REGION}:{ACCOUNT}"


@pytest.fixture
def queue(node, name):
    return node.client("sqs").create_queue(QueueName="events-" + name)["QueueUrl"]


def arn(url):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"


def rule(node, name, pattern, *targets, **more):
    events = node.client("events")
    made = events.put_rule(Name=name, EventPattern=json.dumps(pattern), **more)["RuleArn"]
    bus = {key: value for key, value in more.items() if key == "EventBusName"}
    if not targets:
        return made
    put = events.put_targets(
        Rule=name, Targets=[{"Id": str(at), "Arn": one} for at, one in enumerate(targets)], **bus
    )
    assert put["FailedEntryCount"] == 0
    return made


def received(node, url):
    got = node.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(one["Body"]) for one in got.get("Messages", [])]


def put(node, *entries):
    return node.client("events").put_events(Entries=[*entries])


def event(name, detail, **more):
    return {"Source": "my." + name, "DetailType": "kind", "Detail": json.dumps(detail), **more}


# ---- events --------------------------------------------------------------------------------------


def test_an_event_that_matches_is_delivered_whole(node, name, queue):
    rule(node, name, {"source": ["my." + name], "detail": {"n": [{"numeric": [">", 1]}]}}, arn(queue))
    answer = put(
        node,
        event(name, {"n": 2, "a": [1]}, Resources=["arn:of:it"]),
        event(name, {"n": 1}),
    )
    assert answer["FailedEntryCount"] == 0
    (got,) = received(node, queue)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", got.pop("time"))
    assert got == {
        "version": "0",
        "id": answer["Entries"][0]["EventId"],
        "detail-type": "kind",
        "source": "my." + name,
        "account": ACCOUNT,
        "region": REGION,
        "resources": ["arn:of:it"],
        "detail": {"n": 2, "a": [1]},
    }


def test_an_entry_that_cannot_be_says_why_and_the_others_go_on(node, name, queue):
    rule(node, name, {"source": ["my." + name]}, arn(queue))
    answer = put(
        node,
        {"Source": "my." + name, "DetailType": "kind", "Detail": "[1]"},
        {"Source": "my." + name, "Detail": "{}"},
        {"Source": "aws.fake", "DetailType": "kind", "Detail": "{}"},
        event(name, {"good": 1}),
    )
    assert answer["FailedEntryCount"] == 3
    assert [one.get("ErrorCode") for one in answer["Entries"]] == [
        "MalformedDetail",
        "InvalidArgument",
        "NotAuthorizedForSource",
        None,
    ]
    assert [one["detail"] for one in received(node, queue)] == [{"good": 1}]


def test_a_target_can_be_given_something_else(node, name, queue):
    rule(node, name, {"source": ["my." + name]}, arn(queue))
    node.client("events").put_targets(
        Rule=name, Targets=[{"Id": "0", "Arn": arn(queue), "Input": '{"fixed": true}'}]
    )
    put(node, event(name, {}))
    assert received(node, queue) == [{"fixed": True}]


def test_a_topic_can_be_a_target(node, name, queue):
    sns = node.client("sns")
    topic = sns.create_topic(Name="events-" + name)["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn(queue),
        Attributes={"RawMessageDelivery": "true"},
    )
    rule(node, name, {"source": ["my." + name]}, topic)
    put(node, event(name, {"through": "topic"}))
    assert [one["detail"] for one in received(node, queue)] == [{"through": "topic"}]


# ---- rules and buses -----------------------------------------------------------------------------


def test_a_rule_is_described_listed_disabled_and_deleted(node, name, queue):
    events = node.client("events")
    made = rule(node, name, {"source": ["my." + name]}, arn(queue), Description="why", RoleArn=ROLE)
    assert made == f"{ARN}:rule/{name}"
    described = events.describe_rule(Name=name)
    assert (described["Arn"], described["State"]) == (made, "ENABLED")
    assert (described["Description"], described["RoleArn"]) == ("why", ROLE)
    assert [one["Name"] for one in events.list_rules(NamePrefix=name)["Rules"]] == [name]
    assert events.list_targets_by_rule(Rule=name)["Targets"] == [{"Id": "0", "Arn": arn(queue)}]
    assert events.list_rule_names_by_target(TargetArn=arn(queue))["RuleNames"] == [name]
    events.disable_rule(Name=name)
    put(node, event(name, {}))
    assert received(node, queue) == []
    with refused("ValidationException", 400, "Rule can't be deleted since it has targets."):
        events.delete_rule(Name=name)
    events.remove_targets(Rule=name, Ids=["0"])
    events.delete_rule(Name=name)
    with refused("ResourceNotFoundException", 400, f"Rule {name} does not exist on EventBus default"):
        events.describe_rule(Name=name)


def test_a_bus_of_ones_own_has_its_own_events(node, name, queue):
    events = node.client("events")
    bus = events.create_event_bus(Name="bus-" + name)["EventBusArn"]
    assert bus == f"{ARN}:event-bus/bus-{name}"
    made = rule(node, name, {"source": ["my." + name]}, arn(queue), EventBusName="bus-" + name)
    assert made == f"{ARN}:rule/bus-{name}/{name}"
    put(node, event(name, {"on": "default"}), event(name, {"on": "own"}, EventBusName=bus))
    assert [one["detail"] for one in received(node, queue)] == [{"on": "own"}]
    assert events.describe_event_bus(Name="bus-" + name)["Arn"] == bus
    listed = events.list_event_buses(NamePrefix="bus-" + name)["EventBuses"]
    assert [one["Name"] for one in listed] == ["bus-" + name]
    events.remove_targets(Rule=name, EventBusName="bus-" + name, Ids=["0"])
    events.delete_rule(Name=name, EventBusName="bus-" + name)
    events.delete_event_bus(Name="bus-" + name)
    with refused("ResourceNotFoundException", 400, "does not exist"):
        events.put_rule(Name=name, EventBusName="bus-" + name, EventPattern='{"source":["x"]}')


def test_patterns_are_tested(node):
    events = node.client("events")
    pattern = json.dumps({"source": [{"prefix": "my"}]})
    for source, matches in [("my.app", True), ("other", False)]:
        tested = events.test_event_pattern(EventPattern=pattern, Event=json.dumps({"source": source}))
        assert tested["Result"] is matches
    with refused("InvalidEventPatternException", 400, "Event pattern is not valid. Reason: "):
        events.put_rule(Name="bad", EventPattern='{"source": "text"}')


def test_what_is_not_served_is_refused_by_name(node, name):
    events = node.client("events")
    events.put_rule(Name=name, EventPattern='{"source":["x"]}')
    for target in [
        f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s",
        f"arn:aws:events:{REGION}:{ACCOUNT}:api-destination/a/1",
        f"arn:aws:sqs:eu-west-9:{ACCOUNT}:q",
    ]:
        with refused("ValidationException", 400, "of this node can be targets in stepwire"):
            events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target}])
    with refused("ValidationException", 400, "parameter `EcsParameters` is not supported"):
        target = {
            "Id": "1",
            "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q",
            "EcsParameters": {"TaskDefinitionArn": "arn:aws:ecs:us-east-1:000000000000:task/x"},
        }
        events.put_targets(Rule=name, Targets=[target])
    with refused("UnknownOperationException", 400, "`CreateArchive` is not available"):
        events.create_archive(ArchiveName="a", EventSourceArn=f"{ARN}:event-bus/default")
    with refused("UnknownOperationException", 400, "`CreateApiDestination` is not available"):
        events.create_api_destination(
            Name="a",
            ConnectionArn=f"{ARN}:connection/c/1",
            InvocationEndpoint="https://example.org",
            HttpMethod="POST",
        )


# ---- targets -------------------------------------------------------------------------------------


def target(node, name, arn, **more):
    node.client("events").put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn, **more}])


def put_one(node, name, detail):
    answer = put(node, {"Source": "app." + name, "DetailType": "t", "Detail": json.dumps(detail)})
    assert answer["FailedEntryCount"] == 0


@pytest.mark.parametrize(
    "given,expected",
    [
        ({"Input": '{"fixed": 1}'}, {"fixed": 1}),
        ({"InputPath": "$.detail"}, {"a": {"b": [1, 2]}, "t": 'say "x"'}),
        ({"InputPath": "$.detail.a.b[1]"}, 2),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"b": "$.detail.a.b", "t": "$.detail.t", "no": "$.detail.none"},
                    "InputTemplate": '{"list": <b>, "text": "<t>!", "bare": <t>, "no": "<no>", '
                    '"rule": "<aws.events.rule-name>"}',
                }
            },
            {"list": [1, 2], "text": 'say "x"!', "bare": 'say "x"', "no": "", "rule": "NAME"},
        ),
        ({"InputTransformer": {"InputTemplate": '"no parts"'}}, "no parts"),
    ],
)
def test_a_target_gets_what_its_input_says(node, name, queue, given, expected):
    rule(node, name, {"source": ["app." + name]})
    target(node, name, arn(queue), **given)
    put_one(node, name, {"a": {"b": [1, 2]}, "t": 'say "x"'})
    expected = json.loads(json.dumps(expected).replace("NAME", name))
    assert received(node, queue) == [expected]
    (shown,) = node.client("events").list_targets_by_rule(Rule=name)["Targets"]
    assert shown == {"Id": "1", "Arn": arn(queue), **given}


def test_inputs_are_checked(node, name, queue):
    rule(node, name, {"source": ["x"]})
    for given, why in [
        ({"Input": "{"}, "JSON is not valid for target"),
        ({"InputPath": "detail"}, "InputPath is not valid"),
        ({"Input": "1", "InputPath": "$.a"}, "Only one of Input, InputPath, or InputTransformer"),
        ({"InputTransformer": {"InputTemplate": "<x>"}}, "unknown variable x"),
        ({"InputTransformer": {"InputPathsMap": {"x": "y"}, "InputTemplate": "<x>"}}, "path of x"),
        ({"RetryPolicy": {"MaximumRetryAttempts": 186}}, "between 0 and 185"),
        ({"DeadLetterConfig": {"Arn": "x"}}, "Parameter x is not valid"),
        ({"Arn": arn(queue) + ".fifo"}, "MessageGroupId must be specified"),
    ]:
        with refused("ValidationException", 400, why):
            target(node, name, given.pop("Arn", arn(queue)), **given)


def test_a_rule_starts_an_execution(node, name):
    passing = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    machine = node.sfn().create_state_machine(
        name=name, roleArn=ROLE, definition=json.dumps(passing)
    )["stateMachineArn"]
    rule(node, name, {"source": ["app." + name]})
    target(node, name, machine, InputPath="$.detail", RoleArn=ROLE)
    put_one(node, name, {"n": 1})
    (execution,) = node.sfn().list_executions(stateMachineArn=machine)["executions"]
    shown = node.sfn().describe_execution(executionArn=execution["executionArn"])
    assert (shown["status"], json.loads(shown["input"])) == ("SUCCEEDED", {"n": 1})


def test_a_rule_that_starts_itself_does_not_stop_the_node(own_node):
    passing = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    machine = own_node.sfn().create_state_machine(
        name="again", roleArn=ROLE, definition=json.dumps(passing)
    )["stateMachineArn"]
    ended = {"stateMachineArn": [machine], "status": ["SUCCEEDED"]}
    rule(own_node, "again", {"source": ["aws.states"], "detail": ended}, machine)
    own_node.sfn().start_execution(stateMachineArn=machine)
    eventually(lambda: "a loop" in own_node.log_text(), 60)


def test_a_rule_invokes_logs_and_forwards(node, name, queue):
    logs, events = node.client("logs"), node.client("events")
    group = "/events/" + name
    logs.create_log_group(logGroupName=group)
    events.create_event_bus(Name="bus-" + name)
    rule(
        node,
        name,
        {"source": ["app." + name]},
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}",
        f"{ARN}:event-bus/bus-{name}",
    )
    rule(node, name, {"source": ["app." + name]}, arn(queue), EventBusName="bus-" + name)
    put_one(node, name, {"n": 1})
    (line,) = logs.filter_log_events(logGroupName=group)["events"]
    assert json.loads(line["message"])["detail"] == {"n": 1}
    assert [one["detail"] for one in received(node, queue)] == [{"n": 1}]


def test_what_a_target_does_not_take_is_a_dead_letter(node, name, queue):
    made = rule(node, name, {"source": ["app." + name]})
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none-{name}"
    target(node, name, function, DeadLetterConfig={"Arn": arn(queue)})
    put_one(node, name, {"n": 1})
    got = node.client("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])
    (letter,) = got["Messages"]
    assert json.loads(letter["Body"])["detail"] == {"n": 1}
    said = {key: value["StringValue"] for key, value in letter["MessageAttributes"].items()}
    assert (said["RULE_ARN"], said["TARGET_ARN"]) == (made, function)
    assert said["ERROR_CODE"] == "ResourceNotFoundException"


def test_rules_and_buses_carry_tags(node, name):
    events = node.client("events")
    made = events.put_rule(
        Name=name, EventPattern='{"source":["x"]}', Tags=[{"Key": "a", "Value": "1"}]
    )["RuleArn"]
    events.tag_resource(ResourceARN=made, Tags=[{"Key": "b", "Value": "2"}])
    events.untag_resource(ResourceARN=made, TagKeys=["a"])
    assert events.list_tags_for_resource(ResourceARN=made)["Tags"] == [{"Key": "b", "Value": "2"}]


# ---- schedules -----------------------------------------------------------------------------------


def test_a_schedule_is_kept_and_shown(node, name, queue):
    events = node.client("events")
    made = events.put_rule(Name=name, ScheduleExpression="cron(0 10 ? * MON-FRI *)")["RuleArn"]
    shown = events.describe_rule(Name=name)
    assert (shown["ScheduleExpression"], shown["Arn"]) == ("cron(0 10 ? * MON-FRI *)", made)
    assert "EventPattern" not in shown
    for bad in ["rate(1 minutes)", "rate(30 seconds)", "cron(* * * * *)", "at(2030-01-01T00:00:00)", "x"]:
        with refused("ValidationException", 400, "^Parameter ScheduleExpression is not valid.$"):
            events.put_rule(Name=name, ScheduleExpression=bad)
    with refused("ValidationException", 400, "EventPattern or ScheduleExpression must be specified"):
        events.put_rule(Name=name)
    events.create_event_bus(Name="bus-" + name)
    with refused("ValidationException", 400, "supported only on the default event bus"):
        events.put_rule(Name=name, EventBusName="bus-" + name, ScheduleExpression="rate(1 minute)")


# ---- executions ----------------------------------------------------------------------------------


def test_executions_say_that_they_begin_and_end(node, name, queue):
    machine = node.sfn().create_state_machine(
        name=name,
        roleArn=ROLE,
        definition=json.dumps(
            {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}}
        ),
    )["stateMachineArn"]
    rule(
        node,
        name,
        {"source": ["aws.states"], "detail": {"stateMachineArn": [machine]}},
        arn(queue),
    )
    execution = node.sfn().start_execution(stateMachineArn=machine, input='{"a": 1}')["executionArn"]
    got = eventually(lambda: received(node, queue))
    assert [one["detail"]["status"] for one in got] == ["RUNNING", "FAILED"]
    running, failed = got
    assert running["resources"] == [execution]
    assert running["detail-type"] == "Step Functions Execution Status Change"
    assert running["detail"]["stopDate"] is None
    assert running["detail"]["input"] == failed["detail"]["input"] == '{"a": 1}'
    assert (failed["detail"]["error"], failed["detail"]["cause"]) == ("E", "C")
    assert failed["detail"]["output"] is None
    assert re.fullmatch(UUID, failed["id"])
    assert failed["detail"]["stopDate"] >= running["detail"]["startDate"] > 1_600_000_000_000


def test_rules_survive_a_power_cut(own_node):
    url = own_node.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    rule(own_node, "kept", {"source": ["my.kept"]}, arn(url))
    first = put(own_node, event("kept", {"n": 1}))["Entries"][0]["EventId"]
    own_node.restart()
    second = put(own_node, event("kept", {"n": 2}))["Entries"][0]["EventId"]
    assert [one["id"] for one in received(own_node, url)] == [first, second]
