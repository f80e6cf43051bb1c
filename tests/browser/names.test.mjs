// Names as long as AWS takes them, and keys and addresses that only script understands.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CreateThingCommand } from '@aws-sdk/client-iot';
import { StartExecutionCommand } from '@aws-sdk/client-sfn';

import { Node, browser, isTooWide, open, until } from './support.mjs';

const LONG = { workflow: 'w'.repeat(80), run: 'x'.repeat(80), rule: 'r'.repeat(128), table: 't'.repeat(255), thing: 'd'.repeat(128) };
let chrome, node;

before(async () => {
  node = await Node.start();
  chrome = await browser();
  const definition = {
    StartAt: 'First', States: { First: { Type: 'Pass', Next: 'Second & last' }, 'Second & last': { Type: 'Pass', End: true } },
  };
  const arn = await node.machine(LONG.workflow, definition);
  for (const name of [LONG.run, 'short']) await node.states.send(new StartExecutionCommand({ stateMachineArn: arn, name }));
  await node.rule(LONG.rule, { sql: `SELECT * FROM '${'a'.repeat(100)}'`, actions: [] });
  await node.iot.send(new CreateThingCommand({ thingName: LONG.thing }));
  await node.target('dynamodb', 'DynamoDB_20120810', 'CreateTable', {
    TableName: LONG.table, BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'k', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'k', KeyType: 'HASH' }],
  });
});

after(async () => {
  await chrome?.close();
  await node?.stop();
});

for (const viewport of [{ width: 1280, height: 720 }, { width: 390, height: 844 }]) {
  test(`no page scrolls sideways for the longest names at ${viewport.width} px`, async () => {
    const context = await chrome.newContext({ viewport });
    const page = await open(context, node.url);
    const run = `/executions/${LONG.workflow}/${LONG.run}`;
    const paths = [
      '/', '/devices', '/rules', '/workflows', '/executions', '/tables', '/live', run, `${run}?view=table`, `${run}?view=events`,
      `/rules/${LONG.rule}`, `/tables/${LONG.table}`, `/devices/${LONG.thing}`, `/workflows/${LONG.workflow}`,
      `/workflows/${LONG.workflow}/edit`,
    ];
    const wide = [];
    for (const path of paths) {
      await page.goto(node.url + path);
      if (await isTooWide(page)) wide.push(path.slice(0, 30));
    }
    assert.deepEqual([wide, page.wrongs], [[], []]);
    await context.close();
  });
}

test('x selects the row, and the part after # of an address the state', async () => {
  const context = await chrome.newContext();
  const page = await open(context, node.url);
  await page.goto(`${node.url}/executions`);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  const ticked = () => page.evaluate(() => [...document.querySelectorAll('tbody [type=checkbox]')].map((box) => box.checked));
  assert.deepEqual(await ticked(), [false, true]);
  await page.goto(`${node.url}/executions/${LONG.workflow}/short#First`);
  const selected = () => page.evaluate(() => document.querySelector('h2.st-name')?.textContent);
  await until('the state is shown', async () => (await selected()) === 'First');
  await page.goto(`${node.url}/executions/${LONG.workflow}/short#Second%20&%20last`);
  await until('a name with an ampersand', async () => (await selected()) === 'Second & last');
  assert.deepEqual(page.wrongs, []);
  await context.close();
});
