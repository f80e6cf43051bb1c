"""A device on the AWS IoT Device SDK v2, MQTT 5: `awsiot5.py HOST PORT CLIENT 5 CA CERTIFICATE KEY`.

Does what the lines of its input say, and writes what happens: see test_clients.py.
"""

import sys

from awscrt import mqtt5
from awsiot import mqtt5_client_builder
from lines import obey, say

HOST, PORT, CLIENT, _, CA, CERTIFICATE, KEY = sys.argv[1:]


def received(data):
    packet = data.publish_packet
    say(
        "message",
        topic=packet.topic,
        payload=packet.payload.decode(),
        qos=int(packet.qos),
        retain=packet.retain,
    )


def connect(clean, will=None, expiry=0):
    if will:
        will = mqtt5.PublishPacket(
            topic=will["topic"], payload=will["payload"], qos=mqtt5.QoS.AT_LEAST_ONCE
        )
    sessions = mqtt5.ClientSessionBehaviorType
    made = mqtt5_client_builder.mtls_from_path(
        endpoint=HOST,
        port=int(PORT),
        cert_filepath=CERTIFICATE,
        pri_key_filepath=KEY,
        ca_filepath=CA,
        client_id=CLIENT,
        session_behavior=sessions.CLEAN if clean else sessions.REJOIN_ALWAYS,
        connect_options=mqtt5.ConnectPacket(
            client_id=CLIENT, session_expiry_interval_sec=expiry or None, will=will
        ),
        on_publish_received=received,
        on_lifecycle_connection_success=lambda data: say(
            "connected", present=data.connack_packet.session_present
        ),
        on_lifecycle_connection_failure=lambda data: say("error", why=str(data.exception)),
        on_lifecycle_stopped=lambda _: say("disconnected"),
    )
    made.start()
    return made


def subscribe(client, topic, qos):
    filters = [mqtt5.Subscription(topic, mqtt5.QoS(qos))]
    done = client.subscribe(mqtt5.SubscribePacket(filters)).result(10)
    say("subscribed", granted=int(done.reason_codes[0]))


def publish(client, topic, payload, qos, retain):
    packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS(qos), retain=retain)
    client.publish(packet).result(10)
    say("published")


obey(connect, subscribe, publish, lambda client: client.stop(mqtt5.DisconnectPacket()))
