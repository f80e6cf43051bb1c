"""The corpus of IoT SQL, through the public API of a running node."""

import json
import subprocess
import sys

import pytest
from support import REPOSITORY, Node

RUN = REPOSITORY.parent / "shared" / "tools" / "iot_sql" / "run.py"


@pytest.mark.skipif(not RUN.exists(), reason="skipped: the corpus is not here")
def test_every_undisputed_case_is_right(tmp_path):
    node = Node(tmp_path / "data", ["--mqtt", "127.0.0.1:0", "--allow-anonymous"])
    try:
        address = node.ready.split("mqtt=mqtt://")[1].split()[0]
        results = tmp_path / "results.json"
        arguments = ["--endpoint", node.endpoint, "--mqtt", address, "--json", str(results)]
        arguments += ["--quiet-wait", "0.4", "--wait", "5", "--limit", "600"]
        done = subprocess.run(
            [sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=900
        )
    finally:
        node.kill()
    assert results.exists(), done.stdout + done.stderr
    cases = [case for case in json.loads(results.read_text())["results"] if "ok" in case]
    print(done.stdout)
    for case in cases:
        if case["disputed"]:
            print(case["id"], "right" if case["ok"] else "otherwise", case["sql"], case["got"])
    wrong = [case for case in cases if not case["ok"] and not case["disputed"]]
    assert len(cases) > 200
    assert not wrong, "\n".join(json.dumps(case) for case in wrong)
