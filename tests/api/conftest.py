"""Fixtures: a node that all tests share, a node of one's own, devices."""

import itertools

import pytest
from support import Device, Node


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
