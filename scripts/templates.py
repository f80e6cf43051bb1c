#!/usr/bin/env python3
"""What `stepwire deploy --dry-run` says of public templates: the table of docs/dev/templates.md.

    scripts/templates.py CHECKOUT... [--stepwire PROGRAM]

Each CHECKOUT is a folder with a repository's files. Every file in it that is a CloudFormation or SAM
template and has something of IoT in it is tried; nothing is deployed. The exit code is 1 if the program
panics, is killed, or leaves out a resource that is written in the template.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

IOT = re.compile(r"AWS::IoT|IoTRule|iot[:-]", re.IGNORECASE)
TYPE = re.compile(r"""^\s*["']?Type["']?\s*:\s*["']?(AWS|Custom|Alexa)::""", re.MULTILINE)
FORMAT = re.compile(r"""AWSTemplateFormatVersion|^\s*["']?(Transform|Resources)["']?\s*:""", re.MULTILINE)
SUFFIXES = {".yaml", ".yml", ".json", ".template"}


def templates(checkout):
    """The templates in a checkout, in the order of their paths."""
    for path in sorted(checkout.rglob("*")):
        if path.suffix not in SUFFIXES or "node_modules" in path.parts or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if IOT.search(text) and TYPE.search(text) and FORMAT.search(text):
            yield path


def planned(told):
    """The resources of a plan and of the templates within."""
    yield from told.get("resources", [])
    for nested in told.get("nested", []):
        yield from planned(nested)


def count(told, wanted):
    """How many resources become this, and what is refused of them."""
    kinds = collections.Counter()
    for one in planned(told):
        if one["becomes"] != wanted:
            continue
        refused = [p["path"] for p in one["properties"] if p["becomes"] == "refused"]
        kinds.update([".".join([one["type"], *sorted(refused)[:1]]) if refused else one["type"]])
    return kinds


def listed(kinds):
    return ", ".join(f"{kind} {number}" for kind, number in kinds.most_common()) or "–"


def tried(program, path):
    """What the program says of a template, and what is wrong with how it says it."""
    command = [program, "deploy", str(path), "--dry-run", "--stack-name", "app", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode not in (0, 4) or "panicked" in done.stderr:
        return None, f"exit code {done.returncode}: {done.stderr.strip()}"
    try:
        return json.loads(done.stdout), None
    except ValueError:
        # Refused as a whole, with the line.
        first = re.search(r"error: (.*)\n *--> [^\n]*?:(\d+):\d+", done.stdout)
        return first and f"line {first[2]}: {first[1]}", None if first else done.stdout


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("checkouts", nargs="+", type=pathlib.Path)
    options.add_argument("--stepwire", default="target/debug/stepwire")
    given = options.parse_args()
    rows, wrong, refused = [], [], collections.Counter()
    sums = collections.Counter()
    for checkout in given.checkouts:
        for path in templates(checkout):
            name = f"{checkout.name.replace('+', '/', 1)} | {path.relative_to(checkout)}"
            told, fault = tried(given.stepwire, path)
            if fault:
                wrong.append(f"{path}: {fault}")
            elif isinstance(told, str):
                rows.append(f"| {name} | – | – | – | refused as a whole: {told} |")
                sums["whole"] += 1
            else:
                all_of = [count(told, word) for word in ("supported", "without effect", "refused")]
                numbers = [sum(kinds.values()) for kinds in all_of]
                sums.update(resources=sum(numbers), supported=numbers[0], without=numbers[1])
                sums.update(refused=numbers[2], clean=int(not told["refused"]))
                refused.update(all_of[2])
                text = listed(all_of[2])
                if told["files"]:
                    text += f"; {len(told['files'])} files to be built"
                rows.append(f"| {name} | {sum(numbers)} | {numbers[0]} | {listed(all_of[1])} | {text} |")
    print("| repository | template | resources | supported | without effect | refused |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    print(f"\n{len(rows)} templates, {sums['resources']} resources: {sums['supported']} supported,", end=" ")
    print(f"{sums['without']} without effect, {sums['refused']} refused;", end=" ")
    print(f"{sums['clean']} templates wholly taken, {sums['whole']} refused as a whole.")
    print("\n| refused | resources |\n|---|---|")
    print("\n".join(f"| {kind} | {number} |" for kind, number in refused.most_common()))
    if wrong:
        sys.exit("\n".join(["", *wrong]))


if __name__ == "__main__":
    main()
