"""State machines that change: revisions, versions, aliases, tags; logs; what is refused, and how."""

import json
import re
import time

import pytest
from support import ACCOUNT, REGION, ROLE, ended, plain, refused, single

PASS = json.dumps(single({"Type": "Pass", "Result": "old", "End": True}))
NEW = PASS.replace("old", "new")
STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"


def created(node, name, **more):
    given = {"name": name, "definition": PASS, "roleArn": ROLE, **more}
    return node.sfn().create_state_machine(**given)


def output(node, arn):
    execution = node.sfn().start_execution(stateMachineArn=arn)["executionArn"]
    return json.loads(ended(node, execution)["output"])


# ---- revisions and versions ------------------------------------------------------------------------


def test_an_update_makes_a_revision_and_an_update_that_changes_nothing_does_not(node, name):
    arn = created(node, name)["stateMachineArn"]
    first = node.sfn().update_state_machine(stateMachineArn=arn, definition=NEW)
    assert plain(first).keys() == {"revisionId", "updateDate"}
    again = node.sfn().update_state_machine(stateMachineArn=arn, definition=NEW, roleArn=ROLE)
    assert again["revisionId"] == first["revisionId"]
    described = node.sfn().describe_state_machine(stateMachineArn=arn)
    assert (described["definition"], described["revisionId"]) == (NEW, first["revisionId"])
    assert output(node, arn) == "new"


def test_what_has_no_effect_is_shown_as_it_was_given(node, name):
    key = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "k", "kmsDataKeyReusePeriodSeconds": 60}
    arn = created(node, name, encryptionConfiguration=key)["stateMachineArn"]
    tracing = {"enabled": True}
    node.sfn().update_state_machine(stateMachineArn=arn, tracingConfiguration=tracing)
    described = node.sfn().describe_state_machine(
        stateMachineArn=arn, includedData="METADATA_ONLY"
    )
    assert described["encryptionConfiguration"] == key
    assert described["tracingConfiguration"] == tracing
    assert "definition" not in described


def test_a_version_stays_what_it_was_through_changes_and_a_crash(own_node, name):
    made = created(own_node, name, publish=True, versionDescription="first")
    arn, version = made["stateMachineArn"], made["stateMachineVersionArn"]
    own_node.sfn().update_state_machine(stateMachineArn=arn, definition=NEW, publish=True)
    own_node.restart()
    assert [output(own_node, which) for which in (version, f"{arn}:2", arn)] == ["old", "new", "new"]
    described = own_node.sfn().describe_state_machine(stateMachineArn=version)
    assert (described["description"], described["definition"]) == ("first", PASS)
    listed = own_node.sfn().list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]
    assert [item["stateMachineVersionArn"] for item in listed] == [f"{arn}:2", f"{arn}:1"]


def test_a_version_is_published_of_the_revision_that_is_named(node, name):
    arn = created(node, name)["stateMachineArn"]
    publish = node.sfn().publish_state_machine_version
    with refused("ConflictException", 400, "revision is INITIAL"):
        publish(stateMachineArn=arn, revisionId="00000000-0000-0000-0000-000000000000")
    assert publish(stateMachineArn=arn, revisionId="INITIAL")["stateMachineVersionArn"] == f"{arn}:1"
    with refused("ValidationException", 400, "^Version description can only be set when publish is"):
        node.sfn().update_state_machine(
            stateMachineArn=arn, definition=NEW, versionDescription="x"
        )


# ---- aliases ---------------------------------------------------------------------------------------


def test_an_alias_leads_to_its_version_and_follows_when_it_is_changed(node, name):
    made = created(node, name, publish=True)
    arn, version = made["stateMachineArn"], made["stateMachineVersionArn"]
    node.sfn().update_state_machine(stateMachineArn=arn, definition=NEW, publish=True)
    route = {"stateMachineVersionArn": version, "weight": 100}
    alias = node.sfn().create_state_machine_alias(name="live", routingConfiguration=[route])
    alias = alias["stateMachineAliasArn"]
    assert output(node, alias) == "old"
    with refused("ConflictException", 400, "referencing this version: .live.$"):
        node.sfn().delete_state_machine_version(stateMachineVersionArn=version)
    node.sfn().update_state_machine_alias(
        stateMachineAliasArn=alias,
        routingConfiguration=[{"stateMachineVersionArn": f"{arn}:2", "weight": 100}],
    )
    assert output(node, alias) == "new"
    ran = node.sfn().list_executions(stateMachineArn=alias)["executions"]
    assert [run["stateMachineVersionArn"] for run in ran] == [f"{arn}:2", f"{arn}:1"]
    assert {run["stateMachineAliasArn"] for run in ran} == {alias}
    node.sfn().delete_state_machine_alias(stateMachineAliasArn=alias)
    with refused("ResourceNotFound", 400, "does not exist"):
        node.sfn().describe_state_machine_alias(stateMachineAliasArn=alias)


@pytest.mark.parametrize(
    "routes, message",
    [
        ([("1", 60), ("2", 30)], r"weights must equal 100\. Received: \[60, 30\]$"),
        ([("1", 50), ("1", 50)], "must contain distinct state machine version ARNs"),
        ([("live", 100)], "must contain state machine version ARNs"),
        ([("1", 40), ("2", 40), ("3", 20)], r"RoutingConfigurationListItem\(.*less than or equal to 2"),
        ([("1", 101)], "Value '101' at 'routingConfiguration.1.member.weight'"),
    ],
)
def test_routes_that_cannot_be_are_refused(node, name, routes, message):
    arn = created(node, name, publish=True)["stateMachineArn"]
    routes = [{"stateMachineVersionArn": f"{arn}:{to}", "weight": weight} for to, weight in routes]
    with refused("ValidationException", 400, message):
        node.sfn().create_state_machine_alias(name="a", routingConfiguration=routes)


# ---- tags ------------------------------------------------------------------------------------------


def test_machines_and_activities_have_up_to_50_tags(node, name):
    machine = created(node, name)["stateMachineArn"]
    activity = node.sfn().create_activity(name=name, tags=[{"key": "a", "value": "1"}])
    for arn in (machine, activity["activityArn"]):
        tags = [{"key": f"k{number}", "value": ""} for number in range(50)]
        node.sfn().untag_resource(resourceArn=arn, tagKeys=["a"])
        node.sfn().tag_resource(resourceArn=arn, tags=tags)
        assert node.sfn().list_tags_for_resource(resourceArn=arn)["tags"] == tags
        with refused("TooManyTags", 400, "at most 50"):
            node.sfn().tag_resource(resourceArn=arn, tags=[{"key": "one", "value": "more"}])
    with refused("ResourceNotFound", 400, "^Resource not found: "):
        node.sfn().list_tags_for_resource(resourceArn=f"{machine}:1")


# ---- logs ------------------------------------------------------------------------------------------


def test_an_execution_logs_where_its_machine_says(node, name):
    logs = node.client("logs")
    group = f"/aws/vendedlogs/states/{name}"
    logs.create_log_group(logGroupName=group, tags={"a": "b"})
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"]
    assert arn == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*"
    destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}]
    logging = {"level": "ALL", "includeExecutionData": True, "destinations": destinations}
    machine = created(node, name, loggingConfiguration=logging)["stateMachineArn"]
    output(node, machine)
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert len(streams) == 1
    stream = streams[0]["logStreamName"]
    assert stream.startswith(f"states/{name}/")
    got = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=2, startFromHead=True)
    more = logs.get_log_events(
        logGroupName=group, logStreamName=stream, nextToken=got["nextForwardToken"]
    )
    events = [json.loads(event["message"]) for event in got["events"] + more["events"]]
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert events[0]["details"]["input"] == "{}"
    end = logs.get_log_events(
        logGroupName=group, logStreamName=stream, nextToken=more["nextForwardToken"]
    )
    assert (end["events"], end["nextForwardToken"]) == ([], more["nextForwardToken"])
    found = logs.filter_log_events(logGroupName=group, filterPattern="PassStateExited")["events"]
    assert len(found) == 1 and "State" in found[0]["message"]


def test_logs_without_a_place_to_go_are_refused(node, name):
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:nowhere:*"
    nowhere = [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}]
    for logging, why in [
        ({"level": "ALL"}, "Must specify exactly one Log Destination."),
        ({"level": "ALL", "destinations": nowhere}, "Log Destination not found."),
    ]:
        with refused("InvalidLoggingConfiguration", 400, f"^Invalid Logging Configuration: {why}$"):
            created(node, name, loggingConfiguration=logging)


def test_a_log_group_is_what_was_put_into_it(node, name):
    logs = node.client("logs")
    with refused("ResourceNotFoundException", 400, "log group does not exist"):
        logs.create_log_stream(logGroupName=name, logStreamName="s")
    logs.create_log_group(logGroupName=name)
    with refused("ResourceAlreadyExistsException", 400, "log group already exists"):
        logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    begun = int(time.time() * 1_000)
    lines = [{"timestamp": begun + number, "message": f"line {number}"} for number in range(5)]
    logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=lines)
    got = logs.get_log_events(
        logGroupName=name,
        logStreamName="s",
        startTime=begun + 1,
        endTime=begun + 4,
        startFromHead=True,
    )
    assert [event["message"] for event in got["events"]] == ["line 1", "line 2", "line 3"]
    logs.put_retention_policy(logGroupName=name, retentionInDays=7)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"] == 7
    logs.delete_log_stream(logGroupName=name, logStreamName="s")
    with refused("ResourceNotFoundException", 400, "log stream does not exist"):
        logs.get_log_events(logGroupName=name, logStreamName="s")
    logs.delete_log_group(logGroupName=name)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []


# ---- what is refused on the wire --------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation, body, code, message",
    [
        ("NoSuchThing", {}, "UnknownOperationException", ""),
        ("ListStateMachines", {"maxresults": 1}, "ValidationException", "one of: maxResults, nextToken$"),
        ("ListStateMachines", {"maxResults": "1"}, "SerializationException", "^STRING_VALUE can not"),
        ("DescribeStateMachine", {}, "ValidationException", "Value null at 'stateMachineArn'"),
        (
            "ListExecutions",
            {"stateMachineArn": "a", "statusFilter": "DONE"},
            "ValidationException",
            r"^1 validation error detected: Value 'DONE' at 'statusFilter' failed to satisfy "
            r"constraint: Member must satisfy enum value set: \[RUNNING, ",
        ),
        (
            "CreateActivity",
            {"name": "", "encryptionConfiguration": {}},
            "ValidationException",
            "^2 validation errors detected: Value '' at 'name' .*; Value null at "
            "'encryptionConfiguration.type'",
        ),
    ],
)
def test_what_the_model_does_not_know_is_refused(node, operation, body, code, message):
    status, _, answer = node.target(f"AWSStepFunctions.{operation}", body)
    answer = json.loads(answer)
    assert (status, answer["__type"]) == (400, code)
    assert re.search(message, answer["message"]), answer


def test_the_command_line_tool_changes_and_publishes_a_machine(node, name, aws):
    arn = created(node, name)["stateMachineArn"]
    status, told, errors = aws(
        *("stepfunctions", "update-state-machine", "--state-machine-arn", arn),
        *("--definition", NEW, "--publish"),
    )
    assert status == 0, errors
    assert json.loads(told)["stateMachineVersionArn"] == f"{arn}:1"
    route = json.dumps([{"stateMachineVersionArn": f"{arn}:1", "weight": 100}])
    status, told, errors = aws(
        *("stepfunctions", "create-state-machine-alias", "--name", "live"),
        *("--routing-configuration", route),
    )
    assert status == 0, errors
    assert json.loads(told)["stateMachineAliasArn"] == f"{arn}:live"
