"""Functions that run as another user or under Landlock: what they can do, and what they cannot."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import Node, eventually, program
from test_lambda import call, create, invoke, needs_node, run


def landlock():
    """The version of Landlock that this kernel has; 0: none."""
    if not sys.platform.startswith("linux"):
        return 0
    # landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
    return max(ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1), 0)


ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="skipped: `--function-user` needs root")
needs_landlock = pytest.mark.skipif(not landlock(), reason="skipped: this kernel has no Landlock")
MADE = (64123, 64124)

# One handler that does as it is told, in Python, and tells what came of it.
PROBE = """
import glob, json, os, resource, signal, subprocess, sys, time
sys.dont_write_bytecode = True

def attempt(what):
    try:
        return ["done", what()]
    except BaseException as error:
        return [type(error).__name__, str(error)]

def read(path):
    with open(path, 'rb') as file:
        return len(file.read())

def write(path):
    with open(path, 'w') as file:
        file.write('x')
    os.remove(path)

def handler(event, context):
    status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
    found = {
        'uid': os.getuid(), 'gid': os.getgid(), 'groups': os.getgroups(),
        'tmp': os.environ['TMPDIR'], 'code': os.environ['LAMBDA_TASK_ROOT'],
        'new_privileges': status['NoNewPrivs'].strip() == '0',
        'files': resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        'core': resource.getrlimit(resource.RLIMIT_CORE)[0],
        'tasks': resource.getrlimit(resource.RLIMIT_NPROC)[0],
    }
    event = event or {}
    found['read'] = {path: attempt(lambda: read(path))[0] for path in event.get('read', [])}
    found['list'] = {path: attempt(lambda: os.listdir(path))[0] for path in event.get('list', [])}
    found['write'] = {path: attempt(lambda: write(path))[0] for path in event.get('write', [])}
    found['truncate'] = {path: attempt(lambda: os.truncate(path, 0))[0] for path in event.get('truncate', [])}
    found['kill'] = {pid: attempt(lambda: os.kill(int(pid), 0))[0] for pid in event.get('kill', [])}
    own = os.environ['TMPDIR']
    os.makedirs(own + '/a', exist_ok=True)
    os.makedirs(own + '/b', exist_ok=True)
    found['own'] = attempt(lambda: (write(own + '/a/x'), open(own + '/a/y', 'w').close(), os.rename(own + '/a/y', own + '/b/y')))
    if 'aws' in event:
        import boto3
        boto3.client('dynamodb').put_item(TableName=event['aws'], Item={'id': {'S': context.function_name}})
        found['aws'] = 'put'
    return found
"""


def started(folder, options):
    """A node with these options, in a folder that others may enter, as they might be in /var/lib."""
    return Node(folder / "data", options)


@pytest.fixture
def place():
    """A folder that others can enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="stepwire-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def secrets_of(node):
    """Files of a node that no function has any business with."""
    files = [path for path in node.folder.iterdir() if path.is_file()]
    names = {path.name for path in files}
    assert {"keys.json", "ca.pem"} <= names and any("key" in name and name != "keys.json" for name in names), names
    stored = [path for path in node.folder.rglob("*") if path.is_file() and path.parent.name not in ("env", "python")]
    return sorted({str(path) for path in files + stored if "functions" not in path.parts})


def check_user(node, user, group):
    create(node, "probe", PROBE, Timeout=30)
    secrets = secrets_of(node)
    value, error, _ = invoke(
        node, "probe",
        {"read": secrets, "list": [str(node.folder)], "write": ["/etc/x", str(node.folder / "x")],
         "truncate": secrets[:1], "kill": [str(node.process.pid)]},
    )
    assert error is None, value
    assert (value["uid"], value["gid"], value["groups"]) == (user, group, [])
    assert value["new_privileges"] is False
    assert (value["files"], value["core"]) == (1024, 0) and value["tasks"] > 1024
    assert set(value["read"].values()) == {"PermissionError"}, value["read"]
    assert set(value["write"].values()) == {"PermissionError"}
    assert set(value["list"].values()) | set(value["truncate"].values()) == {"PermissionError"}
    assert set(value["kill"].values()) == {"PermissionError"}
    assert value["own"][0] == "done", value["own"]
    assert os.stat(value["tmp"]).st_uid == user


@needs_root
@pytest.mark.parametrize("user, ids", [("nobody", None), (f"{MADE[0]}:{MADE[1]}", MADE)])
def test_functions_run_as_another_user_who_cannot_read_the_nodes_data(place, user, ids):
    import pwd

    known = ids or (pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    node = started(place, ["--function-user", user])
    try:
        check_user(node, *known)
    finally:
        node.kill()


def check_kinds(node):
    """Handlers of each kind run, reach the node, and are called by workflows."""
    node.dynamodb().create_table(
        TableName="seen", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    create(node, "py", {"app.py": "import helper\nhandler = helper.handler\n", "helper.py": RAW}, Timeout=30)
    assert invoke(node, "py", {})[:2] == (200, None)
    shell = (
        "#!/bin/sh\nwhile true; do\n"
        "  head=$(mktemp)\n"
        "  body=$(curl -sS -D \"$head\" http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next)\n"
        "  id=$(grep -i lambda-runtime-aws-request-id \"$head\" | tr -d '\\r' | cut -d' ' -f2)\n"
        "  curl -sS -d \"[$body,$(id -u)]\" http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response\n"
        "done\n"
    )
    create(node, "sh", {"bootstrap": shell}, Runtime="provided.al2023", Timeout=20)
    if shutil.which("curl"):
        value, error, _ = invoke(node, "sh", {"a": 1})
        assert error is None and value[0] == {"a": 1}
    if shutil.which("node"):
        js = {
            "app.mjs": "import { there } from './lib/there.mjs';\n"
            "export const handler = async (event) => {\n"
            "  const answer = await fetch(process.env.AWS_ENDPOINT_URL + '/');\n"
            "  return [there(), process.getuid(), answer.status > 0];\n};\n",
            "lib/there.mjs": "export const there = () => 'there';\n",
        }
        create(node, "js", js, Runtime="nodejs20.x", Timeout=20)
        value, error, _ = invoke(node, "js", {})
        assert error is None and value[0] == "there" and value[2] is True, value
        end = run(node, "flow", {"StartAt": "A", "States": {"A": call("js", OutputPath="$.Payload")}})
        assert end["status"] == "SUCCEEDED"


# An AWS request without an SDK, for the interpreter may have none: signed by hand.
RAW = """
import datetime, hashlib, hmac, os, urllib.request
def handler(event, context):
    body = b'{"TableName":"seen","Item":{"id":{"S":"py"}}}'
    at = datetime.datetime.now(datetime.timezone.utc)
    day, now = at.strftime('%Y%m%d'), at.strftime('%Y%m%dT%H%M%SZ')
    host = os.environ['AWS_ENDPOINT_URL'].split('//')[1]
    headers = {'host': host, 'x-amz-date': now, 'x-amz-target': 'DynamoDB_20120810.PutItem',
               'x-amz-security-token': os.environ['AWS_SESSION_TOKEN']}
    names = ';'.join(sorted(headers))
    lines = ''.join(f'{name}:{headers[name]}\\n' for name in sorted(headers))
    digest = lambda text: hashlib.sha256(text).hexdigest()
    request = '\\n'.join(['POST', '/', '', lines, names, digest(body)])
    scope = f"{day}/{os.environ['AWS_REGION']}/dynamodb/aws4_request"
    key = ('AWS4' + os.environ['AWS_SECRET_ACCESS_KEY']).encode()
    for part in scope.split('/'):
        key = hmac.new(key, part.encode(), 'sha256').digest()
    wanted = '\\n'.join(['AWS4-HMAC-SHA256', now, scope, digest(request.encode())])
    signature = hmac.new(key, wanted.encode(), 'sha256').hexdigest()
    headers['authorization'] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}")
    headers['content-type'] = 'application/x-amz-json-1.0'
    asked = urllib.request.Request(os.environ['AWS_ENDPOINT_URL'] + '/', body, headers)
    return urllib.request.urlopen(asked).status
"""


@needs_root
def test_handlers_of_every_kind_run_as_another_user_and_reach_the_node(place):
    node = started(place, ["--function-user", "nobody", "--check-signatures"])
    try:
        keys = json.loads((node.folder / "keys.json").read_text())
        from botocore.credentials import Credentials

        node.credentials = Credentials(keys["id"], keys["secret"])
        check_kinds(node)
    finally:
        node.kill()


@needs_landlock
def test_handlers_of_every_kind_run_under_landlock_and_reach_the_node(place):
    node = started(place, ["--function-landlock"])
    try:
        check_kinds(node)
    finally:
        node.kill()


@needs_landlock
@pytest.mark.parametrize("options", [[], ["--function-user", "nobody"]])
def test_landlock_leaves_a_function_its_own_files_and_the_systems(place, options):
    if options and not ROOT:
        pytest.skip("skipped: `--function-user` needs root")
    node = started(place, ["--function-landlock", *options])
    try:
        create(node, "other", {"app.py": "def handler(event, context):\n    import os\n    return [os.getcwd(), os.getpid(), os.environ['TMPDIR']]\n"})
        elsewhere, pid, tmp = invoke(node, "other")[0]
        create(node, "probe", PROBE, Timeout=30)
        beside = place / "mine"
        beside.write_text("mine")
        beside.chmod(0o666)
        theirs = [f"{elsewhere}/app.py", f"/proc/{pid}/environ", f"/proc/{node.process.pid}/environ",
                  str(beside), f"/proc/{pid}/cwd/app.py"]
        outside = [str(place / "x"), tempfile.gettempdir() + "/stepwire-outside", "/dev/shm/x", "/etc/x", f"{tmp}/x"]
        value, error, _ = invoke(
            node, "probe",
            {"read": secrets_of(node) + theirs, "list": [str(node.folder), elsewhere, "/root", "/home"],
             "write": outside, "truncate": [str(beside)] if landlock() >= 3 else [],
             "kill": [str(node.process.pid), str(pid)] if landlock() >= 6 else []},
        )
        assert error is None, value
        done = [path for path, what in value["read"].items() if what not in ("PermissionError", "FileNotFoundError")]
        assert not done, done
        assert value["read"][str(beside)] == "PermissionError"
        assert set(value["list"].values()) == {"PermissionError"}, value["list"]
        assert set(value["write"].values()) == {"PermissionError"}, value["write"]
        assert set(value["truncate"].values()) <= {"PermissionError"}
        assert set(value["kill"].values()) <= {"PermissionError"}
        assert value["new_privileges"] is False
        # What it has it can use, also by moving files from one folder of its own to another.
        assert value["own"][0] == ("done" if landlock() >= 2 else "OSError"), value["own"]
        assert beside.read_text() == "mine"
    finally:
        node.kill()


@needs_landlock
def test_a_data_folder_that_functions_could_read_all_the_same_is_refused():
    done = subprocess.run(
        [program(), "serve", "--data", "/usr/share/stepwire-never" if ROOT else "/opt/stepwire-never",
         "--http", "127.0.0.1:0", "--mqtts", "127.0.0.1:0", "--function-landlock"],
        capture_output=True, text=True, timeout=60,
    )
    shutil.rmtree("/usr/share/stepwire-never", ignore_errors=True)
    assert done.returncode != 0
    if ROOT:
        assert "the data folder is in it" in done.stderr, done.stderr


@needs_root
@needs_landlock
@needs_node
def test_functions_that_do_harm_do_it_to_themselves(place):
    node = started(place, ["--function-user", "nobody", "--function-landlock"])
    try:
        bad = {
            "fork": "import os, time\ndef handler(e, c):\n    while True:\n        try:\n            if os.fork() == 0:\n                time.sleep(60)\n        except OSError:\n            time.sleep(0.01)\n",
            "chatter": "def handler(e, c):\n    while True:\n        print('x' * 10000)\n",
            "memory": "def handler(e, c):\n    held = []\n    while True:\n        held.append(bytearray(1 << 20))\n",
            "kill": "import os, signal\ndef handler(e, c):\n    for pid in os.listdir('/proc'):\n        if pid.isdigit() and int(pid) != os.getpid():\n            try:\n                os.kill(int(pid), signal.SIGKILL)\n            except OSError:\n                pass\n    return 'tried'\n",
            "exit": "import os\ndef handler(e, c):\n    os._exit(3)\n",
        }
        create(node, "good", "import os\ndef handler(e, c):\n    return os.getpid()\n")
        pid = invoke(node, "good")[0]
        for name, code in bad.items():
            create(node, name, code, Timeout=6, MemorySize=128)
        with ThreadPoolExecutor(len(bad)) as pool:
            running = {name: pool.submit(invoke, node, name) for name in bad}
            slowest = 0
            while not all(one.done() for one in running.values()):
                began = time.monotonic()
                assert invoke(node, "good")[:2] == (pid, None)
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.1)
            ended = {name: one.result()[:2] for name, one in running.items()}
        assert slowest < 5
        kinds = {name: value["errorType"] for name, (value, error) in ended.items() if error}
        assert kinds.pop("fork") in ("Runtime.ExitError", "Sandbox.Timedout", "Runtime.OutOfMemory")
        assert kinds == {
            "chatter": "Sandbox.Timedout", "memory": "Runtime.OutOfMemory", "exit": "Runtime.ExitError",
            **({"kill": kinds["kill"]} if "kill" in kinds else {}),
        }
        if landlock() >= 6:
            assert ended["kill"] == ("tried", None)
        left = lambda: subprocess.run(["pgrep", "-u", "nobody", "-f", "fork"], capture_output=True, text=True).stdout
        eventually(lambda: not left())
        assert node.process.poll() is None
    finally:
        node.kill()


@needs_root
def test_a_user_who_cannot_be_is_refused_when_the_node_starts(place):
    def refused(*options):
        done = subprocess.run(
            [program(), "serve", "--data", str(place / "data"), "--http", "127.0.0.1:0",
             "--mqtts", "127.0.0.1:0", *options],
            capture_output=True, text=True, timeout=60,
        )
        assert done.returncode != 0
        return done.stderr

    assert "there is no user `nosuchuser`" in refused("--function-user", "nosuchuser")
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    shutil.copy(program(), hidden / "stepwire")
    done = subprocess.run(
        [str(hidden / "stepwire"), "serve", "--data", str(place / "data"), "--http", "127.0.0.1:0",
         "--mqtts", "127.0.0.1:0", "--function-user", "nobody"],
        capture_output=True, text=True, timeout=60,
    )
    assert done.returncode != 0 and "cannot run" in done.stderr, done.stderr


@pytest.mark.parametrize("options", [[], ["--function-user", "nobody"]])
def test_what_a_killed_node_left_on_the_disk_is_gone_after_the_next_start(place, options):
    if options and not ROOT:
        pytest.skip("skipped: `--function-user` needs root")
    places = lambda: {path for path in Path(tempfile.gettempdir()).glob("stepwire-function*")}
    before = places()
    node = started(place, options)
    try:
        code = "import os\ndef handler(event, context):\n    open(os.environ['TMPDIR'] + '/mine', 'w').close()\n    return os.environ['TMPDIR']\n"
        create(node, "leaves", code)
        tmp = Path(invoke(node, "leaves")[0])
        assert (tmp / "mine").exists()
        # Where functions run as the node's own user, all of it is in the data folder.
        assert (len(places() - before) == 1) if options else (places() == before)
        assert options or node.folder in tmp.parents
        node.restart()
        assert not tmp.exists()
        assert Path(invoke(node, "leaves")[0]).parent == tmp.parent
        node.process.terminate()
        node.process.wait(20)
        assert not tmp.parent.exists() and places() == before
        node.start()
    finally:
        node.kill()
        if options:
            for left in places() - before:
                shutil.rmtree(left, ignore_errors=True)
