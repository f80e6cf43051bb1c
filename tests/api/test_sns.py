"""Topics: what is published goes to those that subscribe."""

import base64
import json
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from support import ACCOUNT, REGION, UUID, Node, Sdk, eventually, refused
from test_lambda import create
from test_rule_http import Server

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
    with refused("InvalidBatchEntryId", 400, "abide by the specification"):
        node.client("sns").publish_batch(
            TopicArn=topic, PublishBatchRequestEntries=[{"Id": "a b", "Message": "m"}]
        )
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
    for protocol in ["email", "email-json", "sms", "application", "firehose"]:
        with refused("InvalidParameter", 400, f"subscriptions of `{protocol}` are not available"):
            sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint="x")
    with refused("InvalidParameter", 400, "does not support this protocol string: pigeon"):
        sns.subscribe(TopicArn=topic, Protocol="pigeon", Endpoint="x")
    with refused("InvalidParameter", 400, "text messages are not available"):
        sns.publish(PhoneNumber="+4912345", Message="x")
    with refused("InvalidAction", 400, "`CreatePlatformApplication` is not available"):
        sns.create_platform_application(Name="x", Platform="GCM", Attributes={})
    with refused("InvalidAction", 400, "`GetDataProtectionPolicy` is not available"):
        sns.get_data_protection_policy(ResourceArn=topic)
    with refused("InvalidParameter", 400, "archives and data protection are not available"):
        sns.create_topic(Name=name, Attributes={"ArchivePolicy": "{}"})


# ---- FIFO ----------------------------------------------------------------------------------------


@pytest.fixture
def fifo(node, name):
    """A FIFO topic, and a FIFO queue that subscribes to it."""
    topic = node.client("sns").create_topic(
        Name=f"fifo-{name}.fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    )["TopicArn"]
    queue = node.client("sqs").create_queue(
        QueueName=f"fifo-{name}.fifo", Attributes={"FifoQueue": "true"}
    )["QueueUrl"]
    subscribe(node, topic, queue)
    return topic, queue


def test_a_fifo_topic_keeps_the_order_and_takes_nothing_twice(node, fifo):
    topic, queue = fifo
    sns = node.client("sns")
    sent = [
        sns.publish(TopicArn=topic, Message=message, MessageGroupId="g") for message in ["1", "2", "1"]
    ]
    assert sent[0]["MessageId"] == sent[2]["MessageId"]
    assert sent[0]["SequenceNumber"] < sent[1]["SequenceNumber"]
    got = node.client("sqs").receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"]
    )["Messages"]
    envelopes = [json.loads(one["Body"]) for one in got]
    assert [one["Message"] for one in envelopes] == ["1", "2"]
    assert envelopes[0]["SequenceNumber"] == sent[0]["SequenceNumber"]
    assert {one["Attributes"]["MessageGroupId"] for one in got} == {"g"}


def test_fifo_has_its_own_rules(node, name, topic, queue, fifo):
    ordered, ordered_queue = fifo
    sns = node.client("sns")
    with refused("InvalidParameter", 400, "MessageGroupId parameter is required for FIFO topics"):
        sns.publish(TopicArn=ordered, Message="x")
    sns.set_topic_attributes(
        TopicArn=ordered, AttributeName="ContentBasedDeduplication", AttributeValue="false"
    )
    with refused("InvalidParameter", 400, "should either have ContentBasedDeduplication enabled"):
        sns.publish(TopicArn=ordered, Message="x", MessageGroupId="g")
    with refused("InvalidParameter", 400, "MessageDeduplicationId parameter that is not valid"):
        sns.publish(TopicArn=topic, Message="x", MessageDeduplicationId="d")
    with refused("InvalidParameter", 400, "FIFO SQS Queues can not be subscribed to standard"):
        subscribe(node, topic, ordered_queue)
    with refused("InvalidParameter", 400, "Fifo Topic names must end with .fifo"):
        sns.create_topic(Name=name, Attributes={"FifoTopic": "true"})
    with refused("InvalidParameter", 400, "Topic Name"):
        sns.create_topic(Name=name + ".fifo")
    # A standard queue may subscribe to a FIFO topic.
    subscribe(node, ordered, queue, RawMessageDelivery="true")
    sns.publish(TopicArn=ordered, Message="x", MessageGroupId="g", MessageDeduplicationId="d")
    assert [one["Body"] for one in received(node, queue)] == ["x"]


# ---- functions -----------------------------------------------------------------------------------


def test_a_function_gets_lambdas_event(node, name, topic, tmp_path):
    got = tmp_path / "event.json"
    create(
        node,
        name,
        "import json, os\n"
        "def handler(event, context):\n"
        f"    open({str(got)!r} + '.new', 'w').write(json.dumps(event))\n"
        f"    os.rename({str(got)!r} + '.new', {str(got)!r})\n",
    )
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    subscription = node.client("sns").subscribe(
        TopicArn=topic, Protocol="lambda", Endpoint=function
    )["SubscriptionArn"]
    sent = node.client("sns").publish(
        TopicArn=topic,
        Message=json.dumps({"default": "all", "lambda": "for functions"}),
        MessageStructure="json",
        Subject="about",
        MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}},
    )

    eventually(got.exists, 30)
    (record,) = json.loads(got.read_text())["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"] == subscription
    assert set(record["Sns"]) == {
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion",
        "Signature", "SigningCertUrl", "UnsubscribeUrl", "MessageAttributes",
    }  # fmt: skip
    assert (record["Sns"]["Message"], record["Sns"]["Subject"]) == ("for functions", "about")
    assert record["Sns"]["MessageId"] == sent["MessageId"]
    assert record["Sns"]["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}


def test_what_cannot_be_delivered_is_a_dead_letter(node, name, topic, queue):
    sns = node.client("sns")
    policy = json.dumps({"deadLetterTargetArn": arn(queue)})
    for protocol, endpoint in [
        ("lambda", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none-{name}"),
        ("sqs", f"arn:aws:sqs:{REGION}:{ACCOUNT}:none-{name}"),
    ]:
        subscription = sns.subscribe(
            TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes={"RedrivePolicy": policy}
        )["SubscriptionArn"]
        sns.publish(TopicArn=topic, Message=protocol)
        (letter,) = received(node, queue)
        assert json.loads(letter["Body"])["Message"] == protocol
        node.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=letter["ReceiptHandle"])
        shown = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        assert shown["RedrivePolicy"] == policy
        sns.unsubscribe(SubscriptionArn=subscription)
    with refused("InvalidParameter", 400, "RedrivePolicy: deadLetterTargetArn is an invalid arn"):
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn(queue),
            Attributes={"RedrivePolicy": '{"deadLetterTargetArn": "x"}'},
        )


# ---- HTTP ----------------------------------------------------------------------------------------


def kind(request):
    return request["headers"].get("x-amz-sns-message-type")


def of_kind(server, wanted, path="/hook"):
    return [one for one in server.requests(path) if kind(one) == wanted]


@pytest.fixture
def hook():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def open_node(tmp_path, hook):
    """A node of this test alone that may send to the hook."""
    options = ["--http-allow", hook.address, "--https", "127.0.0.1:0"]
    made = Node(tmp_path / "data", options)
    yield made
    made.kill()


def confirmed(node, hook, topic, **attributes):
    """A subscription of the hook, which it has confirmed by the URL that it was sent."""
    sns = node.client("sns")
    answer = sns.subscribe(
        TopicArn=topic, Protocol="http", Endpoint=hook.url + "/hook", Attributes=attributes
    )
    assert answer["SubscriptionArn"] == "pending confirmation"
    (asked,) = eventually(lambda: of_kind(hook, "SubscriptionConfirmation"))
    body = json.loads(asked["body"])
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    with urllib.request.urlopen(body["SubscribeURL"]) as visited:
        text = visited.read().decode()
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert f"<SubscriptionArn>{listed['SubscriptionArn']}</SubscriptionArn>" in text
    return listed["SubscriptionArn"], body


def test_an_http_endpoint_confirms_and_is_notified(open_node, hook):
    sns = open_node.client("sns")
    topic = sns.create_topic(Name="hooked")["TopicArn"]
    subscription, asked = confirmed(open_node, hook, topic)
    assert (asked["Type"], asked["TopicArn"]) == ("SubscriptionConfirmation", topic)
    assert set(asked) == {
        "Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp",
        "SignatureVersion", "Signature", "SigningCertURL",
    }  # fmt: skip
    shown = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert (shown["PendingConfirmation"], shown["ConfirmationWasAuthenticated"]) == ("false", "false")
    sent = sns.publish(TopicArn=topic, Message="hello", Subject="s")
    (got,) = eventually(lambda: of_kind(hook, "Notification"))
    body = json.loads(got["body"])
    assert (body["Message"], body["MessageId"], body["Subject"]) == ("hello", sent["MessageId"], "s")
    headers = got["headers"]
    assert headers["x-amz-sns-topic-arn"] == topic
    assert headers["x-amz-sns-subscription-arn"] == subscription
    assert headers["x-amz-sns-message-id"] == sent["MessageId"]
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["user-agent"] == "Amazon Simple Notification Service Agent"
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    sns.publish(TopicArn=topic, Message="raw")
    raw = eventually(lambda: [one for one in of_kind(hook, "Notification") if one["body"] == b"raw"])
    assert raw[0]["headers"]["x-amz-sns-rawdelivery"] == "true"
    counts = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (counts["SubscriptionsConfirmed"], counts["SubscriptionsPending"]) == ("1", "0")
    # The URL of every notification ends the subscription.
    with urllib.request.urlopen(body["UnsubscribeURL"]):
        pass
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    eventually(lambda: of_kind(hook, "UnsubscribeConfirmation"))
    counts = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (counts["SubscriptionsConfirmed"], counts["SubscriptionsDeleted"]) == ("0", "1")


def test_what_an_endpoint_gets_is_signed_with_the_key_of_a_certificate(open_node, hook):
    """As Amazon's developer guide checks it, and by the package that Node programs check it with."""
    sns = open_node.client("sns")
    topic = sns.create_topic(Name="signed")["TopicArn"]
    confirmed(open_node, hook, topic)
    sns.publish(TopicArn=topic, Message="two\nlines, ünïcode", Subject="s")
    sns.publish(TopicArn=topic, Message="no subject")
    sent = eventually(lambda: len(hook.requests("/hook")) >= 3 and hook.requests("/hook"))
    documents = [json.loads(one["body"]) for one in sent]
    authority = open_node.folder / "ca.pem"
    trust = ssl.create_default_context(cafile=str(authority))
    root = x509.load_pem_x509_certificate(authority.read_bytes())
    for document in documents:
        assert document["SignatureVersion"] == "2"
        assert document["SigningCertURL"].startswith(f"https://127.0.0.1:{open_node.https_port}/")
        with urllib.request.urlopen(document["SigningCertURL"], context=trust) as answer:
            certificate = x509.load_pem_x509_certificate(answer.read())
        certificate.verify_directly_issued_by(root)
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
        if document["Type"] != "Notification":
            names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{document[name]}\n" for name in names if name in document)
        signature = base64.b64decode(document["Signature"])
        key = certificate.public_key()
        key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    first = documents[0]["SigningCertURL"]
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(re.sub(r"-\w+\.pem$", "-0.pem", first), context=trust)
    assert missing.value.code == 404
    if Sdk.is_installed():
        documents.append({**documents[-1], "Message": "another"})
        told = subprocess.run(
            ["node", "sns.mjs"],
            cwd=Sdk.FOLDER,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(authority)},
            input=json.dumps(documents),
            capture_output=True,
            text=True,
            timeout=60,
        )
        wrong = "The message signature is invalid."
        assert json.loads(told.stdout) == [None] * (len(documents) - 1) + [wrong], told.stderr
    open_node.restart()
    now = first.replace(first.split("/")[2], f"127.0.0.1:{open_node.https_port}")
    with urllib.request.urlopen(now, context=trust) as again:
        kept = x509.load_pem_x509_certificate(again.read())
    assert kept == certificate, "it is kept with the data"


def test_a_token_is_needed_to_confirm(open_node, hook):
    sns = open_node.client("sns")
    topic = sns.create_topic(Name="hooked")["TopicArn"]
    arn = sns.subscribe(
        TopicArn=topic, Protocol="http", Endpoint=hook.url + "/hook", ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    assert arn.startswith(topic + ":")
    with refused("InvalidParameter", 400, "Token"):
        sns.confirm_subscription(TopicArn=topic, Token="0" * 64)
    sns.publish(TopicArn=topic, Message="too early")
    (asked,) = eventually(lambda: of_kind(hook, "SubscriptionConfirmation"))
    made = sns.confirm_subscription(
        TopicArn=topic, Token=json.loads(asked["body"])["Token"], AuthenticateOnUnsubscribe="true"
    )
    assert made["SubscriptionArn"] == arn
    shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert shown["ConfirmationWasAuthenticated"] == "true"
    sns.publish(TopicArn=topic, Message="later")
    (got,) = eventually(lambda: of_kind(hook, "Notification"))
    body = json.loads(got["body"])
    assert body["Message"] == "later"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(body["UnsubscribeURL"])
    assert refusal.value.code == 403


def test_a_failing_endpoint_is_tried_again_also_after_a_power_cut(open_node, hook):
    sns = open_node.client("sns")
    topic = sns.create_topic(Name="hooked")["TopicArn"]
    retries = {"numRetries": 100, "minDelayTarget": 1, "maxDelayTarget": 1}
    confirmed(open_node, hook, topic, DeliveryPolicy=json.dumps({"healthyRetryPolicy": retries}))
    hook.answer = lambda _: 503
    sns.publish(TopicArn=topic, Message="try on")
    eventually(lambda: len(of_kind(hook, "Notification")) >= 2)
    open_node.restart()
    hook.answer = lambda _: 200
    before = len(of_kind(hook, "Notification"))
    eventually(lambda: len(of_kind(hook, "Notification")) > before, 20)


def test_what_an_endpoint_refuses_is_a_dead_letter(open_node, hook):
    sns, sqs = open_node.client("sns"), open_node.client("sqs")
    topic = sns.create_topic(Name="hooked")["TopicArn"]
    queue = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn(queue)})
    confirmed(open_node, hook, topic, RedrivePolicy=policy)
    hook.answer = lambda _: 404
    sns.publish(TopicArn=topic, Message="refused")
    (letter,) = eventually(lambda: received(open_node, queue))
    assert json.loads(letter["Body"])["Message"] == "refused"
    assert len(of_kind(hook, "Notification")) == 1


def test_nothing_is_sent_where_the_node_may_not(node, topic, queue, hook):
    sns = node.client("sns")
    with refused("InvalidParameter", 400, "Endpoint must match the specified protocol"):
        sns.subscribe(TopicArn=topic, Protocol="https", Endpoint=hook.url)
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=hook.url + "/hook")
    node.logs(f"{topic}:")
    assert hook.requests("/hook") == []


def test_a_delivery_policy_is_checked(node, topic, queue):
    sns = node.client("sns")
    for policy, why in [
        ("x", "failed to parse JSON"),
        ('{"healthyRetryPolicy": {"numRetries": 101}}', "numRetries must be between 0 and 100"),
        ('{"healthyRetryPolicy": {"minDelayTarget": 9, "maxDelayTarget": 3}}', "maxDelayTarget must be"),
        ('{"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 2}}', "sum of"),
        ('{"healthyRetryPolicy": {"backoffFunction": "fibonacci"}}', "backoffFunction fibonacci"),
        ('{"throttlePolicy": {"maxReceivesPerSecond": 1}}', "throttlePolicy is not available"),
        ('{"nope": 1}', "Unexpected JSON member: nope"),
    ]:
        with refused("InvalidParameter", 400, why):
            sns.subscribe(
                TopicArn=topic,
                Protocol="http",
                Endpoint="http://127.0.0.1:1/",
                Attributes={"DeliveryPolicy": policy},
            )
    with refused("InvalidParameter", 400, "does not support delivery policies"):
        subscribe(node, topic, queue, DeliveryPolicy="{}")


# ---- attributes and permissions ------------------------------------------------------------------


def test_permissions_are_kept_in_the_policy(node, topic):
    sns = node.client("sns")
    sns.add_permission(
        TopicArn=topic, Label="l", AWSAccountId=["111111111111"], ActionName=["Publish"]
    )
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    added = policy["Statement"][-1]
    assert (added["Sid"], added["Action"]) == ("l", "SNS:Publish")
    assert added["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}
    sns.remove_permission(TopicArn=topic, Label="l")
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    assert [one["Sid"] for one in policy["Statement"]] == ["__default_statement_ID"]


def test_messages_have_limits(node, topic):
    sns = node.client("sns")
    with refused("InvalidParameter", 400, "Message too long"):
        sns.publish(TopicArn=topic, Message="x" * (256 * 1024 + 1))
    with refused("BatchRequestTooLong", 400, "more than the limit"):
        sns.publish_batch(
            TopicArn=topic,
            PublishBatchRequestEntries=[{"Id": i, "Message": "x" * 150_000} for i in "ab"],
        )
    with refused("InvalidParameter", 400, "Empty message"):
        sns.publish(TopicArn=topic, Message="")


def test_subscriptions_survive_a_power_cut(own_node):
    queue = own_node.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
    topic = own_node.client("sns").create_topic(Name="kept")["TopicArn"]
    subscribe(own_node, topic, queue, RawMessageDelivery="true")
    own_node.client("sns").publish(TopicArn=topic, Message="before")
    own_node.restart()
    own_node.client("sns").publish(TopicArn=topic, Message="after")
    assert [one["Body"] for one in received(own_node, queue)] == ["before", "after"]
