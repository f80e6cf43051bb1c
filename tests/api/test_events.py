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
    with refused("ValidationException", 400, "`ScheduleExpression` is not available"):
        events.put_rule(Name=name, ScheduleExpression="rate(5 minutes)")
    events.put_rule(Name=name, EventPattern='{"source":["x"]}')
    with refused("ValidationException", 400, "only queues and topics of this node"):
        target = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target}])
    with refused("ValidationException", 400, "parameter `InputPath` is not supported"):
        target = {"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "InputPath": "$.detail"}
        events.put_targets(Rule=name, Targets=[target])


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
