"""TestState, as boto3 sees it: one state by itself, for real or mocked, and looked into."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import ROLE, Node, plain, refused

INVOKE = "arn:aws:states:::lambda:invoke"


def sfn_of(node):
    """A client that does not put the model's `sync-` in front of the host name."""
    return node.client("stepfunctions", inject_host_prefix=False)


def tried(node, definition, level="INFO", **request):
    """The answer to a TestState request, its JSON texts parsed."""
    for name in ("input", "context", "variables"):
        if name in request and not isinstance(request[name], str):
            request[name] = json.dumps(request[name])
    text = json.dumps(definition)
    answer = plain(
        sfn_of(node).test_state(definition=text, roleArn=ROLE, inspectionLevel=level, **request)
    )
    return {name: parsed(value) for name, value in answer.items()}


def parsed(value):
    if isinstance(value, dict):
        return {name: parsed(member) for name, member in value.items()}
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{", '"') else value
    except ValueError:
        return value


def result(value, **more):
    return {"result": json.dumps(value), **more}


def error(name, cause="why"):
    return {"errorOutput": {"error": name, "cause": cause}}


# ---- a state by itself ---------------------------------------------------------------------------


def test_a_task_on_a_hosted_service_is_carried_out_once(node, name):
    name = f"table-{name}"
    node.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem",
        "Parameters": {"TableName": name, "Item": {"k": {"S.$": "$.key"}}},
        "ResultPath": None,
        "Next": "Later",
    }
    answer = tried(node, put, "DEBUG", input={"key": "a"})
    assert (answer["status"], answer["output"]) == ("SUCCEEDED", {"key": "a"})
    assert answer["nextState"] == "Later"
    data = answer["inspectionData"]
    assert data["afterParameters"] == {"TableName": name, "Item": {"k": {"S": "a"}}}
    assert data["afterResultPath"] == {"key": "a"}
    assert node.dynamodb().scan(TableName=name)["Items"] == [{"k": {"S": "a"}}]


def test_a_failing_task_is_retriable_caught_or_failed(node):
    get = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:getItem",
        "Parameters": {"TableName": "no-such-table", "Key": {"k": {"S": "a"}}},
        "End": True,
    }
    missing = "DynamoDB.ResourceNotFoundException"
    failed = tried(node, get, "DEBUG")
    assert (failed["status"], failed["error"]) == ("FAILED", missing)
    assert "errorDetails" not in failed["inspectionData"]
    retry = [{"ErrorEquals": ["Other"]}, {"ErrorEquals": [missing], "IntervalSeconds": 7}]
    retriable = tried(node, {**get, "Retry": retry}, "DEBUG")
    assert retriable["status"] == "RETRIABLE" and "output" not in retriable
    details = {"retryIndex": 1, "retryBackoffIntervalSeconds": 7}
    assert retriable["inspectionData"]["errorDetails"] == details
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Sorry"}]
    caught = tried(node, {**get, "Catch": catch}, "DEBUG", input={"a": 1})
    assert (caught["status"], caught["nextState"]) == ("CAUGHT_ERROR", "Sorry")
    assert caught["output"]["error"]["Error"] == missing and caught["output"]["a"] == 1
    assert caught["inspectionData"]["errorDetails"] == {"catchIndex": 0}


def test_retries_that_are_used_up_leave_the_catcher(node):
    task = {
        "Type": "Task",
        "Resource": INVOKE,
        "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["E"], "Next": "C"}],
        "End": True,
    }
    count = {"retrierRetryCount": 2}
    answer = tried(node, task, "DEBUG", mock=error("E"), stateConfiguration=count)
    assert answer["status"] == "CAUGHT_ERROR"
    assert answer["inspectionData"]["errorDetails"] == {"catchIndex": 0, "retryIndex": 0}
    assert answer["output"] == {"Error": "E", "Cause": "why"}


def test_choices_lead_on_and_a_wait_takes_its_time(node):
    choice = {
        "Type": "Choice",
        "InputPath": "$.of",
        "Choices": [{"Variable": "$.n", "NumericGreaterThan": 3, "Next": "Large"}],
        "Default": "Small",
    }
    large = tried(node, choice, "DEBUG", input={"of": {"n": 4}})
    assert (large["nextState"], large["output"]) == ("Large", {"n": 4})
    assert large["inspectionData"] == {"input": {"of": {"n": 4}}, "afterInputPath": {"n": 4}}
    assert tried(node, choice, input={"of": {"n": 3}})["nextState"] == "Small"
    began = time.monotonic()
    waited = tried(node, {"Type": "Wait", "Seconds": 1, "Next": "N"}, input={"a": 1})
    assert time.monotonic() - began > 0.9
    assert waited == {"status": "SUCCEEDED", "output": {"a": 1}, "nextState": "N"}


def test_variables_are_given_and_shown_with_what_the_state_assigns(node):
    state = {
        "Type": "Pass",
        "QueryLanguage": "JSONata",
        "Assign": {"total": "{% $total + $states.input.n %}"},
        "Output": "{% $total %}",
        "End": True,
    }
    answer = tried(node, state, "DEBUG", input={"n": 2}, variables={"total": 40, "other": "x"})
    assert answer["output"] == "40"
    assert answer["inspectionData"]["variables"] == {"total": 42, "other": "x"}


def test_a_trial_starts_no_execution_and_leaves_nothing(node, name):
    machine = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    node.sfn().create_state_machine(name=name, definition=json.dumps(machine), roleArn=ROLE)
    before = node.sfn().list_state_machines()["stateMachines"]
    assert tried(node, machine, stateName="A", input={"x": 1})["output"] == {"x": 1}
    assert node.sfn().list_state_machines()["stateMachines"] == before


def test_an_expression_that_fails_fails_the_state(node):
    state = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $nothing %}", "End": True}
    answer = tried(node, state)
    assert (answer["status"], answer["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert "returned nothing (undefined)" in answer["cause"]


# ---- an HTTP task --------------------------------------------------------------------------------


@pytest.fixture
def third_party():
    """A server of somebody else's, and what it was sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"made":true}')

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", seen
    server.shutdown()


def test_trace_shows_the_request_and_response_of_an_http_task(tmp_path, third_party):
    address, seen = third_party
    node = Node(tmp_path / "data", ["--http-allow", address])
    try:
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::http:invoke",
            "Parameters": {
                "ApiEndpoint": f"http://{address}/things",
                "Method": "POST",
                "QueryParameters": {"q": "1"},
                "RequestBody": {"name.$": "$.name"},
            },
            "OutputPath": "$.ResponseBody",
            "End": True,
        }
        answer = tried(node, task, "TRACE", input={"name": "n"})
        assert answer["output"] == {"made": True}
        assert [json.loads(body) for body in seen] == [{"name": "n"}]
        request, response = (answer["inspectionData"][part] for part in ("request", "response"))
        assert "content-type: application/json" in response["headers"]
        assert request["url"] == f"http://{address}/things?q=1"
        assert (request["method"], request["body"]) == ("POST", {"name": "n"})
        assert (response["statusCode"], response["body"]) == ("201", {"made": True})
        assert "request" not in tried(node, task, "DEBUG", input={"name": "n"})["inspectionData"]
    finally:
        node.kill()


# ---- Maps and Parallels --------------------------------------------------------------------------


def a_map(**more):
    inner = {"Inner": {"Type": "Pass", "End": True}}
    processor = {"StartAt": "Inner", "States": inner}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **more}


def distributed(**more):
    state = a_map(**more)
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    state["ItemProcessor"]["ProcessorConfig"] = config
    return state


def test_a_map_shows_its_items_and_what_each_iteration_is_given(node):
    selector = {"n.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index", "all.$": "$.all"}
    state = a_map(ItemsPath="$.items", ItemSelector=selector, MaxConcurrency=2)
    given = {"items": [5, 6], "all": "x"}
    data = tried(node, state, "DEBUG", input=given, mock=result(["a", "b"]))["inspectionData"]
    assert data["afterItemsPath"] == [5, 6]
    assert data["afterItemSelector"] == [
        {"n": 5, "i": 0, "all": "x"},
        {"n": 6, "i": 1, "all": "x"},
    ]
    assert data["maxConcurrency"] == 2


def test_a_distributed_map_shows_what_it_read_and_how_it_is_batched(node):
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/rows"},
        "Parameters": {"Bucket": "b", "Key": "k"},
    }
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"of.$": "$.of"}}
    state = distributed(ItemReader=reader, ItemBatcher=batcher, ToleratedFailurePercentage=50)
    config = {"mapItemReaderData": json.dumps({"rows": [1, 2, 3]}), "mapIterationFailureCount": 1}
    answer = tried(
        node, state, "DEBUG", input={"of": "o"}, mock=result([]), stateConfiguration=config
    )
    data = answer["inspectionData"]
    assert answer["status"] == "SUCCEEDED"
    assert data["afterItemsPointer"] == [1, 2, 3]
    assert data["afterItemBatcher"] == [
        {"BatchInput": {"of": "o"}, "Items": [1, 2]},
        {"BatchInput": {"of": "o"}, "Items": [3]},
    ]
    assert data["toleratedFailurePercentage"] == 50.0
    config["mapIterationFailureCount"] = 2
    failed = tried(node, state, input={"of": "o"}, mock=result([]), stateConfiguration=config)
    assert (failed["status"], failed["error"]) == (
        "FAILED",
        "States.ExceedToleratedFailureThreshold",
    )


def test_items_that_are_no_array_fail_the_map(node):
    answer = tried(node, a_map(), input={"a": 1}, mock=result([]))
    assert (answer["status"], answer["error"]) == ("FAILED", "States.Runtime")


def test_an_activity_and_a_callback_come_to_their_mock(node):
    activity = {
        "Type": "Task",
        "Resource": "arn:aws:states:us-east-1:000000000000:activity:paint",
        "End": True,
    }
    assert tried(node, activity, mock=result("blue"))["output"] == "blue"
    callback = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": "q", "MessageBody": {"t.$": "$$.Task.Token"}},
        "End": True,
    }
    assert tried(node, callback, mock=error("Refused"))["error"] == "Refused"


# ---- what is refused -----------------------------------------------------------------------------

PASS = {"Type": "Pass", "End": True}
TASK = {"Type": "Task", "Resource": INVOKE, "End": True}


@pytest.mark.parametrize(
    "definition, request_, code, message",
    [
        (TASK, {"context": "{}"}, "ValidationException", "does not support Context when a mock"),
        (TASK, {"stateConfiguration": {"retrierRetryCount": 1}}, "ValidationException", "does not support RetrierRetryCount when a mock"),
        (TASK, {"mock": {}}, "ValidationException", "one of the following fields"),
        (TASK, {"mock": {"errorOutput": {"cause": "c"}}}, "ValidationException", "Error must be specified"),
        (TASK, {"mock": result({}), "context": "[]"}, "ValidationException", "Context object must be an object"),
        (TASK, {"mock": result({}), "context": '{"State":{"RetryCount":"1"}}'}, "ValidationException", "State.RetryCount must be a number"),
        (TASK, {"mock": result([])}, "ValidationException", "Mocked result must be a JSON object"),
        (a_map(), {"mock": result({})}, "ValidationException", "Mocked result must be an array"),
        (a_map(), {"mock": error("E"), "stateConfiguration": {"errorCausedByState": "X"}}, "ValidationException", "'X'"),
        (PASS, {"variables": "[]"}, "ValidationException", "Variables must be a JSON object"),
        (PASS, {"input": "{"}, "InvalidExecutionInput", "Invalid State Machine Execution Input"),
        ({"Type": "Pass"}, {}, "InvalidDefinition", "at /States/StateName"),
        ({**TASK, "Resource": "arn:aws:states:::states:startExecution.sync"}, {}, "InvalidDefinition", r"\.sync"),
        ({**TASK, "Resource": "arn:aws:states:::aws-sdk:textract:detectDocumentText"}, {"mock": result({})}, "ValidationException", "`textract`.*`NONE`"),
    ],
)
def test_what_cannot_be_tried_is_refused_by_name(node, definition, request_, code, message):
    with refused(code, 400, message):
        sfn_of(node).test_state(definition=json.dumps(definition), roleArn=ROLE, **request_)
