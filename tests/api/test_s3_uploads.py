"""Uploads as clients send them: signed, in pieces, large, by a URL; and what is refused of them."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
import zlib
from pathlib import Path

import boto3
import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from support import REGION, Node, refused

JS = Path(__file__).parent / "js"
LARGE = 21 << 20


@pytest.fixture(scope="module")
def strict_node(tmp_path_factory):
    """A node that checks signatures, as one does that is open to the network."""
    node = Node(tmp_path_factory.mktemp("strict") / "data", ["--check-signatures"])
    keys = json.loads((node.folder / "keys.json").read_text())
    node.credentials = Credentials(keys["id"], keys["secret"])
    node.client("s3").create_bucket(Bucket="signed")
    yield node
    node.kill()


# ---- presigned URLs ------------------------------------------------------------------------------


def visit(url, method="GET", body=None, headers=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def presign(node, operation, expires=60, **params):
    signer = boto3.client(
        "s3",
        endpoint_url=node.endpoint,
        region_name=REGION,
        aws_access_key_id=node.credentials.access_key,
        aws_secret_access_key=node.credentials.secret_key,
        config=Config(signature_version="s3v4"),
    )
    return signer.generate_presigned_url(
        operation, Params={"Bucket": "signed", **params}, ExpiresIn=expires
    )


def test_a_url_lets_in_for_what_it_was_signed(strict_node):
    key = "by url/ä"
    url = presign(strict_node, "put_object", Key=key)
    assert visit(url, "PUT", b"hello")[0] == 200
    read = presign(strict_node, "get_object", Key=key, ResponseContentType="text/x")
    assert visit(read) == (200, b"hello")
    for changed in [read.replace("by", "bz"), read.replace("text", "test"), read[:-1] + "_"]:
        status, body = visit(changed)
        assert status in (400, 403) and b"<Error>" in body, changed
    assert visit(read, "DELETE")[0] == 403


def test_a_url_is_good_for_as_long_as_it_says(strict_node, monkeypatch):
    url = presign(strict_node, "get_object", Key="any", expires=604_801)
    assert b"AuthorizationQueryParametersError" in visit(url)[1]
    now = datetime.datetime.now(datetime.timezone.utc)
    earlier = now - datetime.timedelta(seconds=100)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: earlier)

    def url_of(seconds):
        request = AWSRequest("GET", strict_node.endpoint + "/signed/any")
        S3SigV4QueryAuth(strict_node.credentials, "s3", REGION, seconds).add_auth(request)
        return request.prepare().url

    status, body = visit(url_of(60))
    assert status == 403 and b"<Message>Request has expired</Message>" in body
    status, body = visit(url_of(200))
    assert status == 404 and b"NoSuchKey" in body


def test_a_url_may_be_signed_as_boto3_does_by_itself(strict_node):
    """With signatures of version 2, which its default is."""
    signer = boto3.client(
        "s3",
        endpoint_url=strict_node.endpoint,
        region_name=REGION,
        aws_access_key_id=strict_node.credentials.access_key,
        aws_secret_access_key=strict_node.credentials.secret_key,
    )

    def of(operation, expires=60, **params):
        params = {"Bucket": "signed", "Key": "older/ä b", **params}
        return signer.generate_presigned_url(operation, Params=params, ExpiresIn=expires)

    assert "AWSAccessKeyId=" in of("put_object")
    # What is sent of these headers is signed, too.
    plain = {"Content-Type": ""}
    assert visit(of("put_object"), "PUT", b"hello", plain)[0] == 200
    read = of("get_object", ResponseContentType="text/x")
    assert visit(read) == (200, b"hello")
    for changed in [read.replace("older", "newer"), read.replace("text", "test")]:
        status, body = visit(changed)
        assert status == 403 and b"SignatureDoesNotMatch" in body, changed
    assert visit(read, "DELETE")[0] == 403
    status, body = visit(of("get_object", expires=-1))
    assert status == 403 and b"Request has expired" in body
    path = "/signed/k?AWSAccessKeyId=x&Signature=y&Expires=9999999999"
    status, _, body = strict_node.send("GET", path)
    assert status == 403 and b"InvalidAccessKeyId" in body


def test_older_signatures_of_headers_are_refused_by_name(strict_node):
    status, _, body = strict_node.send("GET", "/signed/k", headers={"Authorization": "AWS a:b"})
    assert status == 400 and b"AWS4-HMAC-SHA256" in body


def test_wrong_signatures_are_named_as_s3_does(strict_node):
    def client(key, secret):
        return boto3.client(
            "s3",
            endpoint_url=strict_node.endpoint,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )

    with refused("InvalidAccessKeyId", 403, "does not exist in our records"):
        client("AKIAOTHER", "x").list_objects_v2(Bucket="signed")
    with refused("SignatureDoesNotMatch", 403, "does not match the signature you provided"):
        client(strict_node.credentials.access_key, "x").list_objects_v2(Bucket="signed")


# ---- large bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["node", "strict_node"])
def test_a_large_body_is_stored_at_once(which, request, name):
    node = request.getfixturevalue(which)
    s3 = node.client("s3")
    bucket = "large-" + name
    s3.create_bucket(Bucket=bucket)
    body = os.urandom(LARGE)
    md5 = hashlib.md5(body)
    put = s3.put_object(
        Bucket=bucket, Key="k", Body=body, ContentMD5=base64.b64encode(md5.digest()).decode()
    )
    assert put["ETag"] == f'"{md5.hexdigest()}"'
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    assert put["ChecksumCRC32"] == crc
    shown = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert shown["Body"].read() == body and shown["ChecksumCRC32"] == crc
    taken = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={LARGE - 5}-")
    assert taken["Body"].read() == body[-5:]
    wrong = base64.b64encode(bytes(16)).decode()
    with refused("BadDigest", 400, "did not match"):
        s3.put_object(Bucket=bucket, Key="other", Body=body, ContentMD5=wrong)
    with refused("NoSuchKey", 404, ""):
        s3.get_object(Bucket=bucket, Key="other")
    with refused("NoSuchBucket", 404, "does not exist"):
        s3.put_object(Bucket="none-" + name, Key="k", Body=body)


def test_a_body_that_is_not_what_was_signed_is_refused(strict_node):
    for size in [100, LARGE]:
        request = AWSRequest("PUT", strict_node.endpoint + "/signed/forged", data=b"x" * size)
        S3SigV4Auth(strict_node.credentials, "s3", REGION).add_auth(request)
        status, _, answer = strict_node.send(
            "PUT", "/signed/forged", b"y" * size, dict(request.headers)
        )
        assert status in (400, 403), answer
        expected = b"SignatureDoesNotMatch" if size == 100 else b"XAmzContentSHA256Mismatch"
        assert expected in answer


def test_what_is_cut_off_leaves_nothing(node, name):
    s3 = node.client("s3")
    bucket = "cut-" + name
    s3.create_bucket(Bucket=bucket)
    request = AWSRequest("PUT", f"{node.endpoint}/{bucket}/k", data=b"x" * LARGE)
    S3SigV4Auth(node.credentials, "s3", REGION).add_auth(request)
    import http.client

    host = urllib.parse.urlsplit(node.endpoint).netloc
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.putrequest("PUT", f"/{bucket}/k", skip_host=True)
    for header, value in {**dict(request.headers), "Host": host}.items():
        connection.putheader(header, value)
    connection.putheader("Content-Length", str(LARGE))
    connection.endheaders()
    connection.send(b"x" * (10 << 20))
    connection.close()
    s3.put_object(Bucket=bucket, Key="after", Body=b"y")
    with refused("404", 404, "Not Found"):
        s3.head_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="after")
    s3.delete_bucket(Bucket=bucket)


def test_a_large_body_outlives_a_kill_and_half_of_one_does_not_stay(own_node):
    s3 = own_node.client("s3")
    s3.create_bucket(Bucket="kept")
    body = os.urandom(LARGE)
    s3.put_object(Bucket="kept", Key="k", Body=body)
    own_node.restart()
    s3 = own_node.client("s3")
    assert s3.get_object(Bucket="kept", Key="k")["Body"].read() == body


# ---- signed pieces -------------------------------------------------------------------------------


def keyed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def in_pieces(node, path, pieces, trailer=None, spoil=None):
    """A body in signed pieces, as the AWS SDKs for Java and C++ send it."""
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-SHA256": kind,
        "X-Amz-Decoded-Content-Length": str(sum(map(len, pieces))),
    }
    if trailer:
        headers["X-Amz-Trailer"] = trailer[0]
    request = AWSRequest("PUT", node.endpoint + path, headers=headers)
    auth = S3SigV4Auth(node.credentials, "s3", REGION)
    auth.payload = lambda _: kind
    auth.add_auth(request)
    time = request.headers["X-Amz-Date"]
    last = request.headers["Authorization"].rsplit("=", 1)[1]
    scope = f"{time[:8]}/{REGION}/s3/aws4_request"
    key = ("AWS4" + node.credentials.secret_key).encode()
    for part in [time[:8], REGION, "s3", "aws4_request"]:
        key = keyed(key, part)
    empty = hashlib.sha256().hexdigest()
    body = b""
    for piece in [*pieces, b""]:
        digest = hashlib.sha256(piece).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{last}\n{empty}\n{digest}"
        last = keyed(key, text).hex()
        body += f"{len(piece):x};chunk-signature={last}\r\n".encode() + piece
        body += b"\r\n" if piece else b""
    if trailer:
        digest = hashlib.sha256(f"{trailer[0]}:{trailer[1]}\n".encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256-TRAILER\n{time}\n{scope}\n{last}\n{digest}"
        signature = keyed(key, text).hex()
        body += f"{trailer[0]}:{trailer[1]}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
    body += b"\r\n"
    if spoil:
        body = body.replace(*spoil, 1)
    return node.send("PUT", path, body, dict(request.headers))


@pytest.mark.parametrize("size", [70_000, 3 << 20])
def test_pieces_are_signed_one_by_one(strict_node, size):
    s3 = strict_node.client("s3")
    pieces = [os.urandom(size), os.urandom(size), b"the end"]
    status, _, answer = in_pieces(strict_node, "/signed/pieces", pieces)
    assert status == 200, answer
    assert s3.get_object(Bucket="signed", Key="pieces")["Body"].read() == b"".join(pieces)
    for spoil in [(b"the end", b"the eld"), (b"signature=", b"signature=f")]:
        status, _, answer = in_pieces(strict_node, "/signed/spoilt", pieces, spoil=spoil)
        assert status == 403 and b"SignatureDoesNotMatch" in answer
    crc = base64.b64encode(zlib.crc32(b"".join(pieces)).to_bytes(4, "big")).decode()
    trailer = ("x-amz-checksum-crc32", crc)
    status, headers, answer = in_pieces(strict_node, "/signed/trailer", pieces, trailer)
    assert status == 200 and headers["x-amz-checksum-crc32"] == crc, answer
    spoil = (crc.encode(), b"AAAAAA==")
    status, _, answer = in_pieces(strict_node, "/signed/spoilt", pieces, trailer, spoil)
    assert status == 403 and b"SignatureDoesNotMatch" in answer
    with refused("404", 404, "Not Found"):
        s3.head_object(Bucket="signed", Key="spoilt")


# ---- the SDK for JavaScript ----------------------------------------------------------------------


@pytest.mark.parametrize("style", ["path", "host", "signed"])
def test_the_sdk_for_javascript_uploads_and_reads(node, request, name, style):
    if shutil.which("node") is None or not (JS / "node_modules").exists():
        pytest.skip("the AWS SDK for JavaScript is not installed: `./x test` does it")
    keys = []
    if style == "signed":
        node = request.getfixturevalue("strict_node")
        keys = [node.credentials.access_key, node.credentials.secret_key]
    endpoint, resolves = node.endpoint, []
    if style == "host":
        endpoint = endpoint.replace("127.0.0.1", "localhost")
        resolves = ["--require", "./loopback.cjs"]
    bucket = f"js.{name}" if style == "path" else f"js-{name}"
    done = subprocess.run(
        ["node", *resolves, "s3.mjs", endpoint, bucket, *keys],
        cwd=JS,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(steps) == 14, done.stdout
    for step in steps[1:-1]:
        assert "error" not in step, step
        if "wanted" in step:
            assert step["sum"] == step["wanted"], step
    parts = next(step for step in steps if step["name"] == "upload in parts")
    assert parts["etag"].endswith('-3"') and parts["type"] == "application/x-parts"
    letters = next(step for step in steps if step["name"] == "keys of any letters")
    assert letters["all"] and all(letters["read"]) and letters["encoded"] == "url"
    assert (steps[-1]["error"], steps[-1]["message"]) == (
        "NoSuchKey",
        "The specified key does not exist.",
    )
