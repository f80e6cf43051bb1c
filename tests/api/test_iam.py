"""Roles and policies that are stored and shown; temporary credentials; parameters."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from support import ACCOUNT, REGION, Node, refused

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
MAY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
def iam(node):
    return node.client("iam")


def role(iam, name, **more):
    document = json.dumps(TRUST)
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)["Role"]


# ---- IAM -----------------------------------------------------------------------------------------


def test_a_role_is_made_shown_and_removed(iam, name):
    made = role(
        iam,
        "role-" + name,
        Path="/app/",
        Description="for <tests> & more",
        MaxSessionDuration=7200,
        Tags=[{"Key": "team", "Value": "fleet"}],
    )
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/app/role-{name}"
    assert made["RoleId"].startswith("AROA") and made["AssumeRolePolicyDocument"] == TRUST
    shown = iam.get_role(RoleName="role-" + name)["Role"]
    assert shown["Description"] == "for <tests> & more"
    assert shown["MaxSessionDuration"] == 7200
    assert shown["Tags"] == [{"Key": "team", "Value": "fleet"}]
    assert shown["CreateDate"].tzinfo
    listed = iam.list_roles(PathPrefix="/app/")["Roles"]
    assert "role-" + name in [one["RoleName"] for one in listed]
    with refused("EntityAlreadyExists", 409, f"Role with name role-{name} already exists."):
        role(iam, "role-" + name)
    iam.delete_role(RoleName="role-" + name)
    with refused("NoSuchEntity", 404, f"The role with name role-{name} cannot be found."):
        iam.get_role(RoleName="role-" + name)


def test_policies_of_a_role_hold_it(iam, name):
    role(iam, name)
    iam.attach_role_policy(RoleName=name, PolicyArn=BASIC)
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(MAY))
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert attached == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["own"]
    shown = iam.get_role_policy(RoleName=name, PolicyName="own")
    assert shown["PolicyDocument"] == MAY
    with refused("DeleteConflict", 409, "must detach all policies first"):
        iam.delete_role(RoleName=name)
    iam.detach_role_policy(RoleName=name, PolicyArn=BASIC)
    with refused("DeleteConflict", 409, "must delete policies first"):
        iam.delete_role(RoleName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="own")
    iam.delete_role(RoleName=name)


def test_a_managed_policy_has_versions(iam, name):
    made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(MAY))["Policy"]
    arn = made["Arn"]
    assert made["DefaultVersionId"] == "v1" and made["AttachmentCount"] == 0
    other = {**MAY, "Id": "second"}
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other), SetAsDefault=True)
    shown = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert shown["Document"] == other and shown["IsDefaultVersion"]
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [one["VersionId"] for one in versions] == ["v2", "v1"]
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    role(iam, name)
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    listed = iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]
    assert arn in [one["Arn"] for one in listed]
    with refused("DeleteConflict", 409, "attached to entities"):
        iam.delete_policy(PolicyArn=arn)


def test_an_instance_profile_holds_one_role(iam, name):
    role(iam, name)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert [one["RoleName"] for one in profile["Roles"]] == [name]
    with refused("DeleteConflict", 409, "must remove roles from instance profile first"):
        iam.delete_instance_profile(InstanceProfileName=name)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)


def test_what_is_no_policy_is_refused(iam, name):
    cases = {
        "not json": "This policy contains invalid Json",
        json.dumps(MAY): "Has prohibited field Resource",
        json.dumps({"Statement": []}): "Syntax errors in policy.",
        json.dumps({"Statement": [{"Effect": "Allow"}]}): "Missing required field Action",
    }
    for document, message in cases.items():
        with refused("MalformedPolicyDocument", 400, message):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)


def test_lists_come_in_pages_and_users_do_not_come_at_all(iam, name):
    for number in range(5):
        role(iam, f"{name}-{number}", Path=f"/{name}/")
    pages = iam.get_paginator("list_roles").paginate(
        PathPrefix=f"/{name}/", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Roles"]) for page in pages] == [2, 2, 1]
    with refused("InvalidAction", 400, "users, groups and access keys are not available"):
        iam.create_user(UserName=name)
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_roles_outlive_a_kill(own_node):
    made = role(own_node.client("iam"), "kept")
    own_node.client("ssm").put_parameter(Name="/kept", Value="v", Type="String")
    own_node.restart()
    assert own_node.client("iam").get_role(RoleName="kept")["Role"]["RoleId"] == made["RoleId"]
    assert own_node.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "v"


# ---- STS -----------------------------------------------------------------------------------------


def session_of(node, credentials):
    def client(service):
        return boto3.client(
            service,
            endpoint_url=node.endpoint,
            region_name=REGION,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


@pytest.fixture(scope="module")
def strict_node(tmp_path_factory):
    """A node that checks signatures, as one does that is open to the network."""
    node = Node(tmp_path_factory.mktemp("strict") / "data", ["--check-signatures"])
    keys = json.loads((node.folder / "keys.json").read_text())
    node.credentials = Credentials(keys["id"], keys["secret"])
    yield node
    node.kill()


def test_the_caller_is_the_account(node):
    shown = node.client("sts").get_caller_identity()
    assert (shown["Account"], shown["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")


def test_credentials_of_a_role_pass_the_gate(strict_node):
    made = role(strict_node.client("iam"), "worker")
    sts = strict_node.client("sts")
    given = sts.assume_role(RoleArn=made["Arn"], RoleSessionName="me")
    credentials = given["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA") and credentials["Expiration"].tzinfo
    client = session_of(strict_node, credentials)
    shown = client("sts").get_caller_identity()
    assert shown["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/me"
    assert shown["UserId"] == made["RoleId"] + ":me" == given["AssumedRoleUser"]["AssumedRoleId"]
    client("stepfunctions").list_state_machines()
    forged = {**credentials, "SecretAccessKey": "A" * 40}
    with refused("InvalidSignatureException", 400, ""):
        session_of(strict_node, forged)("stepfunctions").list_state_machines()
    forged = {**credentials, "SessionToken": "AAAA" + credentials["SessionToken"][4:]}
    with refused("UnrecognizedClientException", 400, ""):
        session_of(strict_node, forged)("stepfunctions").list_state_machines()
    with refused("UnrecognizedClientException", 400, ""):
        without = {**credentials, "SessionToken": ""}
        session_of(strict_node, without)("stepfunctions").list_state_machines()


def test_credentials_of_the_account_pass_the_gate(strict_node):
    credentials = strict_node.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    shown = session_of(strict_node, credentials)("sts").get_caller_identity()
    assert shown["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_only_a_role_that_is_there_is_assumed(node, name):
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    with refused("AccessDenied", 403, "is not authorized to perform: sts:AssumeRole"):
        node.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")
    role(node.client("iam"), name)
    with refused("ValidationError", 400, "MaxSessionDuration"):
        node.client("sts").assume_role(RoleArn=arn, RoleSessionName="me", DurationSeconds=7200)
    with refused("ValidationError", 400, "less than or equal to 43200"):
        node.client("sts").assume_role(RoleArn=arn, RoleSessionName="me", DurationSeconds=43201)
    with refused("InvalidAction", 400, "DecodeAuthorizationMessage"):
        node.client("sts").decode_authorization_message(EncodedMessage="x")


# ---- SSM -----------------------------------------------------------------------------------------


def test_a_parameter_is_put_read_and_overwritten(node, name):
    ssm = node.client("ssm")
    path = f"/{name}/url"
    assert ssm.put_parameter(Name=path, Value="a", Type="String")["Version"] == 1
    with refused("ParameterAlreadyExists", 400, "The parameter already exists."):
        ssm.put_parameter(Name=path, Value="b", Type="String")
    assert ssm.put_parameter(Name=path, Value="b", Type="String", Overwrite=True)["Version"] == 2
    shown = ssm.get_parameter(Name=path)["Parameter"]
    assert (shown["Value"], shown["Version"], shown["Type"]) == ("b", 2, "String")
    assert shown["ARN"] == f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{path}"
    assert shown["LastModifiedDate"].tzinfo
    assert ssm.get_parameter(Name=path + ":1")["Parameter"]["Value"] == "a"
    history = ssm.get_parameter_history(Name=path)["Parameters"]
    assert [one["Value"] for one in history] == ["a", "b"]
    found = ssm.get_parameters(Names=[path, "/none"])
    assert len(found["Parameters"]) == 1 and found["InvalidParameters"] == ["/none"]
    ssm.delete_parameter(Name=path)
    with refused("ParameterNotFound", 400, ""):
        ssm.get_parameter(Name=path)


def test_secrets_are_shown_decrypted_only(node, name):
    ssm = node.client("ssm")
    ssm.put_parameter(Name=name, Value="hidden", Type="SecureString")
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] != "hidden"
    shown = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert shown["Value"] == "hidden"


def test_parameters_are_listed_by_path_and_described(node, name):
    ssm = node.client("ssm")
    for key in ["a", "b", "c/d"]:
        ssm.put_parameter(Name=f"/{name}/{key}", Value=key, Type="String")
    level = ssm.get_parameters_by_path(Path=f"/{name}")["Parameters"]
    assert [one["Value"] for one in level] == ["a", "b"]
    pages = ssm.get_paginator("get_parameters_by_path").paginate(
        Path=f"/{name}", Recursive=True, PaginationConfig={"PageSize": 2}
    )
    assert [one["Value"] for page in pages for one in page["Parameters"]] == ["a", "b", "c/d"]
    ssm.add_tags_to_resource(
        ResourceType="Parameter", ResourceId=f"/{name}/a", Tags=[{"Key": "k", "Value": name}]
    )
    described = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:k", "Values": [name]}])
    assert [one["Name"] for one in described["Parameters"]] == [f"/{name}/a"]
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=f"/{name}/a")
    assert tags["TagList"] == [{"Key": "k", "Value": name}]


def test_what_is_not_here_of_parameters_is_refused_by_name(node, name):
    ssm = node.client("ssm")
    with refused("ParameterNotFound", 400, "AWS's public parameters are not held"):
        ssm.get_parameter(Name="/aws/service/ami-amazon-linux-latest/x")
    with pytest.raises(ClientError, match="LabelParameterVersion"):
        ssm.label_parameter_version(Name=name, Labels=["x"])
    with refused("ValidationException", 400, "can't be prefixed"):
        ssm.put_parameter(Name="aws-thing", Value="v", Type="String")
