"""Objects: buckets, names in order, bytes in chunks, uploads in parts."""

import base64
import hashlib
import io
import os
import urllib.parse
import zlib

import boto3
import pytest
from botocore.config import Config
from support import REGION, refused


@pytest.fixture
def bucket(node, name):
    """A bucket of this test alone."""
    node.client("s3").create_bucket(Bucket="bucket-" + name)
    return "bucket-" + name


def put(node, bucket, *keys, body=b"x"):
    for key in keys:
        node.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def keys(listed):
    return [entry["Key"] for entry in listed.get("Contents", [])]


# ---- buckets -------------------------------------------------------------------------------------


def test_a_bucket_is_created_listed_and_deleted(node, name):
    s3 = node.client("s3")
    s3.create_bucket(Bucket="made-" + name)
    assert "made-" + name in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket="made-" + name)["BucketRegion"] == REGION
    assert s3.get_bucket_location(Bucket="made-" + name)["LocationConstraint"] is None
    s3.delete_bucket(Bucket="made-" + name)
    with refused("NoSuchBucket", 404, "The specified bucket does not exist"):
        s3.list_objects_v2(Bucket="made-" + name)


def test_only_an_empty_bucket_is_deleted(node, bucket):
    put(node, bucket, "one")
    with refused("BucketNotEmpty", 409, "not empty"):
        node.client("s3").delete_bucket(Bucket=bucket)
    node.client("s3").delete_object(Bucket=bucket, Key="one")
    node.client("s3").delete_bucket(Bucket=bucket)


def test_what_is_no_name_of_a_bucket_is_refused(node):
    for bad in ["Upper-case", "ab", "a..b", "-a-"]:
        with refused("InvalidBucketName", 400, "not valid"):
            node.unchecked("s3").create_bucket(Bucket=bad)


def test_a_bucket_can_be_named_by_the_host(node, bucket):
    host = urllib.parse.urlsplit(node.endpoint)
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://localhost:{host.port}",
        region_name=REGION,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(s3={"addressing_style": "virtual"}),
    )
    # Names under `localhost` need no resolver here: the request is sent to the address.
    sent = {}

    def to_loopback(request, **_):
        sent["host"] = urllib.parse.urlsplit(request.url).netloc
        request.headers["Host"] = sent["host"]
        request.url = request.url.replace(sent["host"], host.netloc, 1)

    s3.meta.events.register("before-send.s3", to_loopback)
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"by host")
    assert sent["host"].startswith(bucket + ".localhost")
    assert node.client("s3").get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"by host"


# ---- objects -------------------------------------------------------------------------------------


def test_an_object_comes_back_as_it_was_put(node, bucket):
    s3 = node.client("s3")
    body = bytes(range(256)) * 10
    stored = s3.put_object(
        Bucket=bucket,
        Key="ä/b c+d",
        Body=body,
        ContentType="text/csv",
        CacheControl="no-cache",
        Metadata={"Who": "me"},
    )
    got = s3.get_object(Bucket=bucket, Key="ä/b c+d")
    assert got["Body"].read() == body
    assert got["ETag"] == stored["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert (got["ContentType"], got["CacheControl"]) == ("text/csv", "no-cache")
    assert got["Metadata"] == {"who": "me"}
    assert got["ContentLength"] == len(body)
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    assert got["ChecksumCRC32"] == stored["ChecksumCRC32"] == crc
    head = s3.head_object(Bucket=bucket, Key="ä/b c+d")
    assert head["ContentLength"] == len(body)
    assert head["LastModified"] == got["LastModified"]


def test_an_empty_object_is_an_object(node, bucket):
    put(node, bucket, "empty", body=b"")
    got = node.client("s3").get_object(Bucket=bucket, Key="empty")
    assert (got["Body"].read(), got["ContentLength"]) == (b"", 0)
    assert got["ContentType"] == "binary/octet-stream"


def test_a_missing_object_is_said_to_be_missing(node, bucket):
    with refused("NoSuchKey", 404, "The specified key does not exist."):
        node.client("s3").get_object(Bucket=bucket, Key="none")
    with refused("404", 404, "Not Found"):
        node.client("s3").head_object(Bucket=bucket, Key="none")


def test_ranges_are_cut_out_across_chunks(node, bucket):
    body = os.urandom(600_000)
    put(node, bucket, "large", body=body)
    s3 = node.client("s3")
    for header, begin, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=262100-524400", 262100, 524401),
        ("bytes=599990-", 599990, 600000),
        ("bytes=-7", 599993, 600000),
        ("bytes=5-9999999", 5, 600000),
    ]:
        got = s3.get_object(Bucket=bucket, Key="large", Range=header)
        assert got["Body"].read() == body[begin:end], header
        assert got["ContentRange"] == f"bytes {begin}-{end - 1}/600000"
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    with refused("InvalidRange", 416, "not satisfiable"):
        s3.get_object(Bucket=bucket, Key="large", Range="bytes=600000-")


def test_every_checksum_is_compared(node, bucket):
    s3 = node.client("s3")
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        s3.put_object(Bucket=bucket, Key="sum", Body=b"some bytes", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
        assert head["Checksum" + algorithm] and head["ChecksumType"] == "FULL_OBJECT"
        with refused("BadDigest", 400, "did not match"):
            s3.put_object(
                Bucket=bucket, Key="sum", Body=b"other", **{"Checksum" + algorithm: "AAAAAA=="}
            )
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with refused("BadDigest", 400, "did not match"):
        s3.put_object(Bucket=bucket, Key="sum", Body=b"some bytes", ContentMD5=wrong)


def test_a_body_in_pieces_is_joined(node, bucket):
    crc = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()
    body = f"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n".encode()
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
        "X-Amz-Decoded-Content-Length": "11",
    }
    status, answered, _ = node.request("s3", "PUT", f"/{bucket}/pieces", body, headers)
    assert (status, answered["x-amz-checksum-crc32"]) == (200, crc)
    got = node.client("s3").get_object(Bucket=bucket, Key="pieces")
    assert got["Body"].read() == b"hello world"
    assert "ContentEncoding" not in got


def test_conditions_hold_or_nothing_is_done(node, bucket):
    s3 = node.client("s3")
    put(node, bucket, "once")
    with refused("PreconditionFailed", 412, "did not hold"):
        s3.put_object(Bucket=bucket, Key="once", Body=b"y", IfNoneMatch="*")
    with refused("PreconditionFailed", 412, "did not hold"):
        s3.put_object(Bucket=bucket, Key="once", Body=b"y", IfMatch='"00"')
    etag = s3.head_object(Bucket=bucket, Key="once")["ETag"]
    with refused("304", 304, "Not Modified"):
        s3.get_object(Bucket=bucket, Key="once", IfNoneMatch=etag)
    s3.put_object(Bucket=bucket, Key="once", Body=b"y", IfMatch=etag)


def test_a_copy_is_an_object_of_its_own(node, bucket):
    s3 = node.client("s3")
    s3.put_object(Bucket=bucket, Key="from", Body=b"bytes", Metadata={"a": "1"})
    copied = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"bytes").hexdigest()}"'
    s3.delete_object(Bucket=bucket, Key="from")
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["Metadata"]) == (b"bytes", {"a": "1"})


def test_objects_are_deleted_together(node, bucket):
    put(node, bucket, "a", "b", "c")
    s3 = node.client("s3")
    gone = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}, {"Key": "none<&>"}]}
    )
    assert [one["Key"] for one in gone["Deleted"]] == ["a", "b", "none<&>"]
    assert keys(s3.list_objects_v2(Bucket=bucket)) == ["c"]


# ---- lists ---------------------------------------------------------------------------------------


def test_names_are_listed_in_order_and_in_pages(node, bucket):
    names = [f"k{number:03}" for number in range(25)] + ["ä b", "z&<>"]
    put(node, bucket, *reversed(names))
    s3 = node.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 4}
    )
    pages = list(pages)
    assert [key for page in pages for key in keys(page)] == sorted(names, key=str.encode)
    assert [page["KeyCount"] for page in pages] == [4] * 6 + [3]
    assert keys(s3.list_objects_v2(Bucket=bucket, StartAfter="k023")) == ["k024", "z&<>", "ä b"]
    assert keys(s3.list_objects(Bucket=bucket, Marker="k024")) == ["z&<>", "ä b"]


def test_names_are_grouped_by_their_common_prefix(node, bucket):
    put(node, bucket, "a", "b/1", "b/2", "b/c/3", "d/4", "e", "f/5")
    s3 = node.client("s3")
    found, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=2, **token)
        found.append((keys(page), [one["Prefix"] for one in page.get("CommonPrefixes", [])]))
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == [(["a"], ["b/"]), (["e"], ["d/"]), ([], ["f/"])]
    inner = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="b/")
    assert keys(inner) == ["b/1", "b/2"]
    assert inner["CommonPrefixes"] == [{"Prefix": "b/c/"}]


# ---- parts ---------------------------------------------------------------------------------------


def test_a_large_file_is_uploaded_in_parts(node, bucket):
    body = os.urandom(11 << 20)
    s3 = node.client("s3")
    s3.upload_fileobj(io.BytesIO(body), bucket, "large", Config=None)
    got = s3.get_object(Bucket=bucket, Key="large")
    assert got["Body"].read() == body
    assert got["ETag"].endswith('-2"')
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    part = s3.get_object(Bucket=bucket, Key="large", Range=f"bytes={(8 << 20) - 3}-{(8 << 20) + 2}")
    assert part["Body"].read() == body[(8 << 20) - 3 : (8 << 20) + 3]


def test_an_upload_names_its_parts_and_can_be_given_up(node, bucket):
    s3 = node.client("s3")
    upload = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=3, Body=b"small")["ETag"]
    assert [one["PartNumber"] for one in s3.list_parts(**upload)["Parts"]] == [3]
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [one["UploadId"] for one in listed] == [upload["UploadId"]]
    with refused("InvalidPart", 400, "could not be found"):
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    s3.abort_multipart_upload(**upload)
    with refused("NoSuchUpload", 404, "does not exist"):
        s3.upload_part(**upload, PartNumber=1, Body=b"late")


# ---- what is not there ---------------------------------------------------------------------------


def test_what_is_not_served_is_refused_by_name(node, bucket):
    s3 = node.client("s3")
    with refused("NotImplemented", 501, r"`\?versioning` is not available"):
        s3.get_bucket_versioning(Bucket=bucket)
    with refused("NotImplemented", 501, r"`\?tagging` is not available"):
        s3.get_object_tagging(Bucket=bucket, Key="any")
    with refused("NotImplemented", 501, "A header you provided implies functionality"):
        s3.put_object(Bucket=bucket, Key="any", Tagging="a=b")
    with refused("NotImplemented", 501, "`StorageClass` can only be `STANDARD`"):
        s3.put_object(Bucket=bucket, Key="any", StorageClass="GLACIER")


def test_objects_survive_a_power_cut(own_node):
    s3 = own_node.client("s3")
    s3.create_bucket(Bucket="kept")
    body = os.urandom(700_000)
    s3.put_object(Bucket="kept", Key="large", Body=body)
    s3.put_object(Bucket="kept", Key="gone", Body=body)
    s3.delete_object(Bucket="kept", Key="gone")
    own_node.restart()
    s3 = own_node.client("s3")
    assert s3.get_object(Bucket="kept", Key="large")["Body"].read() == body
    s3.put_object(Bucket="kept", Key="after", Body=b"more")
    assert keys(s3.list_objects_v2(Bucket="kept")) == ["after", "large"]
    assert s3.get_object(Bucket="kept", Key="large")["Body"].read() == body
