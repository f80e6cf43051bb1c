"""The published samples' rules, statements and actions as their templates have them, at work.

The functions are ours; what the templates say of rules, tables, buckets and names is theirs.
"""

import base64
import json
import re

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from support import ACCOUNT, REGION, ROLE, REPOSITORY, ended, eventually, machine, plain
from support import token_table
from test_lambda import create

SEED = REPOSITORY.parent / "shared" / "seed"
pytestmark = pytest.mark.skipif(not SEED.exists(), reason="skipped: the samples are not here")


class Template:
    """A template of CloudFormation, its intrinsics resolved as far as rules need them."""

    def __init__(self, name):
        document = yaml.load((SEED / f"{name}.template.yaml").read_text(), Loader)
        self.resources = document["Resources"]
        self.values = {
            name: parameter.get("Default")
            for name, parameter in document["Parameters"].items()
        }

    def resolve(self, value):
        match value:
            case {"Ref": name}:
                return self.values.get(name, name)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{(\w+)\}", lambda found: self.values[found[1]], text)
            case {"Fn::GetAtt": attribute}:
                return self.attribute(*attribute.split("."))
            case dict():
                return {key: self.resolve(inner) for key, inner in value.items()}
            case list():
                return [self.resolve(inner) for inner in value]
        return value

    def attribute(self, resource, name):
        assert name == "Arn"
        if self.resources[resource]["Type"] == "AWS::Serverless::Function":
            return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{resource}"
        assert self.resources[resource]["Type"] == "AWS::IAM::Role"
        return ROLE

    def rules(self):
        """Names and payloads of the rules, as boto3 wants them."""
        for name, resource in self.resources.items():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::IoT::TopicRule":
                payload = self.resolve(properties["TopicRulePayload"])
                yield self.resolve(properties["RuleName"]), lower(payload)
            for event, source in properties.get("Events", {}).items():
                if source["Type"] == "IoTRule":
                    # SAM makes the action of it
                    payload = lower(self.resolve(source["Properties"]))
                    payload["actions"] = [{"lambda": {"functionArn": self.attribute(name, "Arn")}}]
                    yield f"{name}{event}", payload

    def create_rules(self, node, adapt=lambda sql: sql):
        made = []
        for name, payload in self.rules():
            payload["sql"] = adapt(payload["sql"])
            node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload)
            shown = plain(node.iot().get_topic_rule(ruleName=name))["rule"]
            assert {member: shown[member] for member in payload} == payload
            made.append(name)
        return made


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms; what looks like a date stays text."""


def intrinsic(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    return {name: loader.construct_sequence(node, deep=True)}


Loader.add_multi_constructor("!", intrinsic)
Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def lower(value):
    """Members as the API names them: `RoleArn` is `roleArn`."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: lower(inner) for key, inner in value.items()}
    return [lower(inner) for inner in value] if isinstance(value, list) else value


# ---- configuration management --------------------------------------------------------------------

# Does what the sample's function of this name does: finds the token and completes the task.
EVENT_RECEIVED = """
import json, os, urllib.request

def ask(service, target, body):
    scope = f"any/20260101/us-east-1/{service}/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=" + "0" * 64,
        "X-Amz-Date": "20260101T000000Z",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": target,
    }
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

def handler(event, context):
    rows = ask("dynamodb", "DynamoDB_20120810.Query", {
        "TableName": os.environ["TOKENS_TABLE_NAME"],
        "KeyConditionExpression": "operationId = :o",
        "ExpressionAttributeValues": {":o": {"S": event["operationId"]}},
    })["Items"]
    (row,) = [row for row in rows if row["deviceId"]["S"] == event["thingName"]]
    output = json.dumps({"status": event["status"], "event": event})
    ask("states", "AWSStepFunctions.SendTaskSuccess", {"taskToken": row["token"]["S"], "output": output})
"""


def test_configuration_management_runs_from_its_rules(own_node, device):
    """A device connects, is configured, answers; both rules do their part."""
    template = Template("config_management")
    environment = {"Variables": {"TOKENS_TABLE_NAME": "CMTaskTokens"}}
    create(own_node, "3PartyGetUserProfileForDevice")
    same = "def handler(event, context):\n    return {**event, 'operationId': 'op-1', 'name': 'wifi'}\n"
    create(own_node, "SetConfigurationFunction", same)
    create(own_node, "EventReceivedFunction", EVENT_RECEIVED, Environment=environment)
    token_table(own_node, "CMTaskTokens")
    definition = (SEED / "config_management.asl.json").read_text()
    state_machine = template.resources["CMStateMachine"]["Properties"]
    for name, value in template.resolve(state_machine["DefinitionSubstitutions"]).items():
        definition = definition.replace("${%s}" % name, value)
    arn = machine(own_node, template.resolve(state_machine["Name"]), definition)
    assert template.create_rules(own_node) == ["EventReceivedFunctionEventReceived", "StartCMStateMachine"]
    one = device(own_node, "gw-1").connect()
    (run,) = own_node.sfn().list_executions(stateMachineArn=arn)["executions"]
    eventually(lambda: own_node.dynamodb().scan(TableName="CMTaskTokens")["Items"])
    one.publish("devices/gw-1/config_resp", {"operationId": "op-1", "status": "SUCCESS"})
    found = ended(own_node, run["executionArn"])
    assert found["status"] == "SUCCEEDED", found
    given, output = json.loads(found["input"]), json.loads(found["output"])
    assert (given["thingName"], given["eventType"]) == ("gw-1", "connected")
    event = {"operationId": "op-1", "status": "SUCCESS", "thingName": "gw-1"}
    assert output["result"] == {"status": "SUCCESS", "event": event}


# ---- firmware upgrade ----------------------------------------------------------------------------


def file_of(name, package, text):
    """A `.proto` file's description: each line of `text` is a message, its fields after it."""
    kinds = descriptor_pb2.FieldDescriptorProto
    made = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    for line in text.strip().splitlines():
        message, *fields = line.split()
        if message == "enum":
            kind = made.enum_type.add(name=fields[0])
            for number, value in enumerate(fields[1:]):
                kind.value.add(name=value, number=number)
            continue
        message = made.message_type.add(name=message)
        for field in fields:
            field, number, of = re.match(r"(\w+)=(\d+):(\w+)", field).groups()
            kind = {"string": kinds.TYPE_STRING, "bytes": kinds.TYPE_BYTES, "bool": kinds.TYPE_BOOL,
                    "MsgType": kinds.TYPE_ENUM}.get(of, kinds.TYPE_MESSAGE)
            named = {"type_name": f".{package}.{of}"} if kind in (kinds.TYPE_ENUM, kinds.TYPE_MESSAGE) else {}
            message.field.add(
                name=field, number=int(number), type=kind, label=kinds.LABEL_OPTIONAL, **named
            )
    return made


# Parts of the User Services Platform's protocol, version 1.1, which the sample speaks.
RECORD = """
Record version=1:string to_id=2:string from_id=3:string no_session_context=7:NoSessionContextRecord
NoSessionContextRecord payload=2:bytes
"""
MESSAGE = """
enum MsgType ERROR GET GET_RESP NOTIFY
Msg header=1:Header body=2:Body
Header msg_id=1:string msg_type=2:MsgType
Body request=1:Request
Request notify=8:Notify
Notify subscription_id=1:string send_resp=2:bool event=3:Event
Event obj_path=1:string event_name=2:string
"""


@pytest.fixture
def usp():
    """The set of descriptors, and a maker of messages."""
    files = [
        file_of("usp-record-1-1.proto", "usp_record", RECORD),
        file_of("usp-msg-1-1.proto", "usp", MESSAGE),
    ]
    pool = descriptor_pool.DescriptorPool()
    for one in files:
        pool.Add(one)

    def message(name, value):
        made = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()
        return json_format.ParseDict(value, made)

    return descriptor_pb2.FileDescriptorSet(file=files).SerializeToString(), message


def test_firmware_upgrade_decodes_what_devices_say_and_starts_with_a_job(own_node, device, tmp_path, usp):
    template = Template("firmware_upgrade")
    heard = tmp_path / "heard"
    code = (
        "import json\n"
        "def handler(event, context):\n"
        f"    open({str(heard)!r}, 'a').write(json.dumps(event) + '\\n')\n"
    )
    create(own_node, "DeviceMessageHandlerFunction", code)
    descriptors, message = usp
    bucket = template.resources["ProtoBucket"]["Properties"]["BucketName"]
    s3 = own_node.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="usp-1-1.desc", Body=descriptors)
    definition = (SEED / "firmware_upgrade.asl.json").read_text()
    arn = machine(own_node, template.values["StateMachineName"], definition)
    # there are no jobs in this version, and only the service publishes to their topics
    adapted = template.create_rules(own_node, lambda sql: sql.replace("'$aws/things/", "'xaws/things/"))
    assert adapted == ["StartStateMachineRule", "DeviceMessageHandlerFunctionIoTLambda"]

    one = device(own_node, "agent-7").connect()
    said = {
        "header": {"msgId": "m-1", "msgType": "NOTIFY"},
        "body": {"request": {"notify": {
            "subscriptionId": "s-1",
            "sendResp": True,
            "event": {"objPath": "Device.", "eventName": "Boot!"},
        }}},
    }
    payload = base64.b64encode(message("usp.Msg", said).SerializeToString()).decode()
    record = {
        "version": "1.1",
        "toId": "self::aws-dm-controller",
        "fromId": "agent-7",
        "noSessionContext": {"payload": payload},
    }
    record = message("usp_record.Record", record).SerializeToString()
    one.publish("controllers/self::aws-dm-controller/agents/agent-7/response", record)
    eventually(lambda: heard.exists() and heard.read_text())
    assert json.loads(heard.read_text()) == {"thingName": "agent-7", "payload": said}

    topic = "xaws/things/agent-7/jobs/notify-next"
    execution = {"jobId": "job-1", "status": "QUEUED", "jobDocument": {"firmwareVersion": "1.3.0"}}
    one.publish(topic, {"timestamp": 1517016950, "execution": execution})
    one.publish(topic, {"timestamp": 1517016951})
    (run,) = own_node.sfn().list_executions(stateMachineArn=arn)["executions"]
    given = own_node.sfn().describe_execution(executionArn=run["executionArn"])["input"]
    assert json.loads(given) == {
        "timestamp": 1517016950,
        "execution": execution,
        "thingName": "agent-7",
    }
