// Uploads and reads with the AWS SDK for JavaScript: `node s3.mjs ENDPOINT BUCKET [KEY SECRET]`.
// Prints one line of JSON for each step; the test compares.

import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  S3Client,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const [endpoint, Bucket, accessKeyId = "any", secretAccessKey = "any"] = process.argv.slice(2);
const client = new S3Client({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId, secretAccessKey },
  maxAttempts: 1,
});

const bytes = (size) => Buffer.alloc(size, "some bytes that are not all the same ");
const sum = (body) => createHash("sha256").update(body).digest("hex");
const stream = (body) =>
  Readable.from((function* () {
    for (let at = 0; at < body.length; at += 60_000) yield body.subarray(at, at + 60_000);
  })());

async function stored(Key) {
  const answer = await client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
  const body = await answer.Body.transformToByteArray();
  return { size: body.length, sum: sum(body), checksum: answer.ChecksumType ?? null };
}

async function step(name, run) {
  try {
    console.log(JSON.stringify({ name, ...(await run()) }));
  } catch (error) {
    console.log(JSON.stringify({ name, error: error.name, message: error.message }));
  }
}

await step("create", async () => {
  const answer = await client.send(new CreateBucketCommand({ Bucket }));
  return { location: answer.Location };
});

for (const size of [0, 11, 9 << 20]) {
  await step(`buffer ${size}`, async () => {
    const body = bytes(size);
    await client.send(new PutObjectCommand({ Bucket, Key: "buffer", Body: body }));
    return { ...(await stored("buffer")), wanted: sum(body) };
  });
  await step(`stream ${size}`, async () => {
    const body = bytes(size);
    const put = { Bucket, Key: "stream", Body: stream(body), ContentLength: size };
    await client.send(new PutObjectCommand(put));
    return { ...(await stored("stream")), wanted: sum(body) };
  });
}

for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"]) {
  await step(`checksum ${ChecksumAlgorithm}`, async () => {
    const body = bytes(100_000);
    const put = { Bucket, Key: "checked", Body: stream(body), ContentLength: body.length };
    const answer = await client.send(new PutObjectCommand({ ...put, ChecksumAlgorithm }));
    const value = answer[`Checksum${ChecksumAlgorithm}`];
    return { ...(await stored("checked")), wanted: sum(body), given: Boolean(value) };
  });
}

await step("upload in parts", async () => {
  const body = bytes(12 << 20);
  const upload = new Upload({
    client,
    params: { Bucket, Key: "parts", Body: stream(body), ContentType: "application/x-parts" },
    partSize: 5 << 20,
  });
  const done = await upload.done();
  const head = await client.send(new HeadObjectCommand({ Bucket, Key: "parts" }));
  const found = await stored("parts");
  return { ...found, wanted: sum(body), etag: done.ETag, type: head.ContentType };
});

await step("keys of any letters", async () => {
  const keys = ["a b", "ä/ö+ü", "100%", "a//b", "x?y=z&w", "日本.txt", "plus+sign"];
  for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
  const listed = await client.send(new ListObjectsV2Command({ Bucket, EncodingType: "url" }));
  const plain = await client.send(new ListObjectsV2Command({ Bucket }));
  const read = [];
  for (const Key of keys) {
    const answer = await client.send(new GetObjectCommand({ Bucket, Key }));
    read.push((await answer.Body.transformToString()) === Key);
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
  }
  const names = plain.Contents.map((one) => one.Key);
  return { all: keys.every((key) => names.includes(key)), read, encoded: listed.EncodingType };
});

await step("missing", async () => {
  await client.send(new GetObjectCommand({ Bucket, Key: "missing" }));
});
