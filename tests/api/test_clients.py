"""Devices on the libraries that people use, with certificates of this node."""

import json
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import PATIENCE, Device, Node

CLIENTS = Path(__file__).parent / "clients"
NODE_MODULES = Path(__file__).parent / "js" / "node_modules"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("clients") / "data", ["--https", "127.0.0.1:0"])
    yield made
    made.kill()


class Client:
    """A process that is a device: commands go in as lines of JSON, what happens comes out so."""

    def __init__(self, command, arguments):
        self.process = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.messages, self.events = queue.Queue(), queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            (self.messages if event["event"] == "message" else self.events).put(event)

    def do(self, what, done, **how):
        """Has it do something; what came of it."""
        self.process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        self.process.stdin.flush()
        event = self.events.get(timeout=20)
        assert event["event"] == done and not event.get("why"), event
        return event

    def connect(self, clean=True, **how):
        return self.do("connect", "connected", clean=clean, **how)

    def subscribe(self, topic, qos):
        assert self.do("subscribe", "subscribed", topic=topic, qos=qos)["granted"] == qos

    def publish(self, topic, payload, qos=1, retain=False):
        self.do("publish", "published", topic=topic, payload=payload, qos=qos, retain=retain)

    def disconnect(self):
        self.do("disconnect", "disconnected")
        self.kill()

    def message(self):
        return self.messages.get(timeout=PATIENCE)

    def kill(self):
        """Cuts it off in the middle: no DISCONNECT is sent."""
        self.process.kill()
        self.process.wait()


PYTHON = [sys.executable, "-B"]
LIBRARIES = {
    # the command, how it is told where the node is, MQTT version, highest quality of service
    "mqttjs5-v5": (["node", CLIENTS / "mqttjs.mjs", "mqtt"], "5", 2),
    "mqttjs5-v311": (["node", CLIENTS / "mqttjs.mjs", "mqtt"], "4", 2),
    "mqttjs4-v5": (["node", CLIENTS / "mqttjs.mjs", "mqtt4"], "5", 2),
    "mqttjs4-v311": (["node", CLIENTS / "mqttjs.mjs", "mqtt4"], "4", 2),
    "mqttjs5-wss": (["node", CLIENTS / "mqttjs.mjs", "mqtt"], "5", 2),
    "mqttjs4-wss": (["node", CLIENTS / "mqttjs.mjs", "mqtt4"], "4", 2),
    "paho-v5": ([*PYTHON, CLIENTS / "pahomqtt.py"], "5", 2),
    "paho-v311": ([*PYTHON, CLIENTS / "pahomqtt.py"], "4", 2),
    "awsiot-v5": ([*PYTHON, CLIENTS / "awsiot5.py"], "5", 1),
    "awsiot-v311": ([*PYTHON, CLIENTS / "awsiot311.py"], "4", 1),
}


@pytest.fixture(params=LIBRARIES)
def library(request, node, name):
    """Makes devices on one library, all with the certificate of the thing `name`."""
    command, version, qos = LIBRARIES[request.param]
    if command[0] == "node" and not (NODE_MODULES / "mqtt4").exists():
        pytest.skip("MQTT.js is not installed")
    identity = Device(node, name)
    made = []

    def make(client=name):
        if request.param.endswith("wss"):
            where = [f"wss://localhost:{node.https_port}/mqtt"]
        elif command[0] == "node":
            where = [f"mqtts://localhost:{node.mqtt_port}"]
        else:
            where = ["localhost", str(node.mqtt_port)]
        files = [node.folder / "ca.pem", *identity.files]
        arguments = [*where, client, version, *map(str, files)]
        made.append(Client(list(map(str, command)), arguments))
        return made[-1]

    make.qos, make.name, make.version = qos, name, version
    yield make
    for one in made:
        one.kill()


def test_a_library_publishes_and_subscribes(library):
    one, other = library(), library(f"{library.name}-other")
    one.connect()
    other.connect()
    topic = f"clients/{library.name}"
    for qos in range(library.qos + 1):
        one.subscribe(f"{topic}/{qos}/+", qos)
        other.publish(f"{topic}/{qos}/x", f"with {qos}", qos)
        assert one.message() == {
            "event": "message",
            "topic": f"{topic}/{qos}/x",
            "payload": f"with {qos}",
            "qos": qos,
            "retain": False,
        }
    one.disconnect()
    other.disconnect()


def test_a_library_gets_retained_messages(library):
    one, topic = library(), f"clients/{library.name}/kept"
    one.connect()
    one.publish(topic, "kept", retain=True)
    one.subscribe(topic, 1)
    message = one.message()
    assert (message["payload"], message["retain"]) == ("kept", True)


def test_a_library_goes_on_with_its_session(node, library):
    topic = f"clients/{library.name}/later"
    one = library()
    assert one.connect(clean=False, expiry=600)["present"] is False
    one.subscribe(topic, 1)
    one.disconnect()
    data = node.client("iot-data")
    for number in range(3):
        data.publish(topic=topic, qos=1, payload=f"{number}")
    again = library()
    assert again.connect(clean=False, expiry=600)["present"] is True
    assert [again.message()["payload"] for _ in range(3)] == ["0", "1", "2"]


def test_the_will_of_a_library_that_is_cut_off_is_published(library, node, device):
    topic = f"clients/{library.name}/will"
    watcher = device(node, f"{library.name}-watcher").connect().subscribe(topic)
    one = library()
    one.connect(will={"topic": topic, "payload": "gone"})
    one.kill()
    assert watcher.message().payload == b"gone"


# ---- mosquitto's command-line clients ------------------------------------------------------------


def mosquitto(tool, node, identity, client, *arguments):
    """Starts `mosquitto_sub` or `mosquitto_pub` as a device."""
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    certificate, key = map(str, identity.files)
    return subprocess.Popen(
        [tool, "-h", "localhost", "-p", str(node.mqtt_port), "-i", client]
        + ["--cafile", str(node.folder / "ca.pem"), "--cert", certificate, "--key", key]
        + list(arguments),
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto_sub_goes_on_with_its_session(node, name, version):
    identity, topic = Device(node, name), f"clients/{name}"
    session = ["-V", version, "-q", "1", "-t", topic]
    session += ["-x", "600"] if version == "5" else []
    assert mosquitto("mosquitto_sub", node, identity, name, "-c", "-E", *session).wait(PATIENCE) == 0
    publish = ["-V", version, "-q", "2", "-t", topic, "-m", "waited for you"]
    assert mosquitto("mosquitto_pub", node, identity, f"{name}-pub", *publish).wait(PATIENCE) == 0
    again = mosquitto("mosquitto_sub", node, identity, name, "-c", "-C", "1", *session)
    assert again.communicate(timeout=10)[0] == "waited for you\n"


def test_the_will_of_mosquitto_sub_is_published(node, name, device):
    topic = f"clients/{name}/will"
    watcher = device(node, f"{name}-watcher").connect().subscribe(topic)
    watcher.subscribe(f"$aws/events/subscriptions/subscribed/{name}")
    will = ["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"]
    started = mosquitto("mosquitto_sub", node, Device(node, name), name, "-t", "x", *will)
    assert json.loads(watcher.message().payload)["topics"] == ["x"]
    started.kill()
    started.wait()
    assert watcher.message().payload == b"gone"
