#!/usr/bin/env python3
"""Writes crates/stepwire-aws/src/routes.rs: the REST routes of AWS's public service models.

    python3 scripts/routes.py > crates/stepwire-aws/src/routes.rs   # needs botocore

Names, paths and places of parameters only; the models' prose is left out.
"""
import botocore.session

SESSION = botocore.session.get_session()
HEAD = '''//! REST routes of AWS IoT, AWS Lambda and EventBridge Scheduler: which operation a method and path name, and where its parameters are.
//!
//! Made by `scripts/routes.py` from the public service models. Do not edit.

/// An operation and how a request names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path with `{label}` and `{label+}`.
    pub path: &'static str,
    /// Operation name.
    pub operation: &'static str,
    /// Query parameters and the members they are.
    pub query: &'static [(&'static str, &'static str)],
    /// Headers and the members they are.
    pub headers: &'static [(&'static str, &'static str)],
    /// The member that is the whole body.
    pub payload: Option<&'static str>,
    /// Members that are numbers or truth values in the query or path.
    pub plain: &'static [&'static str],
}
'''


def pairs(items):
    return "&[" + ", ".join(f'("{a}", "{b}")' for a, b in sorted(items)) + "]"


def names(items):
    return "&[" + ", ".join(f'"{a}"' for a in sorted(items)) + "]"


def rows(service):
    model = SESSION.get_service_model(service)
    for name in model.operation_names:
        op = model.operation_model(name)
        query, headers, plain = [], [], []
        payload = None
        if op.input_shape is not None:
            payload = op.input_shape.serialization.get("payload")
            for member, shape in op.input_shape.members.items():
                where = shape.serialization.get("location")
                wire = shape.serialization.get("name", member)
                if where == "querystring":
                    query.append((wire, member))
                elif where == "header":
                    headers.append((wire.lower(), member))
                if where in ("querystring", "uri") and shape.type_name in ("integer", "long", "boolean"):
                    plain.append(member)
        path = op.http["requestUri"].split("?")[0]
        yield op.http["method"], path, name, query, headers, payload, plain


def table(constant, service, doc):
    print(f"\n/// {doc}\npub const {constant}: &[Route] = &[")
    for method, path, name, query, headers, payload, plain in rows(service):
        shown = f'Some("{payload}")' if payload else "None"
        print(f'    Route {{ method: "{method}", path: "{path}", operation: "{name}", query: {pairs(query)}, '
              f'headers: {pairs(headers)}, payload: {shown}, plain: {names(plain)} }},')
    print("];")


print(HEAD, end="")
table("IOT", "iot", "AWS IoT, the control plane.")
table("IOT_DATA", "iot-data", "AWS IoT, the data plane.")
table("IOT_JOBS_DATA", "iot-jobs-data", "AWS IoT Jobs, the data plane.")
table("LAMBDA", "lambda", "AWS Lambda.")
table("SCHEDULER", "scheduler", "Amazon EventBridge Scheduler.")
