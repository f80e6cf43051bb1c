"""Queues: messages come back until they are deleted, and wait for those who wait for them."""

import json
import threading
import time

import pytest
from support import ACCOUNT, REGION, UUID, eventually, refused
import re


@pytest.fixture
def queue(node, name):
    """The URL of a queue of this test alone."""
    return node.client("sqs").create_queue(QueueName="queue-" + name)["QueueUrl"]


def arn(url):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"


def attributes(node, url, *names):
    asked = node.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[*names])
    return asked.get("Attributes", {})


def receive(node, url, **more):
    return node.client("sqs").receive_message(QueueUrl=url, **more).get("Messages", [])


# ---- queues --------------------------------------------------------------------------------------


def test_a_queue_is_created_found_and_deleted(node, name):
    sqs = node.client("sqs")
    url = sqs.create_queue(QueueName="made-" + name, Attributes={"VisibilityTimeout": "7"})["QueueUrl"]
    assert url.startswith("http://localhost:") and url.endswith(f"/{ACCOUNT}/made-{name}")
    assert sqs.get_queue_url(QueueName="made-" + name)["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix="made-" + name)["QueueUrls"] == [url]
    again = sqs.create_queue(QueueName="made-" + name, Attributes={"VisibilityTimeout": "7"})
    assert again["QueueUrl"] == url
    with refused("QueueAlreadyExists", 400, "different value for attribute VisibilityTimeout"):
        sqs.create_queue(QueueName="made-" + name, Attributes={"VisibilityTimeout": "8"})
    sqs.delete_queue(QueueUrl=url)
    with refused(
        "AWS.SimpleQueueService.NonExistentQueue", 400, "The specified queue does not exist."
    ):
        sqs.get_queue_url(QueueName="made-" + name)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=url, MessageBody="late")


def test_attributes_are_shown_and_changed(node, queue):
    shown = attributes(node, queue, "All")
    assert shown["QueueArn"] == arn(queue)
    assert (shown["VisibilityTimeout"], shown["DelaySeconds"]) == ("30", "0")
    assert shown["MessageRetentionPeriod"] == "345600"
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    node.client("sqs").set_queue_attributes(
        QueueUrl=queue, Attributes={"VisibilityTimeout": "5", "Policy": policy}
    )
    assert attributes(node, queue, "VisibilityTimeout", "Policy") == {
        "VisibilityTimeout": "5",
        "Policy": policy,
    }
    with refused("InvalidAttributeValue", 400, "parameter DelaySeconds"):
        node.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "901"})
    with refused("InvalidAttributeName", 400, "Unknown Attribute Nope"):
        node.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Nope": "1"})


def test_fifo_is_refused_by_name(node, name):
    for options in [{"QueueName": name + ".fifo"}, {"QueueName": name, "Attributes": {"FifoQueue": "true"}}]:
        with refused("AWS.SimpleQueueService.UnsupportedOperation", 400, "FIFO queues are not available"):
            node.client("sqs").create_queue(**options)


def test_queues_are_listed_in_pages(node, name):
    sqs = node.client("sqs")
    made = [sqs.create_queue(QueueName=f"page-{name}-{n}")["QueueUrl"] for n in range(5)]
    found, token = [], {}
    while True:
        page = sqs.list_queues(QueueNamePrefix=f"page-{name}-", MaxResults=2, **token)
        found += page["QueueUrls"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert found == made


def test_a_queue_carries_tags(node, queue):
    sqs = node.client("sqs")
    sqs.tag_queue(QueueUrl=queue, Tags={"a": "1", "b": "2"})
    sqs.untag_queue(QueueUrl=queue, TagKeys=["a"])
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"b": "2"}


# ---- messages ------------------------------------------------------------------------------------


def test_a_message_is_received_until_it_is_deleted(node, queue):
    sqs = node.client("sqs")
    sent = sqs.send_message(QueueUrl=queue, MessageBody="körper")
    assert re.fullmatch(UUID, sent["MessageId"])
    (first,) = receive(node, queue, VisibilityTimeout=0, AttributeNames=["All"])
    assert (first["Body"], first["MessageId"]) == ("körper", sent["MessageId"])
    assert first["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert first["Attributes"]["ApproximateReceiveCount"] == "1"
    (second,) = receive(node, queue, AttributeNames=["ApproximateReceiveCount"])
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    assert receive(node, queue) == []
    counts = attributes(
        node, queue, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    )
    assert list(counts.values()) == ["0", "1"]
    # An older receipt is no longer good.
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    sqs.change_message_visibility(
        QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0
    )
    (third,) = receive(node, queue)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=third["ReceiptHandle"])
    assert attributes(node, queue, "ApproximateNumberOfMessagesNotVisible") == {
        "ApproximateNumberOfMessagesNotVisible": "0"
    }
    with refused("ReceiptHandleIsInvalid", 400, "is not a valid receipt handle"):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle="made-up")


def test_attributes_of_messages_are_summed_up_and_filtered(node, queue):
    sqs = node.client("sqs")
    given = {
        "text.a": {"DataType": "String", "StringValue": "x"},
        "text.b": {"DataType": "String.kind", "StringValue": "ü"},
        "number": {"DataType": "Number", "StringValue": "1.5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    # boto3 compares the sums that come back with its own.
    sqs.send_message(QueueUrl=queue, MessageBody="m", MessageAttributes=given)
    (message,) = receive(node, queue, MessageAttributeNames=["All"], VisibilityTimeout=0)
    assert message["MessageAttributes"] == given
    (message,) = receive(node, queue, MessageAttributeNames=["text.*"], VisibilityTimeout=0)
    assert sorted(message["MessageAttributes"]) == ["text.a", "text.b"]
    (message,) = receive(node, queue)
    assert "MessageAttributes" not in message
    with refused("InvalidParameterValue", 400, "invalid message attribute type"):
        bad = {"a": {"DataType": "Other", "StringValue": "x"}}
        sqs.send_message(QueueUrl=queue, MessageBody="m", MessageAttributes=bad)


def test_a_batch_says_what_became_of_each_entry(node, queue):
    sqs = node.client("sqs")
    sent = sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "good", "MessageBody": "1"},
            {"Id": "bad", "MessageBody": "\x01"},
            {"Id": "fine", "MessageBody": "2"},
        ],
    )
    assert [one["Id"] for one in sent["Successful"]] == ["good", "fine"]
    assert [(one["Id"], one["Code"]) for one in sent["Failed"]] == [("bad", "InvalidMessageContents")]
    got = receive(node, queue, MaxNumberOfMessages=10)
    assert [one["Body"] for one in got] == ["1", "2"]
    entries = [
        {"Id": str(at), "ReceiptHandle": one["ReceiptHandle"]} for at, one in enumerate(got)
    ]
    assert len(sqs.delete_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 2
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400, "Id a repeated"):
        twice = [{"Id": "a", "MessageBody": "1"}, {"Id": "a", "MessageBody": "2"}]
        sqs.send_message_batch(QueueUrl=queue, Entries=twice)


def test_a_late_message_is_not_received_early(node, queue):
    node.client("sqs").send_message(QueueUrl=queue, MessageBody="late", DelaySeconds=1)
    assert receive(node, queue) == []
    began = time.monotonic()
    (message,) = receive(node, queue, WaitTimeSeconds=10)
    assert message["Body"] == "late" and 0.5 < time.monotonic() - began < 5


def test_one_who_waits_is_given_what_arrives(node, queue):
    got = []
    waits = [
        threading.Thread(target=lambda: got.append(receive(node, queue, WaitTimeSeconds=15)))
        for _ in range(2)
    ]
    for one in waits:
        one.start()
    time.sleep(0.3)
    for body in ["1", "2"]:
        node.client("sqs").send_message(QueueUrl=queue, MessageBody=body)
    for one in waits:
        one.join(10)
    assert sorted(message["Body"] for messages in got for message in messages) == ["1", "2"]


def test_one_who_waits_in_vain_is_told_so(node, queue):
    began = time.monotonic()
    assert receive(node, queue, WaitTimeSeconds=1) == []
    assert 0.9 < time.monotonic() - began < 5


def test_what_is_received_too_often_is_set_aside(node, name, queue):
    sqs = node.client("sqs")
    aside = sqs.create_queue(QueueName="aside-" + name)["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn(aside), "maxReceiveCount": "2"})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    sent = sqs.send_message(QueueUrl=queue, MessageBody="bad")
    for _ in range(2):
        assert len(receive(node, queue, VisibilityTimeout=0)) == 1
    assert receive(node, queue, VisibilityTimeout=0) == []
    (message,) = receive(node, aside)
    assert message["MessageId"] == sent["MessageId"]


def test_a_purged_queue_is_empty(node, queue):
    sqs = node.client("sqs")
    for body in "abc":
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    sqs.purge_queue(QueueUrl=queue)
    assert receive(node, queue, MaxNumberOfMessages=10) == []
    sqs.send_message(QueueUrl=queue, MessageBody="d")
    assert [one["Body"] for one in receive(node, queue)] == ["d"]


def test_messages_survive_a_power_cut(own_node):
    sqs = own_node.client("sqs")
    url = sqs.create_queue(QueueName="kept", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    for body in "abc":
        sqs.send_message(QueueUrl=url, MessageBody=body)
    (taken,) = receive(own_node, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=taken["ReceiptHandle"])
    (shown,) = receive(own_node, url)
    own_node.restart()
    assert [one["Body"] for one in receive(own_node, url, MaxNumberOfMessages=10)] == ["c"]
    eventually(lambda: [one["Body"] for one in receive(own_node, url)] == [shown["Body"]])
