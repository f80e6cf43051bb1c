"""EventBridge Scheduler: schedules whose targets are of this node."""

import datetime
import json
import time

import pytest
from support import ACCOUNT, REGION, ROLE, ended, eventually, machine, refused, single
from test_lambda import create

OFF = {"Mode": "OFF"}


def arn(service, name):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


@pytest.fixture
def scheduler(node):
    return node.client("scheduler")


def soon(seconds=2):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return f"at({at.strftime('%Y-%m-%dT%H:%M:%S')})"


def queue(node, name, **attributes):
    return node.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def message(node, url, seconds=10):
    def receive():
        got = node.client("sqs").receive_message(
            QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        return got.get("Messages")

    return eventually(receive, seconds)[0]


def test_a_schedule_is_made_shown_changed_listed_and_deleted(node, scheduler, name):
    queue(node, name)
    target = {"Arn": arn("sqs", name), "RoleArn": ROLE, "Input": "{}", "RetryPolicy": {"MaximumRetryAttempts": 3}}
    made = scheduler.create_schedule(
        Name=name, ScheduleExpression="cron(0 9 ? * MON-FRI *)", ScheduleExpressionTimezone="Europe/Berlin",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, Target=target, Description="d",
    )
    assert made["ScheduleArn"] == arn("scheduler", f"schedule/default/{name}")
    found = scheduler.get_schedule(Name=name)
    assert found["Target"] == target and found["State"] == "ENABLED"
    assert found["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    assert (found["ScheduleExpressionTimezone"], found["ActionAfterCompletion"]) == ("Europe/Berlin", "NONE")
    with refused("ConflictException", 409, "already exists"):
        scheduler.create_schedule(Name=name, ScheduleExpression="rate(1 day)", FlexibleTimeWindow=OFF, Target=target)
    scheduler.update_schedule(
        Name=name, ScheduleExpression="rate(2 days)", FlexibleTimeWindow=OFF, Target=target, State="DISABLED"
    )
    changed = scheduler.get_schedule(Name=name)
    assert (changed["ScheduleExpression"], changed["State"]) == ("rate(2 days)", "DISABLED")
    assert "Description" not in changed and changed["CreationDate"] == found["CreationDate"]
    listed = scheduler.list_schedules(NamePrefix=name, State="DISABLED")["Schedules"]
    assert [(one["Name"], one["Target"]) for one in listed] == [(name, {"Arn": arn("sqs", name)})]
    scheduler.delete_schedule(Name=name)
    with refused("ResourceNotFoundException", 404, f"Schedule {name} does not exist"):
        scheduler.get_schedule(Name=name)


def test_groups_hold_schedules_and_tags(node, scheduler, name):
    queue(node, name)
    made = scheduler.create_schedule_group(Name=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    group = made["ScheduleGroupArn"]
    target = {"Arn": arn("sqs", name), "RoleArn": ROLE}
    for n in range(3):
        scheduler.create_schedule(
            Name=f"s{n}", GroupName=name, ScheduleExpression="rate(1 day)", FlexibleTimeWindow=OFF, Target=target,
            StartDate=time.time() + 3600,
        )
    pages = scheduler.get_paginator("list_schedules").paginate(GroupName=name, PaginationConfig={"PageSize": 2})
    assert [one["Name"] for page in pages for one in page["Schedules"]] == ["s0", "s1", "s2"]
    assert {g["Name"] for g in scheduler.list_schedule_groups()["ScheduleGroups"]} >= {"default", name}
    scheduler.untag_resource(ResourceArn=group, TagKeys=["a", "never"])
    scheduler.tag_resource(ResourceArn=group, Tags=[{"Key": "c", "Value": "3"}])
    tags = scheduler.list_tags_for_resource(ResourceArn=group)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"b": "2", "c": "3"}
    scheduler.delete_schedule_group(Name=name)
    assert scheduler.list_schedules(GroupName=name)["Schedules"] == []
    with refused("ResourceNotFoundException", 404, "does not exist"):
        scheduler.get_schedule_group(Name=name)


def test_at_its_time_it_does_what_it_is_for_and_goes(node, scheduler, name):
    url = queue(node, name)
    text = '{"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"}'
    at = soon()
    scheduler.create_schedule(
        Name=name, ScheduleExpression=at, FlexibleTimeWindow=OFF, ActionAfterCompletion="DELETE",
        Target={"Arn": arn("sqs", name), "RoleArn": ROLE, "Input": text},
    )
    body = json.loads(message(node, url)["Body"])
    assert body["at"].startswith(at[3:-1]) and body["by"] == arn("scheduler", f"schedule/default/{name}")
    with refused("ResourceNotFoundException", 404, "does not exist"):
        scheduler.get_schedule(Name=name)


def test_functions_machines_topics_and_buses_are_targets(node, scheduler, name):
    events, sns = node.client("events"), node.client("sns")
    url, heard = queue(node, name), queue(node, name + "-bus")
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", name))
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn("sqs", name + "-bus")}])
    flow = machine(node, name, single({"Type": "Pass", "End": True}))
    function = create(node, name, "def handler(event, context):\n    print('scheduled', event['source'])\n")
    targets = {
        "topic": {"Arn": topic, "Input": "hello"},
        "bus": {
            "Arn": arn("events", "event-bus/default"), "Input": '{"n": 1}',
            "EventBridgeParameters": {"DetailType": "Tick", "Source": name},
        },
        "flow": {"Arn": flow, "Input": '{"n": 2}'},
        "function": {"Arn": function["FunctionArn"]},
    }
    for kind, target in targets.items():
        scheduler.create_schedule(
            Name=f"{name}-{kind}", ScheduleExpression=soon(), FlexibleTimeWindow=OFF,
            Target={"RoleArn": ROLE, **target},
        )
    assert json.loads(message(node, url)["Body"])["Message"] == "hello"
    event = json.loads(message(node, heard)["Body"])
    assert (event["detail-type"], event["detail"]) == ("Tick", {"n": 1})
    sfn = node.sfn()
    [one] = eventually(lambda: sfn.list_executions(stateMachineArn=flow)["executions"])
    assert json.loads(ended(node, one["executionArn"])["input"]) == {"n": 2}
    logs, group = node.client("logs"), f"/aws/lambda/{name}"
    eventually(lambda: logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"], 20)
    eventually(lambda: logs.filter_log_events(logGroupName=group, filterPattern="scheduled")["events"], 20)
    assert scheduler.get_schedule(Name=f"{name}-topic")["State"] == "ENABLED"


def test_what_is_missed_while_the_node_is_down_happens_once(own_node):
    scheduler, url = own_node.client("scheduler"), queue(own_node, "q")
    scheduler.create_schedule(
        Name="once", ScheduleExpression=soon(2), FlexibleTimeWindow=OFF,
        Target={"Arn": arn("sqs", "q"), "RoleArn": ROLE, "Input": "x"},
    )
    own_node.kill()
    time.sleep(3)
    own_node.start()
    assert message(own_node, url)["Body"] == "x"
    own_node.restart()
    assert "Messages" not in own_node.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1)


def test_what_cannot_be_delivered_is_a_dead_letter(node, scheduler, name):
    url = queue(node, name + "-dead")
    queue(node, name)
    node.client("sqs").delete_queue(QueueUrl=node.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])
    scheduler.create_schedule(
        Name=name, ScheduleExpression=soon(1), FlexibleTimeWindow=OFF,
        Target={
            "Arn": arn("sqs", name), "RoleArn": ROLE, "Input": "lost",
            "DeadLetterConfig": {"Arn": arn("sqs", name + "-dead")},
        },
    )
    letter = message(node, url)
    assert letter["Body"] == "lost"
    assert letter["MessageAttributes"]["SCHEDULE_ARN"]["StringValue"].endswith(f"schedule/default/{name}")


@pytest.mark.parametrize("more, text", [
    ({"ScheduleExpression": "every day"}, "Invalid Schedule Expression"),
    ({"ScheduleExpressionTimezone": "Moon/Base"}, "timezone is not valid"),
    ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
    ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", "RoleArn": ROLE}}, "universal targets"),
    ({"Target": {"Arn": arn("kinesis", "stream/x"), "RoleArn": ROLE}}, "no function, state machine"),
    ({"StartDate": 2000000000, "EndDate": 1900000000}, "StartDate must come before"),
    ({"GroupName": "never"}, "Schedule group never does not exist"),
])
def test_schedules_that_cannot_be_are_refused(scheduler, name, more, text):
    asked = {
        "Name": name, "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": OFF,
        "Target": {"Arn": arn("sqs", "q"), "RoleArn": ROLE}, **more,
    }
    code, status = ("ResourceNotFoundException", 404) if "GroupName" in more else ("ValidationException", 400)
    with refused(code, status, text):
        scheduler.create_schedule(**asked)


def test_a_template_makes_schedules(node, scheduler, name):
    cloud, stack = node.client("cloudformation"), "stack-" + name
    queue(node, name)
    template = {"Resources": {
        "Group": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": name}},
        "Daily": {"Type": "AWS::Scheduler::Schedule", "Properties": {
            "Name": name, "GroupName": {"Ref": "Group"}, "ScheduleExpression": "rate(1 day)",
            "StartDate": "2030-01-01T00:00:00Z", "FlexibleTimeWindow": OFF,
            "Target": {"Arn": arn("sqs", name), "RoleArn": ROLE},
        }},
    }}
    cloud.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    quick = {"Delay": 1, "MaxAttempts": 30}
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=quick)
    assert scheduler.get_schedule(Name=name, GroupName=name)["ScheduleExpression"] == "rate(1 day)"
    cloud.delete_stack(StackName=stack)
    cloud.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=quick)
    with refused("ResourceNotFoundException", 404, "does not exist"):
        scheduler.get_schedule_group(Name=name)
