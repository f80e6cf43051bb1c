"""A device on paho-mqtt: `pahomqtt.py HOST PORT CLIENT VERSION CA CERTIFICATE KEY`.

Does what the lines of its input say, and writes what happens: see test_clients.py.
"""

import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from lines import obey, say

HOST, PORT, CLIENT, VERSION, CA, CERTIFICATE, KEY = sys.argv[1:]


def connect(clean, will=None, expiry=0):
    version = int(VERSION)
    v5 = version == 5
    made = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        CLIENT,
        clean_session=None if v5 else clean,
        protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
    )
    made.tls_set(CA, CERTIFICATE, KEY)
    if will:
        made.will_set(will["topic"], will["payload"], qos=1)
    made.on_connect = lambda _c, _u, flags, code, _p: say(
        "connected", present=flags.session_present, why=str(code) if code.is_failure else None
    )
    made.on_subscribe = lambda _c, _u, _m, codes, _p: say("subscribed", granted=codes[0].value)
    made.on_publish = lambda *_: say("published")
    made.on_disconnect = lambda *_: say("disconnected")
    made.on_message = lambda _c, _u, message: say(
        "message",
        topic=message.topic,
        payload=message.payload.decode(),
        qos=message.qos,
        retain=message.retain,
    )
    options = {}
    if v5:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry
        options = {"clean_start": clean, "properties": properties}
    made.connect(HOST, int(PORT), keepalive=30, **options)
    made.loop_start()
    return made


def subscribe(client, topic, qos):
    client.subscribe(topic, qos)


def publish(client, topic, payload, qos, retain):
    client.publish(topic, payload, qos, retain)


obey(connect, subscribe, publish, lambda client: client.disconnect())
