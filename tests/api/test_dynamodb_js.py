"""Tables as the AWS SDK for JavaScript and its document client see them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

JS = Path(__file__).parent / "js"


def test_the_document_client_tells_its_story(node, name):
    if shutil.which("node") is None or not (JS / "node_modules").exists():
        pytest.skip("the AWS SDK for JavaScript is not installed: `./x test` does it")
    ran = subprocess.run(
        ["node", "dynamodb.mjs", node.endpoint, "Story-" + name],
        cwd=JS,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "same": True,
        "batch": 1,
        "pages": [[13, 15, 17, 19], [21, 23, 25, 27], []],
        "scanned": 21,
        "updated": {
            "nested": {"parts": [2]},
            "n": 1,
            "hits": 1,
            "tags": ["a"],
        },
        "cancelled": {
            "is": True,
            "message": "Transaction cancelled, please refer cancellation reasons for specific "
            "reasons [None, ConditionalCheckFailed]",
            "codes": ["None", "ConditionalCheckFailed"],
            "item": {"N": "1"},
        },
        "transacted": [{"device": "t", "at": 2, "n": 1}, None],
        "byN": ["d-1", "t"],
        "refused": [
            "ValidationException: Invalid UpdateExpression: Attribute name is a reserved keyword; "
            "reserved keyword: status",
            "ValidationException: The provided key element does not match the schema",
            "ValidationException: Consistent reads are not supported on global secondary indexes",
        ],
    }
