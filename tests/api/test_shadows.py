"""Device shadows through the API of `iot-data`, and by MQTT."""

import json

import pytest
from support import PATIENCE, refused


@pytest.fixture
def shadows(node):
    return node.client("iot-data")


def body(answer):
    return json.load(answer["payload"])


def test_a_shadow_is_made_changed_and_deleted(node, shadows, name):
    update = {"state": {"desired": {"on": True, "color": [1, 2]}}, "clientToken": "t"}
    made = body(shadows.update_thing_shadow(thingName=name, payload=json.dumps(update)))
    assert made["version"] == 1 and made["clientToken"] == "t" and made["state"] == update["state"]
    assert made["metadata"]["desired"]["on"] == {"timestamp": made["timestamp"]}
    reported = {"state": {"reported": {"on": True}}}
    shadows.update_thing_shadow(thingName=name, payload=json.dumps(reported))
    found = body(shadows.get_thing_shadow(thingName=name))
    assert found["state"]["delta"] == {"color": [1, 2]} and found["version"] == 2
    gone = body(shadows.delete_thing_shadow(thingName=name))
    assert gone["version"] == 2
    with refused("ResourceNotFoundException", 404, f"No shadow exists with name: '{name}'"):
        shadows.get_thing_shadow(thingName=name)


def test_named_shadows_are_listed(shadows, name):
    for shadow in ("a", "b", "c"):
        shadows.update_thing_shadow(thingName=name, shadowName=shadow, payload=b'{"state":{}}')
    first = shadows.list_named_shadows_for_thing(thingName=name, pageSize=2)
    assert first["results"] == ["a", "b"]
    rest = shadows.list_named_shadows_for_thing(thingName=name, nextToken=first["nextToken"])
    assert rest["results"] == ["c"] and "nextToken" not in rest


def test_bad_updates_change_nothing(shadows, name):
    shadows.update_thing_shadow(thingName=name, payload=b'{"state":{"desired":{"a":1}}}')
    for payload, code, status, why in (
        (b"{", "InvalidRequestException", 400, "Payload contains invalid json"),
        (b"{}", "InvalidRequestException", 400, "Missing required node: state"),
        (b'{"state":{"desired":{"b":1}},"version":7}', "ConflictException", 409, "Version conflict"),
        (b'{"state":{"wanted":{}}}', "InvalidRequestException", 400, "State contains an invalid node: 'wanted'"),
        (
            json.dumps({"state": {"desired": {"x": "y" * 9000}}}).encode(),
            "RequestEntityTooLargeException",
            413,
            "The payload exceeds the maximum size allowed",
        ),
    ):
        with refused(code, status, why):
            shadows.update_thing_shadow(thingName=name, payload=payload)
    assert body(shadows.get_thing_shadow(thingName=name))["state"]["desired"] == {"a": 1}


def test_a_device_hears_the_delta_and_the_shadow_survives_a_kill(own_node, device):
    thing = device(own_node, "lamp").connect()
    thing.subscribe("$aws/things/lamp/shadow/update/delta")
    shadows = own_node.client("iot-data")
    shadows.update_thing_shadow(thingName="lamp", payload=b'{"state":{"desired":{"on":true}}}')
    delta = json.loads(thing.messages.get(timeout=PATIENCE).payload)
    assert delta["state"] == {"on": True} and delta["version"] == 1
    thing.publish("$aws/things/lamp/shadow/update", '{"state":{"reported":{"on":true}}}', qos=1)
    own_node.restart()
    found = body(own_node.client("iot-data").get_thing_shadow(thingName="lamp"))
    assert found["state"] == {"desired": {"on": True}, "reported": {"on": True}}
