"""A listener with the `aws` profile, used by paho (3.1.1 and 5.0) and boto3."""

import subprocess

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from support import PATIENCE, Client, Node, eventually, program

LOST = 0x80  # what paho calls an end that it was not told the reason of


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A node whose plaintext listener answers as AWS does; its TLS listener does not."""
    folder = tmp_path_factory.mktemp("aws") / "data"
    options = ["--mqtt", "127.0.0.1:0", "--allow-anonymous", "--profile", "mqtt=aws"]
    node = Node(folder, options)
    yield node
    node.kill()


@pytest.fixture
def client(cloud):
    made = []

    def make(name, **options):
        made.append(Client(cloud, name, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def reason(client, name):
    """The reason that presence gives for the end of the test's client."""
    watcher = client(f"{name}-watcher").subscribe(f"$aws/events/presence/disconnected/{name}")
    return lambda: watcher.event()["disconnectReason"]


def data(node):
    return node.client("iot-data")


def test_connack_says_what_aws_says(client, name):
    properties = client(name, keepalive=1200, expiry=2_000_000).properties
    said = {key: value for key, value in properties.json().items() if value is not None}
    assert said == {
        "MaximumQoS": 1,
        "ReceiveMaximum": 100,
        "MaximumPacketSize": 149_504,
        "TopicAliasMaximum": 8,
        "SubscriptionIdentifierAvailable": 0,
        "ServerKeepAlive": 1200,
        "SessionExpiryInterval": 604_800,
    }


@pytest.mark.parametrize("asked, used", [(5, 30), (900, 900), (5000, 1200), (0, 1200)])
def test_the_keep_alive_is_brought_within_bounds(client, name, asked, used):
    assert client(name, keepalive=asked).properties.ServerKeepAlive == used


@pytest.mark.parametrize("version, code", [(5, 0x9B), (4, LOST)])
def test_a_message_of_qos_2_ends_the_connection(client, name, reason, version, code):
    device = client(name, version=version)
    device.mqtt._max_qos = 2
    device.mqtt.publish(f"{name}/x", "x", qos=2)
    assert device.ended() == code
    assert reason() == "CLIENT_ERROR"


@pytest.mark.parametrize("version", [5, 4])
def test_a_subscription_of_qos_2_is_granted_qos_1(cloud, client, name, version):
    device = client(name, version=version)
    assert device.granted(f"{name}/x", 2) == [1]
    data(cloud).publish(topic=f"{name}/x", payload="x", qos=1)
    assert device.messages.get(timeout=PATIENCE).qos == 1


@pytest.mark.parametrize("version", [5, 4])
def test_a_wildcard_does_not_include_the_parent_nor_what_is_retained(
    cloud, client, name, version
):
    data(cloud).publish(topic=f"{name}/kept", payload="kept", retain=True)
    device = client(name, version=version).subscribe(f"{name}/#")
    for topic in (name, f"{name}/", f"{name}/a"):
        data(cloud).publish(topic=topic, payload="x", qos=1)
    topics = [device.messages.get(timeout=PATIENCE).topic for _ in range(2)]
    assert topics == [f"{name}/", f"{name}/a"]
    device.subscribe(f"{name}/kept")
    assert device.messages.get(timeout=PATIENCE).payload == b"kept"
    assert device.messages.empty()


@pytest.mark.parametrize("version, code", [(5, 0x97), (4, LOST)])
def test_a_subscribe_has_at_most_eight_filters(client, name, reason, version, code):
    device = client(name, version=version)
    assert device.granted([(f"{name}/{n}", 1) for n in range(8)]) == [1] * 8
    device.mqtt.subscribe([(f"{name}/{n}", 1) for n in range(9)])
    assert device.ended() == code
    assert reason() == "CLIENT_ERROR"


@pytest.mark.parametrize("version, code", [(5, 0x97), (4, 0x80)])
def test_a_connection_has_at_most_fifty_subscriptions(client, name, version, code):
    device = client(name, version=version)
    for part in range(10):
        assert device.granted([(f"{name}/{part}/{n}", 1) for n in range(5)]) == [1] * 5
    assert device.granted(f"{name}/more") == [code]


@pytest.mark.parametrize("version, code", [(5, 0x97), (4, LOST)])
def test_a_payload_has_at_most_128_kib(client, name, reason, version, code):
    device = client(name, version=version)
    device.mqtt.publish(f"{name}/x", b"x" * 131_072, qos=1).wait_for_publish(PATIENCE)
    device.mqtt.publish(f"{name}/x", b"x" * 131_073, qos=1)
    assert device.ended() == code
    assert reason() == "CLIENT_ERROR"


def test_a_packet_larger_than_connack_said_is_not_read(client, name, reason):
    device = client(name)
    device.mqtt.publish(f"{name}/x", b"x" * 200_000, qos=1)
    assert device.ended() == 0x95
    assert reason() == "CLIENT_ERROR"


@pytest.mark.parametrize("topic", ["a/b/c/d/e/f/g/h/i", "x" * 257])
def test_topics_have_eight_levels_and_256_bytes(client, name, reason, topic):
    device = client(name)
    good = topic[:-2] if "/" in topic else topic[:-1]
    assert device.granted(good) == [1]
    assert device.granted(f"$share/group/{good}") == [1]
    assert device.granted(topic) == [0x8F]
    device.mqtt.publish(topic, "x", qos=1)
    assert device.ended() == 0x90
    assert reason() == "CLIENT_ERROR"


def test_subscription_identifiers_are_not_available(client, name):
    device = client(name)
    properties = Properties(PacketTypes.SUBSCRIBE)
    properties.SubscriptionIdentifier = 1
    device.mqtt.subscribe(f"{name}/x", 1, properties=properties)
    assert device.ended() == 0xA1


@pytest.mark.parametrize("bad", ["$device", "x" * 129])
@pytest.mark.parametrize("version", [5, 4])
def test_client_identifiers_are_short_and_do_not_begin_with_a_dollar(client, bad, version):
    assert client(bad, version=version).reason.value == 0x85


def test_message_expiry_is_at_most_seven_days(client, name):
    watcher = client(f"{name}-w").subscribe(f"{name}/x")
    device = client(name)
    for asked, seen in ((0, 1), (60, 60), (1_000_000, 604_800)):
        properties = Properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = asked
        device.mqtt.publish(f"{name}/x", "x", qos=1, properties=properties)
        message = watcher.messages.get(timeout=PATIENCE)
        assert message.properties.MessageExpiryInterval == seen


def test_unsubscribing_from_nothing_is_a_success(client, name):
    device = client(name)
    device.mqtt.unsubscribe(f"{name}/never")
    assert [reason.value for reason in device.answers.get(timeout=PATIENCE)] == [0]


def test_who_publishes_without_end_is_throttled(client, name, reason):
    device = client(name)
    for _ in range(1000):
        device.mqtt.publish(f"{name}/x", "x", qos=0)
    # Who is still sending when the connection ends may lose what came before the end: 128 is paho's own.
    assert device.ended() in (0x96, 0x80)
    assert reason() == "THROTTLED"


def test_a_session_of_3_1_1_lasts_an_hour(cloud, client, name):
    client(name, version=4, clean=False).close()
    described = lambda: data(cloud).get_connection(clientId=name)  # noqa: E731
    assert eventually(lambda: not described()["connected"])
    assert described()["sessionExpiry"] == 3600


def test_the_other_listener_keeps_to_the_standard(cloud, client, name, device):
    data(cloud).publish(topic=f"{name}/kept", payload="kept", retain=True)
    standard = device(cloud, name).connect()
    standard.subscribe(f"{name}/#", 2)
    assert standard.message().payload == b"kept"
    standard.publish(name, "parent", 2)
    message = standard.message()
    assert (message.topic, message.qos) == (name, 2)
    other = client(f"{name}-aws").subscribe(name)
    standard.publish(name, "across", 2)
    assert other.messages.get(timeout=PATIENCE).qos == 1


def test_a_session_is_not_resumed_under_other_rules(cloud, client, name):
    client(name, expiry=600).subscribe(f"{name}/x").close()
    assert client(name, expiry=600, clean=False).flags.session_present
    again = client(name, version=4, clean=False)
    assert not again.flags.session_present


def test_the_api_tells_the_keep_alive_that_is_used(cloud, client, name):
    client(name, version=4, keepalive=5)
    found = data(cloud).get_connection(clientId=name)
    assert found["keepAliveDuration"] == 30


@pytest.mark.parametrize("wrong, hint", [("mqtts=azure", "aws"), ("web=aws", "mqtts")])
def test_what_is_no_profile_or_listener_is_refused_with_what_there_is(tmp_path, wrong, hint):
    serve = [program(), "serve", "--data", str(tmp_path / "d"), "--profile", wrong]
    done = subprocess.run(serve, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert hint in done.stderr
