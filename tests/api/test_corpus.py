"""What was recorded from Step Functions itself, asked of a running node.

`docs/dev/corpus.md` lists what is answered otherwise. The recordings are no part of the repository.
"""

import json
import re
import subprocess
import sys
import time

import pytest
from support import REPOSITORY

SHARED = REPOSITORY.parent / "shared"
RUNNER = SHARED / "tools" / "asl_corpus" / "run.py"
LIST = REPOSITORY / "docs" / "dev" / "corpus.md"


def listed(heading):
    """Ids under a heading of the page."""
    part = LIST.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^- `([^`]+)`", part, re.MULTILINE))


@pytest.mark.skipif(not RUNNER.exists(), reason=f"no recordings at {SHARED}")
def test_recorded_cases_are_answered_as_recorded(own_node, tmp_path):
    results = tmp_path / "results.json"

    def ask(*more):
        options = ["--endpoint", own_node.endpoint, "--cases", SHARED / "corpus" / "asl" / "open"]
        options += ["--quiet", "--min-pass", "0", "--json", results, *more]
        ran = subprocess.run(
            [sys.executable, "-B", RUNNER, *options], capture_output=True, text=True, timeout=1500
        )
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
        print(ran.stdout)
        return json.loads(results.read_text())["results"]

    rows = ask("--jobs", "8")
    known, by_chance = listed("Answered otherwise"), listed("By the clock")
    rows = [row for row in rows if row["id"] not in by_chance]
    wrong = {row["id"]: row["why"] for row in rows if not row.get("exact", True)}
    right = {row["id"] for row in rows if row.get("exact")}
    new = {name: why for name, why in wrong.items() if name not in known}
    # Tasks of a second time out on a busy machine: what is left of them alone, time and again, counts.
    for _ in range(5):
        if not new:
            break
        alone = {row["id"]: row for row in ask("--jobs", "1", "--only", ",".join(new))}
        new = {name: why for name, why in new.items() if not alone[name].get("exact")}
        time.sleep(5 if new else 0)
    assert not new, "not in docs/dev/corpus.md:\n" + "\n".join(f"{n}: {w}" for n, w in new.items())
    assert not right & known, f"in docs/dev/corpus.md, but as recorded: {sorted(right & known)}"
