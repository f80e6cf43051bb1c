// Calls AWS Step Functions at argv[2] for each line of standard input, `{"operation", "input"}`, and answers it by a line.

import { createInterface } from "node:readline";

import * as sdk from "@aws-sdk/client-sfn";

const client = new sdk.SFNClient({
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
  // TestState and StartSyncExecution would go to `sync-HOST`.
  disableHostPrefix: true,
});

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, input } = JSON.parse(line);
  try {
    const { $metadata, ...answer } = await client.send(new sdk[`${operation}Command`](input));
    console.log(JSON.stringify({ answer }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.name }));
  }
}
