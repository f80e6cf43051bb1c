"""What Lambda's runtimes do for handlers: logs, errors, contexts, answers, modules of layers."""

import base64
import json
import urllib.error
import urllib.request

import pytest
from support import Node, eventually, refused
from test_lambda import archive, create, invoke, needs_node


def written(node, name, count):
    """The messages of a function's log, once there are so many."""
    read = lambda: node.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    group = {"logGroupNamePrefix": f"/aws/lambda/{name}"}
    eventually(lambda: node.client("logs").describe_log_groups(**group)["logGroups"])
    eventually(lambda: len(read()) >= count)
    return [event["message"] for event in read()]


# ---- logs ----------------------------------------------------------------------------------------


@needs_node
def test_what_is_written_at_once_is_one_event(node, name):
    code = "exports.handler = async () => { console.log('one\\n two', { a: 1 }); };"
    create(node, name, {"app.js": code}, Runtime="nodejs20.x")
    _, _, answer = invoke(node, name, LogType="Tail")
    messages = written(node, name, 4)
    assert [message.split()[0] for message in messages[::2]] == ["START", "END"]
    assert messages[1].split("\t")[2:] == ["INFO", "one\n two { a: 1 }\n"]
    assert "one\n two { a: 1 }\n" in base64.b64decode(answer["LogResult"]).decode()


def test_a_traceback_is_one_event(node, name):
    code = (
        "import logging\n"
        "def handler(event, context):\n"
        "    logging.warning('two\\nlines')\n"
        "    raise ValueError('bad')\n"
    )
    create(node, name, code)
    invoke(node, name)
    messages = written(node, name, 5)
    assert messages[1].startswith("[WARNING]\t") and messages[1].endswith("\ttwo\nlines\n")
    assert messages[2].startswith("[ERROR] ValueError: bad\nTraceback (most recent call last):\n")
    assert messages[2].endswith("    raise ValueError('bad')\n".replace(" ", "\u00a0", 4))
    assert len(messages) == 5


JSON_LOGGING = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO"}


@needs_node
def test_a_log_can_be_json(node, name):
    code = "exports.handler = async () => { console.info('no'); console.warn({ a: 1 }); return 1; };"
    made = create(node, name, {"app.js": code}, Runtime="nodejs20.x", LoggingConfig=JSON_LOGGING)
    assert made["LoggingConfig"] == {**JSON_LOGGING, "LogGroup": f"/aws/lambda/{name}"}
    assert invoke(node, name)[0] == 1
    lines = [json.loads(message) for message in written(node, name, 3)]
    if lines[0]["type"] == "platform.initStart":
        lines.pop(0)
    start, warning, report = lines
    assert start["type"] == "platform.start" and start["record"]["version"] == "$LATEST"
    assert (warning["level"], warning["message"]) == ("WARN", {"a": 1})
    assert warning["requestId"] == start["record"]["requestId"] == report["record"]["requestId"]
    assert report["type"] == "platform.report" and report["record"]["status"] == "success"
    assert report["record"]["metrics"]["memorySizeMB"] == 128


def test_python_logs_json_with_what_records_have(node, name):
    code = (
        "import logging\n"
        "def handler(event, context):\n"
        "    logging.getLogger('mine').info('no')\n"
        "    try:\n        1 / 0\n"
        "    except ZeroDivisionError:\n"
        "        logging.exception('told', extra={'device': 7})\n"
        "    raise ValueError('bad')\n"
    )
    create(node, name, code, LoggingConfig={**JSON_LOGGING, "SystemLogLevel": "WARN"})
    invoke(node, name)
    told, error, done, report = [json.loads(message) for message in written(node, name, 4)]
    assert (told["level"], told["message"], told["device"]) == ("ERROR", "told", 7)
    assert (told["errorType"], told["logger"]) == ("ZeroDivisionError", "root")
    assert (error["level"], error["errorType"]) == ("ERROR", "ValueError")
    assert (done["type"], report["type"]) == ("platform.runtimeDone", "platform.report")
    assert report["record"]["status"] == "error"


def test_a_log_format_must_be_one(node, name):
    with refused("InvalidParameterValueException", 400, "the log level cannot be configured"):
        create(node, name, LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "INFO"})
    create(node, name, LoggingConfig={"LogFormat": "JSON"})
    client = node.client("lambda")
    shown = client.get_function_configuration(FunctionName=name)["LoggingConfig"]
    assert (shown["ApplicationLogLevel"], shown["SystemLogLevel"]) == ("INFO", "INFO")
    changed = client.update_function_configuration(
        FunctionName=name, LoggingConfig={"LogFormat": "Text"}
    )
    assert changed["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}


# ---- errors --------------------------------------------------------------------------------------


@needs_node
def test_what_nobody_caught_is_named(node, name):
    code = """exports.handler = async (event) => {
      if (event === 1) { Promise.reject(new Error('unh')); await new Promise((r) => setTimeout(r, 500)); }
      if (event === 2) await new Promise(() => {});
      if (event === 3) { const error = new RangeError('far'); error.own = 1; throw error; }
      return event;
    };"""
    create(node, name, {"app.js": code}, Runtime="nodejs20.x")
    value, _, answer = invoke(node, name, 1, LogType="Tail")
    assert value["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert value["errorMessage"] == "Error: unh"
    assert value["trace"][0] == "Runtime.UnhandledPromiseRejection: Error: unh"
    log = base64.b64decode(answer["LogResult"]).decode()
    assert '\tERROR\tUnhandled Promise Rejection \t{"errorType":"Runtime.Unhandled' in log
    value, _, answer = invoke(node, name, 2, LogType="Tail")
    assert value["errorType"] == "Runtime.NodeJsExit"
    assert value["errorMessage"].endswith("because returned promise was never settled.")
    value, _, answer = invoke(node, name, 3, LogType="Tail")
    assert value["errorType"] == "RangeError" and value["trace"][0] == "RangeError: far"
    log = base64.b64decode(answer["LogResult"]).decode()
    line = next(line for line in log.splitlines() if "Invoke Error" in line)
    told = json.loads(line.split("Invoke Error \t")[1])
    assert (told["errorType"], told["own"]) == ("RangeError", 1) and told["stack"][0] == "RangeError: far"
    assert invoke(node, name, 4)[0] == 4


# ---- contexts and answers ------------------------------------------------------------------------


def test_a_python_context_has_its_members(node, name):
    code = (
        "def handler(event, context):\n"
        "    client = context.client_context\n"
        "    return [context.identity.cognito_identity_id, context.tenant_id,\n"
        "            client and [client.client.installation_id, client.custom, client.env]]\n"
    )
    create(node, name, code)
    assert invoke(node, name)[0] == [None, None, None]
    told = {"client": {"installation_id": "i"}, "custom": {"a": 1}}
    context = base64.b64encode(json.dumps(told).encode()).decode()
    assert invoke(node, name, ClientContext=context)[0] == [None, None, ["i", {"a": 1}, None]]
    with refused("InvalidRequestContentException", 400, "Client context must be a valid Base64"):
        invoke(node, name, ClientContext="{}")


def test_python_answers_are_exact(node, name):
    code = (
        "import collections, decimal\n"
        "Place = collections.namedtuple('Place', 'lat lon')\n"
        "def handler(event, context):\n"
        "    exact = decimal.Decimal('12345678901234567890.10')\n"
        "    return {'exact': exact, 'all': [Place(decimal.Decimal(1), b'x')]}\n"
    )
    create(node, name, code)
    answer = node.client("lambda").invoke(FunctionName=name)["Payload"].read().decode()
    assert answer == '{"exact": 12345678901234567890.10, "all": [{"lat": 1, "lon": "x"}]}'


# ---- modules -------------------------------------------------------------------------------------

ESM = {"nodejs/node_modules/told/package.json": '{"name":"told","exports":"./told.mjs"}',
       "nodejs/node_modules/told/told.mjs": "export const told = 'layer';\n"}


@needs_node
def test_es_modules_find_those_of_layers(node, name):
    layer = node.client("lambda").publish_layer_version(
        LayerName=name, Content={"ZipFile": archive(ESM)}
    )["LayerVersionArn"]
    code = (
        "import { told } from 'told';\n"
        "export const handler = async () => {\n"
        "  const again = await import('told');\n"
        "  const missing = await import('nowhere').catch((error) => error.code);\n"
        "  return [told, again.told, missing];\n"
        "};\n"
    )
    create(node, name, {"app.mjs": code}, Runtime="nodejs20.x", Layers=[layer])
    assert invoke(node, name)[0] == ["layer", "layer", "ERR_MODULE_NOT_FOUND"]


@needs_node
def test_modules_of_a_folder_are_found_last(tmp_path):
    modules = tmp_path / "modules"
    for package in ("@aws-sdk/client-x", "told"):
        (modules / "node_modules" / package).mkdir(parents=True)
        index = modules / "node_modules" / package / "index.js"
        index.write_text("exports.told = 'folder';\n")
    (modules / "python").mkdir()
    (modules / "python" / "told.py").write_text("TOLD = 'folder'\n")
    own = Node(tmp_path / "data", ["--function-modules", str(modules)])
    try:
        code = "import told\ndef handler(event, context):\n    return told.TOLD\n"
        create(own, "py", code)
        assert invoke(own, "py")[0] == "folder"
        create(own, "own", {"app.py": code, "told.py": "TOLD = 'own'\n"})
        assert invoke(own, "own")[0] == "own"
        code = "exports.handler = async () => require('@aws-sdk/client-x').told;"
        create(own, "cjs", {"app.js": code}, Runtime="nodejs20.x")
        assert invoke(own, "cjs")[0] == "folder"
        code = (
            "import told from 'told';\nimport sdk from '@aws-sdk/client-x';\n"
            "export const handler = async () => [told.told, sdk.told];\n"
        )
        files = {"app.mjs": code, "node_modules/told/index.js": "exports.told = 'own';\n"}
        create(own, "esm", files, Runtime="nodejs20.x")
        assert invoke(own, "esm")[0] == ["own", "folder"]
    finally:
        own.kill()


@needs_node
@pytest.mark.parametrize(
    "files",
    [
        {"app.js": "require('@aws-sdk/client-s3');"},
        {"app.mjs": "import '@aws-sdk/client-s3';"},
        {"app.js": "exports.handler = async () => require('@aws-sdk/client-s3');"},
    ],
)
def test_who_misses_the_sdk_is_told_of_the_option(node, name, files):
    create(node, name, files, Runtime="nodejs20.x")
    value, _, answer = invoke(node, name, LogType="Tail")
    assert "--function-modules" in value["errorMessage"] and "npm install" in value["errorMessage"]
    assert "--function-modules" in base64.b64decode(answer["LogResult"]).decode()


@needs_node
def test_node_takes_for_es_modules_what_lambda_does(node, name):
    files = {"app.js": "exports.handler = async () => require('./told.mjs').told;",
             "told.mjs": "export const told = 1;\n"}
    create(node, name, files, Runtime="nodejs20.x")
    value, error, _ = invoke(node, name)
    assert error and "ES Module" in value["errorMessage"]
    options = {"Variables": {"NODE_OPTIONS": "--experimental-require-module --no-warnings"}}
    node.client("lambda").update_function_configuration(FunctionName=name, Environment=options)
    value, error, _ = invoke(node, name)
    # Interpreters that cannot do it at all say so.
    assert value == 1 or "ES Module" in value["errorMessage"] or "bad option" in str(value)


# ---- the API -------------------------------------------------------------------------------------


def test_the_code_of_a_function_can_be_fetched(node, name):
    create(node, name)
    code = node.client("lambda").get_function(FunctionName=name)["Code"]
    assert code["RepositoryType"] == "S3" and code["Location"].startswith(node.endpoint)
    with urllib.request.urlopen(code["Location"]) as answer:
        assert answer.read() == archive({"app.py": "def handler(event, context):\n    return event\n"})
    for other in [code["Location"].replace("token=", "token=0"), code["Location"].split("?")[0]]:
        with pytest.raises(urllib.error.HTTPError) as wrong:
            urllib.request.urlopen(other)
        assert wrong.value.code == 403


def test_members_that_are_not_of_their_form_are_refused(node, name):
    with refused("ValidationException", 400, "Value 'nobody' at 'role' failed to satisfy"):
        create(node, name, Role="nobody")
    with refused("ValidationException", 400, "at 'handler' failed to satisfy constraint"):
        create(node, name, Handler="app handler")
    with refused("InvalidParameterValueException", 400, "holds `a` as a file and as a folder"):
        create(node, name, {"a": "", "a/b": ""})
    create(node, name)
    client = node.client("lambda")
    with refused("ValidationException", 400, "at 'action' failed to satisfy constraint"):
        client.add_permission(FunctionName=name, StatementId="s", Action="run", Principal="*")
    with refused("InvalidParameterValueException", 400, "does not match the specified qualifier"):
        client.get_function(FunctionName=f"{name}:1", Qualifier="2")
