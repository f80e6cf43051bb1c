// Sends every operation of AWS Step Functions to the node at argv[2], and prints what came of each.

import * as sdk from "@aws-sdk/client-sfn";

const [endpoint, name, role] = process.argv.slice(2);
const client = new sdk.SFNClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
  // TestState and StartSyncExecution would go to `sync-HOST`.
  disableHostPrefix: true,
});
const results = {};

async function call(operation, input) {
  try {
    const answer = await client.send(new sdk[`${operation}Command`](input));
    delete answer.$metadata;
    results[operation] = { answer };
    return answer;
  } catch (error) {
    results[operation] = { error: error.name, message: error.message };
    return {};
  }
}

const definition = JSON.stringify({
  StartAt: "P",
  States: { P: { Type: "Pass", Result: "done", End: true } },
});
const waiting = definition.replace('"Type":"Pass","Result":"done"', '"Type":"Wait","Seconds":60');
const machine = await call("CreateStateMachine", { name, definition, roleArn: role, publish: true });
const { stateMachineArn, stateMachineVersionArn } = machine;
const route = { stateMachineVersionArn, weight: 100 };
const { stateMachineAliasArn } = await call("CreateStateMachineAlias", {
  name: "live",
  routingConfiguration: [route],
});
await call("DescribeStateMachineAlias", { stateMachineAliasArn });
await call("UpdateStateMachineAlias", { stateMachineAliasArn, description: "changed" });
await call("ListStateMachineAliases", { stateMachineArn });
const { executionArn } = await call("StartExecution", {
  stateMachineArn: stateMachineAliasArn,
  name: "one",
  input: "{}",
});
await call("DescribeExecution", { executionArn });
await call("DescribeStateMachineForExecution", { executionArn });
await call("GetExecutionHistory", { executionArn, reverseOrder: true });
await call("ListExecutions", { stateMachineArn: stateMachineVersionArn });
await call("UpdateStateMachine", { stateMachineArn, definition: waiting });
await call("DescribeStateMachine", { stateMachineArn });
const stopped = await client.send(new sdk.StartExecutionCommand({ stateMachineArn, name: "two" }));
await call("StopExecution", { executionArn: stopped.executionArn, error: "E", cause: "C" });
await call("RedriveExecution", { executionArn });
await call("PublishStateMachineVersion", { stateMachineArn });
await call("ListStateMachineVersions", { stateMachineArn });
await call("DeleteStateMachineVersion", { stateMachineVersionArn: `${stateMachineArn}:2` });
await call("DeleteStateMachineAlias", { stateMachineAliasArn });
await call("TagResource", { resourceArn: stateMachineArn, tags: [{ key: "a", value: "b" }] });
await call("ListTagsForResource", { resourceArn: stateMachineArn });
await call("UntagResource", { resourceArn: stateMachineArn, tagKeys: ["a"] });
await call("ListStateMachines", { maxResults: 1000 });
await call("ValidateStateMachineDefinition", { definition });
await call("TestState", {
  definition: JSON.stringify({ Type: "Pass", Result: 1, End: true }),
  roleArn: role,
  input: "{}",
});
const { activityArn } = await call("CreateActivity", { name });
await call("DescribeActivity", { activityArn });
await call("ListActivities", {});
const working = await client.send(
  new sdk.CreateStateMachineCommand({
    name: `${name}-work`,
    definition: JSON.stringify({
      StartAt: "T",
      States: { T: { Type: "Task", Resource: activityArn, End: true } },
    }),
    roleArn: role,
  }),
);
const start = { stateMachineArn: working.stateMachineArn };
await client.send(new sdk.StartExecutionCommand(start));
const { taskToken } = await call("GetActivityTask", { activityArn, workerName: "w" });
await call("SendTaskHeartbeat", { taskToken });
await call("SendTaskSuccess", { taskToken, output: '"x"' });
await call("SendTaskFailure", { taskToken, error: "late" });
await call("DeleteActivity", { activityArn });
const express = await client.send(
  new sdk.CreateStateMachineCommand({
    name: `${name}-express`,
    type: "EXPRESS",
    definition,
    roleArn: role,
  }),
);
await call("StartSyncExecution", { stateMachineArn: express.stateMachineArn });
const mapRunArn = stateMachineArn.replace(":stateMachine:", ":mapRun:") + "/map:1";
await call("ListMapRuns", { executionArn });
await call("DescribeMapRun", { mapRunArn });
await call("UpdateMapRun", { mapRunArn, maxConcurrency: 1 });
await call("DeleteStateMachine", { stateMachineArn });
console.log(JSON.stringify(results));
