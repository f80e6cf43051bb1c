// A run as it goes: what happened is on the page at once, and a page that lost its node has missed
// nothing.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DescribeExecutionCommand, ListExecutionsCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';

import { Node, browser, open, percentile, profileService, until } from './support.mjs';

/** Most milliseconds from a commit, or a connect, to the pixel, for 95 of 100, in one of so many rounds. */
const LATE_MS = 150;
const ROUNDS = Number(process.env.ROUNDS ?? 10);
/** Devices that are active: each is configured once in so many seconds. */
const DEVICES = 1000;
const EVERY_S = 30;
let chrome, node, profiles;

before(async () => {
  profiles = await profileService();
  node = await Node.start(['--http-allow', profiles.host]);
  await node.example(profiles.url);
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  await node?.stop();
  profiles?.close();
});

/** A workflow that takes `steps` steps, a few a second. */
const ticker = (steps) => ({
  QueryLanguage: 'JSONata',
  StartAt: 'Begin',
  States: {
    Begin: { Type: 'Pass', Assign: { n: 0 }, Next: 'Pause' },
    Pause: { Type: 'Wait', Timestamp: '{% $fromMillis($millis() + 150) %}', Next: 'Count' },
    Count: { Type: 'Pass', Assign: { n: '{% $n + 1 %}' }, Next: 'Enough' },
    Enough: { Type: 'Choice', Choices: [{ Condition: `{% $n >= ${steps} %}`, Next: 'Done' }], Default: 'Pause' },
    Done: { Type: 'Succeed' },
  },
});

/** Has every device of a demo configured again and again; gives what ends that and counts the runs. */
const again = async (node) => {
  const inputs = [];
  for (let nextToken; ;) {
    const found = await node.states.send(new ListExecutionsCommand({ stateMachineArn: node.configManagement, nextToken }));
    for (const { executionArn } of found.executions) {
      inputs.push((await node.states.send(new DescribeExecutionCommand({ executionArn }))).input);
    }
    nextToken = found.nextToken;
    if (!nextToken) break;
  }
  let runs = 0;
  const pending = new Set();
  const timer = setInterval(() => {
    const started = node.states.send(new StartExecutionCommand({
      stateMachineArn: node.configManagement, input: inputs[runs % inputs.length],
    }));
    runs += 1;
    pending.add(started.finally(() => pending.delete(started)));
  }, EVERY_S * 1000 / inputs.length);
  return async () => {
    clearInterval(timer);
    await Promise.all(pending);
    return runs;
  };
};

/** What is late in one of `ROUNDS` rounds: another program may have had the processor in the others. */
const inTime = async (round) => {
  for (let n = 1; ; n += 1) {
    const late = await round(n);
    if (late <= LATE_MS) return;
    assert.ok(n < ROUNDS, `p95 is ${late} ms in round ${n} of ${ROUNDS}, and was more than ${LATE_MS} ms in each`);
  }
};

test('a device that connects is seen waiting at once', () => inTime(async (round) => {
  const context = await chrome.newContext();
  const took = [];
  for (let n = 0; n < 20; n += 1) {
    const thing = await node.thing(`waits-${round}-${n}`);
    const page = await open(context, node.url);
    await page.goto(`${node.url}/devices/${thing.name}`);
    await page.waitForFunction(() => document.documentElement.dataset.live === 'on');
    // The page looks before the device connects: what it is told could come first.
    await page.evaluate(() => {
      window.seen = new Promise((done) => {
        const look = () => /waiting for device/i.test(document.getElementById('main').textContent) && done(Date.now());
        new MutationObserver(look).observe(document.getElementById('main'), { subtree: true, childList: true, characterData: true, attributes: true });
      });
    });
    const client = node.connect(thing);
    const connected = await new Promise((done) => client.once('connect', () => done(Date.now())));
    took.push(await page.evaluate(() => window.seen) - connected);
    client.end(true);
    await page.close();
  }
  await context.close();
  const late = percentile(took, 0.95);
  console.log(`connect to "waiting for device": median ${percentile(took, 0.5)} ms, p95 ${late} ms`);
  return late;
}));

test('every commit is on the page at once while a thousand devices are active', async (t) => {
  const node = await Node.demo(DEVICES);
  t.after(() => node.stop());
  await until('a fleet that is online', () => node.log.includes(`online ${DEVICES} `), 120_000);
  const stop = await again(node);
  const arn = await node.machine('Ticker', ticker(60));
  await inTime(async (round) => {
    await node.states.send(new StartExecutionCommand({ stateMachineArn: arn, name: `seen-${round}` }));
    const context = await chrome.newContext();
    const page = await open(context, node.url);
    await page.addInitScript(() => {
      window.first = {};
      const look = () => {
        for (const row of document.querySelectorAll('#run-events [data-item]')) {
          window.first[row.dataset.item] ??= [Date.now(), Number(row.dataset.at)];
        }
      };
      document.addEventListener('DOMContentLoaded', () => {
        look();
        // What happened while the page was on its way is on it when it opens.
        const root = document.documentElement;
        const opens = () => { if (root.dataset.live === 'on') window.opened ??= Date.now(); };
        new MutationObserver(opens).observe(root, { attributes: true });
        opens();
        new MutationObserver(look).observe(document.getElementById('main'), { subtree: true, childList: true });
      });
    });
    await page.goto(`${node.url}/executions/Ticker/seen-${round}?view=events`);
    await page.getByText(/succeeded/i).first().waitFor({ timeout: 60_000 });
    const seen = await page.evaluate(() => Object.values(window.first).filter(([, at]) => at >= window.opened).map(([seen, at]) => seen - at));
    await context.close();
    const late = percentile(seen, 0.95);
    console.log(`${seen.length} events: median ${percentile(seen, 0.5)} ms, p95 ${late} ms`);
    assert.ok(seen.length > 150, `only ${seen.length} events came while the page was open`);
    return late;
  });
  console.log(`${await stop()} runs of devices meanwhile`);
});

test('a page whose node is killed comes back and has missed nothing', async () => {
  const arn = await node.machine('Killed', ticker(12));
  await node.states.send(new StartExecutionCommand({ stateMachineArn: arn, name: 'run' }));
  const context = await chrome.newContext();
  const page = await open(context, node.url);
  await page.goto(`${node.url}/executions/Killed/run?view=events`);
  await page.waitForFunction(() => document.querySelectorAll('#run-events [data-item]').length > 6);
  await node.kill();
  await page.waitForFunction(() => document.documentElement.dataset.live === 'off');
  await node.restart();
  await page.waitForFunction(() => document.documentElement.dataset.live === 'on', null, { timeout: 20_000 });
  await page.getByText(/succeeded/i).first().waitFor({ timeout: 30_000 });
  const shown = await until('every event', async () => {
    const ids = await page.$$eval('#run-events [data-item]', (rows) => rows.map((row) => Number(row.dataset.item)));
    return ids.length > 40 && ids;
  });
  const sorted = [...shown].sort((a, b) => a - b);
  assert.deepEqual(sorted, sorted.map((_, index) => index + 1), 'ids without a gap');
  // a reload shows the same
  const before = await page.locator('#main').innerText();
  await page.reload();
  const strip = (text) => text.replaceAll(/\d+(\.\d+)? (ms|s|min)( ago)?/g, '');
  assert.equal(strip(await page.locator('#main').innerText()), strip(before));
  await context.close();
});
