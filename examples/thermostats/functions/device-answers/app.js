const { DynamoDBClient, QueryCommand } = require('@aws-sdk/client-dynamodb');
const { SFNClient, SendTaskFailureCommand, SendTaskSuccessCommand } = require('@aws-sdk/client-sfn');

const dynamodb = new DynamoDBClient({});
const sfn = new SFNClient({});

// The task that waits for the answer to `operationId` of this thermostat, and no other's.
const waiting = async (operationId, thingName) => {
  const found = await dynamodb.send(
    new QueryCommand({
      TableName: process.env.TASKS_TABLE,
      KeyConditionExpression: 'operationId = :operation',
      FilterExpression: '#thing = :thing',
      ExpressionAttributeNames: { '#thing': 'thingName' },
      ExpressionAttributeValues: { ':operation': { S: operationId }, ':thing': { S: thingName } },
    }),
  );
  return found.Items?.[0]?.token.S;
};

exports.handler = async ({ thingName, operationId, status, degrees }) => {
  // A quick thermostat can answer before the token is stored.
  let taskToken = await waiting(operationId, thingName);
  for (let tries = 0; !taskToken && tries < 20; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    taskToken = await waiting(operationId, thingName);
  }
  if (!taskToken) {
    console.warn(`nothing waits for the answer of ${thingName} to ${operationId}`);
    return;
  }
  if (status === 'BROKEN') {
    await sfn.send(new SendTaskFailureCommand({ taskToken, error: 'Broken', cause: `${thingName} is broken` }));
  } else {
    await sfn.send(new SendTaskSuccessCommand({ taskToken, output: JSON.stringify({ status, degrees }) }));
  }
};
