// Somebody on call, without a mouse: finds a device, opens its failed run, reads the cause, redrives it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Node, browser, open, profileService, until } from './support.mjs';

let chrome, node, profiles, client;

before(async () => {
  profiles = await profileService();
  node = await Node.start(['--http-allow', profiles.host]);
  await node.example(profiles.url);
  profiles.answers(404); // not among the errors that are tried again
  client = node.connect(await node.thing('gw-42'), ({ operationId }) => ({ operationId, status: 'SUCCESS' }));
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  client?.end(true);
  await node?.stop();
  profiles?.close();
});

test('a failed run is found, understood and redriven by keys alone', async () => {
  const context = await chrome.newContext({ viewport: { width: 1280, height: 720 } });
  const page = await open(context, node.url);
  const keys = page.keyboard;
  await page.goto(node.url);
  await keys.press('/');
  await keys.type('gw-42');
  await keys.press('Enter');
  await page.waitForURL(/\/devices\/gw-42|\/search/);
  const main = page.locator('main');
  await until('the failed run', async () => /failed/i.test(await main.innerText()));
  // to the run: by rows, or by Tab
  const onRun = () => page.evaluate(() => /^\/executions\/ConfigManagement\//.test(document.activeElement?.getAttribute('href') ?? ''));
  for (let presses = 0; presses < 120 && !(await onRun()); presses += 1) await keys.press('Tab');
  assert.ok(await onRun(), 'no run can be reached by Tab');
  await keys.press('Enter');
  await page.waitForURL(/\/executions\/ConfigManagement\//);
  const text = await main.innerText();
  assert.match(text, /States\.Http\.StatusCode\.404/);
  assert.match(text, /3Party_GetUserProfileForDevice/);
  // the graph is walked by arrows
  const inGraph = () => page.evaluate(() => Boolean(document.activeElement?.closest?.('.asl')));
  for (let presses = 0; presses < 120 && !(await inGraph()); presses += 1) await keys.press('Tab');
  assert.ok(await inGraph(), 'the graph cannot be reached by Tab');
  const place = () => page.evaluate(() => document.activeElement.getBoundingClientRect().y);
  const above = await place();
  await keys.press('ArrowDown');
  assert.ok((await place()) > above, 'an arrow leads down');
  profiles.answers(200);
  page.removeAllListeners('dialog');
  page.on('dialog', (dialog) => dialog.accept());
  await keys.press('r');
  await until('the run that ends well', async () => /succeeded/i.test(await main.innerText()), 30_000);
  assert.deepEqual(page.wrongs, []);
  await context.close();
});
