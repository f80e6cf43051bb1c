"""Filters of log groups: functions that are told, metrics that are made."""

import json
import time

import pytest
from support import ACCOUNT, REGION, eventually, refused
from test_lambda import create, invoke

LISTEN = """
import base64, gzip, json
def handler(event, context):
    document = json.loads(gzip.decompress(base64.b64decode(event['awslogs']['data'])))
    print('told ' + json.dumps(document))
"""


@pytest.fixture
def group(node, name):
    named = "group-" + name
    node.client("logs").create_log_group(logGroupName=named)
    node.client("logs").create_log_stream(logGroupName=named, logStreamName="s")
    return named


def write(node, group, *lines):
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    node.client("logs").put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def told(node, function, count):
    """The documents that a function was told."""
    logs, group = node.client("logs"), f"/aws/lambda/{function}"

    def found():
        there = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if group not in [one["logGroupName"] for one in there]:
            return None
        events = logs.filter_log_events(logGroupName=group, filterPattern="told")["events"]
        lines = [event["message"] for event in events if event["message"].startswith("told ")]
        return lines if len(lines) >= count else None

    return [json.loads(line[5:]) for line in eventually(found, 30)]


def test_a_function_is_told_of_events_that_fit(node, group, name):
    logs = node.client("logs")
    function = create(node, name, LISTEN)["FunctionArn"]
    asked = {"logGroupName": group, "filterName": "f", "filterPattern": "ERROR"}
    logs.put_subscription_filter(**asked, destinationArn=function)
    [shown] = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    assert (shown["destinationArn"], shown["distribution"]) == (function, "ByLogStream")
    write(node, group, "fine", "an ERROR", "ERROR again")
    [document] = told(node, name, 1)
    assert document["messageType"] == "DATA_MESSAGE" and document["owner"] == ACCOUNT
    assert (document["logGroup"], document["logStream"]) == (group, "s")
    assert document["subscriptionFilters"] == ["f"]
    assert [event["message"] for event in document["logEvents"]] == ["an ERROR", "ERROR again"]
    assert len({event["id"] for event in document["logEvents"]}) == 2
    logs.delete_subscription_filter(logGroupName=group, filterName="f")
    assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == []
    with refused("ResourceNotFoundException", 400, "does not exist"):
        logs.delete_subscription_filter(logGroupName=group, filterName="f")


def test_a_function_is_told_of_what_another_writes(node, name):
    logs = node.client("logs")
    listener = create(node, name, LISTEN)["FunctionArn"]
    create(node, name + "-talks", "def handler(event, context):\n    print('ERROR', event)\n")
    talks = f"/aws/lambda/{name}-talks"
    logs.create_log_group(logGroupName=talks)
    logs.put_subscription_filter(
        logGroupName=talks, filterName="all", filterPattern="ERROR", destinationArn=listener
    )
    invoke(node, name + "-talks", 7)
    [document] = told(node, name, 1)
    assert [event["message"].strip() for event in document["logEvents"]] == ["ERROR 7"]


def sums(node, namespace, metric, **more):
    points = node.client("cloudwatch").get_metric_statistics(
        Namespace=namespace, MetricName=metric, StartTime=time.time() - 600, EndTime=time.time() + 120,
        Period=60, Statistics=["Sum", "SampleCount"], **more,
    )["Datapoints"]
    return sum(point["Sum"] for point in points), sum(point["SampleCount"] for point in points)


def test_metrics_count_events_and_take_numbers_of_them(node, group, name):
    logs = node.client("logs")

    def put(filter_name, pattern, **made):
        logs.put_metric_filter(
            logGroupName=group, filterName=filter_name, filterPattern=pattern,
            metricTransformations=[{"metricNamespace": name, "metricName": filter_name, **made}],
        )

    put("errors", "ERROR", metricValue="1", defaultValue=0)
    put("slow", "{ $.ms > 100 }", metricValue="$.ms", unit="Milliseconds", dimensions={"where": "$.at"})
    put("size", "[ip, size, ...]", metricValue="$size")
    write(
        node, group, "an ERROR", "10.0.0.1 42 x", "ERROR 1", '{"ms": 120.5, "at": "a"}', '{"ms": 12, "at": "a"}',
        '{"ms": 200, "at": "b"}', '{"ms": 300}',
    )
    assert sums(node, name, "errors") == (2, 7)
    assert sums(node, name, "slow", Dimensions=[{"Name": "where", "Value": "a"}]) == (120.5, 1)
    assert sums(node, name, "slow", Dimensions=[{"Name": "where", "Value": "b"}]) == (200, 1)
    total, _ = sums(node, name, "size")
    assert total == 43
    described = logs.describe_metric_filters(logGroupName=group, filterNamePrefix="s")["metricFilters"]
    assert [one["filterName"] for one in described] == ["size", "slow"]
    [one] = logs.describe_metric_filters(metricNamespace=name, metricName="slow")["metricFilters"]
    assert one["metricTransformations"][0]["dimensions"] == {"where": "$.at"}
    [shown] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert shown["metricFilterCount"] == 3


def test_filters_go_with_their_group_and_outlive_a_kill(own_node):
    logs = own_node.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    made = [{"metricNamespace": "n", "metricName": "m", "metricValue": "1"}]
    logs.put_metric_filter(logGroupName="g", filterName="f", filterPattern="", metricTransformations=made)
    own_node.restart()
    write(own_node, "g", "one", "two")
    assert sums(own_node, "n", "m") == (2, 2)
    logs = own_node.client("logs")
    logs.delete_log_group(logGroupName="g")
    logs.create_log_group(logGroupName="g")
    assert logs.describe_metric_filters(logGroupName="g")["metricFilters"] == []


def test_filters_that_cannot_be_are_refused(node, group, name):
    logs = node.client("logs")
    subscribe = lambda **more: logs.put_subscription_filter(
        **{"logGroupName": group, "filterName": "f", "filterPattern": "", **more}
    )
    with refused("InvalidParameterException", 400, "Could not execute the lambda function"):
        subscribe(destinationArn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:never")
    with refused("InvalidParameterException", 400, "only functions are told"):
        subscribe(destinationArn=f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/x")
    function = create(node, name)["FunctionArn"]
    with refused("InvalidParameterException", 400, "Invalid filter pattern"):
        subscribe(destinationArn=function, filterPattern="{ $.a = }")
    subscribe(destinationArn=function, filterName="a")
    subscribe(destinationArn=function, filterName="b")
    with refused("LimitExceededException", 400, "limit"):
        subscribe(destinationArn=function, filterName="c")
    with refused("InvalidParameterException", 400, "metricValue"):
        logs.put_metric_filter(
            logGroupName=group, filterName="m", filterPattern="",
            metricTransformations=[{"metricNamespace": "n", "metricName": "m", "metricValue": "many"}],
        )


def test_a_template_makes_both_kinds_of_filters(node, name):
    cloud, stack = node.client("cloudformation"), "stack-" + name
    create(node, name, LISTEN)
    template = {"Resources": {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "group-" + name}},
        "Told": {"Type": "AWS::Logs::SubscriptionFilter", "Properties": {
            "LogGroupName": {"Ref": "Group"}, "FilterPattern": "ERROR",
            "DestinationArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
        }},
        "Counted": {"Type": "AWS::Logs::MetricFilter", "Properties": {
            "LogGroupName": {"Ref": "Group"}, "FilterPattern": "{ $.ms > 1 }", "FilterName": "counted",
            "MetricTransformations": [{
                "MetricName": "m", "MetricNamespace": name, "MetricValue": "$.ms",
                "Dimensions": [{"Key": "at", "Value": "$.at"}],
            }],
        }},
    }}
    cloud.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    quick = {"Delay": 1, "MaxAttempts": 30}
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=quick)
    logs = node.client("logs")
    [one] = logs.describe_metric_filters(logGroupName="group-" + name)["metricFilters"]
    assert one["metricTransformations"][0]["dimensions"] == {"at": "$.at"}
    assert len(logs.describe_subscription_filters(logGroupName="group-" + name)["subscriptionFilters"]) == 1
    cloud.delete_stack(StackName=stack)
    cloud.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=quick)
