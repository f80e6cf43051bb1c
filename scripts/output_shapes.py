#!/usr/bin/env python3
"""Writes crates/stepwire-core/src/test_state/shapes.txt: what operations of AWS services answer.

    python3 scripts/output_shapes.py > crates/stepwire-core/src/test_state/shapes.txt   # needs botocore

Member names, types, bounds and words of the public service models; their prose is left out.
The form is described in shapes.rs.
"""
import botocore.session

SESSION = botocore.session.get_session()
# The name tasks use after `aws-sdk:`, and the model's.
SERVICES = {
    "athena": "athena",
    "batch": "batch",
    "cloudwatchlogs": "logs",
    "codebuild": "codebuild",
    "dynamodb": "dynamodb",
    "ecs": "ecs",
    "eventbridge": "events",
    "firehose": "firehose",
    "iot": "iot",
    "iotdataplane": "iot-data",
    "kinesis": "kinesis",
    "kms": "kms",
    "lambda": "lambda",
    "s3": "s3",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "sfn": "stepfunctions",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "sts": "sts",
}
# Bounds as the service checks them, where its recorded answers differ from the model.
BOUNDS = {("lambda", "MemorySize"): "128..10240"}
SCALARS = {
    "string": "s",
    "character": "s",
    "blob": "b",
    "timestamp": "t",
    "integer": "n",
    "long": "n",
    "float": "n",
    "double": "n",
    "boolean": "?",
}


class Service:
    def __init__(self, model):
        self.name = model.service_name
        self.numbers, self.lines = {}, []
        self.operations = []
        for name in model.operation_names:
            output = model.operation_model(name).output_shape
            self.operations.append(f"{name} {self.number(output)}" if output else name)

    def number(self, shape):
        if shape.name not in self.numbers:
            self.numbers[shape.name] = len(self.lines)
            self.lines.append(None)
            self.lines[self.numbers[shape.name]] = self.line(shape)
        return self.numbers[shape.name]

    def line(self, shape):
        kind = shape.type_name
        if kind == "structure" and not getattr(shape, "is_document_type", False):
            required = set(shape.required_members)
            members = (
                f"{pascal(name)}{'!' if name in required else ''} {self.number(member)}"
                for name, member in shape.members.items()
            )
            return "{" + ",".join(members)
        if kind == "list":
            return f"[{bounds(shape)} {self.number(shape.member)}"
        if kind == "map":
            return f"< {self.number(shape.value)}"
        words = "|".join(getattr(shape, "enum", []))
        limits = BOUNDS.get((self.name, shape.name), bounds(shape))
        return SCALARS.get(kind, "*") + limits + (f" {words}" if words else "")


def bounds(shape):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is None and most is None:
        return ""
    return f"{'' if least is None else least}..{'' if most is None else most}"


def pascal(name):
    return name[:1].upper() + name[1:]


def main():
    for name, model in SERVICES.items():
        service = Service(SESSION.get_service_model(model))
        print(f"@{name}")
        for operation in service.operations:
            print(f"!{operation}")
        for line in service.lines:
            print(line)


main()
