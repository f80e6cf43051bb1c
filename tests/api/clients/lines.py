"""What a device process is told, and what it tells: a line of JSON each. See test_clients.py."""

import json
import sys


def say(event, **what):
    # one write: several threads say something
    sys.stdout.write(json.dumps({"event": event, **what}) + "\n")
    sys.stdout.flush()


def obey(connect, subscribe, publish, disconnect):
    """Does what comes in until nothing more does; all but `connect` are given the client it makes."""
    client = None
    others = {"subscribe": subscribe, "publish": publish, "disconnect": disconnect}
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        if what == "connect":
            client = connect(**command)
        else:
            others[what](client, **command)
