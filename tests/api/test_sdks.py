"""Every operation of AWS Step Functions, as the SDKs for Python and JavaScript and the AWS CLI see it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from support import ROLE, plain

JS = Path(__file__).parent / "js"
DONE = json.dumps(
    {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": "done", "End": True}}}
)
WAITING = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}})


# ---- three ways to call ----------------------------------------------------------------------------


@pytest.fixture
def python(node):
    client = node.client("stepfunctions", inject_host_prefix=False)

    def call(operation, **given):
        try:
            return {"answer": plain(getattr(client, xform_name(operation))(**given))}
        except ClientError as error:
            return {"error": error.response["Error"]["Code"]}

    return call


@pytest.fixture
def command_line(aws):
    def call(operation, **given):
        command = xform_name(operation, "-")
        status, told, errors = aws(
            "stepfunctions", command, "--output", "json", "--cli-input-json", json.dumps(given)
        )
        if status == 0:
            return {"answer": json.loads(told or "{}")}
        return {"error": re.search(r"An error occurred \((\w+)\)", errors).group(1)}

    return call


@pytest.fixture
def javascript(node):
    if shutil.which("node") is None or not (JS / "node_modules").exists():
        pytest.skip("the AWS SDK for JavaScript is not installed: `./x test` does it")
    process = subprocess.Popen(
        ["node", "client.mjs", node.endpoint],
        cwd=JS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def call(operation, **given):
        print(json.dumps({"operation": operation, "input": given}), file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    yield call
    process.stdin.close()
    process.wait(timeout=20)


# ---- what they all find ----------------------------------------------------------------------------


class Recorder:
    """Calls, and keeps what came of the last call of each operation."""

    def __init__(self, call):
        self.call = call
        self.results = {}

    def __call__(self, operation, **given):
        self.results[operation] = self.call(operation, **given)
        return self.results[operation].get("answer", {})


def all_operations(call, name):
    """Sends every operation of the service at least once, in an order that makes sense."""
    sent = Recorder(call)
    made = sent("CreateStateMachine", name=name, definition=DONE, roleArn=ROLE, publish=True)
    machine, version = made["stateMachineArn"], made["stateMachineVersionArn"]
    route = [{"stateMachineVersionArn": version, "weight": 100}]
    alias = sent("CreateStateMachineAlias", name="live", routingConfiguration=route)
    alias = alias["stateMachineAliasArn"]
    sent("DescribeStateMachineAlias", stateMachineAliasArn=alias)
    sent("UpdateStateMachineAlias", stateMachineAliasArn=alias, description="changed")
    sent("ListStateMachineAliases", stateMachineArn=machine)
    done = sent("StartExecution", stateMachineArn=alias, name="one", input="{}")["executionArn"]
    sent("DescribeExecution", executionArn=done)
    sent("DescribeStateMachineForExecution", executionArn=done)
    sent("GetExecutionHistory", executionArn=done, reverseOrder=True)
    sent("ListExecutions", stateMachineArn=version)
    sent("UpdateStateMachine", stateMachineArn=machine, definition=WAITING)
    sent("DescribeStateMachine", stateMachineArn=machine)
    waiting = sent("StartExecution", stateMachineArn=machine, name="two")["executionArn"]
    sent("StopExecution", executionArn=waiting, error="E", cause="C")
    sent("RedriveExecution", executionArn=waiting)
    sent("StopExecution", executionArn=waiting)
    sent("PublishStateMachineVersion", stateMachineArn=machine)
    sent("ListStateMachineVersions", stateMachineArn=machine)
    sent("DeleteStateMachineVersion", stateMachineVersionArn=f"{machine}:2")
    sent("DeleteStateMachineAlias", stateMachineAliasArn=alias)
    sent("TagResource", resourceArn=machine, tags=[{"key": "a", "value": "b"}])
    sent("ListTagsForResource", resourceArn=machine)
    sent("UntagResource", resourceArn=machine, tagKeys=["a"])
    sent("ListStateMachines", maxResults=1000)
    sent("ValidateStateMachineDefinition", definition=DONE)
    state = {"Type": "Pass", "Result": 1, "End": True}
    sent("TestState", definition=json.dumps(state), roleArn=ROLE, input="{}")

    activity = sent("CreateActivity", name=name)["activityArn"]
    sent("DescribeActivity", activityArn=activity)
    sent("ListActivities")
    work = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": activity, "End": True}}}
    started(sent, f"{name}-work", work)
    token = sent("GetActivityTask", activityArn=activity, workerName="w")["taskToken"]
    sent("SendTaskHeartbeat", taskToken=token)
    sent("SendTaskSuccess", taskToken=token, output='"x"')
    started(sent, f"{name}-fails", work)
    token = sent("GetActivityTask", activityArn=activity)["taskToken"]
    sent("SendTaskFailure", taskToken=token, error="E")
    sent("DeleteActivity", activityArn=activity)

    given = {"name": f"{name}-express", "type": "EXPRESS", "definition": DONE, "roleArn": ROLE}
    express = call("CreateStateMachine", **given)["answer"]["stateMachineArn"]
    sent("StartSyncExecution", stateMachineArn=express)

    items = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}
    items["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    items = {"Type": "Map", "Items": [1], "ItemProcessor": items, "End": True}
    items = {"QueryLanguage": "JSONata", "StartAt": "M", "States": {"M": items}}
    mapping = started(sent, f"{name}-map", items)
    runs = sent("ListMapRuns", executionArn=mapping)["mapRuns"]
    sent("DescribeMapRun", mapRunArn=runs[0]["mapRunArn"])
    sent("UpdateMapRun", mapRunArn=runs[0]["mapRunArn"], maxConcurrency=1)
    call("StopExecution", executionArn=mapping)
    sent("DeleteStateMachine", stateMachineArn=machine)
    return sent.results


def started(sent, name, definition):
    """Starts an execution of a new machine; its ARN."""
    given = {"name": name, "definition": json.dumps(definition), "roleArn": ROLE}
    machine = sent.call("CreateStateMachine", **given)["answer"]["stateMachineArn"]
    return sent.call("StartExecution", stateMachineArn=machine)["answer"]["executionArn"]


@pytest.mark.parametrize("sdk", ["python", "javascript", "command_line"])
def test_every_operation_of_the_service_is_served(sdk, node, name, request):
    results = all_operations(request.getfixturevalue(sdk), name)
    assert set(results) == set(node.sfn().meta.service_model.operation_names)
    assert {name: result["error"] for name, result in results.items() if "error" in result} == {}

    def answer(operation):
        return results[operation]["answer"]

    arn = answer("CreateStateMachine")["stateMachineArn"]
    assert answer("CreateStateMachine")["stateMachineVersionArn"] == f"{arn}:1"
    assert answer("DescribeExecution")["stateMachineAliasArn"] == f"{arn}:live"
    assert answer("DescribeExecution")["output"] == '"done"'
    assert answer("DescribeStateMachineAlias")["routingConfiguration"] == [
        {"stateMachineVersionArn": f"{arn}:1", "weight": 100}
    ]
    assert answer("ListTagsForResource")["tags"] == [{"key": "a", "value": "b"}]
    assert answer("GetExecutionHistory")["events"][0]["type"] == "ExecutionSucceeded"
    assert answer("StartSyncExecution")["output"] == '"done"'
    assert answer("TestState")["output"] == "1"
    assert answer("DescribeMapRun")["status"] == "RUNNING"
    assert answer("DescribeMapRun")["itemCounts"]["total"] == 1
