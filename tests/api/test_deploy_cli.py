"""`stepwire deploy`: dry runs, refusals with their lines, change sets, updates, watching, deletion."""

import base64
import json
import re
import shutil
import subprocess
import time

import pytest
from support import program

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting:
    Type: String
    Default: hello
Globals:
  Function:
    Runtime: python3.11
    Timeout: 20
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      CodeUri: hello/
      Environment:
        Variables:
          GREETING: !Ref Greeting
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.json
      DefinitionSubstitutions:
        Hello: !GetAtt Hello.Arn
      Role: arn:aws:iam::000000000000:role/any
  Group:
    Type: AWS::ResourceGroups::Group
    Properties:
      Name: a-group
      ResourceQuery:
        Type: CLOUDFORMATION_STACK_1_0
Outputs:
  MachineArn:
    Description: what to start
    Value: !Ref Machine
"""
MACHINE = {
    "StartAt": "Call",
    "States": {"Call": {"Type": "Task", "Resource": "${Hello}", "End": True}},
}
APP = """\
import os
def handler(event, context):
    return f"{os.environ['GREETING']} {event['name']}VERSION"
"""
MISSING = "AWS::Timestream::Table"


class App:
    """A template with a function and a workflow, in a folder of its own."""

    def __init__(self, folder, node=None):
        self.folder, self.node = folder, node
        (folder / "hello").mkdir()
        (folder / "template.yaml").write_text(TEMPLATE)
        (folder / "machine.asl.json").write_text(json.dumps(MACHINE))
        self.write("")

    def write(self, version):
        (self.folder / "hello" / "app.py").write_text(APP.replace("VERSION", version))

    def template(self, old, new):
        text = (self.folder / "template.yaml").read_text()
        assert old in text
        (self.folder / "template.yaml").write_text(text.replace(old, new))

    def deploy(self, *options, code=0):
        data = ["--data", str(self.node.folder)] if self.node else []
        done = subprocess.run(
            [program(), "deploy", *data, *options],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def told(self, *options):
        return json.loads(self.deploy("-o", "json", *options).stdout)

    def run(self, machine, name="you"):
        sfn = self.node.sfn()
        given = json.dumps({"name": name})
        started = sfn.start_execution(stateMachineArn=machine, input=given)["executionArn"]
        for _ in range(100):
            execution = sfn.describe_execution(executionArn=started)
            if execution["status"] != "RUNNING":
                return json.loads(execution["output"])
            time.sleep(0.1)
        raise AssertionError("still running")


@pytest.fixture
def lone(tmp_path):
    """An application, and no node."""
    return App(tmp_path)


@pytest.fixture
def app(tmp_path, own_node):
    (tmp_path / "app").mkdir()
    return App(tmp_path / "app", own_node)


def test_a_dry_run_tells_of_each_resource_what_becomes_of_it(lone):
    told = json.loads(lone.deploy("--dry-run", "-o", "json").stdout)
    becomes = {one["logicalId"]: (one["type"], one["becomes"]) for one in told["resources"]}
    assert becomes["Hello"] == ("AWS::Lambda::Function", "supported")
    assert becomes["Machine"] == ("AWS::StepFunctions::StateMachine", "supported")
    assert becomes["Group"] == ("AWS::ResourceGroups::Group", "without effect")
    assert becomes["HelloRole"] == ("AWS::IAM::Role", "supported")
    places = {one["logicalId"]: one["place"] for one in told["resources"]}
    assert places["Hello"] == {"line": 11, "column": 3}
    assert places["HelloRole"]["line"] == 11, "what SAM makes stands where its origin does"
    text = lone.deploy("--dry-run").stdout
    assert re.search(r"supported +AWS::Lambda::Function +Hello +template.yaml:11:3", text), text
    assert "0 refused" in text
    assert not (lone.folder / ".stepwire").exists(), "nothing is built"


def test_a_dry_run_goes_on_past_what_is_missing_and_tells_it_at_the_end(lone):
    lone.template("    Default: hello\n", "")
    lone.template("CodeUri: hello/", "CodeUri: ../bundle.zip")
    done = lone.deploy("--dry-run", code=4)
    assert re.search(r"supported +AWS::StepFunctions::StateMachine +Machine", done.stdout)
    assert "note: Parameters: [Greeting] have no values here" in done.stdout
    assert "bundle.zip` is not there, which `CodeUri` names" in done.stdout
    assert "0 refused; 1 file is missing or cannot be built" in done.stdout
    told = json.loads(lone.deploy("--dry-run", "-o", "json", code=4).stdout)
    assert [one["place"]["line"] for one in told["files"]] == [14]


NESTED = """\
Parameters:
  Name: {Type: String}
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Name}}
  Table: {Type: AWS::Timestream::Table}
"""


def test_a_dry_run_looks_into_templates_that_the_template_names(lone):
    lone.template(
        "Resources:\n",
        "Resources:\n  Inner:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n"
        "      TemplateURL: inner.yaml\n      Parameters: {Name: !Ref Hello}\n"
        "  Seed: {Type: 'Custom::Seed', Properties: {ServiceToken: !GetAtt Hello.Arn}}\n",
    )
    (lone.folder / "inner.yaml").write_text(NESTED)
    told = json.loads(lone.deploy("--dry-run", "-o", "json", code=4).stdout)
    becomes = {one["logicalId"]: one["becomes"] for one in told["resources"]}
    assert becomes["Inner"] == becomes["Seed"] == "supported"
    [inner] = told["nested"]
    assert inner["logicalId"] == "Inner" and inner["template"].endswith("inner.yaml")
    assert {one["logicalId"]: one["becomes"] for one in inner["resources"]} == {
        "Queue": "supported",
        "Table": "refused",
    }
    done = lone.deploy("--dry-run", code=4)
    assert "inner.yaml:5:3" in done.stdout and "1 thing is refused" in done.stderr
    lone.template("{Name: !Ref Hello}", "{Nmae: x}")
    assert "Parameters: [Nmae] do not exist" in lone.deploy("--dry-run", code=4).stdout


def test_what_is_refused_is_shown_with_its_line(lone):
    lone.template("AWS::ResourceGroups::Group", MISSING)
    done = lone.deploy("--dry-run", code=4)
    line = next(i for i, l in enumerate(TEMPLATE.splitlines(), 1) if "  Group:" in l)
    assert f"template.yaml:{line}:3" in done.stdout and "^^^^^" in done.stdout
    assert f"resource type `{MISSING}` is not available" in done.stdout
    assert "--allow-missing" in done.stderr
    for allowed in [MISSING, "AWS::Timestream::*", "*"]:
        text = lone.deploy("--dry-run", "--allow-missing", allowed).stdout
        assert re.search(rf"placeholder +{MISSING}", text), text
    lone.deploy("--dry-run", "--allow-missing", "AWS::Glue::Job", code=4)


def test_strict_refuses_what_would_be_without_effect(lone):
    done = lone.deploy("--dry-run", "--strict", code=4)
    assert "without effect, with `--strict`" in done.stderr


@pytest.mark.parametrize(
    "wrong, told",
    [
        ("Resources: [", "error"),
        ("", "error"),
        ("Resources:\n  A:\n    Properties: {}\n", "template.yaml:2"),
        ("Resources:\n  A:\n    Type: AWS::IoT::Thing\n    DependsOn: Nobody\n", "Nobody"),
        (
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  A:\n    Type: AWS::Serverless::Function\n"
            "    Properties: {Handler: a.b, Runtime: python3.11, CodeUri: nowhere/}\n",
            "template.yaml:5",
        ),
        (
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  A:\n    Type: AWS::Serverless::Function\n"
            "    Metadata:\n      BuildMethod: dotnet7\n"
            "    Properties: {Handler: a.b, Runtime: python3.11, CodeUri: hello/}\n",
            "`dotnet7` is not supported",
        ),
    ],
)
def test_bad_templates_are_refused_and_nothing_happens(lone, wrong, told):
    (lone.folder / "template.yaml").write_text(wrong)
    done = lone.deploy("--dry-run", code=4)
    assert told in done.stdout, done.stdout
    assert "error: " in done.stderr and "panicked" not in done.stderr


def test_what_is_not_there_is_said(lone, tmp_path):
    assert "no template in" in lone.deploy("hello", "--dry-run", code=3).stderr
    assert "cannot read" in lone.deploy("absent.yaml", "--dry-run", code=3).stderr
    assert "must be NAME=VALUE" in lone.deploy("--param", "x", code=2).stderr
    assert "no name for a stack" in lone.deploy("--dry-run", "--stack-name", "x_y", code=2).stderr
    done = lone.deploy("--data", str(tmp_path / "nowhere"), code=5)
    assert "stepwire serve" in done.stderr
    (lone.folder / "samconfig.toml").write_text("[default")
    assert "samconfig.toml" in lone.deploy("--dry-run", code=4).stderr


def test_a_template_is_deployed_changed_and_removed(app):
    told = app.told("--stack-name", "greet")
    assert told["status"] == "CREATE_COMPLETE" and told["stackName"] == "greet"
    actions = {one["logicalId"]: one["action"] for one in told["changes"]}
    assert actions["Hello"] == actions["Machine"] == actions["HelloRole"] == "Add"
    assert {"logicalId": "Group"}.items() <= told["withoutEffect"][0].items()
    machine = told["outputs"]["MachineArn"]
    assert app.run(machine) == "hello you"

    text = app.deploy("--stack-name", "greet").stdout
    assert "greet: no changes" in text and machine in text and "what to start" in text

    app.write("!")
    done = app.deploy("--stack-name", "greet", "--param", "Greeting=good day")
    assert re.search(r"Modify +Hello +AWS::Lambda::Function +False", done.stdout), done.stdout
    assert "UPDATE_COMPLETE" in done.stdout
    assert app.run(machine) == "good day you!"

    app.node.restart()
    assert app.run(machine) == "good day you!"
    done = app.deploy("--stack-name", "greet", "--delete")
    assert "greet: deleted" in done.stdout
    assert app.node.sfn().list_state_machines()["stateMachines"] == []
    assert "no stack `greet`" in app.deploy("--stack-name", "greet", "--delete", code=3).stderr


def test_a_deletion_that_an_export_forbids_ends_and_says_why(app):
    app.template("    Value: !Ref Machine\n", "    Value: !Ref Machine\n    Export: {Name: the-machine}\n")
    app.deploy("--stack-name", "greet")
    user = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"There": {"Value": {"Fn::ImportValue": "the-machine"}}},
    }
    cloud = app.node.client("cloudformation")
    cloud.create_stack(StackName="user", TemplateBody=json.dumps(user))
    cloud.get_waiter("stack_create_complete").wait(StackName="user", WaiterConfig={"Delay": 1})
    failed = app.deploy("--stack-name", "greet", "--delete", code=1)
    why = "Delete canceled. Export the-machine cannot be deleted as it is in use by user"
    assert f"the stack `greet` is CREATE_COMPLETE: {why}" in failed.stderr
    app.write("!")
    app.deploy("--stack-name", "greet")


def test_samconfig_names_the_stack_and_its_parameters(app):
    (app.folder / "samconfig.toml").write_text(
        'version = 0.1\n[default.deploy.parameters]\nstack_name = "from-config"\n'
        'parameter_overrides = "Greeting=\\"good evening\\""\n'
    )
    told = app.told()
    assert told["stackName"] == "from-config"
    assert app.run(told["outputs"]["MachineArn"]) == "good evening you"


def test_a_failed_deploy_is_rolled_back_and_can_be_repeated(app):
    app.template(
        "Resources:\n",
        "Resources:\n  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: taken}}\n",
    )
    sqs = app.node.client("sqs")
    url = sqs.create_queue(QueueName="taken")["QueueUrl"]
    done = app.deploy("--stack-name", "broken", code=1)
    assert "CREATE_FAILED" in done.stdout and "ROLLBACK" in done.stderr
    assert app.node.client("lambda").list_functions()["Functions"] == []
    sqs.delete_queue(QueueUrl=url)
    assert app.told("--stack-name", "broken")["status"] == "CREATE_COMPLETE"


OUTPUTS = "Outputs: {Url: {Value: !Ref Queue}}\n"
SEED = """\
import json
import urllib.request
def handler(event, context):
    properties = event["ResourceProperties"]
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "seeded",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Made": "made of " + properties["Of"]},
    }
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT")
    urllib.request.urlopen(request)
"""


def test_stacks_within_and_what_functions_make_are_deployed(app):
    (app.folder / "inner.yaml").write_text(NESTED.split("  Table:")[0] + OUTPUTS)
    (app.folder / "hello" / "seed.py").write_text(SEED)
    app.template(
        "Resources:\n",
        "Resources:\n  Inner:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n"
        "      TemplateURL: inner.yaml\n      Parameters: {Name: inner-queue}\n"
        "  Seeder:\n    Type: AWS::Serverless::Function\n    Properties:\n"
        "      Handler: seed.handler\n      CodeUri: hello/\n"
        "  Seed: {Type: 'Custom::Seed', Properties: {ServiceToken: !GetAtt Seeder.Arn, Of: x}}\n",
    )
    app.template(
        "Outputs:\n",
        "Outputs:\n  Seeded: {Value: !GetAtt Seed.Made}\n"
        "  Inner: {Value: !GetAtt Inner.Outputs.Url}\n",
    )
    outputs = app.told("--stack-name", "outer")["outputs"]
    assert outputs["Seeded"] == "made of x" and outputs["Inner"].endswith("/inner-queue")
    app.deploy("--stack-name", "outer", "--delete")
    assert not app.node.client("sqs").list_queues().get("QueueUrls")


def test_functions_are_warm_when_it_ends(app):
    """Whoever connects right afterwards starts no process."""
    app.deploy("--stack-name", "warm")
    status, _, body = app.node.send("GET", "/-/ready")
    assert status == 200 and json.loads(body)["startingFunctions"] == 0
    [function] = app.node.client("lambda").list_functions()["Functions"]
    given = {"FunctionName": function["FunctionName"], "LogType": "Tail", "Payload": '{"name": "x"}'}
    log = base64.b64decode(app.node.client("lambda").invoke(**given)["LogResult"]).decode()
    assert "START" in log and "Init Duration" not in log, "a cold start would tell how long it took"


def test_a_parameter_without_a_value_is_asked_for_before_anything_is_built(app):
    app.template("    Default: hello\n", "")
    done = app.deploy(code=4)
    assert "parameter `Greeting` has no value" in done.stdout
    assert "`--param Greeting=…`" in done.stdout
    assert not (app.folder / ".stepwire").exists()


def test_what_another_stack_exports_is_for_the_node_to_find(app):
    (app.folder / "first.yaml").write_text(
        "Resources: {Queue: {Type: AWS::SQS::Queue}}\n"
        "Outputs: {Url: {Value: !Ref Queue, Export: {Name: the-queue}}}\n"
    )
    (app.folder / "second.yaml").write_text(
        "Resources: {A: {Type: AWS::SSM::Parameter, Properties: "
        "{Name: /queue, Type: String, Value: !ImportValue the-queue}}}\n"
    )
    assert "the-queue is not known here" in app.deploy("second.yaml", "--dry-run").stdout
    failed = app.deploy("second.yaml", "--stack-name", "second", code=4)
    assert "No export named the-queue found" in failed.stdout + failed.stderr
    app.deploy("first.yaml", "--stack-name", "first")
    app.deploy("second.yaml", "--stack-name", "second")
    stored = app.node.client("ssm").get_parameter(Name="/queue")["Parameter"]["Value"]
    assert stored.startswith("http")


def test_placeholders_stand_for_what_is_missing(app):
    app.template("AWS::ResourceGroups::Group", MISSING)
    assert MISSING in app.deploy(code=4).stdout
    told = app.told("--allow-missing", MISSING)
    assert told["status"] == "CREATE_COMPLETE"
    assert told["withoutEffect"][0]["logicalId"] == "Group"


def test_an_unchanged_function_is_built_and_stored_once(app):
    requirements = app.folder / "hello" / "requirements.txt"
    (app.folder / "wheels" / "greetings").mkdir(parents=True)
    (app.folder / "wheels" / "greetings" / "__init__.py").write_text("WORD = 'moin'\n")
    (app.folder / "wheels" / "pyproject.toml").write_text(
        '[project]\nname = "greetings"\nversion = "1"\n'
        '[tool.setuptools]\npackages = ["greetings"]\n'
    )
    requirements.write_text(f"{app.folder / 'wheels'}\n")
    first = app.deploy()
    assert "building Hello" in first.stdout and "stored Hello" in first.stdout
    again = app.deploy()
    assert "building" not in again.stdout and "stored" not in again.stdout
    requirements.write_text("a-package-that-is-not-there==0.0.1\n")
    failed = app.deploy(code=1)
    assert "Hello cannot be built" in failed.stderr and "a-package-that-is-not-there" in failed.stderr


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_packages_of_a_node_function_are_installed(app):
    code = app.folder / "hello"
    (code / "app.py").unlink()
    library = app.folder / "library"
    library.mkdir()
    (library / "package.json").write_text('{"name":"library","version":"1.0.0","type":"module","exports":"./i.js"}')
    (library / "i.js").write_text("export const word = 'salut';\n")
    packed = subprocess.run(
        ["npm", "pack", "--silent"], cwd=library, capture_output=True, text=True, check=True
    )
    shutil.move(library / packed.stdout.strip(), code / "library.tgz")
    (code / "package.json").write_text('{"type":"module","dependencies":{"library":"file:library.tgz"}}')
    (code / "app.js").write_text(
        "import { word } from 'library';\nexport const handler = async (event) => `${word} ${event.name}`;\n"
    )
    app.template("python3.11", "nodejs18.x")
    told = app.told()
    assert app.run(told["outputs"]["MachineArn"]) == "salut you"
    assert not (code / "node_modules").exists(), "the sources are not touched"


def test_watching_deploys_what_changes(app):
    command = [program(), "deploy", "--watch", "--data", str(app.node.folder), "--stack-name", "seen"]
    log = app.folder.parent / "watch.log"
    with open(log, "w") as out:
        process = subprocess.Popen(command, cwd=app.folder, stdout=out, stderr=subprocess.STDOUT)
    try:

        def until(what, count=1):
            for _ in range(300):
                if log.read_text().count(what) >= count:
                    return
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            raise AssertionError(log.read_text())

        until("watching")
        machine = app.node.sfn().list_state_machines()["stateMachines"][0]["stateMachineArn"]
        assert app.run(machine) == "hello you"
        app.template("Timeout: 20", "Timeout: [")
        until("template.yaml: ", 1)
        app.template("Timeout: [", "Timeout: 21")
        app.write("?")
        until("UPDATE_COMPLETE")
        until("watching", 3)
        assert app.run(machine) == "hello you?"
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_a_dry_run_reads_definitions_and_says_where_they_are_refused(lone):
    (lone.folder / "machine.asl.json").unlink()
    lone.template("machine.asl.json", "machine.asl.yaml")
    text = "StartAt: Call\nStates:\n  Call: {Type: Task, Resource: '${Hello}', End: true}\n"
    (lone.folder / "machine.asl.yaml").write_text(text)
    lone.deploy("--dry-run")
    wrong = text.replace("${Hello}", "arn:aws:states:::bedrock:invokeModel")
    (lone.folder / "machine.asl.yaml").write_text(wrong)
    told = lone.deploy("--dry-run", code=4)
    assert "machine.asl.yaml:3:22" in told.stdout
    assert "`arn:aws:states:::bedrock:invokeModel` is not available" in told.stdout
    # a number that is put in later stands without quotes
    number = "StartAt: W\nStates:\n  W: {Type: Wait, Seconds: ${Hello}, End: true}\n"
    (lone.folder / "machine.asl.yaml").write_text(number)
    lone.deploy("--dry-run")
    number = '{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": ${Hello}, "Next": "X"}}}'
    (lone.folder / "machine.asl.yaml").write_text(number)
    told = lone.deploy("--dry-run", code=4)
    assert re.search(r"machine.asl.yaml:1:7\d", told.stdout), told.stdout
    inline = "Definition: {StartAt: A, States: {A: {Type: Task, Resource: nowhere, End: true}}}"
    lone.template("DefinitionUri: machine.asl.yaml", inline)
    told = lone.deploy("--dry-run", code=4)
    wrong = r" Definition.States.A.Resource: refused: .*template.yaml:22:\d+"
    assert re.search(wrong, told.stdout), told.stdout


def test_parameters_that_there_are_not_are_refused(lone):
    told = lone.deploy("--dry-run", "--param", "Greting=x", code=4)
    assert "no parameter `Greting`" in told.stderr and "`Greeting`" in told.stderr
    told = lone.deploy("--dry-run", "--param", "Greeting=x", "--param", "Greeting=y", code=2)
    assert "`--param Greeting` is given twice" in told.stderr


def test_what_the_node_refuses_is_shown_in_the_template(app):
    app.template(
        "Outputs:\n",
        "  Import:\n    Type: AWS::SQS::Queue\n    Properties:\n"
        "      QueueName: !ImportValue not-there\nOutputs:\n",
    )
    told = app.deploy("--yes", code=4)
    line = app.folder.joinpath("template.yaml").read_text().split("not-there")[0].count("\n") + 1
    assert f"template.yaml:{line}:" in told.stdout + told.stderr
    assert "!ImportValue not-there" in told.stdout
    assert "line 1" not in told.stdout + told.stderr
