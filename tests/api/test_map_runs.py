"""Map runs: children, counters, changes while they run, result files, redrives."""

import json

import pytest
from support import ended, eventually, machine, refused


def mapping(states, start, **fields):
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    processor |= {"StartAt": start, "States": states}
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "End": True, "ItemProcessor": processor} | fields}}


PASS = {"P": {"Type": "Pass", "End": True}}
#: Fails for the first item until it is redriven.
SMALL_FAIL = {
    "C": {
        "Type": "Choice",
        "Choices": [
            {
                "Or": [
                    {"Variable": "$", "NumericGreaterThanEquals": 1},
                    {"Variable": "$$.Execution.RedriveCount", "NumericEquals": 1},
                ],
                "Next": "P",
            }
        ],
    },
    "P": {"Type": "Pass", "End": True},
}


def started(node, name, definition, given):
    arn = machine(node, name, definition)
    return node.sfn().start_execution(stateMachineArn=arn, input=json.dumps(given))["executionArn"]


def map_run(node, execution):
    [run] = node.sfn().list_map_runs(executionArn=execution)["mapRuns"]
    return node.sfn().describe_map_run(mapRunArn=run["mapRunArn"])


def test_a_map_run_counts_its_children(node, name):
    execution = started(node, name, mapping(PASS, "P", Label="each"), [1, 2, 3])
    assert json.loads(ended(node, execution)["output"]) == [1, 2, 3]
    run = map_run(node, execution)
    assert run["status"] == "SUCCEEDED" and run["executionCounts"]["succeeded"] == 3
    assert f":mapRun:{name}/each:" in run["mapRunArn"]
    children = node.sfn().list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert len(children) == 3 and {child["itemCount"] for child in children} == {1}
    child = node.sfn().describe_execution(executionArn=children[0]["executionArn"])
    assert child["mapRunArn"] == run["mapRunArn"] and child["input"] == "3"
    history = node.sfn().get_execution_history(executionArn=children[0]["executionArn"])
    assert history["events"][-1]["type"] == "ExecutionSucceeded"


def test_a_running_map_run_is_changed(node, name):
    wait = {"W": {"Type": "Wait", "Seconds": 60, "End": True}}
    execution = started(node, name, mapping(wait, "W", MaxConcurrency=1), [1, 2, 3])
    running = lambda: map_run(node, execution)["executionCounts"]["running"]
    eventually(lambda: running() == 1)
    arn = map_run(node, execution)["mapRunArn"]
    node.sfn().update_map_run(mapRunArn=arn, maxConcurrency=2)
    eventually(lambda: running() == 2)
    node.sfn().stop_execution(executionArn=execution)
    eventually(lambda: map_run(node, execution)["status"] == "ABORTED")
    with refused("ResourceNotFound", 400, "Resource not found"):
        node.sfn().update_map_run(mapRunArn=arn + "x", maxConcurrency=2)


def test_items_come_from_an_object_and_results_go_to_files(node, name):
    s3 = node.client("s3")
    s3.create_bucket(Bucket="bucket-" + name)
    s3.put_object(Bucket="bucket-" + name, Key="in.csv", Body=b"a,b\n1,2\n3,4\n")
    fields = {
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
            "Parameters": {"Bucket": "bucket-" + name, "Key": "in.csv"},
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": "bucket-" + name, "Prefix": "out"},
        },
    }
    output = json.loads(ended(node, started(node, name, mapping(PASS, "P", **fields), {}))["output"])
    read = lambda key: json.loads(s3.get_object(Bucket="bucket-" + name, Key=key)["Body"].read())
    manifest = read(output["ResultWriterDetails"]["Key"])
    [entry] = manifest["ResultFiles"]["SUCCEEDED"]
    results = read(entry["Key"])
    assert [json.loads(result["Output"]) for result in results] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_results_in_a_bucket_with_versions_are_versions(node, name):
    s3, bucket = node.client("s3"), "bucket-" + name
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    writer = {
        "Resource": "arn:aws:states:::s3:putObject",
        "Parameters": {"Bucket": bucket, "Prefix": "out"},
    }
    output = ended(node, started(node, name, mapping(PASS, "P", ResultWriter=writer), [1, 2]))["output"]
    manifest = json.loads(output)["ResultWriterDetails"]["Key"]
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert len(versions) == 2 and manifest in [one["Key"] for one in versions]
    assert all(one["VersionId"] != "null" for one in versions)
    # A file that is deleted leaves a marker over what can be had again.
    s3.delete_object(Bucket=bucket, Key=manifest)
    [kept] = [one for one in versions if one["Key"] == manifest]
    s3.get_object(Bucket=bucket, Key=manifest, VersionId=kept["VersionId"])


def test_a_redrive_survives_a_kill(own_node, name):
    node = own_node
    execution = started(node, name, mapping(SMALL_FAIL, "C"), [0, 1, 2, 3])
    failed = ended(node, execution)
    assert (failed["status"], failed["redriveStatus"]) == ("FAILED", "REDRIVABLE")
    assert failed["error"] == "States.ExceedToleratedFailureThreshold"
    node.kill()
    node.restart()
    node.sfn().redrive_execution(executionArn=execution, clientToken="once")
    again = ended(node, execution)
    assert (again["status"], json.loads(again["output"])) == ("SUCCEEDED", [0, 1, 2, 3])
    assert again["redriveCount"] == 1
    with refused("ExecutionNotRedrivable", 400, "Execution is SUCCEEDED and cannot be redriven"):
        node.sfn().redrive_execution(executionArn=execution)


@pytest.mark.parametrize("reader", ["s3:putObject", "dynamodb:scan"])
def test_what_reads_no_items_is_refused(node, name, reader):
    fields = {"ItemReader": {"Resource": "arn:aws:states:::" + reader, "Parameters": {}}}
    with refused("InvalidDefinition", 400, "at /States/M/ItemReader/Resource"):
        machine(node, name, mapping(PASS, "P", **fields))
