"""What the tests share: a node as a process, AWS clients, refusals, devices over MQTT."""

import base64
import json
import os
import queue
import re
import shutil
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import boto3
import paho.mqtt.client as mqtt
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

REPOSITORY = Path(__file__).resolve().parents[2]
REGION, ACCOUNT = "us-east-1", "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/tests"
# How long anything is waited for, in seconds: other tests and the builds of other stages run beside these.
PATIENCE = 30
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def program():
    """The binary under test: $STEPWIRE, or the newest that cargo has built here."""
    if "STEPWIRE" in os.environ:
        return os.environ["STEPWIRE"]
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [target / profile / "stepwire" for profile in ("debug", "release")]
    built = [path for path in built if path.exists()]
    assert built, f"no stepwire in {target}: `cargo build -p stepwire`, or set STEPWIRE"
    return str(max(built, key=lambda path: path.stat().st_mtime))


class Node:
    """A `stepwire serve` on free ports; the same data folder again after `restart`."""

    def __init__(self, folder, options=()):
        self.folder, self.options = Path(folder), list(options)
        self.log = self.folder.with_name(self.folder.name + ".log")
        self.start()

    def start(self):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            [program(), "serve", "--data", str(self.folder)]
            + ["--http", "127.0.0.1:0", "--mqtts", "127.0.0.1:0"]
            + self.options,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        self.ready = self.process.stdout.readline()
        assert self.ready.startswith("ready "), self.log.read_text()
        self.endpoint = re.search(r"http=(\S+)", self.ready)[1]
        self.mqtt_port = int(re.search(r"mqtts=mqtts://[^:]+:(\d+)", self.ready)[1])
        https = re.search(r"https=https://[^:]+:(\d+)", self.ready)
        self.https_port = https and int(https[1])
        self.clients = {}
        self.credentials = Credentials("any", "any")

    def kill(self):
        """Ends the process as a power cut would: nothing is finished or written any more."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def restart(self):
        self.kill()
        self.start()

    def client(self, service, **options):
        key = (service, *sorted(options.items()))
        if key not in self.clients:
            config = Config(retries={"total_max_attempts": 1}, read_timeout=20, **options)
            self.clients[key] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id=self.credentials.access_key,
                aws_secret_access_key=self.credentials.secret_key,
                config=config,
            )
        return self.clients[key]

    def unchecked(self, service):
        """A client that sends what its model does not allow."""
        return self.client(service, parameter_validation=False)

    def request(self, service, method, path, body=b"", headers=None):
        """A signed request as it is written here: status, headers, body."""
        body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        request = AWSRequest(method, self.endpoint + path, data=body, headers=headers or {})
        SigV4Auth(self.credentials, service, REGION).add_auth(request)
        return self.send(method, path, body, dict(request.headers))

    def send(self, method, path, body=None, headers=None):
        request = urllib.request.Request(
            self.endpoint + path, data=body, headers=headers or {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def target(self, target, body, service="states"):
        """An awsJson request with this `X-Amz-Target`."""
        kind = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
        return self.request(service, "POST", "/", body, kind)

    def log_text(self):
        return self.log.read_text(errors="replace")

    def logs(self, *lines):
        """Waits until the log has all of `lines`: it is written beside the answers."""
        eventually(lambda: all(line in self.log_text() for line in lines), what=lines)

    def sfn(self):
        return self.client("stepfunctions")

    def iot(self):
        return self.client("iot")

    def dynamodb(self):
        return self.client("dynamodb")


class Sdk:
    """A node whose clients are those of the AWS SDK for JavaScript, with boto3's names and answers.

    What suites ask of `node.client(…)` goes through it unchanged, refusals included.
    """

    FOLDER = Path(__file__).parent / "js"

    def __init__(self, node):
        self.node = node
        self.process = subprocess.Popen(
            ["node", "sdk.mjs", node.endpoint],
            cwd=self.FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @classmethod
    def is_installed(cls):
        return shutil.which("node") is not None and (cls.FOLDER / "node_modules").exists()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()

    def client(self, service):
        return SdkClient(self, service)

    unchecked = client

    def dynamodb(self):
        return self.client("dynamodb")

    def call(self, service, operation, given):
        def bytes_too(value):
            return {"$bytes": base64.b64encode(value).decode()}

        line = {"service": service, "operation": operation, "input": given}
        print(json.dumps(line, default=bytes_too), file=self.process.stdin, flush=True)

        def of_bytes(value):
            return base64.b64decode(value["$bytes"]) if "$bytes" in value else value

        told = json.loads(self.process.stdout.readline(), object_hook=of_bytes)
        if "answer" in told:
            return told["answer"]
        error = told["error"]
        response = {
            "Error": {"Code": error["code"], "Message": error["message"]},
            "ResponseMetadata": {"HTTPStatusCode": error.get("status")},
        }
        raise ClientError(response, operation)


class SdkClient:
    """One service of it: `client.put_item(…)` sends a PutItemCommand."""

    def __init__(self, sdk, service):
        self.sdk, self.service = sdk, service

    def __getattr__(self, method):
        operation = "".join(word.capitalize() for word in method.split("_"))
        return lambda **given: self.sdk.call(self.service, operation, given)


@contextmanager
def refused(code, status, message):
    """The block must be refused with this error, HTTP status and a message that this matches."""
    try:
        yield
    except ClientError as error:
        answer = error.response
        found = (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"])
        assert found == (code, status), answer
        assert re.search(message, answer["Error"]["Message"]), answer["Error"]["Message"]
    else:
        raise AssertionError(f"accepted, though {code} was due")


def plain(answer):
    """An answer without what boto3 adds to it."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def eventually(value_of, seconds=PATIENCE, what="what is waited for"):
    """The first value of `value_of()` that is true."""
    end = time.monotonic() + seconds
    while True:
        value = value_of()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.02)


def machine(node, name, definition):
    """Creates a state machine; its ARN."""
    text = definition if isinstance(definition, str) else json.dumps(definition)
    created = node.sfn().create_state_machine(name=name, definition=text, roleArn=ROLE)
    return created["stateMachineArn"]


def ended(node, execution, seconds=PATIENCE):
    """The description of an execution once it has ended."""

    def description():
        found = node.sfn().describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    return eventually(description, seconds)


def single(state):
    """A definition of one state."""
    return {"StartAt": "Only", "States": {"Only": state}}


def token_table(node, name):
    """A table of task tokens as the reference story has it."""
    node.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "operationId", "AttributeType": "S"},
            {"AttributeName": "token", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "operationId", "KeyType": "HASH"},
            {"AttributeName": "token", "KeyType": "RANGE"},
        ],
    )


def waiting(table, **more):
    """A task that stores its token in `table` and waits."""
    item = {
        "operationId": {"S.$": "$.operationId"},
        "token": {"S.$": "$$.Task.Token"},
        "deviceId": {"S.$": "$.thingName"},
        "status": {"S": "ACTIVE"},
    }
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
        "Parameters": {"TableName": table, "Item": item},
        **more,
        "End": True,
    }


def token_of(node, table, operation):
    """The task token stored for an operation, as soon as there is one."""

    def stored():
        found = node.dynamodb().query(
            TableName=table,
            KeyConditionExpression="operationId = :o",
            ExpressionAttributeValues={":o": {"S": operation}},
        )
        return [item["token"]["S"] for item in found["Items"]]

    return eventually(stored)[-1]


class Device:
    """A thing with a certificate of its own, connected by MQTT over mutual TLS."""

    POLICY = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
    }

    def __init__(self, node, name, attach=True):
        self.node, self.name = node, name
        iot = node.iot()
        iot.create_thing(thingName=name)
        made = iot.create_keys_and_certificate(setAsActive=True)
        self.certificate = made["certificateArn"]
        iot.create_policy(policyName=name, policyDocument=json.dumps(self.POLICY))
        iot.attach_policy(policyName=name, target=self.certificate)
        if attach:
            iot.attach_thing_principal(thingName=name, principal=self.certificate)
        folder = node.folder.parent
        self.files = [folder / f"{name}.pem", folder / f"{name}.key"]
        self.files[0].write_text(made["certificatePem"])
        self.files[1].write_text(made["keyPair"]["PrivateKey"])
        self.messages = queue.Queue()
        self.mqtt = None

    def connect(self, client_id=None):
        self.mqtt = Mqtt(CallbackAPIVersion.VERSION2, client_id or self.name)
        context = ssl.create_default_context(cafile=str(self.node.folder / "ca.pem"))
        context.load_cert_chain(*map(str, self.files))
        self.mqtt.tls_set_context(context)
        connected, subscribed = threading.Event(), threading.Event()
        self.mqtt.on_connect = lambda *_: connected.set()
        self.mqtt.on_subscribe = lambda *_: subscribed.set()
        self.mqtt.on_message = lambda _c, _u, message: self.messages.put(message)
        self.mqtt.connect("localhost", self.node.mqtt_port, keepalive=30)
        self.mqtt.loop_start()
        assert connected.wait(PATIENCE), f"{self.name} cannot connect"
        self.subscribed = subscribed
        return self

    def subscribe(self, topic, qos=1):
        self.subscribed.clear()
        self.mqtt.subscribe(topic, qos)
        assert self.subscribed.wait(PATIENCE), f"no SUBACK for {topic}"
        return self

    def publish(self, topic, payload, qos=1):
        """Publishes, and with QoS 1 waits until it is acknowledged."""
        payload = json.dumps(payload) if isinstance(payload, (dict, list)) else payload
        self.mqtt.publish(topic, payload, qos).wait_for_publish(PATIENCE)

    def message(self, seconds=PATIENCE):
        return self.messages.get(timeout=seconds)

    def close(self):
        if self.mqtt:
            self.mqtt.disconnect()
            self.mqtt.loop_stop()
            self.mqtt = None


class Mqtt(mqtt.Client):
    """Paho's client. Its `loop_stop` fails when its thread ends between two of its looks at it."""

    def loop_stop(self):
        try:
            return super().loop_stop()
        except AttributeError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS


class Client:
    """A client of a node's plaintext listener: what it was sent, answered, and how it ended."""

    def __init__(self, node, name, expiry=0, clean=True, will=None, version=5, keepalive=30):
        self.messages, self.ends, self.answers = queue.Queue(), queue.Queue(), queue.Queue()
        v5 = version == 5
        protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        options = {} if v5 else {"clean_session": clean}
        self.mqtt = Mqtt(CallbackAPIVersion.VERSION2, name, protocol=protocol, **options)
        if will:
            self.mqtt.will_set(*will)
        self.connected = threading.Event()
        self.flags = self.reason = self.properties = None
        self.mqtt.on_connect = self.on_connect
        self.mqtt.on_subscribe = lambda _c, _u, _m, reasons, _p: self.answers.put(reasons)
        self.mqtt.on_unsubscribe = lambda _c, _u, _m, reasons, _p: self.answers.put(reasons)
        self.mqtt.on_message = lambda _c, _u, message: self.messages.put(message)
        self.mqtt.on_disconnect = lambda _c, _u, _f, reason, _p: self.ends.put(reason)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry
        more = {"clean_start": clean, "properties": properties} if v5 else {}
        port = int(re.search(r"mqtt=mqtt://[^:]+:(\d+)", node.ready)[1])
        self.mqtt.reconnect_delay_set(60, 60)
        self.mqtt.connect("127.0.0.1", port, keepalive=keepalive, **more)
        self.mqtt.loop_start()
        assert self.connected.wait(PATIENCE), f"{name} is not answered"

    def on_connect(self, _client, _data, flags, reason, properties):
        self.flags, self.reason, self.properties = flags, reason, properties
        self.connected.set()

    def subscribe(self, topic, qos=1):
        """Subscribes and waits for the answer."""
        self.granted(topic, qos)
        return self

    def granted(self, topics, qos=1, **more):
        """The reason codes of a SUBSCRIBE, as numbers."""
        self.mqtt.subscribe(topics, qos, **more)
        return [reason.value for reason in self.answers.get(timeout=PATIENCE)]

    def event(self):
        return json.loads(self.messages.get(timeout=PATIENCE).payload)

    def ended(self):
        """The reason code it was disconnected with, as a number."""
        return self.ends.get(timeout=PATIENCE).value

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()
