// The application of examples/thermostats, written with the AWS CDK.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, CfnOutput, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as iot from 'aws-cdk-lib/aws-iot';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';

const example = process.env.EXAMPLE;
const app = new App();
const stack = new Stack(app, 'Thermostats', { env: { account: '000000000000', region: 'us-east-1' } });

const handler = (id, folder, environment = {}) =>
  new lambda.Function(stack, id, {
    runtime: lambda.Runtime.NODEJS_20_X,
    handler: 'app.handler',
    code: lambda.Code.fromAsset(join(example, 'functions', folder)),
    timeout: Duration.seconds(20),
    environment,
  });

const table = new dynamodb.Table(stack, 'WaitingTasks', {
  partitionKey: { name: 'operationId', type: dynamodb.AttributeType.STRING },
  sortKey: { name: 'token', type: dynamodb.AttributeType.STRING },
  billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
  removalPolicy: RemovalPolicy.DESTROY,
});
const ownerSettings = handler('OwnerSettings', 'owner-settings');
const sendSettings = handler('SendSettings', 'send-settings');
const deviceAnswers = handler('DeviceAnswers', 'device-answers', { TASKS_TABLE: table.tableName });
table.grantReadData(deviceAnswers);

const definition = readFileSync(join(example, 'statemachine', 'settings.asl.json'), 'utf8');
const workflow = new sfn.StateMachine(stack, 'Workflow', {
  stateMachineName: 'ThermostatSettings',
  definitionBody: sfn.DefinitionBody.fromString(definition.replace('${AnswerSeconds}', '4')),
  definitionSubstitutions: {
    OwnerSettingsArn: ownerSettings.functionArn,
    SendSettingsArn: sendSettings.functionArn,
    WaitingTasks: table.tableName,
  },
  logs: {
    destination: new logs.LogGroup(stack, 'WorkflowLog', { removalPolicy: RemovalPolicy.DESTROY }),
    level: sfn.LogLevel.ALL,
    includeExecutionData: true,
  },
});
ownerSettings.grantInvoke(workflow);
sendSettings.grantInvoke(workflow);
table.grantWriteData(workflow);
workflow.grantTaskResponse(deviceAnswers);

const starts = new iam.Role(stack, 'StartWorkflowRole', {
  assumedBy: new iam.ServicePrincipal('iot.amazonaws.com'),
});
workflow.grantStartExecution(starts);
new iot.CfnTopicRule(stack, 'StartWorkflow', {
  topicRulePayload: {
    awsIotSqlVersion: '2016-03-23',
    sql: "SELECT clientId AS thingName, sessionIdentifier FROM '$aws/events/presence/connected/+'",
    actions: [{ stepFunctions: { stateMachineName: workflow.stateMachineName, roleArn: starts.roleArn } }],
  },
});
const answers = new iot.CfnTopicRule(stack, 'Answers', {
  topicRulePayload: {
    awsIotSqlVersion: '2016-03-23',
    sql: "SELECT *, topic(2) AS thingName FROM 'thermostats/+/answers'",
    actions: [{ lambda: { functionArn: deviceAnswers.functionArn } }],
  },
});
deviceAnswers.addPermission('AnswersPermission', {
  principal: new iam.ServicePrincipal('iot.amazonaws.com'),
  sourceArn: answers.attrArn,
});
new iot.CfnPolicy(stack, 'ThermostatPolicy', {
  policyName: 'Thermostat',
  policyDocument: {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
  },
});
new CfnOutput(stack, 'WorkflowArn', { value: workflow.stateMachineArn });
