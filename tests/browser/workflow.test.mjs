// A workflow's page and the editor: what is wrong is marked while one types, and what is deployed is
// what was shown.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  DescribeStateMachineCommand, PublishStateMachineVersionCommand, StartExecutionCommand, StopExecutionCommand,
  UpdateStateMachineCommand,
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

const MATHS = {
  StartAt: 'Sum',
  States: {
    Sum: { Type: 'Pass', Parameters: { 'sum.$': 'States.MathAdd($.a, $.b)' }, ResultPath: '$.made', Next: 'Ask' },
    Ask: {
      Type: 'Task',
      Resource: 'arn:aws:states:::events:putEvents.waitForTaskToken',
      Parameters: { Entries: [{ Source: 's', DetailType: 'd', Detail: { 'token.$': '$$.Task.Token' } }] },
      Catch: [{ ErrorEquals: ['Device.Broken'], Next: 'Sorry' }],
      End: true,
    },
    Sorry: { Type: 'Fail', Error: 'Sorry' },
  },
};

for (const javaScriptEnabled of [true, false]) {
  test(`a state of the text is tried by itself, script ${javaScriptEnabled ? 'on' : 'off'}`, async () => {
    const workflow = `Maths${javaScriptEnabled ? '' : 'Plain'}`;
    const machine = await node.machine(workflow, MATHS);
    const run = await node.states.send(new StartExecutionCommand({ stateMachineArn: machine, name: 'r', input: '{"a":1,"b":2}' }));
    const page = await open(await chrome.newContext({ javaScriptEnabled }), node.url);
    // From the execution, with what the state was given there.
    await page.goto(`${node.url}/executions/${workflow}/r?state=Sum&tab=definition`);
    await page.getByRole('link', { name: 'Try it with this input' }).click();
    await page.waitForURL(/\/edit\?state=Sum&run=r#try$/);
    assert.deepEqual(JSON.parse(await page.locator('#try-input').inputValue()), { a: 1, b: 2 });
    const press = (name) => Promise.all([page.waitForEvent('load'), page.getByRole('button', { name, exact: true }).click()]);
    const told = () => page.locator('#tried').innerText();
    await press('Try');
    assert.match(await told(), /Sum succeeded and leads to Ask/);
    assert.match((await told()).replaceAll(/\s/g, ''), /"made":\{"sum":3\}/);
    // What is tried is the text, deployed or not.
    await page.locator('#definition').fill(JSON.stringify(MATHS).replace('MathAdd($.a, $.b)', 'MathAdd($.a, 40)'));
    await press('Try');
    assert.match((await told()).replaceAll(/\s/g, ''), /"made":\{"sum":41\}/);
    assert.equal(await page.locator('#try-state').inputValue(), 'Sum');
    // A task whose call is not made.
    await page.locator('#try-state').selectOption('Ask');
    await press('Newest recorded input');
    assert.deepEqual(JSON.parse(await page.locator('#try-input').inputValue()), { a: 1, b: 2, made: { sum: 3 } });
    assert.match(await page.locator('#try').innerText(), /what it was given in r/);
    await page.locator('#try-result').fill('{"answer": "yes"}');
    await press('Try');
    assert.match(await told(), /Ask succeeded/);
    assert.match((await told()).replaceAll(/\s/g, ''), /"answer":"yes"/);
    await page.locator('#try-result').fill('');
    await page.locator('#try-error').fill('Device.Broken');
    await press('Try');
    assert.match(await told(), /Ask caught its error and leads to Sorry/);
    // What is wrong is said, and nothing typed is lost.
    await page.locator('#try-input').fill('{"a":');
    await press('Try');
    assert.match(await page.locator('#try [role=alert]').innerText(), /input/i);
    assert.equal(await page.locator('#try-input').inputValue(), '{"a":');
    await page.locator('#try-state').selectOption('Sorry');
    await press('Newest recorded input');
    assert.match(await page.locator('#try').innerText(), /none of the newest 50 runs has come to it/);
    assert.deepEqual(page.wrongs, []);
    await page.context().close();
    await node.states.send(new StopExecutionCommand({ executionArn: run.executionArn }));
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
    // The page may be drawn anew meanwhile.
    await until('what is left out, where one sees it', async () => (await between.boundingBox())?.x > 0);
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
