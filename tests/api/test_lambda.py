"""Functions: the Lambda API, handlers in Python and Node.js, and workflows that call them."""

import base64
import io
import json
import os
import shutil
import sys
import zipfile

import pytest
from support import ROLE, ended, eventually, machine, plain, refused, single

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="skipped: no `node` on this machine")
IDENTITY = "def handler(event, context):\n    return event\n"


def archive(files):
    """A zip of these files, by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            made.writestr(entry, text)
    return out.getvalue()


def create(node, name, files=None, **more):
    """Creates a function, in Python unless told otherwise; its configuration."""
    files = {"app.py": files or IDENTITY} if not isinstance(files, dict) else files
    options = {"Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE, **more}
    return node.client("lambda").create_function(
        FunctionName=name, Code={"ZipFile": archive(files)}, **options
    )


def invoke(node, name, payload=None, **more):
    """What a function answers: its value, its error or None, the whole answer."""
    body = b"" if payload is None else json.dumps(payload).encode()
    answer = node.client("lambda").invoke(FunctionName=name, Payload=body, **more)
    text = answer["Payload"].read()
    return json.loads(text) if text else None, answer.get("FunctionError"), answer


def call(name, **more):
    """A state that invokes a function with its input."""
    parameters = {"FunctionName": name, "Payload.$": "$"}
    resource = "arn:aws:states:::lambda:invoke"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, **more, "End": True}


def run(node, name, definition, given=None):
    """The end of an execution of this definition."""
    arn = machine(node, name, definition)
    started = node.sfn().start_execution(stateMachineArn=arn, input=json.dumps(given or {}))
    return ended(node, started["executionArn"], 30)


def test_a_function_is_created_shown_changed_and_deleted(node, name):
    client = node.client("lambda")
    made = create(node, name, Timeout=7, Environment={"Variables": {"A": "b"}}, Tags={"t": "u"})
    assert made["FunctionArn"].endswith(f":function:{name}") and made["State"] == "Active"
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    found = client.get_function(FunctionName=made["FunctionArn"])
    assert found["Configuration"]["CodeSha256"] == made["CodeSha256"]
    assert (found["Configuration"]["Timeout"], found["Tags"]) == (7, {"t": "u"})
    assert name in [f["FunctionName"] for f in client.list_functions()["Functions"]]

    before = made["RevisionId"]
    changed = client.update_function_configuration(FunctionName=name, Timeout=8, RevisionId=before)
    assert changed["Environment"] == {"Variables": {"A": "b"}} and changed["Timeout"] == 8
    with refused("PreconditionFailedException", 412, "latest Revision Id"):
        client.update_function_configuration(FunctionName=name, Timeout=9, RevisionId=before)
    code = archive({"app.py": "def handler(event, context):\n    return 'new'\n"})
    assert invoke(node, name, {"n": 1})[0] == {"n": 1}
    client.update_function_code(FunctionName=name, ZipFile=code)
    assert invoke(node, name, {"n": 1})[0] == "new"

    with refused("ResourceConflictException", 409, "already exist"):
        create(node, name)
    client.delete_function(FunctionName=name)
    with refused("ResourceNotFoundException", 404, f"Function not found: arn:.*:function:{name}"):
        client.get_function(FunctionName=name)
    with refused("ResourceNotFoundException", 404, "Function not found"):
        invoke(node, name)


def test_a_permission_is_kept_and_shown(node, name):
    create(node, name)
    client = node.client("lambda")
    client.add_permission(
        FunctionName=name,
        StatementId="iot",
        Action="lambda:InvokeFunction",
        Principal="iot.amazonaws.com",
        SourceArn="arn:aws:iot:us-east-1:000000000000:rule/r",
    )
    policy = json.loads(client.get_policy(FunctionName=name)["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "iot.amazonaws.com"}
    client.remove_permission(FunctionName=name, StatementId="iot")
    with refused("ResourceNotFoundException", 404, "does not exist"):
        client.get_policy(FunctionName=name)


def test_what_cannot_be_run_is_refused_by_name(node, name):
    for code, options, message in [
        ("InvalidParameterValueException", {"Runtime": "java21"}, "`java21` is not available"),
        ("InvalidParameterValueException", {"Runtime": "go1.x"}, "`provided.al2023`.*`bootstrap`"),
        (
            "InvalidParameterValueException",
            {"Layers": ["arn:aws:lambda:x:1:layer:l:1"]},
            "Layer version arn:aws:lambda:x:1:layer:l:1 does not exist",
        ),
        (
            "InvalidParameterValueException",
            {"FileSystemConfigs": [{"Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0", "LocalMountPath": "/mnt/a"}]},
            "`FileSystemConfigs`",
        ),
        ("InvalidParameterValueException", {"Timeout": 901}, "less than or equal to 900"),
        (
            "InvalidParameterValueException",
            {"Environment": {"Variables": {"AWS_REGION": "x"}}},
            "reserved keys.*AWS_REGION",
        ),
    ]:
        with refused(code, 400, message):
            create(node, name, **options)
    with refused("InvalidParameterValueException", 400, "Could not unzip"):
        node.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=ROLE,
            Code={"ZipFile": b"no zip"},
        )
    with refused("InvalidParameterValueException", 400, "leads out of its folder"):
        create(node, name, {"../app.py": IDENTITY})
    with refused("InvalidParameterValueException", 400, "no container image"):
        node.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=ROLE,
            Code={"ImageUri": "x"},
        )


def test_a_handler_gets_its_context_and_keeps_what_it_has_loaded(node, name):
    code = (
        "import os\nCALLS = []\n"
        "def handler(event, context):\n"
        "    CALLS.append(event)\n"
        "    left = context.get_remaining_time_in_millis()\n"
        "    return [len(CALLS), context.function_name, context.invoked_function_arn,\n"
        "            0 < left <= 3000, os.environ['MODE'], context.client_context and context.client_context.custom]\n"
    )
    create(node, name, code, Environment={"Variables": {"MODE": "test"}})
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    first, error, answer = invoke(node, name, {}, ClientContext=context)
    assert error is None and answer["ExecutedVersion"] == "$LATEST"
    assert first[0] == 1 and first[1] == name and first[2].endswith(f":function:{name}")
    assert first[3:] == [True, "test", {"a": "b"}]
    assert invoke(node, name, {})[0][0] == 2


def test_an_exception_becomes_lambdas_error(node, name):
    code = "def handler(event, context):\n    raise ValueError('bad ' + event['x'])\n"
    create(node, name, code)
    value, error, answer = invoke(node, name, {"x": "day"}, LogType="Tail")
    assert error == "Unhandled" and answer["StatusCode"] == 200
    assert (value["errorType"], value["errorMessage"]) == ("ValueError", "bad day")
    (frame,) = value["stackTrace"]
    assert frame.endswith("line 2, in handler\n    raise ValueError('bad ' + event['x'])\n")
    log = base64.b64decode(answer["LogResult"]).decode()
    assert log.startswith("START RequestId: ") and "[ERROR] ValueError: bad day" in log
    assert f"REPORT RequestId: {value['requestId']}" in log


def test_what_a_handler_prints_is_in_its_own_log_and_bounded(node, name):
    code = "def handler(event, context):\n    print(event['text'] * event['times'])\n"
    create(node, name, code)
    _, _, answer = invoke(node, name, {"text": "loud", "times": 1}, LogType="Tail")
    assert "\nloud\n" in base64.b64decode(answer["LogResult"]).decode()
    _, _, answer = invoke(node, name, {"text": "x", "times": 3_000_000}, LogType="Tail")
    log = base64.b64decode(answer["LogResult"])
    assert len(log) == 4096 and b"loud" not in log and b"REPORT" in log


@pytest.mark.parametrize(
    "code, kind, message",
    [
        ("import nowhere\n", "Runtime.ImportModuleError", "Unable to import module 'app': No module"),
        ("def other():\n    pass\n", "Runtime.HandlerNotFound", "Handler 'handler' missing on module"),
        ("def handler(:\n", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("x = 1 / 0\n", "ZeroDivisionError", "division by zero"),
        (
            "import os\ndef handler(e, c):\n    os._exit(3)\n",
            "Runtime.ExitError",
            "Runtime exited with error: exit status 3",
        ),
        (
            "import os\ndef handler(e, c):\n    os.kill(os.getpid(), 9)\n",
            "Runtime.ExitError",
            "Runtime exited with error: signal: killed",
        ),
        ("def handler(e, c):\n    return {1, 2}\n", "Runtime.MarshalError", "Unable to marshal"),
        (
            "def handler(e, c):\n    return 'x' * 6291600\n",
            "Function.ResponseSizeTooLarge",
            "exceeded maximum allowed payload size",
        ),
        (
            "import time\ndef handler(e, c):\n    time.sleep(60)\n",
            "Sandbox.Timedout",
            "Task timed out after 1.00 seconds",
        ),
        (
            "def handler(e, c):\n    while True:\n        pass\n",
            "Sandbox.Timedout",
            "Task timed out after 1.00 seconds",
        ),
    ],
)
def test_a_function_that_cannot_answer_says_why(node, name, code, kind, message):
    create(node, name, code, Timeout=1)
    for _ in range(2):
        value, error, _ = invoke(node, name)
        assert error == "Unhandled" and value["errorType"] == kind
        assert message in value["errorMessage"]


def test_a_function_sees_nothing_of_the_nodes_environment(tmp_path, monkeypatch):
    from support import Node

    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    own = Node(tmp_path / "data")
    try:
        create(own, "env", "import os\ndef handler(e, c):\n    return dict(os.environ)\n")
        seen, _, _ = invoke(own, "env")
        assert "hunter2" not in json.dumps(seen)
        assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "env" and seen["_HANDLER"] == "app.handler"
        assert seen["AWS_ENDPOINT_URL"] == own.endpoint
    finally:
        own.kill()


def test_payloads_are_bounded_and_must_be_json(node, name):
    create(node, name)
    client = node.client("lambda")
    with refused("RequestTooLargeException", 413, "too large for the RequestResponse"):
        client.invoke(FunctionName=name, Payload=json.dumps("x" * 6_291_456).encode())
    assert len(invoke(node, name, "x" * 6_000_000)[0]) == 6_000_000
    with refused("InvalidRequestContentException", 400, "Could not parse request body"):
        client.invoke(FunctionName=name, Payload=b"{")
    with refused("ResourceNotFoundException", 404, f"function:{name}:7"):
        client.invoke(FunctionName=name, Qualifier="7")
    assert client.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


@needs_node
@pytest.mark.parametrize(
    "files, expected",
    [
        ({"app.js": "exports.handler = async (event) => ({ got: event });"}, {"got": {"n": 1}}),
        ({"app.mjs": "export const handler = async (event) => event.n + 1;"}, 2),
        ({"app.js": "exports.handler = (e, c, done) => setTimeout(() => done(null, 'late'), 20);"}, "late"),
        (
            {
                "package.json": '{"type": "module"}',
                "app.js": "import { join } from 'node:path';\nexport function handler() { return Promise.resolve(join('a', 'b')); }",
            },
            "a/b",
        ),
        ({"app.cjs": "exports.handler = async () => undefined;"}, None),
        # Whichever answers first counts, also before a promise; only a callback waits for the rest.
        ({"app.js": "exports.handler = async (e, c, done) => { done(null, { status: 200 }); };"}, {"status": 200}),
        ({"app.js": "exports.handler = async (e, c) => { c.succeed('told'); await null; return 'returned'; };"}, "told"),
        ({"app.js": "exports.handler = (e, c, done) => { done(null, 1); done(null, 2); };"}, 1),
        ({"app.js": "exports.handler = (e, c) => { setInterval(() => {}, 1000); c.done(null, 'd'); };"}, "d"),
        ({"app.js": "exports.handler = (e, c, done) => { setTimeout(() => {}, 50); done(null, 'w'); };"}, "w"),
        ({"app.js": "exports.handler = () => 5;"}, None),
    ],
)
def test_node_handlers_of_every_style_run(node, name, files, expected):
    create(node, name, files, Runtime="nodejs20.x")
    for _ in range(2):
        assert invoke(node, name, {"n": 1})[:2] == (expected, None)


@needs_node
@pytest.mark.parametrize(
    "code, kind, message",
    [
        ("exports.handler = async () => { throw new RangeError('far'); };", "RangeError", "far"),
        ("exports.handler = (e, c, done) => done(new Error('called'));", "Error", "called"),
        ("exports.handler = async (e, c, done) => { done(new Error('called')); };", "Error", "called"),
        ("exports.handler = (e, c, done) => { setInterval(() => {}, 9); done(new Error('x')); };", "Error", "x"),
        ("exports.other = 1;", "Runtime.HandlerNotFound", "app.handler is undefined or not exported"),
        ("require('nowhere');", "Runtime.ImportModuleError", "Cannot find module 'nowhere'"),
        ("exports.handler = async () => {", "Runtime.UserCodeSyntaxError", "SyntaxError"),
        ("exports.handler = async () => process.exit(4);", "Runtime.ExitError", "exit status 4"),
        ("exports.handler = async () => { for (;;); };", "Sandbox.Timedout", "timed out after 1.00"),
    ],
)
def test_node_handlers_fail_as_on_lambda(node, name, code, kind, message):
    create(node, name, {"app.js": code}, Runtime="nodejs20.x", Timeout=1)
    value, error, _ = invoke(node, name)
    assert error == "Unhandled" and value["errorType"] == kind
    assert message in value["errorMessage"]


@needs_node
def test_an_invocation_after_one_that_ended_its_process_gets_another(node, name):
    """Node.js tells of what nobody caught, and ends."""
    code = """exports.handler = async (event) => {
      if (event.fail) { setTimeout(() => { throw new Error('late'); }, 5); await new Promise(() => setTimeout(() => {}, 500)); }
      return event.n;
    };"""
    create(node, name, {"app.js": code}, Runtime="nodejs20.x")
    for n in range(5):
        value, error, _ = invoke(node, name, {"fail": True})
        assert error == "Unhandled" and value["errorMessage"] == "late"
        assert invoke(node, name, {"n": n})[:2] == (n, None)


def test_the_request_id_is_that_of_the_answer(node, name):
    create(node, name, "def handler(event, context):\n    return context.aws_request_id\n")
    value, _, answer = invoke(node, name, LogType="Tail")
    assert answer["ResponseMetadata"]["RequestId"] == value
    assert value in base64.b64decode(answer["LogResult"]).decode()


def test_an_executable_named_bootstrap_is_a_runtime(node, name):
    code = f"""#!{sys.executable}
import os, urllib.request as u
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with u.urlopen(base + "next") as given:
        place = base + given.headers["Lambda-Runtime-Aws-Request-Id"] + "/response"
        u.urlopen(u.Request(place, b'{{"echo":' + given.read() + b"}}")).close()
"""
    create(node, name, {"bootstrap": code}, Runtime="provided.al2023", Handler="any")
    for n in range(2):
        assert invoke(node, name, n)[0] == {"echo": n}


def test_a_workflow_calls_a_function_and_catches_its_error(node, name):
    code = "def handler(event, context):\n    return {'twice': 2 * event['n']}\n"
    create(node, name, code)
    done = run(node, name, single(call(name, ResultPath="$.r")), {"n": 4})
    result = json.loads(done["output"])["r"]
    assert result["Payload"] == {"twice": 8} and result["StatusCode"] == 200
    assert result["SdkHttpMetadata"]["HttpStatusCode"] == 200

    caught = {"ErrorEquals": ["KeyError"], "Next": "Caught"}
    states = {"Only": call(name, Catch=[caught]), "Caught": {"Type": "Pass", "End": True}}
    done = run(node, name + "b", {"StartAt": "Only", "States": states}, {"m": 4})
    cause = json.loads(json.loads(done["output"])["Cause"])
    assert cause["errorType"] == "KeyError" and cause["errorMessage"] == "'n'"

    done = run(node, name + "c", single(call(name + "-missing")))
    assert done["error"] == "Lambda.ResourceNotFoundException"
    assert "Status Code: 404; Error Code: ResourceNotFoundException" in done["cause"]


def test_the_sdk_integration_hands_on_what_lambda_answers(node, name):
    create(node, name, "def handler(event, context):\n    raise OSError(event)\n")
    state = call(name, ResultPath="$.r")
    state["Resource"] = "arn:aws:states:::aws-sdk:lambda:invoke"
    result = json.loads(run(node, name, single(state), {"n": 1})["output"])["r"]
    assert result["FunctionError"] == "Unhandled"
    assert json.loads(result["Payload"])["errorType"] == "OSError"
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:lambda:getFunctionConfiguration",
        "Parameters": {"FunctionName": name},
        "End": True,
    }
    result = json.loads(run(node, name + "b", single(state))["output"])
    assert result["FunctionName"] == name and result["Runtime"] == "python3.12"


def test_a_function_may_hold_the_token_of_its_task(node, name):
    code = (
        "import json, os, urllib.request as u\n"
        "def handler(event, context):\n"
        "    body = json.dumps({'taskToken': event['token'], 'output': '\"done\"'}).encode()\n"
        "    target = 'AWSStepFunctions.SendTaskSuccess'\n"
        "    headers = {'X-Amz-Target': target, **event['headers']}\n"
        "    u.urlopen(u.Request(os.environ['AWS_ENDPOINT_URL'], body, headers)).close()\n"
    )
    create(node, name, code)
    scope = "any/20260101/us-east-1/states/aws4_request"
    signature = f"SignedHeaders=host, Signature={'0' * 64}"
    auth = f"AWS4-HMAC-SHA256 Credential={scope}, {signature}"
    state = call(name)
    state["Resource"] += ".waitForTaskToken"
    state["Parameters"]["Payload"] = {
        "token.$": "$$.Task.Token",
        "headers": {"Authorization": auth},
    }
    del state["Parameters"]["Payload.$"]
    done = run(node, name, single(state))
    assert done.get("output") == '"done"', (done.get('error'), done.get('cause'))


def test_an_event_is_run_although_nobody_waits_and_the_node_is_killed(own_node, tmp_path):
    marks = tmp_path / "marks"
    code = (
        "import time\n"
        "def handler(event, context):\n"
        f"    open({str(marks)!r}, 'a').write('began ')\n"
        "    time.sleep(event['seconds'])\n"
        f"    open({str(marks)!r}, 'a').write('ended ')\n"
    )
    create(own_node, "event", code, Timeout=20)
    _, error, answer = invoke(own_node, "event", {"seconds": 1.5}, InvocationType="Event")
    assert error is None and answer["StatusCode"] == 202
    eventually(lambda: marks.exists() and "began" in marks.read_text())
    own_node.restart()
    eventually(lambda: "ended" in marks.read_text())
    assert marks.read_text().split() == ["began", "began", "ended"]


def test_a_workflow_goes_on_after_the_node_was_killed_in_an_invocation(own_node, tmp_path):
    pids = tmp_path / "pids"
    code = (
        "import os, time\n"
        "def handler(event, context):\n"
        f"    open({str(pids)!r}, 'a').write(f'{{os.getpid()}} ')\n"
        "    time.sleep(1.5)\n"
        "    return 'survived'\n"
    )
    create(own_node, "slow", code, Timeout=20)
    arn = machine(own_node, "slow", single(call("slow", OutputPath="$.Payload")))
    started = own_node.sfn().start_execution(stateMachineArn=arn)["executionArn"]
    eventually(lambda: pids.exists() and pids.read_text())
    own_node.kill()
    first = int(pids.read_text().split()[0])
    eventually(lambda: not os.path.exists(f"/proc/{first}"), 5)
    own_node.start()
    assert ended(own_node, started, 20)["output"] == '"survived"'
    history = own_node.sfn().get_execution_history(executionArn=started)["events"]
    types = [event["type"] for event in history]
    assert types == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_the_processes_of_functions_end_with_the_node(own_node):
    code = "import os\ndef handler(event, context):\n    return os.getpid()\n"
    create(own_node, "pid", code)
    pid, _, _ = invoke(own_node, "pid")
    assert os.path.exists(f"/proc/{pid}")
    own_node.kill()
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), 5)


def test_a_rule_invokes_a_function(node, name, tmp_path, device):
    seen = tmp_path / "seen"
    code = (
        "import json\n"
        "def handler(event, context):\n"
        f"    open({str(seen)!r}, 'w').write(json.dumps(event))\n"
    )
    made = create(node, name, code)
    action = {"lambda": {"functionArn": made["FunctionArn"]}}
    payload = {"sql": f"SELECT temperature AS t FROM '{name}/in'", "actions": [action]}
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload)
    node.client("iot-data").publish(topic=f"{name}/in", qos=1, payload=b'{"temperature": 21.5}')
    eventually(lambda: seen.exists() and seen.read_text())
    assert json.loads(seen.read_text()) == {"t": 21.5}


def test_functions_survive_a_restart(own_node):
    made = create(own_node, "kept", Description="here to stay")
    own_node.restart()
    found = own_node.client("lambda").get_function_configuration(FunctionName="kept")
    different = {"ResponseMetadata"}
    assert plain(found) == {k: v for k, v in made.items() if k not in different}
    assert invoke(own_node, "kept", [1])[0] == [1]
