"""CloudWatch Logs as `aws logs tail`, `sam logs` and SDKs use it."""

import json
import time

import pytest
from support import ACCOUNT, REGION, refused

NOW = int(time.time() * 1000)


@pytest.fixture
def logs(node):
    return node.client("logs")


@pytest.fixture
def group(logs, name):
    logs.create_log_group(logGroupName="/tests/" + name)
    return "/tests/" + name


def write(logs, group, stream, *messages, at=NOW, step=1):
    try:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    events = [{"timestamp": at + n * step, "message": text} for n, text in enumerate(messages)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def messages(answer):
    return [event["message"] for event in answer["events"]]


def test_events_of_all_streams_come_in_the_order_of_time(logs, group):
    write(logs, group, "a", "1", "4", "7", step=3)
    write(logs, group, "b", "2", "5", "8", at=NOW + 1, step=3)
    write(logs, group, "c", "3", "6", "9", at=NOW + 2, step=3)
    found = logs.filter_log_events(logGroupName=group)
    assert messages(found) == list("123456789")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, PaginationConfig={"PageSize": 2}
    )
    assert [messages(page) for page in pages] == [["1", "2"], ["3", "4"], ["5", "6"], ["7", "8"], ["9"]]
    found = logs.filter_log_events(logGroupName=group, logStreamNames=["a", "c"])
    assert messages(found) == ["1", "3", "4", "6", "7", "9"]
    found = logs.filter_log_events(logGroupName=group, startTime=NOW + 3, endTime=NOW + 6)
    assert messages(found) == ["4", "5", "6"]


HOUR = 3_600_000
DAY = 24 * HOUR


def test_what_is_too_old_or_too_new_is_left_out_and_told(logs, group):
    of = {"logGroupName": group, "logStreamName": "s"}
    logs.create_log_stream(**of)

    def put(*ages):
        events = [{"timestamp": NOW - age, "message": str(age)} for age in ages]
        return logs.put_log_events(logEvents=events, **of).get("rejectedLogEventsInfo")

    def kept():
        return messages(logs.get_log_events(startFromHead=True, **of))

    assert put(15 * DAY, 14 * DAY + HOUR, HOUR, -HOUR, -3 * HOUR, -4 * HOUR) == {
        "tooOldLogEventEndIndex": 2,
        "tooNewLogEventStartIndex": 4,
    }
    assert kept() == [str(HOUR), str(-HOUR)]
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    assert put(15 * DAY, 4 * DAY, 5) == {"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2}
    assert put(15 * DAY) == {"tooOldLogEventEndIndex": 1}
    assert put(4) is None
    assert kept() == [str(HOUR), "5", "4", str(-HOUR)]
    span = "^The batch of log events in a single PutLogEvents request cannot span more than 24 hours.$"
    with refused("InvalidParameterException", 400, span):
        put(25 * HOUR, 0)
    assert len(kept()) == 4


def test_events_of_one_moment_are_told_apart_between_pages(logs, group):
    for stream in ["a", "b", "c"]:
        write(logs, group, stream, *(f"{stream}{n}" for n in range(5)), step=0)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, PaginationConfig={"PageSize": 4}
    )
    found = [message for page in pages for message in messages(page)]
    assert sorted(found) == sorted(f"{s}{n}" for s in "abc" for n in range(5))


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("ERROR", [1, 3]),
        ("?ERROR ?WARN", [1, 2, 3]),
        ("ERROR -timeout", [1]),
        ('"disk full"', [1]),
        ("%ERR[A-Z]+.*time%", [3]),
        ('{ $.level = "info" && $.ms > 10 }', [5]),
        ("{ $.level = info || $.level = w* }", [4, 5, 6]),
        ("{ $.user.id IS NULL }", [6]),
        ("{ $.user NOT EXISTS }", [4, 5]),
        ("{ $.tags[1] = b }", [5]),
        ("[ip, user, request, status = 4*, bytes]", [7]),
        ("[..., status != 404, bytes > 100]", [8]),
    ],
)
def test_patterns_choose_what_is_found(logs, group, pattern, expected):
    write(
        logs,
        group,
        "s",
        "nothing",
        "ERROR disk full",
        "WARN something",
        "ERROR timeout",
        json.dumps({"level": "info", "ms": 3}),
        json.dumps({"level": "info", "ms": 30, "tags": ["a", "b"]}),
        json.dumps({"level": "warn", "user": {"id": None}}),
        '10.0.0.1 ann "GET /x y" 404 200',
        '10.0.0.2 bob "GET /y" 200 300',
    )
    found = logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
    assert [event["timestamp"] - NOW for event in found] == expected


def test_what_is_no_pattern_is_refused(logs, group):
    for pattern in ["{ $.x", "[a", '"x', "{ $.x > y }"]:
        with refused("InvalidParameterException", 400, "Invalid filter pattern"):
            logs.filter_log_events(logGroupName=group, filterPattern=pattern)


def test_a_pattern_is_tested(logs):
    found = logs.test_metric_filter(
        filterPattern="{ $.ms > 10 }", logEventMessages=['{"ms": 5}', '{"ms": 50}', "no"]
    )
    assert found["matches"] == [
        {"eventNumber": 2, "eventMessage": '{"ms": 50}', "extractedValues": {"$.ms": "50"}}
    ]


def test_a_stream_is_read_both_ways(logs, group):
    write(logs, group, "s", *(str(n) for n in range(10)))
    of = {"logGroupName": group, "logStreamName": "s"}
    page = logs.get_log_events(startFromHead=True, limit=4, **of)
    assert messages(page) == ["0", "1", "2", "3"]
    page = logs.get_log_events(nextToken=page["nextForwardToken"], limit=4, **of)
    assert messages(page) == ["4", "5", "6", "7"]
    back = logs.get_log_events(nextToken=page["nextBackwardToken"], limit=3, **of)
    assert messages(back) == ["1", "2", "3"]
    end = logs.get_log_events(nextToken=page["nextForwardToken"], **of)
    assert messages(end) == ["8", "9"]
    last = logs.get_log_events(nextToken=end["nextForwardToken"], **of)
    assert messages(last) == [] and last["nextForwardToken"] == end["nextForwardToken"]
    write(logs, group, "s", "10", at=NOW + 10)
    more = logs.get_log_events(nextToken=last["nextForwardToken"], **of)
    assert messages(more) == ["10"]
    assert messages(logs.get_log_events(limit=2, **of)) == ["9", "10"]


def test_groups_and_streams_are_described_in_pages_and_order(logs, name):
    for n in range(3):
        logs.create_log_group(logGroupName=f"/{name}/{n}", tags={"n": str(n)})
    pages = logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix=f"/{name}/", PaginationConfig={"PageSize": 2}
    )
    names = [[one["logGroupName"] for one in page["logGroups"]] for page in pages]
    assert names == [[f"/{name}/0", f"/{name}/1"], [f"/{name}/2"]]
    logs.put_retention_policy(logGroupName=f"/{name}/0", retentionInDays=14)
    with refused("InvalidParameterException", 400, "are mutually exclusive parameters"):
        logs.describe_log_groups(logGroupNamePrefix="/a", logGroupNamePattern="a")
    shown = logs.describe_log_groups(logGroupNamePrefix=f"/{name}/0")["logGroups"][0]
    assert shown["retentionInDays"] == 14
    assert shown["arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/{name}/0:*"
    for n, stream in enumerate(["b", "a", "c"]):
        write(logs, f"/{name}/0", stream, "x", at=NOW - n)
    by_name = logs.describe_log_streams(logGroupName=f"/{name}/0")["logStreams"]
    assert [one["logStreamName"] for one in by_name] == ["a", "b", "c"]
    by_time = logs.describe_log_streams(
        logGroupName=f"/{name}/0", orderBy="LastEventTime", descending=True
    )["logStreams"]
    assert [one["logStreamName"] for one in by_time] == ["b", "a", "c"]


def test_the_command_line_finds_what_came_lately(aws, logs, group):
    write(logs, group, "s", "first", "second", at=NOW - 1_000)
    command = ["logs", "filter-log-events", "--log-group-name", group, "--output", "json"]
    status, told, errors = aws(*command, "--start-time", str(NOW - 60_000), "--interleaved")
    assert status == 0, errors
    assert messages(json.loads(told)) == ["first", "second"]


class Tail:
    """The calls of `aws logs tail` (AWS CLI 2, `awscli/customizations/logs/tail.py`; it comes by no registry)."""

    def __init__(self, logs, group, since, **given):
        self.logs = logs
        self.asked = {"logGroupName": group, "interleaved": True, "startTime": since, **given}
        self.seen = set()

    def once(self):
        """Without `--follow`: every page, as botocore's paginator asks for them."""
        pages = self.logs.get_paginator("filter_log_events").paginate(**self.asked)
        return [event for page in pages for event in page["events"]]

    def look(self):
        """One turn of `--follow`: what is new, by the events' ids."""
        answer = self.logs.filter_log_events(**self.asked)
        new = [event for event in answer["events"] if event["eventId"] not in self.seen]
        self.seen.update(event["eventId"] for event in new)
        if "nextToken" in answer:
            self.asked["nextToken"] = answer["nextToken"]
        else:
            self.asked.pop("nextToken", None)
            if new:
                self.asked["startTime"] = max(event["timestamp"] for event in answer["events"])
        return [event["message"] for event in new]


def test_aws_logs_tail_shows_what_there_is(logs, group):
    write(logs, group, "a", "1", "3", step=2)
    write(logs, group, "b", "0", at=NOW - 600_001)
    write(logs, group, "b", "2", at=NOW + 1)
    found = Tail(logs, group, NOW - 600_000).once()
    assert [(event["logStreamName"], event["message"]) for event in found] == [("a", "1"), ("b", "2"), ("a", "3")]
    assert all(isinstance(event["timestamp"], int) for event in found)
    assert [one["message"] for one in Tail(logs, group, 0, filterPattern="2").once()] == ["2"]
    found = Tail(logs, group, 0, logStreamNamePrefix="b").once()
    assert [event["message"] for event in found] == ["0", "2"]


def test_aws_logs_tail_follows(logs, group):
    tail = Tail(logs, group, NOW, limit=3)
    assert tail.look() == []
    write(logs, group, "a", *"123456789")
    got = []
    for _ in range(4):
        got += tail.look()
    assert got == list("123456789") and tail.look() == []
    # What comes at a moment that was seen before, and in a stream that is new, is not missed.
    write(logs, group, "a", "at the last moment", at=NOW + 8)
    write(logs, group, "new", "later", at=NOW + 9)
    assert tail.look() == ["at the last moment", "later"]
    assert tail.look() == [] and "nextToken" not in tail.asked


def test_what_cannot_be_asked_together_is_refused(logs, group):
    write(logs, group, "s", "x")
    of = {"logGroupName": group, "logStreamNamePrefix": "s"}
    with refused("InvalidParameterException", 400, "Cannot order by LastEventTime with a logStreamNamePrefix"):
        logs.describe_log_streams(orderBy="LastEventTime", **of)
    assert len(logs.describe_log_streams(orderBy="LogStreamName", **of)["logStreams"]) == 1
    with refused("InvalidParameterException", 400, "logStreamNames"):
        logs.filter_log_events(logStreamNames=["s"], **of)
    assert messages(logs.filter_log_events(**of)) == ["x"]


def test_streams_that_are_named_must_be_there(logs, group):
    write(logs, group, "s", "x")
    with refused("ResourceNotFoundException", 400, "^The specified log stream does not exist.$"):
        logs.filter_log_events(logGroupName=group, logStreamNames=["s", "none"])
    assert messages(logs.filter_log_events(logGroupName=group, logStreamNames=["s"])) == ["x"]
    assert messages(logs.filter_log_events(logGroupName=group, logStreamNamePrefix="none")) == []


def test_what_is_not_here_is_refused_by_name(logs, group):
    with refused("UnknownOperationException", 400, "StartQuery"):
        logs.start_query(logGroupName=group, startTime=0, endTime=1, queryString="fields @message")
