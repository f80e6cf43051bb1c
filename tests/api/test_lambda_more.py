"""Versions, aliases, layers, code from buckets and folders, asynchronous invocation, queues as sources."""

import json
import time

from support import ACCOUNT, REGION, Node, eventually, refused
from test_lambda import ROLE, archive, call, create, invoke, run

COUNT = "def handler(event, context):\n    return {answer!r}\n"


def queue(node, name, **attributes):
    """A queue's URL and ARN."""
    sqs = node.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def received(node, url):
    """The next message of a queue."""
    def take():
        return node.client("sqs").receive_message(
            QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=1
        ).get("Messages")
    return eventually(take, 20)[0]


def test_versions_and_aliases_run_what_they_are(node, name):
    client = node.client("lambda")
    create(node, name, COUNT.format(answer="one"))
    assert client.publish_version(FunctionName=name, Description="first")["Version"] == "1"
    assert client.publish_version(FunctionName=name)["Version"] == "1", "nothing has changed"
    code = archive({"app.py": COUNT.format(answer="two")})
    made = client.update_function_code(FunctionName=name, ZipFile=code, Publish=True)
    assert made["Version"] == "2" and made["FunctionArn"].endswith(f"{name}:2")
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]
    alias = client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert alias["AliasArn"].endswith(f":function:{name}:live")
    for qualifier, value, version in [
        ("1", "one", "1"), ("2", "two", "2"), ("live", "one", "1"), ("$LATEST", "two", "$LATEST"),
    ]:
        got, _, answer = invoke(node, name, Qualifier=qualifier)
        assert (got, answer["ExecutedVersion"]) == (value, version)
    assert invoke(node, f"{name}:live")[0] == "one"
    client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert invoke(node, alias["AliasArn"])[0] == "two"
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    client.update_alias(FunctionName=name, Name="live", RoutingConfig=weights)
    assert client.get_alias(FunctionName=name, Name="live")["RoutingConfig"] == weights
    assert {invoke(node, f"{name}:live")[0] for _ in range(40)} == {"one", "two"}
    state = call(f"{name}:1", OutputPath="$.ExecutedVersion")
    end = run(node, name, {"StartAt": "A", "States": {"A": state}})
    assert json.loads(end["output"]) == "1"
    with refused("ResourceConflictException", 409, "alias `live`"):
        client.delete_function(FunctionName=name, Qualifier="2")
    with refused("ResourceNotFoundException", 404, "Function not found"):
        invoke(node, name, Qualifier="9")
    client.delete_alias(FunctionName=name, Name="live")
    client.delete_function(FunctionName=name, Qualifier="1")
    with refused("ResourceNotFoundException", 404, "Function not found"):
        invoke(node, name, Qualifier="1")


def test_layers_lie_over_each_other_and_outlive_their_deletion(node, name):
    client = node.client("lambda")
    layers = []
    for value in ["one", "two"]:
        made = client.publish_layer_version(
            LayerName=name,
            Description=value,
            CompatibleRuntimes=["python3.12"],
            Content={"ZipFile": archive({"python/told.py": f"VALUE = {value!r}\n"})},
        )
        layers.append(made["LayerVersionArn"])
    assert [arn.rsplit(":", 1)[1] for arn in layers] == ["1", "2"]
    code = "import told\ndef handler(event, context):\n    return told.VALUE\n"
    made = create(node, name, code, Layers=[layers[0]])
    assert made["Layers"][0]["Arn"] == layers[0]
    assert invoke(node, name)[0] == "one"
    client.update_function_configuration(FunctionName=name, Layers=layers)
    assert invoke(node, name)[0] == "two"
    listed = client.list_layer_versions(LayerName=name)["LayerVersions"]
    assert [version["Version"] for version in listed] == [2, 1]
    assert client.get_layer_version_by_arn(Arn=layers[1])["Description"] == "two"
    client.delete_layer_version(LayerName=name, VersionNumber=2)
    with refused("ResourceNotFoundException", 404, "does not exist"):
        client.get_layer_version(LayerName=name, VersionNumber=2)
    client.update_function_configuration(FunctionName=name, Timeout=9)
    assert invoke(node, name)[0] == "two", "a function keeps the layers that it has"


def test_code_comes_from_a_bucket(node, name):
    s3, client = node.client("s3"), node.client("lambda")
    bucket = "code-" + name.lower().replace("_", "-")[-20:].strip("-")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a/code.zip", Body=archive({"app.py": COUNT.format(answer=1)}))
    made = client.create_function(
        FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=ROLE,
        Code={"S3Bucket": bucket, "S3Key": "a/code.zip"},
    )
    s3.delete_object(Bucket=bucket, Key="a/code.zip")
    assert invoke(node, name)[0] == 1 and made["CodeSize"] > 100
    with refused("InvalidParameterValueException", 400, "S3 Error Code: NoSuchKey"):
        client.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="a/code.zip")
    with refused("InvalidParameterValueException", 400, "S3 Error Code: NoSuchBucket"):
        client.update_function_code(FunctionName=name, S3Bucket=bucket + "x", S3Key="a")
    s3.put_object(Bucket=bucket, Key="b.zip", Body=b"no zip")
    with refused("InvalidParameterValueException", 400, "Could not unzip"):
        client.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="b.zip")


def test_a_folder_of_the_node_runs_where_it_is(tmp_path):
    folder = tmp_path / "code" / "one"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(COUNT.format(answer="old"))
    own = Node(tmp_path / "data", ["--code-folder", f"here={tmp_path / 'code'}"])
    try:
        own.client("lambda").create_function(
            FunctionName="f", Runtime="python3.12", Handler="app.handler", Role=ROLE,
            Code={"S3Bucket": "here", "S3Key": "one"},
        )
        assert invoke(own, "f")[0] == "old"
        time.sleep(1.5)  # what is there has been seen
        (folder / "app.py").write_text(COUNT.format(answer="new"))
        eventually(lambda: invoke(own, "f")[0] == "new")
        own.client("lambda").update_function_code(FunctionName="f", S3Bucket="here", S3Key="../..")
        _, error, _ = invoke(own, "f")
        assert error == "Unhandled"
    finally:
        own.kill()


def test_destinations_are_told_what_an_event_came_to(node, name):
    client = node.client("lambda")
    good, good_arn = queue(node, name + "-good")
    bad, bad_arn = queue(node, name + "-bad")
    create(node, name, "def handler(event, context):\n    if event['fail']:\n        raise ValueError('no')\n    return 7\n")
    client.put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        MaximumEventAgeInSeconds=60,
        DestinationConfig={
            "OnSuccess": {"Destination": good_arn},
            "OnFailure": {"Destination": bad_arn},
        },
    )
    assert invoke(node, name, {"fail": False}, InvocationType="Event")[2]["StatusCode"] == 202
    invoke(node, name, {"fail": True}, InvocationType="Event")
    told = json.loads(received(node, good)["Body"])
    assert told["requestContext"]["condition"] == "Success" and told["responsePayload"] == 7
    assert told["requestContext"]["functionArn"].endswith(f":function:{name}:$LATEST")
    assert told["requestPayload"] == {"fail": False}
    told = json.loads(received(node, bad)["Body"])
    assert told["requestContext"]["condition"] == "RetriesExhausted"
    assert told["requestContext"]["approximateInvokeCount"] == 1
    assert told["responseContext"]["functionError"] == "Unhandled"
    assert told["responsePayload"]["errorMessage"] == "no"
    shown = client.get_function_event_invoke_config(FunctionName=name)
    assert shown["MaximumRetryAttempts"] == 0
    assert len(client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]) == 1
    client.delete_function_event_invoke_config(FunctionName=name)
    with refused("ResourceNotFoundException", 404, "doesn't have an EventInvokeConfig"):
        client.get_function_event_invoke_config(FunctionName=name)


def test_an_event_that_failed_goes_to_the_dead_letters(node, name):
    client = node.client("lambda")
    url, arn = queue(node, name)
    create(node, name, "def handler(event, context):\n    raise ValueError('no')\n",
           DeadLetterConfig={"TargetArn": arn})
    client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    asked = invoke(node, name, {"n": 1}, InvocationType="Event")[2]
    message = received(node, url)
    assert json.loads(message["Body"]) == {"n": 1}
    attributes = message["MessageAttributes"]
    assert attributes["ErrorCode"] == {"DataType": "Number", "StringValue": "200"}
    assert "no" in attributes["ErrorMessage"]["StringValue"]
    asked = asked["ResponseMetadata"]["RequestId"]
    assert attributes["RequestID"]["StringValue"] == asked
    logs = node.client("logs")
    written = lambda: [
        one["message"]
        for one in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    ]
    assert eventually(lambda: [line for line in written() if asked in line])


def test_pending_events_survive_a_kill(tmp_path):
    own = Node(tmp_path / "data")
    try:
        url, arn = queue(own, "told")
        create(own, "f", "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return event['n']\n", Timeout=20)
        own.client("lambda").put_function_event_invoke_config(
            FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
        for n in range(6):
            invoke(own, "f", {"n": n, "s": 1}, InvocationType="Event")
        own.restart()
        url = own.client("sqs").get_queue_url(QueueName="told")["QueueUrl"]
        seen = set()
        while seen != set(range(6)):
            message = received(own, url)
            seen.add(json.loads(message["Body"])["responsePayload"])
            own.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    finally:
        own.kill()


def test_a_queue_feeds_a_function_and_what_fails_comes_back(node, name):
    client, sqs = node.client("lambda"), node.client("sqs")
    url, arn = queue(node, name, VisibilityTimeout="2")
    out, out_arn = queue(node, name + "-out")
    code = (
        "SEEN = {}\n"
        "def handler(event, context):\n"
        "    failed = []\n"
        "    for record in event['Records']:\n"
        "        print('record', record['body'], record['eventSource'])\n"
        "        n = SEEN[record['body']] = SEEN.get(record['body'], 0) + 1\n"
        "        if record['body'] == 'bad' and n == 1:\n"
        "            failed.append({'itemIdentifier': record['messageId']})\n"
        "    return {'batchItemFailures': failed}\n"
    )
    create(node, name, code)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    made = client.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=name, BatchSize=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202 and made["BatchSize"] == 5
    assert client.get_event_source_mapping(UUID=made["UUID"])["State"] == "Enabled"
    for body in ["good", "bad"]:
        sqs.send_message(QueueUrl=url, MessageBody=body)

    def left():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in got.values())

    eventually(lambda: left() == 0, 30)
    events = node.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    text = "".join(event["message"] for event in events)
    assert text.count("record bad aws:sqs") == 2 and text.count("record good aws:sqs") == 1
    client.update_event_source_mapping(UUID=made["UUID"], Enabled=False)
    assert client.get_event_source_mapping(UUID=made["UUID"])["State"] == "Disabled"
    assert len(client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]) == 1
    client.delete_event_source_mapping(UUID=made["UUID"])
    with refused("ResourceNotFoundException", 404, "does not exist"):
        client.get_event_source_mapping(UUID=made["UUID"])


def test_only_messages_that_a_filter_lets_through_reach_the_function(node, name):
    client, sqs = node.client("lambda"), node.client("sqs")
    url, arn = queue(node, name)
    create(node, name, "def handler(event, context):\n    print('got', [r['body'] for r in event['Records']])\n")
    patterns = ['{"body": {"level": ["high"], "n": [{"numeric": [">", 3]}]}}', '{"body": ["plain"]}']
    criteria = {"Filters": [{"Pattern": pattern} for pattern in patterns]}
    made = client.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=name, BatchSize=1, FilterCriteria=criteria
    )
    assert made["FilterCriteria"] == criteria
    assert client.get_event_source_mapping(UUID=made["UUID"])["FilterCriteria"] == criteria
    for body in ['{"level": "high", "n": 4}', '{"level": "high", "n": 1}', "plain", "other", "[1]"]:
        sqs.send_message(QueueUrl=url, MessageBody=body)

    def left():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in got.values())

    eventually(lambda: left() == 0, 30)
    events = node.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    lines = sorted(event["message"].strip() for event in events if event["message"].startswith("got"))
    assert lines == sorted(["got ['{\"level\": \"high\", \"n\": 4}']", "got ['plain']"])
    changed = client.update_event_source_mapping(UUID=made["UUID"], FilterCriteria={"Filters": []})
    assert "FilterCriteria" not in changed
    with refused("InvalidParameterValueException", 400, "Invalid filter pattern"):
        client.update_event_source_mapping(
            UUID=made["UUID"], FilterCriteria={"Filters": [{"Pattern": '{"body": "x"}'}]}
        )


def test_other_event_sources_are_refused_by_name(node, name):
    create(node, name)
    for arn, what in [
        (f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t/stream/x", "streams of tables"),
        (f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s", "Kinesis"),
    ]:
        with refused("InvalidParameterValueException", 400, what):
            node.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=name)


def test_tags_settings_and_urls(node, name):
    client = node.client("lambda")
    arn = create(node, name, Tags={"a": "1"})["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    assert client.get_account_settings()["AccountUsage"]["FunctionCount"] >= 1
    with refused("ResourceNotFoundException", 404, "does not exist"):
        client.get_function_url_config(FunctionName=name)
    with refused("InvalidParameterValueException", 400, "no function URL"):
        client.create_function_url_config(FunctionName=name, AuthType="NONE")
