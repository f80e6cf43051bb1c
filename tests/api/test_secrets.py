"""Secrets Manager with boto3: versions, deletion, passwords, stacks, and rules that ask for secrets."""

import json

import pytest
from support import (
    ACCOUNT,
    PATIENCE,
    REGION,
    ROLE,
    Client,
    Node,
    ended,
    eventually,
    machine,
    refused,
    single,
)
from test_rule_http import Server, enabled
from test_rule_tester import evaluate, message

NOT_FOUND = "Secrets Manager can't find the specified secret"
MARKED = "because it was marked for deletion"


@pytest.fixture
def secrets(node):
    return node.client("secretsmanager")


def current(secrets, name):
    return secrets.get_secret_value(SecretId=name)["SecretString"]


# ---- the API -------------------------------------------------------------------------------------


def test_a_secret_is_made_read_described_and_removed(secrets, name):
    made = secrets.create_secret(
        Name=f"app/{name}",
        SecretString='{"user": "u"}',
        Description="of the app",
        Tags=[{"Key": "team", "Value": name}],
    )
    begin = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:app/{name}-"
    assert made["ARN"].startswith(begin) and len(made["ARN"]) == len(begin) + 6
    for secret_id in [f"app/{name}", made["ARN"], begin[:-1]]:
        found = secrets.get_secret_value(SecretId=secret_id)
        assert (found["SecretString"], found["VersionId"]) == ('{"user": "u"}', made["VersionId"])
        assert found["VersionStages"] == ["AWSCURRENT"] and found["CreatedDate"].tzinfo
    told = secrets.describe_secret(SecretId=made["ARN"])
    assert told["Description"] == "of the app" and told["Tags"] == [{"Key": "team", "Value": name}]
    assert told["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"]}
    with refused("ResourceExistsException", 400, f"secret app/{name} already exists"):
        secrets.create_secret(Name=f"app/{name}")
    gone = secrets.delete_secret(SecretId=f"app/{name}", ForceDeleteWithoutRecovery=True)
    assert gone["ARN"] == made["ARN"] and gone["DeletionDate"].tzinfo
    with refused("ResourceNotFoundException", 400, NOT_FOUND):
        secrets.get_secret_value(SecretId=f"app/{name}")


def test_bytes_come_back_as_they_were(secrets, name):
    secrets.create_secret(Name=name, SecretBinary=bytes(range(256)))
    found = secrets.get_secret_value(SecretId=name)
    assert found["SecretBinary"] == bytes(range(256)) and "SecretString" not in found
    with refused("InvalidParameterException", 400, "both a binary secret value and a string"):
        secrets.put_secret_value(SecretId=name, SecretString="a", SecretBinary=b"a")


def test_a_rotation_by_hand_goes_through_its_stages(secrets, name):
    old = secrets.create_secret(Name=name, SecretString="old")["VersionId"]
    put = secrets.put_secret_value(
        SecretId=name, SecretString="new", VersionStages=["AWSPENDING"], ClientRequestToken="n" * 32
    )
    assert (put["VersionId"], put["VersionStages"]) == ("n" * 32, ["AWSPENDING"])
    assert current(secrets, name) == "old"
    pending = secrets.get_secret_value(SecretId=name, VersionStage="AWSPENDING")
    assert pending["SecretString"] == "new"
    move = {"SecretId": name, "VersionStage": "AWSCURRENT", "MoveToVersionId": "n" * 32}
    with refused("InvalidParameterException", 400, f"currently attached to version {old}"):
        secrets.update_secret_version_stage(**move)
    secrets.update_secret_version_stage(**move, RemoveFromVersionId=old)
    assert current(secrets, name) == "new"
    previous = secrets.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")
    assert (previous["SecretString"], previous["VersionId"]) == ("old", old)
    with refused("InvalidRequestException", 400, "not associated to the provided VersionId"):
        secrets.get_secret_value(SecretId=name, VersionId=old, VersionStage="AWSCURRENT")
    with refused("ResourceNotFoundException", 400, "for staging label: MINE"):
        secrets.get_secret_value(SecretId=name, VersionStage="MINE")
    versions = secrets.list_secret_version_ids(SecretId=name)["Versions"]
    assert [one["VersionId"] for one in versions] == [old, "n" * 32]


def test_a_request_that_is_repeated_has_one_effect(secrets, name):
    secrets.create_secret(Name=name, SecretString="a", ClientRequestToken="a" * 32)
    secrets.create_secret(Name=name, SecretString="a", ClientRequestToken="a" * 32)
    put = {"SecretId": name, "ClientRequestToken": "b" * 32}
    secrets.put_secret_value(**put, SecretString="b")
    secrets.put_secret_value(**put, SecretString="b")
    with refused("ResourceExistsException", 400, "already in use for a version of secret arn:"):
        secrets.put_secret_value(**put, SecretString="c")
    assert current(secrets, name) == "b"


def test_a_deleted_secret_waits_to_be_restored(secrets, name):
    secrets.create_secret(Name=name, SecretString="a")
    with refused("InvalidParameterException", 400, "between 7 and 30 days"):
        secrets.delete_secret(SecretId=name, RecoveryWindowInDays=3)
    deleted = secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    told = secrets.describe_secret(SecretId=name)
    assert told["DeletedDate"] == deleted["DeletionDate"]
    with refused("InvalidRequestException", 400, MARKED):
        secrets.get_secret_value(SecretId=name)
    with refused("InvalidRequestException", 400, "already scheduled for deletion"):
        secrets.create_secret(Name=name, SecretString="b")
    mine = [{"Key": "name", "Values": [name]}]
    assert secrets.list_secrets(Filters=mine)["SecretList"] == []
    shown = secrets.list_secrets(Filters=mine, IncludePlannedDeletion=True)["SecretList"]
    assert [one["Name"] for one in shown] == [name]
    secrets.restore_secret(SecretId=name)
    assert current(secrets, name) == "a"


def test_secrets_are_listed_in_pages_and_read_many_at_a_time(secrets, name):
    names = [f"{name}/{n}" for n in range(5)]
    for one in names:
        secrets.create_secret(Name=one, SecretString=one)
    mine = [{"Key": "name", "Values": [f"{name}/"]}]
    pages = secrets.get_paginator("list_secrets").paginate(
        Filters=mine, PaginationConfig={"PageSize": 2}
    )
    assert [one["Name"] for page in pages for one in page["SecretList"]] == names
    read = secrets.batch_get_secret_value(SecretIdList=[names[0], "nobody"])
    assert [one["SecretString"] for one in read["SecretValues"]] == [names[0]]
    assert [one["SecretId"] for one in read["Errors"]] == ["nobody"]
    read = secrets.batch_get_secret_value(Filters=mine)
    assert [one["Name"] for one in read["SecretValues"]] == names


def test_tags_and_passwords(secrets, name):
    secrets.create_secret(Name=name)
    secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    secrets.untag_resource(SecretId=name, TagKeys=["a"])
    assert secrets.describe_secret(SecretId=name)["Tags"] == [{"Key": "b", "Value": "2"}]
    draw = {"PasswordLength": 20, "ExcludePunctuation": True}
    passwords = {secrets.get_random_password(**draw)["RandomPassword"] for _ in range(20)}
    assert len(passwords) == 20
    assert all(len(one) == 20 and one.isalnum() for one in passwords)
    policy = secrets.get_resource_policy(SecretId=name)
    assert policy["Name"] == name and "ResourcePolicy" not in policy


def test_what_is_not_here_is_refused_by_name(secrets, name):
    secrets.create_secret(Name=name)
    with refused("UnknownOperationException", 400, "`RotateSecret` is refused"):
        secrets.rotate_secret(SecretId=name)
    with refused("UnknownOperationException", 400, "there is one region"):
        secrets.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": "x-1"}])
    with refused("UnknownOperationException", 400, "secrets have no policies"):
        secrets.put_resource_policy(SecretId=name, ResourcePolicy="{}")
    with refused("ValidationException", 400, "AddReplicaRegions"):
        secrets.create_secret(Name=name + "b", AddReplicaRegions=[{"Region": "x-1"}])


# ---- who uses them -------------------------------------------------------------------------------


def test_a_task_reads_a_secret(node, secrets, name):
    secrets.create_secret(Name=name, SecretString="hunter2")
    resource = "arn:aws:states:::aws-sdk:secretsmanager:getSecretValue"

    def run(secret, end):
        state = {"Type": "Task", "Resource": resource, "Parameters": {"SecretId": secret}, "End": True}
        made = machine(node, name + end, single(state))
        started = node.sfn().start_execution(stateMachineArn=made)["executionArn"]
        return ended(node, started, 20)

    assert json.loads(run(name, "a")["output"])["SecretString"] == "hunter2"
    done = run("nobody", "b")
    assert done["error"] == "SecretsManager.ResourceNotFoundException"
    assert done["cause"].startswith(f"{NOT_FOUND}. (Service: SecretsManager, Status Code: 400")


TEMPLATE = """
Resources:
  Password:
    Type: AWS::SecretsManager::Secret
    Properties:
      Name: !Sub '${AWS::StackName}/db'
      Description: DESCRIPTION
      GenerateSecretString:
        SecretStringTemplate: '{"username": "admin"}'
        GenerateStringKey: password
        PasswordLength: 24
        ExcludePunctuation: true
  Copy:
    Type: AWS::SSM::Parameter
    Properties:
      Name: !Sub '/${AWS::StackName}/copy'
      Type: String
      Value: !Sub 'u={{resolve:secretsmanager:${Password}:SecretString:username}} p={{resolve:secretsmanager:${Password}:SecretString:password}}'
Outputs:
  Arn: {Value: !Ref Password}
"""


def test_a_stack_makes_a_password_and_hands_it_on(node, secrets, name):
    cloud, stack = node.client("cloudformation"), "secret-" + name
    quick = {"Delay": 1, "MaxAttempts": 30}
    cloud.create_stack(StackName=stack, TemplateBody=TEMPLATE.replace("DESCRIPTION", "one"))
    cloud.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=quick)
    value = json.loads(current(secrets, f"{stack}/db"))
    assert value["username"] == "admin" and len(value["password"]) == 24
    assert value["password"].isalnum()
    outputs = cloud.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    assert outputs[0]["OutputValue"] == secrets.describe_secret(SecretId=f"{stack}/db")["ARN"]
    copy = node.client("ssm").get_parameter(Name=f"/{stack}/copy")["Parameter"]["Value"]
    assert copy == f"u=admin p={value['password']}"
    # it is in nothing that the stack shows
    shown = [
        cloud.describe_stack_events(StackName=stack)["StackEvents"],
        cloud.describe_stack_resources(StackName=stack)["StackResources"],
        cloud.get_template(StackName=stack, TemplateStage="Processed"),
    ]
    assert value["password"] not in json.dumps(shown, default=str)
    # a new description leaves the password alone
    cloud.update_stack(StackName=stack, TemplateBody=TEMPLATE.replace("DESCRIPTION", "two"))
    cloud.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=quick)
    assert secrets.describe_secret(SecretId=f"{stack}/db")["Description"] == "two"
    assert json.loads(current(secrets, f"{stack}/db")) == value
    cloud.delete_stack(StackName=stack)
    cloud.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=quick)
    with refused("ResourceNotFoundException", 400, NOT_FOUND):
        secrets.describe_secret(SecretId=f"{stack}/db")


def test_a_reference_to_no_secret_fails_the_resource(node, name):
    cloud, stack = node.client("cloudformation"), "secret-" + name
    body = {"Type": "String", "Value": "{{resolve:secretsmanager:nobody:SecretString:a}}"}
    template = {"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": body}}}
    cloud.create_stack(StackName=stack, TemplateBody=json.dumps(template), OnFailure="DO_NOTHING")
    failed = lambda: [
        event["ResourceStatusReason"]
        for event in cloud.describe_stack_events(StackName=stack)["StackEvents"]
        if event["ResourceStatus"] == "CREATE_FAILED" and event["LogicalResourceId"] == "P"
    ]
    assert NOT_FOUND in eventually(failed)[0]
    cloud.delete_stack(StackName=stack)


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def hooked(server, tmp_path):
    """A node that may reach the server and lets MQTT clients in."""
    options = ["--http-allow", server.address, "--mqtt", "127.0.0.1:0", "--allow-anonymous"]
    made = Node(tmp_path / "data", options)
    yield made
    made.kill()
    assert "hunter" not in made.log_text()


def test_rules_use_secrets_wherever_expressions_are(hooked, server):
    secrets = hooked.client("secretsmanager")
    secrets.create_secret(Name="hook", SecretString='{"user": "me", "token": "hunter2"}')
    secrets.create_secret(Name="plain", SecretString="hunter3")
    enabled(hooked, server)
    get = f"get_secret('hook', 'SecretString', 'user', '{ROLE}')"
    header = {"key": "x-token", "value": "${get_secret('hook', 'SecretString', 'token', '" + ROLE + "')}"}
    action = {"http": {"url": server.url + "/in", "confirmationUrl": server.url, "headers": [header]}}
    sql = (
        f"SET @user = {get} SELECT n, @user AS user, get_secret('plain', 'SecretString', '{ROLE}') AS plain, "
        f"get_secret('hook', 'SecretString', 'nothing', '{ROLE}') AS nothing FROM 'a/+' WHERE {get} = 'me'"
    )
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [action]}
    hooked.iot().create_topic_rule(ruleName="uses_secrets", topicRulePayload=payload)
    client = Client(hooked, "gw-1")
    publish = lambda payload: client.mqtt.publish("a/1", payload, 1).wait_for_publish(PATIENCE)
    publish('{"n": 1}')
    sent = eventually(lambda: server.requests("/in"))[0]
    assert json.loads(sent["body"]) == {"n": 1, "user": "me", "plain": "hunter3"}
    assert sent["headers"]["x-token"] == "hunter2"
    # a new value counts for the next message: nothing is kept for 15 minutes
    secrets.put_secret_value(SecretId="hook", SecretString='{"user": "me", "token": "hunter4"}')
    publish('{"n": 2}')
    sent = eventually(lambda: server.requests("/in")[1:])[0]
    assert sent["headers"]["x-token"] == "hunter4"
    # and one that no longer matches ends it
    secrets.put_secret_value(SecretId="hook", SecretString='{"user": "you"}')
    publish('{"n": 3}')
    secrets.put_secret_value(SecretId="hook", SecretString='{"user": "me", "token": "hunter5"}')
    publish('{"n": 4}')
    eventually(lambda: len(server.requests("/in")) >= 3)
    assert [json.loads(one["body"])["n"] for one in server.requests("/in")] == [1, 2, 4]
    client.close()


def test_the_tester_asks_for_secrets_and_says_what_is_missing(node, secrets, name):
    secrets.create_secret(Name=name, SecretString="not json")

    def told(function, **more):
        sql = f"SELECT {function} AS v FROM 'a'"
        return evaluate(node, sql=sql, message=message("a", {}), **more)

    asked = f"get_secret('{name}', 'SecretString', '{ROLE}')"
    assert told(asked)["select"]["result"]["json"] == {"v": "not json"}
    missing = told(f"get_secret('{name}', 'SecretString', 'k', '{ROLE}')")
    assert missing["select"]["result"]["json"] == {}
    assert "is no JSON object, so it has no key" in missing["warnings"][0]
    assert "not json" not in missing["warnings"][0]
    given = told(asked, answers={"get_secret": {name: "given"}})
    assert given["select"]["result"]["json"] == {"v": "given"}
    nobody = told(f"get_secret('nobody', 'SecretString', '{ROLE}')")
    assert NOT_FOUND in nobody["warnings"][0]


def test_secrets_survive_a_kill(own_node):
    secrets = own_node.client("secretsmanager")
    kept, values = {}, {}
    for n in range(40):
        made = secrets.create_secret(Name=f"s{n}", SecretString=f"v{n}")
        kept[f"s{n}"] = made["ARN"]
        for round_ in range(n % 3):
            secrets.put_secret_value(SecretId=f"s{n}", SecretString=f"v{n}.{round_}")
        values[f"s{n}"] = f"v{n}.{n % 3 - 1}" if n % 3 else f"v{n}"
    secrets.delete_secret(SecretId="s1")
    secrets.delete_secret(SecretId="s2", ForceDeleteWithoutRecovery=True)
    own_node.restart()
    secrets = own_node.client("secretsmanager")
    listed = {one["Name"]: one["ARN"] for one in secrets.list_secrets()["SecretList"]}
    assert listed == {key: arn for key, arn in kept.items() if key not in ("s1", "s2")}
    assert all(current(secrets, key) == values[key] for key in listed)
    secrets.restore_secret(SecretId="s1")
    assert current(secrets, "s1") == values["s1"]
