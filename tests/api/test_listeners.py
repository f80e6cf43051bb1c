"""Ports, ALPN and MQTT over WebSocket: who gets in, by which door, with what proof."""

import base64
import http.client
import json
import os
import queue
import socket
import ssl
import struct
import threading
import urllib.parse

import paho.mqtt.client as mqtt
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from paho.mqtt.enums import CallbackAPIVersion
from support import PATIENCE, REGION, Device, Mqtt, Node, eventually

CONNECT = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x1e\x00\x03raw"
CONNACK = b"\x20\x02\x00\x00"


@pytest.fixture(scope="module")
def open_node(tmp_path_factory):
    """A node that wants proof, as one does that is open to the network."""
    options = ["--https", "127.0.0.1:0", "--check-signatures"]
    node = Node(tmp_path_factory.mktemp("open") / "data", options)
    keys = json.loads((node.folder / "keys.json").read_text())
    node.keys = node.credentials = Credentials(keys["id"], keys["secret"])
    yield node
    node.kill()


@pytest.fixture(scope="module")
def gateway(open_node):
    """A thing with a certificate that may do everything."""
    return Device(open_node, "gateway")


def presigned(port, keys, scheme="wss", token=None, expires=60, service="iotdevicegateway"):
    """Path and query of a URL that botocore signs; the token is added after signing, as AWS IoT
    wants it."""
    request = AWSRequest("GET", f"{scheme}://localhost:{port}/mqtt")
    SigV4QueryAuth(keys, service, REGION, expires).add_auth(request)
    url = urllib.parse.urlsplit(request.prepare().url)
    more = f"&X-Amz-Security-Token={urllib.parse.quote(token, safe='')}" if token else ""
    return f"{url.path}?{url.query}{more}"


def context(node, *alpn, device=None):
    made = ssl.create_default_context(cafile=str(node.folder / "ca.pem"))
    if alpn:
        made.set_alpn_protocols(list(alpn))
    if device:
        made.load_cert_chain(*map(str, device.files))
    return made


def http_port(node):
    return int(node.endpoint.rsplit(":", 1)[1])


class Client:
    """An MQTT client over WebSocket."""

    def __init__(self, name, port, path, tls=None, version=mqtt.MQTTv311, headers=None):
        self.mqtt = Mqtt(
            CallbackAPIVersion.VERSION2, name, transport="websockets", protocol=version
        )
        self.mqtt.ws_set_options(path=path, headers=headers)
        if tls:
            self.mqtt.tls_set_context(tls)
        self.connected, self.subscribed = threading.Event(), threading.Event()
        self.messages = queue.Queue()
        self.mqtt.on_connect = lambda *_: self.connected.set()
        self.mqtt.on_subscribe = lambda *_: self.subscribed.set()
        self.mqtt.on_message = lambda _c, _u, message: self.messages.put(message)
        self.mqtt.connect("localhost", port, keepalive=30)
        self.mqtt.loop_start()

    def __enter__(self):
        assert self.connected.wait(PATIENCE), "no CONNACK"
        return self

    def __exit__(self, *_):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def echo(self, topic, payload):
        """What comes back of a message to oneself."""
        self.mqtt.subscribe(topic, 1)
        assert self.subscribed.wait(PATIENCE)
        self.mqtt.publish(topic, payload, 1).wait_for_publish(PATIENCE)
        return self.messages.get(timeout=PATIENCE).payload


def upgrade(stream, path="/mqtt", host="localhost", **headers):
    """Sends an opening handshake; the status and the headers of the answer."""
    fields = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": "mqtt",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"GET {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items()]
    stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return head(stream)


def head(stream):
    text = b""
    while b"\r\n\r\n" not in text:
        read = stream.recv(1)
        assert read, text
        text += read
    first, *lines = text.decode().strip().split("\r\n")
    fields = (line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in fields}


def frame(code, payload=b"", last=True):
    """A masked frame, as clients send them."""
    assert len(payload) < 126
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([(0x80 if last else 0) | code, 0x80 | len(payload)]) + mask + masked


def read_frame(stream):
    """Code and payload of the next frame; `None` at the end."""
    first = read(stream, 2)
    return (first[0] & 0x0F, read(stream, first[1])) if first else None


def read(stream, count):
    got = b""
    while len(got) < count:
        more = stream.recv(count - len(got))
        if not more:
            return got
        got += more
    return got


def plain_socket(node):
    stream = socket.create_connection(("localhost", http_port(node)), timeout=10)
    return stream


def tls_socket(node, port, *alpn, device=None):
    stream = socket.create_connection(("localhost", port), timeout=10)
    return context(node, *alpn, device=device).wrap_socket(stream, server_hostname="localhost")


# ---- MQTT over WebSocket -------------------------------------------------------------------------


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_presigned_url_opens_mqtt_over_websocket(open_node, version):
    path = presigned(open_node.https_port, open_node.keys)
    with Client(f"ws-{version}", open_node.https_port, path, context(open_node), version) as one:
        assert one.echo(f"ws/{version}", b"x" * 70_000) == b"x" * 70_000


def test_a_token_may_follow_the_signature(open_node):
    path = presigned(open_node.https_port, open_node.keys, token="to/ken+==")
    with Client("ws-token", open_node.https_port, path, context(open_node)) as one:
        assert one.echo("ws/token", b"here") == b"here"


def test_on_loopback_any_whole_signature_does(node):
    path = presigned(http_port(node), Credentials("any", "any"), scheme="ws")
    with Client("ws-loopback", http_port(node), path) as one:
        assert one.echo("ws/loopback", b"here") == b"here"


def test_a_certificate_opens_it_without_a_signature_and_its_policy_holds(open_node, gateway):
    tls = context(open_node, "http/1.1", device=gateway)
    with Client("gateway", open_node.https_port, "/mqtt", tls) as one:
        assert one.echo("ws/certificate", b"here") == b"here"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
            {"Effect": "Deny", "Action": "iot:Publish", "Resource": "*"},
        ],
    }
    limited = Device(open_node, "ws-limited")
    open_node.iot().create_policy(policyName="ws-denied", policyDocument=json.dumps(policy))
    open_node.iot().attach_policy(policyName="ws-denied", target=limited.certificate)
    seen = Client("ws-seen", open_node.https_port, "/mqtt", tls)
    with seen:
        seen.mqtt.subscribe("ws/limited", 1)
        assert seen.subscribed.wait(PATIENCE)
        tls = context(open_node, device=limited)
        with Client("ws-limited", open_node.https_port, "/mqtt", tls) as one:
            one.mqtt.publish("ws/limited", b"no", 1)
            with pytest.raises(queue.Empty):
                seen.messages.get(timeout=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path[:-4] + "0000",
        lambda path: path.replace("Expires=60", "Expires=61"),
        lambda path: path.replace("iotdevicegateway", "s3"),
        lambda path: "/mqtt",
        lambda path: "/mqtt?x-amz-customauthorizer-name=mine",
    ],
    ids=["forged", "stretched", "service", "unsigned", "authorizer"],
)
def test_off_loopback_nobody_passes_without_proof(open_node, change):
    path = change(presigned(open_node.https_port, open_node.keys))
    with tls_socket(open_node, open_node.https_port) as stream:
        status, headers = upgrade(stream, path, host=f"localhost:{open_node.https_port}")
        assert (status, "upgrade" in headers) == (403, False)


def test_an_expired_url_is_refused(open_node):
    path = presigned(open_node.https_port, open_node.keys, expires=1)
    with tls_socket(open_node, open_node.https_port) as stream:
        host = f"localhost:{open_node.https_port}"

        def refused():
            with tls_socket(open_node, open_node.https_port) as stream:
                return upgrade(stream, path, host=host)[0] == 403

        assert upgrade(stream, path, host=host)[0] == 101
        assert eventually(refused)


def test_a_page_of_another_origin_is_refused(node, open_node, gateway):
    path = presigned(http_port(node), Credentials("any", "any"), scheme="ws")
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        with plain_socket(node) as stream:
            assert upgrade(stream, path, Origin=origin)[0] == 403
        with tls_socket(open_node, open_node.https_port, device=gateway) as stream:
            assert upgrade(stream, Origin=origin)[0] == 403
    with plain_socket(node) as stream:
        assert upgrade(stream, path, Origin="http://localhost:3000")[0] == 101


def test_an_unsigned_websocket_needs_anonymous_clients_to_be_allowed(node, tmp_path):
    with plain_socket(node) as stream:
        assert upgrade(stream)[0] == 403
    anonymous = Node(tmp_path / "data", ["--allow-anonymous"])
    with Client("ws-anonymous", http_port(anonymous), "/mqtt") as one:
        assert one.echo("ws/anonymous", b"here") == b"here"
    anonymous.kill()


def websocket(node):
    """An open WebSocket on loopback."""
    stream = plain_socket(node)
    path = presigned(http_port(node), Credentials("any", "any"), scheme="ws")
    status, headers = upgrade(stream, path)
    assert (status, headers["sec-websocket-protocol"]) == (101, "mqtt")
    return stream


def test_packets_may_span_frames_and_pings_are_answered(node):
    with websocket(node) as stream:
        stream.sendall(frame(2, CONNECT[:3], last=False) + frame(9, b"ping"))
        assert read_frame(stream) == (10, b"ping")
        stream.sendall(frame(0, CONNECT[3:9]) + frame(2, CONNECT[9:] + b"\xc0\x00"))
        answer = b""
        while len(answer) < 6:
            code, payload = read_frame(stream)
            assert code == 2
            answer += payload
        assert answer == CONNACK + b"\xd0\x00"


def test_a_text_frame_ends_the_connection(node):
    for before in (b"", frame(2, CONNECT)):
        with websocket(node) as stream:
            if before:
                stream.sendall(before)
                assert read_frame(stream) == (2, CONNACK)
            stream.sendall(frame(1, b"hello"))
            assert read_frame(stream) == (8, struct.pack("!H", 1003))


@pytest.mark.parametrize(
    "goodbye, reason",
    [(frame(8, struct.pack("!H", 1000)), "CLIENT_INITIATED_DISCONNECT"), (b"", "CONNECTION_LOST")],
    ids=["close frame", "nothing"],
)
def test_a_close_frame_is_as_good_as_disconnect(node, device, name, goodbye, reason):
    watcher = device(node, name).connect().subscribe("$aws/events/presence/disconnected/raw")
    with websocket(node) as stream:
        stream.sendall(frame(2, CONNECT))
        assert read_frame(stream) == (2, CONNACK)
        stream.sendall(goodbye)
        if goodbye:
            assert read_frame(stream) == (8, struct.pack("!H", 1000))
    event = json.loads(watcher.message().payload)
    assert event["disconnectReason"] == reason
    assert event["clientInitiatedDisconnect"] == (reason == "CLIENT_INITIATED_DISCONNECT")
    assert event["principalIdentifier"] == "any"


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Upgrade": "h2c"}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Protocol": "wamp"}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
    ],
)
def test_what_is_no_handshake_for_mqtt_is_refused(node, headers, status):
    path = presigned(http_port(node), Credentials("any", "any"), scheme="ws")
    with plain_socket(node) as stream:
        assert upgrade(stream, path, **headers)[0] == status


# ---- ports and ALPN ------------------------------------------------------------------------------


def test_mqtt_is_spoken_on_the_port_of_https_to_who_asks_by_alpn(open_node, gateway):
    port = open_node.https_port
    with tls_socket(open_node, port, "x-amzn-mqtt-ca", device=gateway) as stream:
        assert stream.selected_alpn_protocol() == "x-amzn-mqtt-ca"
        stream.sendall(CONNECT)
        assert read(stream, 4) == CONNACK


def test_mqtt_by_alpn_needs_a_certificate(open_node):
    with pytest.raises(ssl.SSLError):
        with tls_socket(open_node, open_node.https_port, "x-amzn-mqtt-ca") as stream:
            stream.sendall(CONNECT)
            if not stream.recv(1):
                raise ssl.SSLError("closed")


def test_a_custom_authorizer_is_refused_by_name(open_node, gateway):
    with pytest.raises(ssl.SSLError):
        tls_socket(open_node, open_node.https_port, "mqtt", device=gateway)
    open_node.logs("custom authorizer")


def test_https_answers_signed_requests(open_node):
    import boto3

    def client(keys):
        return boto3.client(
            "iot",
            endpoint_url=f"https://localhost:{open_node.https_port}",
            region_name=REGION,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            verify=str(open_node.folder / "ca.pem"),
        )

    assert "things" in client(open_node.keys).list_things()
    with pytest.raises(Exception, match="UnrecognizedClientException"):
        client(Credentials("any", "any")).list_things()


def test_a_client_at_the_wrong_port_is_named_in_the_log(open_node):
    ports = {"mqtts": open_node.mqtt_port, "https": open_node.https_port}
    for port in ports.values():
        for words in (CONNECT, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            with socket.create_connection(("localhost", port), timeout=10) as stream:
                stream.sendall(words)
                answer = read(stream, 12)
                assert answer == (b"HTTP/1.1 400" if words != CONNECT else b"")
    open_node.logs("speaks MQTT in plain text", "speaks HTTP in plain text")


def test_the_node_says_where_it_listens(open_node):
    said = json.loads((open_node.folder / "node.json").read_text())
    assert said["https"] == f"127.0.0.1:{open_node.https_port}"
    endpoint = open_node.iot().describe_endpoint(endpointType="iot:Jobs")["endpointAddress"]
    assert endpoint == f"localhost:{open_node.https_port}"


# ---- HTTPS publish -------------------------------------------------------------------------------


def post(node, path, body=b"{}", alpn=(), device=None, headers=None):
    """Status and answer of a POST with a certificate in place of a signature."""
    port = node.https_port
    connection = http.client.HTTPSConnection(
        "localhost", port, timeout=20, context=context(node, *alpn, device=device)
    )
    connection.request("POST", path, body, headers or {})
    answer = connection.getresponse()
    status, text = answer.status, answer.read()
    kind = answer.headers["x-amzn-errortype"]
    connection.close()
    return status, json.loads(text), kind


@pytest.fixture
def publisher(open_node, device, name):
    """Makes a device with this policy."""

    def make(*statements):
        made = device(open_node, name)
        open_node.iot().detach_policy(policyName=name, target=made.certificate)
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        open_node.iot().create_policy(
            policyName=f"{name}-https", policyDocument=json.dumps(policy)
        )
        open_node.iot().attach_policy(policyName=f"{name}-https", target=made.certificate)
        return made

    return make


def allow(action, topic):
    resource = f"arn:aws:iot:{REGION}:000000000000:topic/{topic}"
    return {"Effect": "Allow", "Action": f"iot:{action}", "Resource": resource}


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("x-amzn-http-ca",)])
def test_a_device_publishes_over_https_with_its_certificate(open_node, gateway, publisher, name, alpn):
    sender = publisher(allow("Publish", f"https/{name}/*"))
    with Client(f"{name}-sees", open_node.https_port, "/mqtt", context(open_node, device=gateway)) as sees:
        # the gateway's policy allows everything
        sees.mqtt.subscribe(f"https/{name}/#", 1)
        assert sees.subscribed.wait(PATIENCE)
        path = f"/topics/https/{name}/a%2Fb%20c?qos=1"
        status, answer, _ = post(open_node, path, b"\x00hello", alpn, sender)
        assert (status, answer["message"]) == (200, "OK")
        message = sees.messages.get(timeout=PATIENCE)
        assert (message.topic, message.payload) == (f"https/{name}/a/b c", b"\x00hello")


def test_the_policy_decides_what_may_be_published_over_https(open_node, publisher, name):
    sender = publisher(allow("Publish", f"https/{name}/*"), allow("Publish", "${iot:ClientId}/x"))
    for path in (f"/topics/other/{name}?qos=1", f"/topics/https/{name}/a?retain=true", "/topics//x"):
        status, answer, kind = post(open_node, path, device=sender)
        assert (status, kind, answer["message"]) == (403, "ForbiddenException", "Forbidden"), path
        assert answer["traceId"]
    open_node.logs("was refused `POST /topics/other")
    iot = open_node.iot()
    iot.update_certificate(certificateId=sender.certificate.split("/")[1], newStatus="INACTIVE")
    assert post(open_node, f"/topics/https/{name}/a", device=sender)[0] == 403


def test_over_https_a_device_retains_and_says_properties(open_node, publisher, name):
    topic = f"https/{name}/kept"
    sender = publisher(allow("Publish", topic), allow("RetainPublish", topic))
    properties = base64.b64encode(b'[{"k":"v"}]').decode()
    path = f"/topics/{topic}?qos=1&retain=true&contentType=text%2Fplain&messageExpiry=600"
    headers = {"x-amz-mqtt5-user-properties": properties}
    assert post(open_node, path, b"kept", device=sender, headers=headers)[0] == 200
    kept = open_node.client("iot-data").get_retained_message(topic=topic)
    assert (kept["payload"], kept["qos"]) == (b"kept", 1)
    assert kept["userProperties"] == properties or json.loads(kept["userProperties"])


def test_rules_see_who_published_over_https(open_node, publisher, name):
    sender = publisher(allow("Publish", f"https/{name}"))
    rule = {
        "sql": f"SELECT principal() AS p, clientid() AS c, sourceip() AS ip FROM 'https/{name}'",
        "awsIotSqlVersion": "2016-03-23",
        "actions": [{"republish": {"roleArn": "arn:aws:iam::000000000000:role/r",
                                   "topic": f"seen/{name}", "qos": 1}}],
    }
    open_node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    path = presigned(open_node.https_port, open_node.keys)
    with Client(f"{name}-sees", open_node.https_port, path, context(open_node)) as sees:
        sees.mqtt.subscribe(f"seen/{name}", 1)
        assert sees.subscribed.wait(PATIENCE)
        assert post(open_node, f"/topics/https/{name}?qos=1", device=sender)[0] == 200
        seen = json.loads(sees.messages.get(timeout=PATIENCE).payload)
        assert seen == {"p": sender.certificate.split("/")[1], "c": "n/a", "ip": "127.0.0.1"}


def test_basic_ingest_goes_through_every_door(open_node, gateway, publisher, name):
    """Over HTTPS and over WebSocket, as far as the policy allows."""
    sender = publisher(allow("Publish", f"$aws/rules/{name}/*"))
    rule = {
        "sql": "SELECT n, topic() AS t, clientid() AS c FROM 'a/#'",
        "awsIotSqlVersion": "2016-03-23",
        "actions": [{"republish": {"roleArn": "arn:aws:iam::000000000000:role/r",
                                   "topic": f"seen/{name}", "qos": 1}}],
    }
    open_node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    path = presigned(open_node.https_port, open_node.keys)
    with Client(f"{name}-ws", open_node.https_port, path, context(open_node)) as one:
        one.mqtt.subscribe(f"seen/{name}", 1)
        assert one.subscribed.wait(PATIENCE)
        one.mqtt.publish(f"$aws/rules/{name}/a/b", '{"n": 1}', 1).wait_for_publish(PATIENCE)
        path = f"/topics/%24aws/rules/{name}/a/b?qos=1"
        assert post(open_node, path, b'{"n": 2}', device=sender)[0] == 200
        assert post(open_node, "/topics/$aws/rules/other/a", device=sender)[0] == 403
        seen = [json.loads(one.messages.get(timeout=PATIENCE).payload) for _ in range(2)]
    assert seen == [{"n": 1, "t": "a/b", "c": f"{name}-ws"}, {"n": 2, "t": "a/b", "c": "n/a"}]
    status, answer, _ = post(open_node, f"/topics/$aws/rules/{name}?retain=true", device=gateway)
    assert status == 400 and "Basic Ingest" in answer["message"]


def test_what_cannot_be_published_over_https_is_refused(open_node, gateway):
    for path, body, status in [
        ("/topics/a?qos=2", b"", 400),
        ("/topics/%24aws/x", b"", 400),
        ("/topics/a/%2B", b"", 400),
        ("/topics/a", b"x" * (1 << 20), 413),
        ("/nothing", b"", 404),
        ("/connections/gateway", b"", 405),
    ]:
        found, answer, _ = post(open_node, path, body, device=gateway)
        assert (found, "message" in answer) == (status, True), (path, answer)


def test_over_https_nothing_is_published_without_proof(open_node, gateway):
    assert post(open_node, "/topics/a")[0] == 403
    foreign = {"Origin": "https://evil.example"}
    assert post(open_node, "/topics/a", device=gateway, headers=foreign)[0] == 403


def test_a_port_of_the_aws_profile_takes_topics_of_aws(tmp_path, device, name):
    node = Node(tmp_path / "data", ["--https", "127.0.0.1:0", "--profile", "https=aws"])
    sender = device(node, name)
    assert post(node, "/topics/a/b/c/d/e/f/g/h?qos=1", device=sender)[0] == 200
    status, answer, kind = post(node, "/topics/a/b/c/d/e/f/g/h/i?qos=1", device=sender)
    assert (status, kind) == (400, "InvalidRequestException")
    assert "8 levels" in answer["message"]
    node.kill()
