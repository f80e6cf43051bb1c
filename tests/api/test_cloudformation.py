"""CloudFormation: stacks and change sets, as boto3, its waiters and the AWS CLI use them."""

import json
import re

import pytest
from botocore.exceptions import WaiterError
from support import ACCOUNT, REGION, ROLE as ROLE_ARN
from support import eventually, refused

QUICK = {"Delay": 1, "MaxAttempts": 30}
QUEUE = """
AWSTemplateFormatVersion: '2010-09-09'
Description: a queue
Parameters:
  Delay: {Type: Number, Default: 1, Description: seconds}
  Secret: {Type: String, Default: hidden, NoEcho: true}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub '${AWS::StackName}-queue'
      DelaySeconds: !Ref Delay
Outputs:
  Arn:
    Description: of the queue
    Value: !GetAtt Queue.Arn
    Export: {Name: !Sub '${AWS::StackName}-arn'}
"""
ROLE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}
"""


@pytest.fixture
def cloud(node):
    return node.client("cloudformation")


@pytest.fixture
def stack(cloud, name):
    """A stack's name; what is there under it in the end goes."""
    named = "stack-" + name
    yield named
    cloud.delete_stack(StackName=named)


def described(cloud, stack):
    return cloud.describe_stacks(StackName=stack)["Stacks"][0]


def events(cloud, stack):
    pages = cloud.get_paginator("describe_stack_events").paginate(StackName=stack)
    return [event for page in pages for event in page["StackEvents"]]


def test_a_stack_is_created_updated_and_deleted(node, cloud, stack):
    made = cloud.create_stack(
        StackName=stack,
        TemplateBody=QUEUE,
        Parameters=[{"ParameterKey": "Delay", "ParameterValue": "2"}],
        Tags=[{"Key": "team", "Value": "plant"}],
        ClientRequestToken="first",
    )
    arn = made["StackId"]
    assert re.fullmatch(rf"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/[0-9a-f-]{{36}}", arn)
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    shown = described(cloud, stack)
    assert (shown["StackId"], shown["StackStatus"]) == (arn, "CREATE_COMPLETE")
    assert shown["Description"] == "a queue"
    assert shown["Tags"] == [{"Key": "team", "Value": "plant"}]
    assert shown["Parameters"] == [
        {"ParameterKey": "Delay", "ParameterValue": "2"},
        {"ParameterKey": "Secret", "ParameterValue": "****"},
    ]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{stack}-queue"
    assert shown["Outputs"] == [
        {
            "OutputKey": "Arn",
            "OutputValue": queue,
            "Description": "of the queue",
            "ExportName": f"{stack}-arn",
        }
    ]
    told = events(cloud, stack)
    assert [(one["LogicalResourceId"], one["ResourceStatus"]) for one in told] == [
        (stack, "CREATE_COMPLETE"),
        ("Queue", "CREATE_COMPLETE"),
        ("Queue", "CREATE_IN_PROGRESS"),
        ("Queue", "CREATE_IN_PROGRESS"),
        (stack, "CREATE_IN_PROGRESS"),
    ]
    assert told[0]["PhysicalResourceId"] == arn
    assert told[0]["ClientRequestToken"] == "first"
    assert len({one["EventId"] for one in told}) == 5
    assert [one["Timestamp"] for one in told] == sorted({one["Timestamp"] for one in told})[::-1]

    cloud.update_stack(
        StackName=stack,
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "Delay", "ParameterValue": "3"},
            {"ParameterKey": "Secret", "UsePreviousValue": True},
        ],
    )
    cloud.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=QUICK)
    sqs = node.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{stack}-queue")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert attributes["Attributes"]["DelaySeconds"] == "3"
    with refused("ValidationError", 400, "No updates are to be performed."):
        cloud.update_stack(
            StackName=stack,
            TemplateBody=QUEUE,
            Parameters=[{"ParameterKey": "Delay", "ParameterValue": "3"}],
        )

    cloud.delete_stack(StackName=stack)
    cloud.get_waiter("stack_delete_complete").wait(StackName=arn, WaiterConfig=QUICK)
    with refused("ValidationError", 400, f"Stack with id {stack} does not exist"):
        cloud.describe_stacks(StackName=stack)
    assert described(cloud, arn)["StackStatus"] == "DELETE_COMPLETE"
    with refused("AWS.SimpleQueueService.NonExistentQueue", 400, ""):
        sqs.get_queue_url(QueueName=f"{stack}-queue")


def test_a_change_set_is_what_sam_expects(node, cloud, stack):
    """The calls of `sam deploy`, in their order."""
    with refused("ValidationError", 400, f"Stack with id {stack} does not exist"):
        cloud.describe_stacks(StackName=stack)
    s3 = node.client("s3")
    s3.create_bucket(Bucket=stack)
    s3.put_object(Bucket=stack, Key="dir/x.template", Body=QUEUE.encode())
    change = {
        "StackName": stack,
        "ChangeSetName": "first",
        "Capabilities": ["CAPABILITY_IAM"],
        "TemplateURL": f"https://s3.{REGION}.amazonaws.com/{stack}/dir/x.template",
        "Parameters": [{"ParameterKey": "Delay", "ParameterValue": "4"}],
        "Description": "Created by SAM CLI",
        "Tags": [],
    }
    made = cloud.create_change_set(ChangeSetType="CREATE", **change)
    cloud.get_waiter("change_set_create_complete").wait(
        ChangeSetName=made["Id"], StackName=stack, WaiterConfig=QUICK
    )
    shown = cloud.describe_change_set(ChangeSetName=made["Id"], StackName=stack)
    assert shown["Changes"][0]["ResourceChange"]["LogicalResourceId"] == "Queue"
    assert shown["Changes"][0]["ResourceChange"]["Action"] == "Add"
    assert described(cloud, stack)["StackStatus"] == "REVIEW_IN_PROGRESS"
    marker = events(cloud, stack)[0]["Timestamp"]
    cloud.execute_change_set(ChangeSetName=made["Id"], StackName=stack, DisableRollback=False)
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    assert all(one["Timestamp"] > marker for one in events(cloud, stack)[:-1])
    assert described(cloud, stack)["ChangeSetId"] == made["Id"]

    summary = cloud.get_template_summary(StackName=stack)
    assert [one["ParameterKey"] for one in summary["Parameters"]] == ["Delay", "Secret"]
    assert summary["ResourceTypes"] == ["AWS::SQS::Queue"]
    # The name of one that was executed is free: the AWS CLI names them by the second.
    again = cloud.create_change_set(ChangeSetType="UPDATE", **change)
    with refused("AlreadyExistsException", 400, "ChangeSet first already exists"):
        cloud.create_change_set(ChangeSetType="UPDATE", **change)
    with refused("ChangeSetNotFound", 404, "does not exist"):
        cloud.describe_change_set(ChangeSetName=made["Id"])
    with pytest.raises(WaiterError):
        cloud.get_waiter("change_set_create_complete").wait(
            ChangeSetName=again["Id"], StackName=stack, WaiterConfig=QUICK
        )
    shown = cloud.describe_change_set(ChangeSetName=again["Id"])
    assert shown["Status"] == "FAILED"
    assert "The submitted information didn't contain changes." in shown["StatusReason"]
    cloud.delete_change_set(ChangeSetName=again["Id"])
    with refused("ChangeSetNotFound", 404, "does not exist"):
        cloud.describe_change_set(ChangeSetName=again["Id"])

    assert "Queue:" in cloud.get_template(StackName=stack)["TemplateBody"]
    processed = cloud.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    assert processed["Resources"]["Queue"]["Type"] == "AWS::SQS::Queue"
    listed = cloud.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    assert [one["LogicalResourceId"] for one in listed] == ["Queue"]


def test_what_is_wrong_is_said_before_anything_is_made(cloud, stack):
    with refused("InsufficientCapabilitiesException", 400, r"Requires capabilities : \[CAPABILITY_IAM\]"):
        cloud.create_stack(StackName=stack, TemplateBody=ROLE)
    with refused("ValidationError", 400, "Template format error"):
        cloud.create_stack(StackName=stack, TemplateBody="Resources: [")
    with refused("ValidationError", 400, r"regular expression pattern: \[a-zA-Z\]"):
        cloud.create_stack(StackName="0" + stack, TemplateBody=QUEUE)
    with refused("ValidationError", 400, r"Parameters: \[Nope\] do not exist in the template"):
        cloud.create_stack(
            StackName=stack,
            TemplateBody=QUEUE,
            Parameters=[{"ParameterKey": "Nope", "ParameterValue": "x"}],
        )
    with refused("ValidationError", 400, r"T: .*AWS::Timestream::Table.*\(line 1"):
        cloud.create_stack(
            StackName=stack, TemplateBody="Resources: {T: {Type: 'AWS::Timestream::Table'}}"
        )
    with refused("ValidationError", 400, f"Stack with id {stack} does not exist"):
        cloud.describe_stacks(StackName=stack)
    with refused("InvalidAction", 400, "DetectStackDrift"):
        cloud.detect_stack_drift(StackName=stack)
    assert cloud.validate_template(TemplateBody=ROLE)["Capabilities"] == ["CAPABILITY_IAM"]


def test_a_failure_rolls_back(node, cloud, stack, name):
    node.client("sqs").create_queue(QueueName="taken-" + name, Attributes={"DelaySeconds": "9"})
    template = {
        "Resources": {
            "A": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": stack}},
            "B": {
                "Type": "AWS::SQS::Queue",
                "DependsOn": "A",
                "Properties": {"QueueName": "taken-" + name, "DelaySeconds": 1},
            },
        }
    }
    cloud.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    with pytest.raises(WaiterError):
        cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    assert described(cloud, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    failed = [one for one in events(cloud, stack) if one["ResourceStatus"] == "CREATE_FAILED"]
    assert [one["LogicalResourceId"] for one in failed] == ["B"]
    with refused("AWS.SimpleQueueService.NonExistentQueue", 400, ""):
        node.client("sqs").get_queue_url(QueueName=stack)


def test_the_cli_deploys_twice_and_deletes(aws, node, stack, tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text(QUEUE)
    deploy = ("cloudformation", "deploy", "--stack-name", stack, "--template-file", str(template))
    code, out, err = aws(*deploy, "--parameter-overrides", "Delay=5")
    assert code == 0, out + err
    assert "Successfully created/updated stack" in out
    code, out, err = aws(*deploy, "--no-fail-on-empty-changeset")
    assert code == 0 and "No changes to deploy" in out + err, out + err
    code, out, err = aws("cloudformation", "list-exports", "--output", "json")
    assert code == 0 and f"{stack}-arn" in [one["Name"] for one in json.loads(out)["Exports"]]
    assert aws("cloudformation", "delete-stack", "--stack-name", stack)[0] == 0
    assert aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", stack)[0] == 0


def test_a_stack_outlives_kill_9(own_node):
    resources = {
        f"Q{number}": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"many-{number}"}}
        for number in range(40)
    }
    own_node.client("cloudformation").create_stack(
        StackName="many", TemplateBody=json.dumps({"Resources": resources})
    )
    own_node.restart()
    cloud = own_node.client("cloudformation")
    cloud.get_waiter("stack_create_complete").wait(StackName="many", WaiterConfig=QUICK)
    told = [one for one in events(cloud, "many") if one["ResourceStatus"] == "CREATE_COMPLETE"]
    assert len(told) == 41
    assert len(own_node.client("sqs").list_queues()["QueueUrls"]) == 40


CUSTOM = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement:
          - {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: 'sts:AssumeRole'}
  Maker:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.11
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Timeout: 20
      Code:
        ZipFile: |
          import json, urllib.request
          def handler(event, context):
              given = event["ResourceProperties"]
              body = {"Status": "FAILED" if given.get("Fail") == "true" else "SUCCESS",
                      "Reason": "as asked", "PhysicalResourceId": "thing-" + given["Name"],
                      "Data": {"Kind": event["RequestType"], "Size": given["Size"]}}
              data = json.dumps(body).encode()
              urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, method="PUT"))
  One:
    Type: Custom::Thing
    Properties: {ServiceToken: !GetAtt Maker.Arn, Name: one, Size: 3}
Outputs:
  Kind: {Value: !GetAtt One.Kind}
  Size: {Value: !GetAtt One.Size}
  Id: {Value: !Ref One}
"""


def test_a_function_makes_a_custom_resource(cloud, stack):
    def outputs():
        return {one["OutputKey"]: one["OutputValue"] for one in described(cloud, stack)["Outputs"]}

    wanted = {"StackName": stack, "Capabilities": ["CAPABILITY_IAM"]}
    cloud.create_stack(TemplateBody=CUSTOM, **wanted)
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    assert outputs() == {"Kind": "Create", "Size": "3", "Id": "thing-one"}

    second = CUSTOM.replace("Name: one, Size: 3", "Name: two, Size: 4")
    cloud.update_stack(TemplateBody=second, **wanted)
    cloud.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=QUICK)
    assert outputs() == {"Kind": "Update", "Size": "4", "Id": "thing-two"}
    gone = [one for one in events(cloud, stack) if one["ResourceStatus"] == "DELETE_COMPLETE"]
    assert [one["PhysicalResourceId"] for one in gone] == ["thing-one"]

    cloud.update_stack(TemplateBody=second.replace("Size: 4", "Size: 4, Fail: true"), **wanted)
    cloud.get_waiter("stack_rollback_complete").wait(StackName=stack, WaiterConfig=QUICK)
    failed = [one for one in events(cloud, stack) if one["ResourceStatus"] == "UPDATE_FAILED"]
    assert "Message returned: as asked" in failed[0]["ResourceStatusReason"]


def test_a_custom_resource_that_failed_to_be_made_is_deleted_by_its_function(node, cloud, stack):
    only = CUSTOM.replace('== "true" else', '== "true" and event["RequestType"] == "Create" else')
    assert only != CUSTOM
    failing = only.replace("Size: 3", "Size: 3, Fail: true")
    cloud.create_stack(StackName=stack, TemplateBody=failing, Capabilities=["CAPABILITY_IAM"])
    with pytest.raises(WaiterError):
        cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    ended = lambda: described(cloud, stack)["StackStatus"] == "ROLLBACK_COMPLETE"
    eventually(ended)
    of = [one for one in events(cloud, stack) if one["LogicalResourceId"] == "One"]
    kinds = [one["ResourceStatus"] for one in sorted(of, key=lambda one: one["Timestamp"])]
    assert "CREATE_FAILED" in kinds and "DELETE_COMPLETE" in kinds, kinds
    gone = next(one for one in of if one["ResourceStatus"] == "DELETE_COMPLETE")
    assert gone["PhysicalResourceId"] == "thing-one"


NAMED = {
    "AWS::SQS::Queue": ({"QueueName": "{}"}, "sqs", "create_queue", {"QueueName": "{}"}),
    "AWS::SNS::Topic": ({"TopicName": "{}"}, "sns", "create_topic", {"Name": "{}"}),
    "AWS::IoT::Thing": ({"ThingName": "{}"}, "iot", "create_thing", {"thingName": "{}"}),
    "AWS::IoT::ThingType": ({"ThingTypeName": "{}"}, "iot", "create_thing_type", {"thingTypeName": "{}"}),
    "AWS::IoT::ThingGroup": ({"ThingGroupName": "{}"}, "iot", "create_thing_group", {"thingGroupName": "{}"}),
    "AWS::S3::Bucket": ({"BucketName": "{}-b"}, "s3", "create_bucket", {"Bucket": "{}-b"}),
    "AWS::Logs::LogGroup": ({"LogGroupName": "{}"}, "logs", "create_log_group", {"logGroupName": "{}"}),
    "AWS::StepFunctions::Activity": ({"Name": "{}"}, "stepfunctions", "create_activity", {"name": "{}"}),
    "AWS::StepFunctions::StateMachine": (
        {"StateMachineName": "{}", "RoleArn": ROLE_ARN, "DefinitionString": '{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}'},
        "stepfunctions", "create_state_machine",
        {"name": "{}", "roleArn": ROLE_ARN, "definition": '{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}'},
    ),
    "AWS::Events::Rule": (
        {"Name": "{}", "ScheduleExpression": "rate(1 day)"}, "events", "put_rule",
        {"Name": "{}", "ScheduleExpression": "rate(1 day)"},
    ),
    "AWS::CloudWatch::Alarm": (
        {"AlarmName": "{}", "Namespace": "N", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
         "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1},
        "cloudwatch", "put_metric_alarm",
        {"AlarmName": "{}", "Namespace": "N", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
         "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1},
    ),
    "AWS::SSM::Parameter": (
        {"Name": "{}", "Type": "String", "Value": "v"}, "ssm", "put_parameter",
        {"Name": "{}", "Type": "String", "Value": "v"},
    ),
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_stack_does_not_take_over_what_is_there_already(node, cloud, stack, name, kind):
    properties, service, operation, asked = NAMED[kind]
    filled = lambda given: {k: v.replace("{}", name) if isinstance(v, str) and v.startswith("{}") else v for k, v in given.items()}
    getattr(node.client(service), operation)(**filled(asked))
    template = {"Resources": {"Named": {"Type": kind, "Properties": filled(properties)}}}
    make = lambda: cloud.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    make()
    eventually(lambda: described(cloud, stack)["StackStatus"] == "ROLLBACK_COMPLETE")
    failed = next(one for one in events(cloud, stack) if one["ResourceStatus"] == "CREATE_FAILED")
    assert "already exist" in failed["ResourceStatusReason"], failed["ResourceStatusReason"]
    # What was there is there still: making it another time says so, or a stack does.
    cloud.delete_stack(StackName=stack)
    cloud.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=QUICK)
    make()
    eventually(lambda: described(cloud, stack)["StackStatus"] == "ROLLBACK_COMPLETE")
    cloud.delete_stack(StackName=stack)


def test_nobody_answers_for_a_function_without_its_token(node):
    status, _, _ = node.send("PUT", "/-/cloudformation/response/guessed", b"{}")
    assert status == 403


TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
}


def of_table(name, *indexes):
    made = dict(TABLE, TableName=name)
    if indexes:
        made["AttributeDefinitions"] = [*TABLE["AttributeDefinitions"], {"AttributeName": "g", "AttributeType": "S"}]
        made["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in indexes
        ]
    return json.dumps({"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": made}}})


def test_an_updated_stack_has_an_index_that_can_be_read(node, cloud, stack):
    dynamodb = node.client("dynamodb")
    cloud.create_stack(StackName=stack, TemplateBody=of_table(stack))
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    for batch in range(40):
        items = [{"p": {"S": f"{batch}-{n}"}, "g": {"S": "g"}, "z": {"S": "x" * 2000}} for n in range(25)]
        dynamodb.batch_write_item(RequestItems={stack: [{"PutRequest": {"Item": item}} for item in items]})
    cloud.update_stack(StackName=stack, TemplateBody=of_table(stack, "abc"))
    cloud.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=QUICK)
    asked = {
        "TableName": stack,
        "IndexName": "abc",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "g"}},
        "Select": "COUNT",
    }
    pages = list(dynamodb.get_paginator("query").paginate(**asked))
    assert sum(page["Count"] for page in pages) == 1000

    cloud.update_stack(StackName=stack, TemplateBody=of_table(stack, "abd", "abe", "abc"))
    eventually(lambda: described(cloud, stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE")
    failed = next(one for one in events(cloud, stack) if one["ResourceStatus"] == "UPDATE_FAILED")
    why = "Cannot perform more than one GSI creation or deletion in a single update"
    assert failed["ResourceStatusReason"] == why
    cloud.update_stack(StackName=stack, TemplateBody=of_table(stack))
    cloud.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=QUICK)
    assert "GlobalSecondaryIndexes" not in dynamodb.describe_table(TableName=stack)["Table"]


def test_tags_of_a_stack_are_its_resources_too(node, cloud, stack):
    """Of every type that takes tags; a resource's own come first."""
    service = {"Service": "lambda.amazonaws.com"}
    assume = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}],
    }
    machine = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    own = [{"Key": "team", "Value": "own"}]
    rule = {"RuleName": "tagged_rule", "TopicRulePayload": {"Sql": "SELECT * FROM 'a'", "Actions": []}}
    alarm = {
        "AlarmName": stack, "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1,
        "Namespace": "N", "MetricName": "M", "Period": 60, "Statistic": "Sum", "Threshold": 1,
    }
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}
    properties = {
        "SQS::Queue": {"QueueName": stack},
        "SNS::Topic": {"TopicName": stack},
        "S3::Bucket": {"BucketName": stack},
        "DynamoDB::Table": dict(TABLE, TableName=stack),
        "SSM::Parameter": {"Name": stack, "Type": "String", "Value": "v"},
        "SecretsManager::Secret": {"Name": stack, "SecretString": "s"},
        "IAM::Role": {"RoleName": stack, "AssumeRolePolicyDocument": assume},
        "Lambda::Function": {
            "FunctionName": stack, "Runtime": "python3.11", "Handler": "index.h", "Role": ROLE_ARN,
            "Code": {"ZipFile": "def h(event, context): return 1"},
        },
        "StepFunctions::StateMachine": {
            "StateMachineName": stack, "RoleArn": ROLE_ARN, "DefinitionString": json.dumps(machine),
        },
        "StepFunctions::Activity": {"Name": stack},
        "Logs::LogGroup": {"LogGroupName": stack},
        "Events::Rule": {"Name": stack, "EventPattern": {"source": ["a"]}},
        "Events::EventBus": {"Name": stack},
        "Scheduler::ScheduleGroup": {"Name": stack},
        "CloudWatch::Alarm": alarm,
        "IoT::TopicRule": rule,
        "IoT::Policy": {"PolicyName": stack, "PolicyDocument": policy},
        "IoT::ThingType": {"ThingTypeName": stack},
        "IoT::ThingGroup": {"ThingGroupName": stack},
        "IoT::Thing": {"ThingName": stack},
    }
    resources = {
        kind.replace("::", ""): {"Type": f"AWS::{kind}", "Properties": given} for kind, given in properties.items()
    }
    resources["Own"] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": stack + "-own", "Tags": own}}
    asked = {
        "StackName": stack,
        "TemplateBody": json.dumps({"Resources": resources}),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    arn = lambda service, rest: f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"

    def queue(name):
        sqs = node.client("sqs")
        return sqs.list_queue_tags(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"]).get("Tags", {})

    def pairs(service, operation, key="Key", value="Value", **given):
        answer = getattr(node.client(service), operation)(**given)
        tags = next((answer[name] for name in ("Tags", "TagSet", "TagList", "tags") if name in answer), [])
        return tags if isinstance(tags, dict) else {tag[key]: tag[value] for tag in tags}

    def everywhere():
        iot = lambda rest: pairs("iot", "list_tags_for_resource", resourceArn=arn("iot", rest))
        states = lambda rest: pairs(
            "stepfunctions", "list_tags_for_resource", "key", "value", resourceArn=arn("states", rest)
        )
        return {
            "queue": queue(stack),
            "topic": pairs("sns", "list_tags_for_resource", ResourceArn=arn("sns", stack)),
            "bucket": pairs("s3", "get_bucket_tagging", Bucket=stack),
            "table": pairs("dynamodb", "list_tags_of_resource", ResourceArn=arn("dynamodb", f"table/{stack}")),
            "parameter": pairs("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId=stack),
            "secret": pairs("secretsmanager", "describe_secret", SecretId=stack),
            "role": pairs("iam", "list_role_tags", RoleName=stack),
            "function": pairs("lambda", "list_tags", Resource=arn("lambda", f"function:{stack}")),
            "machine": states(f"stateMachine:{stack}"),
            "activity": states(f"activity:{stack}"),
            "logs": pairs("logs", "list_tags_for_resource", resourceArn=arn("logs", f"log-group:{stack}")),
            "rule": pairs("events", "list_tags_for_resource", ResourceARN=arn("events", f"rule/{stack}")),
            "group": pairs(
                "scheduler", "list_tags_for_resource", ResourceArn=arn("scheduler", f"schedule-group/{stack}")
            ),
            "alarm": pairs("cloudwatch", "list_tags_for_resource", ResourceARN=arn("cloudwatch", f"alarm:{stack}")),
            "topic rule": iot("rule/tagged_rule"),
            "policy": iot(f"policy/{stack}"),
            "thing type": iot(f"thingtype/{stack}"),
            "thing group": iot(f"thinggroup/{stack}"),
        }

    cloud.create_stack(
        **asked, Tags=[{"Key": "team", "Value": "plant"}, {"Key": "stepwire:allow-missing", "Value": "*"}]
    )
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    assert {what: tags for what, tags in everywhere().items() if tags != {"team": "plant"}} == {}
    assert queue(stack + "-own") == {"team": "own"}
    physical = lambda: {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in cloud.describe_stack_resources(StackName=stack)["StackResources"]
    }
    before = physical()
    cloud.update_stack(**asked, Tags=[{"Key": "team", "Value": "field"}, {"Key": "cost", "Value": "7"}])
    cloud.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=QUICK)
    wanted = {"team": "field", "cost": "7"}
    assert {what: tags for what, tags in everywhere().items() if tags != wanted} == {}
    assert queue(stack + "-own") == {"team": "own", "cost": "7"}
    assert physical() == before


HIDDEN = """
Parameters:
  Secret: {Type: String, NoEcho: true}
Resources:
  Parameter:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Name: !Sub '/${AWS::StackName}', Value: !Sub 'key=${Secret};'}
"""


@pytest.mark.parametrize("transform", ["", "Transform: AWS::Serverless-2016-10-31\n"])
def test_what_is_not_to_be_echoed_is_not(cloud, node, stack, transform):
    cloud.create_stack(
        StackName=stack,
        TemplateBody=transform + HIDDEN,
        Parameters=[{"ParameterKey": "Secret", "ParameterValue": "pa55word"}],
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    stored = node.client("ssm").get_parameter(Name=f"/{stack}")["Parameter"]["Value"]
    assert stored == "key=pa55word;"
    told = events(cloud, stack)
    assert "pa55word" not in json.dumps(told, default=str)
    shown = [event["ResourceProperties"] for event in told if "ResourceProperties" in event]
    assert json.loads(shown[0])["Value"] == "key=****;"
    processed = cloud.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    assert "pa55word" not in json.dumps(processed)
    if not transform:
        # Where nothing transforms, functions stay.
        assert processed["Resources"]["Parameter"]["Properties"]["Value"] == {
            "Fn::Sub": "key=${Secret};"
        }


def test_a_version_of_a_stored_parameter_is_that_version(cloud, node, stack, name):
    ssm = node.client("ssm")
    for value in ["one", "two"]:
        ssm.put_parameter(Name=f"/{name}/a", Value=value, Type="String", Overwrite=True)
    template = f"""
Parameters:
  Leaf: {{Type: String, Default: a}}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      Tags:
        - {{Key: old, Value: '{{{{resolve:ssm:/{name}/a:1}}}}'}}
        - {{Key: new, Value: '{{{{resolve:ssm:/{name}/a}}}}'}}
        - {{Key: made, Value: !Sub '{{{{resolve:ssm:/{name}/${{Leaf}}:2}}}}'}}
"""
    cloud.create_stack(StackName=stack, TemplateBody=template)
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    queue = cloud.describe_stack_resource(StackName=stack, LogicalResourceId="Queue")
    url = queue["StackResourceDetail"]["PhysicalResourceId"]
    tags = node.client("sqs").list_queue_tags(QueueUrl=url)["Tags"]
    assert {key: tags[key] for key in ["old", "new", "made"]} == {
        "old": "one",
        "new": "two",
        "made": "two",
    }
    with refused("ValidationError", 400, "cannot be found"):
        cloud.create_stack(StackName=stack + "-x", TemplateBody=template.replace("a:1", "a:7"))


def test_a_definition_in_yaml_is_read(cloud, node, stack, name):
    s3 = node.client("s3")
    s3.create_bucket(Bucket=name)
    text = "StartAt: A\nStates:\n  A: {Type: Pass, Result: '${Word}', ResultPath: null, Next: B}\n"
    text += "  B: {Type: Wait, Seconds: ${Seconds}, End: true}\n"
    s3.put_object(Bucket=name, Key="d.asl.yaml", Body=text)
    template = f"""
Resources:
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      RoleArn: {ROLE_ARN}
      DefinitionS3Location: {{Bucket: {name}, Key: d.asl.yaml}}
      DefinitionSubstitutions: {{Word: hello, Seconds: 7}}
"""
    cloud.create_stack(StackName=stack, TemplateBody=template)
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    found = cloud.describe_stack_resource(StackName=stack, LogicalResourceId="Machine")
    arn = found["StackResourceDetail"]["PhysicalResourceId"]
    definition = node.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    states = json.loads(definition["definition"])["States"]
    assert (states["A"]["Result"], states["B"]["Seconds"]) == ("hello", 7)


def test_an_attribute_that_there_is_not_is_refused(cloud, stack):
    template = """
Resources:
  Q: {Type: AWS::SQS::Queue}
Outputs:
  Nope: {Value: !GetAtt Q.Nope}
"""
    why = "Template error: resource Q does not support attribute type Nope in Fn::GetAtt"
    with refused("ValidationError", 400, why):
        cloud.create_stack(StackName=stack, TemplateBody=template)


def test_the_reason_of_a_stack_within_is_told(cloud, node, stack, name):
    s3 = node.client("s3")
    s3.create_bucket(Bucket=name)
    child = """
Parameters: {Seconds: {Type: Number}}
Resources:
  Q: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: !Ref Seconds}}
"""
    s3.put_object(Bucket=name, Key="child.yaml", Body=child)
    template = f"""
Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/{name}/child.yaml
      Parameters: {{Seconds: SECONDS}}
"""
    allowed = ["CAPABILITY_AUTO_EXPAND"]
    cloud.create_stack(
        StackName=stack, TemplateBody=template.replace("SECONDS", "1"), Capabilities=allowed
    )
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=QUICK)
    s3.put_object(
        Bucket=name,
        Key="child.yaml",
        Body=child + "  R: {Type: AWS::SQS::Queue, Properties: {QueueName: {Ref: Q}}}\n",
    )
    cloud.update_stack(
        StackName=stack, TemplateBody=template.replace("SECONDS", "2"), Capabilities=allowed
    )
    with pytest.raises(WaiterError):
        cloud.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=QUICK)
    failed = [one for one in events(cloud, stack) if one["ResourceStatus"] == "UPDATE_FAILED"]
    reason = failed[-1]["ResourceStatusReason"]
    assert reason.rstrip().endswith("The following resource(s) failed to update: [R]."), reason
