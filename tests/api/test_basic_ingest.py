"""Basic Ingest: a message names the rule that it is for, and nobody else sees it."""

import json
import threading

import pytest
from support import PATIENCE, ROLE, Client, Node, ended, eventually, machine, refused, single

PASS = single({"Type": "Pass", "End": True})


def republish(topic):
    return {"republish": {"topic": topic, "roleArn": ROLE, "qos": 1}}


def rule(node, name, sql, *actions, **more):
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": list(actions), **more}
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload)


@pytest.fixture(scope="module")
def open_node(tmp_path_factory):
    """A node that lets everybody in over plain MQTT, too."""
    options = ["--mqtt", "127.0.0.1:0", "--allow-anonymous"]
    node = Node(tmp_path_factory.mktemp("ingest") / "data", options)
    yield node
    node.kill()


@pytest.fixture
def client(open_node):
    """Makes clients that are closed at the end."""
    made = []

    def make(name, **options):
        made.append(Client(open_node, name, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("qos", [0, 1])
def test_a_message_runs_its_rule_and_reaches_nobody_else(node, name, device, qos):
    sql = f"SELECT a, topic() AS t, topic(2) AS two, clientid() AS c FROM '{name}/#'"
    rule(node, name, sql, republish(f"out/{name}"))
    rule(node, f"{name}_all", "SELECT a FROM '#' WHERE topic(1) = 'd'", republish(f"all/{name}"))
    one = device(node, name).connect()
    one.subscribe("#").subscribe("$aws/#").subscribe("+/+/+/d/1")
    one.publish(f"$aws/rules/{name}/d/1", {"a": 1}, qos)
    one.publish(f"{name}/last", '{"a": 2}')
    seen = {}

    def is_ours(message):
        """What other tests left is kept by the node, and what their rules do may come late."""
        topic = message.topic
        return topic in ("d/1", f"all/{name}", f"out/{name}", f"{name}/last") or "rules" in topic

    while sum(map(len, seen.values())) < 3 or not one.messages.empty():
        message = one.message()
        if is_ours(message):
            seen.setdefault(message.topic, []).append(json.loads(message.payload))
    # by Basic Ingest, and by a message that matches the rule's filter
    runs = [{"a": 1, "t": "d/1", "two": "1", "c": name}, {"a": 2, "t": f"{name}/last", "two": "last", "c": name}]
    assert seen == {f"out/{name}": runs, f"{name}/last": [{"a": 2}]}


def test_a_caller_publishes_to_a_rule(node, name):
    arn = machine(node, name, PASS)
    action = {"stepFunctions": {"stateMachineName": name, "roleArn": ROLE}}
    rule(node, name, "SELECT *, topic() AS t FROM 'a/b'", action)
    data = node.client("iot-data")
    data.publish(topic=f"$aws/rules/{name}", qos=1, payload=b'{"n": 1}')
    data.publish(topic=f"$aws/rules/{name}/a/b", qos=1, payload=b'{"n": 2}')
    runs = node.sfn().list_executions(stateMachineArn=arn)["executions"]
    inputs = [json.loads(ended(node, run["executionArn"])["input"]) for run in runs]
    assert sorted(inputs, key=lambda given: given["n"]) == [{"n": 1, "t": ""}, {"n": 2, "t": "a/b"}]
    with refused("InvalidRequestException", 400, "Basic Ingest"):
        data.publish(topic=f"$aws/rules/{name}", retain=True, payload=b"{}")
    with refused("InvalidRequestException", 400, "reserved"):
        data.publish(topic="$aws/rules/", payload=b"{}")


def test_a_rule_that_does_not_run_is_told_by_name(node, name, device):
    rule(node, name, "SELECT * FROM 'a'", republish(f"out/{name}"), ruleDisabled=True)
    one = device(node, name).connect().subscribe(f"out/{name}")
    # acknowledged, as on AWS: the device has done its part
    one.publish(f"$aws/rules/{name}/a", {"n": 1})
    one.publish(f"$aws/rules/{name}_none/a", {"n": 1})
    node.logs(
        f"a message on `$aws/rules/{name}/a` reached no rule `{name}`: it is disabled",
        f"reached no rule `{name}_none`: there is no rule of this name",
    )
    node.iot().enable_topic_rule(ruleName=name)
    one.publish(f"$aws/rules/{name}/a", {"n": 2})
    assert json.loads(one.message().payload) == {"n": 2}
    assert one.messages.empty()


def test_nothing_is_retained_and_nobody_subscribes(open_node, client, name):
    rule(open_node, name, "SELECT * FROM 'a'", republish(f"out/{name}"))
    one = client(name)
    filters = [f"$aws/rules/{name}/a", "$aws/rules/#", f"$share/g/$aws/rules/{name}/+"]
    assert one.granted([(text, 1) for text in filters]) == [0x87] * 3
    acks = []
    one.mqtt.on_publish = lambda _c, _u, _m, reason, _p: acks.append(reason.value)
    one.mqtt.publish(f"$aws/rules/{name}/a", "{}", 1, retain=True)
    one.mqtt.publish(f"$aws/rules/{name}/a", "{}", 1)
    eventually(lambda: len(acks) == 2)
    assert acks == [0x87, 0]
    listed = open_node.client("iot-data").list_retained_messages()["retainedTopics"]
    assert all(not kept["topic"].startswith("$aws/rules") for kept in listed)


def test_the_policy_says_which_rules_a_device_may_use(node, name, device):
    rule(node, name, "SELECT n FROM 'a'", republish(f"out/{name}"))
    rule(node, f"{name}_other", "SELECT n FROM 'a'", republish(f"out/{name}"))
    watcher = device(node, name).connect().subscribe(f"out/{name}")
    limited = device(node, f"{name}l")
    arn = "arn:aws:iot:us-east-1:000000000000"
    deny = {"Effect": "Deny", "Action": "iot:Publish", "Resource": f"{arn}:topic/$aws/rules/{name}_other/*"}
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    node.iot().create_policy(policyName=f"{name}d", policyDocument=json.dumps(policy))
    node.iot().attach_policy(policyName=f"{name}d", target=limited.certificate)
    limited.connect()
    limited.publish(f"$aws/rules/{name}/a", {"n": 1})
    assert json.loads(watcher.message().payload) == {"n": 1}
    # before MQTT 5.0 a refusal can only close the connection
    limited.mqtt.publish(f"$aws/rules/{name}_other/a", '{"n": 2}', 1)
    node.logs(f"device `{name}l` was refused `iot:Publish` on `$aws/rules/")
    assert watcher.messages.empty()


def test_an_acknowledged_message_has_run_its_rule_when_the_node_is_killed(own_node, name, device):
    arn = machine(own_node, name, PASS)
    action = {"stepFunctions": {"stateMachineName": name, "roleArn": ROLE}}
    rule(own_node, name, "SELECT * FROM 'a'", action)
    one = device(own_node, name).connect()
    for number in range(20):
        one.publish(f"$aws/rules/{name}/a", {"n": number})
    own_node.kill()
    own_node.start()
    runs = own_node.sfn().list_executions(stateMachineArn=arn)["executions"]
    found = [json.loads(ended(own_node, run["executionArn"])["input"])["n"] for run in runs]
    assert sorted(found) == list(range(20))


def test_a_rule_that_is_replaced_or_disabled_under_load_runs_each_message_once(open_node, client, name):
    """Every message is run by the rule as it was or as it is: by neither or by both never."""
    iot = open_node.iot()
    filters = [f"load/{name}/+", f"load/{name}/#", f"+/{name}/+", f"load/+/x"]

    def payload(version):
        sql = f"SELECT n, {version} AS v FROM '{filters[version % len(filters)]}'"
        return {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [republish(f"out/{name}")]}

    iot.create_topic_rule(ruleName=name, topicRulePayload=payload(0))
    reader, writer = client(f"{name}-r"), client(f"{name}-w")
    reader.subscribe(f"out/{name}")
    messages, stop = 0, threading.Event()

    def load():
        nonlocal messages
        while not stop.is_set():
            writer.mqtt.publish(f"load/{name}/x", json.dumps({"n": messages}), 1).wait_for_publish(PATIENCE)
            messages += 1

    loading = threading.Thread(target=load)
    loading.start()
    for version in range(1, 60):
        iot.replace_topic_rule(ruleName=name, topicRulePayload=payload(version))
    stop.set()
    loading.join()
    found = [reader.event() for _ in range(messages)]
    assert [one["n"] for one in found] == list(range(messages)) and reader.messages.empty()
    versions = [one["v"] for one in found]
    assert versions == sorted(versions) and len(set(versions)) > 10

    # while it is disabled it runs none, otherwise all: what is heard is in whole runs
    stop.clear()
    messages = 0
    loading = threading.Thread(target=load)
    loading.start()
    marks = []
    for _ in range(30):
        iot.disable_topic_rule(ruleName=name)
        off = messages
        eventually(lambda: messages > off + 2)
        still_off = messages
        iot.enable_topic_rule(ruleName=name)
        on = messages
        eventually(lambda: messages > on + 2)
        marks.append((off + 1, still_off - 1, on + 1, messages - 1))
    stop.set()
    loading.join()
    writer.mqtt.publish(f"out/{name}", '{"n": "end"}', 1).wait_for_publish(PATIENCE)
    heard = []
    while (event := reader.event())["n"] != "end":
        heard.append(event["n"])
    assert heard == sorted(set(heard)), "none twice"
    heard = set(heard)
    for off, still_off, on, still_on in marks:
        assert not heard & set(range(off, still_off + 1)), "run while it was disabled"
        assert heard >= set(range(on, still_on + 1)), "not run while it was enabled"
