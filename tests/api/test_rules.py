"""Topic rules: which message starts what, and `completeTask`."""

import json
import re

import pytest
from support import ACCOUNT, REGION, ROLE, ended, eventually, machine, plain, refused
from support import single, token_of, token_table, waiting

PASS = single({"Type": "Pass", "End": True})


def republish(topic, **more):
    return {"republish": {"topic": topic, "roleArn": ROLE, **more}}


def payload(sql, *actions, **more):
    return {"sql": sql, "actions": list(actions), **more}


def complete_task(table, **more):
    return {"completeTask": {"tableName": table, "deviceId": "${topic(2)}", **more}}


# ---- the API -------------------------------------------------------------------------------------


def test_a_rule_is_shown_as_it_was_given(node, name):
    iot = node.iot()
    sql = f"SELECT *, topic(2) AS device FROM 'in/{name}/+' WHERE a > 1"
    given = payload(
        sql,
        republish("out/${topic(3)}", qos=1),
        description="what it is for",
        awsIotSqlVersion="2016-03-23",
        errorAction=republish("errors"),
    )
    assert plain(iot.create_topic_rule(ruleName=name, topicRulePayload=given)) == {}
    got = plain(iot.get_topic_rule(ruleName=name))
    assert got["ruleArn"] == f"arn:aws:iot:{REGION}:{ACCOUNT}:rule/{name}"
    created = got["rule"].pop("createdAt")
    assert got["rule"] == {**given, "ruleName": name, "ruleDisabled": False}
    listed = [rule for rule in iot.list_topic_rules()["rules"] if rule["ruleName"] == name]
    assert listed == [
        {
            "ruleArn": got["ruleArn"],
            "ruleName": name,
            "topicPattern": f"in/{name}/+",
            "createdAt": created,
            "ruleDisabled": False,
        }
    ]


def test_a_rule_is_created_once_replaced_and_deleted(node, name):
    iot = node.iot()
    first, second = payload("SELECT a FROM 'a'"), payload("SELECT b FROM 'b'", republish("c"))
    with refused("UnauthorizedException", 401, name):
        iot.replace_topic_rule(ruleName=name, topicRulePayload=first)
    iot.create_topic_rule(ruleName=name, topicRulePayload=first)
    with refused("ResourceAlreadyExistsException", 409, f"^Rule with name {name} already exists$"):
        iot.create_topic_rule(ruleName=name, topicRulePayload=second)
    status, _, answer = node.request("iot", "POST", f"/rules/{name}", second)
    answer = json.loads(answer)
    assert (status, answer["resourceId"], answer["resourceArn"]) == (409, name, f"arn:aws:iot:{REGION}:{ACCOUNT}:rule/{name}")
    assert iot.get_topic_rule(ruleName=name)["rule"]["sql"] == first["sql"]
    assert plain(iot.replace_topic_rule(ruleName=name, topicRulePayload=second)) == {}
    assert iot.get_topic_rule(ruleName=name)["rule"]["actions"] == second["actions"]
    assert plain(iot.delete_topic_rule(ruleName=name)) == {}
    with refused("UnauthorizedException", 401, name):
        iot.get_topic_rule(ruleName=name)


def test_rules_are_listed_in_pages_and_by_topic(own_node):
    iot = own_node.iot()
    for number in range(5):
        disabled = {"ruleDisabled": number == 4}
        iot.create_topic_rule(
            ruleName=f"r{number}", topicRulePayload=payload(f"SELECT * FROM 'x/{number}'", **disabled)
        )
    first = iot.list_topic_rules(maxResults=3)
    rest = iot.list_topic_rules(maxResults=3, nextToken=first["nextToken"])
    assert "nextToken" not in rest
    names = [rule["ruleName"] for rule in first["rules"] + rest["rules"]]
    assert names == [f"r{number}" for number in range(5)]

    def listed(**more):
        return [rule["ruleName"] for rule in iot.list_topic_rules(**more)["rules"]]

    assert listed(topic="x/2") == ["r2"]
    assert listed(ruleDisabled=True) == ["r4"]


def test_a_statement_calls_get_dynamodb_once(node, name):
    item = f"get_dynamodb('t', 'k', a, '{ROLE}')"
    twice = payload(f"SELECT {item} AS a, {item} AS b FROM 'a'") | {"awsIotSqlVersion": "2016-03-23"}
    with refused("SqlParseException", 400, "^get_dynamodb can be called once in a statement\n"):
        node.iot().create_topic_rule(ruleName=name, topicRulePayload=twice)


@pytest.mark.parametrize(
    "sql, place",
    [
        ("", r"^expected `SELECT` at line 1 column 1\n\n\^$"),
        ("SELECT * FORM 'a'", r"^unexpected `FORM` at line 1 column 10\n.*\n {9}\^\nhint: .*`FROM`"),
        ("SELECT *\nFROM 'a'\nWHERE x >", r"line 3 column 10\nWHERE x >\n {9}\^"),
        ("SELECT nope(1) FROM 'a'", r"^unknown function `nope` at line 1 column 8\n"),
        ("SELECT get_thing_shadow('a', 'b') AS s FROM 'a'",
         r"^function `get_thing_shadow` is not available in SQL version 2015-10-08 at line 1 column 8\n"),
        ("SELECT get_secret('a', 'SecretString', 'c') FROM 'a'",
         r"^`get_secret` takes the ARN of a role as roleArn, which 'c' is not at line 1 column 8\n"),
        ("SELECT 'open FROM 'a'", r"^a string is not closed at line 1 column \d+\n"),
        ("SELECT * FROM 'a/#/b'", r"^`#` is no level of a topic filter at line 1 column 15\n"),
        ("SELECT * FROM 'a' GROUP BY x", r"^`GROUP` is not available at line 1 column 19\n.*\n {18}\^\nhint: "),
        ("SET @a = 1, @a = 2 SELECT @a FROM 'a'", r"^variable `@a` is set twice at line 1 column 13\n"),
    ],
)
def test_a_bad_statement_is_refused_with_its_place(node, name, sql, place):
    with refused("SqlParseException", 400, place):
        node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload(sql))
    with refused("UnauthorizedException", 401, name):
        node.iot().get_topic_rule(ruleName=name)


@pytest.mark.parametrize(
    "action, what",
    [
        ({"kinesis": {"streamName": "a", "roleArn": ROLE}}, "action `kinesis` is not available"),
        ({"republish": {"topic": "${nope()}", "roleArn": ROLE}}, "unknown function `nope`"),
        ({"republish": {"topic": "${a", "roleArn": ROLE}}, "not closed"),
        ({"republish": {"topic": "${indexof(a, 'b')}", "roleArn": ROLE}},
         "function `indexof` is not available in SQL version 2015-10-08"),
        ({"republish": {"topic": "a/+/b", "roleArn": ROLE}}, "has a wildcard"),
        ({"republish": {"topic": "a", "roleArn": ROLE, "qos": 2}}, "`qos`"),
        ({"republish": {"topic": "a", "roleArn": ROLE, "headers": {"messageExpiry": "a"}}}, "`a`"),
        ({"republish": {"topic": "$$aws/things/a/shadow/update/delta", "roleArn": ROLE}}, "reserved topic"),
        ({"stepFunctions": {"stateMachineName": "a", "roleArn": ROLE, "executionNamePrefix": "a/b"}},
         "`executionNamePrefix`"),
        ({}, "exactly one member"),
    ],
)
def test_an_action_that_cannot_be_carried_out_is_refused_by_name(node, name, action, what):
    given = payload("SELECT * FROM 'a'", action)
    with refused("InvalidRequestException", 400, re.escape(what)):
        node.iot().create_topic_rule(ruleName=name, topicRulePayload=given)


def test_unknown_members_and_names_are_refused(node, name):
    for body, what in (
        (payload("SELECT * FROM 'a'", colour=1), "`colour`"),
        (payload("SELECT * FROM 'a'", awsIotSqlVersion="1999-01-01"), "1999-01-01"),
        ({"sql": "SELECT * FROM 'a'"}, "`actions`"),
    ):
        status, headers, answer = node.request("iot", "POST", f"/rules/{name}", body)
        assert (status, headers["x-amzn-ErrorType"]) == (400, "InvalidRequestException")
        assert what in json.loads(answer)["message"]
    with refused("InvalidRequestException", 400, "ruleName"):
        node.unchecked("iot").create_topic_rule(
            ruleName="a-b", topicRulePayload=payload("SELECT * FROM 'a'")
        )


# ---- what rules do -------------------------------------------------------------------------------


def test_a_message_is_selected_filtered_and_republished(node, name, device):
    sql = (
        "SELECT *, temperature * 2 AS double, topic(2) AS device, clientid() AS client, "
        f"upper(unit) AS place.unit, timestamp() AS at FROM 'in/+/{name}' WHERE temperature >= 21.5"
    )
    rule = payload(sql, republish("out/" + name + "/${topic(2)}", qos=1))
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    one = device(node, name).connect().subscribe(f"out/{name}/+")
    one.publish(f"in/a/{name}", {"temperature": 21, "unit": "c"})
    one.publish(f"in/b/{name}", {"temperature": 22, "unit": "c"})
    message = one.message()
    assert message.topic == f"out/{name}/b"
    got = json.loads(message.payload)
    assert isinstance(got.pop("at"), int)
    assert got == {
        "temperature": 22,
        "unit": "c",
        "double": 44,
        "device": "b",
        "client": name,
        "place": {"unit": "C"},
    }
    node.iot().disable_topic_rule(ruleName=name)
    one.publish(f"in/c/{name}", {"temperature": 22})
    node.iot().enable_topic_rule(ruleName=name)
    one.publish(f"in/d/{name}", {"temperature": 22})
    assert one.message().topic == f"out/{name}/d"
    assert one.messages.empty()


def test_a_message_starts_an_execution(node, name):
    arn = machine(node, name, PASS)
    action = {"stepFunctions": {"stateMachineName": name, "roleArn": ROLE, "executionNamePrefix": "p"}}
    rule = payload(f"SELECT *, topic(2) AS device FROM 'start/{name}'", action)
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    node.client("iot-data").publish(topic=f"start/{name}", qos=1, payload=b'{"n": 1}')
    (execution,) = node.sfn().list_executions(stateMachineArn=arn)["executions"]
    assert execution["name"].startswith("p")
    found = ended(node, execution["executionArn"])
    assert json.loads(found["input"]) == {"n": 1, "device": name}


def test_a_failing_action_is_logged_and_has_its_error_action(node, name, device):
    action = {"stepFunctions": {"stateMachineName": "${nothing}", "roleArn": ROLE}}
    rule = payload(f"SELECT * FROM 'fail/{name}'", action, errorAction=republish(f"errors/{name}"))
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    one = device(node, name).connect().subscribe(f"errors/{name}")
    one.publish(f"fail/{name}", {"n": 1})
    document = json.loads(one.message().payload)
    assert document["ruleName"] == name
    assert document["topic"] == f"fail/{name}"
    assert document["clientId"] == name
    (failure,) = document["failures"]
    assert failure["failedAction"] == "StepFunctionsAction"
    assert "`${nothing}` has no value" in failure["errorMessage"]
    node.logs(f"rule `{name}` failed for a message on `fail/{name}`")


@pytest.mark.parametrize(
    "action, kind, why",
    [
        ({"stepFunctions": {"stateMachineName": "missing", "roleArn": ROLE}},
         "StepFunctionsAction", "State Machine Does Not Exist: .*:missing"),
        ({"lambda": {"functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f"}},
         "LambdaAction", "Function not found: .*:f"),
        ({"dynamoDBv2": {"putItem": {"tableName": "missing"}, "roleArn": ROLE}},
         "DynamoDBv2Action", "ResourceNotFoundException"),
    ],
)
def test_the_error_action_tells_what_the_world_lacks(node, name, device, action, kind, why):
    rule = payload(f"SELECT * FROM 'fail/{name}'", action, errorAction=republish(f"errors/{name}"))
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    one = device(node, name).connect().subscribe(f"errors/{name}")
    one.publish(f"fail/{name}", {"n": 1})
    (failure,) = json.loads(one.message().payload)["failures"]
    assert failure["failedAction"] == kind
    assert re.search(why, failure["errorMessage"])
    assert one.messages.empty()


def test_variables_are_the_same_for_the_error_action(node, name, device):
    failing = {"dynamoDBv2": {"putItem": {"tableName": "missing-${@id}"}, "roleArn": ROLE}}
    rule = payload(
        f"SET @id = newuuid() SELECT @id AS id FROM 'fail/{name}'",
        republish(f"done/{name}/${{@id}}"),
        failing,
        errorAction=republish(f"errors/{name}/${{@id}}"),
        awsIotSqlVersion="2016-03-23",
    )
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    one = device(node, name).connect().subscribe(f"done/{name}/+").subscribe(f"errors/{name}/+")
    one.publish(f"fail/{name}", {})
    seen = {message.topic.split("/")[0]: message for message in (one.message(), one.message())}
    drawn = json.loads(seen["done"].payload)["id"]
    assert seen["done"].topic.endswith(drawn) and seen["errors"].topic.endswith(drawn)
    asking = f"SET @a = get_thing_shadow('x', '{ROLE}'), @b = @a.y SELECT @b FROM 'a'"
    rule |= {"sql": asking, "actions": [], "errorAction": republish("errors/${@b}")}
    with refused("InvalidRequestException", 400, "errorAction.*variables that are set by them"):
        node.iot().create_topic_rule(ruleName=f"{name}b", topicRulePayload=rule)


@pytest.mark.parametrize("text", ['"25"', '"hello"', '"{}"', '25', 'null', '[1]', '{"a": 1.50}'])
def test_what_is_selected_whole_is_what_was_sent(node, name, device, text):
    rule = payload(f"SELECT * FROM 'in/{name}'", republish(f"out/{name}"))
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    one = device(node, name).connect().subscribe(f"out/{name}")
    one.publish(f"in/{name}", text)
    assert one.message().payload.decode() == text.replace(": ", ":")


def test_a_message_is_stored_as_an_item(node, name):
    token_table(node, "Tokens-" + name)
    action = {"dynamoDBv2": {"roleArn": ROLE, "putItem": {"tableName": "Tokens-" + name}}}
    rule = payload(f"SELECT * FROM 'store/{name}'", action)
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    body = {"operationId": "a", "token": "b", "n": 1.5, "list": [True, None]}
    node.client("iot-data").publish(topic=f"store/{name}", qos=1, payload=json.dumps(body))
    (item,) = node.dynamodb().scan(TableName="Tokens-" + name)["Items"]
    assert item == {
        "operationId": {"S": "a"},
        "token": {"S": "b"},
        "n": {"N": "1.5"},
        "list": {"L": [{"BOOL": True}, {"NULL": True}]},
    }


def test_rules_that_feed_each_other_end(node, name):
    rule = payload(f"SELECT * FROM 'loop/{name}'", republish(f"loop/{name}"))
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    node.client("iot-data").publish(topic=f"loop/{name}", qos=1, payload=b"{}")
    node.logs(f"rule `{name}` failed", "republish loop")


def test_a_result_too_long_for_an_execution_or_a_packet_is_an_error(node, name):
    arn = machine(node, name, PASS)
    copies = ", ".join(f"big AS c{number}" for number in range(12))
    action = {"stepFunctions": {"stateMachineName": name, "roleArn": ROLE}}
    rule = payload(f"SELECT {copies} FROM 'big/{name}'", action, republish(f"out/{name}"))
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    body = json.dumps({"big": "x" * 100_000})
    node.client("iot-data").publish(topic=f"big/{name}", qos=1, payload=body)
    assert node.sfn().list_executions(stateMachineArn=arn)["executions"] == []
    node.logs("at most 262144", "at most 1048576")


# ---- completeTask --------------------------------------------------------------------------------


def has_action(node, name, sql, action):
    """Creates a rule with an action that AWS's model does not know."""
    body = payload(sql, action)
    status, _, answer = node.request("iot", "POST", f"/rules/{name}", body)
    assert status == 200, answer


@pytest.fixture
def story(node, name, device):
    """A machine that waits for an answer on `devices/<thing>/<name>`, and its two things."""
    return Story(node, name, device(node, name + "-a"), device(node, name + "-b"))


class Story:
    def __init__(self, node, name, right, other):
        self.node, self.name, self.right, self.other = node, name, right, other
        self.table, self.arn = "Tokens-" + name, None
        token_table(node, self.table)
        self.arn = machine(node, name, single(waiting(self.table, HeartbeatSeconds=60)))
        sql = f"SELECT *, topic(2) AS thingName FROM 'devices/+/{name}'"
        has_action(node, name, sql, complete_task(self.table, operationId="${operationId}"))

    def begin(self, operation):
        given = json.dumps({"operationId": operation, "thingName": self.right.name})
        started = self.node.sfn().start_execution(stateMachineArn=self.arn, input=given)
        return started["executionArn"]

    def answer(self, device, operation, topic_of=None, status="SUCCESS"):
        topic = f"devices/{(topic_of or device).name}/{self.name}"
        device.publish(topic, {"operationId": operation, "status": status})

    def row(self, operation):
        found = self.node.dynamodb().query(
            TableName=self.table,
            KeyConditionExpression="operationId = :o",
            ExpressionAttributeValues={":o": {"S": operation}},
        )
        (item,) = found["Items"]
        return item

    def status(self, execution):
        return self.node.sfn().describe_execution(executionArn=execution)["status"]


def test_the_device_that_was_asked_completes_its_task(story):
    execution = story.begin("op")
    story.right.connect()
    story.answer(story.right, "op")
    found = ended(story.node, execution)
    assert (found["status"], json.loads(found["output"])) == (
        "SUCCEEDED",
        {"operationId": "op", "status": "SUCCESS", "thingName": story.right.name},
    )
    assert story.row("op")["status"] == {"S": "COMPLETED"}


def test_no_other_device_completes_it_though_its_policy_allows_the_topic(story):
    execution = story.begin("op")
    story.other.connect()
    story.answer(story.other, "op", topic_of=story.right)
    story.answer(story.other, "op")
    refusal = (
        f"rule `{story.name}`: answer of `{story.right.name}` to `op` not taken: "
        f"it was published by `{story.other.name}`"
    )
    story.node.logs(refusal)
    assert story.status(execution) == "RUNNING"
    assert story.row("op")["status"] == {"S": "ACTIVE"}
    story.right.connect()
    story.answer(story.right, "op")
    assert ended(story.node, execution)["status"] == "SUCCEEDED"


def test_a_device_under_another_client_id_speaks_for_no_thing(story):
    execution = story.begin("op")
    story.right.connect(client_id=story.right.name + "-laptop")
    story.answer(story.right, "op")
    story.node.logs("published by `a connection that is no thing's`")
    assert story.status(execution) == "RUNNING"


def test_the_service_side_completes_nothing(story):
    execution = story.begin("op")
    topic = f"devices/{story.right.name}/{story.name}"
    body = json.dumps({"operationId": "op"})
    story.node.client("iot-data").publish(topic=topic, qos=1, payload=body)
    assert story.status(execution) == "RUNNING"


def test_an_answer_faster_than_its_token_is_kept_for_it(story):
    story.right.connect()
    story.answer(story.right, "early")
    execution = story.begin("early")
    found = ended(story.node, execution)
    assert (found["status"], json.loads(found["output"])["status"]) == ("SUCCEEDED", "SUCCESS")
    assert story.row("early")["status"] == {"S": "COMPLETED"}


def test_each_operation_has_its_own_answer(story):
    first, second = story.begin("one"), story.begin("two")
    story.right.connect()
    story.answer(story.right, "two", status="SECOND")
    assert json.loads(ended(story.node, second)["output"])["status"] == "SECOND"
    assert story.status(first) == "RUNNING"
    story.answer(story.right, "one", status="FIRST")
    assert json.loads(ended(story.node, first)["output"])["status"] == "FIRST"


def test_a_task_that_ended_otherwise_takes_no_answer(story):
    execution = story.begin("op")
    token = token_of(story.node, story.table, "op")
    story.node.sfn().send_task_failure(taskToken=token, error="Gone")
    story.right.connect()
    story.answer(story.right, "op")
    assert ended(story.node, execution)["error"] == "Gone"
    eventually(lambda: story.row("op")["status"] == {"S": "CLOSED"})


def test_two_tasks_for_one_operation_and_device_are_ambiguous(story):
    first, second = story.begin("op"), story.begin("op")
    story.right.connect()
    story.answer(story.right, "op")
    story.node.logs("2 tasks wait for this operation of this device")
    assert (story.status(first), story.status(second)) == ("RUNNING", "RUNNING")


def test_tools_that_know_only_aws_actions_write_it_as_a_function(node, name, device):
    token_table(node, "Tokens-" + name)
    arn = machine(node, name, single(waiting("Tokens-" + name, HeartbeatSeconds=60)))
    function = f"stepwire:completeTask?tableName=Tokens-{name}&deviceId=${{topic(2)}}"
    rule = payload(f"SELECT * FROM 'devices/+/{name}'", {"lambda": {"functionArn": function}})
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=rule)
    given = json.dumps({"operationId": "op", "thingName": name})
    started = node.sfn().start_execution(stateMachineArn=arn, input=given)
    device(node, name).connect().publish(f"devices/{name}/{name}", {"operationId": "op"})
    assert ended(node, started["executionArn"])["status"] == "SUCCEEDED"


def test_a_bad_complete_task_is_refused_by_member(node, name):
    for action, what in (
        ({"deviceId": "${topic(2)}"}, "tableName"),
        ({"tableName": "T", "colour": "red"}, "`colour`"),
        ({"tableName": "T", "operationId": "${nope()}"}, "unknown function `nope`"),
    ):
        body = payload("SELECT * FROM 'a'", {"completeTask": action})
        status, _, answer = node.request("iot", "POST", f"/rules/{name}", body)
        assert status == 400 and what in json.loads(answer)["message"]


def test_rules_kept_answers_and_tasks_survive_a_kill(own_node, device):
    story = Story(own_node, "survives", device(own_node, "dev-a"), device(own_node, "dev-b"))
    execution = story.begin("op")
    story.right.connect()
    story.answer(story.right, "early")
    story.right.close()
    own_node.restart()
    early = story.begin("early")
    assert ended(own_node, early)["status"] == "SUCCEEDED"
    story.right.connect()
    story.answer(story.right, "op")
    assert ended(own_node, execution)["status"] == "SUCCEEDED"
    own_node.restart()
    assert story.row("op")["status"] == {"S": "COMPLETED"}
    assert story.status(execution) == "SUCCEEDED"
    own_node.iot().delete_topic_rule(ruleName="survives")
    own_node.restart()
    assert own_node.iot().list_topic_rules()["rules"] == []


def test_a_doubtful_statement_is_made_and_told_in_the_log(node, name):
    sql = f"SELECT upper(a, b) AS x FROM '{name}'"
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload(sql))
    node.logs(f"rule `{name}`: `upper`")
