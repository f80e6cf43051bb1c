"""`stepwire run` and `stepwire env`: programs reach the node unchanged, with SDKs old and new."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from support import Node, program

HERE = Path(__file__).parent
JS = HERE / "js"
ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}'


def run(folder, *command, options=(), environment=(), **more):
    """`stepwire run`: the finished process."""
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **dict(environment)}
    return subprocess.run(
        [program(), "run", "--data", str(folder), *options, "--", *map(str, command)],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        **more,
    )


def env(folder, *options):
    told = subprocess.run(
        [program(), "env", "--data", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.fixture
def node_js():
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")


def test_a_program_gets_what_its_sdk_needs_and_standard_error_says_so(node):
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    others = {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "x", "AWS_ENDPOINT_URL_S3": "http://x"}
    others |= {"NODE_OPTIONS": "--max-old-space-size=100", "HTTPS_PROXY": "http://127.0.0.1:1"}
    done = run(node.folder, sys.executable, "-c", script, environment=others)
    assert done.returncode == 0, done.stderr
    given = json.loads(done.stdout)
    assert given["AWS_ENDPOINT_URL"] == node.endpoint
    assert given["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:"), "an address, no name"
    assert given["NODE_OPTIONS"].endswith("capture.cjs --max-old-space-size=100")
    assert "127.0.0.1" in given["NO_PROXY"]
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"} & set(given)
    assert given["AWS_SECRET_ACCESS_KEY"] not in done.stderr
    for line in ["AWS_SECRET_ACCESS_KEY=****", f"AWS_ENDPOINT_URL={node.endpoint}"]:
        assert f"  {line}\n" in done.stderr
    assert "AWS_PROFILE is taken away" in done.stderr


def test_the_exit_code_is_the_programs(node):
    assert run(node.folder, "sh", "-c", "exit 7", options=["-q"]).returncode == 7
    killed = run(node.folder, "sh", "-c", "kill -TERM $$", options=["--quiet"])
    assert killed.returncode == -signal.SIGTERM and killed.stderr == ""


def test_a_signal_reaches_the_program(node):
    script = "import signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(9))\n"
    script += "print('on', flush=True)\ntime.sleep(30)"
    command = [program(), "run", "-q", "--data", str(node.folder), "--", sys.executable, "-c", script]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 9
    process.stdout.close()


def test_what_cannot_be_run_is_said_with_a_hint(node, tmp_path):
    missing = run(node.folder, "no-such-program", options=["-q"])
    assert missing.returncode == 3
    assert "no program `no-such-program`" in missing.stderr and "hint: " in missing.stderr
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert run(node.folder, plain, options=["-q"]).returncode == 1
    nowhere = run(tmp_path / "nowhere", "true")
    assert nowhere.returncode == 5 and "stepwire serve" in nowhere.stderr


def test_the_node_is_found_in_a_folder_above(tmp_path):
    own = Node(tmp_path / ".stepwire")
    try:
        below = tmp_path / "device" / "src"
        below.mkdir(parents=True)
        done = subprocess.run(
            [program(), "run", "-q", "--", "sh", "-c", "echo $AWS_ENDPOINT_URL"],
            cwd=below,
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.stdout.strip() == own.endpoint, done.stderr
    finally:
        own.kill()


@pytest.fixture(scope="module")
def identity(node, tmp_path_factory):
    """A thing with a certificate: its name and two files."""
    folder = tmp_path_factory.mktemp("identity")
    iot = node.iot()
    iot.create_thing(thingName="captured")
    iot.create_policy(policyName="captured", policyDocument=ALLOW)
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName="captured", target=made["certificateArn"])
    iot.attach_thing_principal(thingName="captured", principal=made["certificateArn"])
    (folder / "c.pem").write_text(made["certificatePem"])
    (folder / "k.pem").write_text(made["keyPair"]["PrivateKey"])
    return "captured", folder / "c.pem", folder / "k.pem"


@pytest.mark.parametrize("mqtt", ["mqtt4", "mqtt"])
@pytest.mark.parametrize("sfn", ["sfn-old", "@aws-sdk/client-sfn"])
def test_sdks_and_mqtt_clients_of_every_age_reach_the_node(node, node_js, identity, sfn, mqtt):
    if not (JS / "node_modules" / "sfn-old").exists():
        pytest.skip("`npm ci` in tests/api/js")
    script = JS / "captured.mjs"
    assert script.exists()
    name, certificate, key = identity
    done = run(node.folder, "node", script, name, sfn, "iot-data-old", mqtt, certificate, key)
    assert done.returncode == 0, done.stderr
    told = {}
    for line in done.stdout.splitlines():
        told |= json.loads(line)
    machines = len(node.sfn().list_state_machines()["stateMachines"])
    expected = {"region": "us-east-1", "machines": machines, "received": "hello", "fetched": 403}
    expected["raw"] = [403, "states.us-east-1.amazonaws.com", True, True]
    if sfn != "sfn-old":
        expected["tested"] = "SUCCEEDED"
    assert told == expected


class Other(BaseHTTPRequestHandler):
    """A server that is no AWS."""

    def do_GET(self):
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_other_traffic_and_other_authorities_are_left_alone(own_node, node_js, tmp_path):
    """HTTPS to a server of another authority, which the program named before."""
    key, certificate = tmp_path / "k.pem", tmp_path / "c.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-keyout", key, "-out", certificate, "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost"],
        capture_output=True,
    )
    if made.returncode != 0:
        pytest.skip("openssl is not installed")
    server = HTTPServer(("127.0.0.1", 0), Other)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}/"
    script = f"require('https').get('{url}', {{family: 4}}, a => a.on('data', d => console.log(String(d))))"
    try:
        trusted = {"NODE_EXTRA_CA_CERTS": str(certificate)}
        done = run(own_node.folder, "node", "-e", script, environment=trusted)
        assert done.stdout.strip() == f"localhost:{server.server_port}", done.stderr
        ask = f"import urllib.request as r; print(r.urlopen('{url}').read().decode())"
        trusted = {"SSL_CERT_FILE": str(certificate)}
        done = run(own_node.folder, sys.executable, "-c", ask, environment=trusted)
        assert done.stdout.strip() == f"localhost:{server.server_port}", done.stderr
    finally:
        server.shutdown()
        server.server_close()


def test_the_preload_breaks_nothing_without_a_node_or_with_nonsense(node_js):
    preload = HERE.parents[1] / "crates" / "stepwire" / "src" / "capture" / "capture.cjs"
    script = "const s = require('net').connect({port: 1, host: '127.0.0.1'}); s.on('error', e => console.log(e.code))"
    for endpoint in [None, "", "nonsense", "http://127.0.0.1:9"]:
        variables = {"PATH": os.environ["PATH"], "NODE_OPTIONS": f"--require {preload}"}
        if endpoint is not None:
            variables["STEPWIRE_ENDPOINT"] = endpoint
        done = subprocess.run(
            ["node", "-e", script], env=variables, capture_output=True, text=True, timeout=20
        )
        assert (done.stdout, done.stderr) == ("ECONNREFUSED\n", ""), endpoint


def test_boto3_is_led_whatever_its_version_knows(node):
    """What versions before 1.28 lack is put there by `sitecustomize`."""
    script = (
        "import os; os.environ.pop('AWS_ENDPOINT_URL')\n"
        "import boto3; client = boto3.client('stepfunctions'); client.list_state_machines()\n"
        "print(client.meta.endpoint_url)\n"
        "definition = '{\"Type\":\"Pass\",\"End\":true}'\n"
        "role = 'arn:aws:iam::000000000000:role/any'\n"
        "print(client.test_state(definition=definition, roleArn=role)['status'])\n"
    )
    done = run(node.folder, sys.executable, "-c", script)
    assert done.stdout.split() == [node.endpoint, "SUCCEEDED"], done.stderr


def test_env_tells_what_a_device_needs(tmp_path, node_js):
    own = Node(tmp_path / "data", ["--demo-policies"])
    try:
        told = json.loads(env(own.folder, "--output", "json"))
        assert told["endpoint"] == own.endpoint and told["mqttPort"] == own.mqtt_port
        assert told["policyName"] == "stepwire-demo" and told["region"] == "us-east-1"
        assert Path(told["certificateAuthority"]).read_text().startswith("-----BEGIN")
        (tmp_path / "config.mjs").write_text(env(own.folder, "--output", "js"))
        ask = "import('./config.mjs').then(m => console.log(JSON.stringify(m.config)))"
        read = subprocess.run(["node", "-e", ask], cwd=tmp_path, capture_output=True, text=True)
        config = json.loads(read.stdout)
        assert config["policyName"] == "stepwire-demo" and config["region"] == "us-east-1"
        assert config["iotEndpoint"].endswith(".iot.us-east-1.amazonaws.com"), "a port of its own"
        names = {policy["policyName"] for policy in own.iot().list_policies()["policies"]}
        assert names == {"stepwire-demo", "fullCitizen"}
        own.restart()
        assert json.loads(env(own.folder, "-o", "json"))["policyName"] == "stepwire-demo"
    finally:
        own.kill()


def test_a_plain_node_has_no_demo_policies_and_off_loopback_they_are_refused(own_node, tmp_path):
    assert own_node.iot().list_policies()["policies"] == []
    told = env(own_node.folder)
    assert "policyName one that you make with `aws iot create-policy`" in told
    assert all(line.startswith(("export ", "# ")) for line in told.splitlines())
    refused = subprocess.run(
        [program(), "serve", "--demo-policies", "--data", str(tmp_path / "other")]
        + ["--http", "127.0.0.1:0", "--mqtts", "0.0.0.0:0"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert refused.returncode == 2 and "on loopback" in refused.stderr
