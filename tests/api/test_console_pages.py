"""The console's pages as a browser without script gets them: links, forms, and what they do."""

import html
import json
import re
import urllib.parse

from support import ROLE, eventually

BAD = "<img src=x onerror=alert(1)>"


class Forms:
    """A browser without script: pages by GET, forms by POST, redirects not followed."""

    def __init__(self, node):
        self.node = node

    def get(self, path, expected=200):
        status, _, body = self.node.send("GET", path, headers={"Accept": "text/html"})
        text = body.decode()
        assert status == expected, (status, text[:2_000])
        assert "<img" not in text, "markup from outside"
        return text

    def post(self, action, expected=200, **fields):
        """The page after the form was sent (urllib follows the redirect)."""
        fields.setdefault("back", "/")
        body = urllib.parse.urlencode(fields).encode()
        headers = {
            "Accept": "text/html",
            "Origin": self.node.endpoint,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        status, _, page = self.node.send("POST", f"/-/console/{action}", body, headers)
        assert status == expected, (status, page.decode()[:2_000])
        return page.decode()


def text_of(page):
    """What a reader sees of a page's content."""
    main = page[page.index("<main") :]
    main = re.sub(r"<textarea.*?</textarea>", " ", main, flags=re.S)
    main = re.sub(r"</?span[^>]*>", "", main)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)))


def rule(node, name, sql, actions=None):
    payload = {"sql": sql, "actions": actions or [], "awsIotSqlVersion": "2016-03-23"}
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload)


def publish(node, topic, payload):
    node.client("iot-data").publish(topic=topic, qos=1, payload=payload)


def link(path, **query):
    return path + "?" + urllib.parse.urlencode(query)


def recorded(node, topic):
    """Id of the latest message on a topic."""
    path = link("/-/rules/messages", topic=topic)
    return json.loads(node.send("GET", path)[2])["messages"][0]["id"]


# ---- live ----------------------------------------------------------------------------------------


def test_a_message_is_published_and_seen(node, name):
    forms = Forms(node)
    rule(node, f"r{name}", f"SELECT * FROM '{name}/#'", [{"republish": {"topic": "x", "roleArn": ROLE}}])
    topic = f"{name}/{BAD}"
    page = forms.post("publish", back=f"/live?filter={name}/%23", topic=topic, payload='{"a":\r\n1}', qos="1")
    assert f"Published on {topic}" in text_of(page)
    seen = text_of(page)
    assert '{"a": 1}' in seen and f"r{name}" in seen
    listed = forms.get(link("/live", filter=f"{name}/#"))
    number = re.search(r"message=(\d+)", listed)[1]
    chosen = text_of(forms.get(link("/live", filter=f"{name}/#", message=number)))
    assert topic in chosen and "QoS 1" in chosen
    again = forms.get(link("/live", again=number))
    assert html.escape(topic, quote=False) in html.unescape(again) or BAD in html.unescape(again)


def test_a_filter_chooses_and_a_wrong_one_is_told(node, name):
    forms = Forms(node)
    publish(node, f"{name}/a", b"\xff\x00\x01")
    publish(node, f"{name}/b", b"plain")
    page = text_of(forms.get(link("/live", filter=f"{name}/+", **{"as": "hex"})))
    assert "ff 00 01" in page and "70 6c 61 69 6e" in page
    page = text_of(forms.get(link("/live", filter=f"{name}/a#")))
    assert "`+` stands alone" in page and "ff 00" not in page


def test_messages_are_downloaded_as_lines_of_json(node, name):
    for n in range(3):
        publish(node, f"{name}/n", json.dumps({"n": n}))
    path = link("/-/console/messages.jsonl", filter=f"{name}/n")
    status, headers, body = node.send("GET", path)
    assert status == 200 and "attachment" in headers["content-disposition"]
    assert [json.loads(line)["payload"]["n"] for line in body.splitlines()] == [0, 1, 2]


def test_what_cannot_be_published_is_refused_with_the_reason(node):
    page = Forms(node).post("publish", expected=400, topic="a/+", payload="{}")
    assert "without `+`" in html.unescape(page)
    assert "what you typed is still there" in page


# ---- rules ---------------------------------------------------------------------------------------


def test_a_rule_is_tried_on_a_recorded_message_and_says_why(node, name):
    forms, r = Forms(node), f"r{name}"
    rule(node, r, f"SELECT temp FROM '{name}/+' WHERE state.temp > 30")
    publish(node, f"{name}/x", '{"state": {"temperature": 40}}')
    number = recorded(node, f"{name}/x")
    page = text_of(forms.get(link(f"/rules/{r}", recorded=number)))
    assert "it does not match: WHERE does not hold" in page
    assert "`state` has no member `temp`" in page
    edited = f"SELECT state.temperature AS t FROM '{name}/+' WHERE state.temperature > 30"
    page = text_of(forms.get(link(f"/rules/{r}", recorded=number, sql=edited)))
    assert "it matches" in page and '"t": 40' in page
    assert "edited, not saved" in page
    stored = node.iot().get_topic_rule(ruleName=r)["rule"]
    assert stored["sql"].startswith("SELECT temp"), "nothing was saved"
    page = text_of(forms.get(link("/rules", q=name, recorded=number)))
    assert "it does not match" in page


def test_a_typed_message_is_tried_too(node, name):
    rule(node, f"r{name}", f"SELECT clientid() AS c FROM '{name}/+'")
    path = link(f"/rules/r{name}", topic=f"{name}/x", payload="{}", client="me")
    assert '"c": "me"' in text_of(Forms(node).get(path))


def test_an_error_in_a_statement_is_marked_where_it_is(node, name):
    forms, r = Forms(node), f"r{name}"
    rule(node, r, f"SELECT * FROM '{name}'")
    wrong = f"SELECT *\nFORM '{name}'"
    page = forms.get(link(f"/rules/{r}", sql=wrong))
    assert '<mark class="wavy err">FORM</mark>' in page and "error at 2:1" in text_of(page)
    assert "Nothing is counted while the statement has an error" in text_of(page)
    page = forms.post("rule-save", rule=r, sql=wrong.replace("\n", "\r\n"))
    assert '<mark class="wavy err">FORM</mark>' in page, "what cannot be saved is shown marked"
    assert node.iot().get_topic_rule(ruleName=r)["rule"]["sql"] == f"SELECT * FROM '{name}'"


def test_a_rule_is_turned_off_saved_and_deleted(node, name):
    forms, r = Forms(node), f"r{name}"
    actions = [{"republish": {"topic": "y", "roleArn": ROLE}}]
    rule(node, r, f"SELECT * FROM '{name}'", actions)
    assert "disabled" in text_of(forms.post("rule-turn", back=f"/rules/{r}", rule=r, to="disable"))
    forms.post("rule-save", rule=r, sql=f"SELECT 1 AS one FROM '{name}'")
    stored = node.iot().get_topic_rule(ruleName=r)["rule"]
    assert stored["ruleDisabled"] and stored["sql"].startswith("SELECT 1")
    assert stored["actions"][0]["republish"]["topic"] == "y"
    forms.post("rule-turn", back=f"/rules/{r}", rule=r, to="enable")
    assert "Delete the rule" in text_of(forms.get(f"/rules/{r}?delete=yes"))
    forms.post("rule-delete", rule=r)
    forms.get(f"/rules/{r}", expected=404)


def test_what_a_rule_makes_of_the_recorded_messages_is_counted(own_node, name):
    forms, r = Forms(own_node), f"r{name}"
    rule(own_node, r, f"SELECT n FROM '{name}/+' WHERE n > 1")
    for n in range(4):
        publish(own_node, f"{name}/x", json.dumps({"n": n}))
    publish(own_node, "other", "{}")
    page = text_of(forms.get(f"/rules/{r}"))
    for told in ("Matched 2", "WHERE does not hold 2", "Other topic 1", "Of 5 recorded"):
        assert told in page, page


# ---- workflows -----------------------------------------------------------------------------------


def test_versions_of_a_workflow_are_compared(node, name):
    forms, sfn = Forms(node), node.sfn()

    def definition(between, end):
        states = {"A": {"Type": "Pass", "Next": between}, between: {"Type": "Pass", "Next": "Z"}, "Z": end}
        return json.dumps({"StartAt": "A", "States": states})

    first = definition("Old", {"Type": "Succeed"})
    made = sfn.create_state_machine(name=name, roleArn=ROLE, definition=first, publish=True)
    arn = made["stateMachineArn"]
    second = definition(BAD, {"Type": "Fail", "Error": "Over"})
    sfn.update_state_machine(stateMachineArn=arn, definition=second, publish=True)
    page = forms.get(f"/workflows/{name}?tab=versions")
    link_of = re.search(r'href="([^"]*)" aria-label="Changes from version 1 to 2"', page)[1]
    assert html.unescape(link_of) == f"/workflows/{name}?from=1&to=2&tab=versions"
    page = forms.get(html.unescape(link_of))
    shown = text_of(page)
    assert "Version 1 → version 2" in shown
    for told in (f"added {BAD}", "removed Old", "changed A : Next", "changed Z : Type, Error"):
        assert told in shown, (told, shown)
    gone = [html.unescape(line) for line in re.findall(r'<span class="gone">(.*?)\n', page)]
    assert '-       "Type": "Succeed"' in gone, gone
    same = text_of(forms.get(f"/workflows/{name}?from=2&tab=versions"))
    assert "Version 2 → latest" in same and "Both are the same definition." in same
    wrong = text_of(forms.get(f"/workflows/{name}?from=9&to=1", expected=404))
    assert f"workflow `{name}` has no version 9" in wrong
    for member in ("from", "to", "v"):
        wrong = text_of(forms.get(f"/workflows/{name}?{member}=newest", expected=400))
        assert f"`{member}=newest` names no version" in wrong


def test_a_workflow_lists_its_runs_with_the_words_of_the_executions(node, name):
    from support import token_of, token_table, waiting

    t = f"table-{name}"
    token_table(node, t)
    definition = {"StartAt": "Wait", "States": {"Wait": waiting(t)}}
    made = node.sfn().create_state_machine(name=f"w{name}", roleArn=ROLE, definition=json.dumps(definition))
    started = json.dumps({"operationId": "op", "thingName": "d"})
    node.sfn().start_execution(stateMachineArn=made["stateMachineArn"], name="run", input=started)
    token_of(node, t, "op")
    for path in (f"/workflows/w{name}", f"/executions?workflow=w{name}"):
        rows = re.findall(r"<tbody>.*?</tbody>", Forms(node).get(path), re.S)
        assert any("waiting for device" in body for body in rows), path


def test_what_fits_on_one_page_has_no_footer(node, name):
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    made = node.sfn().create_state_machine(name=name, roleArn=ROLE, definition=definition)
    node.sfn().start_execution(stateMachineArn=made["stateMachineArn"], name="run")
    assert 'class="foot' not in Forms(node).get(f"/executions?workflow={name}")


# ---- functions -----------------------------------------------------------------------------------


def function(node, name, code, **more):
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", code)
    node.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": packed.getvalue()},
        **more,
    )


def test_a_function_is_invoked_and_its_run_is_shown(node, name):
    forms, f = Forms(node), f"f{name}"
    code = "def handler(event, context):\n    print('saw', event)\n    return {'n': event['n'] + 1}\n"
    function(node, f, code, Environment={"Variables": {"KEY": "s3cret"}})
    page = forms.post("function-invoke", function=f, payload='{"n":\r\n 41}')
    shown = text_of(page)
    assert '"n": 42' in shown and "saw {'n': 41}" in shown
    page = forms.get(f"/functions/{f}")
    assert "KEY" in page and "s3cret" not in page
    assert '"n": 41' in html.unescape(page), "the next input begins with the last"
    assert "s3cret" in forms.get(f"/functions/{f}?environment=show")
    failed = forms.post("function-invoke", function=f, payload="{}")
    assert "KeyError" in text_of(failed) and "failed" in text_of(failed)
    listed = text_of(forms.get(f"/functions?q={f}"))
    assert "python3.12" in listed and "failed" in listed
    log = eventually(lambda: "saw" in text_of(forms.get(f"/functions/{f}?log=yes")))
    assert log


def test_an_invocation_names_the_step_that_called(node, name):
    f = f"f{name}"
    function(node, f, "def handler(event, context):\n    return 1\n")
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{f}"
    states = {"Call it": {"Type": "Task", "Resource": arn, "End": True}}
    sfn = node.sfn()
    made = sfn.create_state_machine(
        name=f"w{name}",
        roleArn=ROLE,
        definition=json.dumps({"StartAt": "Call it", "States": states}),
    )
    sfn.start_execution(stateMachineArn=made["stateMachineArn"], name="run")
    path = f"/executions/w{name}/run?state=Call%20it"
    assert eventually(lambda: path in Forms(node).get(f"/functions/{f}"))


def test_a_payload_that_is_not_json_is_refused(node, name):
    f = f"f{name}"
    function(node, f, "def handler(event, context):\n    return 1\n")
    page = Forms(node).post("function-invoke", expected=400, function=f, payload="{")
    assert "parse request body into json" in page


# ---- tables --------------------------------------------------------------------------------------


def table(node, name):
    node.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "at", "KeyType": "RANGE"},
        ],
    )


def test_items_are_found_page_by_page(node, name):
    forms, t = Forms(node), f"table-{name}"
    table(node, t)
    for n in range(60):
        item = {"id": {"S": "a"}, "at": {"N": str(n)}, "note": {"S": f"{BAD}{n}"}}
        node.dynamodb().put_item(TableName=t, Item=item)
    assert "60" in text_of(forms.get("/tables"))
    page = forms.get(link(f"/tables/{t}", partition="a", operator=">=", sort="5"))
    assert page.count("<tr data-href") == 50
    following = html.unescape(re.search(r'href="([^"]*after=[^"]*)"', page)[1])
    assert forms.get(following).count("<tr data-href") == 5
    page = forms.get(link(f"/tables/{t}", partition="a", order="descending"))
    assert re.search(r"<tr data-href.*?</tr>", page, re.S)[0].count(">59<") == 1
    wrong = text_of(forms.get(link(f"/tables/{t}", operator="=", sort="1")))
    assert "within one partition" in wrong


def test_an_item_is_made_changed_and_deleted(node, name):
    forms, t = Forms(node), f"table-{name}"
    table(node, t)
    item = {"id": {"S": "x"}, "at": {"N": "1"}, "v": {"L": [{"N": "1"}]}}
    forms.post("item-put", back=f"/tables/{t}", table=t, item=json.dumps(item))
    refused = forms.post("item-put", expected=400, table=t, item=json.dumps(item))
    assert "an item of this key already" in refused
    key = json.dumps({"id": {"S": "x"}, "at": {"N": "1"}})
    shown = text_of(forms.get(link(f"/tables/{t}", item=key)))
    assert '"v": [ 1 ]' in shown and '"N": "1"' in shown
    changed = {**item, "v": {"S": "new"}}
    forms.post("item-put", table=t, item=json.dumps(changed), replaced=key)
    other = json.dumps({**changed, "at": {"N": "2"}})
    assert "does not change" in forms.post("item-put", expected=400, table=t, item=other, replaced=key)
    found = node.dynamodb().get_item(TableName=t, Key=json.loads(key))["Item"]
    assert found["v"] == {"S": "new"}
    assert "Delete this item?" in text_of(forms.get(link(f"/tables/{t}", item=key, delete="yes")))
    forms.post("item-delete", back=f"/tables/{t}", table=t, key=key)
    forms.get(link(f"/tables/{t}", item=key), expected=404)


def test_an_item_with_a_token_leads_to_its_execution(node, name):
    from support import token_of, token_table, waiting

    t = f"table-{name}"
    token_table(node, t)
    sfn = node.sfn()
    definition = {"StartAt": "Wait", "States": {"Wait": waiting(t)}}
    made = sfn.create_state_machine(name=f"w{name}", roleArn=ROLE, definition=json.dumps(definition))
    started = {"operationId": "op", "thingName": "d"}
    sfn.start_execution(stateMachineArn=made["stateMachineArn"], name="run", input=json.dumps(started))
    token_of(node, t, "op")
    assert f'href="/executions/w{name}/run"' in Forms(node).get(f"/tables/{t}")


# ---- system --------------------------------------------------------------------------------------


def test_the_system_page_tells_how_the_node_does(own_node):
    own_node.iot().create_thing(thingName="one")
    page = text_of(Forms(own_node).get("/system"))
    for told in ("Commit p99", "--http", "days left", "localhost", "--quota rules-max", "since the start"):
        assert told in page, told
    metrics = own_node.send("GET", "/-/metrics")[2].decode()
    assert re.search(r"stepwire_commit_seconds_count [1-9]", metrics)


def test_pages_that_do_not_exist_say_so(node):
    for path in ("/rules/none", "/functions/none", "/tables/none", "/live?message=99999999"):
        page = Forms(node).get(path, expected=404)
        assert "Not found" in page


def test_an_address_that_is_no_page_leads_a_browser_to_the_menu(node):
    forms = Forms(node)
    for path in ["/nothing", "/executionz/x", "/devices/a/b/c", "/bucket/key?list-type=2"]:
        page = forms.get(path, expected=404)
        assert "there is no such page" in text_of(page) and 'href="/devices"' in page
    status, headers, body = node.send("GET", "/nothing")
    assert status == 403 and b"missing authentication token" in body, "an API's client is told so"
