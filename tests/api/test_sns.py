"""Topics: what is published goes to the queues that subscribe."""

import json
import re

import pytest
from support import ACCOUNT, REGION, UUID, refused

TOPICS = f"arn:aws:sns:{REGION}:{ACCOUNT}"


@pytest.fixture
def queue(node, name):
    return node.client("sqs").create_queue(QueueName="topic-" + name)["QueueUrl"]


@pytest.fixture
def topic(node, name):
    return node.client("sns").create_topic(Name="topic-" + name)["TopicArn"]


def arn(url):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"


def subscribe(node, topic, queue, **attributes):
    made = node.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn(queue), Attributes=attributes
    )
    return made["SubscriptionArn"]


def received(node, url):
    got = node.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return got.get("Messages", [])


def test_a_topic_is_created_listed_and_deleted(node, name):
    sns = node.client("sns")
    topic = sns.create_topic(Name="made-" + name, Attributes={"DisplayName": "shown"})["TopicArn"]
    assert topic == f"{TOPICS}:made-{name}"
    assert sns.create_topic(Name="made-" + name)["TopicArn"] == topic
    pages = sns.get_paginator("list_topics").paginate()
    assert topic in [one["TopicArn"] for page in pages for one in page["Topics"]]
    shown = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (shown["DisplayName"], shown["Owner"]) == ("shown", ACCOUNT)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="new")
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "new"
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)
    with refused("NotFound", 404, "Topic does not exist"):
        sns.publish(TopicArn=topic, Message="late")


def test_a_message_comes_in_an_envelope(node, topic, queue):
    subscribe(node, topic, queue)
    sent = node.client("sns").publish(
        TopicArn=topic,
        Message="körper",
        Subject="about",
        MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}},
    )
    (message,) = received(node, queue)
    body = json.loads(message["Body"])
    assert (body["Type"], body["MessageId"]) == ("Notification", sent["MessageId"])
    assert (body["TopicArn"], body["Subject"], body["Message"]) == (topic, "about", "körper")
    assert body["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}
    assert re.fullmatch(UUID, sent["MessageId"])


def test_a_raw_message_comes_alone(node, topic, queue):
    subscribe(node, topic, queue, RawMessageDelivery="true")
    given = {"a": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    node.client("sns").publish(TopicArn=topic, Message="bare", MessageAttributes=given)
    (message,) = received(node, queue)
    assert (message["Body"], message["MessageAttributes"]) == ("bare", given)


def test_each_protocol_has_its_message(node, topic, queue):
    subscribe(node, topic, queue, RawMessageDelivery="true")
    messages = json.dumps({"default": "for all", "sqs": "for queues"})
    node.client("sns").publish(TopicArn=topic, Message=messages, MessageStructure="json")
    assert [one["Body"] for one in received(node, queue)] == ["for queues"]
    with refused("InvalidParameter", 400, "No default entry in JSON message body"):
        node.client("sns").publish(TopicArn=topic, Message="{}", MessageStructure="json")


def test_a_filter_lets_through_what_it_names(node, topic, queue):
    filters = json.dumps({"kind": ["a", {"prefix": "b"}], "n": [{"numeric": [">=", 2]}]})
    subscribe(node, topic, queue, RawMessageDelivery="true", FilterPolicy=filters)
    for kind, n in [("a", 2), ("a", 1), ("bcd", 3), ("x", 9)]:
        attributes = {
            "kind": {"DataType": "String", "StringValue": kind},
            "n": {"DataType": "Number", "StringValue": str(n)},
        }
        node.client("sns").publish(
            TopicArn=topic, Message=f"{kind}{n}", MessageAttributes=attributes
        )
    node.client("sns").publish(TopicArn=topic, Message="none")
    assert [one["Body"] for one in received(node, queue)] == ["a2", "bcd3"]


def test_a_filter_can_look_at_the_message(node, topic, queue):
    subscription = subscribe(
        node,
        topic,
        queue,
        FilterPolicyScope="MessageBody",
        FilterPolicy=json.dumps({"a": {"b": [1]}}),
        RawMessageDelivery="true",
    )
    for message in ['{"a": {"b": 1}}', '{"a": {"b": 2}}', "text"]:
        node.client("sns").publish(TopicArn=topic, Message=message)
    assert [one["Body"] for one in received(node, queue)] == ['{"a": {"b": 1}}']
    shown = node.client("sns").get_subscription_attributes(SubscriptionArn=subscription)
    assert shown["Attributes"]["FilterPolicyScope"] == "MessageBody"


def test_a_batch_says_what_became_of_each_entry(node, topic, queue):
    subscribe(node, topic, queue, RawMessageDelivery="true")
    answer = node.client("sns").publish_batch(
        TopicArn=topic,
        PublishBatchRequestEntries=[
            {"Id": "1", "Message": "one"},
            {"Id": "2", "Message": "two", "Subject": "x" * 101},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["1"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("2", "InvalidParameter")]
    assert [one["Body"] for one in received(node, queue)] == ["one"]


def test_subscriptions_are_listed_changed_and_ended(node, topic, queue):
    sns = node.client("sns")
    subscription = subscribe(node, topic, queue)
    assert subscription.startswith(topic + ":")
    assert subscribe(node, topic, queue) == subscription
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed == {
        "SubscriptionArn": subscription,
        "Owner": ACCOUNT,
        "Protocol": "sqs",
        "Endpoint": arn(queue),
        "TopicArn": topic,
    }
    pages = sns.get_paginator("list_subscriptions").paginate()
    assert subscription in [one["SubscriptionArn"] for page in pages for one in page["Subscriptions"]]
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    sns.publish(TopicArn=topic, Message="raw now")
    assert [one["Body"] for one in received(node, queue)] == ["raw now"]
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.publish(TopicArn=topic, Message="nobody listens")
    assert received(node, queue) == []
    with refused("NotFound", 404, "Subscription does not exist"):
        sns.get_subscription_attributes(SubscriptionArn=subscription)


def test_a_topic_carries_tags(node, topic):
    sns = node.client("sns")
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["a"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_what_is_not_served_is_refused_by_name(node, name, topic):
    sns = node.client("sns")
    with refused("InvalidParameter", 400, "FIFO topics are not available"):
        sns.create_topic(Name=name + ".fifo", Attributes={"FifoTopic": "true"})
    with refused("InvalidParameter", 400, "subscriptions of `https` are not available"):
        sns.subscribe(TopicArn=topic, Protocol="https", Endpoint="https://example.com")
    with refused("InvalidParameter", 400, "text messages are not available"):
        sns.publish(PhoneNumber="+4912345", Message="x")
    with refused("InvalidAction", 400, "`CreatePlatformApplication` is not available"):
        sns.create_platform_application(Name="x", Platform="GCM", Attributes={})


def test_subscriptions_survive_a_power_cut(own_node):
    queue = own_node.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    topic = own_node.client("sns").create_topic(Name="kept")["TopicArn"]
    subscribe(own_node, topic, queue, RawMessageDelivery="true")
    own_node.client("sns").publish(TopicArn=topic, Message="before")
    own_node.restart()
    own_node.client("sns").publish(TopicArn=topic, Message="after")
    assert [one["Body"] for one in received(own_node, queue)] == ["before", "after"]
