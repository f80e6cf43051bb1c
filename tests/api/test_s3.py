"""Objects: buckets, names in order, bytes in chunks, uploads in parts."""

import base64
import datetime
import hashlib
import io
import json
import os
import urllib.parse
import zlib

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support import REGION, plain, refused


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
    reserved = ["192.168.5.4", "xn--abc", "sthree-abc", "abc-s3alias", "abc--ol-s3"]
    for bad in ["Upper-case", "ab", "a..b", "-a-"] + reserved:
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
        # A range of all bytes is answered as a range.
        ("bytes=0-", 0, 600000),
        ("bytes=0-599999", 0, 600000),
        ("bytes=0-9999999", 0, 600000),
        ("bytes=-9999999", 0, 600000),
    ]:
        got = s3.get_object(Bucket=bucket, Key="large", Range=header)
        assert got["Body"].read() == body[begin:end], header
        assert got["ContentRange"] == f"bytes {begin}-{end - 1}/600000"
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        head = s3.head_object(Bucket=bucket, Key="large", Range=header)
        assert head["ContentRange"] == got["ContentRange"]
        assert head["ContentLength"] == end - begin
        assert head["ResponseMetadata"]["HTTPStatusCode"] == 206
    with refused("InvalidRange", 416, "not satisfiable"):
        s3.get_object(Bucket=bucket, Key="large", Range="bytes=600000-")


def test_a_range_that_is_not_understood_is_passed_over(node, bucket):
    put(node, bucket, "k", body=b"0123456789")
    for header in ["bytes=3-1", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=-"]:
        got = node.client("s3").get_object(Bucket=bucket, Key="k", Range=header)
        assert got["Body"].read() == b"0123456789", header
        assert "ContentRange" not in got
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_no_range_of_an_empty_object_can_be_had(node, bucket):
    put(node, bucket, "empty", body=b"")
    for header in ["bytes=0-", "bytes=0-5", "bytes=-1", "bytes=-0"]:
        with refused("InvalidRange", 416, "not satisfiable"):
            node.client("s3").get_object(Bucket=bucket, Key="empty", Range=header)


def test_every_checksum_is_compared(node, bucket):
    s3 = node.client("s3")
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        s3.put_object(Bucket=bucket, Key="sum", Body=b"some bytes", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
        assert head["Checksum" + algorithm] and head["ChecksumType"] == "FULL_OBJECT"
        wrong = base64.b64encode(bytes({"CRC32": 4, "SHA1": 20, "SHA256": 32}[algorithm])).decode()
        with refused("BadDigest", 400, f"The {algorithm} you specified did not match"):
            s3.put_object(
                Bucket=bucket, Key="sum", Body=b"other", **{"Checksum" + algorithm: wrong}
            )
        with refused("InvalidRequest", 400, "header is invalid"):
            s3.put_object(
                Bucket=bucket, Key="sum", Body=b"other", **{"Checksum" + algorithm: "AA=="}
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
    cut = body.split(b"x-amz-checksum")[0] + b"\r\n"
    status, _, answer = node.request("s3", "PUT", f"/{bucket}/pieces", cut, headers)
    assert status == 400 and b"<Code>MalformedTrailerError</Code>" in answer
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


def test_parts_are_listed_in_pages(node, bucket):
    s3 = node.client("s3")
    of = {"Bucket": bucket, "Key": "k"}
    of["UploadId"] = s3.create_multipart_upload(**of)["UploadId"]
    numbers = [1, 2, 5, 9, 10_000]
    for number in numbers:
        s3.upload_part(PartNumber=number, Body=b"x", **of)
    listed = s3.get_paginator("list_parts").paginate(PaginationConfig={"PageSize": 2}, **of)
    pages = list(listed)
    found = [[part["PartNumber"] for part in page["Parts"]] for page in pages]
    assert found == [[1, 2], [5, 9], [10_000]]
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    assert (pages[1]["PartNumberMarker"], pages[1]["NextPartNumberMarker"]) == (2, 9)
    assert pages[1]["MaxParts"] == 2
    rest = s3.list_parts(PartNumberMarker=5, **of)
    assert [part["PartNumber"] for part in rest["Parts"]] == [9, 10_000]
    assert (rest["MaxParts"], rest["IsTruncated"]) == (1000, False)
    assert "Parts" not in s3.list_parts(PartNumberMarker=10_000, **of)
    assert s3.list_parts(MaxParts=5_000, **of)["MaxParts"] == 1000
    with refused("InvalidArgument", 400, "max-parts must be an integer between"):
        s3.list_parts(MaxParts=-1, **of)


def test_uploads_are_listed_in_pages_and_by_common_prefixes(node, bucket):
    s3 = node.client("s3")
    keys = ["a/1", "a/2", "b", "b", "c d", "e/1", "f/x"]
    begun = [s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in keys]
    pages = s3.get_paginator("list_multipart_uploads").paginate

    def listed(size, **more):
        """Names and prefixes of each page, and all ids."""
        found, ids = [], []
        for page in pages(Bucket=bucket, PaginationConfig={"PageSize": size}, **more):
            uploads = page.get("Uploads", [])
            ids += [one["UploadId"] for one in uploads]
            names = [one["Key"] for one in uploads]
            found.append(names + [one["Prefix"] for one in page.get("CommonPrefixes", [])])
        return found, ids

    for size in [1, 2, 3, 7, 1000]:
        found, ids = listed(size)
        assert [name for page in found for name in page] == keys
        assert sorted(ids) == sorted(begun)
        assert all(len(page) <= size for page in found)
    assert listed(2, Delimiter="/")[0] == [["b", "a/"], ["b", "c d"], ["e/", "f/"]]
    assert listed(1, Delimiter="/", Prefix="a/")[0] == [["a/1"], ["a/2"]]
    after = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="c d", EncodingType="url")
    assert [one["Key"] for one in after["Uploads"]] == ["e/1", "f/x"]
    assert after["KeyMarker"] == "c%20d" and not after["IsTruncated"]


def test_names_in_lists_are_encoded_in_one_way_only(node, bucket):
    s3 = node.client("s3")
    for list_ in [s3.list_objects, s3.list_objects_v2, s3.list_object_versions, s3.list_multipart_uploads]:
        with refused("InvalidArgument", 400, "^Invalid Encoding Method specified in Request$"):
            list_(Bucket=bucket, EncodingType="foo")


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
    with refused("NotImplemented", 501, "`StorageClass` can only be `STANDARD`"):
        s3.put_object(Bucket=bucket, Key="any", StorageClass="GLACIER")
    with refused("NotImplemented", 501, "`PutBucketWebsite` is refused"):
        document = {"IndexDocument": {"Suffix": "index.html"}}
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=document)
    with refused("NoSuchWebsiteConfiguration", 404, "does not have a website configuration"):
        s3.get_bucket_website(Bucket=bucket)
    with refused("NotImplemented", 501, "`SelectObjectContent` is refused"):
        s3.select_object_content(
            Bucket=bucket,
            Key="any",
            Expression="SELECT * FROM S3Object",
            ExpressionType="SQL",
            InputSerialization={"CSV": {}},
            OutputSerialization={"CSV": {}},
        )
    with refused("NotImplemented", 501, "`GetObjectAttributes` is not available"):
        s3.get_object_attributes(Bucket=bucket, Key="any", ObjectAttributes=["ETag"])
    with refused("NotImplemented", 501, "`x-amz-website-redirect-location` is not available"):
        s3.put_object(Bucket=bucket, Key="any", WebsiteRedirectLocation="/x")
    with refused("AccessControlListNotSupported", 400, "does not allow ACLs"):
        s3.put_object(Bucket=bucket, Key="any", ACL="public-read")
    with refused("AccessControlListNotSupported", 400, "does not allow ACLs"):
        s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.put_object(Bucket=bucket, Key="any", ACL="private")


# ---- what is set on buckets ----------------------------------------------------------------------


def test_what_is_not_signed_is_answered_as_s3_does(node, bucket):
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    status, _, body = node.send("POST", f"/{bucket}", b"--x--", headers=form)
    assert status == 501 and b"POST Object" in body
    status, _, body = node.send("GET", f"/{bucket}/k", headers={"X-Amz-Checksum-Mode": "ENABLED"})
    assert status == 403 and b"<Code>AccessDenied</Code>" in body


def test_parts_of_a_sha_come_with_their_sums(node, bucket):
    s3 = node.client("s3")
    of = {"Bucket": bucket, "Key": "dir/k ä"}
    made = s3.create_multipart_upload(ChecksumAlgorithm="SHA256", **of)
    of["UploadId"] = made["UploadId"]
    part = s3.upload_part(PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256", **of)
    told = {"PartNumber": 1, "ETag": part["ETag"]}
    with refused("InvalidRequest", 400, "a sha256 checksum.* missing for part 1 in the request"):
        s3.complete_multipart_upload(MultipartUpload={"Parts": [told]}, **of)
    told["ChecksumSHA256"] = part["ChecksumSHA256"]
    done = s3.complete_multipart_upload(MultipartUpload={"Parts": [told]}, **of)
    assert done["Location"] == f"{node.endpoint}/{bucket}/dir/k%20%C3%A4"


def test_documents_of_a_bucket_are_kept_as_given(node, bucket):
    s3 = node.client("s3")
    rule = {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "true"}]}},
        "Expiration": {"Days": 3},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 2, "NewerNoncurrentVersions": 1},
    }
    cors = {
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["*"],
        "AllowedHeaders": ["x-a", "x-b"],
        "MaxAgeSeconds": 60,
    }
    encryption = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": True,
    }
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": True,
    }
    ownership = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    tags = [{"Key": "ManagedStackSource", "Value": "AwsSamCli & more"}]
    cases = [
        ("bucket_lifecycle_configuration", "LifecycleConfiguration", {"Rules": [rule]}, None),
        ("bucket_cors", "CORSConfiguration", {"CORSRules": [cors]}, None),
        (
            "bucket_encryption",
            "ServerSideEncryptionConfiguration",
            {"Rules": [encryption]},
            "ServerSideEncryptionConfiguration",
        ),
        (
            "public_access_block",
            "PublicAccessBlockConfiguration",
            block,
            "PublicAccessBlockConfiguration",
        ),
        ("bucket_ownership_controls", "OwnershipControls", ownership, "OwnershipControls"),
        ("bucket_tagging", "Tagging", {"TagSet": tags}, None),
    ]
    for operation, member, document, shown in cases:
        getattr(s3, "put_" + operation)(Bucket=bucket, **{member: document})
        answer = plain(getattr(s3, "get_" + operation)(Bucket=bucket))
        assert (answer[shown] if shown else answer) == document, operation
        remove = "bucket_lifecycle" if "lifecycle" in operation else operation
        getattr(s3, "delete_" + remove)(Bucket=bucket)
        if operation != "bucket_encryption":
            with pytest.raises(ClientError, match="NoSuch|NotFound"):
                getattr(s3, "get_" + operation)(Bucket=bucket)
    default = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    by = default["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert by == {"SSEAlgorithm": "AES256"}


def test_a_policy_must_be_one(node, bucket):
    s3 = node.client("s3")
    with refused("NoSuchBucketPolicy", 404, "The bucket policy does not exist"):
        s3.get_bucket_policy(Bucket=bucket)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "serverlessrepo.amazonaws.com"},
                "Action": ["s3:GetObject"],
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    assert not s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    s3.delete_bucket_policy(Bucket=bucket)
    other = json.dumps(policy).replace(bucket, "another")
    for bad, why in [("x", "must be valid JSON"), ("{}", "Statement"), (other, "invalid resource")]:
        with refused("MalformedPolicy", 400, why):
            s3.put_bucket_policy(Bucket=bucket, Policy=bad)


def test_everything_is_the_accounts(node, bucket):
    s3 = node.client("s3")
    put(node, bucket, "one")
    for acl in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="one")):
        assert acl["Grants"][0]["Permission"] == "FULL_CONTROL"
        assert acl["Grants"][0]["Grantee"]["Type"] == "CanonicalUser"
    listed = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
    assert listed[0]["Owner"]["ID"] == acl["Owner"]["ID"]


def test_buckets_come_in_pages(own_node):
    s3 = own_node.client("s3")
    for number in range(5):
        s3.create_bucket(Bucket=f"page-{number}")
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2})
    names = [[one["Name"] for one in page["Buckets"]] for page in pages]
    assert names == [["page-0", "page-1"], ["page-2", "page-3"], ["page-4"]]


# ---- versions ------------------------------------------------------------------------------------


@pytest.fixture
def versioned(node, bucket):
    enabled = {"Status": "Enabled"}
    node.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    return bucket


def versions(s3, bucket, **more):
    listed = s3.list_object_versions(Bucket=bucket, **more)
    return [
        (one["Key"], one["VersionId"], one["IsLatest"], "ETag" in one)
        for one in listed.get("Versions", []) + listed.get("DeleteMarkers", [])
    ]


def test_versions_are_kept_and_removed(node, versioned):
    s3 = node.client("s3")
    assert s3.get_bucket_versioning(Bucket=versioned)["Status"] == "Enabled"
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"first")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"second")["VersionId"]
    assert first != second
    shown = s3.get_object(Bucket=versioned, Key="k")
    assert (shown["Body"].read(), shown["VersionId"]) == (b"second", second)
    shown = s3.get_object(Bucket=versioned, Key="k", VersionId=first)
    assert (shown["Body"].read(), shown["VersionId"]) == (b"first", first)
    removed = s3.delete_object(Bucket=versioned, Key="k")
    assert removed["DeleteMarker"]
    marker = removed["VersionId"]
    with refused("NoSuchKey", 404, "does not exist"):
        s3.get_object(Bucket=versioned, Key="k")
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket=versioned, Key="k")
    headers = error.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true" and headers["x-amz-version-id"] == marker
    with refused("MethodNotAllowed", 405, "not allowed"):
        s3.get_object(Bucket=versioned, Key="k", VersionId=marker)
    assert versions(s3, versioned) == [
        ("k", second, False, True),
        ("k", first, False, True),
        ("k", marker, True, False),
    ]
    assert s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)["DeleteMarker"]
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"second"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=second)
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"first"
    with refused("NoSuchVersion", 404, "The specified version does not exist."):
        s3.get_object(Bucket=versioned, Key="k", VersionId=second)
    with refused("InvalidArgument", 400, "Invalid version id specified"):
        s3.get_object(Bucket=versioned, Key="k", VersionId="nonsense")
    with refused("BucketNotEmpty", 409, "not empty"):
        s3.delete_bucket(Bucket=versioned)
    s3.delete_object(Bucket=versioned, Key="k", VersionId=first)
    s3.delete_bucket(Bucket=versioned)


def test_what_was_there_before_versions_is_the_null_version(node, bucket):
    s3 = node.client("s3")
    put(node, bucket, "k", body=b"before")
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    assert versions(s3, bucket) == [("k", "null", True, True)]
    newer = s3.put_object(Bucket=bucket, Key="k", Body=b"after")["VersionId"]
    assert versions(s3, bucket) == [("k", newer, True, True), ("k", "null", False, True)]
    null = s3.get_object(Bucket=bucket, Key="k", VersionId="null")
    assert null["Body"].read() == b"before"
    suspended = {"Status": "Suspended"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=suspended)
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"late")["VersionId"] == "null"
    assert versions(s3, bucket) == [("k", "null", True, True), ("k", newer, False, True)]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"late"
    removed = s3.delete_object(Bucket=bucket, Key="k")
    assert (removed["DeleteMarker"], removed["VersionId"]) == (True, "null")
    assert versions(s3, bucket) == [("k", newer, False, True), ("k", "null", True, False)]


def test_versions_are_listed_in_pages(node, versioned):
    s3 = node.client("s3")
    made = {}
    for key in ["a", "b/1", "b/2", "c"]:
        for _ in range(3):
            version = s3.put_object(Bucket=versioned, Key=key, Body=b"x")["VersionId"]
            made.setdefault(key, []).insert(0, version)
    expected = [(key, version) for key in sorted(made) for version in made[key]]
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=versioned, PaginationConfig={"PageSize": 2}
    )
    found = [(one["Key"], one["VersionId"]) for page in pages for one in page["Versions"]]
    assert found == expected
    grouped = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [one["Prefix"] for one in grouped["CommonPrefixes"]] == ["b/"]
    assert {one["Key"] for one in grouped["Versions"]} == {"a", "c"}
    removed = s3.delete_objects(
        Bucket=versioned, Delete={"Objects": [{"Key": "c", "VersionId": made["c"][0]}]}
    )
    assert removed["Deleted"] == [{"Key": "c", "VersionId": made["c"][0]}]
    removed = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "c"}]})
    assert removed["Deleted"][0]["DeleteMarker"]


def test_versions_outlive_a_kill(own_node):
    s3 = own_node.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="kept", Key="k", Body=b"one")["VersionId"]
    s3.put_object(Bucket="kept", Key="k", Body=b"two")
    s3.delete_object(Bucket="kept", Key="k")
    own_node.restart()
    s3 = own_node.client("s3")
    assert len(versions(s3, "kept")) == 3
    assert s3.get_object(Bucket="kept", Key="k", VersionId=first)["Body"].read() == b"one"


# ---- tags, times, overrides ----------------------------------------------------------------------


def test_objects_have_tags(node, bucket):
    s3 = node.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=%C3%A4")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "ä"}]
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == tags
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource=f"{bucket}/k",
        TaggingDirective="REPLACE",
        Tagging="c=3",
    )
    other = s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"]
    assert other == [{"Key": "c", "Value": "3"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags[:1]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags[:1]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    system = {"TagSet": [{"Key": "aws:x", "Value": "v"}]}
    with refused("InvalidTag", 400, "^System tags cannot be added/updated by requester$"):
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=system)
    many = "&".join(f"k{number}=v" for number in range(11))
    with refused("BadRequest", 400, "Object tags cannot be greater than 10"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging=many)


def test_an_object_is_shown_by_when_it_was_changed(node, bucket):
    s3 = node.client("s3")
    put(node, bucket, "k")
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    earlier = modified - datetime.timedelta(seconds=1)
    s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=earlier)
    s3.get_object(Bucket=bucket, Key="k", IfUnmodifiedSince=modified)
    with refused("304", 304, "Not Modified"):
        s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=modified)
    with refused("PreconditionFailed", 412, "did not hold"):
        s3.get_object(Bucket=bucket, Key="k", IfUnmodifiedSince=earlier)
    with refused("PreconditionFailed", 412, "did not hold"):
        s3.copy_object(
            Bucket=bucket, Key="c", CopySource=f"{bucket}/k", CopySourceIfNoneMatch="*"
        )


def test_headers_of_an_answer_can_be_set(node, bucket):
    s3 = node.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/html")
    shown = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="text/plain",
        ResponseContentDisposition='attachment; filename="k.txt"',
    )
    assert shown["ContentType"] == "text/plain"
    assert shown["ContentDisposition"] == 'attachment; filename="k.txt"'


def test_parts_are_copied_and_shown_by_number(node, bucket):
    s3 = node.client("s3")
    body = os.urandom(6 << 20)
    put(node, bucket, "source", body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    of = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    source = f"{bucket}/source"
    ranges = ["bytes=0-5242879", f"bytes=5242880-{len(body) - 1}"]
    parts = []
    for number, taken in enumerate(ranges, 1):
        copied = s3.upload_part_copy(
            PartNumber=number, CopySource=source, CopySourceRange=taken, **of
        )
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    with refused("InvalidArgument", 400, "Range specified is not valid"):
        s3.upload_part_copy(
            PartNumber=9, CopySource=source, CopySourceRange=f"bytes=0-{len(body)}", **of
        )
    with refused("InvalidArgument", 400, "Range specified is not valid"):
        s3.upload_part_copy(PartNumber=9, CopySource=source, CopySourceRange="bytes=5-2", **of)
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **of)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert second["PartsCount"] == 2 and second["Body"].read() == body[5242880:]
    with refused("InvalidPartNumber", 416, "not satisfiable"):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=3)


def test_a_checksum_over_all_parts(node, bucket):
    s3 = node.client("s3")
    upload = s3.create_multipart_upload(
        Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )
    assert upload["ChecksumType"] == "FULL_OBJECT"
    of = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    bodies = [os.urandom(5 << 20), b"the rest"]
    parts = []
    for number, body in enumerate(bodies, 1):
        etag = s3.upload_part(PartNumber=number, Body=body, **of)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    with refused("InvalidRequest", 400, "expected checksum Type: crc32, actual"):
        s3.upload_part(PartNumber=3, Body=b"x", ChecksumAlgorithm="SHA1", **of)
    value = base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()
    with refused("BadDigest", 400, "did not match"):
        s3.complete_multipart_upload(
            MultipartUpload={"Parts": parts}, ChecksumCRC32="AAAAAA==", **of
        )
    done = s3.complete_multipart_upload(
        MultipartUpload={"Parts": parts}, ChecksumCRC32=value, **of
    )
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (value, "FULL_OBJECT")
    shown = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert shown["ChecksumType"] == "FULL_OBJECT"
    with refused("InvalidRequest", 400, "cannot be used with the sha256"):
        s3.create_multipart_upload(
            Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT"
        )


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


def test_encryption_of_an_object_is_taken_without_effect(node, name):
    s3, bucket = node.client("s3"), f"{name}-bucket"
    s3.create_bucket(Bucket=bucket)
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="k")
    assert put["ServerSideEncryption"] == "AES256"
    with refused("InvalidArgument", 400, "AES256, aws:kms, aws:kms:dsse"):
        node.unchecked("s3").put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="rot13")
