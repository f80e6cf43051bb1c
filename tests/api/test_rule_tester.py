"""Testing rules: what a rule makes of a message, and the messages that rules have seen."""

import base64
import json

from support import ROLE, Node, eventually


def evaluate(node, expected=200, **body):
    """The answer to a request to evaluate."""
    status, headers, answer = node.send("POST", "/-/rules/evaluate", json.dumps(body).encode())
    assert status == expected, answer
    assert headers["content-type"] == "application/json"
    return json.loads(answer)


def messages(node, query=""):
    status, _, answer = node.send("GET", f"/-/rules/messages{query}")
    assert status == 200, answer
    return json.loads(answer)["messages"]


def message(topic, payload, **more):
    return {"topic": topic, "payload": payload, **more}


def republish(topic):
    return {"republish": {"topic": topic, "roleArn": ROLE}}


# ---- evaluating ----------------------------------------------------------------------------------


def test_a_condition_that_fails_is_told_part_by_part(node):
    told = evaluate(
        node,
        sql="SELECT temp FROM 'a/+' WHERE on = true AND state.temp > 30",
        message=message("a/b", {"on": True, "state": {"temperature": 40}}),
    )
    assert told["matches"] is False
    why = "`state` has no member `temp`; it has `temperature`"
    assert why in told["sentence"] and told["sentence"].startswith("it does not match: WHERE")
    assert told["from"] == {"filter": "a/+", "topic": "a/b", "matches": True}
    first, second = told["where"]["parts"]
    assert first["value"] == {"type": "boolean", "json": True}
    assert second["value"] == {"type": "undefined"}
    assert second["parts"][0]["why"] == why
    assert told["actions"] == []


def test_a_filter_says_at_which_level_it_fails(node):
    told = evaluate(node, sql="SELECT * FROM 'a/+/c'", message=message("a/b/d", {}))
    assert told["matches"] is False
    assert told["from"]["why"] == "level 3 of the topic is `d`, the filter wants `c`"


def test_messages_have_clients_properties_and_any_bytes(node):
    sql = "SELECT clientid() AS c, principal() AS p, encode(*, 'base64') AS b FROM '#'"
    raw = base64.b64encode(b"\x00\xff").decode()
    told = evaluate(
        node,
        sql=sql,
        message={"topic": "a", "payloadBase64": raw, "clientId": "gw-1", "principal": "f" * 64},
    )
    expected = {"c": "gw-1", "p": "f" * 64, "b": raw}
    assert told["select"]["result"] == {"type": "object", "json": expected}
    assert "not JSON" in told["warnings"][0]


def test_the_node_answers_what_a_statement_asks_of_it(node, name):
    node.iot().create_thing(thingName=name, attributePayload={"attributes": {"owner": "ada"}})
    shadow = json.dumps({"state": {"desired": {"on": True}}})
    node.client("iot-data").update_thing_shadow(thingName=name, payload=shadow)
    sql = (
        f"SELECT get_registry_data('DescribeThing', topic(2), '{ROLE}').attributes.owner AS owner, "
        f"get_thing_shadow(topic(2), '{ROLE}').state.desired AS desired FROM 'a/+'"
    )
    told = evaluate(node, sql=sql, message=message(f"a/{name}", {}))
    assert told["select"]["result"]["json"] == {"owner": "ada", "desired": {"on": True}}
    assert told["warnings"] == []
    # an answer that is given comes first, and of another thing there is nothing to tell
    told = evaluate(
        node,
        sql=sql,
        message=message("a/nobody", {}),
        answers={"get_registry_data": {"nobody": {"attributes": {"owner": "eve"}}}},
    )
    assert told["select"]["result"]["json"] == {"owner": "eve"}
    assert "No shadow exists with name: 'nobody'" in told["warnings"][0]


def test_a_statement_that_is_refused_is_refused_with_its_place(node):
    sql = "SELECT *\nFROM 'a' WERE b = 1"
    told = evaluate(node, 400, sql=sql, message=message("a", {}))
    assert told["__type"] == "SqlParseException"
    place = told["place"]
    assert (place["line"], place["column"], place["text"]) == (2, 10, "FROM 'a' WERE b = 1")
    assert "WHERE" in place["hint"] and place["message"] in told["message"]


def test_requests_that_make_no_sense_are_refused(node):
    for body, what in [
        ({"sql": "SELECT * FROM 'a'"}, "message"),
        ({"message": message("a", {})}, "sql"),
        ({"sql": "SELECT * FROM 'a'", "message": message("a/+", {})}, "topic"),
        ({"sql": "SELECT * FROM 'a'", "message": message("a", {}), "speed": 1}, "speed"),
        ({"sql": 1, "message": message("a", {})}, "sql"),
        ({"rule": "none_of_this_name", "message": message("a", {})}, "none_of_this_name"),
        ({"sql": "SELECT * FROM 'a'", "recorded": 10**12}, "10"),
    ]:
        status, _, answer = node.send("POST", "/-/rules/evaluate", json.dumps(body).encode())
        assert status in (400, 404), body
        assert what in json.loads(answer)["message"], answer
    assert node.send("POST", "/-/rules/evaluate", b"{")[0] == 400


def test_a_rule_of_the_node_is_tried_with_its_actions_and_nothing_is_done(node, name):
    node.iot().create_topic_rule(
        ruleName=name,
        topicRulePayload={
            "sql": f"SELECT n FROM '{name}/+' WHERE n > 1",
            "actions": [republish(f"{name}-out/${{topic(2)}}"), republish("x/${gone}")],
            "errorAction": republish(f"{name}-errors"),
            "awsIotSqlVersion": "2016-03-23",
        },
    )
    told = evaluate(node, rule=name, message=message(f"{name}/7", {"n": 2}))
    assert told["matches"] is True
    good, bad = told["actions"]
    assert good["action"] == "republish"
    assert good["would"]["json"]["topic"] == f"{name}-out/7"
    assert "gone" in bad["fails"]
    assert told["errorAction"]["would"]["json"]["topic"] == f"{name}-errors"
    assert messages(node, f"?topic={name}-out/%2B") == []
    disabled = {"ruleName": name}
    node.iot().disable_topic_rule(**disabled)
    told = evaluate(node, rule=name, message=message(f"{name}/7", {"n": 2}))
    assert told["sentence"] == "it does not match: the rule is disabled"


def test_a_large_answer_is_cut(node):
    told = evaluate(
        node,
        sql="SELECT big FROM 'a' WHERE big = 'x'",
        message=message("a", {"big": "y" * 100_000}),
    )
    value = told["where"]["parts"][0]["value"]
    assert value["truncated"] is True and len(value["text"]) <= 1024 and value["bytes"] > 100_000


# ---- recorded messages ---------------------------------------------------------------------------


def test_messages_that_rules_saw_are_listed_and_can_be_tried(node, name, device):
    node.iot().create_topic_rule(
        ruleName=name,
        topicRulePayload={"sql": f"SELECT * FROM '{name}/+'", "actions": [republish(f"out/{name}")]},
    )
    client = device(node, name).connect()
    client.publish(f"{name}/1", {"n": 1})
    client.publish(f"{name}/2", b"\x00\xff")
    listed = eventually(lambda: len(seen := messages(node, f"?topic={name}/%2B")) == 2 and seen)
    assert [kept["topic"] for kept in listed] == [f"{name}/2", f"{name}/1"]
    assert listed[0]["payloadBase64"] == base64.b64encode(b"\x00\xff").decode()
    assert listed[1]["payload"] == {"n": 1}
    assert listed[1]["clientId"] == name and listed[1]["thingName"] == name
    assert listed[1]["rules"] == [name]
    again = eventually(lambda: messages(node, f"?topic=out/{name}"))
    assert "clientId" not in again[0] and again[0]["rules"] == []
    told = evaluate(node, rule=name, recorded=listed[1]["id"])
    assert told["matches"] is True and told["select"]["result"]["json"] == {"n": 1}
    told = evaluate(node, sql=f"SELECT clientid() AS c FROM '{name}/2'", recorded=listed[1]["id"])
    assert told["select"]["result"]["json"] == {"c": name}
    assert told["matches"] is False
    assert len(messages(node, "?limit=1")) == 1
    assert node.send("GET", "/-/rules/messages?limit=0")[0] == 400
    assert node.send("GET", "/-/rules/messages?colour=red")[0] == 400


def test_recorded_messages_are_bounded_gone_after_a_restart_and_can_be_off(tmp_path):
    node = Node(tmp_path / "data", ["--recorded-messages", "2"])
    try:
        publish = node.client("iot-data").publish
        for number in range(3):
            publish(topic="a", payload=json.dumps({"n": number}))
        kept = eventually(lambda: (seen := messages(node)) and seen[0]["payload"] == {"n": 2} and seen)
        assert [message["payload"]["n"] for message in kept] == [2, 1]
        node.restart()
        assert messages(node) == []
        node.options = ["--recorded-messages", "0"]
        node.restart()
        node.clients.clear()
        node.client("iot-data").publish(topic="a", payload="1")
        assert messages(node) == []
    finally:
        node.kill()


def test_pages_of_other_origins_and_keyed_nodes_get_nothing(node, tmp_path):
    body = json.dumps({"sql": "SELECT * FROM 'a'", "message": message("a", {})}).encode()
    foreign = {"Origin": "https://example.com"}
    assert node.send("POST", "/-/rules/evaluate", body, foreign)[0] == 403
    assert node.send("GET", "/-/rules/messages", headers=foreign)[0] == 403
    keyed = Node(tmp_path / "data", ["--check-signatures"])
    try:
        assert keyed.send("POST", "/-/rules/evaluate", body)[0] == 403
        assert keyed.send("GET", "/-/rules/messages")[0] == 403
    finally:
        keyed.kill()
