"""Amazon DynamoDB: what is changed of tables themselves, indexes, expiry, transactions, and workflows that use them."""

import json
import time

import pytest
from support import ACCOUNT, REGION, ROLE, ended, eventually, machine, refused

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"


def text(value):
    return {"S": value}


def number(value):
    return {"N": str(value)}


@pytest.fixture
def devices(node, name):
    """A table of devices with an index of each kind."""
    table = "Devices-" + name
    node.dynamodb().create_table(
        TableName=table,
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": t} for n, t in (("p", "S"), ("s", "N"), ("owner", "S"), ("at", "N"))
        ],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-time",
                "KeySchema": [
                    {"AttributeName": "p", "KeyType": "HASH"},
                    {"AttributeName": "at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"]},
                "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3},
            }
        ],
        Tags=[{"Key": "team", "Value": "fleet"}],
        TableClass="STANDARD_INFREQUENT_ACCESS",
        SSESpecification={"Enabled": True},
        DeletionProtectionEnabled=True,
    )
    return table


def described(node, table):
    return node.dynamodb().describe_table(TableName=table)["Table"]


def test_indexes_are_described_with_what_they_hold(node, devices):
    for n in range(3):
        item = {"p": text("a"), "s": number(n), "at": number(n), "name": text("x"), "big": text("y" * 100)}
        if n:
            item["owner"] = text("ann")
        node.dynamodb().put_item(TableName=devices, Item=item)
    table = described(node, devices)
    (local,), (gsi,) = table["LocalSecondaryIndexes"], table["GlobalSecondaryIndexes"]
    assert local == {
        "IndexName": "by-time",
        "KeySchema": [
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "at", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
        "IndexSizeBytes": local["IndexSizeBytes"],
        "ItemCount": 3,
        "IndexArn": f"{TABLE}/{devices}/index/by-time",
    }
    assert (gsi["ItemCount"], gsi["IndexStatus"]) == (2, "ACTIVE")
    assert gsi["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"]}
    assert gsi["ProvisionedThroughput"]["WriteCapacityUnits"] == 3
    assert 0 < gsi["IndexSizeBytes"] < table["TableSizeBytes"]
    assert table["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert table["SSEDescription"] == {"Status": "ENABLED", "SSEType": "KMS"}
    assert [a["AttributeName"] for a in table["AttributeDefinitions"]] == ["p", "s", "at", "owner"]


def test_capacity_and_collections_are_told_by_index(node, devices):
    put = node.dynamodb().put_item(
        TableName=devices,
        Item={"p": text("a"), "s": number(1), "owner": text("ann"), "at": number(1)},
        ReturnConsumedCapacity="INDEXES",
        ReturnItemCollectionMetrics="SIZE",
    )
    assert put["ConsumedCapacity"] == {
        "TableName": devices,
        "CapacityUnits": 3.0,
        "Table": {"CapacityUnits": 1.0},
        "LocalSecondaryIndexes": {"by-time": {"CapacityUnits": 1.0}},
        "GlobalSecondaryIndexes": {"by-owner": {"CapacityUnits": 1.0}},
    }
    assert put["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"p": text("a")},
        "SizeEstimateRangeGB": [0.0, 1.0],
    }
    found = node.dynamodb().query(
        TableName=devices,
        IndexName="by-owner",
        KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"},
        ExpressionAttributeValues={":o": text("ann")},
        ReturnConsumedCapacity="INDEXES",
    )
    assert found["ConsumedCapacity"] == {
        "TableName": devices,
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"by-owner": {"CapacityUnits": 0.5}},
    }


def test_a_table_is_updated(node, devices):
    def update(**more):
        return node.dynamodb().update_table(TableName=devices, **more)["TableDescription"]

    update(BillingMode="PAY_PER_REQUEST")
    table = described(node, devices)
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    with refused("ValidationException", 400, "must be specified when BillingMode is PROVISIONED"):
        update(BillingMode="PROVISIONED")
    update(DeletionProtectionEnabled=False, TableClass="STANDARD")
    assert not described(node, devices)["DeletionProtectionEnabled"]
    with refused("ValidationException", 400, "^At least one of ProvisionedThroughput, BillingMode"):
        update()
    for more, why in (
        ({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}, "`StreamSpecification` is not available in stepwire: there are no streams"),
        ({"ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-1"}}]}, "`ReplicaUpdates`.*no other regions"),
    ):
        with refused("ValidationException", 400, why):
            update(**more)
    with refused("ResourceNotFoundException", 400, "Index: nope not found"):
        update(GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "nope"}}])
    with refused("ResourceNotFoundException", 400, "Table: Nope not found"):
        node.dynamodb().update_table(TableName="Nope", DeletionProtectionEnabled=True)


def test_an_index_is_made_of_what_is_there_and_removed(own_node):
    dynamodb = own_node.dynamodb()
    dynamodb.create_table(
        TableName="Grown",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
    )
    for start in range(0, 1000, 25):
        requests = [
            {"PutRequest": {"Item": {"p": text(f"{n:04}"), "color": text("red" if n % 2 else "blue")}}}
            for n in range(start, start + 25)
        ]
        dynamodb.batch_write_item(RequestItems={"Grown": requests})
    create = {
        "IndexName": "by-color",
        "KeySchema": [{"AttributeName": "color", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    made = dynamodb.update_table(
        TableName="Grown",
        AttributeDefinitions=[{"AttributeName": "color", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": create}],
    )["TableDescription"]
    assert made["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    # It goes on after a power cut.
    own_node.restart()
    dynamodb = own_node.dynamodb()

    def active():
        return described(own_node, "Grown")["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"

    eventually(active, 20)
    pages = dynamodb.get_paginator("query").paginate(
        TableName="Grown",
        IndexName="by-color",
        KeyConditionExpression="color = :c",
        ExpressionAttributeValues={":c": text("red")},
        PaginationConfig={"PageSize": 99},
    )
    found = [item["p"]["S"] for page in pages for item in page["Items"]]
    assert found == [f"{n:04}" for n in range(1, 1000, 2)]
    dynamodb.update_table(
        TableName="Grown", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-color"}}]
    )
    assert "GlobalSecondaryIndexes" not in described(own_node, "Grown")
    with refused("ValidationException", 400, "does not have the specified index: by-color"):
        dynamodb.scan(TableName="Grown", IndexName="by-color")


def test_expired_items_go(node, devices):
    dynamodb = node.dynamodb()
    assert dynamodb.describe_time_to_live(TableName=devices)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "DISABLED"
    }
    on = {"Enabled": True, "AttributeName": "ttl"}
    told = dynamodb.update_time_to_live(TableName=devices, TimeToLiveSpecification=on)
    assert told["TimeToLiveSpecification"] == on
    now = int(time.time())
    for n, ttl in enumerate((number(now - 60), number(now + 3600), text(str(now - 60)), number(now - 6 * 365 * 86400))):
        item = {"p": text("a"), "s": number(n), "ttl": ttl, "owner": text("ann"), "at": number(1)}
        dynamodb.put_item(TableName=devices, Item=item)
    eventually(lambda: dynamodb.scan(TableName=devices)["Count"] == 3)
    for index in ("by-owner", "by-time"):
        found = dynamodb.scan(TableName=devices, IndexName=index)["Items"]
        assert sorted(item["s"]["N"] for item in found) == ["1", "2", "3"]
    status = dynamodb.describe_time_to_live(TableName=devices)["TimeToLiveDescription"]
    assert status == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    with refused("ValidationException", 400, "^TimeToLive is already enabled$"):
        dynamodb.update_time_to_live(TableName=devices, TimeToLiveSpecification=on)


def test_tags(node, devices):
    dynamodb, arn = node.dynamodb(), f"{TABLE}/{devices}"
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "team", "Value": "x"}])
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["a", "none"])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "x"}]
    with refused("ResourceNotFoundException", 400, f"ResourcArn: {arn}x not found"):
        dynamodb.list_tags_of_resource(ResourceArn=arn + "x")


def test_what_the_account_and_the_endpoint_are(node, devices):
    dynamodb = node.dynamodb()
    assert dynamodb.describe_limits()["TableMaxReadCapacityUnits"] == 40_000
    (endpoint,) = dynamodb.describe_endpoints()["Endpoints"]
    assert endpoint["Address"] in node.endpoint or endpoint["Address"].startswith("localhost")
    backups = dynamodb.describe_continuous_backups(TableName=devices)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"] == {"PointInTimeRecoveryStatus": "DISABLED"}
    off = {"PointInTimeRecoveryEnabled": False}
    dynamodb.update_continuous_backups(TableName=devices, PointInTimeRecoverySpecification=off)
    with refused("ValidationException", 400, "`PointInTimeRecoveryEnabled` is not available"):
        on = {"PointInTimeRecoveryEnabled": True}
        dynamodb.update_continuous_backups(TableName=devices, PointInTimeRecoverySpecification=on)
    with refused("TableNotFoundException", 400, "Table not found: Nope"):
        dynamodb.describe_continuous_backups(TableName="Nope")


@pytest.mark.parametrize(
    "call, given, hint",
    [
        ("execute_statement", {"Statement": "SELECT * FROM T"}, "PartiQL is not available; use GetItem"),
        ("list_global_tables", {}, "no other regions"),
        ("create_backup", {"TableName": "Tab", "BackupName": "abc"}, "no backups of single tables"),
        ("list_exports", {}, "no backups"),
    ],
)
def test_operations_that_are_not_there_are_refused_by_name(node, call, given, hint):
    with refused("UnknownOperationException", 400, f"is not available in stepwire: .*{hint}"):
        getattr(node.dynamodb(), call)(**given)


# ---- transactions --------------------------------------------------------------------------------


def test_a_transaction_is_told_as_boto3_expects(node, devices):
    dynamodb = node.dynamodb()
    put = {"Put": {"TableName": devices, "Item": {"p": text("t"), "s": number(1), "n": number(1)}}}
    dynamodb.transact_write_items(TransactItems=[put])
    check = {
        "ConditionCheck": {
            "TableName": devices,
            "Key": {"p": text("t"), "s": number(1)},
            "ConditionExpression": "n > :n",
            "ExpressionAttributeValues": {":n": number(5)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }
    delete = {"Delete": {"TableName": devices, "Key": {"p": text("t"), "s": number(2)}}}
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as failed:
        dynamodb.transact_write_items(TransactItems=[delete, check])
    answer = failed.value.response
    assert answer["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed]"
    )
    assert answer["CancellationReasons"] == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": {"p": text("t"), "s": number(1), "n": number(1)},
        },
    ]
    with refused("ValidationException", 400, "^Transaction request cannot include multiple operations on one item$"):
        dynamodb.transact_write_items(TransactItems=[put, put])
    with refused("ResourceNotFoundException", 400, "^Requested resource not found$"):
        dynamodb.transact_write_items(TransactItems=[{"Delete": {**delete["Delete"], "TableName": "Nope"}}])
    got = dynamodb.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": devices, "Key": {"p": text("t"), "s": number(n)}, "ProjectionExpression": "n"}}
            for n in (1, 2)
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    assert got["Responses"] == [{"Item": {"n": number(1)}}, {}]
    assert got["ConsumedCapacity"] == [
        {"TableName": devices, "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}
    ]


def test_a_token_is_kept_over_a_power_cut(own_node):
    def table():
        return own_node.dynamodb()

    table().create_table(
        TableName="Once",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
    )

    def add(by="1"):
        update = {
            "TableName": "Once",
            "Key": {"p": text("a")},
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": {"N": by}},
        }
        table().transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken="one")

    add()
    own_node.restart()
    own_node.clients.clear()
    add()
    assert table().get_item(TableName="Once", Key={"p": text("a")})["Item"]["n"] == number(1)
    with refused("IdempotentParameterMismatchException", 400, "different payload"):
        add("2")


# ---- workflows -----------------------------------------------------------------------------------


def test_workflows_use_all_of_it(node, name, devices):
    key = {"p": text("w"), "s": number(1)}
    tasks = [
        ("transactWriteItems", {"TransactItems": [
            {"Put": {"TableName": devices, "Item": {**key, "owner": text("wendy"), "at": number(1)}}},
            {"Update": {"TableName": devices, "Key": {**key, "s": number(2)}, "UpdateExpression": "SET n = :n",
                        "ExpressionAttributeValues": {":n": number(1)}}},
        ]}),
        ("batchWriteItem", {"RequestItems": {devices: [{"PutRequest": {"Item": {**key, "s": number(3), "owner": text("wendy")}}}]}}),
        ("updateItem", {"TableName": devices, "Key": {**key, "s": number(3)}, "UpdateExpression": "SET n = :n",
                        "ExpressionAttributeValues": {":n": number(7)}}),
        ("batchGetItem", {"RequestItems": {devices: {"Keys": [key]}}}),
        ("transactGetItems", {"TransactItems": [{"Get": {"TableName": devices, "Key": key}}]}),
        ("scan", {"TableName": devices, "IndexName": "by-time"}),
        ("query", {"TableName": devices, "IndexName": "by-owner", "KeyConditionExpression": "#o = :o",
                   "ExpressionAttributeNames": {"#o": "owner"}, "ExpressionAttributeValues": {":o": text("wendy")}}),
    ]
    states = {
        f"T{n}": {
            "Type": "Task",
            "Resource": f"arn:aws:states:::aws-sdk:dynamodb:{operation}",
            "Parameters": parameters,
            "ResultPath": f"$.r{n}",
            **({"Next": f"T{n + 1}"} if n + 1 < len(tasks) else {"End": True}),
        }
        for n, (operation, parameters) in enumerate(tasks)
    }
    arn = machine(node, "Tables-" + name, {"StartAt": "T0", "States": states})
    started = node.sfn().start_execution(stateMachineArn=arn, input="{}")
    told = ended(node, started["executionArn"])
    assert told["status"] == "SUCCEEDED", told
    output = json.loads(told["output"])
    assert sorted(item["s"]["N"] for item in output["r6"]["Items"]) == ["1", "3"]
    assert output["r4"]["Responses"][0]["Item"]["owner"] == text("wendy")
    assert output["r5"]["Count"] == 1


def test_a_cancelled_transaction_fails_the_task_by_its_name(node, name, devices):
    put = {
        "TableName": devices,
        "Item": {"p": text("x"), "s": number(1)},
        "ConditionExpression": "attribute_exists(p)",
    }
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:transactWriteItems",
        "Parameters": {"TransactItems": [{"Put": put}]},
        "End": True,
    }
    arn = machine(node, "Cancelled-" + name, {"StartAt": "T", "States": {"T": task}})
    started = node.sfn().start_execution(stateMachineArn=arn, input="{}")
    told = ended(node, started["executionArn"])
    assert (told["status"], told["error"]) == ("FAILED", "DynamoDb.TransactionCanceledException")
    assert "[ConditionalCheckFailed]" in told["cause"]


def test_a_workflow_cannot_be_made_with_an_operation_that_is_not_there(node, name):
    task = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:executeStatement", "End": True}
    with refused("InvalidDefinition", 400, "executeStatement"):
        node.sfn().create_state_machine(
            name="Statement-" + name,
            definition=json.dumps({"StartAt": "T", "States": {"T": task}}),
            roleArn=ROLE,
        )
