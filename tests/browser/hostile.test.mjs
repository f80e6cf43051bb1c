// Whatever devices and users call things or send, it is text on every page.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CancelJobCommand, CreateThingCommand, CreateThingGroupCommand } from '@aws-sdk/client-iot';
import { StartExecutionCommand } from '@aws-sdk/client-sfn';
import mqtt from 'mqtt';

import { Node, browser, functions, open } from './support.mjs';

const EVIL = `"'><img src=x onerror="window.ran=1"><script>window.ran=1</script>`;
let chrome, node;

before(async () => {
  node = await Node.start(['--mqtt', '127.0.0.1:0', '--allow-anonymous', ...functions]);
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  await node?.stop();
});

test('markup in what is stored never runs', async () => {
  // Where AWS takes few characters a name is plain and what belongs to it is not.
  const definition = {
    Comment: EVIL,
    StartAt: EVIL.slice(0, 78),
    States: {
      [EVIL.slice(0, 78)]: { Type: 'Pass', Comment: EVIL, Result: { [EVIL]: EVIL }, ResultPath: '$.r', Next: 'Choose' },
      Choose: { Type: 'Choice', Choices: [{ Variable: '$.r', IsPresent: false, Next: 'Fail' }], Default: 'Fail' },
      Fail: { Type: 'Fail', Error: EVIL, Cause: EVIL },
    },
  };
  const arn = await node.machine('Evil', definition, { tags: [{ key: 'note', value: 'plain' }] });
  await node.states.send(new StartExecutionCommand({
    stateMachineArn: arn, name: 'run', input: JSON.stringify({ [EVIL]: EVIL }),
  }));
  await node.iot.send(new CreateThingGroupCommand({
    thingGroupName: 'evil', thingGroupProperties: { thingGroupDescription: EVIL.replaceAll(/[^\x20-\x7e]/g, '') },
  })).catch(() => {});
  await node.iot.send(new CreateThingCommand({ thingName: 'thing-1' }));
  await node.rule('evil', {
    sql: `SELECT *, '${EVIL.replaceAll("'", "''")}' AS x FROM 'evil/#'`, description: EVIL, actions: [
      { republish: { topic: 'seen/evil', roleArn: 'arn:aws:iam::000000000000:role/r' } },
    ],
  });
  await node.target('dynamodb', 'DynamoDB_20120810', 'CreateTable', {
    TableName: 'Evil', BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'k', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'k', KeyType: 'HASH' }],
  });
  await node.target('dynamodb', 'DynamoDB_20120810', 'PutItem', {
    TableName: 'Evil', Item: { k: { S: EVIL }, [EVIL]: { M: { [EVIL]: { S: EVIL } } } },
  });
  await node.function('greet', { Description: EVIL, Environment: { Variables: { EVIL } } });
  for (const event of [{ name: EVIL }, { [EVIL]: EVIL }]) await node.invoke('greet', event);
  await node.ask('iotdata', 'POST', '/things/thing-1/shadow', { state: { desired: { [EVIL]: EVIL }, reported: { x: EVIL } } });
  const told = { description: EVIL, document: JSON.stringify({ [EVIL]: `</pre>${EVIL}` }) };
  for (const job of ['evil', 'evil-ended']) await node.job(job, ['thing-1'], told);
  await assert.rejects(node.says('thing-1', 'evil', 'IN_PROGRESS', { statusDetails: { [EVIL]: 'a name' } }), /: 400 /);
  const said = (words) => ({ statusDetails: { short: words, long: `${words} `.repeat(8) } });
  await node.says('thing-1', 'evil', 'IN_PROGRESS', said(EVIL));
  await node.says('thing-1', 'evil-ended', 'IN_PROGRESS', said(EVIL));
  await node.iot.send(new CancelJobCommand({ jobId: 'evil-ended', comment: EVIL, reasonCode: 'EVIL', force: true }));
  const client = mqtt.connect(`mqtt://${node.mqtt}`, { clientId: EVIL, clean: true, reconnectPeriod: 0 });
  await new Promise((done, failed) => client.once('connect', done).once('error', failed));
  const publish = (topic) => new Promise((done) => client.publish(topic, JSON.stringify({ [EVIL]: EVIL }), { qos: 1 }, done));
  await publish(`evil/${EVIL.replaceAll(/[#+/]/g, '')}`);
  await publish('evil/plain');

  const state = encodeURIComponent(EVIL.slice(0, 78));
  const paths = [
    '/', '/devices', `/devices/${encodeURIComponent(EVIL)}`, '/devices/thing-1', '/live', `/live?filter=${encodeURIComponent('evil/#')}`,
    '/rules', '/rules/evil', '/workflows', '/workflows/Evil', '/workflows/Evil/edit', `/workflows/Evil/edit?state=${state}&run=run`, `/workflows/Evil/edit?state=${state}&run=${encodeURIComponent(EVIL)}`, '/executions',
    '/executions/Evil/run',
    ...['now', 'input', 'output', 'changes', 'attempts', 'definition'].map((tab) => `/executions/Evil/run?state=${state}&tab=${tab}`),
    ...['graph', 'table', 'events', 'logs'].map((view) => `/executions/Evil/run?view=${view}`),
    ...[EVIL, 'thing-1'].flatMap((name) => ['jobs', 'messages', 'shadow', 'executions', 'policy', 'publish', 'start', EVIL].map(
      (tab) => `/devices/${encodeURIComponent(name)}?tab=${encodeURIComponent(tab)}`)),
    ...['tab=policy&resource', 'tab=policy&action', 'tab=publish&topic', 'tab=shadow&shadow', 'tab=start&workflow', 'only'].map(
      (asked) => `/devices/thing-1?${asked}=${encodeURIComponent(EVIL)}`),
    ...['q', 'device', 'workflow', 'since', 'status', 'before'].map((asked) => `/executions?${asked}=${encodeURIComponent(EVIL)}`),
    ...['sql', 'recorded', 'delete'].map((asked) => `/rules/evil?${asked}=${encodeURIComponent(EVIL)}`),
    '/functions/greet', '/functions/greet?environment=yes', `/functions/greet?invocation=${encodeURIComponent(EVIL)}`,
    '/rollouts', `/rollouts?status=${encodeURIComponent(EVIL)}`, '/rollouts/evil', '/rollouts/evil?cancel=yes',
    `/rollouts/evil?status=${encodeURIComponent(EVIL)}`, '/rollouts/evil-ended?delete=yes', `/rollouts/${encodeURIComponent(EVIL)}`,
    '/functions', '/tables', '/tables/Evil', '/system', `/search?q=${encodeURIComponent(EVIL)}`, `/${encodeURIComponent(EVIL)}`,
  ];
  const context = await chrome.newContext();
  for (const path of paths) {
    const page = await open(context, node.url);
    await page.goto(node.url + path);
    await page.waitForTimeout(100);
    assert.equal(await page.evaluate(() => window.ran), undefined, `${path} ran it`);
    assert.equal(await page.locator('img').count(), 0, `${path} has an image`);
    const wrongs = page.wrongs.filter((wrong) => !/status of 40/.test(wrong));
    assert.deepEqual(wrongs, [], path);
    await page.close();
  }
  // and while a page is open
  const page = await open(context, node.url);
  await page.goto(`${node.url}/live?filter=${encodeURIComponent('#')}`);
  await publish('evil/live');
  await page.getByText('evil/live').first().waitFor();
  assert.equal(await page.evaluate(() => window.ran), undefined);
  await page.goto(`${node.url}/rollouts/evil`);
  await node.says('thing-1', 'evil', 'IN_PROGRESS', said(`live ${EVIL}`));
  await page.getByText('live "').first().waitFor();
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.equal(await page.locator('img').count(), 0);
  client.end(true);
  await context.close();
});

test('pages of other origins can neither act nor frame', async () => {
  const answer = await fetch(`${node.url}/-/console/stop`, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'http://elsewhere.example' }, body: 'back=/',
  });
  assert.equal(answer.status, 403);
  const without = await fetch(`${node.url}/-/console/stop`, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'back=/',
  });
  assert.equal(without.status, 403);
  const page = await fetch(node.url, { headers: { accept: 'text/html' } });
  const policy = page.headers.get('content-security-policy');
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]) {
    assert.ok(policy.includes(part), part);
  }
  assert.doesNotMatch(policy, /unsafe|\*/);
});
