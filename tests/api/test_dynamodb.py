"""Amazon DynamoDB: tables like the token table of device workflows, and what is done with their items."""

import datetime
import json
import re
from decimal import Decimal

import pytest
from support import ACCOUNT, REGION, UUID, plain, refused, token_table

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
INVALID = "^One or more parameter values were invalid: "


def text(value):
    return {"S": value}


def row(operation, token, **more):
    return {"operationId": text(operation), "token": text(token), **more}


@pytest.fixture
def tokens(node, name):
    """A table of tokens, by its name."""
    token_table(node, "Tokens-" + name)
    return "Tokens-" + name


@pytest.fixture
def numbers(node, name):
    """A table whose sort keys are numbers: a function that puts and one that lists them."""
    table = "Numbers-" + name
    node.dynamodb().create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "n", "KeyType": "RANGE"},
        ],
    )
    return table


# ---- tables --------------------------------------------------------------------------------------


def test_a_created_table_is_described(node, name):
    table = "Tokens-" + name
    token_table(node, table)
    described = node.dynamodb().describe_table(TableName=table)["Table"]
    assert re.fullmatch(UUID, described["TableId"])
    assert isinstance(described["CreationDateTime"], datetime.datetime)
    assert described == {
        "TableName": table,
        "TableArn": f"{TABLE}/{table}",
        "TableId": described["TableId"],
        "TableStatus": "ACTIVE",
        "TableSizeBytes": 0,
        "ItemCount": 0,
        "CreationDateTime": described["CreationDateTime"],
        "AttributeDefinitions": [
            {"AttributeName": "operationId", "AttributeType": "S"},
            {"AttributeName": "token", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "operationId", "KeyType": "HASH"},
            {"AttributeName": "token", "KeyType": "RANGE"},
        ],
        "BillingModeSummary": {
            "BillingMode": "PAY_PER_REQUEST",
            "LastUpdateToPayPerRequestDateTime": described["CreationDateTime"],
        },
        "ProvisionedThroughput": {
            "NumberOfDecreasesToday": 0,
            "ReadCapacityUnits": 0,
            "WriteCapacityUnits": 0,
        },
        "DeletionProtectionEnabled": False,
    }
    by_arn = node.dynamodb().describe_table(TableName=f"{TABLE}/{table}")["Table"]
    assert by_arn == described


def test_a_table_is_created_once(node, tokens):
    with refused("ResourceInUseException", 400, f"^Table already exists: {tokens}$"):
        token_table(node, tokens)


def test_a_table_that_makes_no_sense_is_refused(node, name):
    def create(keys, definitions, **more):
        node.unchecked("dynamodb").create_table(
            TableName="Bad-" + name,
            **{"BillingMode": "PAY_PER_REQUEST", **more},
            KeySchema=[{"AttributeName": n, "KeyType": role} for n, role in keys],
            AttributeDefinitions=[
                {"AttributeName": n, "AttributeType": kind} for n, kind in definitions
            ],
        )

    for keys, definitions, message in (
        ([("a", "HASH")], [], "^Invalid KeySchema: Some index key attribute have no definition$"),
        ([("a", "HASH")], [("b", "S")], INVALID + "Some index key attributes are not defined"),
        ([("a", "HASH")], [("a", "S"), ("b", "S")], INVALID + "Number of attributes in KeySchema"),
        ([("a", "RANGE")], [("a", "S")], "The first KeySchemaElement is not a HASH key type"),
        ([("a", "HASH"), ("a", "RANGE")], [("a", "S"), ("b", "S")], "have the same name"),
        ([("a", "HASH")], [("a", "M")], "Value 'M' at '.*attributeType' failed to satisfy"),
        ([], [], "at 'keySchema' failed to satisfy constraint"),
    ):
        with refused("ValidationException", 400, message):
            create(keys, definitions)
    fine = [("a", "HASH")], [("a", "S")]
    with refused("ValidationException", 400, "ReadCapacityUnits"):
        create(*fine, BillingMode="PROVISIONED")
    with refused("ValidationException", 400, "`StreamSpecification` is not available in stepwire"):
        create(*fine, StreamSpecification={"StreamEnabled": True})
    with refused("ResourceNotFoundException", 400, "Bad-" + name):
        node.dynamodb().describe_table(TableName="Bad-" + name)


def test_table_names_are_checked(node):
    for bad, why in (
        ("ab", "^TableName must be at least 3 characters long and at most 255 characters long$"),
        ("a b c", "Value 'a b c' at 'tableName' .*regular expression"),
    ):
        with refused("ValidationException", 400, why):
            node.unchecked("dynamodb").describe_table(TableName=bad)
    with refused("ValidationException", 400, "Value 'ab' at 'tableName' .*greater than or equal to 3"):
        node.unchecked("dynamodb").scan(TableName="ab")


def test_a_deleted_table_is_gone_with_its_items(node, tokens):
    dynamodb = node.dynamodb()
    for number in range(50):
        dynamodb.put_item(TableName=tokens, Item=row("a", f"t{number:02}"))
    assert dynamodb.describe_table(TableName=tokens)["Table"]["ItemCount"] == 50
    deleted = dynamodb.delete_table(TableName=tokens)["TableDescription"]
    assert (deleted["TableName"], deleted["TableStatus"]) == (tokens, "DELETING")
    gone = f"^Requested resource not found: Table: {tokens} not found$"
    for call in ("describe_table", "delete_table"):
        with refused("ResourceNotFoundException", 400, gone):
            getattr(dynamodb, call)(TableName=tokens)
    with refused("ResourceNotFoundException", 400, "^Requested resource not found$"):
        dynamodb.put_item(TableName=tokens, Item=row("a", "b"))
    token_table(node, tokens)
    assert dynamodb.scan(TableName=tokens)["Count"] == 0


def test_a_protected_table_is_not_deleted(node, name):
    node.dynamodb().create_table(
        TableName="Kept-" + name,
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        DeletionProtectionEnabled=True,
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "B"}],
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
    )
    described = node.dynamodb().describe_table(TableName="Kept-" + name)["Table"]
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert described["DeletionProtectionEnabled"]
    with refused("ValidationException", 400, "protected against deletion"):
        node.dynamodb().delete_table(TableName="Kept-" + name)


def test_tables_are_listed_in_pages(own_node):
    names = [f"Table-{number}" for number in range(5)]
    for one in names:
        token_table(own_node, one)
    dynamodb, found, token = own_node.dynamodb(), [], {}
    while True:
        page = dynamodb.list_tables(Limit=2, **token)
        assert len(page["TableNames"]) <= 2
        found += page["TableNames"]
        if "LastEvaluatedTableName" not in page:
            break
        token = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}
    assert found == names
    with refused("ValidationException", 400, "Value '101' at 'limit' .*less than or equal to 100"):
        own_node.unchecked("dynamodb").list_tables(Limit=101)


# ---- items ---------------------------------------------------------------------------------------

EVERYTHING = {
    "text": {"S": "ä\u0000b"},
    "empty": {"S": ""},
    "number": {"N": "-12.5"},
    "bytes": {"B": b"\x00\xff"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "map": {"M": {"inner": {"L": [{"N": "1"}, {"M": {}}]}}},
    "list": {"L": []},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "binaries": {"BS": [b"a", b"b"]},
}


def test_an_item_of_every_type_comes_back(node, tokens):
    item = row("a", "b", **EVERYTHING)
    assert plain(node.dynamodb().put_item(TableName=tokens, Item=item)) == {}
    got = node.dynamodb().get_item(TableName=tokens, Key=row("a", "b"))["Item"]
    for value in (item, got):
        for name in ("texts", "numbers", "binaries"):
            (kind,) = value[name]
            value[name][kind].sort()
    assert got == item
    assert plain(node.dynamodb().get_item(TableName=tokens, Key=row("a", "c"))) == {}


def test_a_put_replaces_the_whole_item_and_can_return_the_old_one(node, tokens):
    dynamodb = node.dynamodb()
    put = {"TableName": tokens, "ReturnValues": "ALL_OLD"}
    assert plain(dynamodb.put_item(Item=row("a", "b", x={"N": "1"}), **put)) == {}
    old = dynamodb.put_item(Item=row("a", "b", y={"N": "2"}), **put)["Attributes"]
    assert old == row("a", "b", x={"N": "1"})
    assert dynamodb.get_item(TableName=tokens, Key=row("a", "b"))["Item"] == row(
        "a", "b", y={"N": "2"}
    )
    with refused("ValidationException", 400, "ReturnValues can only be ALL_OLD or NONE"):
        dynamodb.put_item(TableName=tokens, Item=row("a", "b"), ReturnValues="ALL_NEW")


def test_a_delete_can_return_what_it_deleted(node, tokens):
    dynamodb = node.dynamodb()
    dynamodb.put_item(TableName=tokens, Item=row("a", "b", x={"N": "1"}))
    delete = {"TableName": tokens, "Key": row("a", "b"), "ReturnValues": "ALL_OLD"}
    assert dynamodb.delete_item(**delete)["Attributes"]["x"] == {"N": "1"}
    assert plain(dynamodb.delete_item(**delete)) == {}
    assert dynamodb.describe_table(TableName=tokens)["Table"]["ItemCount"] == 0


@pytest.mark.parametrize(
    "item, code, message",
    [
        ({"token": text("b")}, "ValidationException", INVALID + "Missing the key operationId"),
        (row("", "b"), "ValidationException", "empty string value. Key: operationId"),
        ({**row("a", "b"), "token": {"N": "1"}}, "ValidationException",
         INVALID + "Type mismatch for key token expected: S actual: N"),
        (row("a" * 2049, "b"), "ValidationException", "2048 bytes"),
        (row("a", "b" * 1025), "ValidationException", "1024 bytes"),
        (row("a", "b", x={"N": "abc"}), "ValidationException",
         "^The parameter cannot be converted to a numeric value: abc$"),
        (row("a", "b", x={"N": "1" * 39}), "ValidationException", "more than 38 significant digits"),
        (row("a", "b", x={"N": "1e126"}), "ValidationException", "^Number overflow"),
        (row("a", "b", x={"N": "1e-131"}), "ValidationException", "^Number underflow"),
        (row("a", "b", x={"SS": []}), "ValidationException", "set {2}may not be empty"),
        (row("a", "b", x={"SS": ["c", "c"]}), "ValidationException", "contains duplicates"),
        (row("a", "b", x={"NS": ["1", "1.0"]}), "ValidationException", "contains duplicates"),
        (row("a", "b", x={"S": "c", "N": "1"}), "ValidationException", "more than one datatypes"),
        (row("a", "b", x={}), "ValidationException", "must contain exactly one"),
        (row("a", "b", x={"NULL": False}), "ValidationException", "must have the value of true"),
        (row("a", "b", x={"S": 1}), "SerializationException", "`S` must be a string"),
        (row("a", "b", x={"S": "y" * 409_600}), "ValidationException",
         "^Item size has exceeded the maximum allowed size$"),
    ],
)
def test_an_item_that_cannot_be_is_refused(node, tokens, item, code, message):
    body = {"TableName": tokens, "Item": item}
    status, _, answer = node.target("DynamoDB_20120810.PutItem", body, "dynamodb")
    answer = json.loads(answer)
    assert (status, answer["__type"].split("#")[1]) == (400, code), answer
    assert re.search(message, answer["message"]), answer
    assert node.dynamodb().scan(TableName=tokens)["Count"] == 0


def test_a_key_must_be_the_whole_key_and_nothing_else(node, tokens):
    for key in ({"operationId": text("a")}, row("a", "b", x=text("c")), row("a", "b") | {"token": {"N": "1"}}):
        for call in ("get_item", "delete_item"):
            with refused("ValidationException", 400, "does not match the schema$"):
                getattr(node.dynamodb(), call)(TableName=tokens, Key=key)


def test_a_condition_decides_about_the_change(node, tokens):
    dynamodb = node.dynamodb()
    once = {
        "TableName": tokens,
        "Item": row("a", "b", n={"N": "1"}),
        "ConditionExpression": "attribute_not_exists(operationId)",
    }
    dynamodb.put_item(**once)
    with refused("ConditionalCheckFailedException", 400, "^The conditional request failed$"):
        dynamodb.put_item(**once)
    body = {**once, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    _, _, answer = node.target("DynamoDB_20120810.PutItem", body, "dynamodb")
    assert json.loads(answer)["Item"]["n"] == {"N": "1"}
    with refused("ConditionalCheckFailedException", 400, "failed"):
        dynamodb.delete_item(
            TableName=tokens,
            Key=row("a", "b"),
            ConditionExpression="n > :one",
            ExpressionAttributeValues={":one": {"N": "1.0"}},
        )
    assert dynamodb.get_item(TableName=tokens, Key=row("a", "b"))["Item"]["n"] == {"N": "1"}


def test_an_update_changes_what_it_names(node, tokens):
    dynamodb = node.dynamodb()
    update = {"TableName": tokens, "Key": row("a", "b"), "ReturnValues": "ALL_NEW"}
    made = dynamodb.update_item(
        **update,
        UpdateExpression="SET #s = :s, tries = if_not_exists(tries, :zero) + :one ADD tags :tags",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":s": text("ACTIVE"),
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
            ":tags": {"SS": ["x"]},
        },
    )["Attributes"]
    assert made == row("a", "b", status=text("ACTIVE"), tries={"N": "1"}, tags={"SS": ["x"]})
    with refused("ValidationException", 400, "Cannot update attribute token.*part of the key"):
        dynamodb.update_item(
            **update,
            UpdateExpression="SET #t = :s",
            ExpressionAttributeNames={"#t": "token"},
            ExpressionAttributeValues={":s": text("c")},
        )


# ---- queries and scans ---------------------------------------------------------------------------


@pytest.fixture
def filled(node, tokens):
    """Two operations with ten tokens each, every third of them active."""
    for operation in ("op-1", "op-2"):
        for number in range(10):
            status = "ACTIVE" if number % 3 == 0 else "DONE"
            item = row(operation, f"t{number}", status=text(status), n={"N": str(number)})
            node.dynamodb().put_item(TableName=tokens, Item=item)
    return tokens


def query(node, table, condition, values, **more):
    """The tokens of operation `op-1` that a condition on `#t` finds."""
    found = node.dynamodb().query(
        TableName=table,
        KeyConditionExpression=condition,
        ExpressionAttributeNames={"#t": "token"},
        ExpressionAttributeValues={":o": text("op-1"), **values},
        **more,
    )
    return [item["token"]["S"] for item in found["Items"]]


def test_a_query_finds_the_active_token_of_an_operation(node, filled):
    found = node.dynamodb().query(
        TableName=filled,
        KeyConditionExpression="operationId = :o",
        FilterExpression="#s = :a AND n BETWEEN :low AND :high",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":o": text("op-2"),
            ":a": text("ACTIVE"),
            ":low": {"N": "2"},
            ":high": {"N": "8"},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert [item["token"]["S"] for item in found["Items"]] == ["t3", "t6"]
    assert (found["Count"], found["ScannedCount"]) == (2, 10)
    assert found["ConsumedCapacity"] == {"TableName": filled, "CapacityUnits": 0.5}


@pytest.mark.parametrize(
    "condition, values, expected",
    [
        ("#t = :a", ["t3"], "3"),
        ("#t < :a", ["t3"], "012"),
        ("#t <= :a", ["t3"], "0123"),
        ("#t > :a", ["t7"], "89"),
        ("#t >= :a", ["t7"], "789"),
        ("#t BETWEEN :a AND :b", ["t2", "t4"], "234"),
        ("begins_with(#t, :a)", ["t"], "0123456789"),
        ("begins_with(#t, :a)", ["x"], ""),
    ],
)
def test_sort_keys_are_found_by_every_operator(node, filled, condition, values, expected):
    values = {f":{sign}": text(value) for sign, value in zip("ab", values)}
    found = query(node, filled, f"operationId = :o AND {condition}", values)
    assert found == [f"t{number}" for number in expected]
    turned = query(
        node, filled, f"{condition} AND operationId = :o", values, ScanIndexForward=False
    )
    assert turned == found[::-1]


def test_queries_and_scans_come_in_pages(node, filled):
    def pages(call, **more):
        found, token = [], {}
        while True:
            page = getattr(node.dynamodb(), call)(TableName=filled, Limit=4, **more, **token)
            assert page["ScannedCount"] <= 4
            found += [(item["operationId"]["S"], item["token"]["S"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            token = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    tokens = [f"t{number}" for number in range(10)]
    one = {
        "KeyConditionExpression": "operationId = :o",
        "ExpressionAttributeValues": {":o": text("op-1")},
    }
    assert pages("query", **one) == [("op-1", token) for token in tokens]
    backwards = pages("query", **one, ScanIndexForward=False)
    assert backwards == [("op-1", token) for token in tokens[::-1]]
    everything = sorted((f"op-{number}", token) for number in (1, 2) for token in tokens)
    assert sorted(pages("scan")) == everything
    segments = [pages("scan", Segment=number, TotalSegments=3) for number in range(3)]
    assert sorted(sum(segments, [])) == everything


def test_a_page_holds_a_megabyte(node, tokens):
    for number in range(4):
        item = row("a", f"t{number}", x=text("x" * 399_000))
        node.dynamodb().put_item(TableName=tokens, Item=item)
    first = node.dynamodb().scan(TableName=tokens)
    assert first["Count"] == 2 and "LastEvaluatedKey" in first
    rest = node.dynamodb().scan(TableName=tokens, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert rest["Count"] == 2


def test_a_scan_filters_and_projects(node, filled):
    found = node.dynamodb().scan(
        TableName=filled,
        FilterExpression="contains(#s, :x) AND NOT n IN (:three, :four)",
        ProjectionExpression="#s, n",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":x": text("CT"), ":three": {"N": "3"}, ":four": {"N": "4"}},
    )
    assert sorted(item["n"]["N"] for item in found["Items"]) == ["0", "0", "6", "6", "9", "9"]
    assert all(item.keys() == {"status", "n"} for item in found["Items"])
    count = node.dynamodb().scan(TableName=filled, Select="COUNT")
    assert plain(count) == {"Count": 20, "ScannedCount": 20}


@pytest.mark.parametrize(
    "more, message",
    [
        ({"KeyConditionExpression": "operationId ="},
         '^Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: "="$'),
        ({"KeyConditionExpression": "operationId = :nope"}, "is not defined; attribute value: :nope"),
        ({"KeyConditionExpression": "status = :o"}, "reserved keyword: status"),
        ({"KeyConditionExpression": "#n = :o"}, "is not defined; attribute name: #n"),
        ({"KeyConditionExpression": "n = :o"}, "missed key schema element: operationId"),
        ({"KeyConditionExpression": "operationId > :o"}, "Query key condition not supported"),
        ({"KeyConditionExpression": "operationId = :o OR n = :o"},
         "Invalid operator used in KeyConditionExpression: OR"),
        ({"FilterExpression": "n ="}, "^Invalid FilterExpression: Syntax error; token"),
        ({"FilterExpression": "nope(n)"}, "Invalid function name; function: nope"),
        ({"FilterExpression": "operationId = :o"}, "non-primary key attributes.*operationId"),
        ({"ExpressionAttributeNames": {"#x": "y"}}, "unused in expressions: keys: {#x}"),
        ({"ExpressionAttributeValues": {":o": text("a"), ":x": text("y")}}, "keys: {:x}"),
        ({"ExpressionAttributeValues": {":o": {"N": "1"}}}, "type does not match schema type"),
        ({"ExclusiveStartKey": {"nope": text("a")}}, "The provided starting key is invalid"),
        ({"ExclusiveStartKey": row("op-9", "a")}, "outside query boundaries"),
        ({"Limit": 0}, "Value '0' at 'limit' failed to satisfy constraint"),
        ({"IndexName": "nope"}, "^The table does not have the specified index: nope$"),
        ({"KeyConditions": {}}, "^Can not use both expression and non-expression parameters"),
    ],
)
def test_a_query_that_makes_no_sense_says_where(node, tokens, more, message):
    fine = {
        "TableName": tokens,
        "KeyConditionExpression": "operationId = :o",
        "ExpressionAttributeValues": {":o": text("a")},
    }
    with refused("ValidationException", 400, message):
        node.unchecked("dynamodb").query(**{**fine, **more})


# ---- numbers -------------------------------------------------------------------------------------


def test_numbers_keep_38_digits_and_their_order(node, numbers):
    ordered = [
        "-9.9999999999999999999999999999999999999E+125",
        "-100",
        "-99.5",
        "-1E-130",
        "0",
        "1E-130",
        "0.5",
        "2",
        "10",
        "12345678901234567890123456789012345678",
        "12345678901234567890123456789012345679",
        "9.9999999999999999999999999999999999999E+125",
    ]
    for number in sorted(ordered):
        item = {"p": text("a"), "n": {"N": number}}
        node.dynamodb().put_item(TableName=numbers, Item=item)
    found = node.dynamodb().query(
        TableName=numbers,
        KeyConditionExpression="p = :p",
        ExpressionAttributeValues={":p": text("a")},
    )
    assert [Decimal(item["n"]["N"]) for item in found["Items"]] == [Decimal(n) for n in ordered]
    big = node.dynamodb().get_item(
        TableName=numbers, Key={"p": text("a"), "n": {"N": "12345678901234567890123456789012345678"}}
    )
    assert big["Item"]["n"]["N"] == "12345678901234567890123456789012345678"


def test_equal_numbers_are_one_key(node, numbers):
    for number in ("1", "1.0", "+1", "10e-1", "0001"):
        item = {"p": text("a"), "n": {"N": number}}
        node.dynamodb().put_item(TableName=numbers, Item=item)
    assert node.dynamodb().scan(TableName=numbers)["Items"] == [{"p": text("a"), "n": {"N": "1"}}]
