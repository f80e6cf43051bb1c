"""What rules owe survives a kill: statements that ask functions, in order per device."""

import pytest
from support import ROLE, Device, eventually
from test_lambda import create

ROUNDS, BURST = 4, 10
FUNCTION = """
import os, time

def handler(event, context):
    with open(os.environ["BOOK"], "a") as book:
        book.write(f"{event['device']} {event['n']}\\n")
    time.sleep(0.02)
    return event["n"] * 2
"""


@pytest.fixture
def plant(own_node, tmp_path):
    """A node with a rule whose statement asks a function that keeps a book of what it is asked."""
    book = tmp_path / "book"
    book.touch()
    environment = {"Variables": {"BOOK": str(book)}}
    arn = create(own_node, "note", FUNCTION, Environment=environment)["FunctionArn"]
    own_node.dynamodb().create_table(
        TableName="Kept",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    sql = (
        "SELECT clientid() + '-' + n AS id, "
        f"aws_lambda('{arn}', {{'device': clientid(), 'n': n}}) AS twice FROM 'scale/+'"
    )
    own_node.iot().create_topic_rule(
        ruleName="Note",
        topicRulePayload={
            "sql": sql,
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{"dynamoDBv2": {"putItem": {"tableName": "Kept"}, "roleArn": ROLE}}],
        },
    )
    return own_node, book


def noted(book, device):
    """The numbers that the function was asked about for a device, without repetitions."""
    lines = [line.split() for line in book.read_text().splitlines()]
    return list(dict.fromkeys(int(number) for name, number in lines if name == device))


def kept(node):
    pages = node.dynamodb().get_paginator("scan").paginate(TableName="Kept")
    return {item["id"]["S"]: item.get("twice") for page in pages for item in page["Items"]}


def test_every_acknowledged_message_reaches_its_function_in_order_across_kills(plant):
    node, book = plant
    devices = [Device(node, name) for name in ("scale-a", "scale-b")]
    owed = 0
    for turn in range(ROUNDS):
        for device in devices:
            device.connect()
        for number in range(turn * BURST, (turn + 1) * BURST):
            for device in devices:
                device.publish("scale/1", {"n": number})
        published = len(devices) * BURST * (turn + 1)
        owed = max(owed, published - sum(len(noted(book, device.name)) for device in devices))
        node.kill()
        for device in devices:
            device.close()
        node.start()
    assert owed > 0, "no message had to survive in a job"
    numbers = list(range(ROUNDS * BURST))
    expected = {f"{device.name}-{n}": {"N": str(2 * n)} for device in devices for n in numbers}
    assert eventually(lambda: kept(node) == expected and expected, 30)
    for device in devices:
        assert noted(book, device.name) == numbers
