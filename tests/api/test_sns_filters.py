"""Filter policies of subscriptions: what they say, what they let through, what is refused."""

import json

import pytest
from support import ACCOUNT, REGION, refused


@pytest.fixture(scope="module")
def node(any_sdk):
    """Each case is sent by both SDKs."""
    return any_sdk


@pytest.fixture
def topic(node, name):
    return node.client("sns").create_topic(Name="filter-" + name)["TopicArn"]


@pytest.fixture
def queue(node, name):
    return node.client("sqs").create_queue(QueueName="filter-" + name)["QueueUrl"]


def arn(url):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rsplit('/', 1)[1]}"


def subscribe(node, topic, queue, policy, scope=None):
    attributes = {
        "FilterPolicy": policy if isinstance(policy, str) else json.dumps(policy),
        "RawMessageDelivery": "true",
    }
    if scope:
        attributes["FilterPolicyScope"] = scope
    made = node.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn(queue),
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )
    return made["SubscriptionArn"]


def attribute(value):
    """A value as the message attribute that says it."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {"DataType": "String.Array", "StringValue": json.dumps(value)}
    if isinstance(value, (int, float)):
        return {"DataType": "Number", "StringValue": str(value)}
    return {"DataType": "String", "StringValue": value}


def let_through(node, queue, count):
    """The bodies that arrived; in a queue they are in the commit of the publish."""
    got = []
    while True:
        answer = node.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        if not messages:
            assert len(got) <= count
            return got
        got += [one["Body"] for one in messages]


BYTES = {"DataType": "Binary", "BinaryValue": b"x"}

# A policy, attributes that it lets through, attributes that it does not.
ATTRIBUTES = [
    ({"a": ["x", "y"]}, [{"a": "x"}, {"a": "y", "b": "z"}], [{"a": "z"}, {"a": "X"}, {}, {"b": "x"}]),
    ({"a": ["x"], "b": ["y"]}, [{"a": "x", "b": "y"}], [{"a": "x"}, {"a": "x", "b": "z"}]),
    ({"a": [1, 2.5]}, [{"a": 1}, {"a": 2.5}, {"a": 2.50}], [{"a": "1"}, {"a": 3}]),
    ({"a": ["1"]}, [{"a": "1"}], [{"a": 1}]),
    ({"a": [{"prefix": "ab"}]}, [{"a": "ab"}, {"a": "abc"}], [{"a": "a"}, {"a": "xab"}, {"a": 1}]),
    ({"a": [{"suffix": "yz"}]}, [{"a": "yz"}, {"a": "xyz"}], [{"a": "z"}, {"a": "yzx"}]),
    ({"a": [{"equals-ignore-case": "Ab"}]}, [{"a": "aB"}], [{"a": "abc"}]),
    ({"a": [{"wildcard": "a*c"}]}, [{"a": "ac"}, {"a": "abbc"}], [{"a": "ab"}, {"a": "xac"}]),
    ({"a": [{"wildcard": "a\\*c"}]}, [{"a": "a*c"}], [{"a": "abc"}]),
    ({"a": [{"anything-but": "x"}]}, [{"a": "y"}, {"a": 1}], [{"a": "x"}, {}]),
    ({"a": [{"anything-but": ["x", 1]}]}, [{"a": "y"}, {"a": 2}], [{"a": "x"}, {"a": 1}, {}]),
    ({"a": [{"anything-but": {"prefix": "x"}}]}, [{"a": "y"}], [{"a": "xy"}, {}]),
    ({"a": [{"anything-but": {"prefix": ["x", "y"]}}]}, [{"a": "z"}], [{"a": "xy"}, {"a": "yx"}]),
    ({"a": [{"anything-but": {"suffix": "x"}}]}, [{"a": "y"}], [{"a": "yx"}]),
    ({"a": [{"anything-but": {"wildcard": "x*z"}}]}, [{"a": "y"}], [{"a": "xyz"}]),
    ({"a": [{"numeric": ["=", 5]}]}, [{"a": 5}, {"a": 5.0}], [{"a": 5.1}, {"a": "5"}]),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, [{"a": 5}, {"a": 0.1}], [{"a": 0}, {"a": 5.1}]),
    ({"a": [{"numeric": ["<", -1]}]}, [{"a": -2}], [{"a": -1}]),
    ({"a": [{"exists": True}]}, [{"a": "x"}, {"a": ""or "y"}, {"a": 1}], [{}, {"b": "x"}]),
    # Of a message without any attribute nothing is let through.
    ({"a": [{"exists": False}]}, [{"b": "x"}], [{}, {"a": "x"}]),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, [{"a": "10.0.0.255"}], [{"a": "10.0.1.0"}, {"a": "x"}]),
    ({"a": [{"cidr": "2001:db8::/32"}]}, [{"a": "2001:db8:1::1"}], [{"a": "2001:db9::1"}]),
    ({"a": ["x", {"prefix": "y"}, {"numeric": [">", 3]}]}, [{"a": "x"}, {"a": "yy"}, {"a": 4}], [{"a": 3}]),
    # Of a list one value is enough, and what is not text in it can match too.
    ({"a": ["x"]}, [{"a": ["w", "x"]}], [{"a": ["w"]}, {"a": []}]),
    ({"a": [1, True, None]}, [{"a": [1]}, {"a": [True]}, {"a": [None]}], [{"a": ["1"]}, {"a": "true"}]),
    ({"a": [{"anything-but": ["x"]}]}, [{"a": ["x", "y"]}], [{"a": ["x"]}]),
    # Bytes are not looked at.
    ({"a": [{"exists": True}]}, [], [{"a": BYTES}]),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, [{"a": "x"}, {"b": "y"}], [{"a": "y"}, {}]),
    ({"c": ["z"], "$or": [{"a": ["x"]}, {"b": ["y"]}]}, [{"c": "z", "b": "y"}], [{"c": "z"}, {"a": "x"}]),
    ({"$or": [{"a": ["x"], "b": ["y"]}, {"c": [{"exists": True}]}]}, [{"c": "1"}], [{"a": "x"}]),
]


@pytest.mark.parametrize("policy,through,not_through", ATTRIBUTES, ids=lambda p: json.dumps(p, default=str)[:60])
def test_attributes(node, topic, queue, policy, through, not_through):
    subscribe(node, topic, queue, policy)
    sns = node.client("sns")
    for kind, cases in (("yes", through), ("no", not_through)):
        for number, case in enumerate(cases):
            given = {name: attribute(value) for name, value in case.items()}
            sns.publish(TopicArn=topic, Message=f"{kind} {number}", MessageAttributes=given)
    got = let_through(node, queue, len(through))
    assert sorted(got) == [f"yes {number}" for number in range(len(through))]


BODIES = [
    ({"a": ["x"]}, [{"a": "x"}, {"a": ["w", "x"]}], [{"a": "y"}, {}, {"b": "x"}, ["x"]]),
    ({"a": [1, True, None]}, [{"a": 1}, {"a": 1.0}, {"a": True}, {"a": None}], [{"a": "1"}, {"a": False}]),
    ({"a": {"b": {"c": ["x"]}}}, [{"a": {"b": {"c": "x"}}}], [{"a": {"b": "x"}}, {"a": {"c": "x"}}]),
    ({"a": {"b": ["x"], "c": ["y"]}}, [{"a": {"b": "x", "c": "y"}}], [{"a": {"b": "x"}}]),
    # Of a list of objects one must have all of it.
    (
        {"a": {"b": ["x"], "c": ["y"]}},
        [{"a": [{"b": "w"}, {"b": "x", "c": "y"}]}],
        [{"a": [{"b": "x", "c": "w"}, {"b": "w", "c": "y"}]}],
    ),
    ({"a": {"b": [{"exists": False}]}}, [{"a": {}}, {}, {"a": {"c": 1}}], [{"a": {"b": 1}}]),
    # Only what has a value exists.
    ({"a": [{"exists": True}]}, [{"a": None}, {"a": [0]}], [{}, {"a": []}, {"a": {}}, {"a": {"b": 1}}]),
    ({"a": [{"exists": False}]}, [{}, {"a": {"b": 1}}], [{"a": 1}]),
    ({"a": [{"anything-but": ["x"]}]}, [{"a": "y"}], [{"a": {"b": 1}}, {"a": []}, {"a": "x"}]),
    ({"a": {"b": [{"numeric": [">=", 3]}]}}, [{"a": {"b": 3}}], [{"a": {"b": "3"}}]),
    ({"a": {"$or": [{"b": ["x"]}, {"c": ["y"]}]}}, [{"a": {"c": "y"}}], [{"a": {"b": "y"}}]),
    ({"a": [{"prefix": "x"}, {"suffix": "y"}]}, [{"a": "x1"}, {"a": "1y"}], [{"a": "1"}]),
    ({"a": [["x"]]} and {"a": ["x"]}, [{"a": [["x"]]}], [{"a": [["y"]]}]),
]


@pytest.mark.parametrize("policy,through,not_through", BODIES, ids=lambda p: json.dumps(p)[:60])
def test_bodies(node, topic, queue, policy, through, not_through):
    subscribe(node, topic, queue, policy, "MessageBody")
    for case in through + not_through:
        node.client("sns").publish(TopicArn=topic, Message=json.dumps(case))
    node.client("sns").publish(TopicArn=topic, Message="no JSON")
    got = let_through(node, queue, len(through))
    assert sorted(got) == sorted(json.dumps(case) for case in through)


PRODUCT = {name: ["1", "2", "3", "4", "5", "6"] for name in "abc"}

# A policy, and what AWS says is wrong with it.
REFUSED = [
    ("{", "FilterPolicy: failed to parse JSON"),
    ("[]", "FilterPolicy: Filter is not an object"),
    ({"a": "x"}, 'FilterPolicy: "a" must be an object or an array'),
    ({"a": []}, "FilterPolicy: Empty arrays are not allowed"),
    ({"a": [["x"]]}, "FilterPolicy: Match value must be String, number, true, false, or null"),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "FilterPolicy: Only one key allowed in match expression"),
    ({"a": [{"nope": "x"}]}, "FilterPolicy: Unrecognized match type nope"),
    ({"a": [{"prefix": 1}]}, "FilterPolicy: prefix match pattern must be a string"),
    ({"a": [{"suffix": ["x"]}]}, "FilterPolicy: suffix match pattern must be a string"),
    ({"a": [{"equals-ignore-case": 1}]}, "FilterPolicy: equals-ignore-case match pattern must be a string"),
    ({"a": [{"wildcard": 1}]}, "FilterPolicy: wildcard match pattern must be a string"),
    ({"a": [{"wildcard": "a**b"}]}, "FilterPolicy: Consecutive wildcard characters at pos 1"),
    ({"a": [{"wildcard": "a\\b"}]}, "FilterPolicy: Invalid escape character at pos 1"),
    ({"a": [{"exists": "x"}]}, "FilterPolicy: exists match pattern must be either true or false."),
    ({"a": [{"anything-but": {"numeric": ["=", 1]}}]}, "FilterPolicy: Unsupported anything-but pattern: numeric"),
    ({"a": [{"anything-but": []}]}, "FilterPolicy: Empty arrays are not allowed"),
    ({"a": [{"numeric": []}]}, "FilterPolicy: Invalid member in numeric match: ]"),
    ({"a": [{"numeric": [1]}]}, "FilterPolicy: Invalid member in numeric match: 1"),
    ({"a": [{"numeric": ["<>", 1]}]}, "FilterPolicy: Unrecognized numeric range operator: <>"),
    ({"a": [{"numeric": ["=", "1"]}]}, "FilterPolicy: Value of equals must be numeric"),
    ({"a": [{"numeric": [">"]}]}, "FilterPolicy: Value of > must be numeric"),
    ({"a": [{"numeric": ["<", 1, ">", 0]}]}, "FilterPolicy: Too many elements in numeric expression"),
    ({"a": [{"numeric": [">", 1, 2]}]}, "FilterPolicy: Bad value in numeric range: 2"),
    ({"a": [{"numeric": [">", 1, "=", 2]}]}, "FilterPolicy: Bad numeric range operator: ="),
    ({"a": [{"numeric": [">", 1, "<", "2"]}]}, "FilterPolicy: Value of < must be numeric"),
    ({"a": [{"numeric": [">", 2, "<", 1]}]}, "FilterPolicy: Bottom must be less than top"),
    ({"a": [{"numeric": ["=", 1e9]}]}, "FilterPolicy: Match value .* must be smaller than 1E9"),
    ({"a": [-1e9]}, "FilterPolicy: Match value .* must be greater than -1E9"),
    ({"a": [{"cidr": "10.0.0.0"}]}, "FilterPolicy: Malformed CIDR, one '/' required"),
    ({"a": [{"cidr": "10.0.0.0/x"}]}, "FilterPolicy: Malformed CIDR, mask bits must be an integer"),
    ({"a": [{"cidr": "10.0.0/8"}]}, "FilterPolicy: Nonstandard IP address: 10.0.0"),
    ({name: ["x"] for name in "abcdef"}, "FilterPolicy: Filter policy can not have more than 5 keys"),
    (PRODUCT, "FilterPolicy: Filter policy is too complex"),
    (
        {"a": {"b": ["x"]}},
        "Filter policy scope MessageAttributes does not support nested filter policy",
    ),
]


@pytest.mark.parametrize("policy,why", REFUSED, ids=lambda one: one[:50] if isinstance(one, str) else None)
def test_what_is_no_policy_is_refused(node, topic, queue, policy, why):
    text = policy if isinstance(policy, str) else json.dumps(policy)
    with refused("InvalidParameter", 400, "^Invalid parameter: Attributes Reason: " + why):
        subscribe(node, topic, queue, text)
    subscription = subscribe(node, topic, queue, {"a": ["x"]})
    with refused("InvalidParameter", 400, "^Invalid parameter: " + why):
        node.client("sns").set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=text
        )
    shown = node.client("sns").get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert json.loads(shown["FilterPolicy"]) == {"a": ["x"]}


def test_depth_counts_in_bodies(node, topic, queue):
    values = [str(number) for number in range(6)]
    subscribe(node, topic, queue, {"a": values, "b": {"c": values}}, "MessageBody")
    other = node.client("sns").create_topic(Name=topic.rsplit(":", 1)[1] + "-deep")["TopicArn"]
    with refused("InvalidParameter", 400, "too complex"):
        subscribe(node, other, queue, {"a": values, "b": {"c": {"d": {"e": {"f": values}}}}}, "MessageBody")


def test_the_scope_is_one_of_two_and_fits_the_policy(node, topic, queue):
    sns = node.client("sns")
    with refused("InvalidParameter", 400, r"FilterPolicyScope: Invalid value \[Nope\]"):
        subscribe(node, topic, queue, {"a": ["x"]}, "Nope")
    subscription = subscribe(node, topic, queue, {"a": {"b": ["x"]}}, "MessageBody")
    with refused("InvalidParameter", 400, "does not support nested filter policy"):
        sns.set_subscription_attributes(
            SubscriptionArn=subscription,
            AttributeName="FilterPolicyScope",
            AttributeValue="MessageAttributes",
        )


def test_a_filter_can_be_taken_away(node, topic, queue):
    sns = node.client("sns")
    subscription = subscribe(node, topic, queue, {"a": ["x"]})
    sns.publish(TopicArn=topic, Message="before")
    for empty in ["{}", ""]:
        sns.set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=empty
        )
        sns.publish(TopicArn=topic, Message="after")
    assert let_through(node, queue, 2) == ["after", "after"]
    shown = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert "FilterPolicy" not in shown


def test_a_filter_holds_in_a_batch(node, topic, queue):
    subscribe(node, topic, queue, {"a": ["x"]})
    node.client("sns").publish_batch(
        TopicArn=topic,
        PublishBatchRequestEntries=[
            {"Id": value, "Message": value, "MessageAttributes": {"a": attribute(value)}}
            for value in ["w", "x", "y"]
        ],
    )
    assert let_through(node, queue, 1) == ["x"]
