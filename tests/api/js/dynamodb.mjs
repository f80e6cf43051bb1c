// Runs a story with the document client against the tables at argv[2]; argv[3] is a name of its own. Prints one
// line of JSON: what each step gave.

import {
  CreateTableCommand,
  DynamoDBClient,
  TransactionCanceledException,
  UpdateTableCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  paginateQuery,
  paginateScan,
  PutCommand,
  QueryCommand,
  TransactGetCommand,
  TransactWriteCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";

const client = new DynamoDBClient({
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
});
const tables = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
const TableName = process.argv[3];
const said = {};

await client.send(
  new CreateTableCommand({
    TableName,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [
      { AttributeName: "device", AttributeType: "S" },
      { AttributeName: "at", AttributeType: "N" },
      { AttributeName: "kind", AttributeType: "S" },
    ],
    KeySchema: [
      { AttributeName: "device", KeyType: "HASH" },
      { AttributeName: "at", KeyType: "RANGE" },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: "by-kind",
        KeySchema: [
          { AttributeName: "kind", KeyType: "HASH" },
          { AttributeName: "at", KeyType: "RANGE" },
        ],
        Projection: { ProjectionType: "ALL" },
      },
    ],
  }),
);
await waitUntilTableExists({ client, minDelay: 1, maxWaitTime: 10 }, { TableName });

const item = {
  device: "d-1",
  at: 1,
  kind: "boot",
  nested: { parts: [1, "two", null, true, { three: 3.5 }], bytes: new Uint8Array([0, 255]) },
  tags: new Set(["a", "b"]),
  absent: undefined,
};
await tables.send(new PutCommand({ TableName, Item: item }));
const got = (await tables.send(new GetCommand({ TableName, Key: { device: "d-1", at: 1 } }))).Item;
said.same =
  JSON.stringify(got.nested.parts) === JSON.stringify(item.nested.parts) &&
  Buffer.from(got.nested.bytes).equals(Buffer.from([0, 255])) &&
  [...got.tags].sort().join() === "a,b" &&
  !("absent" in got);

await tables.send(
  new BatchWriteCommand({
    RequestItems: {
      [TableName]: Array.from({ length: 20 }, (_, at) => ({
        PutRequest: { Item: { device: `d-${at % 3}`, at: 10 + at, kind: at % 2 ? "odd" : "even" } },
      })),
    },
  }),
);
said.batch = (
  await tables.send(
    new BatchGetCommand({
      RequestItems: { [TableName]: { Keys: [{ device: "d-0", at: 10 }, { device: "d-0", at: 11 }] } },
    }),
  )
).Responses[TableName].length;

const pages = [];
for await (const page of paginateQuery(
  { client: tables, pageSize: 4 },
  {
    TableName,
    IndexName: "by-kind",
    KeyConditionExpression: "#k = :k AND #at BETWEEN :from AND :to",
    ExpressionAttributeNames: { "#k": "kind", "#at": "at" },
    ExpressionAttributeValues: { ":k": "odd", ":from": 12, ":to": 28 },
  },
)) {
  pages.push(page.Items.map((one) => one.at));
}
said.pages = pages;
let scanned = 0;
for await (const page of paginateScan({ client: tables, pageSize: 7 }, { TableName })) scanned += page.Count;
said.scanned = scanned;

said.updated = (
  await tables.send(
    new UpdateCommand({
      TableName,
      Key: { device: "d-1", at: 1 },
      UpdateExpression:
        "SET nested.parts[1] = :two, n = if_not_exists(n, :zero) + :one REMOVE nested.bytes ADD hits :one DELETE tags :tags",
      ExpressionAttributeValues: { ":two": 2, ":zero": 0, ":one": 1, ":tags": new Set(["b"]) },
      ReturnValues: "UPDATED_NEW",
    }),
  )
).Attributes;
said.updated.tags = [...said.updated.tags];

try {
  await tables.send(
    new TransactWriteCommand({
      TransactItems: [
        { Put: { TableName, Item: { device: "t", at: 1 } } },
        {
          ConditionCheck: {
            TableName,
            Key: { device: "d-1", at: 1 },
            ConditionExpression: "n > :n",
            ExpressionAttributeValues: { ":n": 100 },
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          },
        },
      ],
    }),
  );
} catch (error) {
  said.cancelled = {
    is: error instanceof TransactionCanceledException,
    message: error.message,
    codes: error.CancellationReasons.map((reason) => reason.Code),
    item: error.CancellationReasons[1].Item.n,
  };
}
const twice = {
  TransactItems: [
    {
      Update: {
        TableName,
        Key: { device: "t", at: 2 },
        UpdateExpression: "ADD n :one",
        ExpressionAttributeValues: { ":one": 1 },
      },
    },
  ],
  ClientRequestToken: `token-${TableName}`.slice(0, 36),
};
await tables.send(new TransactWriteCommand(twice));
await tables.send(new TransactWriteCommand(twice));
said.transacted = (
  await tables.send(
    new TransactGetCommand({
      TransactItems: [
        { Get: { TableName, Key: { device: "t", at: 2 } } },
        { Get: { TableName, Key: { device: "t", at: 1 } } },
      ],
    }),
  )
).Responses.map((response) => response.Item ?? null);

await client.send(
  new UpdateTableCommand({
    TableName,
    AttributeDefinitions: [{ AttributeName: "n", AttributeType: "N" }],
    GlobalSecondaryIndexUpdates: [
      {
        Create: {
          IndexName: "by-n",
          KeySchema: [{ AttributeName: "n", KeyType: "HASH" }],
          Projection: { ProjectionType: "KEYS_ONLY" },
        },
      },
    ],
  }),
);
const byN = {
  TableName,
  IndexName: "by-n",
  KeyConditionExpression: "n = :n",
  ExpressionAttributeValues: { ":n": 1 },
};
for (;;) {
  try {
    const found = (await tables.send(new QueryCommand(byN))).Items;
    said.byN = found.map((one) => one.device).sort();
    break;
  } catch (error) {
    if (!error.message.startsWith("Cannot read from backfilling")) throw error;
  }
}

said.refused = [];
for (const command of [
  new UpdateCommand({ TableName, Key: { device: "d-1", at: 1 }, UpdateExpression: "SET status = n" }),
  new DeleteCommand({ TableName, Key: { device: "d-1" } }),
  new QueryCommand({ ...byN, ConsistentRead: true }),
]) {
  try {
    await tables.send(command);
  } catch (error) {
    said.refused.push(`${error.name}: ${error.message}`);
  }
}
console.log(JSON.stringify(said));
