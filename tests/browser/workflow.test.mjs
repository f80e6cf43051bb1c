// A workflow's page and the editor: what is wrong is marked while one types, and what is deployed is
// what was shown.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  DescribeStateMachineCommand, PublishStateMachineVersionCommand, StartExecutionCommand, UpdateStateMachineCommand,
} from '@aws-sdk/client-sfn';

import { Node, browser, open, until } from './support.mjs';

const DEFINITION = {
  StartAt: 'Both',
  States: {
    Both: {
      Type: 'Parallel',
      Branches: [{ StartAt: 'One', States: { One: { Type: 'Pass', End: true } } }],
      Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Sorry' }],
      Next: 'Done',
    },
    Sorry: { Type: 'Fail', Error: 'Sorry' },
    Done: { Type: 'Succeed' },
  },
};
let chrome, node, arn;

before(async () => {
  node = await Node.start();
  arn = await node.machine('Several', DEFINITION);
  await node.states.send(new StartExecutionCommand({ stateMachineArn: arn, name: 'one', input: '{"n":1}' }));
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  await node?.stop();
});

/** Types over the whole text. */
const retype = (page, from, to) => page.locator('#definition').evaluate((el, [from, to]) => {
  el.value = el.value.replace(from, to);
  el.dispatchEvent(new Event('input', { bubbles: true }));
}, [from, to]);

test('what is wrong is told while one types, and leads into the text', async () => {
  const page = await open(await chrome.newContext(), node.url);
  await page.goto(`${node.url}/workflows/Several/edit`);
  await retype(page, '"Next": "Done"', '"Next": "Dome"');
  await page.getByText('SW0203').waitFor();
  await page.getByRole('img', { name: /^Dome, Unknown state/ }).waitFor();
  await page.locator('#problems a').first().click();
  const chosen = await page.locator('#definition').evaluate((el) => el.value.slice(el.selectionStart, el.selectionEnd));
  assert.equal(chosen, '"Dome"');
  assert.deepEqual(page.wrongs, []);
  await page.context().close();
});

for (const javaScriptEnabled of [true, false]) {
  test(`a change is shown, then deployed, script ${javaScriptEnabled ? 'on' : 'off'}`, async () => {
    const page = await open(await chrome.newContext({ javaScriptEnabled }), node.url);
    await page.goto(`${node.url}/workflows/Several/edit`);
    const error = javaScriptEnabled ? 'Sorry' : 'Very sorry';
    const text = await page.locator('#definition').inputValue();
    const changed = text.replace(/"Error": "[^"]*"/, `"Error": "${error} now"`);
    await page.locator('#definition').fill(changed);
    await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Deploy…' }).click()]);
    assert.match(await page.locator('pre.diff').innerText(), new RegExp(`\\+ *"Error": "${error} now"`));
    await page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await page.waitForURL(/\/workflows\/Several$/);
    const deployed = await node.states.send(new DescribeStateMachineCommand({ stateMachineArn: arn }));
    assert.equal(JSON.parse(deployed.definition).States.Sorry.Error, `${error} now`);
    assert.deepEqual(page.wrongs, []);
    await page.context().close();
  });
}

for (const javaScriptEnabled of [true, false]) {
  test(`versions are chosen and compared, script ${javaScriptEnabled ? 'on' : 'off'}`, async () => {
    const name = `Compared${javaScriptEnabled ? 'Live' : 'Plain'}`;
    const stateMachineArn = await node.machine(name, DEFINITION);
    await node.states.send(new PublishStateMachineVersionCommand({ stateMachineArn }));
    const states = { ...DEFINITION.States, Sorry: { Type: 'Fail', Error: 'Other' } };
    const definition = JSON.stringify({ ...DEFINITION, States: states });
    await node.states.send(new UpdateStateMachineCommand({ stateMachineArn, definition, publish: true }));
    const page = await open(await chrome.newContext({ javaScriptEnabled }), node.url);
    await page.goto(`${node.url}/workflows/${name}?tab=versions`);
    await page.getByLabel('Compare', { exact: true }).selectOption('1');
    await page.getByLabel('with', { exact: true }).selectOption('2');
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.getByRole('heading', { name: 'Version 1 → version 2' }).first().waitFor();
    assert.match(page.url(), /from=1&to=2/);
    assert.match(await page.locator('pre.diff .gone').innerText(), /- *"Error": "Sorry"/);
    const between = page.locator('pre.diff .between').first();
    assert.match(await between.innerText(), /\d+ lines as before/);
    assert.ok((await between.boundingBox()).x > 0, 'what is left out is said where one sees it');
    assert.match(await page.locator('ul.changes').innerText(), /changed\s+Sorry: Error/);
    await page.getByRole('link', { name: 'Graph', exact: true }).first().click();
    await page.getByRole('img', { name: /^Sorry, Fail state/ }).waitFor();
    assert.deepEqual(page.wrongs, []);
    await page.context().close();
  });
}

test('a run begins with what the one before began with, and counts in the graph', async () => {
  const page = await open(await chrome.newContext(), node.url);
  await page.goto(`${node.url}/workflows/Several?tab=start`);
  assert.deepEqual(JSON.parse(await page.locator('#run-input').inputValue()), { n: 1 });
  await page.getByRole('button', { name: 'Start execution' }).click();
  await page.waitForURL(/\/executions\/Several\//);
  await page.goto(`${node.url}/workflows/Several`);
  await until('a run that is counted', async () => {
    await page.reload();
    return await page.getByRole('img', { name: /^Both, Parallel state, entered \d+ times?/ }).count() > 0;
  });
  await page.context().close();
});
