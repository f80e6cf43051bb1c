"""Amazon DynamoDB against naive models: conditions, numbers, and what indexes hold after anything at all."""

import random
import threading
from decimal import Context, Decimal, Inexact, Overflow
from functools import cmp_to_key

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from support import eventually, refused


def simple_table(node, table, **more):
    node.dynamodb().create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        **{
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            **more,
        },
    )
    return table


# ---- conditions ----------------------------------------------------------------------------------

SCALARS = [{"S": ""}, {"S": "a"}, {"S": "ab"}, {"N": "1"}, {"N": "10"}, {"N": "2"}, {"B": b"a"}, {"B": b"ab"}]
OTHERS = [
    {"BOOL": True}, {"NULL": True}, {"L": [{"S": "a"}, {"N": "1"}]}, {"M": {"x": {"N": "2"}}},
    {"SS": ["a", "b"]}, {"NS": ["1", "2"]}, {"BS": [b"a"]},
]  # fmt: skip
NAMES = ["a1", "a2", "a3", "m1.x", "l1[0]"]


def read(item, path):
    if path == "m1.x":
        return item.get("m1", {}).get("M", {}).get("x")
    if path == "l1[0]":
        found = item.get("l1", {}).get("L", [])
        return found[0] if found else None
    return item.get(path)


def kind(value):
    return next(iter(value))


def content(value):
    (name, inside) = next(iter(value.items()))
    if name == "N":
        return Decimal(inside)
    if name == "NS":
        return frozenset(map(Decimal, inside))
    if name in ("SS", "BS"):
        return frozenset(inside)
    if name == "L":
        return [same(one) for one in inside]
    if name == "M":
        return {key: same(one) for key, one in inside.items()}
    return inside.encode() if name == "S" else inside


def same(value):
    return (kind(value), content(value))


def less(one, two):
    ordered = kind(one) == kind(two) and kind(one) in ("S", "N", "B")
    return content(one) < content(two) if ordered else None


class Condition:
    """A random condition: its text, with values collected, and whether an item meets it."""

    def __init__(self, dice):
        self.dice, self.values = dice, {}
        self.text, self.holds = self.any(0)

    def value(self, of):
        name = f":v{len(self.values)}"
        self.values[name] = self.dice.choice(of)
        return name, self.values[name]

    def any(self, depth):
        turn = self.dice.random()
        if depth < 3 and turn < 0.4:
            one, two = self.any(depth + 1), self.any(depth + 1)
            if turn < 0.2:
                return f"({one[0]} AND {two[0]})" if depth else f"{one[0]} AND {two[0]}", lambda i: one[1](i) and two[1](i)
            return f"({one[0]} OR {two[0]})", lambda i: one[1](i) or two[1](i)
        if depth < 3 and turn < 0.5:
            inside = self.any(depth + 1)
            return f"(NOT {inside[0]})", lambda i: not inside[1](i)
        return self.dice.choice([self.compare, self.between, self.within, self.exists, self.function, self.size])()

    def compare(self):
        path, operator = self.dice.choice(NAMES), self.dice.choice(["=", "<>", "<", "<=", ">", ">="])
        name, value = self.value(SCALARS + OTHERS if operator in ("=", "<>") else SCALARS)

        def holds(item):
            found = read(item, path)
            equal = found is not None and same(found) == same(value)
            if operator in ("=", "<>"):
                return equal == (operator == "=")
            below = None if found is None else less(found, value)
            if below is None:
                return False
            return {"<": below, "<=": below or equal, ">": not below and not equal, ">=": not below}[operator]

        return f"{path} {operator} {name}", holds

    def between(self):
        path = self.dice.choice(NAMES)
        kinds = self.dice.choice("SNB")
        two = self.dice.sample([v for v in SCALARS if kind(v) == kinds], 2)
        low, high = sorted(two, key=cmp_to_key(lambda a, b: -1 if less(a, b) else 1))
        names = []
        for one in (low, high):
            names.append(f":v{len(self.values)}")
            self.values[names[-1]] = one

        def holds(item):
            found = read(item, path)
            if found is None or kind(found) != kinds:
                return False
            return content(low) <= content(found) <= content(high)

        return f"{path} BETWEEN {names[0]} AND {names[1]}", holds

    def within(self):
        path, listed = self.dice.choice(NAMES), [self.value(SCALARS + OTHERS) for _ in range(self.dice.randint(1, 4))]

        def holds(item):
            found = read(item, path)
            return found is not None and any(same(found) == same(value) for _, value in listed)

        return f"{path} IN ({', '.join(name for name, _ in listed)})", holds

    def exists(self):
        path, wanted = self.dice.choice(NAMES), self.dice.random() < 0.5
        function = "attribute_exists" if wanted else "attribute_not_exists"
        return f"{function}({path})", lambda item: (read(item, path) is not None) == wanted

    def function(self):
        path, turn = self.dice.choice(NAMES), self.dice.randrange(3)
        if turn == 0:
            name, value = self.value([{"S": t} for t in ("S", "N", "B", "L", "M", "SS", "NS", "BS", "BOOL", "NULL")])
            return f"attribute_type({path}, {name})", lambda i: kind(read(i, path) or {"": 0}) == value["S"]
        if turn == 1:
            name, value = self.value([v for v in SCALARS if kind(v) != "N"])

            def begins(item):
                found = read(item, path)
                return found is not None and kind(found) == kind(value) and content(found).startswith(content(value))

            return f"begins_with({path}, {name})", begins
        name, value = self.value(SCALARS)

        def contains(item):
            found = read(item, path)
            if found is None:
                return False
            if kind(found) == kind(value) and kind(found) in ("S", "B"):
                return content(value) in content(found)
            if kind(found) == kind(value) + "S":
                return content(value) in {Decimal(c) if kind(value) == "N" else c.encode() if isinstance(c, str) else c for c in found[kind(found)]}
            return kind(found) == "L" and same(value) in content(found)

        return f"contains({path}, {name})", contains

    def size(self):
        path, operator = self.dice.choice(NAMES), self.dice.choice(["=", "<", ">="])
        name, value = self.value([{"N": "0"}, {"N": "1"}, {"N": "2"}])

        def holds(item):
            found = read(item, path)
            if found is None or kind(found) in ("N", "BOOL", "NULL"):
                return False
            size, wanted = len(next(iter(found.values()))), int(value["N"])
            return {"=": size == wanted, "<": size < wanted, ">=": size >= wanted}[operator]

        return f"size({path}) {operator} {name}", holds


@pytest.mark.parametrize("seed", range(4))
def test_conditions_hold_as_a_naive_model_says(node, name, seed):
    dice = random.Random(seed)
    table = simple_table(node, "Model-" + name)
    items = []
    for n in range(24):
        item = {"p": {"S": str(n)}}
        for attribute in ("a1", "a2", "a3"):
            if dice.random() < 0.8:
                item[attribute] = dice.choice(SCALARS + OTHERS)
        if dice.random() < 0.7:
            item["m1"] = {"M": {"x": dice.choice(SCALARS)}}
        if dice.random() < 0.7:
            item["l1"] = {"L": [dice.choice(SCALARS + OTHERS) for _ in range(dice.randint(0, 2))]}
        items.append(item)
        node.dynamodb().put_item(TableName=table, Item=item)
    for _ in range(60):
        condition = Condition(dice)
        given = {"ExpressionAttributeValues": condition.values} if condition.values else {}
        found = node.dynamodb().scan(TableName=table, FilterExpression=condition.text, **given)
        expected = {item["p"]["S"] for item in items if condition.holds(item)}
        assert {item["p"]["S"] for item in found["Items"]} == expected, (condition.text, condition.values)


# ---- numbers -------------------------------------------------------------------------------------

EXACT = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, Overflow])


def test_arithmetic_is_that_of_exact_decimals(node, name):
    table, dice = simple_table(node, "Numbers-" + name), random.Random(5)

    def any_number():
        digits = dice.randint(1, 38)
        return Decimal((dice.randrange(2), [dice.randrange(10) for _ in range(digits)], dice.randint(-20, 20) - digits // 2))

    counts = {"exact": 0, "refused": 0}
    for _ in range(300):
        one, two, sign = any_number(), any_number(), dice.choice("+-")
        node.dynamodb().put_item(TableName=table, Item={"p": {"S": "a"}, "n": {"N": str(one)}})
        update = {
            "TableName": table,
            "Key": {"p": {"S": "a"}},
            "UpdateExpression": f"SET n = n {sign} :n",
            "ExpressionAttributeValues": {":n": {"N": str(two)}},
            "ReturnValues": "UPDATED_NEW",
        }
        try:
            expected = EXACT.add(one, two) if sign == "+" else EXACT.subtract(one, two)
        except Inexact:
            counts["refused"] += 1
            with refused("ValidationException", 400, "Number|significant digits"):
                node.dynamodb().update_item(**update)
        else:
            counts["exact"] += 1
            got = node.dynamodb().update_item(**update)["Attributes"]["n"]["N"]
            assert Decimal(got) == expected, (one, sign, two)
            assert got == format(expected.normalize(EXACT), "f"), (one, sign, two)
    assert min(counts.values()) > 10, counts


# ---- indexes -------------------------------------------------------------------------------------

INDEXES = {
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "g-sorted",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": "g-plain",
            "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
        },
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "local",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
    ],
    "AttributeDefinitions": [
        {"AttributeName": n, "AttributeType": t} for n, t in (("p", "S"), ("s", "N"), ("g", "S"), ("n", "N"))
    ],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
}


def all_of(node, operation, **given):
    pages = node.dynamodb().get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": 7})
    return [item for page in pages for item in page["Items"]]


def ordered(items):
    return sorted(items, key=lambda item: (item["p"]["S"], Decimal(item["s"]["N"])))


def check_indexes(node, table):
    """Every index holds what a filtered scan of the table finds; queries find it in order."""
    items = all_of(node, "scan", TableName=table)
    in_index = {
        "g-sorted": ([i for i in items if "g" in i and "n" in i], None),
        "g-plain": ([i for i in items if "n" in i], {"p", "s", "n", "x"}),
        "local": ([i for i in items if "n" in i], {"p", "s", "n"}),
    }
    for index, (expected, names) in in_index.items():
        cut = [{k: v for k, v in i.items() if names is None or k in names} for i in expected]
        assert ordered(all_of(node, "scan", TableName=table, IndexName=index)) == ordered(cut), index
    for g in ("x", "y"):
        found = all_of(
            node, "query", TableName=table, IndexName="g-sorted", KeyConditionExpression="g = :g AND n >= :n",
            ExpressionAttributeValues={":g": {"S": g}, ":n": {"N": "2"}}, ScanIndexForward=False,
        )  # fmt: skip
        expected = [i for i in items if i.get("g") == {"S": g} and "n" in i and Decimal(i["n"]["N"]) >= 2]
        assert ordered(found) == ordered(expected)
        numbers = [Decimal(i["n"]["N"]) for i in found]
        assert numbers == sorted(numbers, reverse=True)
    described = node.dynamodb().describe_table(TableName=table)["Table"]
    assert described["ItemCount"] == len(items)
    for index in described["GlobalSecondaryIndexes"] + described["LocalSecondaryIndexes"]:
        assert index["ItemCount"] == len(in_index[index["IndexName"]][0]), index
    return items


def any_change(dice, table):
    """One operation of a transaction; none of two on one item have the same `s`."""
    key = {"p": {"S": dice.choice("ab")}, "s": {"N": str(dice.randint(0, 9))}}
    turn = dice.randrange(4)
    extra = {"g": {"S": dice.choice("xy")}, "n": {"N": str(dice.randint(-3, 6))}, "x": {"S": "v" * dice.randint(0, 50)}}
    extra = {name: value for name, value in extra.items() if dice.random() < 0.7}
    if turn == 0:
        return key, {"Delete": {"TableName": table, "Key": key}}
    if turn == 1:
        return key, {"Put": {"TableName": table, "Item": {**key, **extra}}}
    if turn == 2:
        update = {"UpdateExpression": dice.choice(["REMOVE g", "REMOVE n", "REMOVE g, n, x"])}
    else:
        by = {"N": str(dice.randint(-2, 2))}
        update = {"UpdateExpression": "ADD n :n SET g = :g", "ExpressionAttributeValues": {":n": by, ":g": {"S": dice.choice("xy")}}}
    return key, {"Update": {"TableName": table, "Key": key, **update}}


@pytest.mark.parametrize("seed", range(3))
def test_indexes_hold_what_a_filtered_scan_finds(node, name, seed):
    table, dice = simple_table(node, "Indexed-" + name, **INDEXES), random.Random(seed)
    dynamodb = node.dynamodb()
    for turn in range(60):
        changes = {str(key): change for key, change in (any_change(dice, table) for _ in range(dice.randint(1, 5)))}
        if len(changes) == 1 or dice.random() < 0.5:
            for change in changes.values():
                ((operation, given),) = change.items()
                call = {"Put": dynamodb.put_item, "Delete": dynamodb.delete_item, "Update": dynamodb.update_item}
                call[operation](**given)
        else:
            dynamodb.transact_write_items(TransactItems=list(changes.values()))
        if turn % 20 == 19:
            check_indexes(node, table)


def test_a_power_cut_takes_all_of_a_transaction_or_nothing(own_node):
    table = simple_table(own_node, "Cut", **INDEXES)
    for seed in range(3):
        done = []

        def write(seed=seed, done=done):
            dice, count = random.Random(seed), 0
            client = own_node.dynamodb()
            while True:
                count += 1
                mark = {"N": str(seed * 100_000 + count)}
                puts = [
                    {"Put": {"TableName": table, "Item": {
                        "p": {"S": "t"}, "s": {"N": str(s)}, "n": mark, "g": {"S": dice.choice("xy")}}}}
                    for s in range(4)
                ]  # fmt: skip
                try:
                    client.transact_write_items(TransactItems=puts)
                except (BotoCoreError, ClientError):
                    return
                done.append(int(mark["N"]))

        thread = threading.Thread(target=write)
        thread.start()
        eventually(lambda: len(done) > 20, 20)
        own_node.kill()
        thread.join()
        own_node.clients.clear()
        own_node.start()
        items = check_indexes(own_node, table)
        marks = {int(item["n"]["N"]) for item in items}
        assert len(items) == 4 and len(marks) == 1, items
        assert marks.pop() >= done[-1]
