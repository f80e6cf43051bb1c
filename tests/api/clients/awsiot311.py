"""A device on the AWS IoT Device SDK v2, MQTT 3.1.1: `awsiot311.py HOST PORT CLIENT 4 CA CERTIFICATE KEY`.

Does what the lines of its input say, and writes what happens: see test_clients.py.
"""

import sys

from awscrt import mqtt
from awsiot import mqtt_connection_builder
from lines import obey, say

HOST, PORT, CLIENT, _, CA, CERTIFICATE, KEY = sys.argv[1:]


def received(topic, payload, dup, qos, retain, **_):
    say("message", topic=topic, payload=payload.decode(), qos=int(qos), retain=retain)


def connect(clean, will=None, expiry=0):
    if will:
        will = mqtt.Will(will["topic"], mqtt.QoS.AT_LEAST_ONCE, will["payload"].encode(), False)
    made = mqtt_connection_builder.mtls_from_path(
        endpoint=HOST,
        port=int(PORT),
        cert_filepath=CERTIFICATE,
        pri_key_filepath=KEY,
        ca_filepath=CA,
        client_id=CLIENT,
        clean_session=clean,
        keep_alive_secs=30,
        will=will,
    )
    made.on_message(received)
    say("connected", present=made.connect().result(10)["session_present"])
    return made


def subscribe(client, topic, qos):
    done, _ = client.subscribe(topic, mqtt.QoS(qos))
    say("subscribed", granted=int(done.result(10)["qos"]))


def publish(client, topic, payload, qos, retain):
    done, _ = client.publish(topic, payload, mqtt.QoS(qos), retain)
    done.result(10)
    say("published")


def disconnect(client):
    client.disconnect().result(10)
    say("disconnected")


obey(connect, subscribe, publish, disconnect)
