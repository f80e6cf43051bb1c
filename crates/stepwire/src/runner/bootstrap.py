"""Runs a Python handler: asks the Runtime API for invocations and answers them, until it is ended.

Started by stepwire, as `python3 -u bootstrap.py`. Source: AWS Lambda developer guide, "Runtime API".
"""

import importlib
import json
import logging
import os
import re
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


class Members:
    """An object with these members, `None` where nothing is given."""

    NAMES = ()

    def __init__(self, given):
        for name in self.NAMES:
            setattr(self, name, given.get(name))

    def __repr__(self):
        members = ",".join(f"{name}={getattr(self, name)}" for name in self.NAMES)
        return f"{type(self).__name__}([{members}])"


class Client(Members):
    """The application that calls."""

    NAMES = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(Members):
    """What a client tells of itself."""

    NAMES = ("custom", "env", "client")

    def __init__(self, given):
        super().__init__(given)
        self.client = Client(self.client) if isinstance(self.client, dict) else None


class CognitoIdentity(Members):
    """Who calls, as far as Amazon Cognito says."""

    NAMES = ("cognito_identity_id", "cognito_identity_pool_id")


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
        given = json.loads(identity) if identity else {}
        known = ("cognitoIdentityId", "cognitoIdentityPoolId")
        self.identity = CognitoIdentity(
            dict(zip(CognitoIdentity.NAMES, map(given.get, known)))
        )
        client = headers.get("lambda-runtime-client-context")
        client = json.loads(client) if client else None
        self.client_context = ClientContext(client) if isinstance(client, dict) else None
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        print(message, end="")


AS_JSON = ENV.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
# What every record has; whatever else it has was given with the message.
OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def write_event(text):
    """Writes one event of the log: stepwire joins lines that begin with NUL to the one before."""
    sys.stdout.write(text.replace("\n", "\n\0") + "\n")


def instant(seconds, msecs):
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{at}.{int(msecs):03d}Z"


class LogHandler(logging.Handler):
    """Writes records as Lambda does: level, time, request, message."""

    def emit(self, record):
        at = instant(record.created, record.msecs)
        text = self.as_json(record, at) if AS_JSON else (
            f"[{record.levelname}]\t{at}\t{CURRENT['id']}\t{self.format(record)}"
        )
        write_event(text)

    def as_json(self, record, at):
        line = {
            "timestamp": at,
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0]:
            kind, error, trace = record.exc_info
            line["stackTrace"] = traceback.format_tb(trace)
            line["errorType"] = kind.__name__
            line["errorMessage"] = str(error)
            line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        line["requestId"] = CURRENT["id"] or None
        for name, value in vars(record).items():
            if name not in OF_EVERY_RECORD:
                line.setdefault(name, value)
        line = {name: value for name, value in line.items() if value is not None}
        return json.dumps(line, ensure_ascii=False, default=str)


def set_level(root):
    level = ENV.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "FATAL": "CRITICAL", "WARN": "WARNING"}.get(level, level)
    if level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        root.setLevel(level)


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
        message = f"Unable to import module '{module}': {error}{hint(error)}"
        raise Fault("Runtime.ImportModuleError", message) from None
    except SyntaxError as error:
        message = f"Syntax error in module '{module}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message) from None
    if not hasattr(loaded, function):
        message = f"Handler '{function}' missing on module '{module}'"
        raise Fault("Runtime.HandlerNotFound", message)
    return getattr(loaded, function)


def hint(error):
    """What helps those who miss the SDK that Lambda's own runtimes bring."""
    if getattr(error, "name", None) not in ("boto3", "botocore", "s3transfer"):
        return ""
    return (
        "\nhint: stepwire brings no AWS SDK: bundle it with the function, or start the node with "
        "`--function-modules FOLDER` after `pip install --target FOLDER/python boto3`"
    )


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


def report(told):
    """Writes an error to the log, as one event."""
    if AS_JSON:
        now = time.time()
        line = {"timestamp": instant(now, now % 1 * 1000), "level": "ERROR", **told}
        return write_event(json.dumps(line, ensure_ascii=False))
    lines = [f"[ERROR] {told['errorType']}: {told['errorMessage']}"]
    if told["stackTrace"]:
        lines.append("Traceback (most recent call last):")
        for entry in told["stackTrace"]:
            lines.extend(entry.splitlines())
    # The log's pages drop spaces at the beginning of lines, as Lambda's runtime knows.
    shown = [line.replace(" ", "\u00a0", len(line) - len(line.lstrip(" "))) for line in lines]
    write_event("\n".join(shown))


# Stands before the text of a number that is to be written as it is.
EXACT = os.urandom(8).hex()


def simple(value):
    """What JSON has no type for."""
    decimal = sys.modules.get("decimal")
    if decimal and isinstance(value, decimal.Decimal):
        return EXACT + str(value) if value.is_finite() else float(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def has_names(value):
    """Whether there is a named tuple in it."""
    if isinstance(value, dict):
        return any(map(has_names, value.values()))
    if isinstance(value, (list, tuple)):
        return hasattr(value, "_asdict") or any(map(has_names, value))
    return False


def with_names(value):
    """The same with named tuples as objects."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: with_names(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_names(each) for each in value]
    return value


def marshalled(value):
    text = json.dumps(value, default=simple, ensure_ascii=False)
    if has_names(value):
        text = json.dumps(with_names(value), default=simple, ensure_ascii=False)
    if EXACT in text:
        text = re.sub(f'"{EXACT}([^"]*)"', r"\1", text)
    return text.encode()


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
        return marshalled(result)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"Unable to marshal response: {error}"
        raise Fault("Runtime.MarshalError", message) from None


def main():
    sys.path[0] = ENV["LAMBDA_TASK_ROOT"]
    root = logging.getLogger()
    root.addHandler(LogHandler())
    set_level(root)
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
