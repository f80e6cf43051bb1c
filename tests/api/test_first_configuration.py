"""The first-configuration race: the workflow is faster than the device's SUBSCRIBE.

A device connects; its presence starts a workflow, which publishes to it at once. Devices subscribe 0
to 4 seconds after CONNACK, with QoS 0 or 1, and each gets its configuration once.
"""

import json
import re
import threading
import time

import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support import ROLE, Mqtt, Node, eventually, machine, single

DEVICES = 60
LATEST_S = 4
GRACE_S = 5


@pytest.fixture
def open_node(tmp_path):
    node = Node(tmp_path / "data", ["--mqtt", "127.0.0.1:0", "--allow-anonymous"])
    yield node
    node.kill()


def configure_at_once(node):
    """Every client that connects is sent its configuration."""
    publish = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:iotdataplane:publish",
        "Parameters": {
            "Topic.$": "States.Format('devices/{}/config_req', $.clientId)",
            "Qos": 1,
            "Payload.$": "$",
        },
        "End": True,
    }
    configuring = machine(node, "configure", single(publish))
    node.iot().create_topic_rule(
        ruleName="configure",
        topicRulePayload={
            "sql": "SELECT * FROM '$aws/events/presence/connected/+'",
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{"stepFunctions": {"stateMachineName": "configure", "roleArn": ROLE}}],
        },
    )
    return configuring


class Device:
    """Connects, and subscribes `after` seconds later."""

    def __init__(self, node, name, qos, after):
        self.name, self.messages = name, []
        self.mqtt = Mqtt(CallbackAPIVersion.VERSION2, name)
        self.mqtt.on_message = lambda _c, _u, message: self.messages.append(message)
        self.mqtt.on_connect = lambda *_: threading.Timer(
            after, self.mqtt.subscribe, [f"devices/{name}/#", qos]
        ).start()
        self.mqtt.connect("127.0.0.1", int(re.search(r"mqtt=mqtt://[^:]+:(\d+)", node.ready)[1]))
        self.mqtt.loop_start()

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def test_every_device_gets_its_first_configuration_once(open_node):
    configuring = configure_at_once(open_node)
    devices = [
        Device(open_node, f"gw-{number}", number % 2, LATEST_S * number / (DEVICES - 1))
        for number in range(DEVICES)
    ]
    eventually(lambda: all(device.messages for device in devices), LATEST_S + 10)
    # what would come a second time has had its time
    time.sleep(GRACE_S)
    for device in devices:
        (message,) = device.messages
        assert json.loads(message.payload)["clientId"] == device.name
    runs = open_node.sfn().list_executions(stateMachineArn=configuring, statusFilter="SUCCEEDED")
    assert len(runs["executions"]) == DEVICES
    for device in devices:
        device.close()


def test_a_device_that_subscribes_after_the_grace_gets_nothing_and_the_log_says_so(open_node):
    configure_at_once(open_node)
    late = Device(open_node, "late", 1, GRACE_S + 2)
    soon = Device(open_node, "soon", 1, 0)
    eventually(lambda: soon.messages)
    time.sleep(GRACE_S + 3)
    assert (len(soon.messages), late.messages) == (1, [])
    open_node.logs("a message on `devices/late/config_req` reached nobody: no subscriber within")
    late.close()
    soon.close()
