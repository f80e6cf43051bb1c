"""Queues: messages come back until they are deleted, and wait for those who wait for them."""

import json
import re
import threading
import time
import urllib.parse
import xml.etree.ElementTree as xml

import boto3
import pytest
from support import ACCOUNT, REGION, UUID, eventually, refused


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
    assert url == f"{node.endpoint}/{ACCOUNT}/made-{name}"
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


def test_the_url_of_a_queue_begins_as_the_request(node, queue):
    by_name = node.endpoint.replace("127.0.0.1", "localhost")
    sqs = boto3.client(
        "sqs",
        endpoint_url=by_name,
        region_name=REGION,
        aws_access_key_id=node.credentials.access_key,
        aws_secret_access_key=node.credentials.secret_key,
    )
    url = sqs.get_queue_url(QueueName=queue.rsplit("/", 1)[1])["QueueUrl"]
    assert url == queue.replace("127.0.0.1", "localhost")
    assert url in sqs.list_queues()["QueueUrls"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    node.client("sqs").send_message(
        QueueUrl=queue.replace(node.endpoint, "https://sqs.example"), MessageBody="again"
    )
    assert sorted(one["Body"] for one in receive(node, queue, MaxNumberOfMessages=10)) == [
        "again",
        "hello",
    ]


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
    assert message["Body"] == "late" and 0.5 < time.monotonic() - began < 9


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


def test_the_older_protocol_says_the_same(node, queue):
    def ask(action, **fields):
        form = urllib.parse.urlencode({"Action": action, "Version": "2012-11-05", **fields})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _, body = node.request("sqs", "POST", "/", form.encode(), kind)
        root = xml.fromstring(re.sub(rb' xmlns="[^"]*"', b"", body))
        return status, root

    attributes = {
        "MessageAttribute.1.Name": "a",
        "MessageAttribute.1.Value.DataType": "String",
        "MessageAttribute.1.Value.StringValue": "x",
    }
    status, sent = ask("SendMessage", QueueUrl=queue, MessageBody="a<b", **attributes)
    assert (status, sent.tag) == (200, "SendMessageResponse")
    names = {"AttributeName.1": "All", "MessageAttributeName.1": "All"}
    _, got = ask("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages="10", **names)
    (message,) = got.findall("./ReceiveMessageResult/Message")
    assert message.findtext("Body") == "a<b"
    assert message.findtext("MessageId") == sent.findtext("./SendMessageResult/MessageId")
    assert message.findtext("./MessageAttribute/Value/StringValue") == "x"
    counts = {one.findtext("Name"): one.findtext("Value") for one in message.findall("Attribute")}
    assert counts["ApproximateReceiveCount"] == "1"
    batch = {
        "DeleteMessageBatchRequestEntry.1.Id": "one",
        "DeleteMessageBatchRequestEntry.1.ReceiptHandle": message.findtext("ReceiptHandle"),
    }
    _, deleted = ask("DeleteMessageBatch", QueueUrl=queue, **batch)
    path = "./DeleteMessageBatchResult/DeleteMessageBatchResultEntry/Id"
    assert deleted.findtext(path) == "one"
    _, shown = ask("GetQueueAttributes", QueueUrl=queue, **{"AttributeName.1": "QueueArn"})
    path = "./GetQueueAttributesResult/Attribute/Value"
    assert shown.findtext(path) == arn(queue)
    status, error = ask("SendMessage", QueueUrl=queue + "-none", MessageBody="x")
    assert (status, error.findtext("./Error/Code")) == (
        400,
        "AWS.SimpleQueueService.NonExistentQueue",
    )


def test_messages_survive_a_power_cut(own_node):
    sqs = own_node.client("sqs")
    url = sqs.create_queue(QueueName="kept", Attributes={"VisibilityTimeout": "20"})["QueueUrl"]
    for body in "abc":
        sqs.send_message(QueueUrl=url, MessageBody=body)
    (taken,) = receive(own_node, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=taken["ReceiptHandle"])
    (shown,) = receive(own_node, url)
    own_node.restart()
    assert [one["Body"] for one in receive(own_node, url, MaxNumberOfMessages=10)] == ["c"]
    sqs = own_node.client("sqs")
    sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=shown["ReceiptHandle"], VisibilityTimeout=0
    )
    assert [one["Body"] for one in receive(own_node, url)] == [shown["Body"]]


# ---- FIFO ----------------------------------------------------------------------------------------


@pytest.fixture
def fifo(node, name):
    made = node.client("sqs").create_queue(
        QueueName=f"fifo-{name}.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )
    return made["QueueUrl"]


def bodies(messages):
    return [one["Body"] for one in messages]


def test_a_group_is_received_in_order_and_waits_for_what_is_in_flight(node, fifo):
    sqs = node.client("sqs")
    sequence = []
    for group, body in ["a1", "a2", "b1", "a3", "b2"]:
        sent = sqs.send_message(QueueUrl=fifo, MessageBody=group + body, MessageGroupId=group)
        sequence.append(sent["SequenceNumber"])
    assert sequence == sorted(sequence) and all(len(one) == 20 for one in sequence)
    (first,) = receive(node, fifo, AttributeNames=["All"])
    assert first["Body"] == "a1"
    assert first["Attributes"]["MessageGroupId"] == "a"
    assert first["Attributes"]["SequenceNumber"] == sequence[0]
    assert len(first["Attributes"]["MessageDeduplicationId"]) == 64
    others = receive(node, fifo, MaxNumberOfMessages=10)
    assert bodies(others) == ["b1", "b2"]
    assert receive(node, fifo) == []
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"])
    assert bodies(receive(node, fifo, MaxNumberOfMessages=10)) == ["a2", "a3"]


def test_what_comes_back_comes_before_what_is_behind_it(node, fifo):
    sqs = node.client("sqs")
    for body in ["1", "2"]:
        sqs.send_message(QueueUrl=fifo, MessageBody=body, MessageGroupId="g")
    (first,) = receive(node, fifo)
    sqs.change_message_visibility(
        QueueUrl=fifo, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0
    )
    assert bodies(receive(node, fifo, MaxNumberOfMessages=10)) == ["1", "2"]


def test_the_same_is_not_taken_twice(node, fifo):
    sqs = node.client("sqs")
    first = sqs.send_message(QueueUrl=fifo, MessageBody="m", MessageGroupId="g")
    again = sqs.send_message(QueueUrl=fifo, MessageBody="m", MessageGroupId="h")
    assert (first["MessageId"], first["SequenceNumber"]) == (again["MessageId"], again["SequenceNumber"])
    sqs.send_message(QueueUrl=fifo, MessageBody="m", MessageGroupId="g", MessageDeduplicationId="x")
    got = receive(node, fifo, MaxNumberOfMessages=10)
    assert bodies(got) == ["m", "m"]
    for one in got:
        sqs.delete_message(QueueUrl=fifo, ReceiptHandle=one["ReceiptHandle"])
    sqs.send_message(QueueUrl=fifo, MessageBody="m", MessageGroupId="g")
    assert receive(node, fifo) == []


def test_deduplication_can_be_within_a_group(node, name):
    sqs = node.client("sqs")
    url = sqs.create_queue(
        QueueName=f"scope-{name}.fifo",
        Attributes={
            "FifoQueue": "true",
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
        },
    )["QueueUrl"]
    with refused("InvalidAttributeValue", 400, "FifoThroughputLimit"):
        fifo = {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"}
        sqs.create_queue(QueueName=f"limit-{name}.fifo", Attributes=fifo)
    for group in "gh":
        sqs.send_message(
            QueueUrl=url, MessageBody=group, MessageGroupId=group, MessageDeduplicationId="x"
        )
    assert sorted(bodies(receive(node, url, MaxNumberOfMessages=10))) == ["g", "h"]
    shown = attributes(node, url, "All")
    assert (shown["FifoQueue"], shown["DeduplicationScope"], shown["FifoThroughputLimit"]) == (
        "true",
        "messageGroup",
        "perMessageGroupId",
    )


def test_what_only_one_kind_of_queue_knows_is_refused_by_the_other(node, name, queue, fifo):
    sqs = node.client("sqs")
    with refused("MissingParameter", 400, "must contain the parameter MessageGroupId"):
        sqs.send_message(QueueUrl=fifo, MessageBody="x")
    with refused("InvalidParameterValue", 400, "parameter DelaySeconds is invalid"):
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g", DelaySeconds=5)
    sqs.set_queue_attributes(QueueUrl=fifo, Attributes={"ContentBasedDeduplication": "false"})
    with refused("InvalidParameterValue", 400, "either have ContentBasedDeduplication enabled"):
        sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g")
    with refused("InvalidParameterValue", 400, "MessageDeduplicationId is invalid"):
        sqs.send_message(QueueUrl=queue, MessageBody="x", MessageDeduplicationId="d")
    with refused("InvalidParameterValue", 400, "must end with .fifo suffix"):
        sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
    with refused("InvalidParameterValue", 400, "Can only include alphanumeric characters"):
        sqs.create_queue(QueueName=name + ".fifo")
    with refused("InvalidAttributeName", 400, "Unknown Attribute ContentBasedDeduplication"):
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"ContentBasedDeduplication": "true"})
    # A group on a standard queue is shown, and orders nothing.
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId="g")
    (message,) = receive(node, queue, MessageSystemAttributeNames=["MessageGroupId"])
    assert message["Attributes"] == {"MessageGroupId": "g"}


def test_fifo_survives_a_power_cut(own_node):
    sqs = own_node.client("sqs")
    url = sqs.create_queue(
        QueueName="kept.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    )["QueueUrl"]
    for body in ["1", "2", "3"]:
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    (first,) = receive(own_node, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    own_node.restart()
    sqs = own_node.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="g")
    assert bodies(receive(own_node, url, MaxNumberOfMessages=10)) == ["2", "3"]


# ---- dead letters --------------------------------------------------------------------------------


def with_dead_letters(node, name, suffix="", **more):
    """A queue, its queue of dead letters, both as URLs."""
    sqs = node.client("sqs")
    dead = sqs.create_queue(QueueName=f"dead-{name}{suffix}", Attributes=more)["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1})
    live = sqs.create_queue(
        QueueName=f"live-{name}{suffix}", Attributes={"RedrivePolicy": policy, **more}
    )["QueueUrl"]
    return live, dead


def test_dead_letters_go_back_to_where_they_came_from(node, name):
    sqs = node.client("sqs")
    live, dead = with_dead_letters(node, name)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [live]
    for body in "ab":
        sqs.send_message(QueueUrl=live, MessageBody=body)
    assert len(receive(node, live, MaxNumberOfMessages=10, VisibilityTimeout=0)) == 2
    assert receive(node, live, MaxNumberOfMessages=10) == []
    (letter, _) = receive(node, dead, MaxNumberOfMessages=10, VisibilityTimeout=0, AttributeNames=["All"])
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(live)
    handle = sqs.start_message_move_task(SourceArn=arn(dead))["TaskHandle"]
    assert handle
    task = eventually(
        lambda: [
            one
            for one in sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]
            if one["Status"] == "COMPLETED"
        ]
    )[0]
    assert (task["ApproximateNumberOfMessagesMoved"], task["SourceArn"]) == (2, arn(dead))
    assert sorted(bodies(receive(node, live, MaxNumberOfMessages=10))) == ["a", "b"]
    with refused("ResourceNotFoundException", 400, "Task does not exist"):
        sqs.cancel_message_move_task(TaskHandle=handle)
    with refused("InvalidParameterValue", 400, "must be configured as a Dead Letter Queue"):
        sqs.start_message_move_task(SourceArn=arn(live))


def test_a_redrive_policy_names_a_queue_of_the_same_kind_that_allows_it(node, name, queue, fifo):
    sqs = node.client("sqs")

    def redrive(url, target, count=1):
        policy = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": count})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})

    with refused("InvalidParameterValue", 400, "Dead letter target does not exist"):
        redrive(queue, arn(queue) + "-none")
    with refused("InvalidParameterValue", 400, "must be same type of queue"):
        redrive(queue, arn(fifo))
    other = sqs.create_queue(QueueName="other-" + name)["QueueUrl"]
    with refused("InvalidParameterValue", 400, "valid values are from 1 to 1000"):
        redrive(queue, arn(other), 0)
    allow = json.dumps({"redrivePermission": "denyAll"})
    sqs.set_queue_attributes(QueueUrl=other, Attributes={"RedriveAllowPolicy": allow})
    with refused("InvalidParameterValue", 400, "does not have permission"):
        redrive(queue, arn(other))
    assert attributes(node, other, "RedriveAllowPolicy") == {"RedriveAllowPolicy": allow}


def test_a_queue_is_purged_once_a_minute(node, queue):
    sqs = node.client("sqs")
    sqs.purge_queue(QueueUrl=queue)
    with refused("AWS.SimpleQueueService.PurgeQueueInProgress", 403, "allowed every 60 seconds"):
        sqs.purge_queue(QueueUrl=queue)


def test_permissions_are_kept_in_the_policy(node, queue):
    sqs = node.client("sqs")
    sqs.add_permission(
        QueueUrl=queue, Label="l", AWSAccountIds=["111111111111"], Actions=["SendMessage"]
    )
    policy = json.loads(attributes(node, queue, "Policy")["Policy"])
    assert (policy["Statement"][0]["Sid"], policy["Statement"][0]["Action"]) == ("l", ["SQS:SendMessage"])
    sqs.remove_permission(QueueUrl=queue, Label="l")
    assert json.loads(attributes(node, queue, "Policy")["Policy"])["Statement"] == []
    with refused("InvalidParameterValue", 400, "can't find label"):
        sqs.remove_permission(QueueUrl=queue, Label="l")


def test_a_queue_can_be_named_by_the_path_of_its_url(node, queue):
    path = urllib.parse.urlsplit(queue).path
    form = urllib.parse.urlencode({"Action": "SendMessage", "MessageBody": "by path"})
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    status, _, _ = node.request("sqs", "POST", path, form.encode(), kind)
    assert (status, bodies(receive(node, queue))) == (200, ["by path"])


def test_a_trace_header_is_summed_up(node, queue):
    # boto3 does not look at this sum; AWS's SDKs for other languages do.
    sent = node.client("sqs").send_message(
        QueueUrl=queue,
        MessageBody="m",
        MessageSystemAttributes={
            "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}
        },
    )
    assert re.fullmatch("[0-9a-f]{32}", sent["MD5OfMessageSystemAttributes"])
