"""A node on a disk that fails: it stops with one clear line and a hint, and loses nothing.

usage: faults.py STEPWIRE LOSSYFS FOLDER

LOSSYFS is lossyfs.py, a FUSE file system that fails on command; FOLDER is empty. For each fault a
node stores items until it stops or has stood it, then the disk is good again and everything
acknowledged must be there. Exit code 0: all held.
"""

import os
import re
import subprocess
import sys
import time

import boto3
from botocore.config import Config

# The fault, and what the node must say (None: it must go on).
FAULTS = [
    ("fail fsync EIO", r"error: cannot use `.*`: .*input/output error", "check the disk"),
    ("fail write EIO", r"error: cannot use `.*`: .*input/output error", "check the disk"),
    ("space 0", r"error: the disk of `.*` is full", "free some space"),
    ("slow fsync 2000", None, None),
]
# More than the engine keeps in memory: it has to make new files.
ITEMS = 120


class Node:
    def __init__(self, stepwire, data):
        self.process = subprocess.Popen(
            [stepwire, "serve", "--data", data, "--http", "0", "--mqtts", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        found = re.search(r"http=(\S+)", ready)
        if not found:
            raise SystemExit(f"the node does not start: {ready}{self.process.stderr.read()}")
        self.tables = boto3.client(
            "dynamodb", endpoint_url=found.group(1), region_name="us-east-1",
            aws_access_key_id="a", aws_secret_access_key="b",
            config=Config(read_timeout=30, retries={"total_max_attempts": 1}))

    def put(self, key):
        item = {"k": {"S": key}, "v": {"S": "x" * 300_000}}
        self.tables.put_item(TableName="items", Item=item)

    def has(self, key):
        return "Item" in self.tables.get_item(TableName="items", Key={"k": {"S": key}})

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)


def one(stepwire, control, data, fault, says, hints):
    node = Node(stepwire, data)
    node.tables.create_table(
        TableName="items", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}])
    node.put("before")
    control(fault)
    acknowledged, began = ["before"], time.monotonic()
    wanted = 3 if says is None else ITEMS
    try:
        for number in range(wanted):
            node.put(f"during-{number}")
            acknowledged.append(f"during-{number}")
    except Exception as error:
        if says is None:
            return f"a request failed: {error}"
    problems = []
    if says is None:
        code, told = node.stop(), node.process.stderr.read()
        if code != 0:
            problems.append(f"exit code {code}: {told}")
    else:
        try:
            code = node.process.wait(10)
        except subprocess.TimeoutExpired:
            node.process.kill()
            code = None
        told = node.process.stderr.read()
        if code != 1:
            problems.append(f"exit code {code}")
        lines = told.splitlines()
        clear = len(lines) == 2 and re.match(says, lines[0], re.I) and hints in lines[1]
        if not clear:
            problems.append(f"it said: {told}")
    took = time.monotonic() - began
    control("clear")
    # What was not synced is gone, as after a power cut.
    control("cut drop")
    node = Node(stepwire, data)
    lost = [key for key in acknowledged if not node.has(key)]
    if lost:
        problems.append(f"lost: {lost}")
    node.put("after")
    node.stop()
    print(f"{fault}: {len(acknowledged)} acknowledged, {len(lost)} lost, {took:.1f} s: "
          f"{told.splitlines()[0] if told else 'went on'}", flush=True)
    return "; ".join(problems)


def main():
    stepwire, lossyfs, folder = sys.argv[1:]
    back, mount, socket_path = (os.path.join(folder, name) for name in ("back", "mnt", "ctl"))
    os.makedirs(back)
    os.makedirs(mount)
    command = [sys.executable, lossyfs, "mount", back, mount, "--ctl", socket_path]
    disk = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not os.path.ismount(mount) or not os.path.exists(socket_path):
        if disk.poll() is not None:
            raise SystemExit("the lossy file system cannot be mounted")
        time.sleep(0.1)

    def control(words):
        subprocess.run([sys.executable, lossyfs, "ctl", socket_path, *words.split()],
                       check=True, stdout=subprocess.DEVNULL)

    broken = False
    try:
        for number, (fault, says, hints) in enumerate(FAULTS):
            data = os.path.join(mount, str(number))
            problems = one(stepwire, control, data, fault, says, hints)
            if problems:
                broken = True
                print(f"{fault}: BROKEN: {problems}", flush=True)
    finally:
        control("quit")
        disk.wait(10)
    sys.exit(1 if broken else 0)


main()
