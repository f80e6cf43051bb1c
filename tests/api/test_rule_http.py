"""Topic rule destinations and the `http` action, against servers of this test."""

import json
import re
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support import ACCOUNT, PATIENCE, REGION, ROLE, UUID, Client, Node, eventually, plain, refused

ARN = rf"arn:aws:iot:{REGION}:{ACCOUNT}:ruledestination/http/{UUID}"
CONFIRMATION = "DestinationConfirmation"


class Server:
    """A webhook: notes what it is sent, and answers as `answer` says."""

    def __init__(self, port=0):
        self.seen, self.lock = [], threading.Lock()
        self.answer = lambda request: 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = {"path": self.path, "headers": headers, "body": body}
                with server.lock:
                    server.seen.append(request)
                status = 200 if is_confirmation(request) else server.answer(request)
                if status == "hang":
                    time.sleep(5)
                    status = 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def requests(self, path):
        with self.lock:
            return [one for one in self.seen if one["path"] == path and not is_confirmation(one)]

    def bodies(self, path):
        return [json.loads(one["body"]) for one in self.requests(path)]

    def confirmations(self, path):
        with self.lock:
            confirming = [one for one in self.seen if is_confirmation(one)]
        return [one for one in confirming if urllib.parse.urlsplit(one["path"]).path == path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def is_confirmation(request):
    return request["headers"].get("x-amz-rules-engine-message-type") == CONFIRMATION


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def other_server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def hooked(server, other_server, tmp_path):
    """A node that may reach the servers, has a key for a role, and lets MQTT clients in."""
    secrets = tmp_path / "secrets.json"
    key = {"accessKeyId": "AKID", "secretAccessKey": "hunter2"}
    secrets.write_text(json.dumps({"roles": {ROLE: key}}))
    secrets.chmod(0o600)
    options = ["--http-allow", server.address, "--http-allow", other_server.address]
    options += ["--secrets", str(secrets), "--mqtt", "127.0.0.1:0", "--allow-anonymous"]
    node = Node(tmp_path / "data", options)
    yield node
    node.kill()
    log = node.log_text()
    assert "hunter" not in log
    for one in server.seen + other_server.seen:
        if is_confirmation(one):
            assert json.loads(one["body"])["confirmationToken"] not in log


@pytest.fixture
def client(hooked):
    """Makes MQTT clients that are closed at the end."""
    made = []

    def make(name):
        made.append(Client(hooked, name))
        return made[-1]

    yield make
    for one in made:
        one.close()


def create(node, url):
    configuration = {"httpUrlConfiguration": {"confirmationUrl": url}}
    created = node.iot().create_topic_rule_destination(destinationConfiguration=configuration)
    return created["topicRuleDestination"]


def destination(node, arn):
    return node.iot().get_topic_rule_destination(arn=arn)["topicRuleDestination"]


def status(node, arn):
    return destination(node, arn)["status"]


def confirmation(server, path="/", number=1):
    """The body of the confirmation request of this number."""
    sent = eventually(lambda: server.confirmations(path)[number - 1 :])
    return json.loads(sent[0]["body"])


def enabled(node, server, path="/"):
    """A confirmed destination for `path` of the server; its ARN."""
    arn = create(node, server.url + path)["arn"]
    visit = urllib.parse.urlsplit(confirmation(server, path)["enableUrl"]).path
    assert node.send("GET", visit)[0] == 200
    assert status(node, arn) == "ENABLED"
    return arn


def rule(node, name, http, sql=None, **more):
    payload = {"sql": sql or f"SELECT * FROM 'in/{name}/#'", "awsIotSqlVersion": "2016-03-23"}
    payload |= {"actions": [{"http": http}], **more}
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload)


def assert_refused(answer, why):
    """The answer to a request that its service's client would not send."""
    code, headers, body = answer
    assert (code, headers["x-amzn-errortype"]) == (400, "InvalidRequestException"), body
    assert re.search(why, json.loads(body)["message"]), body


def republish(topic):
    return {"republish": {"topic": topic, "roleArn": ROLE, "qos": 1}}


# ---- destinations --------------------------------------------------------------------------------


def test_a_destination_is_confirmed_through_the_api(hooked, server):
    iot = hooked.iot()
    url = f"{server.url}/hook?code=1"
    made = create(hooked, url)
    arn = made["arn"]
    assert re.fullmatch(ARN, arn)
    assert made["status"] == "IN_PROGRESS"
    assert made["httpUrlProperties"] == {"confirmationUrl": url}
    assert made["statusReason"].startswith("Awaiting confirmation. Confirmation message sent on 20")
    sent = eventually(lambda: server.confirmations("/hook"))[0]
    body = json.loads(sent["body"])
    token = body["confirmationToken"]
    assert sent["path"] == f"/hook?code=1&confirmationToken={token}"
    assert sent["headers"]["x-amz-rules-engine-message-type"] == CONFIRMATION
    assert sent["headers"]["x-amz-rules-engine-destination-arn"] == arn
    assert sent["headers"]["content-type"] == "application/json"
    assert body == {
        "arn": arn,
        "confirmationToken": token,
        "enableUrl": f"{hooked.endpoint}/confirmdestination/{token}",
        "messageType": CONFIRMATION,
    }
    with refused("InvalidRequestException", 400, "IN_PROGRESS.* must be confirmed"):
        iot.update_topic_rule_destination(arn=arn, status="ENABLED")
    with refused("InvalidRequestException", 400, "^the confirmation token is not valid$"):
        iot.confirm_topic_rule_destination(confirmationToken=token[:-1] + "!")
    assert plain(iot.confirm_topic_rule_destination(confirmationToken=token)) == {}
    assert status(hooked, arn) == "DISABLED"
    iot.update_topic_rule_destination(arn=arn, status="ENABLED")
    found = destination(hooked, arn)
    assert found["status"] == "ENABLED" and "statusReason" not in found
    assert found["lastUpdatedAt"] >= found["createdAt"]
    assert plain(iot.confirm_topic_rule_destination(confirmationToken=token)) == {}
    hooked.restart()
    assert status(hooked, arn) == "ENABLED"


def test_a_visit_of_enable_url_confirms_and_enables(hooked, server):
    arn = create(hooked, server.url)["arn"]
    body = confirmation(server)
    path = urllib.parse.urlsplit(body["enableUrl"]).path
    code, _, answer = hooked.send("GET", path[:-2])
    assert code == 400 and b"confirmation token is not valid" in answer
    assert status(hooked, arn) == "IN_PROGRESS"
    # by whatever name the node is reached
    code, _, answer = hooked.send("GET", path, headers={"Host": "iot.example.org"})
    assert (code, answer) == (200, b"The destination is confirmed and enabled.\n")
    assert status(hooked, arn) == "ENABLED"
    hooked.iot().update_topic_rule_destination(arn=arn, status="DISABLED")
    assert hooked.send("GET", path)[0] == 200
    assert status(hooked, arn) == "DISABLED", "a used token changes nothing"


def test_a_new_challenge_replaces_the_old_one(hooked, server):
    iot = hooked.iot()
    arn = enabled(hooked, server)
    old = confirmation(server)["confirmationToken"]
    iot.update_topic_rule_destination(arn=arn, status="IN_PROGRESS")
    assert status(hooked, arn) == "IN_PROGRESS"
    new = confirmation(server, number=2)["confirmationToken"]
    with refused("InvalidRequestException", 400, "newer confirmation request"):
        iot.confirm_topic_rule_destination(confirmationToken=old)
    iot.confirm_topic_rule_destination(confirmationToken=new)
    assert status(hooked, arn) == "DISABLED"


def test_destinations_are_listed_in_pages_and_deleted(hooked, server):
    iot = hooked.iot()
    arns = {create(hooked, f"{server.url}/{number}")["arn"] for number in range(5)}
    first = iot.list_topic_rule_destinations(maxResults=3)
    rest = iot.list_topic_rule_destinations(maxResults=3, nextToken=first["nextToken"])
    assert "nextToken" not in rest
    found = first["destinationSummaries"] + rest["destinationSummaries"]
    assert {one["arn"] for one in found} == arns and len(found) == 5
    assert all(one["httpUrlSummary"]["confirmationUrl"].startswith(server.url) for one in found)
    with refused("ResourceAlreadyExistsException", 409, "already exists"):
        create(hooked, f"{server.url}/3")
    arn = found[0]["arn"]
    assert plain(iot.delete_topic_rule_destination(arn=arn)) == {}
    for call in (iot.get_topic_rule_destination, iot.delete_topic_rule_destination):
        with refused("UnauthorizedException", 401, "does not exist"):
            call(arn=arn)
    with refused("UnauthorizedException", 401, "does not exist"):
        iot.update_topic_rule_destination(arn=arn, status="IN_PROGRESS")


@pytest.mark.parametrize(
    "configuration, why",
    [
        ({"vpcConfiguration": {"subnetIds": ["a"], "vpcId": "b", "roleArn": ROLE}},
         "`vpcConfiguration` is not valid: destinations of this kind are not available"),
        ({}, "httpUrlConfiguration must not be null"),
        ({"httpUrlConfiguration": {"confirmationUrl": "example.org"}}, "`confirmationUrl`.*not a URL"),
        ({"httpUrlConfiguration": {"confirmationUrl": "ftp://a/"}}, "must begin with `https://`"),
        ({"httpUrlConfiguration": {"confirmationUrl": "https://u:hunter3@a/"}}, "user name"),
        ({"httpUrlConfiguration": {"confirmationUrl": "https://a/" + "x" * 2000}}, "2000 characters"),
        ({"httpUrlConfiguration": {"confirmationUrl": "https://a/", "b": 1}}, "`b` is not supported"),
    ],
)
def test_a_destination_that_cannot_be_is_refused_by_name(node, configuration, why):
    body = {"destinationConfiguration": configuration}
    assert_refused(node.request("iot", "POST", "/destinations", body), why)


def test_nothing_leaves_for_a_private_address_unless_it_is_allowed(node, server):
    """The shared node is not told that it may reach the server."""
    arn = create(node, f"{server.url}/private")["arn"]
    found = eventually(lambda: status(node, arn) == "ERROR" and destination(node, arn))
    assert re.search("not a public address .*--http-allow HOST:PORT", found["statusReason"])
    assert server.seen == []
    node.iot().delete_topic_rule_destination(arn=arn)


def test_a_confirmation_request_is_sent_again_also_after_a_crash(hooked, other_server):
    port = other_server.server.server_port
    other_server.close()
    arn = create(hooked, other_server.url)["arn"]
    waits = "could not be delivered .* will be sent again: .*cannot connect"
    eventually(lambda: re.search(waits, destination(hooked, arn)["statusReason"]))
    hooked.kill()
    again = Server(port)
    hooked.start()
    try:
        assert confirmation(again)["arn"] == arn
        assert status(hooked, arn) == "IN_PROGRESS"
    finally:
        again.close()


# ---- the action ----------------------------------------------------------------------------------


def test_a_message_is_delivered_with_its_headers(hooked, server, client, name):
    enabled(hooked, server)
    headers = [
        {"key": "X-Static", "value": "one"},
        {"key": "X-Topic", "value": "${topic(3)}-${t}"},
    ]
    url = f"{server.url}/data/${{topic(3)}}?t=${{t}}"
    rule(hooked, name, {"url": url, "confirmationUrl": server.url, "headers": headers},
         sql=f"SELECT *, 1 AS more FROM 'in/{name}/#'")
    gateway = client("gw-1")
    gateway.mqtt.publish(f"in/{name}/a", b'{"t": 21.50}', 1).wait_for_publish(PATIENCE)
    sent = eventually(lambda: server.requests("/data/a?t=21.5") or server.requests("/data/a?t=21.50"))[0]
    assert json.loads(sent["body"]) == {"t": 21.5, "more": 1}
    assert sent["headers"]["content-type"] == "application/json"
    assert sent["headers"]["x-static"] == "one"
    assert sent["headers"]["x-topic"].startswith("a-21.5")


def test_bytes_are_delivered_as_they_are_and_a_content_type_is_the_rule_s(hooked, server, client, name):
    enabled(hooked, server)
    rule(hooked, name, {"url": f"{server.url}/raw"})
    rule(hooked, f"{name}x", {
        "url": f"{server.url}/typed",
        "confirmationUrl": server.url,
        "headers": [{"key": "content-TYPE", "value": "image/x"}],
    }, sql=f"SELECT * FROM 'in/{name}/#'")
    gateway = client("gw-1")
    gateway.mqtt.publish(f"in/{name}/a", b"\x00\xff\x01", 1).wait_for_publish(PATIENCE)
    typed = eventually(lambda: server.requests("/typed"))[0]
    assert (typed["body"], typed["headers"]["content-type"]) == (b"\x00\xff\x01", "image/x")
    # `/raw` has a destination of its own, which is not confirmed: the one above it does not count
    assert server.requests("/raw") == []
    visit = urllib.parse.urlsplit(confirmation(server, "/raw")["enableUrl"]).path
    assert hooked.send("GET", visit)[0] == 200
    gateway.mqtt.publish(f"in/{name}/a", b"\x00\xff\x01", 1).wait_for_publish(PATIENCE)
    raw = eventually(lambda: server.requests("/raw"))[0]
    assert raw["headers"]["content-type"] == "application/octet-stream"
    assert raw["body"] == b"\x00\xff\x01"


def test_a_rule_makes_the_destination_that_it_names(hooked, server, name):
    rule(hooked, name, {"url": f"{server.url}/x/${{topic()}}", "confirmationUrl": f"{server.url}/x"})
    rule(hooked, f"{name}b", {"url": f"{server.url}/y"})
    rule(hooked, f"{name}c", {"url": f"{server.url}/x/z", "confirmationUrl": f"{server.url}/x"})
    found = hooked.iot().list_topic_rule_destinations()["destinationSummaries"]
    urls = sorted(one["httpUrlSummary"]["confirmationUrl"] for one in found)
    assert urls == [f"{server.url}/x", f"{server.url}/y"]
    assert {one["status"] for one in found} == {"IN_PROGRESS"}
    confirmation(server, "/x"), confirmation(server, "/y")


def test_messages_of_one_device_stay_in_order_when_a_try_fails(hooked, server, client, name):
    enabled(hooked, server)
    rule(hooked, name, {"url": f"{server.url}/order", "confirmationUrl": server.url})
    failed = []

    def answer(request):
        body = json.loads(request["body"])
        if body == {"by": "gw-1", "n": 0} and not failed:
            failed.append(body)
            return 503
        return 200

    server.answer = answer
    first, second = client("gw-1"), client("gw-2")
    for number in range(5):
        for device, who in ((first, "gw-1"), (second, "gw-2")):
            body = json.dumps({"by": who, "n": number})
            device.mqtt.publish(f"in/{name}/{who}", body, 1).wait_for_publish(PATIENCE)
    eventually(lambda: len(server.requests("/order")) == 11, 15)
    bodies = server.bodies("/order")
    mine = [body["n"] for body in bodies if body["by"] == "gw-1"]
    others = [body["n"] for body in bodies if body["by"] == "gw-2"]
    assert mine == [0, 0, 1, 2, 3, 4]
    assert others == [0, 1, 2, 3, 4]
    last_other = max(at for at, body in enumerate(bodies) if body["by"] == "gw-2")
    second_try = [at for at, body in enumerate(bodies) if body == {"by": "gw-1", "n": 0}][1]
    assert last_other < second_try, "gw-2 does not wait for gw-1"


@pytest.mark.parametrize("code, tries", [(503, 3), (429, 3), (404, 1), (301, 1)])
def test_what_fails_for_good_goes_to_the_error_action(hooked, server, client, name, code, tries):
    enabled(hooked, server)
    errors = client("errors").subscribe(f"errors/{name}")
    url = f"{server.url}/bad"
    rule(hooked, name, {"url": url, "confirmationUrl": server.url},
         errorAction=republish(f"errors/{name}"))
    server.answer = lambda request: code
    client("gw-1").mqtt.publish(f"in/{name}/a", b'{"a": 1}', 1).wait_for_publish(PATIENCE)
    told = json.loads(errors.messages.get(timeout=15).payload)
    assert len(server.requests("/bad")) == tries
    assert (told["ruleName"], told["topic"], told["clientId"]) == (name, f"in/{name}/a", "gw-1")
    assert told["base64OriginalPayload"] == "eyJhIjogMX0="
    (failure,) = told["failures"]
    assert failure["failedAction"] == "HttpAction"
    assert failure["failedResource"] == url
    assert re.match(
        "^HttpAction failed to make a request to the specified endpoint. "
        rf"StatusCode: {code}. Reason: .+\.$",
        failure["errorMessage"],
    )


def test_nothing_is_sent_to_a_destination_that_is_not_enabled(hooked, server, client, name):
    arn = enabled(hooked, server)
    errors = client("errors").subscribe(f"errors/{name}")
    rule(hooked, name, {"url": f"{server.url}/data", "confirmationUrl": server.url},
         errorAction=republish(f"errors/{name}"))
    gateway = client("gw-1")

    def publish():
        gateway.mqtt.publish(f"in/{name}/a", b"{}", 1).wait_for_publish(PATIENCE)
        return json.loads(errors.messages.get(timeout=PATIENCE).payload)["failures"][0]["errorMessage"]

    hooked.iot().update_topic_rule_destination(arn=arn, status="DISABLED")
    assert publish() == f"the topic rule destination for `{server.url}/` is DISABLED, not ENABLED"
    hooked.iot().delete_topic_rule_destination(arn=arn)
    assert publish().startswith(f"there is no topic rule destination for `{server.url}/`")
    assert server.requests("/data") == []


@pytest.mark.parametrize(
    "http, why",
    [
        ({}, "'url'"),
        ({"url": "https://a/${x}"}, "`confirmationUrl`.*substitution template"),
        ({"url": "https://a/x", "confirmationUrl": "https://b/"}, "`url`.*does not begin with"),
        ({"url": "https://a.evil/", "confirmationUrl": "https://a"}, "`url`.*does not begin with"),
        ({"url": "https://a/${nope()}", "confirmationUrl": "https://a"}, "unknown function `nope`"),
        ({"url": "https://a/", "headers": [{"key": "Host", "value": "b"}]}, "`Host`"),
        ({"url": "https://a/", "headers": [{"key": "a b", "value": "b"}]}, "`a b`"),
        ({"url": "https://a/", "headers": [{"key": "a", "value": "b\nc"}]}, "`a`"),
        ({"url": "https://a/", "headers": [{"key": "a", "value": "b"}] * 101}, "`headers`"),
        ({"url": "https://a/", "auth": {"basic": {}}}, "`basic` is not supported"),
        ({"url": "https://a/", "auth": {"sigv4": {"serviceName": "x"}}}, "'signingRegion'"),
        ({"url": "https://a/", "colour": 1}, "`colour` is not supported"),
        ({"url": "https://a/", "enableBatching": True, "batchConfig": {"maxBatchSize": 11}},
         "`maxBatchSize`.*2 to 10"),
        ({"url": "https://a/", "batchConfig": {"maxBatchSize": 5}}, "`batchConfig`.*`enableBatching`"),
    ],
)
def test_an_action_that_cannot_be_is_refused_by_name(node, name, http, why):
    payload = {"sql": "SELECT * FROM 'a'", "actions": [{"http": http}]}
    assert_refused(node.request("iot", "POST", f"/rules/{name}", payload), why)


def test_messages_taken_before_a_crash_arrive_after_it_in_order(hooked, server, client, name):
    enabled(hooked, server)
    rule(hooked, name, {"url": f"{server.url}/crash", "confirmationUrl": server.url})

    def slow(request):
        time.sleep(0.3)
        return 200

    server.answer = slow
    gateway = client("gw-1")
    for number in range(10):
        gateway.mqtt.publish(f"in/{name}/a", json.dumps({"n": number}), 1).wait_for_publish(PATIENCE)
    eventually(lambda: server.requests("/crash"))
    hooked.kill()
    before = len(server.requests("/crash"))
    assert before < 10
    server.answer = lambda request: 200
    hooked.start()
    eventually(lambda: {"n": 9} in server.bodies("/crash"), 15)
    numbers = [body["n"] for body in server.bodies("/crash")]
    assert sorted(set(numbers)) == list(range(10)), "each at least once"
    assert numbers == sorted(numbers), "in order, what is repeated included"


def test_a_server_that_hangs_holds_up_nobody_else(hooked, server, other_server, client, name):
    enabled(hooked, server)
    enabled(hooked, other_server)
    rule(hooked, name, {"url": f"{server.url}/hang", "confirmationUrl": server.url})
    rule(hooked, f"{name}b", {"url": f"{other_server.url}/fine", "confirmationUrl": other_server.url},
         sql=f"SELECT * FROM 'fine/{name}/#'")
    server.answer = lambda request: "hang"
    gateway = client("gw-1")
    # more topics than there are turns at one host
    for number in range(40):
        hooked.client("iot-data").publish(topic=f"in/{name}/{number}", payload=json.dumps({"n": number}))
    eventually(lambda: len(server.requests("/hang")) >= 16)
    gateway.mqtt.publish(f"fine/{name}/a", b'{"n": 1}', 1).wait_for_publish(PATIENCE)
    eventually(lambda: other_server.bodies("/fine") == [{"n": 1}])
    assert len({one["body"] for one in server.requests("/hang")}) < 40, "it waited for all of them"


def test_a_delivery_is_signed_with_the_key_of_its_role(hooked, server, client, name):
    enabled(hooked, server)
    errors = client("errors").subscribe(f"errors/{name}")
    sigv4 = {"signingRegion": "eu-west-1", "serviceName": "execute-api", "roleArn": ROLE}
    url = f"{server.url}/signed/a%20b?x=1&y=${{t}}"
    rule(hooked, name, {"url": url, "confirmationUrl": server.url, "auth": {"sigv4": sigv4},
                        "headers": [{"key": "X-One", "value": "1"}]},
         errorAction=republish(f"errors/{name}"))
    unknown = sigv4 | {"roleArn": f"{ROLE}-unknown"}
    rule(hooked, f"{name}b", {"url": f"{server.url}/unsigned", "confirmationUrl": server.url,
                              "auth": {"sigv4": unknown}},
         sql=f"SELECT * FROM 'in/{name}/#'", errorAction=republish(f"errors/{name}"))
    client("gw-1").mqtt.publish(f"in/{name}/a", b'{"t": "z"}', 1).wait_for_publish(PATIENCE)
    path = "/signed/a%20b?x=1&y=z"
    sent = eventually(lambda: server.requests(path))[0]
    header = sent["headers"]["authorization"]
    names = re.search("SignedHeaders=([^,]+)", header)[1].split(";")
    assert {"host", "x-amz-date", "x-one", "content-type"} <= set(names)
    headers = {each: sent["headers"][each] for each in names}
    request = AWSRequest("POST", server.url + path, data=sent["body"], headers=headers)
    date = sent["headers"]["x-amz-date"]
    request.context["timestamp"] = date
    auth = SigV4Auth(Credentials("AKID", "hunter2"), "execute-api", "eu-west-1")
    auth.headers_to_sign = lambda request: request.headers
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert header == (
        f"AWS4-HMAC-SHA256 Credential=AKID/{date[:8]}/eu-west-1/execute-api/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    told = json.loads(errors.messages.get(timeout=PATIENCE).payload)["failures"][0]["errorMessage"]
    assert f"no key is configured for `{ROLE}-unknown`" in told
    assert server.requests("/unsigned") == []


def batched(server, path, **config):
    return {
        "url": f"{server.url}{path}",
        "confirmationUrl": server.url,
        "headers": [{"key": "X-Number", "value": "${n}"}],
        "enableBatching": True,
        "batchConfig": config,
    }


def test_messages_share_requests_in_order(hooked, server, client, name):
    enabled(hooked, server)
    rule(hooked, name, batched(server, "/batch", maxBatchOpenMs=200, maxBatchSize=3))
    gateway = client("gw-1")
    for number in range(7):
        last = gateway.mqtt.publish(f"in/{name}/a", json.dumps({"n": number}), 1)
    other = gateway.mqtt.publish(f"in/{name}/b", b'{"n": 7}', 1)
    last.wait_for_publish(PATIENCE), other.wait_for_publish(PATIENCE)
    eventually(lambda: sum(map(len, server.bodies("/batch"))) == 8)
    time.sleep(0.3)
    sent = server.requests("/batch")
    batches = [[item["n"] for item in json.loads(one["body"])] for one in sent]
    assert all(len(batch) <= 3 for batch in batches)
    assert [0, 1, 2] in batches, "a batch that is full does not wait"
    assert [7] in batches, "another topic has batches of its own"
    assert [n for batch in batches for n in batch if n < 7] == list(range(7))
    for one, batch in zip(sent, batches):
        assert one["headers"]["content-type"] == "application/json"
        assert one["headers"]["x-number"] == str(batch[-1]), "headers are those of the last"


def test_a_batch_that_fails_goes_to_the_error_action_with_all_its_messages(hooked, server, client, name):
    enabled(hooked, server)
    errors = client("errors").subscribe(f"errors/{name}")
    rule(hooked, name, batched(server, "/bad", maxBatchOpenMs=200),
         errorAction=republish(f"errors/{name}"))
    server.answer = lambda request: 400
    gateway = client("gw-1")
    for number in range(2):
        gateway.mqtt.publish(f"in/{name}/a", json.dumps({"n": number}), 1)
    told = json.loads(errors.messages.get(timeout=PATIENCE).payload)
    assert (told["ruleName"], told["topic"]) == (name, f"in/{name}/a")
    payloads = told["payloadsWithMetadata"]
    assert [one["id"] for one in payloads] == [1, 2]
    assert [one["base64OriginalPayload"] for one in payloads] == ["eyJuIjogMH0=", "eyJuIjogMX0="]
    assert all((one["clientId"], one["sourceIp"]) == ("gw-1", "127.0.0.1") for one in payloads)
    assert len({one["cloudwatchTraceId"] for one in payloads}) == 2
    failure = told["failures"][0]
    assert failure.pop("errorMessage")
    assert failure == {
        "affectedIds": [1, 2],
        "failedAction": "HttpAction",
        "failedResource": f"{server.url}/bad",
    }
    assert server.bodies("/bad") == [[{"n": 0}, {"n": 1}]] and errors.messages.empty()


def test_a_batch_arrives_after_a_crash(hooked, server, client, name):
    enabled(hooked, server)
    rule(hooked, name, batched(server, "/crash", maxBatchOpenMs=200))
    server.answer = lambda request: "hang"
    gateway = client("gw-1")
    for number in range(4):
        gateway.mqtt.publish(f"in/{name}/a", json.dumps({"n": number}), 1).wait_for_publish(PATIENCE)
    eventually(lambda: server.requests("/crash"))
    hooked.kill()
    server.answer = lambda request: 200
    before = len(server.requests("/crash"))
    hooked.start()
    eventually(lambda: sum(map(len, server.bodies("/crash")[before:])) == 4)
    again = [item["n"] for batch in server.bodies("/crash")[before:] for item in batch]
    assert again == [0, 1, 2, 3]
