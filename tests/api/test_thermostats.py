"""The SAM application in examples/thermostats, as a user would: deployed, run with its simulator, removed.

Once with `stepwire deploy`, once with AWS's own SAM CLI (skipped where that is not installed).
"""

import json
import os
import re
import shutil
import subprocess
import time

import pytest
from support import REPOSITORY, eventually, program

EXAMPLE = REPOSITORY / "examples" / "thermostats"
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:ThermostatSettings"

pytestmark = pytest.mark.skipif(not shutil.which("npm"), reason="no npm")


def sam():
    """The SAM CLI: $SAM, or the one on the path."""
    return os.environ.get("SAM") or shutil.which("sam")


def install(folder):
    """The packages that are locked there; of another test's download if there was one."""
    command = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(command, cwd=folder, check=True, timeout=600)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The example in a folder of its own, its simulator's packages installed."""
    folder = tmp_path_factory.mktemp("thermostats") / "app"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", ".stepwire", "*.pem"))
    install(folder / "device")
    return folder


@pytest.fixture
def app(copied):
    yield copied
    for file in [*copied.glob("device/*.pem"), *copied.glob("device/*.key")]:
        file.unlink()


def stepwire(node, *arguments, cwd, **options):
    verb, *rest = arguments
    command = [program(), verb, "--data", str(node.folder), *rest]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, **options)


class Simulator:
    """`stepwire run -- node simulator.js`, which ends with the test."""

    def __init__(self, node, app, thing, *arguments):
        environment = {**os.environ, "THING_NAME": thing, "IOT_PORT": str(node.mqtt_port)}
        self.process = subprocess.Popen(
            [program(), "run", "--data", str(node.folder), "--", "node", "simulator.js", *arguments],
            cwd=app / "device",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.said, _ = self.process.communicate(timeout=20)


def ended(node, known=(), timeout=40):
    """The first execution that is not among `known`, once it has ended."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        found = node.sfn().list_executions(stateMachineArn=MACHINE)["executions"]
        new = [one for one in found if one["executionArn"] not in known]
        if new and new[0]["status"] != "RUNNING":
            return new[0]
        time.sleep(0.1)
    raise AssertionError(f"no execution ended: {found}")


def history(node, execution):
    arn = execution["executionArn"]
    return node.sfn().get_execution_history(executionArn=arn, maxResults=1000)["events"]


def ends(file):
    """The invocations that ended, as `sam logs` shows them."""
    return set(re.findall(r"END RequestId: (\S+)", file.read_text()))


def detach(node):
    """As on AWS, a policy cannot go while certificates have it."""
    for target in node.iot().list_targets_for_policy(policyName="Thermostat")["targets"]:
        node.iot().detach_policy(policyName="Thermostat", target=target)


def check_success(node, app):
    """A thermostat connects, is sent its settings and takes them."""
    with Simulator(node, app, "hall", "--once") as simulator:
        execution = ended(node)
    assert execution["status"] == "SUCCEEDED", (execution, simulator.said, node.log_text())
    kinds = [event["type"] for event in history(node, execution)]
    lambdas = ["TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"]
    waiting = lambdas[:3] + ["TaskSubmitted"] + lambdas[3:]
    choice = ["ChoiceStateEntered", "ChoiceStateExited", "SucceedStateEntered", "SucceedStateExited"]
    assert kinds == ["ExecutionStarted", *lambdas * 3, *waiting, *choice, "ExecutionSucceeded"]
    return execution


def check_silence(node, app, known):
    """A thermostat that never answers: the heartbeat of its task runs out."""
    with Simulator(node, app, "cellar", "--silent"):
        execution = ended(node, known)
    assert execution["status"] == "FAILED"
    last = history(node, execution)[-1]
    assert last["executionFailedEventDetails"]["error"] == "States.Timeout"
    return execution


def test_stepwire_deploys_it_and_a_thermostat_gets_its_settings(own_node, app):
    deployed = stepwire(own_node, "deploy", ".", "--yes", "--param", "AnswerSeconds=4", cwd=app)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    said = deployed.stdout + deployed.stderr
    assert "AWS::ApplicationInsights::Application" in said and "without effect" in said
    assert MACHINE in said
    first = check_success(own_node, app)
    # the functions' output is where AWS has it
    groups = own_node.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    assert len(groups) == 3
    # and the node may die while a thermostat is waited for
    with Simulator(own_node, app, "attic", "--silent"):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            found = own_node.sfn().list_executions(stateMachineArn=MACHINE)["executions"]
            new = [one for one in found if one["executionArn"] != first["executionArn"]]
            if new and any(e["type"] == "TaskSubmitted" for e in history(own_node, new[0])):
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the second execution never waited")
        own_node.restart()
    second = ended(own_node, {first["executionArn"]})
    assert second["executionArn"] == new[0]["executionArn"] and second["status"] == "FAILED"

    # again, without a change; with one; and away
    again = stepwire(own_node, "deploy", ".", "--yes", "--param", "AnswerSeconds=4", cwd=app)
    assert again.returncode == 0 and "no change" in (again.stdout + again.stderr).lower()
    changed = stepwire(own_node, "deploy", ".", "--yes", "--param", "AnswerSeconds=3", cwd=app)
    assert changed.returncode == 0, changed.stdout + changed.stderr
    definition = own_node.sfn().describe_state_machine(stateMachineArn=MACHINE)["definition"]
    assert json.loads(definition)["States"]["WaitForThermostat"]["HeartbeatSeconds"] == 3
    known = {one["executionArn"] for one in own_node.sfn().list_executions(stateMachineArn=MACHINE)["executions"]}
    check_silence(own_node, app, known)
    refused = stepwire(own_node, "deploy", ".", "--delete", "--yes", cwd=app)
    assert refused.returncode == 1 and "DELETE_FAILED: The following resource(s) failed" in refused.stderr
    detach(own_node)
    removed = stepwire(own_node, "deploy", ".", "--delete", "--yes", cwd=app)
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert own_node.client("lambda").list_functions()["Functions"] == []
    assert own_node.iot().list_topic_rules()["rules"] == []


@pytest.mark.skipif(not sam(), reason="the SAM CLI is not installed")
def test_sam_deploys_it_and_a_thermostat_gets_its_settings(own_node, app, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SAM_CLI_TELEMETRY": "0",
        "AWS_ENDPOINT_URL": own_node.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "stepwire",
        "AWS_SECRET_ACCESS_KEY": "stepwire",
    }

    def run(*arguments, answers=None):
        done = subprocess.run(
            [sam(), *arguments], cwd=app, env=environment, input=answers, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    run("build")
    # stack, region, two parameters, confirm, IAM, rollback, save, file, environment
    answers = "\n".join(["thermostats", "us-east-1", "", "4", "n", "y", "n", "y", "", "", ""])
    said = run("deploy", "--guided", answers=answers)
    assert "Successfully created/updated stack - thermostats" in said
    first = check_success(own_node, app)
    follows = [sam(), "logs", "--stack-name", "thermostats", "--name", "SendSettings", "--tail"]
    said = tmp_path / "tail.txt"
    with said.open("w") as out, subprocess.Popen(follows, cwd=app, env=environment, stdout=out) as tail:
        try:
            eventually(lambda: ends(said), 60)
            check_silence(own_node, app, {first["executionArn"]})
            eventually(lambda: len(ends(said)) == 2, 60)
        finally:
            tail.terminate()
    unchanged = run("deploy", "--no-confirm-changeset", "--no-fail-on-empty-changeset")
    assert "No changes to deploy" in unchanged
    assert "REPORT RequestId" in run("logs", "--stack-name", "thermostats", "--name", "SendSettings")
    detach(own_node)
    run("delete", "--stack-name", "thermostats", "--no-prompts", "--region", "us-east-1")
    assert own_node.client("lambda").list_functions()["Functions"] == []


CDK = REPOSITORY / "tests" / "api" / "cdk"


@pytest.mark.skipif(not (CDK / "node_modules").exists(), reason="the CDK is not installed")
def test_the_cdk_deploys_it_and_a_thermostat_gets_its_settings(own_node, app, tmp_path):
    for function in ("send-settings", "device-answers"):
        install(app / "functions" / function)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "EXAMPLE": str(app),
        "AWS_ENDPOINT_URL": own_node.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "stepwire",
        "AWS_SECRET_ACCESS_KEY": "stepwire",
        "CDK_DISABLE_VERSION_CHECK": "1",
    }

    def cdk(*arguments):
        command = [str(CDK / "node_modules" / ".bin" / "cdk"), *arguments, "--output", str(tmp_path / "cdk.out")]
        done = subprocess.run(command, cwd=CDK, env=environment, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    cdk("bootstrap", "aws://000000000000/us-east-1")
    assert MACHINE in cdk("deploy", "--require-approval", "never")
    first = check_success(own_node, app)
    check_silence(own_node, app, {first["executionArn"]})
    assert "no changes" in cdk("deploy", "--require-approval", "never")
    detach(own_node)
    cdk("destroy", "--force")
    assert own_node.client("lambda").list_functions()["Functions"] == []
