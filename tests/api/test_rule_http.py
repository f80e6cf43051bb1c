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
from support import ACCOUNT, REGION, ROLE, UUID, Client, Node, eventually, plain, refused

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
    port = hooked.endpoint.rsplit(":", 1)[1]
    assert body == {
        "arn": arn,
        "confirmationToken": token,
        "enableUrl": f"http://localhost:{port}/confirmdestination/{token}",
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
