"""AWS Step Functions, as boto3 and the AWS CLI see it."""

import datetime
import json
import re

import pytest
from support import ACCOUNT, REGION, ROLE, UUID, ended, eventually, machine, plain, refused
from support import single, token_of, token_table, waiting

PASS = json.dumps(single({"Type": "Pass", "Result": {"done": True}, "End": True}))
WAIT = json.dumps(single({"Type": "Wait", "Seconds": 3600, "End": True}))
STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"


def start(node, arn, **more):
    return node.sfn().start_execution(stateMachineArn=arn, **more)["executionArn"]


# ---- state machines ------------------------------------------------------------------------------


def test_a_created_machine_is_described_as_it_was_given(node, name):
    created = plain(
        node.sfn().create_state_machine(
            name=name, definition=PASS, roleArn=ROLE, tags=[{"key": "a", "value": "b"}]
        )
    )
    assert created.keys() == {"stateMachineArn", "creationDate"}
    assert created["stateMachineArn"] == f"{STATES}:stateMachine:{name}"
    assert isinstance(created["creationDate"], datetime.datetime)
    described = plain(node.sfn().describe_state_machine(stateMachineArn=created["stateMachineArn"]))
    assert described == {
        **created,
        "name": name,
        "status": "ACTIVE",
        "definition": PASS,
        "roleArn": ROLE,
        "type": "STANDARD",
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
        "tracingConfiguration": {"enabled": False},
    }


def test_creating_is_idempotent_for_the_same_definition_byte_for_byte(node, name):
    created = node.sfn().create_state_machine(name=name, definition=PASS, roleArn=ROLE)
    again = node.sfn().create_state_machine(name=name, definition=PASS, roleArn=ROLE)
    assert plain(again) == plain(created)
    spaced = json.dumps(json.loads(PASS), indent=1)
    other = node.sfn().create_state_machine(
        name=name, definition=PASS, roleArn=ROLE + "2", tags=[{"key": "a", "value": "b"}]
    )
    assert plain(other) == plain(created)
    tracing = {"enabled": True}
    for different in ({"definition": spaced}, {"tracingConfiguration": tracing}, {"publish": True}):
        with refused(
            "StateMachineAlreadyExists",
            400,
            f"^State Machine Already Exists: '{STATES}:stateMachine:{name}'$",
        ):
            node.sfn().create_state_machine(
                **{"name": name, "definition": PASS, "roleArn": ROLE, **different}
            )


def test_a_bad_definition_is_refused_with_its_place(node, name):
    places = {
        "{": "^Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: ",
        json.dumps({"StartAt": "A"}): "SCHEMA_VALIDATION_FAILED: .*States",
        json.dumps(single({"Type": "Pass", "Next": "Nowhere"})): "/States/Only/Next",
        json.dumps(single({"Type": "Nope", "End": True})): "/States/Only",
        json.dumps(single({"Type": "Task", "Resource": "x", "End": True})): "/States/Only/Resource",
    }
    for definition, place in places.items():
        with refused("InvalidDefinition", 400, place):
            machine(node, name, definition)
    assert name not in json.dumps(plain(node.sfn().list_state_machines()), default=str)


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:states:::sns:subscribe",
        "arn:aws:states:::aws-sdk:ec2:describeInstances",
        "arn:aws:states:::aws-sdk:iot:createStream",
        "arn:aws:states:::dynamodb:query",
        "arn:aws:states:::aws-sdk:dynamodb:putItem.sync",
    ],
)
def test_a_resource_that_is_not_carried_out_is_refused_by_name_when_created(node, name, resource):
    task = single({"Type": "Task", "Resource": resource, "Parameters": {}, "End": True})
    with refused("InvalidDefinition", 400, "at /States/Only/Resource"):
        machine(node, name, task)
    with refused("InvalidDefinition", 400, resource.split(":::")[-1].split(".")[0]):
        machine(node, name, task)


def test_names_and_roles_are_checked(node, name):
    for bad in ("a b", "a/b", "a\nb", "a:b", "<a>"):
        with refused("InvalidName", 400, "^Invalid Name: '"):
            node.sfn().create_state_machine(name=bad, definition=PASS, roleArn=ROLE)
    with refused("ValidationException", 400, "at 'name' .* less than or equal to 80$"):
        node.unchecked("stepfunctions").create_state_machine(
            name="a" * 81, definition=PASS, roleArn=ROLE
        )
    with refused("InvalidArn", 400, "^Invalid Arn: '"):
        node.sfn().create_state_machine(name=name, definition=PASS, roleArn="nobody")


def test_deleting_a_machine_succeeds_also_when_there_is_none(node, name):
    arn = machine(node, name, PASS)
    for _ in range(2):
        assert plain(node.sfn().delete_state_machine(stateMachineArn=arn)) == {}
    with refused("StateMachineDoesNotExist", 400, f"^State Machine Does Not Exist: '{arn}'$"):
        node.sfn().describe_state_machine(stateMachineArn=arn)
    with refused("StateMachineDoesNotExist", 400, arn):
        node.sfn().start_execution(stateMachineArn=arn)
    with refused("StateMachineDoesNotExist", 400, arn):
        node.sfn().list_executions(stateMachineArn=arn)


def test_machines_are_listed_by_name_in_pages(own_node):
    names = [f"m{number}" for number in range(12)]
    for one in names:
        machine(own_node, one, PASS)
    sfn, found, token = own_node.sfn(), [], {}
    while True:
        page = plain(sfn.list_state_machines(maxResults=5, **token))
        assert len(page["stateMachines"]) <= 5
        found += page["stateMachines"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert [one["name"] for one in found] == sorted(names)
    assert {tuple(sorted(one)) for one in found} == {
        ("creationDate", "name", "stateMachineArn", "type")
    }


def test_pages_are_bounded(node):
    low = "^1 validation error detected: Value '-1' at 'maxResults' failed to satisfy constraint: "
    with refused("ValidationException", 400, low + ".* greater than or equal to 0$"):
        node.unchecked("stepfunctions").list_state_machines(maxResults=-1)
    high = "Value '1001' at 'maxResults' failed to satisfy constraint: "
    with refused("ValidationException", 400, high + ".* less than or equal to 1000$"):
        node.unchecked("stepfunctions").list_state_machines(maxResults=1001)
    with refused("ValidationException", 400, "at 'nextToken' .* less than or equal to 1024$"):
        node.sfn().list_state_machines(nextToken="x" * 1025)
    with refused("InvalidToken", 400, "^Invalid Token: 'Invalid token'$"):
        node.sfn().list_state_machines(nextToken="junk")


@pytest.mark.parametrize(
    "call, member",
    [
        ("describe_state_machine", "stateMachineArn"),
        ("delete_state_machine", "stateMachineArn"),
        ("start_execution", "stateMachineArn"),
        ("list_executions", "stateMachineArn"),
        ("describe_execution", "executionArn"),
        ("stop_execution", "executionArn"),
        ("get_execution_history", "executionArn"),
        ("describe_state_machine_for_execution", "executionArn"),
    ],
)
def test_an_arn_that_is_none_is_refused(node, call, member):
    ask = getattr(node.sfn(), call)
    with refused("InvalidArn", 400, "^Invalid Arn: 'Invalid ARN prefix: nonsense'$"):
        ask(**{member: "nonsense"})
    other = "execution:a:b" if member == "stateMachineArn" else "stateMachine:a"
    with refused("InvalidArn", 400, "Resource type not valid in this context"):
        ask(**{member: f"{STATES}:{other}"})


# ---- executions ----------------------------------------------------------------------------------


def test_an_execution_is_described_with_input_and_output(node, name):
    arn = machine(node, name, PASS)
    started = plain(node.sfn().start_execution(stateMachineArn=arn, name="one", input='{ "a": 1 }'))
    execution = f"{STATES}:execution:{name}:one"
    assert started == {"executionArn": execution, "startDate": started["startDate"]}
    assert isinstance(started["startDate"], datetime.datetime)
    assert plain(ended(node, execution)) == {
        **started,
        "stateMachineArn": arn,
        "name": "one",
        "status": "SUCCEEDED",
        "stopDate": ended(node, execution)["stopDate"],
        "input": '{ "a": 1 }',
        "inputDetails": {"included": True},
        "output": '{"done":true}',
        "outputDetails": {"included": True},
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
    }
    bare = node.sfn().describe_execution(executionArn=execution, includedData="METADATA_ONLY")
    assert not {"input", "output", "inputDetails", "outputDetails"} & bare.keys()


def test_an_execution_without_a_name_gets_a_uuid(node, name):
    arn = machine(node, name, PASS)
    first, second = start(node, arn), start(node, arn)
    assert first != second
    pattern = f"^{STATES}:execution:{name}:{UUID}$"
    assert re.match(pattern, first) and re.match(pattern, second)
    assert ended(node, first)["input"] == "{}"


def test_a_failed_execution_says_error_and_cause(node, name):
    arn = machine(node, name, single({"Type": "Fail", "Error": "Broken", "Cause": "it broke"}))
    found = ended(node, start(node, arn))
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "Broken", "it broke")
    assert "output" not in found


def test_starting_is_idempotent_while_it_runs_with_the_same_input(node, name):
    arn = machine(node, name, WAIT)
    first = plain(node.sfn().start_execution(stateMachineArn=arn, name="a", input='{"n":1}'))
    again = plain(node.sfn().start_execution(stateMachineArn=arn, name="a", input='{"n":1}'))
    assert again == first
    taken = f"^Execution Already Exists: '{first['executionArn']}'$"
    with refused("ExecutionAlreadyExists", 400, taken):
        node.sfn().start_execution(stateMachineArn=arn, name="a", input='{"n":2}')
    node.sfn().stop_execution(executionArn=first["executionArn"])
    with refused("ExecutionAlreadyExists", 400, taken):
        node.sfn().start_execution(stateMachineArn=arn, name="a", input='{"n":1}')


def test_bad_input_starts_nothing(node, name):
    arn = machine(node, name, PASS)
    for bad in ("{", "hello", "{} {}", "NaN"):
        with refused("InvalidExecutionInput", 400, "^Invalid State Machine Execution Input: '"):
            node.sfn().start_execution(stateMachineArn=arn, input=bad)
    with refused("ValidationException", 400, "at 'input' .* less than or equal to 262144$"):
        node.sfn().start_execution(stateMachineArn=arn, input=json.dumps("x" * 262144))
    for bad in ("a b", "a/b"):
        with refused("InvalidName", 400, "^Invalid Name: '"):
            node.sfn().start_execution(stateMachineArn=arn, name=bad)
    assert node.sfn().list_executions(stateMachineArn=arn)["executions"] == []


def test_executions_are_listed_newest_first_by_status_and_in_pages(node, name):
    arn = machine(node, name, WAIT)
    for number in range(7):
        start(node, arn, name=f"e{number}")
    for number in (1, 3):
        node.sfn().stop_execution(executionArn=f"{STATES}:execution:{name}:e{number}")

    def listed(**more):
        found, token = [], {}
        while True:
            page = node.sfn().list_executions(stateMachineArn=arn, maxResults=2, **more, **token)
            assert len(page["executions"]) <= 2
            found += page["executions"]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    assert [one["name"] for one in listed()] == [f"e{number}" for number in range(6, -1, -1)]
    assert [one["name"] for one in listed(statusFilter="ABORTED")] == ["e3", "e1"]
    assert [one["name"] for one in listed(statusFilter="RUNNING")] == ["e6", "e5", "e4", "e2", "e0"]
    assert listed(statusFilter="SUCCEEDED") == []
    one = listed()[0]
    assert one == {
        "executionArn": f"{STATES}:execution:{name}:e6",
        "stateMachineArn": arn,
        "name": "e6",
        "status": "RUNNING",
        "startDate": one["startDate"],
        "redriveCount": 0,
    }
    assert "stopDate" in listed(statusFilter="ABORTED")[0]


def test_bad_pages_of_executions_are_refused(node, name):
    arn = machine(node, name, PASS)
    sfn = node.unchecked("stepfunctions")
    with refused("InvalidToken", 400, "Invalid token"):
        sfn.list_executions(stateMachineArn=arn, nextToken="junk")
    with refused("ValidationException", 400, "at 'nextToken' .* less than or equal to 3096"):
        sfn.list_executions(stateMachineArn=arn, nextToken="x" * 3097)
    with refused("ValidationException", 400, "Value 'NOPE' at 'statusFilter'"):
        sfn.list_executions(stateMachineArn=arn, statusFilter="NOPE")


def test_a_stopped_execution_is_aborted_once(node, name):
    arn = machine(node, name, WAIT)
    execution = start(node, arn)
    stopped = plain(node.sfn().stop_execution(executionArn=execution, error="E", cause="because"))
    assert stopped.keys() == {"stopDate"}
    assert plain(node.sfn().stop_execution(executionArn=execution, error="F")) == stopped
    found = ended(node, execution)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "E", "because")
    assert found["stopDate"] == stopped["stopDate"]
    last = node.sfn().get_execution_history(executionArn=execution)["events"][-1]
    assert last["executionAbortedEventDetails"] == {"error": "E", "cause": "because"}


def test_an_execution_that_never_was_does_not_exist(node, name):
    machine(node, name, PASS)
    missing = f"{STATES}:execution:{name}:missing"
    for call in ("describe_execution", "stop_execution", "get_execution_history"):
        with refused("ExecutionDoesNotExist", 400, f"^Execution Does Not Exist: '{missing}'$"):
            getattr(node.sfn(), call)(executionArn=missing)


def test_an_execution_tells_of_its_machine_also_after_it_was_deleted(node, name):
    arn = machine(node, name, PASS)
    execution = start(node, arn)
    ended(node, execution)
    of = plain(node.sfn().describe_state_machine_for_execution(executionArn=execution))
    assert of == {
        "stateMachineArn": arn,
        "name": name,
        "definition": PASS,
        "roleArn": ROLE,
        "updateDate": of["updateDate"],
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
        "tracingConfiguration": {"enabled": False},
    }
    node.sfn().delete_state_machine(stateMachineArn=arn)
    assert plain(node.sfn().describe_state_machine_for_execution(executionArn=execution)) == of
    assert node.sfn().describe_execution(executionArn=execution)["status"] == "SUCCEEDED"


def test_history_is_numbered_without_gaps_forwards_and_backwards(node, name):
    arn = machine(node, name, PASS)
    execution = start(node, arn, input='{"a":1}')
    ended(node, execution)

    def pages(**more):
        found, token = [], {}
        while True:
            page = node.sfn().get_execution_history(
                executionArn=execution, maxResults=2, **more, **token
            )
            assert len(page["events"]) <= 2
            found += page["events"]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    events = pages()
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["id"] for event in events] == [1, 2, 3, 4]
    assert [event["previousEventId"] for event in events] == [0, 0, 2, 3]
    assert all(isinstance(event["timestamp"], datetime.datetime) for event in events)
    assert events[0]["executionStartedEventDetails"] == {
        "input": '{"a":1}',
        "inputDetails": {"truncated": False},
        "roleArn": ROLE,
    }
    assert pages(reverseOrder=True) == events[::-1]
    for event in pages(includeExecutionData=False):
        assert "input" not in json.dumps(event, default=str).replace("inputDetails", "")


# ---- task tokens ---------------------------------------------------------------------------------


@pytest.fixture
def waiter(node, name):
    """Starts executions that wait for a token: execution and token."""
    token_table(node, name + "-tokens")
    arn = machine(node, name, single(waiting(name + "-tokens", HeartbeatSeconds=30)))

    def begin(operation):
        given = json.dumps({"operationId": operation, "thingName": "dev"})
        return start(node, arn, input=given), token_of(node, name + "-tokens", operation)

    return begin


def test_success_completes_the_task_with_its_output(node, waiter):
    execution, token = waiter("a")
    assert plain(node.sfn().send_task_heartbeat(taskToken=token)) == {}
    assert plain(node.sfn().send_task_success(taskToken=token, output='{"status":"SUCCESS"}')) == {}
    found = ended(node, execution)
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"status": "SUCCESS"})


def test_failure_fails_the_task_with_error_and_cause(node, waiter):
    execution, token = waiter("a")
    assert plain(node.sfn().send_task_failure(taskToken=token, error="E", cause="c")) == {}
    found = ended(node, execution)
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "E", "c")


def test_a_failure_needs_neither_error_nor_cause(node, waiter):
    execution, token = waiter("a")
    node.sfn().send_task_failure(taskToken=token)
    assert ended(node, execution)["status"] == "FAILED"


def test_a_token_completes_its_task_once(node, waiter):
    execution, token = waiter("a")
    node.sfn().send_task_success(taskToken=token, output="1")
    sfn = node.sfn()
    gone = "^Task Timed Out: 'Provided task does not exist anymore'$"
    for send in (
        lambda: sfn.send_task_success(taskToken=token, output="2"),
        lambda: sfn.send_task_failure(taskToken=token),
        lambda: sfn.send_task_heartbeat(taskToken=token),
    ):
        with refused("TaskTimedOut", 400, gone):
            send()
    assert ended(node, execution)["output"] == "1"


def test_a_token_that_was_not_given_out_is_invalid(node, waiter):
    _, token = waiter("a")
    forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    sfn = node.unchecked("stepfunctions")
    for bad in (forged, "junk", "x" * 2000):
        for send in (
            lambda bad: sfn.send_task_success(taskToken=bad, output="1"),
            lambda bad: sfn.send_task_failure(taskToken=bad),
            lambda bad: sfn.send_task_heartbeat(taskToken=bad),
        ):
            with refused("InvalidToken", 400, "^Invalid Token: 'Invalid token'$"):
                send(bad)


def test_an_output_that_is_not_json_is_refused_and_the_task_still_waits(node, waiter):
    execution, token = waiter("a")
    with refused("InvalidOutput", 400, "^Invalid Output: '"):
        node.sfn().send_task_success(taskToken=token, output="{")
    with refused("ValidationException", 400, "at 'output' .* less than or equal to 262144$"):
        node.sfn().send_task_success(taskToken=token, output=json.dumps("x" * 262144))
    assert node.sfn().describe_execution(executionArn=execution)["status"] == "RUNNING"
    node.sfn().send_task_success(taskToken=token, output="{}")
    assert ended(node, execution)["status"] == "SUCCEEDED"


def test_a_task_without_heartbeat_in_time_times_out(node, name):
    token_table(node, name + "-tokens")
    arn = machine(node, name, single(waiting(name + "-tokens", HeartbeatSeconds=1)))
    execution = start(node, arn, input='{"operationId":"a","thingName":"d"}')
    found = ended(node, execution)
    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")
    with refused("TaskTimedOut", 400, "does not exist anymore"):
        node.sfn().send_task_heartbeat(taskToken=token_of(node, name + "-tokens", "a"))


# ---- the rest ------------------------------------------------------------------------------------


def test_unknown_parameters_are_refused_by_name(node):
    status, headers, body = node.target("AWSStepFunctions.ListStateMachines", {"colour": 1})
    assert (status, json.loads(body)["__type"]) == (400, "ValidationException")
    assert '"colour"' in json.loads(body)["message"]
    assert headers["x-amzn-ErrorType"] == "ValidationException"
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert headers["x-amzn-RequestId"]


def test_a_missing_parameter_is_named(node):
    _, _, body = node.target("AWSStepFunctions.DescribeExecution", {})
    message = "1 validation error detected: Value null at 'executionArn' failed to satisfy"
    assert json.loads(body)["message"].startswith(message)


def test_a_body_that_is_not_json_is_refused(node):
    for bad in (b"{", b"[]", b'"x"', b"{}{}", b'{"a":NaN}'):
        status, _, body = node.target("AWSStepFunctions.ListStateMachines", bad)
        assert status == 400, bad
        assert json.loads(body)["__type"] == "SerializationException", bad


def test_what_was_acknowledged_survives_a_kill(own_node):
    node = own_node
    token_table(node, "Tokens")
    arn = machine(node, "Waiting", single(waiting("Tokens", HeartbeatSeconds=60)))
    passed = machine(node, "Passing", PASS)
    done = start(node, passed, name="done", input='{"x":1}')
    ended(node, done)
    given = json.dumps({"operationId": "a", "thingName": "d"})
    execution = start(node, arn, name="open", input=given)
    token = token_of(node, "Tokens", "a")
    node.restart()
    assert node.sfn().describe_execution(executionArn=done)["output"] == '{"done":true}'
    assert len(node.sfn().get_execution_history(executionArn=done)["events"]) == 4
    assert node.sfn().describe_execution(executionArn=execution)["status"] == "RUNNING"
    again = node.sfn().start_execution(stateMachineArn=arn, name="open", input=given)
    assert again["executionArn"] == execution
    node.sfn().send_task_success(taskToken=token, output='"yes"')
    node.restart()
    assert ended(node, execution)["output"] == '"yes"'
    with refused("TaskTimedOut", 400, "does not exist anymore"):
        node.sfn().send_task_success(taskToken=token, output='"again"')
    node.sfn().delete_state_machine(stateMachineArn=arn)
    node.restart()
    names = [one["name"] for one in node.sfn().list_state_machines()["stateMachines"]]
    assert names == ["Passing"]
    eventually(lambda: node.sfn().describe_execution(executionArn=execution))


def test_each_service_answers_in_its_own_kind_of_json(node):
    """Models say awsJson 1.0 or 1.1; some clients insist."""
    listing = {
        "AWSStepFunctions.ListStateMachines": ("states", "1.0"),
        "DynamoDB_20120810.ListTables": ("dynamodb", "1.0"),
        "Logs_20140328.DescribeLogGroups": ("logs", "1.1"),
        "AWSEvents.ListEventBuses": ("events", "1.1"),
    }
    for target, (service, version) in listing.items():
        kind = f"application/x-amz-json-{version}"
        headers = {"X-Amz-Target": target, "Content-Type": kind}
        status, answered, _ = node.request(service, "POST", "/", {}, headers)
        assert (status, answered["content-type"]) == (200, kind), target
