"""AWS Step Functions, as the AWS SDK for JavaScript v3 sees it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROLE

JS = Path(__file__).parent / "js"
OPERATIONS = 37
# Not served yet; one that is must leave this set.
LATER = {"RedriveExecution", "TestState", "ListMapRuns", "DescribeMapRun", "UpdateMapRun"}


@pytest.fixture(scope="module")
def results(node):
    """What came of every operation, in the order in which they were sent."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    subprocess.run(
        ["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=JS, check=True, timeout=300
    )
    ran = subprocess.run(
        ["node", "operations.mjs", node.endpoint, "js", ROLE],
        cwd=JS,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return json.loads(ran.stdout)


def test_every_operation_of_the_service_is_served(results):
    assert len(results) == OPERATIONS
    unknown = {
        name
        for name, result in results.items()
        if result.get("error") == "UnknownOperationException"
    }
    assert unknown == LATER


def test_only_what_cannot_be_is_refused(results):
    refused = {name: result["error"] for name, result in results.items() if "error" in result}
    expected = {
        "RedriveExecution": "ExecutionNotRedrivable",
        "SendTaskFailure": "TaskTimedOut",
        "DescribeMapRun": "ResourceNotFound",
        "UpdateMapRun": "ResourceNotFound",
    }
    assert refused == expected | dict.fromkeys(LATER, "UnknownOperationException")


def test_answers_arrive_with_their_types(results):
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
