"""What buckets tell of their objects, and lifecycles as clients set them."""

import json

import pytest
from support import ACCOUNT, REGION, eventually, refused
from test_lambda import create


def arn(service, name):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


@pytest.fixture
def bucket(node, name):
    named = "told-" + name
    node.client("s3").create_bucket(Bucket=named)
    return named


def queue(node, name):
    return node.client("sqs").create_queue(QueueName=name)["QueueUrl"]


def messages(node, url, count):
    """The bodies of so many messages, test events left out."""
    found = []

    def receive():
        answer = node.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            node.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            body = json.loads(message["Body"])
            if body.get("Event") != "s3:TestEvent":
                found.append(body)
        return len(found) >= count

    eventually(receive)
    return found


def tell(node, bucket, **configuration):
    node.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration
    )


def test_a_queue_is_told_of_what_it_asked_for(node, bucket, name):
    s3, url = node.client("s3"), queue(node, name)
    only = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".csv"}]
    wanted = {
        "QueueArn": arn("sqs", name), "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
        "Filter": {"Key": {"FilterRules": only}},
    }
    tell(node, bucket, QueueConfigurations=[wanted])
    shown = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"][0]
    assert shown.pop("Id") and shown == wanted
    s3.put_object(Bucket=bucket, Key="in/a b\u00e9.csv", Body=b"hello")
    s3.put_object(Bucket=bucket, Key="in/a.txt", Body=b"no")
    s3.put_object(Bucket=bucket, Key="out/a.csv", Body=b"no")
    s3.copy_object(Bucket=bucket, Key="in/c.csv", CopySource=f"{bucket}/in/a.txt")
    s3.delete_object(Bucket=bucket, Key="in/c.csv")
    s3.delete_object(Bucket=bucket, Key="in/never.csv")
    records = [body["Records"][0] for body in messages(node, url, 3)]
    records.sort(key=lambda record: record["s3"]["object"]["sequencer"])
    assert [record["eventName"] for record in records] == [
        "ObjectCreated:Put", "ObjectCreated:Copy", "ObjectRemoved:Delete",
    ]
    first = records[0]
    assert first["eventSource"] == "aws:s3" and first["awsRegion"] == REGION
    assert first["s3"]["bucket"] == {
        "name": bucket, "ownerIdentity": {"principalId": ACCOUNT}, "arn": f"arn:aws:s3:::{bucket}",
    }
    assert first["s3"]["object"]["key"] == "in/a+b%C3%A9.csv"
    assert first["s3"]["object"]["size"] == 5
    assert first["s3"]["object"]["eTag"] == "5d41402abc4b2a76b9719d911017c592"
    tell(node, bucket)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="in/d.csv", Body=b"x")
    assert "Messages" not in node.client("sqs").receive_message(QueueUrl=url)


def test_topics_and_buses_are_told_and_a_test_event_comes_first(node, bucket, name):
    s3, sns, events = node.client("s3"), node.client("sns"), node.client("events")
    url, heard = queue(node, name), queue(node, name + "-bus")
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", name))
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn("sqs", name + "-bus")}])
    tell(
        node, bucket, EventBridgeConfiguration={},
        TopicConfigurations=[{"TopicArn": topic, "Events": ["s3:ObjectTagging:*"], "Id": "mine"}],
    )
    [first] = messages(node, url, 1)
    assert first["Subject"] == "Amazon S3 Notification"
    assert json.loads(first["Message"])["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.delete_object(Bucket=bucket, Key="a")
    record = json.loads(messages(node, url, 1)[0]["Message"])["Records"][0]
    assert (record["eventName"], record["s3"]["configurationId"]) == ("ObjectTagging:Put", "mine")
    told = sorted(messages(node, heard, 3), key=lambda event: event["detail"]["object"]["sequencer"])
    assert [event["detail-type"] for event in told] == [
        "Object Created", "Object Tags Added", "Object Deleted",
    ]
    assert told[0]["detail"]["reason"] == "PutObject" and told[0]["resources"] == [f"arn:aws:s3:::{bucket}"]
    assert told[2]["detail"]["deletion-type"] == "Permanently Deleted"


def test_a_function_runs_for_an_object_and_markers_are_told_in_a_bucket_with_versions(node, bucket, name):
    s3 = node.client("s3")
    code = (
        "def handler(event, context):\n"
        "    record = event['Records'][0]\n"
        "    print('told', record['eventName'], record['s3']['object'].get('versionId'))\n"
    )
    function = create(node, name, code)["FunctionArn"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    tell(node, bucket, LambdaFunctionConfigurations=[
        {"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:Put", "s3:ObjectRemoved:*"]},
    ])
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="a", VersionId=version)
    logs, group = node.client("logs"), f"/aws/lambda/{name}"

    def told():
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return None
        found = logs.filter_log_events(logGroupName=group, filterPattern="told")["events"]
        return found if len(found) >= 3 else None

    lines = sorted(event["message"].strip() for event in eventually(told, 30))
    assert lines == sorted([
        f"told ObjectCreated:Put {version}",
        f"told ObjectRemoved:DeleteMarkerCreated {marker}",
        f"told ObjectRemoved:Delete {version}",
    ])


def test_what_nobody_can_be_told_is_refused(node, bucket, name):
    queue(node, name)
    mine = {"QueueArn": arn("sqs", name), "Events": ["s3:ObjectCreated:*"]}
    with refused("InvalidArgument", 400, "Unable to validate the following destination"):
        tell(node, bucket, QueueConfigurations=[{**mine, "QueueArn": arn("sqs", "never")}])
    with refused("InvalidArgument", 400, "s3:ObjectRestore:Post"):
        tell(node, bucket, QueueConfigurations=[{**mine, "Events": ["s3:ObjectRestore:Post"]}])
    with refused("InvalidArgument", 400, "Configuration is ambiguously defined"):
        tell(node, bucket, QueueConfigurations=[mine, {**mine, "Events": ["s3:ObjectCreated:Put"]}])
    assert "QueueConfigurations" not in node.client("s3").get_bucket_notification_configuration(Bucket=bucket)


def test_a_template_has_a_bucket_tell_a_queue(node, name):
    cloud, stack = node.client("cloudformation"), "stack-" + name
    template = {"Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {
            "BucketName": "told-" + name,
            "NotificationConfiguration": {"QueueConfigurations": [{
                "Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["Queue", "Arn"]},
                "Filter": {"S3Key": {"Rules": [{"Name": "suffix", "Value": ".json"}]}},
            }]},
            "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "ExpirationInDays": 5}]},
        }},
    }}
    cloud.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    s3 = node.client("s3")
    s3.put_object(Bucket="told-" + name, Key="a.json", Body=b"{}")
    url = node.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    assert messages(node, url, 1)[0]["Records"][0]["s3"]["object"]["key"] == "a.json"
    rule = s3.get_bucket_lifecycle_configuration(Bucket="told-" + name)["Rules"][0]
    assert rule["Expiration"] == {"Days": 5}


def test_lifecycles_are_kept_and_wrong_ones_refused(node, bucket):
    s3 = node.client("s3")
    set_to = lambda rule: s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [{"Status": "Enabled", "Filter": {"Prefix": ""}, **rule}]}
    )
    set_to({"ID": "a", "Expiration": {"Days": 3}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["Expiration"] == {"Days": 3}
    s3.put_object(Bucket=bucket, Key="young", Body=b"x")
    set_to({"Expiration": {"Date": "2020-01-01T00:00:00Z"}})
    eventually(lambda: "Contents" not in s3.list_objects_v2(Bucket=bucket), 20)
    with refused("InvalidArgument", 400, "'Date' must be at midnight GMT"):
        set_to({"Expiration": {"Date": "2020-01-01T03:00:00Z"}})
    with refused("InvalidRequest", 400, "At least one action"):
        set_to({})
    with refused("NotImplemented", 501, "Transitions"):
        set_to({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]})
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused("NoSuchLifecycleConfiguration", 404, "does not exist"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
