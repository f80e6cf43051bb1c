// What a person does by hand: finishes a step, stops, redrives, starts, opens a history from a file; with script
// and without.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { GetExecutionHistoryCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';

import { Node, browser, open, press, until } from './support.mjs';

let chrome, node, arn;

const states = (queue) => ({
  StartAt: 'Ask',
  States: {
    Ask: {
      Type: 'Task',
      Resource: 'arn:aws:states:::sqs:sendMessage.waitForTaskToken',
      Parameters: { QueueUrl: queue, MessageBody: { 'token.$': '$$.Task.Token' } },
      HeartbeatSeconds: 3600,
      End: true,
    },
  },
});

before(async () => {
  node = await Node.start();
  const { QueueUrl } = await node.target('sqs', 'AmazonSQS', 'CreateQueue', { QueueName: 'requests' });
  arn = await node.machine('ByHand', states(QueueUrl));
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  await node?.stop();
});

const start = (name) => node.states.send(new StartExecutionCommand({ stateMachineArn: arn, name, input: '{"n":1}' }));

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'script' : 'plain';

  const visit = async (act) => {
    const context = await chrome.newContext({ javaScriptEnabled });
    const page = await open(context, node.url);
    page.removeAllListeners('dialog');
    page.on('dialog', (dialog) => dialog.accept());
    await act(page, async (words) => {
      await until(words, async () => {
        if (!javaScriptEnabled) await page.reload();
        return (await page.locator('main').innerText()).toLowerCase().includes(words);
      });
    });
    assert.deepEqual(page.wrongs, []);
    await context.close();
  };

  test(`a step is finished by hand, ${how}`, () => visit(async (page, shows) => {
    const { executionArn } = await start(`done-${how}`);
    await page.goto(`${node.url}/executions/ByHand/done-${how}`);
    await shows('waiting for device');
    await press(page, page.getByRole('button', { name: 'Heartbeat' }));
    await shows('waiting for device');
    await page.getByText('Send success…').click();
    await page.locator('#task-output').fill('{"status":');
    await press(page, page.getByRole('button', { name: 'Send success' }));
    assert.match(await page.locator('main').innerText(), /JSON|output/i, 'what is wrong is said');
    assert.ok(page.wrongs.splice(0).every((wrong) => wrong.includes('400 (Bad Request)')));
    await page.goto(`${node.url}/executions/ByHand/done-${how}`);
    await page.getByText('Send success…').click();
    await page.locator('#task-output').fill('{"by":"hand"}');
    await press(page, page.getByRole('button', { name: 'Send success' }));
    await shows('succeeded');
    const { events } = await node.states.send(new GetExecutionHistoryCommand({ executionArn }));
    assert.equal(events.at(-1).executionSucceededEventDetails.output, '{"by":"hand"}');
  }));

  test(`a step fails by hand and the run is redriven, then stopped, ${how}`, () => visit(async (page, shows) => {
    await start(`failed-${how}`);
    await page.goto(`${node.url}/executions/ByHand/failed-${how}`);
    await shows('waiting for device');
    await page.getByText('Send failure…').click();
    await page.locator('#task-error').fill('Broken');
    await page.locator('#task-cause').fill('by hand <b>');
    await press(page, page.getByRole('button', { name: 'Send failure' }));
    await shows('broken');
    assert.match(await page.locator('main').innerText(), /by hand <b>/);
    await press(page, page.getByRole('button', { name: 'Redrive' }));
    await shows('waiting for device');
    await press(page, page.getByRole('button', { name: 'Stop', exact: true }));
    await shows('stopped');
  }));

  test(`an execution is started from another, ${how}`, () => visit(async (page, shows) => {
    await start(`first-${how}`);
    await page.goto(`${node.url}/executions/ByHand/first-${how}`);
    await page.locator('#new-execution summary').click();
    await page.locator('#new-name').fill(`second-${how}`);
    assert.deepEqual(JSON.parse(await page.locator('#new-input').inputValue()), { n: 1 });
    await press(page, page.locator('#new-execution').getByRole('button', { name: 'Start' }));
    await page.waitForURL(/\/executions\/ByHand\/second-/);
    await shows('waiting for device');
  }));

  test(`a history is exported and opened again, ${how}`, () => visit(async (page) => {
    await page.goto(`${node.url}/executions/ByHand/done-${how}`);
    const [download] = await Promise.all([
      page.waitForEvent('download'), page.getByRole('link', { name: 'Export JSON' }).click(),
    ]);
    const path = await download.path();
    await page.goto(`${node.url}/open`);
    if (javaScriptEnabled) {
      await page.locator('#history-file').setInputFiles(path);
    } else {
      await page.locator('textarea[name=history]').fill(readFileSync(path, 'utf8'));
    }
    await until('what is in it', async () => (await page.locator('textarea[name=history]').inputValue()).includes('TaskScheduled'));
    await press(page, page.locator('main form button').last());
    const opened = async () => {
      const text = await page.locator('main').innerText();
      return /succeeded/i.test(text) && text.includes('Ask');
    };
    assert.ok(await opened());
    if (!javaScriptEnabled) return;
    await page.goto(node.url);
    const dropped = await page.evaluateHandle((text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'history.json', { type: 'application/json' }));
      return data;
    }, readFileSync(path, 'utf8'));
    await page.dispatchEvent('main', 'drop', { dataTransfer: dropped });
    await page.waitForURL(/open/);
    await until('the history that was dropped', opened);
  }));
}
