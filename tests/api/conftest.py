"""Fixtures: a node that all tests share, a node of one's own, devices."""

import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cli import Commands
from support import Device, Node, Sdk, program


def pytest_configure():
    """Ended by `./x test`, it ends as by Ctrl-C: no node is left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


# Files whose tests take longest: begun first, so that nobody waits for them at the end.
LONG = ["test_thermostats", "test_sdks", "test_cloudwatch", "test_corpus", "test_dynamodb_model"]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("shared") / "data")
    yield made
    made.kill()


@pytest.fixture(scope="session")
def node(shared):
    """A node that tests share: each uses names of its own."""
    return shared


@pytest.fixture(scope="module", params=["boto3", "javascript"])
def any_sdk(shared, request):
    """The shared node as boto3 sees it, then as the AWS SDK for JavaScript does."""
    if request.param == "boto3":
        yield shared
        return
    if not Sdk.is_installed():
        pytest.skip("the AWS SDK for JavaScript is not installed: `./x test` does it")
    sdk = Sdk(shared)
    yield sdk
    sdk.close()


@pytest.fixture
def own_node(tmp_path):
    """A node of this test alone, which it may kill."""
    own = Node(tmp_path / "data")
    yield own
    own.kill()


NUMBERS = itertools.count(100)  # a table has three characters at least


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"t{next(NUMBERS)}"


@pytest.fixture
def device():
    """Makes devices that are disconnected at the end."""
    made = []

    def make(node, name, **options):
        made.append(Device(node, name, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def command_line():
    """The AWS CLI."""
    beside = Path(sys.executable).parent / "aws"
    cli = str(beside) if beside.exists() else shutil.which("aws")
    assert cli, "the AWS CLI is not installed: see requirements.txt"
    return cli


def in_a_shell(node, what):
    """Runs this where `stepwire env` has been evaluated, as people do it."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(node.folder.parent), "AWS_PAGER": ""}
    script = f"eval \"$('{program()}' env --data '{node.folder}')\" && exec {what}"
    return subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="session")
def aws_in_a_shell(node):
    """Runs `aws` with what `stepwire env` exports: exit status, output, errors."""

    def run(*arguments):
        done = in_a_shell(node, shlex.join([command_line(), *arguments]))
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="session")
def aws(node):
    """The same, sooner."""
    commands = {}

    def run(*arguments):
        # A node that was started again has other ports.
        if node.endpoint not in commands:
            told = in_a_shell(node, "env -0")
            environment = dict(one.split("=", 1) for one in told.stdout.split("\0") if one)
            assert environment.get("AWS_ENDPOINT_URL") == node.endpoint, told
            commands[node.endpoint] = Commands(environment, node.folder.parent)
        return commands[node.endpoint].run(arguments)

    yield run
    for one in commands.values():
        one.close()
