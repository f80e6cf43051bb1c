"""Runs a Python handler: asks the Runtime API for invocations and answers them, until it is ended.

Started by stepwire, as `python3 -u bootstrap.py`. Source: AWS Lambda developer guide, "Runtime API".
"""

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback

RUNTIME = "/2018-06-01/runtime"
ENV = os.environ
CURRENT = {"id": ""}


class Api:
    """The Runtime API, on one connection. `http.client` would take as long to load as all else."""

    def __init__(self):
        self.host = ENV["AWS_LAMBDA_RUNTIME_API"]
        address, port = self.host.split(":")
        self.socket = socket.create_connection((address, int(port)))
        self.lines = self.socket.makefile("rb")

    def request(self, method, path, body=b"", headers=None):
        """The headers, by name in lower case, and the body of the answer."""
        try:
            sent = {"Host": self.host, "Content-Length": len(body), **(headers or {})}
            head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            head = f"{method} {RUNTIME}{path} HTTP/1.1\r\n{head}\r\n"
            self.socket.sendall(head.encode("latin-1", "replace") + body)
            if not self.lines.readline():
                raise OSError("closed")
            received = {}
            for line in iter(self.lines.readline, b"\r\n"):
                name, _, value = line.decode("latin-1").partition(":")
                received[name.lower()] = value.strip()
            return received, self.lines.read(int(received.get("content-length", 0)))
        except OSError:
            # Nobody is there any more.
            sys.stdout.flush()
            os._exit(0)

    def error(self, path, error):
        headers = {"Lambda-Runtime-Function-Error-Type": error["errorType"]}
        self.request("POST", path, json.dumps(error).encode(), headers)


class Fault(Exception):
    """An error that has a name of the runtime's own."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class ClientContext(dict):
    """What a client tells of itself."""

    custom = property(lambda self: self.get("custom"))
    env = property(lambda self: self.get("env"))
    client = property(lambda self: self.get("client"))


class Identity:
    """Who calls, as far as Amazon Cognito says."""

    def __init__(self, given):
        self.cognito_identity_id = given.get("cognitoIdentityId")
        self.cognito_identity_pool_id = given.get("cognitoIdentityPoolId")


class Context:
    """What a handler gets beside its event."""

    def __init__(self, headers):
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.function_name = ENV["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = ENV["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = ENV["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = ENV["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = ENV["AWS_LAMBDA_LOG_STREAM_NAME"]
        identity = headers.get("lambda-runtime-cognito-identity")
        self.identity = Identity(json.loads(identity)) if identity else None
        client = headers.get("lambda-runtime-client-context")
        self.client_context = ClientContext(json.loads(client)) if client else None
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        print(message, end="")


class LogHandler(logging.Handler):
    """Writes records as Lambda does: level, time, request, message."""

    def emit(self, record):
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        at = f"{seconds}.{int(record.msecs):03d}Z"
        request = CURRENT["id"]
        sys.stdout.write(f"[{record.levelname}]\t{at}\t{request}\t{self.format(record)}\n")


def handler():
    """The function that `_HANDLER` names."""
    name = ENV["_HANDLER"]
    module, dot, function = name.rpartition(".")
    if not dot:
        raise Fault(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
        )
    try:
        loaded = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module}': {error}"
        raise Fault("Runtime.ImportModuleError", message) from None
    except SyntaxError as error:
        message = f"Syntax error in module '{module}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message) from None
    if not hasattr(loaded, function):
        message = f"Handler '{function}' missing on module '{module}'"
        raise Fault("Runtime.HandlerNotFound", message)
    return getattr(loaded, function)


def described(error, request_id):
    """An exception as the object that callers get. Frames of this file are left out."""
    kind = error.kind if isinstance(error, Fault) else type(error).__name__
    frames = []
    if not isinstance(error, Fault):
        frames = [
            (frame.filename, frame.lineno, frame.name, frame.line)
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename != __file__ and not frame.filename.startswith("<frozen importlib")
        ]
        while frames and frames[0][0] == importlib.__file__:
            frames.pop(0)
    return {
        "errorMessage": str(error),
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames),
    }


def report(described_error):
    """Writes an error to the log."""
    print(f"[ERROR] {described_error['errorType']}: {described_error['errorMessage']}")
    if described_error["stackTrace"]:
        print("Traceback (most recent call last):")
        print("".join(described_error["stackTrace"]), end="")


def simple(value):
    """What JSON has no type for."""
    decimal = sys.modules.get("decimal")
    if decimal and isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def answer(function, event, context):
    """The bytes that the handler returns for an event."""
    try:
        event = json.loads(event)
    except ValueError as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
    result = function(event, context)
    if isinstance(result, bytes):
        return result
    try:
        return json.dumps(result, default=simple, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        message = f"Unable to marshal response: {error}"
        raise Fault("Runtime.MarshalError", message) from None


def main():
    sys.path[0] = ENV["LAMBDA_TASK_ROOT"]
    root = logging.getLogger()
    root.addHandler(LogHandler())
    api = Api()
    try:
        function = handler()
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        error = described(error, "")
        report(error)
        sys.stdout.flush()
        api.error("/init/error", error)
        sys.exit(1)
    while True:
        headers, event = api.request("GET", "/invocation/next")
        context = Context(headers)
        CURRENT["id"] = request_id = context.aws_request_id
        ENV["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
        try:
            result, error = answer(function, event, context), None
        except Exception as raised:
            error = described(raised, request_id)
            report(error)
        sys.stdout.flush()
        sys.stderr.flush()
        if error is None:
            api.request("POST", f"/invocation/{request_id}/response", result)
        else:
            api.error(f"/invocation/{request_id}/error", error)


main()
