"""The AWS CLI, loaded once: it takes as long to load as to run.

Reads a line `{"arguments", "environment", "out", "err"}` for each command, carries it out in a process of
its own, forked with everything loaded, and writes its exit status. `Commands` is the other end.
"""

import json
import os
import signal
import subprocess
import sys

# A command that takes longer is ended.
SECONDS_MAX = 120


class Commands:
    """Runs commands of the AWS CLI, one after the other, in this environment and folder."""

    def __init__(self, environment, folder):
        self.environment, self.folder = environment, folder
        self.process = subprocess.Popen(
            [sys.executable, "-B", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=folder,
            text=True,
        )

    def run(self, arguments):
        """Exit status, output, errors."""
        out, err = self.folder / "aws.out", self.folder / "aws.err"
        asked = {"arguments": arguments, "out": str(out), "err": str(err)}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        status = int(self.process.stdout.readline())
        return status, out.read_text(), err.read_text()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def serve():
    import awscli.clidriver  # noqa: PLC0415 - for nobody but the process that serves

    # What the first command would load besides.
    awscli.clidriver.create_clidriver()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            carry_out(asked, awscli.clidriver.main)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def carry_out(asked, main):
    """Never returns: the process is that of the command."""
    status = 255
    signal.alarm(SECONDS_MAX)
    try:
        for number, path in ((1, asked["out"]), (2, asked["err"])):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["aws", *asked["arguments"]]
        status = main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)


if __name__ == "__main__":
    serve()
