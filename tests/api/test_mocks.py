"""Mocked service integrations: the mock configuration of Step Functions Local."""

import json
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from support import REGION, Node, ended, eventually, machine, plain, program, refused, single

CORPUS = Path(__file__).resolve().parents[3] / "shared"
PUT = "arn:aws:states:::dynamodb:putItem"


def task(resource=PUT, **more):
    return {"Type": "Task", "Resource": resource, "Parameters": {"TableName": "none"}, **more}


def configuration(name, responses, case=None):
    cases = {"Case": case or {"Only": "response"}}
    return {
        "StateMachines": {name: {"TestCases": cases}},
        "MockedResponses": {"response": responses},
    }


@pytest.fixture
def mocked(tmp_path):
    """Starts a node with a mock configuration."""
    nodes = []

    def start(config):
        file = tmp_path / "MockConfigFile.json"
        file.write_text(json.dumps(config))
        nodes.append(Node(tmp_path / "data", ["--mock-config", str(file)]))
        return nodes[-1]

    yield start
    for node in nodes:
        node.kill()


def run(node, arn, case="Case", **more):
    started = node.sfn().start_execution(stateMachineArn=f"{arn}#{case}", **more)
    return started["executionArn"]


def types(node, execution):
    events = node.sfn().get_execution_history(executionArn=execution)["events"]
    return [event["type"] for event in events]


def test_a_mocked_state_answers_without_its_service(mocked):
    node = mocked(configuration("m", {"0": {"Return": {"paid": 1.50}}}))
    arn = machine(node, "m", single(task(End=True)))
    execution = run(node, arn, name="e")
    assert execution == arn.replace(":stateMachine:", ":execution:") + ":e"
    assert ended(node, execution)["output"] == '{"paid":1.5}'
    assert types(node, execution)[2:5] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]
    described = node.sfn().describe_execution(executionArn=execution)
    assert described["stateMachineArn"] == arn


def test_without_a_test_case_the_service_is_called(mocked):
    node = mocked(configuration("m", {"0": {"Return": {}}}))
    arn = machine(node, "m", single(task(End=True)))
    execution = node.sfn().start_execution(stateMachineArn=arn)["executionArn"]
    assert ended(node, execution)["status"] == "FAILED"


def test_states_that_the_case_does_not_name_call_their_service(mocked):
    node = mocked(configuration("m", {"0": {"Return": {}}}, {"Other": "response"}))
    arn = machine(node, "m", single(task(End=True)))
    found = ended(node, run(node, arn))
    assert found["status"] == "FAILED" and found["error"].startswith("DynamoDB.")


def test_attempts_are_counted_over_retries_and_survive_a_power_cut(mocked):
    busy = {"Throw": {"Error": "Busy", "Cause": "not yet"}}
    node = mocked(configuration("m", {"0-1": busy, "2": {"Return": {"done": True}}}))
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 5}]
    arn = machine(node, "m", single(task(Retry=retry, End=True)))
    execution = run(node, arn)
    eventually(lambda: types(node, execution).count("TaskFailed") == 1)
    node.restart()
    assert ended(node, execution)["output"] == '{"done":true}'
    assert types(node, execution).count("TaskFailed") == 2


def test_an_attempt_beyond_those_in_the_file_fails_and_calls_nothing(mocked):
    node = mocked(configuration("m", {"0": {"Throw": {"Error": "Busy", "Cause": "x"}}}))
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1}]
    arn = machine(node, "m", single(task(Retry=retry, End=True)))
    found = ended(node, run(node, arn))
    assert found["error"] == "States.Runtime" and "attempt 1 of `Only`" in found["cause"]


def test_a_mocked_callback_needs_nobody_with_the_token(mocked):
    node = mocked(configuration("m", {"0": {"Return": "said"}}))
    waits = task(
        "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
        Parameters={"TableName": "none", "Item": {"t": {"S.$": "$$.Task.Token"}}},
        End=True,
    )
    execution = run(node, machine(node, "m", single(waits)))
    assert ended(node, execution)["output"] == '"said"'
    assert types(node, execution)[4:6] == ["TaskSubmitted", "TaskSucceeded"]


def test_an_unknown_test_case_is_refused(mocked):
    node = mocked(configuration("m", {"0": {"Return": {}}}))
    arn = machine(node, "m", single(task(End=True)))
    with refused("InvalidArn", 400, "no test case `Sad` of `m`"):
        run(node, arn, "Sad")


def test_the_same_name_with_another_case_is_another_execution(mocked):
    config = configuration("m", {"0": {"Return": {}}}, {"Other": "response"})
    config["StateMachines"]["m"]["TestCases"]["Second"] = {"Only": "response"}
    node = mocked(config)
    arn = machine(node, "m", single({"Type": "Wait", "Seconds": 60, "End": True}))
    first = plain(node.sfn().start_execution(stateMachineArn=f"{arn}#Case", name="e"))
    again = plain(node.sfn().start_execution(stateMachineArn=f"{arn}#Case", name="e"))
    assert again == first
    with refused("ExecutionAlreadyExists", 400, "Execution Already Exists"):
        node.sfn().start_execution(stateMachineArn=f"{arn}#Second", name="e")


@pytest.mark.parametrize(
    "text, told",
    [
        ("{", "line 1 column 1"),
        ('{"StateMachines": {"m": {"TestCases": {"c": {"S": "r"}}}}}', "`MockedResponses` has no `r` at /StateMachines/m/TestCases/c/S"),
        ('{"StateMachines": {}, "MockedResponses": {"r": {"0": {}}}}', "expected one of `Return` and `Throw` at /MockedResponses/r/0"),
    ],
)
def test_a_bad_file_is_refused_at_the_start_with_the_place(tmp_path, text, told):
    file = tmp_path / "MockConfigFile.json"
    file.write_text(text)
    found = subprocess.run(
        [program(), "serve", "--memory", "--http", "127.0.0.1:0", "--mqtts", "127.0.0.1:0"],
        env={"SFN_MOCK_CONFIG": str(file)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert found.returncode == 2
    assert str(file) in found.stderr and told in found.stderr


# ---- the recorded workflows, with the answers of their services mocked ---------------------------


def recorded():
    folder = CORPUS / "corpus" / "asl" / "open"
    for file in sorted(folder.glob("local_mocking*.json")):
        case = json.loads(file.read_text())
        if case["complete"] and case.get("mock_variant"):
            yield pytest.param(case, id=case["id"].split(".", 1)[1])


RECORDED = list(recorded())


@pytest.mark.skipif(not RECORDED, reason="no recorded cases beside this repository")
@pytest.mark.parametrize("case", RECORDED)
def test_a_recorded_workflow_runs_alike_with_mocks(mocked, case):
    variant = case["mock_variant"]
    create = next(s for s in variant["steps"] if s["op"] == "stepfunctions.create_state_machine")
    start = next(s for s in variant["steps"] if "start" in s["op"] and "execution" in s["op"])
    node = mocked(variant["steps"][0]["args"][0])
    definition = json.dumps(variant["definitions"][create["id"]])
    definition = definition.replace("{{region}}", REGION).replace("{{account_id}}", "0" * 12)
    try:
        arn = machine(node, create["params"]["name"], definition)
    except ClientError as error:
        if "is not available in stepwire yet" not in str(error):
            raise
        pytest.skip(f"its integration is refused: {error}")
    test_case = start["params"]["stateMachineArn"].split("#")[1]
    execution = run(node, arn, test_case, input=start["params"].get("input", "{}"))
    found = ended(node, execution)
    expected = case["executions"][0]
    wanted = expected.get("sync") or expected["expected"]
    assert found["status"] == wanted["status"], found
    history = expected["expected"]["history"] if "expected" in expected else None
    if history:
        assert types(node, execution) == [event["type"] for event in history]
        output = history[-1]["executionSucceededEventDetails"]["output"]
        if not any(mark in json.dumps(output) for mark in ("<", "Sdk")):
            # The recordings hold objects and arrays parsed, other values as the text they are.
            assert found["output"] == output or json.loads(found["output"]) == output
