"""The console's executions, devices, a device and search, as a browser without JavaScript uses them."""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from html import unescape

import pytest
from support import PATIENCE, ROLE

HOSTILE = "<img src=x onerror=alert(1)>"


class Browser:
    """Opens pages and sends their forms."""

    def __init__(self, node):
        self.node = node

    def open(self, path):
        status, headers, body = self.node.send("GET", path, headers={"Accept": "text/html"})
        return status, body.decode(), headers

    def page(self, path):
        status, text, headers = self.open(path)
        assert status == 200, (status, path, said(text))
        assert "unsafe" not in headers["content-security-policy"]
        assert HOSTILE not in text, path
        return text

    def send(self, action, fields):
        body = urllib.parse.urlencode(fields).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        kind |= {"Accept": "text/html", "Origin": self.node.endpoint}
        status, _, text = self.node.send("POST", f"/-/console/{action}", body, kind)
        return status, text.decode()


def said(text):
    """What a page says, tags aside."""
    main = re.search(r"<main.*?</main>", text, re.S)[0]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main)))


def rows(text):
    return re.findall(r'<tr data-href="([^"]+)"', text)


def hidden(text, name):
    return [unescape(value) for value in re.findall(rf'type="hidden" name="{name}" value="([^"]*)"', text)]


def until(condition, what):
    for _ in range(PATIENCE * 20):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not seen: {what}")


@pytest.fixture
def browser(node):
    return Browser(node)


def machine(node, name, states, start):
    definition = json.dumps({"StartAt": start, "States": states})
    role = "arn:aws:iam::000000000000:role/r"
    made = node.sfn().create_state_machine(name=name, definition=definition, roleArn=role)
    return made["stateMachineArn"]


FAILS = {"Check": {"Type": "Fail", "Error": "Device.Broken", "Cause": "it is"}}
WAITS = {"Rest": {"Type": "Wait", "Seconds": 600, "End": True}}
PASSES = {"Do": {"Type": "Pass", "End": True}}


def test_executions_are_found_by_how_they_stand_and_by_text(node, browser, name):
    bad, long, good = (
        machine(node, f"{name}-bad", FAILS, "Check"),
        machine(node, f"{name}-long", WAITS, "Rest"),
        machine(node, f"{name}-good", PASSES, "Do"),
    )
    for arn, run, given in [(bad, "b", {}), (long, "w", {}), (good, "g", {"serial": f"sn-{name}"})]:
        node.sfn().start_execution(stateMachineArn=arn, name=f"{name}-{run}", input=json.dumps(given))

    def found(query):
        return [href for href in rows(browser.page(f"/executions?{query}")) if name in href]

    assert found("") == [f"/executions/{name}-good/{name}-g", f"/executions/{name}-long/{name}-w", f"/executions/{name}-bad/{name}-b"]
    assert found("status=failed") == [f"/executions/{name}-bad/{name}-b"]
    assert found("status=waiting") == [f"/executions/{name}-long/{name}-w"]
    assert found("status=waiting,failed") == [f"/executions/{name}-long/{name}-w", f"/executions/{name}-bad/{name}-b"]
    overview = browser.page("/")
    for several in ("running,waiting,waiting-for-device", "failed,timed-out"):
        assert f"/executions?status={several}" in overview
        browser.page(f"/executions?status={several}")
    assert found(f"workflow={name}-good") == [f"/executions/{name}-good/{name}-g"]
    assert found("q=device.broken") == [f"/executions/{name}-bad/{name}-b"]
    assert found("q=rest&since=1h") == [f"/executions/{name}-long/{name}-w"]
    assert found("status=failed&q=rest") == []
    assert found(f"q=sn-{name}") == []
    assert found(f"q=sn-{name}&inputs=1") == [f"/executions/{name}-good/{name}-g"]
    text = said(browser.page(f"/executions?workflow={name}-bad"))
    assert "Check Device.Broken" in text and "Failed 1" in text


ASKS = {
    "Ask": {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken",
        "Parameters": {"Entries": [{"Source": "test", "DetailType": "asked", "Detail": {"token.$": "$$.Task.Token"}}]},
        "End": True,
    }
}


def test_the_overview_names_those_that_wait_longest_for_a_device(own_node, name):
    browser = Browser(own_node)
    arn = machine(own_node, name, ASKS, "Ask")

    def start(run):
        return own_node.sfn().start_execution(stateMachineArn=arn, name=run)["executionArn"]

    def listed():
        page = browser.page("/").partition('id="longest-title"')[2]
        return [href.rsplit("/", 1)[1] for href in rows(page) if name in href]

    first = start("first")
    until(lambda: listed() == ["first"], "the first waits")
    start("second")
    until(lambda: listed() == ["first", "second"], "the second waits")
    assert "Ask" in said(browser.page("/"))
    own_node.sfn().stop_execution(executionArn=first)
    until(lambda: listed() == ["second"], "the first has ended")


def test_a_filter_that_is_none_is_refused_with_what_there_is(browser):
    for query, hint in [("status=lost", "waiting-for-device"), ("since=soon", "such as 15m"), ("before=x", "number")]:
        status, text, _ = browser.open(f"/executions?{query}")
        assert status == 400
        assert hint in said(text)


def test_older_executions_are_on_later_pages(node, browser, name):
    arn = machine(node, name, PASSES, "Do")
    for number in range(60):
        node.sfn().start_execution(stateMachineArn=arn, name=f"n{number:02}")
    first = browser.page(f"/executions?workflow={name}")
    assert len(rows(first)) == 50 and "/n59" in rows(first)[0]
    older = unescape(re.search(r'href="([^"]+)" rel="next"', first)[1])
    second = browser.page(older)
    assert [href.rsplit("/", 1)[1] for href in rows(second)] == [f"n{number:02}" for number in range(9, -1, -1)]
    assert 'rel="next"' not in second


def test_what_begins_is_counted_and_moves_no_row(node, browser, name):
    arn = machine(node, name, PASSES, "Do")
    node.sfn().start_execution(stateMachineArn=arn, name="first")
    page = browser.page(f"/executions?workflow={name}")
    live = urllib.parse.unquote(unescape(re.search(r'data-live="[^"]*page=([^&"]+)', page)[1]))
    assert "upto=" in live
    node.sfn().start_execution(stateMachineArn=arn, name="second")
    pinned = browser.page(live)
    assert rows(pinned) == [f"/executions/{name}/first"]
    assert "1 new" in said(pinned)


def test_selected_executions_are_redriven_after_a_question(node, browser, name):
    arn = machine(node, name, FAILS, "Check")
    for run in ("one", "two", "three"):
        node.sfn().start_execution(stateMachineArn=arn, name=run)
    back = f"/executions?workflow={name}"
    fields = [("back", back), ("run", f"{name}/one"), ("run", f"{name}/two"), ("do", "redrive")]
    status, asked = browser.send("executions-ask", fields)
    assert status == 200 and "Redrive 2 executions?" in said(asked)
    assert hidden(asked, "run") == [f"{name}/one", f"{name}/two"]
    fields = [("back", back), ("do", "redrive")] + [("run", run) for run in hidden(asked, "run")]
    status, done = browser.send("executions-do", fields)
    assert status == 200 and "2 redriven" in said(done)
    counts = {
        run: node.sfn().describe_execution(executionArn=arn.replace("stateMachine", "execution") + f":{run}")["redriveCount"]
        for run in ("one", "two", "three")
    }
    assert counts == {"one": 1, "two": 1, "three": 0}


def test_all_that_match_are_stopped_and_refusals_are_told(node, browser, name):
    arn = machine(node, name, WAITS, "Rest")
    for run in range(5):
        node.sfn().start_execution(stateMachineArn=arn, name=f"w{run}")
    back = f"/executions?workflow={name}&status=waiting"
    status, asked = browser.send("executions-ask", [("back", back), ("do", "stop-all")])
    assert status == 200 and "Stop 5 executions?" in said(asked)
    fields = [("back", back), ("do", "stop")] + [("run", run) for run in hidden(asked, "run")]
    fields.append(("run", f"{name}/nobody"))
    status, done = browser.send("executions-do", fields)
    assert "5 stopped" in said(done) and "1 × Execution Does Not Exist" in said(done)
    stopped = node.sfn().list_executions(stateMachineArn=arn, statusFilter="ABORTED")["executions"]
    assert len(stopped) == 5
    status, text = browser.send("executions-ask", [("back", back), ("do", "stop")])
    assert status == 400 and "no execution is selected" in said(text)


def test_redrive_all_takes_what_failed_or_timed_out_and_not_what_was_stopped(node, browser, name):
    slow = {"Slow": {"Type": "Wait", "Seconds": 600, "End": True}}
    definition = json.dumps({"StartAt": "Slow", "States": slow, "TimeoutSeconds": 1})
    role = "arn:aws:iam::000000000000:role/r"
    late = node.sfn().create_state_machine(name=f"{name}-late", definition=definition, roleArn=role)
    failing = machine(node, f"{name}-bad", FAILS, "Check")
    resting = machine(node, f"{name}-rest", WAITS, "Rest")
    node.sfn().start_execution(stateMachineArn=late["stateMachineArn"], name=f"{name}-t")
    node.sfn().start_execution(stateMachineArn=failing, name=f"{name}-f")
    stopped = node.sfn().start_execution(stateMachineArn=resting, name=f"{name}-s")["executionArn"]
    node.sfn().stop_execution(executionArn=stopped)
    until(lambda: len(rows(browser.page(f"/executions?q={name}&status=timed-out"))) == 1, "a timeout")

    def asked(query):
        status, text = browser.send("executions-ask", [("back", f"/executions?{query}"), ("do", "redrive-all")])
        return status, sorted(hidden(text, "run")), said(text)

    page = said(browser.page(f"/executions?q={name}"))
    assert "Redrive all 2 that failed" in page, "the button says how many it takes"
    status, runs, text = asked(f"q={name}")
    assert (status, runs) == (200, [f"{name}-bad/{name}-f", f"{name}-late/{name}-t"])
    assert "Redrive 2 executions?" in text
    assert asked(f"q={name}&status=timed-out")[1] == [f"{name}-late/{name}-t"]
    assert "Redrive" not in said(browser.page(f"/executions?q={name}&status=stopped")).replace("Redrive selected", "")
    assert asked(f"q={name}&status=stopped")[0] == 400
    chosen = [("back", "/executions"), ("do", "redrive"), ("run", f"{name}-rest/{name}-s")]
    assert "1 redriven" in said(browser.send("executions-do", chosen)[1]), "one that was stopped is redriven when chosen"


def test_forms_of_other_origins_are_refused(node, browser):
    body = b"do=stop&run=a%2Fb"
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://elsewhere.example"}
    assert node.send("POST", "/-/console/executions-do", body, kind)[0] == 403


def test_a_device_shows_what_happened_to_it(node, browser, device, name):
    thing = f"{name}-dev"
    gateway = device(node, thing)
    gateway.connect()
    page = until(lambda: (text := browser.page(f"/devices/{thing}")) and "online" in said(text) and text, "presence")
    assert "policy" in said(page) and "certificate" in said(page)
    gateway.subscribe(f"devices/{thing}/command")
    gateway.publish(f"devices/{thing}/state", json.dumps({"note": HOSTILE}))
    node.client("iot-data").publish(topic=f"devices/{thing}/command", payload=b'{"go":1}', qos=1)
    text = until(
        lambda: (text := said(browser.page(f"/devices/{thing}"))) and f"got ▼ devices/{thing}/command" in text and text,
        "the message to it",
    )
    assert f"sent ▲ devices/{thing}/state" in text
    listed = said(browser.page(f"/devices?q={thing}"))
    assert thing in listed and "online" in listed
    gateway.close()
    until(lambda: "offline" in said(browser.page(f"/devices/{thing}")), "that it is gone")
    assert rows(browser.page(f"/devices?q={thing}&status=offline")) == [f"/devices/{thing}"]
    assert rows(browser.page(f"/devices?q={thing}&status=online")) == []


def test_executions_of_a_device_are_found_with_the_rules_that_began_them(own_node, device):
    browser = Browser(own_node)
    machine(own_node, "Greets", PASSES, "Do")
    for rule, topic in (("comes", "$aws/events/presence/connected/gw"), ("says", "gw/said")):
        action = {"stepFunctions": {"stateMachineName": "Greets", "roleArn": ROLE}}
        rule_of = {"sql": f"SELECT * FROM '{topic}'", "awsIotSqlVersion": "2016-03-23", "actions": [action]}
        own_node.iot().create_topic_rule(ruleName=rule, topicRulePayload=rule_of)
    gateway = device(own_node, "gw").connect()
    gateway.publish("gw/said", {"n": 1})
    assert len(rows(browser.page("/executions?device=gw"))) == 2
    page = browser.page("/devices/gw")
    titles = [unescape(title) for title in re.findall(r"<title>(rule [^<]+)</title>", page)]
    assert [title.split(" at ")[0] for title in titles] == [
        "rule comes took $aws/events/presence/connected/gw",
        "rule says took gw/said",
    ]
    gateway.close()
    own_node.restart()
    found = rows(browser.page("/devices/gw?tab=executions"))
    assert len(found) == 2
    # The lists of executions are read after the start.
    assert found == until(lambda: rows(browser.page("/executions?device=gw")), "its executions")
    for other in ("other", "%00"):
        assert rows(browser.page(f"/executions?device={other}")) == []
    assert "Greets" in said(browser.page("/devices?q=gw"))


def test_what_others_say_later_hides_neither_messages_nor_rules(own_node, device):
    browser = Browser(own_node)
    own_node.options += ["--recorded-messages", "250"]
    own_node.restart()
    machine(own_node, "Greets", PASSES, "Do")
    action = {"stepFunctions": {"stateMachineName": "Greets", "roleArn": ROLE}}
    for rule, topic, actions in [("says", "gw/said", [action]), ("sleeps", "gw/never", [])]:
        payload = {"sql": f"SELECT * FROM '{topic}'", "awsIotSqlVersion": "2016-03-23", "actions": actions}
        own_node.iot().create_topic_rule(ruleName=rule, topicRulePayload=payload)
    gateway = device(own_node, "gw").connect()
    gateway.publish("gw/said", {"n": 1})
    [run] = until(lambda: rows(browser.page("/executions")), "the execution")
    data = own_node.client("iot-data")
    for n in range(250):
        data.publish(topic="noise", payload=b"{}", qos=0)
    text = browser.page(run)
    assert "gw/said, published by the device" in text
    assert "Rule says took gw/said" in text
    until(lambda: "1 rule took none of the latest 250 messages sleeps" in said(browser.page("/")), "the quiet rule alone")
    gateway.close()


def test_a_distributed_map_says_how_far_its_children_are(node, browser, name):
    item = {"StartAt": "Is", "States": {
        "Is": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 2, "Next": "No"}], "Default": "Yes"},
        "Yes": {"Type": "Succeed"},
        "No": {"Type": "Fail", "Error": "Two"},
    }}  # fmt: skip
    each = {
        "Type": "Map",
        "ToleratedFailurePercentage": 50,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}} | item,
        "End": True,
    }
    arn = machine(node, name, {"Each": each}, "Each")
    node.sfn().start_execution(stateMachineArn=arn, name="run", input="[1,2,3]")
    until(lambda: "Succeeded" in said(browser.page(f"/executions/{name}/run")), "its end")
    page = browser.page(f"/executions/{name}/run")
    assert ">2/3<" in page and "1 item failed, which its Map tolerates" in said(page)


def test_the_shadow_is_shown_and_what_is_desired_changed(node, browser, name):
    node.iot().create_thing(thingName=name)
    state = {"state": {"desired": {"led": True, "old": 1}, "reported": {"led": False}}}
    node.client("iot-data").update_thing_shadow(thingName=name, payload=json.dumps(state).encode())
    page = browser.page(f"/devices/{name}?tab=shadow")
    assert "the device has yet to take over" in said(page)
    before = hidden(page, "before")[0]
    fields = {"back": f"/devices/{name}?tab=shadow", "thing": name, "before": before, "desired": '{"led": false}'}
    assert browser.send("device-shadow", fields)[0] in (200, 303)
    shadow = json.loads(node.client("iot-data").get_thing_shadow(thingName=name)["payload"].read())
    assert shadow["state"] == {"desired": {"led": False}, "reported": {"led": False}}
    assert "the device has what is desired" in said(browser.page(f"/devices/{name}?tab=shadow"))
    status, text = browser.send("device-shadow", {**fields, "desired": "[1]"})
    assert status == 400 and "must be a JSON object" in said(text)


def test_what_a_device_may_do_is_answered_with_the_statement(node, browser, device, name):
    thing = f"{name}-p"
    device(node, thing)
    iot = node.iot()
    allowed = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "iot:Publish", "Resource": f"arn:aws:iot:*:*:topic/devices/{thing}/no"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed, denied]})
    iot.create_policy(policyName=f"{name}-two", policyDocument=document)
    principal = iot.list_thing_principals(thingName=thing)["principals"][0]
    iot.attach_policy(policyName=f"{name}-two", target=principal)

    def ask(action, resource):
        query = urllib.parse.urlencode({"tab": "policy", "action": action, "resource": resource})
        return said(browser.page(f"/devices/{thing}?{query}"))

    assert "✓ Yes" in ask("PUBLISH", f"devices/{thing}/yes")
    refused = ask("PUBLISH", f"devices/{thing}/no")
    assert "✕ No: it is forbidden" in refused and f"policy {name}-two , statement 2" in refused
    assert "must be one of" in ask("FLY", "x")


def test_a_message_is_published_and_a_workflow_started_for_a_device(node, browser, name):
    node.iot().create_thing(thingName=name)
    machine(node, f"{name}-wf", PASSES, "Do")
    assert f'"clientId": "{name}"' in unescape(browser.page(f"/devices/{name}?tab=start&workflow={name}-wf"))
    fields = {"back": f"/devices/{name}?tab=start", "workflow": f"{name}-wf", "input": '{"by":"hand"}'}
    assert browser.send("device-start", fields)[0] in (200, 303, 404)
    listed = until(lambda: rows(browser.page(f"/executions?workflow={name}-wf")), "the execution")
    assert len(listed) == 1
    status, text = browser.send("device-start", {**fields, "input": "{"})
    assert status == 400, text
    fields = {"back": f"/devices/{name}?tab=publish", "device": name, "topic": f"{name}/t", "payload": "{}", "qos": "1"}
    assert browser.send("device-publish", fields)[0] in (200, 303)
    seen = json.loads(node.send("GET", f"/-/rules/messages?topic={name}/t")[2])
    assert len(seen["messages"]) == 1


def test_clients_that_are_no_things_are_listed(node, browser):
    status, text, _ = browser.open("/devices?status=clients")
    assert status == 200 and "Not in the registry" in text
    assert browser.open("/devices?status=lost")[0] == 400
    assert browser.open("/devices/nobody-knows-it")[0] == 404


def test_names_and_inputs_are_text(node, browser, name):
    arn = machine(node, name, FAILS | {"Check": {"Type": "Fail", "Error": HOSTILE, "Cause": HOSTILE}}, "Check")
    node.sfn().start_execution(stateMachineArn=arn, name="h", input=json.dumps({"x": HOSTILE}))
    node.iot().create_thing(thingName=name, attributePayload={"attributes": {"note": "a_b"}})
    for path in (
        f"/executions?workflow={name}",
        f"/executions?q={urllib.parse.quote(HOSTILE)}",
        f"/devices?q={urllib.parse.quote(HOSTILE)}",
        f"/search?q={urllib.parse.quote(HOSTILE)}",
        f"/devices/{name}?tab=policy&resource={urllib.parse.quote(HOSTILE)}",
        f"/devices/{name}?tab=publish&topic={urllib.parse.quote(HOSTILE)}",
    ):
        browser.page(path)


def test_search_goes_where_a_name_leads(node, browser, name):
    node.iot().create_thing(thingName=f"{name}-find-me")
    arn = machine(node, f"{name}-wf", PASSES, "Do")
    run = node.sfn().start_execution(stateMachineArn=arn, name=f"{name}-run-abc")["executionArn"]

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    def leads(text):
        opener = urllib.request.build_opener(Stay)
        request = urllib.request.Request(
            f"{node.endpoint}/search?q={urllib.parse.quote(text)}", headers={"Accept": "text/html"}
        )
        try:
            return opener.open(request).status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.headers["location"]

    assert leads(f"{name}-find-me") == (303, f"/devices/{name}-find-me")
    assert leads(f"{name}-find") == (303, f"/devices/{name}-find-me")
    assert leads(run) == (303, f"/executions/{name}-wf/{name}-run-abc")
    assert leads(f"{name}-run-a") == (303, f"/executions/{name}-wf/{name}-run-abc")
    assert leads(arn) == (303, f"/workflows/{name}-wf")
    assert leads(f"{name}-")[0] == 200
    both = said(browser.page(f"/search?q={name}-"))
    assert f"{name}-find-me" in both and f"{name}-run-abc" in both
    assert "Nothing has such a name" in said(browser.page("/search?q=zzzzzzz"))


def test_names_that_are_steps_in_a_path_have_pages(node, browser, name):
    arn = machine(node, name, PASSES, "Do")
    for run in [".", ".."]:
        node.sfn().start_execution(stateMachineArn=arn, name=run)
    listed = until(lambda: rows(browser.page(f"/executions?workflow={name}"))[1:], "two executions")
    assert len(listed) == 1
    for href, run in [("~.", "."), ("~..", "..")]:
        assert f"/executions/{name}/{href}" in rows(browser.page(f"/executions?workflow={name}"))
        assert f"<title>{run} · {name}" in browser.page(f"/executions/{name}/{href}")


def test_what_is_pasted_into_the_search_opens_its_page(node, browser, device, name):
    states = {
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::dynamodb:putItem.waitForTaskToken",
            "Parameters": {"TableName": name, "Item": {"id": {"S": "1"}, "token": {"S.$": "$$.Task.Token"}}},
            "End": True,
        }
    }
    dynamodb = node.client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    arn = machine(node, name, states, "Ask")
    node.sfn().start_execution(stateMachineArn=arn, name="waits")
    item = until(lambda: dynamodb.get_item(TableName=name, Key={"id": {"S": "1"}}).get("Item"), "the token")
    token = item["token"]["S"]
    device(node, f"{name}-gw")
    certificate = node.iot().list_thing_principals(thingName=f"{name}-gw")["principals"][0]
    for text, title in [
        (token, "waits · "),
        (token[:24], "waits · "),
        (certificate, f"{name}-gw"),
        (f"arn:aws:states:us-east-1:000000000000:execution:{name}:waits", "waits · "),
    ]:
        assert f"<title>{title}" in browser.page("/search?q=" + urllib.parse.quote(text)), text
    nothing = browser.page("/search?q=" + urllib.parse.quote("arn:aws:iot:us-east-1:000000000000:policy/x/y"))
    assert "<title>Search" in nothing, "no topic"
    assert "Logs" in browser.page(f"/logs?exec={name}/waits")
    node.sfn().stop_execution(executionArn=f"arn:aws:states:us-east-1:000000000000:execution:{name}:waits")


def test_children_of_a_map_lead_to_their_execution_and_back(node, browser, name):
    item = {"StartAt": "Is", "States": {
        "Is": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "No"}], "Default": "Yes"},
        "Yes": {"Type": "Succeed"},
        "No": {"Type": "Fail", "Error": "One"},
    }}  # fmt: skip
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}} | item
    each = {"Type": "Map", "ToleratedFailurePercentage": 50, "ItemProcessor": processor, "End": True}
    arn = machine(node, name, {"Each": each}, "Each")
    node.sfn().start_execution(stateMachineArn=arn, name="run", input=json.dumps(list(range(20))))
    until(lambda: "Succeeded" in said(browser.page(f"/executions/{name}/run")), "its end")
    page = browser.page(f"/executions/{name}/run")
    children = re.findall(rf'href="(/executions/{name}%2F[^"]+)"', page)
    child = browser.page(children[0])
    assert "Failed" in said(child), "what failed comes first"
    assert f'href="/executions/{name}/run"' in child and "New execution" not in said(child)
    parent = f"arn:aws:states:us-east-1:000000000000:execution:{name}:run"
    run = node.sfn().list_map_runs(executionArn=parent)["mapRuns"][0]["mapRunArn"]
    assert "<title>run · " in browser.page("/search?q=" + urllib.parse.quote(run))


def test_states_within_a_distributed_map_look_as_they_stand_in_its_children(node, browser, name):
    item = {"StartAt": "Is", "States": {
        "Is": {"Type": "Choice", "Default": "Fine", "Choices": [
            {"Variable": "$", "NumericEquals": 1, "Next": "No"},
            {"Variable": "$", "NumericEquals": 2, "Next": "Rest"},
            {"Variable": "$", "NumericEquals": 99, "Next": "Never"},
        ]},
        "Fine": {"Type": "Succeed"},
        "No": {"Type": "Fail", "Error": "One"},
        "Rest": {"Type": "Wait", "Seconds": 600, "Next": "Fine"},
        "Never": {"Type": "Succeed"},
    }}  # fmt: skip
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}} | item
    each = {"Type": "Map", "ToleratedFailurePercentage": 50, "ItemProcessor": processor, "End": True}
    arn = machine(node, name, {"Each": each}, "Each")
    run = node.sfn().start_execution(stateMachineArn=arn, name="run", input="[0,1,2,3]")["executionArn"]
    path = f"/executions/{name}/run"

    def labels():
        return {found[0]: found[1] for found in re.findall(r'aria-label="(\w+), \w+ state, ([^"]*)"', browser.page(path))}

    until(lambda: labels().get("Rest", "").startswith("1 waiting"), "a child that waits")
    until(lambda: labels().get("Fine") == "2 succeeded in 4 children looked at", "two that have ended")
    assert labels()["No"] == "1 failed in 4 children looked at"
    assert labels()["Is"] == "4 succeeded in 4 children looked at"
    assert labels()["Never"] == "not reached"
    picked = browser.page(f"{path}?state=No")
    assert re.search(r'class="st [^"]*err[^"]* sel"[^>]*aria-label="No, ', picked), "it is the one looked at"
    text = said(picked)
    assert "No in 4 children looked at failed 1" in text, text
    inspector = picked.partition("No in 4 children looked at")[2]
    child = browser.page(re.search(rf'href="(/executions/{name}%2F[^"]+)"', inspector)[1])
    assert "Failed" in said(child) and "One" in said(child)
    assert "None of 4 children looked at has come to it" in said(browser.page(f"{path}?state=Never"))
    node.sfn().stop_execution(executionArn=run)


def test_a_child_that_waits_is_seen_among_many_that_failed(node, browser, name):
    item = {"StartAt": "Is", "States": {
        "Is": {"Type": "Choice", "Default": "No", "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "Rest"}]},
        "No": {"Type": "Fail", "Error": "One"},
        "Rest": {"Type": "Wait", "Seconds": 600, "End": True},
    }}  # fmt: skip
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}} | item
    each = {"Type": "Map", "ToleratedFailurePercentage": 100, "ItemProcessor": processor, "End": True}
    arn = machine(node, name, {"Each": each}, "Each")
    run = node.sfn().start_execution(stateMachineArn=arn, name="run", input=json.dumps(list(range(70))))["executionArn"]
    path = f"/executions/{name}/run"
    until(lambda: 'aria-label="No, Fail state, 10 failed in' in browser.page(path), "those that failed")
    until(lambda: 'aria-label="Rest, Wait state, 1 waiting in' in browser.page(path), "the one that waits")
    until(lambda: "of more than 50 children looked at" in browser.page(path), "that these are not all")
    assert "No more than ten each of the children that failed" in said(browser.page(f"{path}?state=Rest"))
    node.sfn().stop_execution(executionArn=run)


def test_the_rail_counts_what_the_lists_list(own_node, name):
    browser = Browser(own_node)
    key = {"AttributeName": "id", "AttributeType": "S"}
    for number in range(3):
        own_node.client("dynamodb").create_table(
            TableName=f"{name}-{number}", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[key], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )  # fmt: skip
        machine(own_node, f"{name}-{number}", PASSES, "Do")
        own_node.iot().create_thing(thingName=f"{name}-{number}")
    own_node.client("dynamodb").put_item(TableName=f"{name}-0", Item={"id": {"S": "a"}})
    own_node.client("dynamodb").delete_table(TableName=f"{name}-2")
    rail = dict(re.findall(r'<span class="nm">(\w+)</span><span class="ct">(\d+)', browser.page("/")))
    assert (rail["Devices"], rail["Workflows"], rail["Tables"]) == ("3", "3", "2")


def test_a_run_outlives_its_workflow(node, browser, name):
    arn = machine(node, name, PASSES, "Do")
    node.sfn().start_execution(stateMachineArn=arn, name="run")
    until(lambda: "Succeeded" in said(browser.page(f"/executions/{name}/run")), "its end")
    assert "New execution" in said(browser.page(f"/executions/{name}/run"))
    node.sfn().delete_state_machine(stateMachineArn=arn)
    page = browser.page(f"/executions/{name}/run")
    assert "Its workflow has been deleted" in said(page)
    assert "New execution" not in said(page) and f'href="/workflows/{name}"' not in page


def test_long_values_are_cut_and_what_follows_them_is_seen(node, browser, name):
    arn = machine(node, name, PASSES, "Do")
    value = json.dumps({"blob": "x" * 200_000, "after": "here it is"})
    node.sfn().start_execution(stateMachineArn=arn, name="big", input=value)
    until(lambda: "Succeeded" in said(browser.page(f"/executions/{name}/big")), "its end")
    page = said(browser.page(f"/executions/{name}/big?tab=input"))
    assert "xxx…" in page and "here it is" in page and "Not all of its 200 kB is shown" in page


def test_pages_answer_head_and_who_wants_no_gzip(node):
    accept = {"Accept": "text/html"}
    for path in ["/", "/devices", "/executions", "/nothing"]:
        status, headers, body = node.send("HEAD", path, headers=accept)
        assert status == (404 if path == "/nothing" else 200) and body == b"", path
        assert headers["content-type"].startswith("text/html")
    for coding, packed in [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False)]:
        _, headers, _ = node.send("GET", "/", headers=accept | {"Accept-Encoding": coding})
        assert (headers.get("content-encoding") == "gzip") == packed, coding


def test_of_a_history_in_parts_it_is_said_what_is_missing(node, browser, name):
    arn = machine(node, name, PASSES, "Do")
    run = node.sfn().start_execution(stateMachineArn=arn, name="run")["executionArn"]
    until(lambda: "Succeeded" in said(browser.page(f"/executions/{name}/run")), "its end")
    page = node.sfn().get_execution_history(executionArn=run, maxResults=2)
    page.pop("ResponseMetadata")
    status, text = browser.send("open", {"back": "/open", "history": json.dumps(page, default=str)})
    assert status == 200 and "it goes on after the last of these events" in said(text)
    assert "The history has no times" not in said(text)
    rest = node.sfn().get_execution_history(executionArn=run)["events"][2:]
    status, text = browser.send("open", {"back": "/open", "history": json.dumps(rest, default=str)})
    assert status == 200 and "the first event is number 3" in said(text)


def test_a_run_shows_its_lines_in_the_log_group_of_its_workflow(node, browser, name):
    group = node.client("logs")
    group.create_log_group(logGroupName=f"/wf/{name}")
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:/wf/{name}:*"
    logging = {"level": "ALL", "includeExecutionData": True, "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}]}
    definition = json.dumps({"StartAt": "Do", "States": PASSES})
    made = node.sfn().create_state_machine(name=name, definition=definition, roleArn=ROLE, loggingConfiguration=logging)
    for run in ["one", "two"]:
        node.sfn().start_execution(stateMachineArn=made["stateMachineArn"], name=run, input='{"of": "%s"}' % run)
        until(lambda: "Succeeded" in said(browser.page(f"/executions/{name}/{run}")), "its end")
    shown = until(
        lambda: (page := said(browser.page(f"/executions/{name}/two?view=logs"))) and "ExecutionSucceeded" in page and page,
        "the lines",
    )
    assert f"/wf/{name} level ALL" in shown and "PassStateEntered" in shown
    assert "two" in shown and '"of": "one"' not in shown, "its own lines alone"
    group.delete_log_group(logGroupName=f"/wf/{name}")
    assert "does not exist" in said(browser.page(f"/executions/{name}/two?view=logs"))
