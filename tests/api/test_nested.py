"""Workflows that start others, activities and Express state machines, as boto3 sees them."""

import json
import re
import socket
import threading
import time

import pytest
from support import ACCOUNT, REGION, ROLE, UUID, ended, eventually, machine, plain, refused, single

STATES = f"arn:aws:states:{REGION}:{ACCOUNT}"
WAIT = {"Type": "Wait", "Seconds": 3600, "End": True}


def start(node, arn, **more):
    return node.sfn().start_execution(stateMachineArn=arn, **more)["executionArn"]


def status(node, execution):
    return node.sfn().describe_execution(executionArn=execution)["status"]


def types(node, execution):
    history = node.sfn().get_execution_history(executionArn=execution)
    return [event["type"] for event in history["events"]]


def parent(node, name, child, pattern=".sync"):
    """A machine that starts `child` under the name `c` with its own input."""
    parameters = {"StateMachineArn": child, "Name": "c", "Input.$": "$"}
    resource = f"arn:aws:states:::states:startExecution{pattern}"
    task = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    return machine(node, name, single(task))


# ---- workflows that start others -----------------------------------------------------------------


def test_a_parent_ends_with_its_child_also_after_a_kill(own_node):
    node = own_node
    child = machine(node, "child", single({"Type": "Wait", "Seconds": 2, "End": True}))
    execution = start(node, parent(node, "parent", child, ".sync:2"), input='{"a":[1]}')
    node.restart()
    found = ended(node, execution)
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    assert (output["Status"], output["Input"], output["Output"]) == ("SUCCEEDED", {"a": [1]}, {"a": [1]})
    assert output["ExecutionArn"] == f"{STATES}:execution:child:c"
    assert "TaskSubmitted" in types(node, execution)


def test_stopping_a_parent_stops_its_child_unless_it_does_not_wait(node, name):
    child = machine(node, name + "-child", single(WAIT))
    execution = start(node, parent(node, name, child))
    inner = f"{STATES}:execution:{name}-child:c"
    assert status(node, inner) == "RUNNING"
    node.sfn().stop_execution(executionArn=execution)
    assert status(node, inner) == "ABORTED"


def test_a_failed_child_is_the_cause_of_its_parents_failure(node, name):
    child = machine(node, name + "-child", single({"Type": "Fail", "Error": "E", "Cause": "why"}))
    found = ended(node, start(node, parent(node, name, child)))
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(found["cause"])
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "E", "why")


def test_errors_of_step_functions_have_a_dialect_for_each_kind_of_task(node, name):
    parameters = {"StateMachineArn": f"{STATES}:stateMachine:none"}
    for resource, error, cause in (
        (
            "states:startExecution",
            "StepFunctions.StateMachineDoesNotExistException",
            rf"\(Service: AWSStepFunctions; Status Code: 400; Error Code: StateMachineDoesNotExist; Request ID: {UUID}; Proxy: null\)$",
        ),
        (
            "aws-sdk:sfn:startExecution",
            "Sfn.StateMachineDoesNotExistException",
            rf"\(Service: Sfn, Status Code: 400, Request ID: {UUID}\) \(SDK Attempt Count: 1\)$",
        ),
    ):
        task = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters}
        arn = machine(node, f"{name}-{resource.split(':')[0]}", single({**task, "End": True}))
        found = ended(node, start(node, arn))
        assert found["error"] == error
        assert re.search(cause, found["cause"]), found["cause"]


# ---- activities ----------------------------------------------------------------------------------


@pytest.fixture
def work(node, name):
    """An activity and a machine that uses it: their ARNs."""
    activity = node.sfn().create_activity(name=name)["activityArn"]
    return activity, machine(node, name, single({"Type": "Task", "Resource": activity, "End": True}))


def test_a_worker_is_given_the_task_it_waits_for(node, work):
    activity, arn = work
    given = {}

    def poll():
        given.update(node.sfn().get_activity_task(activityArn=activity, workerName="w"))

    worker = threading.Thread(target=poll)
    worker.start()
    time.sleep(0.3)
    execution = start(node, arn, input='{"a": 1}')
    worker.join(timeout=10)
    assert given["input"] == '{"a":1}'
    node.sfn().send_task_heartbeat(taskToken=given["taskToken"])
    node.sfn().send_task_success(taskToken=given["taskToken"], output="2")
    assert ended(node, execution)["output"] == "2"
    expected = ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    assert types(node, execution)[2:5] == expected


def test_a_worker_that_hung_up_takes_no_task(node, work):
    activity, arn = work
    body = json.dumps({"activityArn": activity}).encode()
    host, port = re.match(r"http://([^:]+):(\d+)", node.endpoint).groups()
    # On loopback a signature need only have the form of one.
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSStepFunctions.GetActivityTask\r\n"
        "Content-Type: application/x-amz-json-1.0\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/states/aws4_request, "
        "SignedHeaders=host, Signature=00\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as gone:
        gone.sendall(head.encode() + body)
        time.sleep(0.5)
    time.sleep(0.5)
    execution = start(node, arn, input="1")
    assert "ActivityStarted" not in types(node, execution)
    given = node.sfn().get_activity_task(activityArn=activity)
    node.sfn().send_task_failure(taskToken=given["taskToken"], error="E")
    assert ended(node, execution)["error"] == "E"


def test_tasks_of_activities_survive_a_kill(own_node):
    node = own_node
    activity = node.sfn().create_activity(name="work")["activityArn"]
    arn = machine(node, "m", single({"Type": "Task", "Resource": activity, "End": True}))
    executions = [start(node, arn, input=str(number)) for number in (1, 2)]
    first = node.sfn().get_activity_task(activityArn=activity)
    node.restart()
    second = node.sfn().get_activity_task(activityArn=activity)
    assert (first["input"], second["input"]) == ("1", "2")
    for given in (first, second):
        node.sfn().send_task_success(taskToken=given["taskToken"], output=given["input"])
    assert [ended(node, execution)["output"] for execution in executions] == ["1", "2"]
    assert plain(node.sfn().describe_activity(activityArn=activity))["name"] == "work"


def test_an_activity_is_created_once_and_deleted_as_often_as_one_likes(node, name):
    sfn = node.sfn()
    first, second = sfn.create_activity(name=name), sfn.create_activity(name=name)
    assert plain(first) == plain(second)
    arn = first["activityArn"]
    assert arn in [activity["activityArn"] for activity in sfn.list_activities(maxResults=1000)["activities"]]
    for _ in range(2):
        assert plain(sfn.delete_activity(activityArn=arn)) == {}
    with refused("ActivityDoesNotExist", 400, f"^Activity Does Not Exist: '{arn}'$"):
        sfn.get_activity_task(activityArn=arn)
    with refused("InvalidName", 400, r"^Invalid Name: 'a\[b'$"):
        sfn.create_activity(name="a[b")


# ---- Express -------------------------------------------------------------------------------------


def express(node, name, state):
    created = node.sfn().create_state_machine(
        name=name, definition=json.dumps(single(state)), roleArn=ROLE, type="EXPRESS"
    )
    return created["stateMachineArn"]


def start_sync(node, arn, **more):
    client = node.client("stepfunctions", inject_host_prefix=False)
    return plain(client.start_sync_execution(stateMachineArn=arn, **more))


def test_a_caller_that_waits_is_answered_with_the_end(node, name):
    arn = express(node, name, {"Type": "Wait", "Seconds": 1, "End": True})
    answer = start_sync(node, arn, name="e", input='{"a": 1}', traceHeader="t")
    assert re.fullmatch(f"{STATES}:express:{name}:e:{UUID}", answer["executionArn"])
    assert (answer["status"], answer["input"], answer["output"]) == ("SUCCEEDED", '{"a": 1}', '{"a": 1}')
    assert answer["traceHeader"] == "t"
    assert answer["billingDetails"]["billedDurationInMilliseconds"] in range(1000, 3000, 100)
    lean = start_sync(node, arn, includedData="METADATA_ONLY")
    assert "output" not in lean and "input" not in lean


def test_a_failure_is_an_answer_too(node, name):
    arn = express(node, name, {"Type": "Fail", "Error": "E", "Cause": "C"})
    answer = start_sync(node, arn)
    assert (answer["status"], answer["error"], answer["cause"]) == ("FAILED", "E", "C")
    assert "output" not in answer


def test_express_executions_have_no_unique_names_and_no_history(node, name):
    arn = express(node, name, WAIT)
    first, second = start(node, arn, name="e"), start(node, arn, name="e")
    assert first != second
    message = "^Invalid Arn: 'Resource type not valid in this context: express'$"
    for call in ("describe_execution", "stop_execution", "get_execution_history"):
        with refused("InvalidArn", 400, message):
            getattr(node.sfn(), call)(executionArn=first)
    with refused("StateMachineTypeNotSupported", 400, "this type of state machine"):
        node.sfn().list_executions(stateMachineArn=arn)


def test_only_express_machines_are_waited_for(node, name):
    arn = machine(node, name, single({"Type": "Pass", "End": True}))
    with refused("StateMachineTypeNotSupported", 400, "this type of state machine"):
        start_sync(node, arn)


def test_an_acknowledged_express_execution_goes_on_after_a_kill(own_node):
    node = own_node
    target = machine(node, "target", single({"Type": "Pass", "End": True}))
    states = {
        "StartAt": "Wait",
        "States": {
            "Wait": {"Type": "Wait", "Seconds": 2, "Next": "Start"},
            "Start": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:sfn:startExecution",
                "Parameters": {"StateMachineArn": target, "Name": "left"},
                "End": True,
            },
        },
    }
    created = node.sfn().create_state_machine(
        name="fast", definition=json.dumps(states), roleArn=ROLE, type="EXPRESS"
    )
    start(node, created["stateMachineArn"])
    node.restart()
    left = eventually(lambda: node.sfn().list_executions(stateMachineArn=target)["executions"])
    assert left[0]["name"] == "left"
