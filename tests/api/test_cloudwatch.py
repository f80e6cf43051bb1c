"""Metrics and alarms, as every protocol and SDK sees them."""

import gzip
import json
import re
import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from support import ACCOUNT, REGION, eventually, plain, refused

JS = Path(__file__).parent / "js"
ALARMS = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
PROTOCOLS = ["json", "query", "smithy-rpc-v2-cbor"]


# ---- every way to call -----------------------------------------------------------------------------


def spoken(node, protocol):
    """Calls in one of the service's protocols, whichever boto3 prefers."""
    model = node.client("cloudwatch").meta.service_model
    serializer, parser = create_serializer(protocol), create_parser(protocol)

    def call(operation, **given):
        operation = model.operation_model(operation)
        made = serializer.serialize_to_request(given, operation)
        body = made["body"]
        if isinstance(body, dict):
            body = urlencode(body)
        body = body.encode() if isinstance(body, str) else body
        status, headers, body = node.request(
            "monitoring", made["method"], made["url_path"], body, dict(made["headers"])
        )
        if protocol == "smithy-rpc-v2-cbor":
            assert headers["smithy-protocol"] == "rpc-v2-cbor"
        response = {"status_code": status, "headers": headers, "body": body}
        parsed = parser.parse(response, operation.output_shape)
        if status >= 300:
            return {"error": parsed["Error"]["Code"]}
        return {"answer": plain(parsed)}

    return call


def with_boto3(node):
    client = node.client("cloudwatch")

    def call(operation, **given):
        try:
            return {"answer": plain(getattr(client, xform_name(operation))(**given))}
        except ClientError as error:
            return {"error": error.response["Error"]["Code"]}

    return call


def with_command_line(aws):
    def call(operation, **given):
        words = [xform_name(operation, "-"), "--output", "json"]
        text = json.dumps(given, default=lambda time: time.isoformat())
        status, told, errors = aws("cloudwatch", *words, "--cli-input-json", text)
        if status == 0:
            return {"answer": json.loads(told or "{}")}
        return {"error": re.search(r"An error occurred \((\w+)\)", errors).group(1)}

    return call


@pytest.fixture
def javascript(node):
    if shutil.which("node") is None or not (JS / "node_modules/@aws-sdk/client-cloudwatch").exists():
        pytest.skip("the AWS SDK for JavaScript is not installed: `./x test` does it")
    process = subprocess.Popen(
        ["node", "client.mjs", node.endpoint, "cloudwatch"],
        cwd=JS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def call(operation, **given):
        line = {"operation": operation, "input": given}
        text = json.dumps(line, default=lambda time: {"$time": time.isoformat()})
        print(text, file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    yield call
    process.stdin.close()
    process.wait(timeout=20)


def tour(call, name):
    """Every operation, in an order that makes sense; what is the same in every protocol of it."""
    found = {}

    def sent(operation, **given):
        result = call(operation, **given)
        assert "answer" in result, (operation, result)
        return result["answer"]

    now = datetime.now(timezone.utc).replace(microsecond=0)
    metric = {"Namespace": name, "MetricName": "Temperature"}
    dimensions = [{"Name": "room", "Value": "a&b <1>"}]
    datum = {"MetricName": "Temperature", "Dimensions": dimensions}
    sent(
        "PutMetricData",
        Namespace=name,
        MetricData=[
            {**datum, "Value": 20.5, "Unit": "Count", "Timestamp": now},
            {**datum, "Values": [1, 2], "Counts": [3, 4], "Unit": "Count", "Timestamp": now},
            {
                "MetricName": "Set",
                "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2},
            },
        ],
    )
    metrics = sent("ListMetrics", Namespace=name)["Metrics"]
    found["metrics"] = sorted(
        (one["MetricName"], [pair["Value"] for pair in one["Dimensions"]]) for one in metrics
    )
    span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5)}
    statistics = sent(
        "GetMetricStatistics",
        **metric,
        Dimensions=dimensions,
        **span,
        Period=60,
        Statistics=["Sum", "Average", "SampleCount"],
    )
    [point] = statistics["Datapoints"]
    assert seconds(point.pop("Timestamp")) == now.timestamp() // 60 * 60
    found["point"] = point
    stat = {"Metric": {**metric, "Dimensions": dimensions}, "Period": 60, "Stat": "Maximum"}
    data = sent("GetMetricData", MetricDataQueries=[{"Id": "q1", "MetricStat": stat}], **span)
    [result] = data["MetricDataResults"]
    assert [seconds(at) for at in result.pop("Timestamps")] == [now.timestamp() // 60 * 60]
    found["data"] = result

    # Nothing is ever put into it: its state is what it is set to.
    silent = {"Namespace": name, "MetricName": "Silent"}
    alarm = {
        "AlarmName": name,
        **silent,
        "Dimensions": dimensions,
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 0.5,
        "ComparisonOperator": "LessThanThreshold",
        "TreatMissingData": "ignore",
    }
    sent("PutMetricAlarm", **alarm, Tags=[{"Key": "k", "Value": "v"}], ActionsEnabled=False)
    sent("EnableAlarmActions", AlarmNames=[name])
    [shown] = sent("DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    assert shown["ActionsEnabled"] is True
    assert abs(seconds(shown["StateUpdatedTimestamp"]) - time.time()) < 300
    found["alarm"] = {member: shown[member] for member in [*alarm, "StateValue", "AlarmArn"]}
    sent("DisableAlarmActions", AlarmNames=[name])
    sent("SetAlarmState", AlarmName=name, StateValue="ALARM", StateReason="drill")
    [shown] = sent("DescribeAlarmsForMetric", **silent, Dimensions=dimensions)["MetricAlarms"]
    assert (shown["StateValue"], shown["ActionsEnabled"]) == ("ALARM", False)
    items = sent("DescribeAlarmHistory", AlarmName=name, HistoryItemType="StateUpdate")
    found["items"] = [one["HistorySummary"] for one in items["AlarmHistoryItems"]]
    arn = f"{ALARMS}:{name}"
    sent("TagResource", ResourceARN=arn, Tags=[{"Key": "l", "Value": ""}])
    sent("UntagResource", ResourceARN=arn, TagKeys=["k"])
    found["tags"] = sent("ListTagsForResource", ResourceARN=arn)["Tags"]
    sent("DeleteAlarms", AlarmNames=[name])
    found["errors"] = [
        call("DeleteAlarms", AlarmNames=[name])["error"],
        call("PutMetricData", Namespace="AWS/IoT", MetricData=[datum])["error"],
        call("PutMetricData", Namespace=name, MetricData=[datum])["error"],
        call("GetMetricData", MetricDataQueries=[{"Id": "e", "Expression": "q"}], **span)["error"],
        call("DescribeAlarms", NextToken="?")["error"],
    ]
    return found


def seconds(at):
    if isinstance(at, str):
        at = datetime.fromisoformat(at.replace("Z", "+00:00"))
    return at.timestamp() if isinstance(at, datetime) else at


def expected(name):
    return {
        "metrics": [("Set", []), ("Temperature", ["a&b <1>"])],
        "point": {"Sum": 31.5, "Average": 3.9375, "SampleCount": 8.0, "Unit": "Count"},
        "data": {"Id": "q1", "Label": "Temperature", "Values": [20.5], "StatusCode": "Complete"},
        "alarm": {
            "AlarmName": name,
            "Namespace": name,
            "MetricName": "Silent",
            "Dimensions": [{"Name": "room", "Value": "a&b <1>"}],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2,
            "Threshold": 0.5,
            "ComparisonOperator": "LessThanThreshold",
            "TreatMissingData": "ignore",
            "StateValue": "INSUFFICIENT_DATA",
            "AlarmArn": f"{ALARMS}:{name}",
        },
        "items": ["Alarm updated from INSUFFICIENT_DATA to ALARM"],
        "tags": [{"Key": "l", "Value": ""}],
    }


def older(errors):
    """As clients name errors that know the query protocol, which this service once spoke alone."""
    return errors == [
        "ResourceNotFound",
        "InvalidParameterValue",
        "MissingParameter",
        "ValidationError",
        "InvalidNextToken",
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_says_the_same(node, name, protocol):
    name = f"{name}-protocol"
    found = tour(spoken(node, protocol), name)
    assert older(found.pop("errors"))
    assert found == expected(name)


def test_boto3_works_unchanged(node, name):
    name = f"{name}-boto3"
    found = tour(with_boto3(node), name)
    assert older(found.pop("errors"))
    assert found == expected(name)


def test_the_command_line_works_unchanged(aws, name):
    name = f"{name}-cli"
    found = tour(with_command_line(aws), name)
    assert older(found.pop("errors"))
    assert found == expected(name)


def test_the_sdk_for_javascript_works_unchanged(javascript, name):
    name = f"{name}-js"
    found = tour(javascript, name)
    assert found.pop("errors") == [
        "ResourceNotFound",
        "InvalidParameterValueException",
        "MissingRequiredParameterException",
        "ValidationException",
        "InvalidNextToken",
    ]
    assert found == expected(name)


# ---- what is special -------------------------------------------------------------------------------


def test_a_large_request_is_packed_by_the_sdk(node, name):
    client = node.client("cloudwatch")
    data = [{"MetricName": f"m{at}", "Value": at} for at in range(1_000)]
    seen = []
    client.meta.events.register(
        "before-send.cloudwatch.PutMetricData",
        lambda request, **_: seen.append(request.headers.get("Content-Encoding")),
        unique_id="packed",
    )
    client.put_metric_data(Namespace=f"{name}-large", MetricData=data)
    client.meta.events.unregister(
        "before-send.cloudwatch.PutMetricData", unique_id="packed"
    )
    assert seen in ([b"gzip"], ["gzip"])
    pages = client.get_paginator("list_metrics").paginate(Namespace=f"{name}-large")
    assert len([one for page in pages for one in page["Metrics"]]) == 1_000


def test_a_body_that_does_not_unpack_is_refused(node):
    headers = {
        "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData",
        "Content-Type": "application/x-amz-json-1.0",
        "Content-Encoding": "gzip",
    }
    status, _, body = node.request("monitoring", "POST", "/", b"no gzip", headers)
    assert (status, b"unpacked" in body) == (400, True)
    bomb = gzip.compress(b" " * (64 << 20))
    status, _, body = node.request("monitoring", "POST", "/", bomb, headers)
    assert (status, b"longer than" in body) == (400, True)


@pytest.mark.parametrize("body", [b"\x01", b"\x9f", b"\xa1\x61a\x41\x00", b"\x81" * 100_000])
def test_a_body_that_is_no_cbor_is_refused(node, body):
    headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    status, answered, answer = node.request("monitoring", "POST", path, body, headers)
    assert (status, answered["Content-Type"]) == (400, "application/cbor")
    assert b"SerializationException" in answer


def test_what_is_not_here_is_refused_by_name(node):
    client = node.client("cloudwatch")
    with refused("UnknownOperationException", 400, "`PutCompositeAlarm`"):
        client.put_composite_alarm(AlarmName="c", AlarmRule="TRUE")
    with refused("UnknownOperationException", 400, "`PutDashboard`"):
        client.put_dashboard(DashboardName="d", DashboardBody="{}")


def test_an_alarm_goes_off_tells_its_topic_and_survives_a_power_cut(own_node):
    node = own_node
    client, sqs = node.client("cloudwatch"), node.client("sqs")
    url = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    topic = node.client("sns").create_topic(Name="alerts")["TopicArn"]
    node.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:alerts",
        Attributes={"RawMessageDelivery": "true"},
    )
    client.put_metric_alarm(
        AlarmName="hot",
        Namespace="Fleet",
        MetricName="Temperature",
        Statistic="Maximum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=80,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
        OKActions=[topic],
    )

    def measured(value):
        datum = {"MetricName": "Temperature", "Value": value, "StorageResolution": 1}
        client.put_metric_data(Namespace="Fleet", MetricData=[datum])

    def told():
        got = node.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=2)
        for message in got.get("Messages", []):
            body = json.loads(message["Body"])
            node.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return body["OldStateValue"], body["NewStateValue"]

    measured(90)
    assert eventually(told, 30) == ("INSUFFICIENT_DATA", "ALARM")
    measured(70)
    node.restart()
    client = node.client("cloudwatch")
    assert eventually(told, 30) == ("ALARM", "OK")
    [shown] = client.describe_alarms(AlarmNames=["hot"])["MetricAlarms"]
    assert shown["StateValue"] == "OK"
    items = client.describe_alarm_history(AlarmName="hot", ScanBy="TimestampAscending")
    kinds = [one["HistoryItemType"] for one in items["AlarmHistoryItems"]]
    assert kinds == ["ConfigurationUpdate", "StateUpdate", "Action", "StateUpdate", "Action"]


# ---- the page for Prometheus -----------------------------------------------------------------------


def page(node):
    status, headers, body = node.send("GET", "/-/metrics")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "application/openmetrics-text")
    text = body.decode()
    assert text.endswith("# EOF\n")
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_prometheus_reads_what_rules_do(own_node, device):
    node = own_node
    role = f"arn:aws:iam::{ACCOUNT}:role/tests"
    good = {"republish": {"topic": "out", "roleArn": role}}
    bad = {"sqs": {"queueUrl": "http://127.0.0.1/000000000000/none", "useBase64": False, "roleArn": role}}
    rules = {
        "works": {"sql": "SELECT * FROM 'in'", "actions": [good]},
        "fails": {"sql": "SELECT * FROM 'in' WHERE n = 1", "actions": [bad], "errorAction": good},
        "gone": {"sql": "SELECT * FROM 'in'", "actions": []},
    }
    for name, payload in rules.items():
        node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload)
    data = node.client("iot-data")
    for payload in ['{"n": 1}', '{"n": 2}', "no JSON"]:
        data.publish(topic="in", qos=1, payload=payload)
    data.publish(topic="$aws/rules/nobody/x", qos=1, payload="{}")
    node.iot().delete_topic_rule(ruleName="gone")
    read = {key: value for key, value in page(node).items() if key.startswith("stepwire_rule")}
    assert read == {
        'stepwire_rule_failures_total': 1,
        'stepwire_rules_not_found_total': 1,
        'stepwire_rule_topic_matches_total{rule="works"}': 3,
        'stepwire_rule_topic_matches_total{rule="fails"}': 3,
        'stepwire_rule_parse_errors_total{rule="works"}': 1,
        'stepwire_rule_parse_errors_total{rule="fails"}': 1,
        'stepwire_rule_action_successes_total{rule="works",action="RepublishAction"}': 3,
        'stepwire_rule_action_failures_total{rule="fails",action="SqsAction"}': 1,
        'stepwire_rule_error_action_successes_total{rule="fails",action="RepublishAction"}': 1,
    }


def test_prometheus_reads_what_the_node_does(own_node, device):
    node = own_node
    before = page(node)
    assert before["stepwire_mqtt_connections"] == 0
    one = device(node, "one")
    one.connect()
    one.subscribe("there/#")
    one.publish("there/it-is", "1")
    machine = node.sfn().create_state_machine(
        name="m",
        definition=json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/tests",
    )
    node.sfn().start_execution(stateMachineArn=machine["stateMachineArn"])
    end = datetime.now(timezone.utc) - timedelta(seconds=60)
    datum = {
        "MetricName": "Temperature",
        "Dimensions": [{"Name": "a room", "Value": 'x"y\\z'}],
        "Value": 21.5,
        "Timestamp": end,
    }
    node.client("cloudwatch").put_metric_data(Namespace="Fleet", MetricData=[datum])

    def there():
        found = page(node)
        done = 'stepwire_executions_ended_total{status="SUCCEEDED"}'
        return found if done in found and found["stepwire_mqtt_messages_sent_total"] else None

    found = eventually(there)
    assert found["stepwire_mqtt_connections"] == 1
    assert found["stepwire_mqtt_messages_received_total"] == 1
    assert found["stepwire_mqtt_messages_sent_total"] == 1
    assert found["stepwire_executions_started_total"] == 1
    # The minute may have passed since; then there is nothing of the last one.
    labels = 'namespace="Fleet",name="Temperature",unit="None",dimension_a_room="x\\"y\\\\z"'
    values = {found.get(f"stepwire_metric_{name}{{{labels}}}") for name in ("sum", "maximum")}
    assert values in ({21.5}, {None}) and (values == {21.5} or end.second > 50)
