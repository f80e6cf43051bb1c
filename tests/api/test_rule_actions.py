"""What the actions of rules do, seen through the API of the service that each of them uses."""

import base64
import json
import re

import pytest
from support import ACCOUNT, REGION, ROLE, UUID, eventually, machine, plain, refused, single
from test_lambda import create as create_function
from test_rules import payload, republish

SQL = "SELECT *, topic(2) AS by FROM 'do/+/{}'"


@pytest.fixture
def given(node, name):
    """Creates a rule on `do/+/<name>` with these actions."""

    def create(*actions, sql=SQL, **more):
        rule = payload(sql.format(name), *actions, awsIotSqlVersion="2016-03-23", **more)
        node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)

    return create


@pytest.fixture
def publish(node, name, device):
    """Publishes on `do/<who>/<name>` by `iot-data` and by MQTT."""
    one = device(node, name).connect()

    def both(body, ways=("api", "mqtt")):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        for way in ways:
            topic = f"do/{way}/{name}"
            if way == "mqtt":
                one.publish(topic, body)
            else:
                node.client("iot-data").publish(topic=topic, qos=1, payload=body)

    return both


@pytest.fixture
def queue(node, name):
    return node.client("sqs").create_queue(QueueName="rule-" + name)["QueueUrl"]


def bodies(node, url, count):
    """The bodies of so many messages, and that there are no more."""
    sqs, found = node.client("sqs"), []
    while True:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in got:
            found.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if not got:
            assert len(found) == count, found
            return found


def table(node, name, kind="S", sort=None):
    keys = [("k", kind, "HASH")] + ([("s", sort, "RANGE")] if sort else [])
    node.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": t} for k, t, _ in keys],
        KeySchema=[{"AttributeName": k, "KeyType": t} for k, _, t in keys],
    )
    return name


def items(node, name):
    return node.dynamodb().scan(TableName=name)["Items"]


# ---- each kind -----------------------------------------------------------------------------------


def test_dynamo_db_stores_the_result_under_its_keys(node, name, given, publish):
    given(
        {
            "dynamoDB": {
                "roleArn": ROLE,
                "tableName": table(node, "rule-" + name, "N", "S"),
                "hashKeyField": "k",
                "hashKeyType": "NUMBER",
                "hashKeyValue": "${n + 1}",
                "rangeKeyField": "s",
                "rangeKeyValue": "${topic(2)}",
                "payloadField": "device_data",
                "operation": "${do}",
            }
        }
    )
    publish({"n": 1, "do": "INSERT"})
    found = sorted(items(node, "rule-" + name), key=lambda item: item["s"]["S"])
    assert [(item["k"], item["s"]) for item in found] == [
        ({"N": "2"}, {"S": "api"}),
        ({"N": "2"}, {"S": "mqtt"}),
    ]
    assert found[0]["device_data"] == {
        "M": {"n": {"N": "1"}, "do": {"S": "INSERT"}, "by": {"S": "api"}}
    }
    publish({"n": 1, "do": "DELETE"}, ways=["api"])
    assert [item["s"]["S"] for item in items(node, "rule-" + name)] == ["mqtt"]


def test_dynamo_db_v2_stores_one_attribute_a_member(node, name, given, publish):
    put = {"tableName": table(node, "rule-" + name)}
    given({"dynamoDBv2": {"roleArn": ROLE, "putItem": put}}, sql=SQL.replace("*", "*, topic(2) AS k"))
    publish({"n": 1.5, "list": [True, None], "o": {"a": "b"}})
    (api,) = [item for item in items(node, "rule-" + name) if item["k"] == {"S": "api"}]
    assert api == {
        "k": {"S": "api"},
        "by": {"S": "api"},
        "n": {"N": "1.5"},
        "list": {"L": [{"BOOL": True}, {"NULL": True}]},
        "o": {"M": {"a": {"S": "b"}}},
    }
    assert len(items(node, "rule-" + name)) == 2


def test_sqs_sends_the_result_and_bytes_in_base64(node, name, given, publish, queue):
    plain_text = {"sqs": {"roleArn": ROLE, "queueUrl": queue}}
    encoded = {"sqs": {"roleArn": ROLE, "queueUrl": queue, "useBase64": True}}
    given(plain_text, encoded, sql="SELECT * FROM 'do/+/{}'")
    publish({"n": 1}, ways=["mqtt"])
    one, two = bodies(node, queue, 2)
    assert (json.loads(one), base64.b64decode(two)) == ({"n": 1}, one.encode())
    publish(b"\x00\xff", ways=["mqtt"])
    assert [base64.b64decode(body) for body in bodies(node, queue, 1)] == [b"\x00\xff"]
    node.logs(f"`{queue}`: the payload is binary")


def test_sns_publishes_for_those_who_subscribe(node, name, given, publish, queue):
    sns = node.client("sns")
    topic = sns.create_topic(Name="rule-" + name)["TopicArn"]
    endpoint = f"arn:aws:sqs:{REGION}:{ACCOUNT}:rule-{name}"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)
    target = {"roleArn": ROLE, "targetArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:rule-${{topic(3)}}"}
    given({"sns": target}, {"sns": {**target, "messageFormat": "JSON"}})
    publish({"default": "d"}, ways=["mqtt"])
    one, two = (json.loads(body) for body in bodies(node, queue, 2))
    assert (json.loads(one["Message"]), two["Message"]) == ({"default": "d", "by": "mqtt"}, "d")
    assert "Subject" not in one


def test_s3_keeps_the_bytes(node, name, given, publish):
    s3 = node.client("s3")
    s3.create_bucket(Bucket="rule-" + name)
    key = "${topic()}/${sha1(encode(*, 'base64'))}"
    object_ = {"roleArn": ROLE, "bucketName": "rule-" + name, "key": key, "cannedAcl": "private"}
    given({"s3": object_}, sql="SELECT * FROM 'do/+/{}'")
    publish(b"\x00\xff")
    listed = s3.list_objects_v2(Bucket="rule-" + name)["Contents"]
    assert [entry["Key"].rsplit("/", 1)[0] for entry in listed] == [f"do/api/{name}", f"do/mqtt/{name}"]
    for entry in listed:
        assert s3.get_object(Bucket="rule-" + name, Key=entry["Key"])["Body"].read() == b"\x00\xff"


def test_cloudwatch_logs_gets_an_event_or_a_batch(node, name, given, publish):
    logs = node.client("logs")
    logs.create_log_group(logGroupName="rule-" + name)
    logs.create_log_group(logGroupName="batch-" + name)
    given(
        {"cloudwatchLogs": {"roleArn": ROLE, "logGroupName": "rule-${topic(3)}"}},
        {"cloudwatchLogs": {"roleArn": ROLE, "logGroupName": "batch-" + name, "batchMode": True}},
        sql="SELECT VALUE events FROM 'do/+/{}'",
    )
    events = [{"timestamp": 1_700_000_000_000 + n, "message": f"m{n}"} for n in (2, 1)]
    publish({"events": events}, ways=["mqtt"])
    (event,) = logs.filter_log_events(logGroupName="rule-" + name)["events"]
    assert json.loads(event["message"]) == events
    assert event["logStreamName"].startswith(f"rules/{name}/")
    batch = logs.filter_log_events(logGroupName="batch-" + name)["events"]
    assert [(e["timestamp"] - 1_700_000_000_000, e["message"]) for e in batch] == [(1, "m1"), (2, "m2")]


def test_lambda_is_invoked_and_nobody_waits(node, name, given, publish, queue):
    source = (
        "import json, os\n"
        "def handler(event, context):\n"
        "    open(os.environ['OUT'], 'a').write(json.dumps(event) + '\\n')\n"
    )
    out = node.folder.parent / f"{name}.out"
    made = create_function(node, name, source, Environment={"Variables": {"OUT": str(out)}})
    given({"lambda": {"functionArn": made["FunctionArn"].replace(name, "${topic(3)}")}})
    publish({"n": 1})
    lines = eventually(lambda: out.exists() and len(out.read_text().splitlines()) == 2 and out, 20)
    events = [json.loads(line) for line in lines.read_text().splitlines()]
    assert sorted(event["by"] for event in events) == ["api", "mqtt"]


def test_step_functions_names_the_execution(node, name, given, publish):
    arn = machine(node, name, single({"Type": "Pass", "End": True}))
    prefix = "p-${topic(2)}-"
    action = {"stateMachineName": "${topic(3)}", "executionNamePrefix": prefix, "roleArn": ROLE}
    given({"stepFunctions": action})
    publish({"n": 1})
    names = [e["name"] for e in node.sfn().list_executions(stateMachineArn=arn)["executions"]]
    assert sorted(re.fullmatch(f"p-(api|mqtt)-{UUID}", name)[1] for name in names) == ["api", "mqtt"]


def test_republish_with_headers_reaches_another_rule(node, name, given, publish, queue):
    headers = {
        "payloadFormatIndicator": "UTF8_DATA",
        "contentType": "text/${topic(2)}",
        "correlationData": base64.b64encode(b"c").decode(),
        "messageExpiry": "60",
        "userProperties": [{"key": "who", "value": "${topic(2)}"}],
    }
    given(republish(f"$$aws/rules/{name}b/x", qos=1, headers=headers))
    other = payload(
        "SELECT topic() AS t, get_mqtt_property('content_type') AS c FROM 'x'",
        {"sqs": {"roleArn": ROLE, "queueUrl": queue}},
        awsIotSqlVersion="2016-03-23",
    )
    node.iot().create_topic_rule(ruleName=name + "b", topicRulePayload=other)
    publish({"n": 1}, ways=["mqtt"])
    (body,) = bodies(node, queue, 1)
    assert json.loads(body) == {"t": "x", "c": "text/mqtt"}


# ---- what fails ----------------------------------------------------------------------------------


def test_all_failures_are_told_once(node, name, given, publish, queue):
    missing = f"arn:aws:sns:{REGION}:{ACCOUNT}:missing"
    given(
        {"s3": {"roleArn": ROLE, "bucketName": "missing", "key": "k"}},
        {"sns": {"roleArn": ROLE, "targetArn": missing}},
        {"sqs": {"roleArn": ROLE, "queueUrl": "http://localhost/000000000000/missing"}},
        {"dynamoDB": {"roleArn": ROLE, "tableName": "missing", "hashKeyField": "k",
                      "hashKeyValue": "${nothing}"}},
        errorAction={"sqs": {"roleArn": ROLE, "queueUrl": queue}},
    )
    publish({"n": 1}, ways=["mqtt"])
    (body,) = bodies(node, queue, 1)
    document = json.loads(body)
    assert re.fullmatch(UUID, document["cloudwatchTraceId"])
    assert base64.b64decode(document["base64OriginalPayload"]) == b'{"n": 1}'
    assert (document["ruleName"], document["topic"], document["clientId"]) == (
        name, f"do/mqtt/{name}", name,
    )
    found = [(failure["failedAction"], failure["failedResource"]) for failure in document["failures"]]
    assert found == [
        ("S3Action", "missing"),
        ("SnsAction", missing),
        ("SqsAction", "http://localhost/000000000000/missing"),
        ("DynamoDBAction", "missing"),
    ]
    whys = [failure["errorMessage"] for failure in document["failures"]]
    for why, what in zip(whys, ("NoSuchBucket", "NotFound", "NonExistentQueue|QueueDoesNotExist",
                                "`hashKeyValue`: `\\$\\{nothing\\}` has no value")):
        assert re.search(what, why), why


@pytest.mark.parametrize(
    "field, value, why",
    [
        ("hashKeyValue", "${t}", "ValidationException.*"),
        ("hashKeyValue", "x", "ValidationException.*"),
        ("operation", "${t}", "`operation`: `text` is not INSERT, UPDATE or DELETE"),
        ("payloadField", "k", "`payloadField` is `k`, which is a key"),
    ],
)
def test_an_item_that_cannot_be_is_a_failure(node, name, given, publish, queue, field, value, why):
    item = {
        "roleArn": ROLE,
        "tableName": table(node, "rule-" + name, "N"),
        "hashKeyField": "k",
        "hashKeyType": "NUMBER",
        "hashKeyValue": "1",
        field: value,
    }
    given({"dynamoDB": item}, errorAction={"sqs": {"roleArn": ROLE, "queueUrl": queue}})
    publish({"t": "text"}, ways=["api"])
    (body,) = bodies(node, queue, 1)
    (failure,) = json.loads(body)["failures"]
    assert re.fullmatch(why, failure["errorMessage"]), failure["errorMessage"]
    assert items(node, "rule-" + name) == []


def test_an_item_too_large_is_a_failure(node, name, given, publish, queue):
    copies = ", ".join(f"big AS c{number}" for number in range(5))
    put = {"tableName": table(node, "rule-" + name)}
    given(
        {"dynamoDBv2": {"roleArn": ROLE, "putItem": put}},
        sql=f"SELECT 'x' AS k, {copies} FROM 'do/+/{{}}'",
        errorAction={"sqs": {"roleArn": ROLE, "queueUrl": queue}},
    )
    publish({"big": "x" * 100_000}, ways=["api"])
    (body,) = bodies(node, queue, 1)
    (failure,) = json.loads(body)["failures"]
    assert "Item size has exceeded the maximum allowed size" in failure["errorMessage"]


def test_a_loop_ends_in_the_error_action(node, name, given, publish, queue):
    error = {"sqs": {"roleArn": ROLE, "queueUrl": queue}}
    given(republish("${topic()}"), errorAction=error, sql="SELECT * FROM 'do/+/{}'")
    publish({"n": 1}, ways=["mqtt"])
    (body,) = bodies(node, queue, 1)
    (failure,) = json.loads(body)["failures"]
    assert (failure["failedAction"], failure["failedResource"]) == (
        "RepublishAction", f"do/mqtt/{name}",
    )
    assert failure["errorMessage"].startswith("RepublishLoop: ")


# ---- what was taken is done ----------------------------------------------------------------------


def test_what_a_message_led_to_is_there_after_a_kill(own_node, device):
    url = own_node.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    own_node.client("s3").create_bucket(Bucket="bucket")
    table(own_node, "rule-items")
    put = {"tableName": "rule-items"}
    rule = payload(
        "SELECT *, cast(n AS String) AS k FROM 'a'",
        {"sqs": {"roleArn": ROLE, "queueUrl": url}},
        {"s3": {"roleArn": ROLE, "bucketName": "bucket", "key": "${n}"}},
        {"dynamoDBv2": {"roleArn": ROLE, "putItem": put}},
    )
    own_node.iot().create_topic_rule(ruleName="r", topicRulePayload=rule)
    one = device(own_node, "one").connect()
    for number in range(5):
        one.publish("a", {"n": number})
    own_node.restart()
    assert sorted(json.loads(body)["n"] for body in bodies(own_node, url, 5)) == list(range(5))
    listed = own_node.client("s3").list_objects_v2(Bucket="bucket")["Contents"]
    assert [entry["Key"] for entry in listed] == [str(number) for number in range(5)]
    assert len(items(own_node, "rule-items")) == 5


# ---- the rule itself -----------------------------------------------------------------------------


def test_a_rule_is_created_with_tags(node, name):
    rule = payload("SELECT * FROM 'a'")
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule, tags="team=blue&empty=")
    arn = node.iot().get_topic_rule(ruleName=name)["ruleArn"]
    tags = node.iot().list_tags_for_resource(resourceArn=arn)["tags"]
    assert tags == [{"Key": "team", "Value": "blue"}, {"Key": "empty", "Value": ""}]
    assert plain(node.iot().delete_topic_rule(ruleName=name)) == {}


def test_a_rule_too_long_is_refused(node, name):
    rule = payload("SELECT * FROM 'a'", description="x" * (256 << 10))
    with refused("InvalidRequestException", 400, "262144"):
        node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)


@pytest.mark.parametrize("kind, instead", [
    ("kinesis", "sqs"), ("firehose", "s3"), ("timestream", "dynamoDBv2"), ("kafka", "sqs"),
    ("openSearch", "s3"), ("elasticsearch", "s3"), ("iotEvents", "stepFunctions"),
    ("iotAnalytics", "s3"), ("iotSiteWise", "dynamoDBv2"), ("salesforce", "lambda"),
    ("location", "dynamoDBv2"),
])
def test_an_action_without_a_target_here_is_refused_with_another(node, name, kind, instead):
    body = payload("SELECT * FROM 'a'", {kind: {"roleArn": ROLE}})
    status, headers, answer = node.request("iot", "POST", f"/rules/{name}", body)
    assert (status, headers["x-amzn-ErrorType"]) == (400, "InvalidRequestException")
    message = json.loads(answer)["message"]
    assert message.startswith(f"action `{kind}` is not available in stepwire\nhint: use `{instead}`")
    for member in ("errorAction",):
        body = payload("SELECT * FROM 'a'", **{member: {kind: {"roleArn": ROLE}}})
        assert node.request("iot", "POST", f"/rules/{name}", body)[0] == 400
