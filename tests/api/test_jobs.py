"""AWS IoT Jobs: what callers make, what devices are told, answered and refused, how a job rolls out."""

import itertools
import json
import queue
import re
import time
import urllib.error
import urllib.request

import pytest
from botocore.credentials import Credentials
from support import ACCOUNT, PATIENCE, REGION, ROLE, UUID, Node, ended, eventually, machine, plain
from support import refused, single
from test_identity import Identity, link  # noqa: F401 - a fixture

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}"
DOCUMENT = {"operation": "install", "version": 2}
NUMBERS = itertools.count(1)


def arn(thing):
    return f"{IOT}:thing/{thing}"


def things(node, *names):
    for one in names:
        node.iot().create_thing(thingName=one)
    return [arn(one) for one in names]


def group(node, name, *members):
    """A group of things that are made for it."""
    made = node.iot().create_thing_group(thingGroupName=name)["thingGroupArn"]
    things(node, *members)
    for one in members:
        join(node, one, name)
    return made


def join(node, thing, group):
    node.iot().add_thing_to_thing_group(thingName=thing, thingGroupName=group)


def leave(node, thing, group):
    node.iot().remove_thing_from_thing_group(thingName=thing, thingGroupName=group)


def create(node, job, targets, document=DOCUMENT, **more):
    """A job for these ARNs, or for this one."""
    targets = [targets] if isinstance(targets, str) else targets
    if document is not None:
        more["document"] = json.dumps(document)
    return plain(node.iot().create_job(jobId=job, targets=targets, **more))


def described(node, job):
    return node.iot().describe_job(jobId=job)["job"]


def counted(node, job):
    """Things of a job by status, without those that are none."""
    details = described(node, job)["jobProcessDetails"]
    of = {re.fullmatch("numberOf(.*)Things", name)[1]: count for name, count in details.items()}
    return {name: count for name, count in of.items() if count}


def pages(operation, member, **given):
    """All items of a list that is asked for in pages of two."""
    items, token = [], {}
    while True:
        page = operation(maxResults=2, **given, **token)
        assert len(page[member]) <= 2
        items += page[member]
        if "nextToken" not in page:
            return items
        token = {"nextToken": page["nextToken"]}


def executions(node, job, **given):
    """Summaries of a job's executions, by thing."""
    listed = pages(
        node.iot().list_job_executions_for_job, "executionSummaries", jobId=job, **given
    )
    return {one["thingArn"].split("/")[1]: one["jobExecutionSummary"] for one in listed}


def status(node, job, thing, **more):
    found = node.iot().describe_job_execution(jobId=job, thingName=thing, **more)
    return found["execution"]["status"]


def update(node, job, thing, status, **more):
    """What a device says of its execution, by HTTP."""
    data = node.client("iot-jobs-data")
    return plain(data.update_job_execution(jobId=job, thingName=thing, status=status, **more))


class Worker:
    """A device that does jobs over MQTT. It subscribes to what it is told, never to answers."""

    def __init__(self, device):
        self.device, self.kept = device, []
        self.prefix = f"$aws/things/{device.name}/jobs/"
        device.connect()
        for what in ("notify", "notify-next"):
            device.subscribe(self.prefix + what)

    def ask(self, what, body=None):
        """`accepted` or `rejected`, and the answer; what comes before it is kept."""
        if body is None or isinstance(body, dict):
            body = {**(body or {}), "clientToken": f"token-{next(NUMBERS)}"}
        self.device.publish(self.prefix + what, body)
        while True:
            topic, answer = self.next()
            if topic in (what + "/accepted", what + "/rejected"):
                token = body.get("clientToken") if isinstance(body, dict) else None
                assert answer.pop("clientToken", None) == token
                assert abs(answer.pop("timestamp") - time.time()) < 60
                return topic.rsplit("/", 1)[1], answer
            self.kept.append((topic, answer))

    def accepted(self, what, body=None):
        verdict, answer = self.ask(what, body)
        assert verdict == "accepted", answer
        return answer

    def rejected(self, what, body=None):
        """Code, message and the rest of the answer."""
        verdict, answer = self.ask(what, body)
        assert verdict == "rejected", answer
        return answer.pop("code"), answer.pop("message"), answer

    def next(self):
        message = self.device.message(PATIENCE)
        assert message.topic.startswith(self.prefix), message.topic
        return message.topic.removeprefix(self.prefix), json.loads(message.payload)

    def told(self):
        """All that it was told until now: topics and payloads."""
        self.ask("get")
        kept, self.kept = self.kept, []
        return kept

    def topics(self):
        return [topic for topic, _ in self.told()]


@pytest.fixture
def worker(node, name, device):
    return Worker(device(node, name))


# ---- jobs ----------------------------------------------------------------------------------------


def test_a_created_job_is_described(node, name):
    targets = things(node, name)
    created = create(node, name, targets, description="new firmware")
    job_arn = f"{IOT}:job/{name}"
    assert created == {"jobArn": job_arn, "jobId": name, "description": "new firmware"}
    found = described(node, name)
    made, changed = found.pop("createdAt"), found.pop("lastUpdatedAt")
    assert abs(made.timestamp() - time.time()) < 60 and changed >= made
    assert found.pop("jobProcessDetails")["numberOfQueuedThings"] == 1
    assert not found.pop("isConcurrent")
    assert found == {
        "jobArn": job_arn,
        "jobId": name,
        "description": "new firmware",
        "targetSelection": "SNAPSHOT",
        "status": "IN_PROGRESS",
        "targets": targets,
    }
    assert json.loads(node.iot().get_job_document(jobId=name)["document"]) == DOCUMENT


def test_a_job_is_shown_as_it_was_asked_for(node, name):
    given = {
        "jobExecutionsRolloutConfig": {
            "maximumPerMinute": 900,
            "exponentialRate": {
                "baseRatePerMinute": 50,
                "incrementFactor": 1.5,
                "rateIncreaseCriteria": {"numberOfSucceededThings": 10},
            },
        },
        "abortConfig": {
            "criteriaList": [
                {
                    "failureType": "ALL",
                    "action": "CANCEL",
                    "thresholdPercentage": 12.5,
                    "minNumberOfExecutedThings": 4,
                }
            ]
        },
        "timeoutConfig": {"inProgressTimeoutInMinutes": 60},
        "jobExecutionsRetryConfig": {
            "criteriaList": [
                {"failureType": "FAILED", "numberOfRetries": 3},
                {"failureType": "TIMED_OUT", "numberOfRetries": 7},
            ]
        },
        "schedulingConfig": {
            "startTime": time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 7_200)),
            "endTime": time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 86_400)),
            "endBehavior": "FORCE_CANCEL",
        },
    }
    create(node, name, things(node, name), **given)
    found = described(node, name)
    assert {member: found[member] for member in given} == given
    assert found["status"] == "SCHEDULED" and counted(node, name) == {}


def test_a_maintenance_window_that_is_closed_holds_a_job_back(node, name):
    opens = time.gmtime(time.time() + 12 * 3_600)
    window = {"startTime": time.strftime("cron(%M %H * * ? *)", opens), "durationInMinutes": 60}
    schedule = {"maintenanceWindows": [window]}
    continuous = {"targetSelection": "CONTINUOUS", "schedulingConfig": schedule}
    create(node, name, things(node, name), **continuous)
    found = described(node, name)
    assert found["schedulingConfig"] == schedule and found["status"] == "IN_PROGRESS"
    due = time.strftime("%Y-%m-%dT%H:%M", opens)
    assert found["scheduledJobRollouts"][0]["startTime"] == due
    assert counted(node, name) == {}


@pytest.mark.parametrize(
    "address",
    [
        "{endpoint}/{bucket}/dir/job.json",
        "http://{bucket}.localhost:4566/dir/job.json",
        "https://s3.us-east-1.amazonaws.com/{bucket}/dir/job.json",
        "https://{bucket}.s3.us-east-1.amazonaws.com/dir/job.json",
    ],
)
def test_a_document_is_read_from_a_bucket(node, name, address):
    s3 = node.client("s3")
    s3.create_bucket(Bucket="jobs-" + name)
    s3.put_object(Bucket="jobs-" + name, Key="dir/job.json", Body=json.dumps(DOCUMENT))
    source = address.format(endpoint=node.endpoint, bucket="jobs-" + name)
    create(node, name, things(node, name), None, documentSource=source)
    assert node.iot().describe_job(jobId=name)["documentSource"] == source
    s3.delete_object(Bucket="jobs-" + name, Key="dir/job.json")
    assert json.loads(node.iot().get_job_document(jobId=name)["document"]) == DOCUMENT


def test_an_object_that_is_no_document_is_refused(node, name):
    s3, targets = node.client("s3"), things(node, name)
    s3.create_bucket(Bucket="jobs-" + name)
    s3.put_object(Bucket="jobs-" + name, Key="text", Body=b"not JSON")
    s3.put_object(Bucket="jobs-" + name, Key="long", Body=b"[" + b"1," * 20_000 + b"1]")
    for key, why in (("text", "not JSON"), ("long", "bytes"), ("none", "`none` in bucket")):
        with refused("InvalidRequestException", 400, why):
            source = f"{node.endpoint}/jobs-{name}/{key}"
            create(node, name, targets, None, documentSource=source)


def test_a_device_gets_presigned_addresses(node, name, worker):
    s3 = node.client("s3")
    s3.create_bucket(Bucket="jobs-" + name)
    s3.put_object(Bucket="jobs-" + name, Key="dir/a b.bin", Body=b"firmware")
    place = f"${{aws:iot:s3-presigned-url:{node.endpoint}/jobs-{name}/dir/a b.bin}}"
    document = {"files": [place, place], "n": 1}
    presigned = {"roleArn": ROLE, "expiresInSec": 600}
    create(node, name, arn(name), document, presignedUrlConfig=presigned)
    assert described(node, name)["presignedUrlConfig"] == presigned
    assert json.loads(node.iot().get_job_document(jobId=name)["document"]) == document
    (told,) = [body for topic, body in worker.told() if topic == "notify-next"]
    data = node.client("iot-jobs-data")
    by_http = data.describe_job_execution(jobId=name, thingName=name)["execution"]["jobDocument"]
    for shown in (
        told["execution"]["jobDocument"],
        worker.accepted("start-next")["execution"]["jobDocument"],
        json.loads(by_http),
    ):
        assert shown["n"] == 1
        for address in shown["files"]:
            assert "X-Amz-Expires=600" in address
            with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
                assert answer.read() == b"firmware"


def test_a_presigned_address_is_signed_for_its_object_alone(tmp_path, name):
    strict = Node(tmp_path / "data", ["--check-signatures"])
    keys = json.loads((strict.folder / "keys.json").read_text())
    strict.credentials = Credentials(keys["id"], keys["secret"])
    try:
        s3 = strict.client("s3")
        s3.create_bucket(Bucket="jobs-" + name)
        for object_name in ("dir/a b+c.bin", "other"):
            s3.put_object(Bucket="jobs-" + name, Key=object_name, Body=object_name.encode())
        iot = strict.client("iot")
        iot.create_thing(thingName=name)
        place = f"${{aws:iot:s3-presigned-url:https://s3.amazonaws.com/jobs-{name}/dir/a b+c.bin}}"
        iot.create_job(
            jobId=name,
            targets=[arn(name)],
            document=json.dumps({"file": place}),
            presignedUrlConfig={"roleArn": ROLE, "expiresInSec": 60},
        )
        data = strict.client("iot-jobs-data")
        execution = data.start_next_pending_job_execution(thingName=name)["execution"]
        address = json.loads(execution["jobDocument"])["file"]
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            assert answer.read() == b"dir/a b+c.bin"
        for wrong in (address.replace("dir/a%20b%2Bc.bin", "other"), address[:-4] + "0000"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(wrong, timeout=PATIENCE)
    finally:
        strict.kill()


def test_a_job_is_updated(node, name):
    iot = node.iot()
    create(node, name, things(node, name), description="old")
    timeout, retries = {"inProgressTimeoutInMinutes": 5}, {"failureType": "ALL", "numberOfRetries": 2}
    iot.update_job(
        jobId=name,
        description="new",
        timeoutConfig=timeout,
        jobExecutionsRetryConfig={"criteriaList": [retries]},
    )
    found = described(node, name)
    assert (found["description"], found["timeoutConfig"]) == ("new", timeout)
    assert found["jobExecutionsRetryConfig"]["criteriaList"] == [retries]
    iot.update_job(jobId=name, jobExecutionsRolloutConfig={"maximumPerMinute": 7})
    found = described(node, name)
    assert found["description"] == "new" and found["timeoutConfig"] == timeout
    assert found["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7}


def test_jobs_are_listed_by_status_selection_and_group(node, name):
    iot = node.iot()
    of_group = group(node, name, f"{name}-a")
    named = [f"{name}-{number}" for number in range(5)]
    for one in named:
        create(node, one, of_group)
    create(node, f"{name}-all", of_group, targetSelection="CONTINUOUS")
    iot.cancel_job(jobId=named[0])

    def listed(**given):
        found = pages(iot.list_jobs, "jobs", thingGroupName=name, **given)
        return sorted(one["jobId"] for one in found)

    assert listed() == [*named, f"{name}-all"]
    assert listed(targetSelection="CONTINUOUS") == [f"{name}-all"]
    assert listed(status="CANCELED") == [named[0]]
    assert listed(status="IN_PROGRESS", targetSelection="SNAPSHOT") == named[1:]
    (one,) = iot.list_jobs(thingGroupName=name, status="CANCELED")["jobs"]
    assert one["jobArn"] == f"{IOT}:job/{named[0]}" and one["targetSelection"] == "SNAPSHOT"
    assert one["completedAt"] >= one["createdAt"]


def test_canceling_leaves_what_is_in_progress(node, name):
    create(node, name, things(node, f"{name}-a", f"{name}-b"))
    update(node, name, f"{name}-a", "IN_PROGRESS")
    answer = plain(node.iot().cancel_job(jobId=name, reasonCode="NEWER_1", comment="use the next"))
    assert answer == {"jobArn": f"{IOT}:job/{name}", "jobId": name}
    eventually(lambda: counted(node, name) == {"InProgress": 1, "Canceled": 1}, PATIENCE)
    found = described(node, name)
    assert (found["status"], found["reasonCode"]) == ("CANCELED", "NEWER_1")
    assert found["comment"] == "use the next" and not found.get("forceCanceled")
    update(node, name, f"{name}-a", "SUCCEEDED")
    assert counted(node, name) == {"Succeeded": 1, "Canceled": 1}
    assert described(node, name)["status"] == "CANCELED"
    with refused("InvalidRequestException", 400, f"Job {name} cannot be canceled: it is CANCELED"):
        node.iot().cancel_job(jobId=name)


def test_canceling_by_force_ends_what_is_in_progress(node, name):
    create(node, name, things(node, f"{name}-a", f"{name}-b"))
    update(node, name, f"{name}-a", "IN_PROGRESS")
    node.iot().cancel_job(jobId=name, force=True)
    eventually(lambda: counted(node, name) == {"Canceled": 2}, PATIENCE)
    assert described(node, name)["forceCanceled"]
    execution = node.iot().describe_job_execution(jobId=name, thingName=f"{name}-a")["execution"]
    assert execution["forceCanceled"] and execution["status"] == "CANCELED"
    with refused("InvalidStateTransitionException", 409, "it is CANCELED"):
        update(node, name, f"{name}-a", "SUCCEEDED")


def test_a_job_that_is_in_progress_is_deleted_by_force_alone(node, name):
    iot = node.iot()
    create(node, name, things(node, name))
    with refused("InvalidStateTransitionException", 409, f"Job {name} cannot be deleted: it is IN_PROG"):
        iot.delete_job(jobId=name)
    assert plain(iot.delete_job(jobId=name, force=True)) == {}

    def gone():
        try:
            return described(node, name)["status"] != "DELETION_IN_PROGRESS"
        except iot.exceptions.ResourceNotFoundException:
            return True

    eventually(gone, PATIENCE)
    with refused("ResourceNotFoundException", 404, f"Job {name} cannot be found"):
        iot.describe_job(jobId=name)
    with refused("ResourceNotFoundException", 404, name):
        iot.describe_job_execution(jobId=name, thingName=name)
    assert iot.list_job_executions_for_thing(thingName=name)["executionSummaries"] == []
    create(node, name, [arn(name)])


def test_a_job_that_is_done_is_deleted(node, name):
    create(node, name, things(node, name))
    update(node, name, name, "SUCCEEDED")
    found = described(node, name)
    assert found["status"] == "COMPLETED" and found["completedAt"] >= found["createdAt"]
    node.iot().delete_job(jobId=name)

    def listed():
        return node.iot().list_job_executions_for_thing(thingName=name)["executionSummaries"]

    eventually(lambda: listed() == [], PATIENCE)


def test_targets_are_added_to_a_continuous_job(node, name):
    first, second = things(node, f"{name}-a", f"{name}-b")
    create(node, name, first, targetSelection="CONTINUOUS")
    answer = plain(
        node.iot().associate_targets_with_job(jobId=name, targets=[second, first], comment="more")
    )
    assert answer == {"jobArn": f"{IOT}:job/{name}", "jobId": name}
    eventually(lambda: counted(node, name) == {"Queued": 2}, PATIENCE)
    found = described(node, name)
    assert sorted(found["targets"]) == sorted([first, second]) and found["comment"] == "more"
    create(node, f"{name}-s", first)
    with refused("InvalidRequestException", 400, "CONTINUOUS"):
        node.iot().associate_targets_with_job(jobId=f"{name}-s", targets=[second])


# ---- refusals ------------------------------------------------------------------------------------


SIGNED = '{"url": "${aws:iot:s3-presigned-url:http://host/bucket/key}"}'


def criteria(*given):
    return {"criteriaList": [dict(zip(("failureType", "numberOfRetries"), one)) for one in given]}


def aborted(**more):
    one = {"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 5.0}
    return {"abortConfig": {"criteriaList": [{**one, "minNumberOfExecutedThings": 1, **more}]}}


def rate(**more):
    one = {"baseRatePerMinute": 5, "incrementFactor": 2.0}
    increase = {"rateIncreaseCriteria": {"numberOfNotifiedThings": 5}}
    return {"jobExecutionsRolloutConfig": {"exponentialRate": {**one, **increase, **more}}}


def scheduled(**more):
    return {"schedulingConfig": more}


@pytest.mark.parametrize(
    "given, why",
    [
        ({"document": "{"}, "the job document is not JSON"),
        ({"document": json.dumps("x" * 32_768)}, "more than 32768 bytes"),
        ({"document": None}, "document, documentSource"),
        ({"documentSource": "https://s3.amazonaws.com/b/k"}, "exclude each other"),
        ({"document": None, "documentSource": "b/k"}, "`?documentSource"),
        ({"document": SIGNED}, "presignedUrlConfig is needed"),
        ({"document": '{"u": "${aws:iot:other:x}"}'}, "`\\${aws:iot:other:x}`.* is not supported"),
        ({"document": SIGNED.replace("http:", ""), "presignedUrlConfig": {"roleArn": ROLE}},
         "no address of an S3 object"),
        ({"presignedUrlConfig": {"roleArn": "me"}}, "roleArn.*the ARN of a role"),
        ({"presignedUrlConfig": {"roleArn": ROLE, "expiresInSec": 59}}, "60 to 3600"),
        ({"documentParameters": {"a": "b"}}, "documentParameters"),
        ({"namespaceId": "x"}, "namespaceId"),
        ({"destinationPackageVersions": [f"{IOT}:package/a/version/b"]}, "destinationPackageVersions"),
        ({"jobId": "a b"}, "jobId"),
        ({"jobId": "a" * 65}, "jobId"),
        ({"targets": []}, "1 to 100 targets"),
        ({"targets": ["here"]}, "here.*is not the ARN of a thing or a thing group"),
        ({"targets": [f"{IOT}:cert/{'0' * 64}"]}, "is not the ARN"),
        ({"targets": [arn(f"a{number}") for number in range(101)]}, "1 to 100 targets"),
        ({"targetSelection": "ALL"}, "SNAPSHOT or CONTINUOUS"),
        ({"description": "x" * 2_029}, "description"),
        ({"jobTemplateArn": "here"}, "jobTemplateArn"),
        ({"jobExecutionsRolloutConfig": {"maximumPerMinute": 0}}, "maximumPerMinute.*1 to 1000"),
        (rate(baseRatePerMinute=1_001), "baseRatePerMinute.*1 to 1000"),
        (rate(incrementFactor=1.0), "incrementFactor.*1.1 to 5"),
        (rate(incrementFactor=5.1), "incrementFactor.*1.1 to 5"),
        (rate(rateIncreaseCriteria={}), "rateIncreaseCriteria"),
        (rate(rateIncreaseCriteria={"numberOfNotifiedThings": 1, "numberOfSucceededThings": 1}),
         "rateIncreaseCriteria.*either"),
        ({"timeoutConfig": {"inProgressTimeoutInMinutes": 10_081}}, "1 to 10080"),
        ({"timeoutConfig": {"inProgressTimeoutInMinutes": 0}}, "1 to 10080"),
        (aborted(thresholdPercentage=100.1), "thresholdPercentage"),
        (aborted(minNumberOfExecutedThings=0), "minNumberOfExecutedThings"),
        (aborted(failureType="SUCCEEDED"), "failureType"),
        (aborted(action="STOP"), "action.*CANCEL"),
        ({"abortConfig": {"criteriaList": []}}, "criteriaList"),
        ({"jobExecutionsRetryConfig": criteria(("FAILED", 1), ("TIMED_OUT", 1), ("FAILED", 1))},
         "one or two criteria"),
        ({"jobExecutionsRetryConfig": criteria(("ALL", 1), ("FAILED", 1))}, "ALL stands alone"),
        ({"jobExecutionsRetryConfig": criteria(("FAILED", 6), ("TIMED_OUT", 5))}, "10 retries"),
        ({"jobExecutionsRetryConfig": criteria(("ALL", 11))}, "numberOfRetries.*0 to 10"),
        ({"jobExecutionsRetryConfig": criteria(("REJECTED", 1))}, "failureType"),
        (scheduled(startTime="tomorrow"), "startTime"),
        (scheduled(startTime="2020-01-31T18:30"), "at least 30 minutes"),
        (scheduled(startTime="2999-01-31T18:30"), "at most one year"),
        (scheduled(endTime="2020-01-31T18:30"), "at least 30 minutes"),
        (scheduled(endTime="2999-01-31T18:30"), "two years"),
        (scheduled(maintenanceWindows=[{"startTime": "cron(0 2 * * ? *)", "durationInMinutes": 60}]),
         "CONTINUOUS"),
        ({"targetSelection": "CONTINUOUS", **scheduled(
            maintenanceWindows=[{"startTime": "at two", "durationInMinutes": 60}])}, "cron expression"),
    ],
)
def test_a_job_that_cannot_be_carried_out_is_refused(node, name, given, why):
    things(node, name)
    asked = {"jobId": name, "targets": [arn(name)], "document": "{}", **given}
    asked = {member: value for member, value in asked.items() if value is not None}
    with refused("InvalidRequestException", 400, why):
        node.unchecked("iot").create_job(**asked)
    with refused("ResourceNotFoundException", 404, name):
        described(node, name)


def test_a_job_is_created_once(node, name):
    targets = things(node, name)
    create(node, name, targets)
    with refused("ResourceAlreadyExistsException", 409, f"Job {name} already exists"):
        create(node, name, targets)
    body = {"targets": targets, "document": "{}"}
    _, _, answer = node.request("iot", "PUT", f"/jobs/{name}", body)
    answer = json.loads(answer)
    assert (answer["resourceId"], answer["resourceArn"]) == (name, f"{IOT}:job/{name}")


def test_what_is_not_there_is_refused(node, name):
    iot = node.iot()
    for target in (arn(name), f"{IOT}:thinggroup/{name}"):
        with refused("ResourceNotFoundException", 404, name):
            create(node, name, target)
    with refused("ResourceNotFoundException", 404, f"Job template {name}"):
        things(node, name)
        template = f"{IOT}:jobtemplate/{name}"
        create(node, name, arn(name), None, jobTemplateArn=template)
    of = {"jobId": name, "thingName": name}
    for call in (
        lambda: iot.describe_job(jobId=name),
        lambda: iot.get_job_document(jobId=name),
        lambda: iot.update_job(jobId=name, description="x"),
        lambda: iot.cancel_job(jobId=name),
        lambda: iot.delete_job(jobId=name),
        lambda: iot.associate_targets_with_job(jobId=name, targets=[arn(name)]),
        lambda: iot.list_job_executions_for_job(jobId=name),
        lambda: iot.describe_job_execution(**of),
        lambda: iot.cancel_job_execution(**of),
        lambda: iot.delete_job_execution(executionNumber=1, **of),
        lambda: iot.describe_job_template(jobTemplateId=name),
        lambda: iot.delete_job_template(jobTemplateId=name),
    ):
        with refused("ResourceNotFoundException", 404, f"{name}.* cannot be found"):
            call()


def test_bad_requests_on_jobs_are_refused(node, name):
    iot = node.unchecked("iot")
    create(node, name, things(node, name))
    for call, given, why in (
        ("cancel_job", {"jobId": name, "reasonCode": "too old"}, "reasonCode"),
        ("cancel_job", {"jobId": name, "comment": "a\nb"}, "comment"),
        ("update_job", {"jobId": name, "presignedUrlConfig": {"roleArn": "me"}}, "roleArn"),
        ("update_job", {"jobId": name, "jobExecutionsRetryConfig": criteria(("ALL", 11))}, "0 to 10"),
        ("list_jobs", {"maxResults": 251}, "maxResults.*1 to 250"),
        ("list_jobs", {"status": "DONE"}, "status"),
        ("list_jobs", {"nextToken": "x"}, "nextToken"),
        ("list_job_executions_for_job", {"jobId": name, "status": "DONE"}, "status"),
        ("list_job_executions_for_thing", {"thingName": "a b"}, "thingName"),
        ("create_job_template", {"jobTemplateId": name, "document": "{}"}, "description"),
    ):
        with refused("InvalidRequestException", 400, why):
            getattr(iot, call)(**given)


def test_managed_templates_are_refused_by_name(node):
    iot = node.iot()
    with refused("UnknownOperationException", 400, "`ListManagedJobTemplates` is not available"):
        iot.list_managed_job_templates()
    with refused("UnknownOperationException", 400, "`DescribeManagedJobTemplate` is not available"):
        iot.describe_managed_job_template(templateName="AWS-Reboot")


# ---- executions ----------------------------------------------------------------------------------


def test_executions_are_listed_and_described(node, name):
    iot = node.iot()
    named = [f"{name}-{number}" for number in range(5)]
    create(node, name, things(node, *named))
    eventually(lambda: counted(node, name) == {"Queued": 5}, PATIENCE)
    update(node, name, named[0], "IN_PROGRESS", statusDetails={"step": "1"})
    update(node, name, named[1], "SUCCEEDED")
    assert list(executions(node, name)) == named
    assert list(executions(node, name, status="QUEUED")) == named[2:]
    one = executions(node, name, status="IN_PROGRESS")[named[0]]
    assert (one["executionNumber"], one["retryAttempt"], one["status"]) == (1, 0, "IN_PROGRESS")
    assert one["queuedAt"] <= one["startedAt"] <= one["lastUpdatedAt"]
    found = iot.describe_job_execution(jobId=name, thingName=named[0], executionNumber=1)["execution"]
    assert found["statusDetails"] == {"detailsMap": {"step": "1"}}
    assert (found["thingArn"], found["versionNumber"]) == (arn(named[0]), 2)
    with refused("ResourceNotFoundException", 404, name):
        iot.describe_job_execution(jobId=name, thingName=named[0], executionNumber=2)


def test_the_executions_of_a_thing_are_listed(node, name):
    iot = node.iot()
    things(node, name)
    jobs = [f"{name}-{number}" for number in range(5)]
    for job in jobs:
        create(node, job, arn(name))
    update(node, jobs[1], name, "REJECTED")

    def listed(**given):
        operation = iot.list_job_executions_for_thing
        found = pages(operation, "executionSummaries", thingName=name, **given)
        return sorted(one["jobId"] for one in found)

    assert listed() == jobs
    assert listed(status="REJECTED") == [jobs[1]]
    assert listed(status="QUEUED") == [jobs[0], *jobs[2:]]
    assert listed(jobId=jobs[3]) == [jobs[3]]


def test_an_execution_is_canceled(node, name):
    iot = node.iot()
    named = [f"{name}-{number}" for number in range(3)]
    create(node, name, things(node, *named))
    eventually(lambda: counted(node, name) == {"Queued": 3}, PATIENCE)
    of = {"jobId": name, "thingName": named[0]}
    with refused("VersionConflictException", 409, "version of the execution is 1"):
        iot.cancel_job_execution(expectedVersion=7, **of)
    assert plain(iot.cancel_job_execution(expectedVersion=1, statusDetails={"by": "us"}, **of)) == {}
    execution = iot.describe_job_execution(**of)["execution"]
    assert (execution["status"], execution["forceCanceled"]) == ("CANCELED", False)
    assert execution["statusDetails"] == {"detailsMap": {"by": "us"}}
    with refused("InvalidStateTransitionException", 409, "it is CANCELED"):
        iot.cancel_job_execution(**of)
    update(node, name, named[1], "IN_PROGRESS")
    of = {"jobId": name, "thingName": named[1]}
    with refused("InvalidStateTransitionException", 409, "it is IN_PROGRESS, and force is not set"):
        iot.cancel_job_execution(**of)
    iot.cancel_job_execution(force=True, **of)
    assert iot.describe_job_execution(**of)["execution"]["forceCanceled"]
    update(node, name, named[2], "SUCCEEDED")
    assert described(node, name)["status"] == "COMPLETED"


def test_an_execution_is_deleted_once_it_has_ended(node, name):
    iot = node.iot()
    create(node, name, things(node, f"{name}-a", f"{name}-b"))
    of = {"jobId": name, "thingName": f"{name}-a", "executionNumber": 1}
    for state in ("QUEUED", "IN_PROGRESS"):
        assert status(node, name, f"{name}-a") == state
        with refused("InvalidStateTransitionException", 409, f"it is {state}"):
            iot.delete_job_execution(**of)
        update(node, name, f"{name}-a", "IN_PROGRESS")
    assert plain(iot.delete_job_execution(force=True, **of)) == {}
    with refused("ResourceNotFoundException", 404, name):
        iot.describe_job_execution(jobId=name, thingName=f"{name}-a")
    update(node, name, f"{name}-b", "FAILED")
    assert described(node, name)["status"] == "COMPLETED"
    iot.delete_job_execution(jobId=name, thingName=f"{name}-b", executionNumber=1)
    assert executions(node, name) == {}


# ---- templates and tags --------------------------------------------------------------------------


def test_a_job_is_made_of_a_template(node, name):
    iot = node.iot()
    timeout, most = {"inProgressTimeoutInMinutes": 9}, {"maximumPerMinute": 100}
    created = plain(
        iot.create_job_template(
            jobTemplateId=name,
            description="a reboot",
            document=json.dumps(DOCUMENT),
            timeoutConfig=timeout,
            jobExecutionsRolloutConfig=most,
        )
    )
    template = f"{IOT}:jobtemplate/{name}"
    assert created == {"jobTemplateArn": template, "jobTemplateId": name}
    found = plain(iot.describe_job_template(jobTemplateId=name))
    assert found.pop("createdAt")
    assert json.loads(found.pop("document")) == DOCUMENT
    assert found == {
        **created,
        "description": "a reboot",
        "timeoutConfig": timeout,
        "jobExecutionsRolloutConfig": most,
    }
    targets = things(node, name)
    own = {"inProgressTimeoutInMinutes": 2}
    create(node, name, targets, None, jobTemplateArn=template, timeoutConfig=own)
    job = described(node, name)
    assert (job["jobTemplateArn"], job["timeoutConfig"]) == (template, own)
    assert job["jobExecutionsRolloutConfig"] == most
    assert json.loads(iot.get_job_document(jobId=name)["document"]) == DOCUMENT
    with refused("ConflictException", 409, f"Job template {name} already exists"):
        iot.create_job_template(jobTemplateId=name, description="x", document="{}")
    iot.delete_job_template(jobTemplateId=name)
    with refused("ResourceNotFoundException", 404, name):
        iot.describe_job_template(jobTemplateId=name)
    assert described(node, name)["jobTemplateArn"] == template


def test_a_template_is_made_of_a_job(node, name):
    timeout = {"inProgressTimeoutInMinutes": 9}
    create(node, name, things(node, name), timeoutConfig=timeout)
    node.iot().create_job_template(jobTemplateId=name, description="x", jobArn=f"{IOT}:job/{name}")
    found = node.iot().describe_job_template(jobTemplateId=name)
    assert json.loads(found["document"]) == DOCUMENT and found["timeoutConfig"] == timeout
    with refused("ResourceNotFoundException", 404, f"Job {name}-none"):
        missing = f"{IOT}:job/{name}-none"
        node.iot().create_job_template(jobTemplateId=f"{name}-2", description="x", jobArn=missing)


def test_templates_are_listed(own_node):
    iot = own_node.iot()
    for number in range(3):
        iot.create_job_template(jobTemplateId=f"t{number}", description="x", document="{}")
    listed = pages(iot.list_job_templates, "jobTemplates")
    assert [one["jobTemplateId"] for one in listed] == ["t0", "t1", "t2"]
    assert listed[0]["jobTemplateArn"] == f"{IOT}:jobtemplate/t0"


def test_jobs_and_templates_carry_tags(node, name):
    iot = node.iot()
    tags, more = [{"Key": "team", "Value": "a"}], [{"Key": "stage", "Value": "b"}]
    create(node, name, things(node, name), tags=tags)
    iot.create_job_template(jobTemplateId=name, description="x", document="{}", tags=tags)

    def tagged(resource):
        found = iot.list_tags_for_resource(resourceArn=resource)["tags"]
        return sorted(found, key=lambda tag: tag["Key"])

    for resource in (f"{IOT}:job/{name}", f"{IOT}:jobtemplate/{name}"):
        assert tagged(resource) == tags
        iot.tag_resource(resourceArn=resource, tags=more)
        assert tagged(resource) == more + tags
        iot.untag_resource(resourceArn=resource, tagKeys=["team"])
        assert tagged(resource) == more
        with refused("ResourceNotFoundException", 404, "none"):
            iot.tag_resource(resourceArn=resource + "-none", tags=more)
    iot.delete_job_template(jobTemplateId=name)
    with refused("ResourceNotFoundException", 404, name):
        tagged(f"{IOT}:jobtemplate/{name}")
    iot.delete_job(jobId=name, force=True)
    eventually(lambda: name not in [one["jobId"] for one in iot.list_jobs()["jobs"]], PATIENCE)
    with refused("ResourceNotFoundException", 404, name):
        tagged(f"{IOT}:job/{name}")


# ---- events --------------------------------------------------------------------------------------


def test_events_tell_of_jobs_and_executions(own_node, device):
    iot = own_node.iot()
    watcher = device(own_node, "watcher").connect()
    watcher.subscribe("$aws/events/job/+/+").subscribe("$aws/events/jobExecution/+/+")
    targets = things(own_node, "a", "b")

    def heard(count):
        """Events by topic, so many."""
        found = [watcher.message(PATIENCE) for _ in range(count)]
        return {one.topic.removeprefix("$aws/events/"): json.loads(one.payload) for one in found}

    create(own_node, "silent", targets)
    iot.cancel_job(jobId="silent")
    iot.update_event_configurations(
        eventConfigurations={"JOB": {"Enabled": True}, "JOB_EXECUTION": {"Enabled": True}}
    )

    create(own_node, "done", targets, description="words")
    update(own_node, "done", "a", "SUCCEEDED", statusDetails={"k": "v"})
    update(own_node, "done", "b", "REJECTED")
    events = heard(3)
    succeeded = events.pop("jobExecution/done/succeeded")
    assert re.fullmatch(UUID, succeeded.pop("eventId"))
    assert abs(succeeded.pop("timestamp") - time.time()) < 60
    assert succeeded == {
        "eventType": "JOB_EXECUTION",
        "operation": "succeeded",
        "jobId": "done",
        "thingArn": arn("a"),
        "status": "SUCCEEDED",
        "statusDetails": {"k": "v"},
    }
    assert events.pop("jobExecution/done/rejected")["status"] == "REJECTED"
    completed = events.pop("job/done/completed")
    assert events == {}
    for member in ("eventId", "timestamp", "createdAt", "lastUpdatedAt", "completedAt"):
        assert completed.pop(member)
    details = completed.pop("jobProcessDetails")
    assert (details["numberOfSucceededThings"], details["numberOfRejectedThings"]) == (1, 1)
    assert completed == {
        "eventType": "JOB",
        "operation": "completed",
        "jobId": "done",
        "status": "COMPLETED",
        "targetSelection": "SNAPSHOT",
        "targets": targets,
        "description": "words",
    }

    create(own_node, "stopped", targets[:1])
    iot.cancel_job(jobId="stopped", comment="why")
    events = heard(3)
    assert list(events) == [
        "job/stopped/cancellation_in_progress",
        "jobExecution/stopped/canceled",
        "job/stopped/canceled",
    ]
    assert events["job/stopped/cancellation_in_progress"]["status"] == "CANCELLATION_IN_PROGRESS"
    canceled = events["job/stopped/canceled"]
    assert (canceled["status"], canceled["comment"]) == ("CANCELED", "why")
    assert canceled["jobProcessDetails"]["numberOfCanceledThings"] == 1

    iot.delete_job(jobId="stopped")
    events = heard(3)
    assert list(events) == [
        "job/stopped/deletion_in_progress",
        "jobExecution/stopped/deleted",
        "job/stopped/deleted",
    ]
    assert events["job/stopped/deletion_in_progress"]["status"] == "DELETION_IN_PROGRESS"
    assert events["job/stopped/deleted"]["status"] == "DELETED"


# ---- devices over MQTT ---------------------------------------------------------------------------


def test_a_device_asks_for_what_it_has_to_do(node, name, worker):
    assert worker.accepted("get") == {"inProgressJobs": [], "queuedJobs": []}
    assert worker.accepted("get", "") == {"inProgressJobs": [], "queuedJobs": []}
    assert worker.accepted("start-next") == {}
    assert worker.accepted("$next/get") == {}
    for number in (1, 2):
        create(node, f"{name}-{number}", arn(name))
    pending = worker.accepted("get")
    assert pending["inProgressJobs"] == []
    assert [one["jobId"] for one in pending["queuedJobs"]] == [f"{name}-1", f"{name}-2"]
    one = pending["queuedJobs"][0]
    assert (one["executionNumber"], one["versionNumber"]) == (1, 1)
    assert abs(one["queuedAt"] - time.time()) < 60 and "startedAt" not in one


def test_a_device_starts_its_next_job(node, name, worker):
    for number in (1, 2):
        create(node, f"{name}-{number}", arn(name), {"n": number})
    started = worker.accepted("start-next", {"statusDetails": {"step": "a"}})["execution"]
    for member in ("queuedAt", "startedAt", "lastUpdatedAt"):
        assert abs(started.pop(member) - time.time()) < 60
    assert started == {
        "jobId": f"{name}-1",
        "thingName": name,
        "jobDocument": {"n": 1},
        "status": "IN_PROGRESS",
        "statusDetails": {"step": "a"},
        "versionNumber": 2,
        "executionNumber": 1,
    }
    again = worker.accepted("start-next", {"statusDetails": {"step": "b"}})["execution"]
    assert (again["jobId"], again["versionNumber"]) == (f"{name}-1", 2)
    assert again["statusDetails"] == {"step": "a"}
    assert worker.accepted("$next/get")["execution"]["jobId"] == f"{name}-1"
    assert worker.accepted(f"{name}-1/update", {"status": "SUCCEEDED"}) == {}
    upcoming = worker.accepted("$next/get", {"includeJobDocument": False})["execution"]
    assert (upcoming["jobId"], upcoming["status"]) == (f"{name}-2", "QUEUED")
    assert "jobDocument" not in upcoming


def test_a_device_describes_and_updates_an_execution(node, name, worker):
    create(node, name, arn(name), timeoutConfig={"inProgressTimeoutInMinutes": 10})
    found = worker.accepted(f"{name}/get")["execution"]
    assert (found["status"], found["jobDocument"]) == ("QUEUED", DOCUMENT)
    wanted = {"includeJobExecutionState": True, "includeJobDocument": True}
    given = {"status": "IN_PROGRESS", "statusDetails": {"p": "50%"}, "expectedVersion": 1}
    assert worker.accepted(f"{name}/update", {**given, **wanted}) == {
        "executionState": {"status": "IN_PROGRESS", "statusDetails": {"p": "50%"}, "versionNumber": 2},
        "jobDocument": DOCUMENT,
    }
    found = worker.accepted(f"{name}/get", {"executionNumber": 1})["execution"]
    assert 0 < found["approximateSecondsBeforeTimedOut"] <= 600
    step = {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 2}
    worker.accepted(f"{name}/update", step)
    found = worker.accepted(f"{name}/get")["execution"]
    assert 0 < found["approximateSecondsBeforeTimedOut"] <= 120
    assert found["statusDetails"] == {"p": "50%"}
    worker.accepted(f"{name}/update", {**step, "stepTimeoutInMinutes": 100})
    found = worker.accepted(f"{name}/get")["execution"]
    assert 120 < found["approximateSecondsBeforeTimedOut"] <= 600
    worker.accepted(f"{name}/update", {"status": "SUCCEEDED"})
    assert described(node, name)["status"] == "COMPLETED"


def test_a_device_is_told_what_it_cannot_do(node, name, worker):
    create(node, name, arn(name))
    code, message, _ = worker.rejected(f"{name}/update", "{")
    assert code == "InvalidJson" and "JSON" in message
    for what, body, why in (
        (f"{name}/update", {}, "status"),
        (f"{name}/update", {"status": "QUEUED"}, "IN_PROGRESS, SUCCEEDED, FAILED or REJECTED"),
        (f"{name}/update", {"status": "FAILED", "statusDetails": {"a": 1}}, "statusDetails"),
        (f"{name}/update", {"status": "FAILED", "statusDetails": {str(n): "x" for n in range(11)}},
         "at most 10"),
        (f"{name}/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 10_081}, "stepTimeout"),
        ("start-next", {"stepTimeoutInMinutes": 0}, "stepTimeoutInMinutes"),
        ("$next/update", {"status": "FAILED"}, "jobId"),
        ("a b/get", {}, "jobId"),
    ):
        code, message, _ = worker.rejected(what, body)
        assert code == "InvalidRequest" and why in message, message
    for what, body in (
        (f"{name}-none/get", {}),
        (f"{name}-none/update", {"status": "FAILED"}),
        (f"{name}/get", {"executionNumber": 2}),
        (f"{name}/update", {"status": "FAILED", "executionNumber": 2}),
    ):
        assert worker.rejected(what, body)[0] == "ResourceNotFound"
    state = {"executionState": {"status": "QUEUED", "versionNumber": 1}}
    late = {"status": "IN_PROGRESS", "expectedVersion": 2}
    code, message, more = worker.rejected(f"{name}/update", late)
    assert (code, more) == ("VersionMismatch", state) and message
    worker.accepted(f"{name}/update", {"status": "FAILED", "statusDetails": {"why": "disk"}})
    code, message, more = worker.rejected(f"{name}/update", {"status": "IN_PROGRESS"})
    state = {"status": "FAILED", "statusDetails": {"why": "disk"}, "versionNumber": 2}
    assert (code, more) == ("InvalidStateTransition", {"executionState": state}) and message


def test_an_execution_that_has_ended_is_not_described_to_devices(node, name, worker):
    create(node, name, arn(name))
    worker.accepted(f"{name}/update", {"status": "SUCCEEDED"})
    code, message, _ = worker.rejected(f"{name}/get")
    assert code == "TerminalStateReached" and message
    with refused("TerminalStateException", 410, "."):
        node.client("iot-jobs-data").describe_job_execution(jobId=name, thingName=name)
    assert status(node, name, name) == "SUCCEEDED"


def test_a_device_is_told_what_changes(node, name, worker):
    """The story of AWS's guide, "Jobs notifications", step by step."""
    jobs = [f"{name}-{number}" for number in (1, 2, 3)]

    def heard():
        """What it was told, with the names of jobs alone."""
        found = []
        for topic, body in worker.told():
            assert abs(body.pop("timestamp") - time.time()) < 60
            if topic == "notify":
                listed = body.pop("jobs")
                listed = {key: [one["jobId"] for one in value] for key, value in listed.items()}
                found.append((topic, listed))
            else:
                execution = body.pop("execution", None)
                found.append((topic, execution and (execution["jobId"], execution["status"])))
            assert body == {}
        return sorted(found, key=lambda one: one[0])

    create(node, jobs[0], arn(name))
    assert heard() == [
        ("notify", {"QUEUED": jobs[:1]}),
        ("notify-next", (jobs[0], "QUEUED")),
    ]
    create(node, jobs[1], arn(name))
    assert heard() == [("notify", {"QUEUED": jobs[:2]})]
    worker.accepted("start-next")
    assert heard() == []
    worker.accepted(f"{jobs[0]}/update", {"status": "IN_PROGRESS", "statusDetails": {"a": "b"}})
    assert heard() == []
    create(node, jobs[2], arn(name))
    assert heard() == [("notify", {"IN_PROGRESS": jobs[:1], "QUEUED": jobs[1:]})]
    worker.accepted(f"{jobs[0]}/update", {"status": "SUCCEEDED"})
    assert heard() == [
        ("notify", {"QUEUED": jobs[1:]}),
        ("notify-next", (jobs[1], "QUEUED")),
    ]
    worker.accepted(f"{jobs[2]}/update", {"status": "IN_PROGRESS"})
    assert heard() == [("notify-next", (jobs[2], "IN_PROGRESS"))]
    worker.accepted(f"{jobs[1]}/update", {"status": "REJECTED"})
    assert heard() == [("notify", {"IN_PROGRESS": jobs[2:]})]
    node.iot().delete_job(jobId=jobs[2], force=True)
    eventually(lambda: worker.accepted("get")["inProgressJobs"] == [], PATIENCE)
    assert heard() == [("notify", {}), ("notify-next", None)]


def test_what_is_in_progress_is_sorted_by_when_it_was_queued(node, name, worker):
    first, second = (f"{name}-{number}" for number in (1, 2))
    for job in (first, second):
        create(node, job, arn(name))
        eventually(lambda: worker.accepted(f"{job}/get"), PATIENCE)
    worker.accepted(f"{second}/update", {"status": "IN_PROGRESS"})
    assert worker.accepted("$next/get")["execution"]["jobId"] == second
    worker.accepted(f"{first}/update", {"status": "IN_PROGRESS"})
    assert worker.accepted("$next/get")["execution"]["jobId"] == first


def test_at_most_ten_are_listed_by_notify(node, name, worker):
    """Of 15 that AWS lists, five are kept for jobs with maintenance windows."""
    for number in range(12):
        create(node, f"{name}-{number}", arn(name))
    told = [body["jobs"]["QUEUED"] for topic, body in worker.told() if topic == "notify"]
    assert len(told) == 12
    assert [one["jobId"] for one in told[-1]] == [f"{name}-{number}" for number in range(10)]
    assert len(worker.accepted("get")["queuedJobs"]) == 12


def test_answers_go_to_who_asked_alone(node, name, worker, device):
    other = device(node, f"{name}-other").connect()
    answers = f"$aws/things/{name}/jobs/"
    for topic in ("+/accepted", "+/+/rejected"):
        other.subscribe(answers + topic)
    other.subscribe("end")
    worker.accepted("get")
    worker.rejected("x/get")
    node.client("iot-data").publish(topic="end", qos=1, payload=b"")
    assert other.message(PATIENCE).topic == "end"


def test_answers_with_the_qos_that_was_asked_with(name, worker):
    for qos in (0, 1):
        worker.device.publish(worker.prefix + "get", {}, qos=qos)
        message = worker.device.message(PATIENCE)
        assert (message.topic, message.qos) == (worker.prefix + "get/accepted", qos)
        assert not message.retain


def test_who_may_not_publish_there_does_no_job(node, name, link):  # noqa: F811 - the fixture
    things(node, name, f"{name}-other")
    resource = f"{IOT}:topic/$aws/things/{name}/jobs/*"
    statements = [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
        {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": resource},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    one = Identity(node, name, policy)
    node.iot().attach_thing_principal(thingName=name, principal=one.arn)
    client = link(node, name, one.pem, one.key)
    for thing in (name, f"{name}-other"):
        create(node, f"{thing}-job", arn(thing))
        topic = f"$aws/things/{thing}/jobs/start-next"
        assert client.publish(topic, "{}") == (0 if thing == name else 0x87)
    assert client.messages.get(timeout=PATIENCE).topic.endswith(f"{name}/jobs/start-next/accepted")
    with pytest.raises(queue.Empty):
        client.messages.get_nowait()
    assert status(node, f"{name}-job", name) == "IN_PROGRESS"
    assert status(node, f"{name}-other-job", f"{name}-other") == "QUEUED"


def test_a_rule_starts_a_workflow_when_there_is_a_next_job(node, name, worker):
    made = machine(node, name, single({"Type": "Pass", "End": True}))
    sql = "SELECT * FROM '$aws/things/+/jobs/notify-next' WHERE isUndefined(execution)=false"
    action = {"stepFunctions": {"stateMachineName": name, "roleArn": ROLE}}
    node.iot().create_topic_rule(
        ruleName=name,
        topicRulePayload={"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [action]},
    )

    def started():
        return node.sfn().list_executions(stateMachineArn=made)["executions"]

    create(node, name, arn(name))
    (execution,) = eventually(started, PATIENCE)
    given = json.loads(ended(node, execution["executionArn"], PATIENCE)["input"])["execution"]
    assert (given["jobId"], given["thingName"], given["jobDocument"]) == (name, name, DOCUMENT)
    worker.accepted(f"{name}/update", {"status": "SUCCEEDED"})
    assert ("notify-next", None) in [(topic, body.get("execution")) for topic, body in worker.told()]
    create(node, f"{name}-2", arn(name))
    eventually(lambda: len(started()) > 1, PATIENCE)
    node.iot().delete_topic_rule(ruleName=name)
    assert len(started()) == 2


# ---- devices over HTTP ---------------------------------------------------------------------------


def test_a_device_does_a_job_over_http(node, name):
    data = node.client("iot-jobs-data")
    things(node, name)
    of = {"jobId": name, "thingName": name}
    assert plain(data.start_next_pending_job_execution(thingName=name)) == {}
    assert plain(data.describe_job_execution(jobId="$next", thingName=name)) == {}
    create(node, name, arn(name))
    pending = data.get_pending_job_executions(thingName=name)
    assert pending["inProgressJobs"] == []
    assert [one["jobId"] for one in pending["queuedJobs"]] == [name]
    found = data.describe_job_execution(jobId="$next", thingName=name)["execution"]
    assert (found["jobId"], found["status"]) == (name, "QUEUED")
    assert json.loads(found["jobDocument"]) == DOCUMENT
    found = data.describe_job_execution(includeJobDocument=False, executionNumber=1, **of)["execution"]
    assert "jobDocument" not in found
    started = data.start_next_pending_job_execution(
        thingName=name, statusDetails={"step": "a"}, stepTimeoutInMinutes=3
    )["execution"]
    assert (started["status"], started["statusDetails"]) == ("IN_PROGRESS", {"step": "a"})
    assert 0 < started["approximateSecondsBeforeTimedOut"] <= 180
    assert abs(started["startedAt"] - time.time()) < 60
    pending = data.get_pending_job_executions(thingName=name)
    assert [one["jobId"] for one in pending["inProgressJobs"]] == [name]
    answer = update(
        node,
        name,
        name,
        "SUCCEEDED",
        expectedVersion=2,
        includeJobExecutionState=True,
        includeJobDocument=True,
    )
    state = {"status": "SUCCEEDED", "statusDetails": {"step": "a"}, "versionNumber": 3}
    assert answer == {"executionState": state, "jobDocument": json.dumps(DOCUMENT)}
    assert described(node, name)["status"] == "COMPLETED"


def test_a_device_is_refused_over_http(node, name):
    data = node.unchecked("iot-jobs-data")
    create(node, name, things(node, name))
    of = {"jobId": name, "thingName": name}
    none = {"jobId": f"{name}-none", "thingName": name}
    for call in (
        lambda: data.describe_job_execution(**none),
        lambda: data.update_job_execution(status="FAILED", **none),
        lambda: data.describe_job_execution(executionNumber=2, **of),
    ):
        with refused("ResourceNotFoundException", 404, "no such execution"):
            call()
    for given, why in (
        ({"status": "CANCELED"}, "status"),
        ({"status": "FAILED", "statusDetails": {"a b": "x"}}, "statusDetails"),
        ({"status": "IN_PROGRESS", "stepTimeoutInMinutes": 0}, "stepTimeoutInMinutes"),
    ):
        with refused("InvalidRequestException", 400, why):
            data.update_job_execution(**of, **given)
    with refused("VersionConflictException", 409, "version of the execution is 1"):
        data.update_job_execution(status="FAILED", expectedVersion=4, **of)
    data.update_job_execution(status="REJECTED", **of)
    with refused("InvalidStateTransitionException", 409, "it is REJECTED"):
        data.update_job_execution(status="IN_PROGRESS", **of)
    with refused("UnknownOperationException", 400, "`StartCommandExecution` is not available"):
        command = f"{IOT}:command/c"
        data.start_command_execution(targetArn=arn(name), commandArn=command)


# ---- rollout -------------------------------------------------------------------------------------


def test_things_are_told_at_the_pace_that_was_asked_for(node, name):
    named = [f"{name}-{number:02}" for number in range(40)]
    all_of_them = group(node, name, *named)
    pace = {"maximumPerMinute": 600}
    create(node, name, all_of_them, jobExecutionsRolloutConfig=pace)
    eventually(lambda: counted(node, name) == {"Queued": 40}, PATIENCE)
    told = sorted(one["queuedAt"].timestamp() for one in executions(node, name).values())
    # Ten a second: three seconds from the first to the last.
    assert told[-1] - told[0] > 2.5
    assert all(later - earlier > 0.9 for earlier, later in zip(told, told[10:]))


def test_the_pace_grows_with_those_that_were_told(node, name):
    named = [f"{name}-{number:02}" for number in range(30)]
    increase = {"numberOfNotifiedThings": 2}
    pace = {"baseRatePerMinute": 60, "incrementFactor": 5.0, "rateIncreaseCriteria": increase}
    rollout = {"jobExecutionsRolloutConfig": {"exponentialRate": pace}}
    create(node, name, group(node, name, *named), **rollout)
    # One a second would take half a minute.
    eventually(lambda: counted(node, name) == {"Queued": 30}, PATIENCE)
    told = sorted(one["queuedAt"].timestamp() for one in executions(node, name).values())
    assert told[1] - told[0] > 0.9


def test_members_of_a_snapshot_are_those_there_were(node, name):
    members = [f"{name}-a", f"{name}-b"]
    create(node, name, group(node, name, *members))
    things(node, f"{name}-late")
    join(node, f"{name}-late", name)
    leave(node, members[0], name)
    for one in members:
        update(node, name, one, "SUCCEEDED")
    assert described(node, name)["status"] == "COMPLETED"
    assert counted(node, name) == {"Succeeded": 2}


def test_a_continuous_job_follows_its_group(node, name):
    first, late, gone, busy = (f"{name}-{which}" for which in ("first", "late", "gone", "busy"))
    target = group(node, name, first, gone, busy)
    create(node, name, target, targetSelection="CONTINUOUS")
    eventually(lambda: counted(node, name) == {"Queued": 3}, PATIENCE)
    update(node, name, first, "SUCCEEDED")
    update(node, name, busy, "IN_PROGRESS")
    things(node, late)
    join(node, late, name)
    eventually(lambda: executions(node, name).get(late), PATIENCE)
    leave(node, gone, name)
    leave(node, busy, name)
    eventually(lambda: status(node, name, gone) == "REMOVED", PATIENCE)
    assert status(node, name, busy) == "IN_PROGRESS"
    for one in (busy, late):
        update(node, name, one, "SUCCEEDED")
    assert described(node, name)["status"] == "IN_PROGRESS"
    assert counted(node, name) == {"Succeeded": 3, "Removed": 1}
    join(node, gone, name)
    eventually(lambda: status(node, name, gone) == "QUEUED", PATIENCE)
    found = node.iot().describe_job_execution(jobId=name, thingName=gone)["execution"]
    assert found["executionNumber"] == 2
    assert counted(node, name) == {"Succeeded": 3, "Queued": 1}


def test_a_job_reaches_groups_below_its_target(node, name):
    iot = node.iot()
    top, low = f"{name}-top", f"{name}-low"
    target = group(node, top)
    iot.create_thing_group(thingGroupName=low, parentGroupName=top)
    things(node, f"{name}-a", f"{name}-b")
    join(node, f"{name}-a", low)
    create(node, name, target, targetSelection="CONTINUOUS")
    join(node, f"{name}-b", low)
    eventually(lambda: counted(node, name) == {"Queued": 2}, PATIENCE)


def test_who_joins_later_is_told_at_once_whatever_the_pace(node, name):
    target = group(node, name, f"{name}-a")
    pace = {"maximumPerMinute": 1}
    more = {"targetSelection": "CONTINUOUS", "jobExecutionsRolloutConfig": pace}
    create(node, name, target, **more)
    eventually(lambda: counted(node, name) == {"Queued": 1}, PATIENCE)
    things(node, f"{name}-b")
    join(node, f"{name}-b", name)
    eventually(lambda: counted(node, name) == {"Queued": 2}, PATIENCE)


def test_a_thing_that_is_deleted_does_no_job(node, name):
    create(node, name, things(node, f"{name}-a", f"{name}-b", f"{name}-c"))
    update(node, name, f"{name}-b", "IN_PROGRESS")
    for one in (f"{name}-a", f"{name}-b"):
        node.iot().delete_thing(thingName=one)
    eventually(lambda: counted(node, name) == {"Removed": 2, "Queued": 1}, PATIENCE)
    update(node, name, f"{name}-c", "SUCCEEDED")
    assert described(node, name)["status"] == "COMPLETED"


def test_a_failure_is_tried_again(node, name, worker):
    create(node, name, arn(name), jobExecutionsRetryConfig=criteria(("FAILED", 1)))
    worker.told()
    worker.accepted(f"{name}/update", {"status": "FAILED", "statusDetails": {"why": "disk"}})
    told = {topic: body for topic, body in worker.told()}
    upcoming = told["notify-next"]["execution"]
    assert (upcoming["executionNumber"], upcoming["status"]) == (2, "QUEUED")
    assert [one["executionNumber"] for one in told["notify"]["jobs"]["QUEUED"]] == [2]
    assert counted(node, name) == {"Queued": 1}
    assert described(node, name)["status"] == "IN_PROGRESS"
    listed = node.iot().list_job_executions_for_thing(thingName=name)["executionSummaries"]
    listed = [one["jobExecutionSummary"] for one in listed]
    listed = [(one["executionNumber"], one["retryAttempt"], one["status"]) for one in listed]
    assert sorted(listed) == [(1, 0, "FAILED"), (2, 1, "QUEUED")]
    assert status(node, name, name, executionNumber=1) == "FAILED"
    worker.accepted(f"{name}/update", {"status": "FAILED"})
    assert counted(node, name) == {"Failed": 1}
    assert described(node, name)["status"] == "COMPLETED"
    assert worker.told()[-1][1].keys() == {"timestamp"}


def test_what_is_rejected_is_not_tried_again(node, name):
    create(node, name, things(node, name), jobExecutionsRetryConfig=criteria(("ALL", 10)))
    update(node, name, name, "REJECTED")
    assert described(node, name)["status"] == "COMPLETED"


def test_who_has_left_the_group_does_not_try_again(node, name):
    more = {"jobExecutionsRetryConfig": criteria(("FAILED", 5)), "targetSelection": "CONTINUOUS"}
    create(node, name, group(node, name, f"{name}-a"), **more)
    update(node, name, f"{name}-a", "IN_PROGRESS")
    leave(node, f"{name}-a", name)
    update(node, name, f"{name}-a", "FAILED")
    assert counted(node, name) == {"Failed": 1}


def test_a_job_that_fails_too_often_gives_up(node, name):
    named = [f"{name}-{number}" for number in range(5)]
    more = aborted(thresholdPercentage=40.0, minNumberOfExecutedThings=3)
    create(node, name, things(node, *named), **more)
    eventually(lambda: counted(node, name) == {"Queued": 5}, PATIENCE)
    update(node, name, named[0], "IN_PROGRESS")
    update(node, name, named[1], "FAILED")
    assert described(node, name)["status"] == "IN_PROGRESS"
    update(node, name, named[2], "FAILED")
    left = {"Failed": 2, "InProgress": 1, "Canceled": 2}
    eventually(lambda: counted(node, name) == left, PATIENCE)
    assert described(node, name)["status"] == "CANCELED"
    update(node, name, named[0], "SUCCEEDED")
    assert counted(node, name) == {"Failed": 2, "Succeeded": 1, "Canceled": 2}


def test_a_rollout_goes_on_after_a_kill(own_node):
    node = own_node
    named = [f"d{number:02}" for number in range(20)]
    pace = {"maximumPerMinute": 120}
    create(node, "half", group(node, "fleet", *named), jobExecutionsRolloutConfig=pace)
    create(node, "other", arn(named[0]), tags=[{"Key": "k", "Value": "v"}])
    done = set()
    for most in (3, 8, 13):

        def more_are_told(most=most):
            told = executions(node, "half", status="QUEUED")
            return told if len(told) + len(done) > most else None

        for one in list(eventually(more_are_told, PATIENCE))[:3]:
            update(node, "half", one, "SUCCEEDED", statusDetails={"at": str(most)})
            done.add(one)
        node.restart()
        assert set(executions(node, "half", status="SUCCEEDED")) == done
        assert described(node, "half")["status"] == "IN_PROGRESS"
    assert len(done) == 9
    eventually(lambda: len(executions(node, "half")) == 20, PATIENCE)
    for one in executions(node, "half", status="QUEUED"):
        update(node, "half", one, "SUCCEEDED")
    found = described(node, "half")
    assert found["status"] == "COMPLETED" and counted(node, "half") == {"Succeeded": 20}
    assert counted(node, "other") == {"Queued": 1}
    tags = node.iot().list_tags_for_resource(resourceArn=f"{IOT}:job/other")["tags"]
    assert tags == [{"Key": "k", "Value": "v"}]


def test_a_device_that_was_away_finds_its_job_after_a_kill(own_node, device):
    thing = device(own_node, "away")
    create(own_node, "j", arn("away"), timeoutConfig={"inProgressTimeoutInMinutes": 10})
    own_node.client("iot-jobs-data").start_next_pending_job_execution(thingName="away")
    own_node.restart()
    found = Worker(thing).accepted("$next/get")["execution"]
    assert (found["jobId"], found["status"], found["versionNumber"]) == ("j", "IN_PROGRESS", 2)
    assert 0 < found["approximateSecondsBeforeTimedOut"] <= 600


# ---- the AWS CLI and workflows -------------------------------------------------------------------


def test_the_aws_cli_makes_and_cancels_a_job(node, name, aws):
    def run(*words):
        code, out, errors = aws("iot", *words, "--output", "json")
        assert code == 0, errors
        return json.loads(out)

    things(node, name)
    created = run(
        *("create-job", "--job-id", name, "--targets", arn(name)),
        *("--document", json.dumps(DOCUMENT), "--timeout-config", "inProgressTimeoutInMinutes=5"),
    )
    assert created == {"jobArn": f"{IOT}:job/{name}", "jobId": name}
    assert name in [one["jobId"] for one in run("list-jobs", "--status", "IN_PROGRESS")["jobs"]]
    found = run("describe-job", "--job-id", name)["job"]
    assert found["timeoutConfig"] == {"inProgressTimeoutInMinutes": 5}
    run("cancel-job", "--job-id", name, "--comment", "enough", "--force")
    found = run("describe-job", "--job-id", name)["job"]
    assert (found["status"], found["comment"]) == ("CANCELED", "enough")
    code, _, errors = aws("iot", "describe-job", "--job-id", f"{name}-none")
    assert code != 0 and "ResourceNotFoundException" in errors


def test_a_workflow_makes_a_job(node, name):
    things(node, name)
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:iot:createJob",
        "Parameters": {
            "JobId.$": "$.job",
            "Targets": [arn(name)],
            "Document": json.dumps(DOCUMENT),
            "TimeoutConfig": {"InProgressTimeoutInMinutes": 5},
        },
        "End": True,
    }
    made = machine(node, name, single(task))

    def run():
        given = json.dumps({"job": name})
        execution = node.sfn().start_execution(stateMachineArn=made, input=given)["executionArn"]
        return ended(node, execution, PATIENCE)

    assert json.loads(run()["output"]) == {"JobArn": f"{IOT}:job/{name}", "JobId": name}
    assert described(node, name)["timeoutConfig"] == {"inProgressTimeoutInMinutes": 5}
    assert counted(node, name) == {"Queued": 1}
    assert run()["error"] == "Iot.ResourceAlreadyExistsException"
