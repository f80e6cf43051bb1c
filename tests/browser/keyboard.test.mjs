// Pages are reached by keys.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Node, browser, open } from './support.mjs';

let chrome, node;

before(async () => {
  node = await Node.start();
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  await node?.stop();
});

test('keys lead to every page of the rail', async () => {
  const context = await chrome.newContext();
  const page = await open(context, node.url);
  await page.goto(node.url);
  for (const [key, path] of [['d', '/devices'], ['l', '/live'], ['r', '/rules'], ['w', '/workflows'], ['e', '/executions'], ['j', '/rollouts'], ['f', '/functions'], ['t', '/tables'], ['s', '/system'], ['o', '/']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.waitForURL(node.url + path);
  }
  await page.keyboard.press('?');
  assert.ok(await page.getByRole('dialog').isVisible());
  await page.keyboard.press('Escape');
  assert.ok(!(await page.getByRole('dialog').isVisible()));
  await context.close();
});
