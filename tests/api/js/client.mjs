// Calls the AWS service argv[3] (Step Functions by default) at argv[2] for each line of standard input,
// `{"operation", "input"}`, and answers it by a line.

import { createInterface } from "node:readline";

const sdk = await import(`@aws-sdk/client-${process.argv[3] ?? "sfn"}`);
const Client = sdk.SFNClient ?? sdk.CloudWatchClient;
const client = new Client({
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
  // TestState and StartSyncExecution would go to `sync-HOST`.
  disableHostPrefix: true,
});

// What is `{"$time": "2026-11-24T15:04:05Z"}` is a time.
const revive = (_, value) => (value?.$time === undefined ? value : new Date(value.$time));

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, input } = JSON.parse(line, revive);
  try {
    const { $metadata, ...answer } = await client.send(new sdk[`${operation}Command`](input));
    console.log(JSON.stringify({ answer }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.name }));
  }
}
