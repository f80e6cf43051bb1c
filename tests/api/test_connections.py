"""iot-data: connections, direct messages, retained messages; over boto3, the CLI and as tasks."""

import base64
import json
import time

import pytest
from support import PATIENCE, Client, Node, ended, eventually, machine, plain, refused, single


@pytest.fixture(scope="module")
def open_node(tmp_path_factory):
    """A node that lets in clients without certificates, for sessions and wills of all kinds."""
    folder = tmp_path_factory.mktemp("open") / "data"
    node = Node(folder, ["--mqtt", "127.0.0.1:0", "--allow-anonymous"])
    yield node
    node.kill()


@pytest.fixture
def client(open_node):
    made = []

    def make(name, **options):
        made.append(Client(open_node, name, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def data(node):
    return node.client("iot-data")


def presence(client, name):
    return client(f"{name}-watcher").subscribe(f"$aws/events/presence/disconnected/{name}")


# ---- DeleteConnection ----------------------------------------------------------------------------


def test_a_deleted_connection_gets_disconnect_and_an_event(open_node, client, name):
    watcher = presence(client, name)
    device = client(name)
    assert plain(data(open_node).delete_connection(clientId=name)) == {}
    assert device.ends.get(timeout=PATIENCE).value == 0x98
    event = watcher.event()
    assert event["disconnectReason"] == "API_INITIATED_DISCONNECT"
    assert event["clientInitiatedDisconnect"] is False
    with refused("ResourceNotFoundException", 404, "not connected"):
        data(open_node).delete_connection(clientId=name)


@pytest.mark.parametrize("prevent", [False, True])
def test_the_will_is_published_unless_prevented(open_node, client, name, prevent):
    watcher = client(f"{name}-watcher").subscribe(f"wills/{name}")
    client(name, will=(f"wills/{name}", "gone", 1))
    data(open_node).delete_connection(clientId=name, preventWillMessage=prevent)
    data(open_node).publish(topic=f"wills/{name}", payload="after", qos=1)
    payloads = [watcher.messages.get(timeout=PATIENCE).payload]
    if not prevent:
        payloads.append(watcher.messages.get(timeout=PATIENCE).payload)
    assert payloads == ([b"after"] if prevent else [b"gone", b"after"])


@pytest.mark.parametrize("clean", [False, True])
def test_the_session_ends_only_when_it_is_to_be_cleaned(open_node, client, name, clean):
    device = client(name, expiry=600).subscribe(f"{name}/a")
    data(open_node).delete_connection(clientId=name, cleanSession=clean)
    device.ends.get(timeout=PATIENCE)
    device.mqtt.loop_stop()
    again = client(name, expiry=600, clean=False)
    assert again.flags.session_present is not clean


def test_who_is_away_and_has_a_session_can_have_it_cleaned(open_node, client, name):
    client(name, expiry=600).subscribe("a").close()
    listed = lambda: data(open_node).list_subscriptions(clientId=name)["subscriptions"]  # noqa: E731
    assert listed() == [{"topicFilter": "a", "qos": 1}]
    data(open_node).delete_connection(clientId=name, cleanSession=True)
    with refused("ResourceNotFoundException", 404, "no persistent session"):
        listed()


def test_client_identifiers_may_need_escapes(open_node, client, name):
    odd = f"{name}/ü x"
    device = client(odd)
    data(open_node).delete_connection(clientId=odd)
    assert device.ends.get(timeout=PATIENCE).value == 0x98


def test_identifiers_that_cannot_be_are_refused(open_node):
    unchecked = open_node.unchecked("iot-data")
    for bad in ("$x", "x" * 129):
        with refused("InvalidRequestException", 400, "clientId"):
            unchecked.delete_connection(clientId=bad)


def test_the_event_of_a_deleted_connection_survives_a_kill(tmp_path):
    node = Node(tmp_path / "data", ["--mqtt", "127.0.0.1:0", "--allow-anonymous"])
    try:
        watcher = Client(node, "watcher", expiry=600).subscribe("$aws/events/presence/+/d1")
        device = Client(node, "d1")
        connected = watcher.event()
        watcher.mqtt.disconnect()
        watcher.mqtt.loop_stop()
        data(node).delete_connection(clientId="d1")
        node.kill()
        device.mqtt.loop_stop()
        node.start()
        watcher = Client(node, "watcher", expiry=600, clean=False)
        gone = watcher.event()
        assert gone["disconnectReason"] == "API_INITIATED_DISCONNECT"
        assert gone["sessionIdentifier"] == connected["sessionIdentifier"]
        watcher.close()
    finally:
        node.kill()


# ---- GetConnection and ListSubscriptions ---------------------------------------------------------


def test_a_connection_is_described_while_it_is_open_and_after(open_node, client, name):
    began = int(time.time() * 1000)
    device = client(name, expiry=60)
    found = plain(data(open_node).get_connection(clientId=name, includeSocketInformation=True))
    assert began - 1000 <= found.pop("connectedSince") <= int(time.time() * 1000) + 1000
    common = {
        "clientId": name,
        "cleanSession": False,
        "sessionExpiry": 60,
        "keepAliveDuration": 30,
    }
    assert found == {**common, "connected": True, "sourceIp": "127.0.0.1"}
    device.close()

    def away():
        found = plain(data(open_node).get_connection(clientId=name))
        return None if found["connected"] else found

    found = eventually(away)
    assert found.pop("disconnectedSince") >= began
    assert found == {
        **common,
        "connected": False,
        "disconnectReason": "CLIENT_INITIATED_DISCONNECT",
    }
    with refused("ResourceNotFoundException", 404, "not known"):
        data(open_node).get_connection(clientId=f"{name}-never")


def test_the_thing_of_a_connection_is_named(node, name, device):
    device(node, name).connect()
    assert data(node).get_connection(clientId=name)["thingName"] == name


def test_subscriptions_are_listed_in_pages(open_node, client, name):
    device = client(name)
    for number in range(5):
        device.subscribe(f"{name}/{number}/+", number % 2)
    found, token = [], {}
    while True:
        page = data(open_node).list_subscriptions(clientId=name, maxResults=2, **token)
        assert len(page["subscriptions"]) <= 2
        found += page["subscriptions"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert found == [{"topicFilter": f"{name}/{n}/+", "qos": n % 2} for n in range(5)]


# ---- SendDirectMessage ---------------------------------------------------------------------------


def test_a_direct_message_needs_no_subscription(open_node, client, name):
    device = client(name)
    answer = data(open_node).send_direct_message(
        clientId=name,
        topic="direct/x",
        payload=b"\x00\x01",
        contentType="application/octet-stream",
        responseTopic="direct/answer",
        userProperties=[{"k": "v"}],
        correlationData=base64.b64encode(b"c").decode(),
    )
    assert answer["message"] and answer["traceId"]
    message = device.messages.get(timeout=PATIENCE)
    assert (message.topic, message.payload, message.qos) == ("direct/x", b"\x00\x01", 0)
    assert message.properties.ContentType == "application/octet-stream"
    assert message.properties.ResponseTopic == "direct/answer"
    assert message.properties.CorrelationData == b"c"
    assert message.properties.UserProperty == [("k", "v")]


def test_a_confirmed_message_is_answered_by_the_clients_acknowledgement(open_node, client, name):
    device = client(name)
    send = {"clientId": name, "topic": "direct/x", "confirmation": True, "timeout": 1}
    data(open_node).send_direct_message(**send, payload="one")
    assert device.messages.get(timeout=PATIENCE).qos == 1
    device.mqtt.manual_ack_set(True)
    began = time.monotonic()
    with refused("GatewayTimeoutException", 504, "not acknowledged"):
        data(open_node).send_direct_message(**send, payload="two")
    assert 0.9 < time.monotonic() - began < 5
    with refused("ResourceNotFoundException", 404, "not connected"):
        data(open_node).send_direct_message(clientId=f"{name}-never", topic="x")


# ---- Publish -------------------------------------------------------------------------------------


def test_publish_carries_every_mqtt_5_property(open_node, client, name):
    watcher = client(name).subscribe(f"{name}/a")
    data(open_node).publish(
        topic=f"{name}/a",
        qos=1,
        payload="hello",
        contentType="text/plain",
        responseTopic=f"{name}/b",
        userProperties=[{"k": "v"}, {"k": "w"}],
        payloadFormatIndicator="UTF8_DATA",
        correlationData=base64.b64encode(b"\x01\x02").decode(),
        messageExpiry=700_000,
    )
    message = watcher.messages.get(timeout=PATIENCE)
    properties = message.properties
    assert (message.qos, message.payload) == (1, b"hello")
    assert properties.ContentType == "text/plain"
    assert properties.ResponseTopic == f"{name}/b"
    assert properties.UserProperty == [("k", "v"), ("k", "w")]
    assert properties.PayloadFormatIndicator == 1
    assert properties.CorrelationData == b"\x01\x02"
    assert properties.MessageExpiryInterval == 604_800


def test_what_cannot_be_published_is_refused_by_member(open_node):
    unchecked = open_node.unchecked("iot-data")
    for members, what in (
        ({"topic": "a/+"}, "topic"),
        ({"topic": "$aws/things/x"}, "reserved"),
        ({"topic": "a", "qos": 2}, "qos"),
        ({"topic": "a", "responseTopic": "b/#"}, "responseTopic"),
        ({"topic": "a", "payloadFormatIndicator": "TEXT"}, "payloadFormatIndicator"),
        ({"topic": "a", "correlationData": "?"}, "correlationData"),
    ):
        with refused("InvalidRequestException", 400, what):
            unchecked.publish(**members)


# ---- retained messages ---------------------------------------------------------------------------


def test_retained_messages_are_told_listed_and_deleted(tmp_path):
    node = Node(tmp_path / "data")
    try:
        began = int(time.time() * 1000)
        for number in range(5):
            payload = bytes(number)+b"x"
            data(node).publish(topic=f"r/{number}", payload=payload, retain=True, qos=number % 2)
        data(node).publish(
            topic="r/9", payload="z", retain=True, userProperties=[{"k": "v"}]
        )
        node.restart()
        one = plain(data(node).get_retained_message(topic="r/3"))
        assert began - 1000 <= one.pop("lastModifiedTime") <= int(time.time() * 1000) + 1000
        assert one == {"topic": "r/3", "payload": b"\0\0\0x", "qos": 1}
        nine = data(node).get_retained_message(topic="r/9")
        assert json.loads(nine["userProperties"]) == [{"k": "v"}]
        found, token = [], {}
        while True:
            page = data(node).list_retained_messages(maxResults=4, **token)
            found += page["retainedTopics"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        assert [(m["topic"], m["payloadSize"], m["qos"]) for m in found] == [
            *((f"r/{n}", n + 1, n % 2) for n in range(5)),
            ("r/9", 1, 0),
        ]
        data(node).publish(topic="r/3", payload=b"", retain=True)
        with refused("ResourceNotFoundException", 404, "No message"):
            data(node).get_retained_message(topic="r/3")
    finally:
        node.kill()


def test_an_empty_payload_is_delivered_too(open_node, client, name):
    data(open_node).publish(topic=f"{name}/r", payload="kept", retain=True)
    watcher = client(name).subscribe(f"{name}/r")
    message = watcher.messages.get(timeout=PATIENCE)
    assert (message.payload, message.retain) == (b"kept", True)
    data(open_node).publish(topic=f"{name}/r", payload=b"", retain=True)
    message = watcher.messages.get(timeout=PATIENCE)
    assert (message.payload, message.retain) == (b"", False)


def test_a_retained_message_expires(open_node, client, name):
    topic = f"{name}/r"
    data(open_node).publish(topic=topic, payload="brief", retain=True, messageExpiry=1)
    assert data(open_node).get_retained_message(topic=topic)["payload"] == b"brief"

    def gone():
        page = data(open_node).list_retained_messages(maxResults=200)
        return topic not in [entry["topic"] for entry in page["retainedTopics"]]

    eventually(gone)
    watcher = client(name).subscribe(topic)
    data(open_node).publish(topic=topic, payload="next", qos=1)
    assert watcher.messages.get(timeout=PATIENCE).payload == b"next"


# ---- the rest ------------------------------------------------------------------------------------


def test_the_cli_speaks_the_same(node, name, aws, device):
    device(node, name).connect()
    status, out, err = aws("iot-data", "get-connection", "--client-id", name)
    assert status == 0, err
    assert json.loads(out)["connected"] is True
    status, _, err = aws("iot-data", "delete-connection", "--client-id", name)
    assert status == 0, err
    status, _, err = aws("iot-data", "delete-connection", "--client-id", f"{name}-never")
    assert status != 0 and "ResourceNotFoundException" in err
    publish = ["--topic", f"{name}/r", "--retain", "--payload", "kept", "--qos", "1"]
    status, _, err = aws("iot-data", "publish", *publish)
    assert status == 0, err
    status, out, err = aws("iot-data", "list-retained-messages", "--query", "retainedTopics[].topic")
    assert status == 0 and f"{name}/r" in json.loads(out), err
    status, out, err = aws("iot-data", "get-retained-message", "--topic", f"{name}/r")
    assert status == 0, err
    assert base64.b64decode(json.loads(out)["payload"]) == b"kept"


def run(node, name, api, parameters):
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::aws-sdk:iotdataplane:{api}",
        "Parameters": parameters,
        "End": True,
    }
    arn = machine(node, f"{name}-{api}", single(state))
    started = node.sfn().start_execution(stateMachineArn=arn)
    return ended(node, started["executionArn"])


def test_tasks_publish_read_and_disconnect(open_node, client, name):
    watcher = client(name).subscribe(f"{name}/t")
    publish = {
        "Topic": f"{name}/t",
        "Qos": 1,
        "Retain": True,
        "Payload": {"KeepCase": 1},
        "UserProperties": '[{"k":"v"}]',
        "MessageExpiry": 60,
    }
    done = run(open_node, name, "publish", publish)
    assert done["status"] == "SUCCEEDED", done
    message = watcher.messages.get(timeout=PATIENCE)
    assert json.loads(message.payload) == {"KeepCase": 1}
    assert message.properties.UserProperty == [("k", "v")]
    done = run(open_node, name, "getRetainedMessage", {"Topic": f"{name}/t"})
    output = json.loads(done["output"])
    assert json.loads(output["Payload"]) == {"KeepCase": 1}
    assert json.loads(output["UserProperties"]) == [{"k": "v"}]
    done = run(open_node, name, "listRetainedMessages", {"MaxResults": 200})
    topics = [entry["Topic"] for entry in json.loads(done["output"])["RetainedTopics"]]
    assert f"{name}/t" in topics
    done = run(open_node, name, "getConnection", {"ClientId": name})
    assert json.loads(done["output"])["Connected"] is True
    done = run(open_node, name, "sendDirectMessage",
               {"ClientId": name, "Topic": "d", "Payload": "x", "Confirmation": True})
    assert done["status"] == "SUCCEEDED", done
    assert watcher.messages.get(timeout=PATIENCE).topic == "d"
    done = run(open_node, name, "deleteConnection", {"ClientId": name})
    assert done["status"] == "SUCCEEDED", done
    assert watcher.ends.get(timeout=PATIENCE).value == 0x98
    watcher.mqtt.loop_stop()
    again = run(open_node, f"{name}x", "deleteConnection", {"ClientId": f"{name}-never"})
    assert again["error"] == "IotDataPlane.ResourceNotFoundException"
