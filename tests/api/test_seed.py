"""The published sample: its workflow and rule statements as they are, with the AWS CLI too."""

import json
import re

import pytest
from support import ACCOUNT, REGION, ROLE, REPOSITORY, ended, machine, token_table

SEED = REPOSITORY.parent / "shared" / "seed"
ARNS = {
    "3PartyGetUserProfileForDeviceArn": "GetUserProfile",
    "SetConfigurationFunctionArn": "SetConfiguration",
}
FUNCTIONS = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"


@pytest.fixture(scope="module")
def definition():
    """The sample's definition, its two placeholders replaced by ARNs."""
    if not SEED.exists():
        pytest.skip("the sample's files are not here")
    text = (SEED / "config_management.asl.json").read_text()
    for placeholder, function in ARNS.items():
        text = text.replace("${%s}" % placeholder, f"{FUNCTIONS}:{function}")
    assert "${" not in text
    return text


@pytest.fixture(scope="module")
def statements():
    """The sample's two rule statements."""
    if not SEED.exists():
        pytest.skip("the sample's files are not here")
    template = (SEED / "config_management.template.yaml").read_text()
    found = re.findall(r"^ *Sql: (.*)$", template, re.MULTILINE)
    assert len(found) == 2
    return found


def test_the_definition_is_accepted_and_shown_unchanged(node, name, definition):
    arn = machine(node, name, definition)
    described = node.sfn().describe_state_machine(stateMachineArn=arn)
    assert described["definition"] == definition


def test_both_rule_statements_are_accepted_and_shown_unchanged(node, name, statements):
    actions = {
        "devices": {"lambda": {"functionArn": f"{FUNCTIONS}:DeviceEvents"}},
        "presence": {"stepFunctions": {"stateMachineName": name, "roleArn": ROLE}},
    }
    for sql in statements:
        (kind,) = [word for word in actions if word in sql]
        rule = f"{name}_{kind}"
        given = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [actions[kind]]}
        node.iot().create_topic_rule(ruleName=rule, topicRulePayload=given)
        assert node.iot().get_topic_rule(ruleName=rule)["rule"]["sql"] == sql
        node.iot().delete_topic_rule(ruleName=rule)


def test_a_run_describes_its_thing_and_fails_for_want_of_the_function(node, name, definition):
    arn = machine(node, name, definition)
    attributes = {"externalId": "user-1"}
    node.iot().create_thing(thingName=name, attributePayload={"attributes": attributes})
    given = json.dumps({"thingName": name})
    started = node.sfn().start_execution(stateMachineArn=arn, input=given)
    found = ended(node, started["executionArn"])
    assert (found["status"], found["error"]) == ("FAILED", "Lambda.ResourceNotFoundException")
    assert f"Function not found: {FUNCTIONS}:GetUserProfile" in found["cause"]
    history = node.sfn().get_execution_history(executionArn=started["executionArn"])["events"]
    described = [event for event in history if event["type"] == "TaskSucceeded"]
    output = json.loads(described[0]["taskSucceededEventDetails"]["output"])
    assert output["Attributes"] == attributes and output["ThingName"] == name


def test_a_rule_whose_function_is_missing_says_so(node, name):
    function = f"{FUNCTIONS}:DeviceEvents"
    given = {"sql": f"SELECT * FROM 'x/{name}'", "actions": [{"lambda": {"functionArn": function}}]}
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=given)
    node.client("iot-data").publish(topic=f"x/{name}", qos=1, payload=b"{}")
    node.logs(f"rule `{name}` failed for a message on `x/{name}`", f"Function not found: {function}")


def test_presence_starts_the_workflow_of_the_device_that_came(node, name, device, statements):
    (sql,) = [sql for sql in statements if "presence" in sql]
    echo = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    arn = machine(node, name, echo)
    action = {"stepFunctions": {"stateMachineName": name, "roleArn": ROLE}}
    given = {"sql": sql + f" WHERE clientId = '{name}'", "actions": [action]}
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=given)
    device(node, name).connect()
    (execution,) = node.sfn().list_executions(stateMachineArn=arn)["executions"]
    event = json.loads(ended(node, execution["executionArn"])["output"])
    assert (event["thingName"], event["clientId"], event["eventType"]) == (name, name, "connected")
    assert event["sessionIdentifier"] and event["principalIdentifier"]


# ---- the AWS CLI ---------------------------------------------------------------------------------


def test_the_cli_knows_who_it_is(aws_in_a_shell):
    status, output, _ = aws_in_a_shell("sts", "get-caller-identity", "--query", "Account", "--output", "text")
    assert (status, output.strip()) == (0, ACCOUNT)


def test_the_cli_creates_starts_and_describes(node, name, aws_in_a_shell, definition):
    folder = node.folder.parent
    (folder / "definition.json").write_text(definition)
    status, output, errors = aws_in_a_shell(
        *("stepfunctions", "create-state-machine", "--name", name, "--role-arn", ROLE),
        *("--definition", f"file://{folder}/definition.json"),
    )
    assert status == 0, errors
    arn = json.loads(output)["stateMachineArn"]
    status, output, errors = aws_in_a_shell(
        "stepfunctions", "start-execution", "--state-machine-arn", arn, "--input", '{"thingName":"x"}'
    )
    assert status == 0, errors
    execution = json.loads(output)["executionArn"]
    status, output, errors = aws_in_a_shell("stepfunctions", "describe-execution", "--execution-arn", execution)
    assert status == 0, errors
    assert json.loads(output)["stateMachineArn"] == arn


def test_the_cli_makes_a_device(node, name, aws_in_a_shell):
    folder = node.folder.parent
    assert aws_in_a_shell("iot", "create-thing", "--thing-name", name)[0] == 0
    status, arn, errors = aws_in_a_shell(
        *("iot", "create-keys-and-certificate", "--set-as-active", "--query", "certificateArn"),
        *("--output", "text", "--certificate-pem-outfile", f"{folder}/{name}.pem"),
        *("--private-key-outfile", f"{folder}/{name}.key"),
    )
    assert status == 0, errors
    attached = aws_in_a_shell("iot", "attach-thing-principal", "--thing-name", name, "--principal", arn.strip())
    assert attached[0] == 0, attached
    assert node.iot().list_thing_principals(thingName=name)["principals"] == [arn.strip()]


def test_the_cli_says_what_is_wrong(aws_in_a_shell, name):
    status, _, errors = aws_in_a_shell("stepfunctions", "describe-state-machine", "--state-machine-arn", "x")
    assert status != 0
    assert "(InvalidArn)" in errors and "Invalid Arn: 'Invalid ARN prefix: x'" in errors
    status, _, errors = aws_in_a_shell("iot", "describe-thing", "--thing-name", name)
    assert status != 0 and "(ResourceNotFoundException)" in errors


def test_a_service_that_is_not_there_is_refused_by_name(aws_in_a_shell):
    status, _, errors = aws_in_a_shell("kinesis", "list-streams")
    assert status != 0
    assert "service `kinesis` is not available in stepwire" in errors, errors


def test_a_plan_of_the_token_table_by_cli(node, name, aws_in_a_shell):
    token_table(node, "Tokens-" + name)
    item = {"operationId": {"S": "op"}, "token": {"S": "t"}, "status": {"S": "ACTIVE"}}
    put = aws_in_a_shell("dynamodb", "put-item", "--table-name", f"Tokens-{name}", "--item", json.dumps(item))
    assert put[0] == 0, put
    status, output, errors = aws_in_a_shell(
        *("dynamodb", "query", "--table-name", f"Tokens-{name}"),
        *("--key-condition-expression", "operationId = :o"),
        *("--filter-expression", "#s = :a", "--expression-attribute-names", '{"#s":"status"}'),
        *("--expression-attribute-values", '{":o":{"S":"op"},":a":{"S":"ACTIVE"}}'),
    )
    assert status == 0, errors
    assert json.loads(output)["Items"] == [item]
