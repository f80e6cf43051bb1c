"""Fixtures: a node that all tests share, a node of one's own, devices."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import Device, Node, program


def pytest_configure():
    """Ended by `./x test`, it ends as by Ctrl-C: no node is left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """A node that tests share: each uses names of its own."""
    shared = Node(tmp_path_factory.mktemp("shared") / "data")
    yield shared
    shared.kill()


@pytest.fixture
def own_node(tmp_path):
    """A node of this test alone, which it may kill."""
    own = Node(tmp_path / "data")
    yield own
    own.kill()


NUMBERS = itertools.count(1)


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


@pytest.fixture(scope="session")
def aws(node):
    """Runs `aws` with what `stepwire env` exports: exit status, output, errors."""
    beside = Path(sys.executable).parent / "aws"
    cli = str(beside) if beside.exists() else shutil.which("aws")
    assert cli, "the AWS CLI is not installed: see requirements.txt"
    environment = {"PATH": os.environ["PATH"], "HOME": str(node.folder.parent), "AWS_PAGER": ""}

    def run(*arguments):
        words = " ".join(f"'{argument}'" for argument in arguments)
        script = f"eval \"$('{program()}' env --data '{node.folder}')\" && exec '{cli}' {words}"
        done = subprocess.run(
            ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout, done.stderr

    return run
