"""Amazon DynamoDB's expressions: what the real service says of those that cannot be, to both SDKs."""

import re

import pytest
from support import refused

INVALID = "One or more parameter values were invalid: "


@pytest.fixture(scope="module")
def node(any_sdk):
    """Each case is sent by both SDKs."""
    return any_sdk


@pytest.fixture(scope="module")
def table(node):
    name = f"Expressions-{type(node).__name__}"
    node.dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("p", "s", "g")],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    item = {"p": {"S": "a"}, "s": {"S": "b"}, "g": {"S": "c"}, "t": {"S": "x"}, "n": {"N": "1"}, "l": {"L": []}}
    node.dynamodb().put_item(TableName=name, Item=item)
    return name


VALUES = {
    ":s": {"S": "a"}, ":n": {"N": "1"}, ":m": {"N": "2"}, ":b": {"BOOL": True}, ":l": {"L": []}, ":ss": {"SS": ["a"]},
    ":map": {"M": {}}, ":null": {"NULL": True},
}  # fmt: skip
NAMES = {"#s": "status", "#p": "p"}


def placeholders(*texts):
    """The placeholders that expressions use."""
    used = " ".join(texts)
    names = {k: v for k, v in NAMES.items() if re.search(k + r"\b", used)}
    values = {k: v for k, v in VALUES.items() if re.search(k + r"\b", used)}
    given = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return {name: value for name, value in given.items() if value}


@pytest.mark.parametrize(
    "expression, message",
    [
        ("", "The expression can not be empty;"),
        ("a =", 'Syntax error; token: "<EOF>", near: "="'),
        ("a = b = c", 'Syntax error; token: "=", near: "b = c"'),
        ("a == :s", 'Syntax error; token: "=", near: "== :s"'),
        ("a = :nope", "An expression attribute value used in expression is not defined; attribute value: :nope"),
        ("#nope = :s", "An expression attribute name used in the document path is not defined; attribute name: #nope"),
        ("status = :s", "Attribute name is a reserved keyword; reserved keyword: status"),
        ("m.list = :s", "Attribute name is a reserved keyword; reserved keyword: list"),
        ("((a = :s))", "The expression has redundant parentheses;"),
        ("a > ((b))", "The expression has redundant parentheses;"),
        ("nope(a)", "Invalid function name; function: nope"),
        ("if_not_exists(a, :s) = :s", "The function is not allowed to be used this way in an expression; function: if_not_exists"),
        ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
        ("attribute_exists(a) = :b", "The function is not allowed to be used this way in an expression; function: attribute_exists"),
        ("attribute_exists(:s)", "Operator or function requires a document path; operator or function: attribute_exists"),
        ("attribute_exists(a, b)", "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2"),
        ("begins_with(a)", "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1"),
        ("begins_with(a, :n)", "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"),
        ("attribute_type(a, :n)", "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N"),
        ("attribute_type(a, :s)", "Invalid attribute type name found; type: a, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"),
        ("size(:n) > :n", "Incorrect operand type for operator or function; operator or function: size, operand type: N"),
        ("a > :b", "Incorrect operand type for operator or function; operator or function: >, operand type: BOOL"),
        ("a BETWEEN :m AND :n", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"),
        ("a BETWEEN :s AND :n", "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:a}, upper bound operand: AttributeValue: {N:1}"),
        ("a = a", "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]"),
        ("contains(a.b[1], a.b[1])", "The first operand must be distinct from the remaining operands for this operator or function; operator: contains, first operand: [a, b, [1]]"),
        ("a IN (" + ", ".join([":s"] * 101) + ")", "The IN operator is provided with too many operands; number of operands: 101"),
        ("a = :s OR " * 500 + "a = :s", "Expression size has exceeded the maximum allowed size; expression size: 5006"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_says_why(node, table, expression, message):
    given = placeholders(expression)
    for kind, call, more in (
        ("ConditionExpression", "put_item", {"Item": {"p": {"S": "z"}, "s": {"S": "z"}}}),
        ("FilterExpression", "scan", {}),
    ):
        with refused("ValidationException", 400, f"^{re.escape(f'Invalid {kind}: {message}')}$"):
            getattr(node.unchecked("dynamodb"), call)(TableName=table, **more, **{kind: expression}, **given)


@pytest.mark.parametrize(
    "expression, message",
    [
        ("a = :s", 'Invalid UpdateExpression: Syntax error; token: "a", near: "a ="'),
        ("SET a = :s SET b = :s", 'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;'),
        ("SET a = :s, a.b = :s", "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"),
        ("SET a.b = :s, a[0] = :s", "Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [0]]"),
        ("SET a = :s + :n", "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, operand type: S"),
        ("SET a = list_append(:l, :n)", "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: list_append, operand type: N"),
        ("SET a = size(b)", "Invalid UpdateExpression: The function is not allowed in an update expression; function: size"),
        ("ADD a :s", "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ("DELETE a :n", "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND"),
        ("SET #p = :s", INVALID + "Cannot update attribute p. This attribute is part of the key"),
        ("SET p.x = :s", INVALID + "Cannot update attribute p. This attribute is part of the key"),
        ("SET g.x = :s", "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: g"),
        ("SET g = :n", INVALID + "Type mismatch for Index Key g Expected: S Actual: N IndexName: by-g"),
        ("SET g = n", "The update expression attempted to update the secondary index key to unsupported type"),
        ("SET a = nope", "The provided expression refers to an attribute that does not exist in the item"),
        ("SET nope.x = :s", "The document path provided in the update expression is invalid for update"),
        ("SET t.x = :s", "The document path provided in the update expression is invalid for update"),
        ("DELETE nope.x :ss", "The document path provided in the update expression is invalid for update"),
        ("SET a = t + :n", "An operand in the update expression has an incorrect data type"),
        ("ADD t :n", "An operand in the update expression has an incorrect data type"),
    ],
)  # fmt: skip
def test_an_update_that_cannot_be_says_why(node, table, expression, message):
    key = {"p": {"S": "a"}, "s": {"S": "b"}}
    before = node.dynamodb().get_item(TableName=table, Key=key)["Item"]
    with refused("ValidationException", 400, f"^{re.escape(message)}$"):
        node.dynamodb().update_item(
            TableName=table, Key=key, UpdateExpression=expression, **placeholders(expression)
        )
    assert node.dynamodb().get_item(TableName=table, Key=key)["Item"] == before


@pytest.mark.parametrize(
    "expression, message",
    [
        ("p = :s OR s = :s", "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT p = :s", "Invalid operator used in KeyConditionExpression: NOT"),
        ("p <> :s", "Invalid operator used in KeyConditionExpression: <>"),
        ("p IN (:s)", "Invalid operator used in KeyConditionExpression: IN"),
        ("contains(p, :s)", "Invalid operator used in KeyConditionExpression: contains"),
        ("size(p) = :n", "KeyConditionExpressions cannot contain nested operations"),
        ("p.x = :s", "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("p = s", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"),
        (":s = :s", "Invalid condition in KeyConditionExpression: No key attribute specified"),
        (":s BETWEEN p AND :s", "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand"),
        ("begins_with(:s, p)", "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand"),
        ("p = :s AND p = :s", "KeyConditionExpressions must only contain one condition per key"),
        ("p = :s AND s = :s AND g = :s", "Conditions can be of length 1 or 2 only"),
        ("p = :s AND g = :s", "Query condition missed key schema element: s"),
        ("s = :s", "Query condition missed key schema element: p"),
        ("p > :s", "Query key condition not supported"),
        ("p = :n", INVALID + "Condition parameter type does not match schema type"),
    ],
)  # fmt: skip
def test_a_key_condition_that_cannot_be_says_why(node, table, expression, message):
    with refused("ValidationException", 400, f"^{re.escape(message)}$"):
        node.dynamodb().query(TableName=table, KeyConditionExpression=expression, **placeholders(expression))


def test_brackets_may_stand_around_operands(node, table):
    def count(expression):
        found = node.dynamodb().scan(TableName=table, FilterExpression=expression, **placeholders(expression))
        return found["Count"]

    assert count("(n) = (:n) AND (t) <> :s") == 1
    assert count("((n) BETWEEN (:n) AND (:m)) AND NOT (size(t) > (:n))") == 1
    assert count("(n = :m OR (t) IN (:s))") == 0
    key = {"p": {"S": "sum"}, "s": {"S": "b"}}
    update = "SET a = (:n) + (:m), b = (:n - :m), c = if_not_exists((nope), (:n))"
    told = node.dynamodb().update_item(
        TableName=table, Key=key, UpdateExpression=update, ReturnValues="UPDATED_NEW", **placeholders(update)
    )
    node.dynamodb().delete_item(TableName=table, Key=key)
    assert told["Attributes"] == {"a": {"N": "3"}, "b": {"N": "-1"}, "c": {"N": "1"}}


def test_what_goes_together_is_checked(node, table):
    dynamodb = node.unchecked("dynamodb")
    for given, message in (
        ({"ExpressionAttributeNames": {"#a": "a"}}, "ExpressionAttributeNames can only be specified when using expressions"),
        ({"ExpressionAttributeValues": {":a": {"S": "a"}}}, "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null"),
        ({"FilterExpression": "a = :s", "ExpressionAttributeValues": {":s": {"S": "a"}, ":t": {"S": "a"}}}, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:t}"),
        ({"FilterExpression": "a = :s", "ExpressionAttributeValues": {":s": {"N": "x"}}}, "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :s"),
        ({"FilterExpression": "a = b", "ExpressionAttributeNames": {"a": "a"}}, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        ({"FilterExpression": "a = b", "AttributesToGet": ["a"]}, "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} Expression parameters: {FilterExpression}"),
        ({"Select": "SPECIFIC_ATTRIBUTES"}, "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"),
        ({"Select": "COUNT", "ProjectionExpression": "a"}, "Cannot specify the ProjectionExpression when choosing to get only the Count"),
        ({"Select": "ALL_PROJECTED_ATTRIBUTES"}, "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"),
        ({"IndexName": "by-g", "ProjectionExpression": "n,t"}, INVALID + "Global secondary index by-g does not project [n, t]"),
        ({"IndexName": "by-g", "ExclusiveStartKey": {"p": {"S": "a"}, "s": {"S": "a"}}}, "The provided starting key is invalid"),
        ({"ProjectionExpression": "p[0]"}, "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: p"),
        ({"Segment": 2, "TotalSegments": 2}, "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2"),
    ):  # fmt: skip
        with refused("ValidationException", 400, f"^{re.escape(message)}$"):
            dynamodb.scan(TableName=table, **given)
