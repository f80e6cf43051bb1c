"""HTTP tasks with connections, and AWS services outside: both against a server of this test."""

import base64
import json
import os
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import ROLE, Node, ended, eventually, machine, refused, single


class Service:
    """A server that notes what it is asked and answers as its routes say."""

    def __init__(self):
        self.seen, self.tokens = [], 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                service.seen.append((self.command, self.path, headers, body))
                status, headers, answer = service.answer(self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, headers, body):
        kind = {"Content-Type": "application/json"}
        if path == "/token":
            self.tokens += 1
            answer = {"access_token": f"t{self.tokens}", "token_type": "bearer", "expires_in": 3600}
            return 200, kind, json.dumps(answer).encode()
        if path == "/guarded" and headers["Authorization"] == "Bearer t1" and self.tokens == 1:
            if len(self.seen) > 3:
                return 401, kind, b"{}"
        if path == "/moved":
            return 302, {"Location": "/elsewhere"}, b""
        if path == "/slow":
            time.sleep(3)
        if headers.get("X-Amz-Target") == "TrentService.Decrypt":
            if json.loads(body)["KeyId"] == "missing":
                kind["x-amzn-RequestId"] = "1-2-3"
                return 400, kind, b'{"__type":"NotFoundException","message":"no such"}'
            return 200, kind, b'{"KeyId":"a","Plaintext":"dg=="}'
        if headers.get("X-Amz-Target") == "AmazonML_20141212.Predict":
            asked = json.loads(body)
            if asked["MLModelId"] == "ml-none":
                return 400, kind, b'{"__type":"ResourceNotFoundException","message":"no such model"}'
            label = "hot" if float(asked["Record"]["t"]) > 20 else "cold"
            return 200, kind, json.dumps({"Prediction": {"predictedLabel": label}}).encode()
        return 200, kind, b'{"ok":true}'

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def service():
    made = Service()
    yield made
    made.close()


@pytest.fixture(scope="module")
def outside(service, tmp_path_factory):
    """A node that may reach the service, and has secrets for it."""
    folder = tmp_path_factory.mktemp("outside")
    secrets = {
        "connections": {
            "basic": {"basic": {"username": "me", "password": "hunter2"}, "query": {"k": "v"}},
            "key": {"apiKey": {"name": "X-Api-Key", "value": "hunter3"}},
            "oauth": {
                "oauth": {
                    "endpoint": f"http://{service.address}/token",
                    "clientId": "id",
                    "clientSecret": "hunter4",
                    "scope": "all",
                }
            },
            "broken": {
                "oauth": {
                    "endpoint": f"http://{service.address}/no-token",
                    "clientId": "id",
                    "clientSecret": "hunter4",
                }
            },
        },
        "services": {
            "machinelearning": {
                "endpoint": f"http://{service.address}",
                "region": "eu-west-1",
                "target": "AmazonML_20141212",
                "errorPrefix": "MachineLearning",
                "accessKeyId": "AKID",
                "secretAccessKey": "hunter6",
            },
            "kms": {
                "endpoint": f"http://{service.address}",
                "region": "eu-west-1",
                "target": "TrentService",
                "errorPrefix": "Kms",
                "accessKeyId": "AKID",
                "secretAccessKey": "hunter5",
            }
        },
    }
    path = folder / "secrets.json"
    path.write_text(json.dumps(secrets))
    path.chmod(0o600)
    node = Node(folder / "data", ["--http-allow", service.address, "--secrets", str(path)])
    yield node
    node.kill()
    assert "hunter" not in node.log_text()


def arn(name):
    return f"arn:aws:events:us-east-1:000000000000:connection/{name}/0f-1a"


def run(node, service, name, path="/", connection=None, retry=None, **parameters):
    """The end of an execution of one HTTP task."""
    parameters = {"ApiEndpoint": f"http://{service.address}{path}", "Method": "GET", **parameters}
    if connection:
        parameters["Authentication"] = {"ConnectionArn": arn(connection)}
    state = {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": parameters}
    state.update({"End": True, **({"Retry": retry} if retry else {})})
    made = machine(node, name, single(state))
    started = node.sfn().start_execution(stateMachineArn=made)["executionArn"]
    done = ended(node, started, 30)
    history = node.sfn().get_execution_history(executionArn=started)
    assert "hunter" not in json.dumps([done, history], default=str)
    return done


def test_a_connection_shows_who_asks(outside, service, name):
    done = run(outside, service, name, "/a?b=c", "basic", Headers={"Authorization": "mine"})
    assert json.loads(done["output"])["ResponseBody"] == {"ok": True}
    _, path, headers, _ = service.seen[-1]
    assert path == "/a?b=c&k=v"
    assert base64.b64decode(headers["authorization"].split()[1]) == b"me:hunter2"
    run(outside, service, name + "b", "/a", "key")
    assert service.seen[-1][2]["x-api-key"] == "hunter3"


def test_an_access_token_is_asked_for_once_and_again_when_it_is_refused(outside, service, name):
    service.seen.clear()
    for at in range(2):
        assert run(outside, service, f"{name}-{at}", "/guarded", "oauth")["status"] == "SUCCEEDED"
    paths = [path for _, path, _, _ in service.seen]
    assert paths == ["/token", "/guarded", "/guarded"]
    asked = urllib.parse.parse_qs(service.seen[0][3].decode())
    assert asked == {
        "grant_type": ["client_credentials"],
        "client_id": ["id"],
        "client_secret": ["hunter4"],
        "scope": ["all"],
    }
    assert run(outside, service, f"{name}-2", "/guarded", "oauth")["status"] == "SUCCEEDED"
    assert [seen[1] for seen in service.seen[3:]] == ["/guarded", "/token", "/guarded"]
    assert service.seen[-1][2]["authorization"] == "Bearer t2"


def test_connections_that_let_nobody_in_fail_the_task(outside, service, name):
    done = run(outside, service, name, "/a", "nobody")
    assert done["error"] == "Events.ConnectionResource.NotFound" and arn("nobody") in done["cause"]
    done = run(outside, service, name + "b", "/a", "broken")
    assert done["error"] == "Events.ConnectionResource.InvalidConnectionState"


def test_a_form_is_encoded_and_a_redirect_is_not_followed(outside, service, name):
    run(
        outside,
        service,
        name,
        "/form",
        Method="POST",
        Headers={"Content-Type": "application/x-www-form-urlencoded"},
        RequestBody={"a": ["x", "y z"], "b": {"c": 1}},
        Transform={
            "RequestBodyEncoding": "URL_ENCODED",
            "RequestEncodingOptions": {"ArrayFormat": "BRACKETS"},
        },
    )
    assert urllib.parse.unquote_plus(service.seen[-1][3].decode()) == "a[]=x&a[]=y z&b[c]=1"
    done = run(outside, service, name + "b", "/moved")
    assert done["error"] == "States.Http.StatusCode.302"
    assert service.seen[-1][1] == "/moved"


def test_a_task_may_be_tired_of_waiting(outside, service, name):
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::http:invoke",
        "TimeoutSeconds": 1,
        "Parameters": {"ApiEndpoint": f"http://{service.address}/slow", "Method": "GET"},
        "End": True,
    }
    made = machine(outside, name, single(state))
    started = outside.sfn().start_execution(stateMachineArn=made)["executionArn"]
    assert ended(outside, started, 20)["error"] in ("States.Timeout", "States.Http.Socket")


def aws(node, name, resource, parameters):
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    made = machine(node, name, single(state))
    started = node.sfn().start_execution(stateMachineArn=made)["executionArn"]
    return ended(node, started, 20)


def test_a_service_outside_is_called_signed_and_answers(outside, service, name):
    resource = "arn:aws:states:::aws-sdk:kms:decrypt"
    done = aws(outside, name, resource, {"KeyId": "a"})
    assert json.loads(done["output"]) == {"KeyId": "a", "Plaintext": "dg=="}
    method, path, headers, body = service.seen[-1]
    assert (method, path, json.loads(body)) == ("POST", "/", {"KeyId": "a"})
    scope = "/eu-west-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target"
    sent = headers["authorization"]
    assert sent.startswith("AWS4-HMAC-SHA256 Credential=AKID/") and scope in sent

    done = aws(outside, name + "b", resource, {"KeyId": "missing"})
    assert done["error"] == "Kms.NotFoundException"
    assert done["cause"] == "no such (Service: Kms, Status Code: 400, Request ID: 1-2-3)"


def test_a_service_without_an_endpoint_is_refused_by_name(outside, node, name):
    resource = "arn:aws:states:::aws-sdk:glue:startJobRun"
    with refused("InvalidDefinition", 400, "aws-sdk:glue:startJobRun` is not available"):
        aws(outside, name, resource, {})
    definition = json.dumps(
        single({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:kms:decrypt", "End": True})
    )
    for one, result in [(outside, "OK"), (node, "FAIL")]:
        answer = one.sfn().validate_state_machine_definition(definition=definition)
        assert answer["result"] == result


def predicting(node, name, model):
    """A rule that asks a model for each message on `in/NAME`, and the queue that it fills."""
    queue = node.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    sql = (
        f"SELECT n, machinelearning_predict('{model}', '{ROLE}', {{'t': t, 'deep': deep}}).predictedLabel "
        f"AS label FROM 'in/{name}'"
    )
    action = {"sqs": {"queueUrl": queue, "useBase64": False, "roleArn": ROLE}}
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [action]}
    node.iot().create_topic_rule(ruleName=name, topicRulePayload=payload)
    return queue


def received(node, queue, count):
    found = []

    def receive():
        asked = node.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        found.extend(json.loads(one["Body"]) for one in asked.get("Messages", []))
        return len(found) >= count

    eventually(receive)
    return found


def test_a_rule_asks_a_model_outside(outside, service, name):
    queue = predicting(outside, name, "ml-1")
    data = outside.client("iot-data")
    for n, t in enumerate([21.5, 3]):
        body = json.dumps({"n": n, "t": t, "deep": {"a": [1]}})
        data.publish(topic=f"in/{name}", qos=1, payload=body)
    found = sorted(received(outside, queue, 2), key=lambda one: one["n"])
    assert found == [{"n": 0, "label": "hot"}, {"n": 1, "label": "cold"}]
    asked = [
        (headers["authorization"], json.loads(body))
        for _, _, headers, body in service.seen
        if headers.get("x-amz-target") == "AmazonML_20141212.Predict"
    ]
    sent = {"MLModelId": "ml-1", "PredictEndpoint": f"http://{service.address}/"}
    record = {"t": "21.5", "deep": '{"a":[1]}'}
    assert {**sent, "Record": record} in [body for _, body in asked]
    assert "/eu-west-1/machinelearning/aws4_request" in asked[0][0]


def test_a_model_that_is_not_there_gives_undefined_and_a_line_in_the_log(outside, name):
    queue = predicting(outside, name, "ml-none")
    outside.client("iot-data").publish(topic=f"in/{name}", qos=1, payload='{"n": 1, "t": 2}')
    assert received(outside, queue, 1) == [{"n": 1}]
    why = "machinelearning_predict: MachineLearning.ResourceNotFoundException: no such model"
    outside.logs(why)


def test_a_rule_that_asks_models_needs_an_endpoint(node, name):
    with refused("SqlParseException", 400, "(?s)no endpoint is configured.*services.machinelearning"):
        predicting(node, name, "ml-1")


def test_a_service_that_the_node_serves_is_refused(tmp_path):
    import subprocess

    from support import program

    path = tmp_path / "secrets.json"
    key = {"endpoint": "http://127.0.0.1:1", "region": "r", "target": "t"}
    key |= {"accessKeyId": "a", "secretAccessKey": "hunter7"}
    path.write_text(json.dumps({"services": {"secretsmanager": key}}))
    path.chmod(0o600)
    told = subprocess.run(
        [program(), "serve", "--data", str(tmp_path / "data"), "--secrets", str(path)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert told.returncode != 0 and "hunter" not in told.stderr
    assert "service `secretsmanager`: the node serves it itself" in told.stderr


def test_a_file_that_others_may_read_is_refused(tmp_path):
    import subprocess

    from support import program

    path = tmp_path / "secrets.json"
    path.write_text("{}")
    os.chmod(path, 0o644)
    told = subprocess.run(
        [program(), "serve", "--data", str(tmp_path / "data"), "--secrets", str(path)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert told.returncode != 0
    assert "may read it (mode 644)" in told.stderr and f"chmod 600 {path}" in told.stderr
