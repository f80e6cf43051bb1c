// Every page: nothing wrong on it, readable by everybody, in both themes, wide and narrow, with and
// without script; and pictures of all of them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CreateJobCommand, DeleteThingCommand } from '@aws-sdk/client-iot';
import { StartExecutionCommand } from '@aws-sdk/client-sfn';

import { Node, browser, functions, isTooWide, open, profileService, shoot, until, violations } from './support.mjs';

const SIZES = { wide: { width: 1440, height: 940 }, laptop: { width: 1280, height: 720 }, phone: { width: 390, height: 844 } };
let chrome, node, profiles, pages;
const devices = [];

/** Jobs: of one the executions come to stand in every way, one is slow, one stops itself. */
const makeJobs = async () => {
  const named = (word) => `job-${word}`;
  const things = ['again', 'begun', 'canceled', 'done', 'failed', 'late', 'queued', 'refused', 'removed'].map(named);
  await node.things([...things, 'slow-1', 'slow-2', 'slow-3', 'slow-4', 'slow-5', 'slow-6', 'slow-7', 'slow-8', 'slow-9']);
  const failures = (failureType, more) => ({ criteriaList: [{ failureType, ...more }] });
  await node.job('every', things, {
    description: 'Firmware 1.2.3: the uplink no longer drops out after a night without messages',
    timeoutConfig: { inProgressTimeoutInMinutes: 60 },
    jobExecutionsRetryConfig: failures('FAILED', { numberOfRetries: 1 }),
    abortConfig: failures('ALL', { action: 'CANCEL', thresholdPercentage: 90, minNumberOfExecutedThings: 9 }),
  });
  const says = (word, status, more) => node.says(named(word), 'every', status, more);
  await says('late', 'IN_PROGRESS', { stepTimeoutInMinutes: 1, statusDetails: { step: 'reboot' } });
  await says('begun', 'IN_PROGRESS', { statusDetails: { step: 'download', progress: '40 %' } });
  await says('done', 'SUCCEEDED', { statusDetails: { version: '1.2.3' } });
  await says('again', 'FAILED');
  await says('again', 'SUCCEEDED');
  await says('failed', 'FAILED', { statusDetails: { reason: 'checksum' } });
  await says('failed', 'FAILED', { statusDetails: { reason: `the checksum differs: ${'0f'.repeat(100)}` } });
  await says('refused', 'REJECTED', { statusDetails: { reason: 'battery low' } });
  await node.ask('iot', 'PUT', `/things/${named('canceled')}/jobs/every/cancel`, {});
  await node.iot.send(new DeleteThingCommand({ thingName: named('removed') }));
  await node.iot.send(new CreateJobCommand({
    jobId: 'slow', document: '{"operation":"reboot"}', jobExecutionsRolloutConfig: { maximumPerMinute: 1 },
    targets: Array.from({ length: 9 }, (_, n) => `arn:aws:iot:us-east-1:000000000000:thing/slow-${n + 1}`),
  }));
  await node.job('stopped', ['job-begun', 'job-done', 'job-queued'], {
    abortConfig: failures('FAILED', { action: 'CANCEL', thresholdPercentage: 50, minNumberOfExecutedThings: 2 }),
  });
  for (const word of ['begun', 'done']) await node.says(named(word), 'stopped', 'FAILED');
};

/** The time limit of an execution is a minute, at least. */
const everyStatus = () => until('executions in every status', async () => {
  const details = Object.entries((await node.describeJob('every')).jobProcessDetails);
  return details.filter(([name]) => name.startsWith('numberOf')).every(([, number]) => number > 0);
}, 120_000);
const first = { rollout: everyStatus };

before(async () => {
  profiles = await profileService();
  node = await Node.start(['--http-allow', profiles.host, ...functions]);
  await node.example(profiles.url);
  const answers = [
    ({ operationId }) => ({ operationId, status: 'SUCCESS' }),
    () => undefined,
    ({ operationId }) => ({ operationId, status: 'FAILURE' }),
  ];
  for (const [index, answer] of answers.entries()) {
    devices.push(node.connect(await node.thing(`gw-${index}`), answer));
  }
  await makeJobs();
  await node.function('greet', { Description: 'Says hello', Environment: { Variables: { LANGUAGE: 'en' } }, MemorySize: 256 });
  for (const event of [{ name: 'gw-1' }, {}]) await node.invoke('greet', event);
  await node.machine('Several', {
    StartAt: 'Both',
    States: {
      Both: {
        Type: 'Parallel',
        Branches: [
          { StartAt: 'One', States: { One: { Type: 'Pass', End: true } } },
          { StartAt: 'Each', States: { Each: {
            Type: 'Map', ItemsPath: '$.items', End: true,
            ItemProcessor: { StartAt: 'Item', States: { Item: { Type: 'Pass', End: true } } },
          } } },
        ],
        Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Sorry' }],
        Next: 'Done',
      },
      Sorry: { Type: 'Fail', Error: 'Sorry' },
      Done: { Type: 'Succeed' },
    },
  });
  const several = node.configManagement.replace('ConfigManagement', 'Several');
  const input = JSON.stringify({ items: Array.from({ length: 40 }, (_, n) => ({ n })) });
  await node.states.send(new StartExecutionCommand({ stateMachineArn: several, name: 'many', input }));
  chrome = await browser();
  const context = await chrome.newContext();
  const page = await open(context, node.url);
  const hrefs = async (path) => {
    await page.goto(node.url + path);
    return page.$$eval('main a[href^="/executions/"]', (links) => links.map((link) => link.getAttribute('href')));
  };
  const runs = await until('three executions', async () => {
    const found = [...new Set((await hrefs('/executions?workflow=ConfigManagement')).map((href) => href.split(/[?#]/)[0]))];
    return found.length >= 3 && found;
  });
  pages = {
    overview: '/', devices: '/devices', device: '/devices/gw-1', live: '/live', rules: '/rules',
    rule: '/rules/StartCMStateMachine', workflows: '/workflows', workflow: '/workflows/ConfigManagement',
    editor: '/workflows/ConfigManagement/edit', 'editor-try': '/workflows/ConfigManagement/edit?state=InterpretResult#try', executions: '/executions',
    ...Object.fromEntries(runs.map((href, index) => [`execution-${index + 1}`, href])),
    'execution-several': '/executions/Several/many', functions: '/functions', function: '/functions/greet?environment=yes', tables: '/tables',
    table: '/tables/CMTaskTokens', system: '/system', open: '/open', search: '/search?q=gw', missing: '/devices/nobody',
    'device-jobs': '/devices/job-begun?tab=jobs', rollouts: '/rollouts', 'rollout-slow': '/rollouts/slow?cancel=yes',
    'rollout-stopped': '/rollouts/stopped?delete=yes', rollout: '/rollouts/every',
  };
  await context.close();
});

after(async () => {
  await chrome?.close();
  devices.forEach((device) => device.end(true));
  await node?.stop();
  profiles?.close();
});

for (const scheme of ['light', 'dark']) {
  test(`every page is in order in ${scheme}`, async () => {
    const wrongs = [];
    for (const [size, viewport] of Object.entries(SIZES)) {
      const context = await chrome.newContext({ viewport, colorScheme: scheme, reducedMotion: 'reduce' });
      for (const [name, path] of Object.entries(pages)) {
        await first[name]?.();
        const page = await open(context, node.url);
        const answer = await page.goto(node.url + path, { waitUntil: 'load' });
        const expected = name === 'missing' ? 404 : 200;
        if (answer.status() !== expected) wrongs.push(`${name}: answers ${answer.status()}`);
        if (await isTooWide(page)) wrongs.push(`${name} ${size}: scrolls sideways`);
        if (size !== 'laptop') {
          wrongs.push(...(await violations(page)).map((found) => `${name} ${size}: ${found}`));
        }
        await shoot(page, `${name}-${scheme}-${size}`);
        const found = page.wrongs.filter((wrong) => name !== 'missing' || !wrong.includes('404'));
        wrongs.push(...found.map((wrong) => `${name} ${size}: ${wrong}`));
        await page.close();
      }
      await context.close();
    }
    assert.deepEqual(wrongs, []);
  });
}

test('every page is readable without script', async () => {
  const context = await chrome.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  for (const [name, path] of Object.entries(pages)) {
    await page.goto(node.url + path);
    const text = await page.locator('main').innerText();
    assert.ok(text.trim().length > 20, `${name} says nothing without script`);
    const dead = await page.locator('main .js:visible').count();
    assert.equal(dead, 0, `${name} shows what needs script`);
  }
  await context.close();
});

test('no page sends more than it may', async () => {
  const context = await chrome.newContext();
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => { bytes += encodedDataLength; });
  for (const [name, path] of Object.entries(pages)) {
    await session.send('Network.clearBrowserCache');
    bytes = 0;
    await page.goto(node.url + path, { waitUntil: 'load' });
    assert.ok(bytes > 0 && bytes <= 40_000, `${name}: ${bytes} bytes`);
  }
  await context.close();
});
