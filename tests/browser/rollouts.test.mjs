// Rollouts by hand: a job is found, thinned out, canceled, tried again, deleted; with script and without. And what
// devices do while pages are open.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DescribeJobExecutionCommand, DeleteJobCommand, ListJobsCommand } from '@aws-sdk/client-iot';

import { Node, browser, open, press, until } from './support.mjs';

let chrome, node;

before(async () => {
  node = await Node.start();
  chrome = await browser();
});

after(async () => {
  await chrome?.close();
  await node?.stop();
});

/** So many things, whose names begin with `stem`. */
const things = async (stem, number) => {
  const names = Array.from({ length: number }, (_, at) => `${stem}-${at + 1}`);
  await node.things(names);
  return names;
};

const statusOf = async (jobId, thingName) => {
  const { execution } = await node.iot.send(new DescribeJobExecutionCommand({ jobId, thingName }));
  return execution.status;
};

const follow = async (page, link, url) => {
  await link.click();
  await page.waitForURL(url);
};

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'script' : 'plain';

  /** Acts on a page. `shows` waits until it says something, which without script it does when it is loaded again. */
  const visit = async (act) => {
    const context = await chrome.newContext({ javaScriptEnabled });
    const page = await open(context, node.url);
    page.removeAllListeners('dialog');
    page.on('dialog', (dialog) => dialog.accept());
    const holds = (what, check) => until(what, async () => {
      if (!javaScriptEnabled) await page.reload();
      return check();
    });
    const shows = (words) => holds(words, async () => (await page.locator('main').innerText()).includes(words));
    await act(page, shows, holds);
    assert.deepEqual(page.wrongs, []);
    await context.close();
  };
  const link = (page, name) => page.locator('main').getByRole('link', { name, exact: true });
  const chip = (page, name) => page.getByRole('navigation', { name: 'Status' }).getByRole('link', { name });

  test(`a job is found, an execution of it is canceled, then all of it, ${how}`, () => visit(async (page, shows, holds) => {
    const job = `update-${how}`;
    const [begun, first, second] = await things(job, 3);
    await node.job(job, [begun, first, second]);
    await node.says(begun, job, 'IN_PROGRESS', { statusDetails: { step: 'download' } });
    const [other] = await things(`reboot-${how}`, 1);
    await node.job(`reboot-${how}`, [other]);
    await node.says(other, `reboot-${how}`, 'SUCCEEDED');

    await page.goto(node.url);
    await follow(page, page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /Rollouts/ }), /\/rollouts$/);
    await link(page, job).waitFor();
    await follow(page, chip(page, /^Completed/), /status=COMPLETED/);
    await link(page, `reboot-${how}`).waitFor();
    assert.equal(await link(page, job).count(), 0, 'a job that goes on is not among those that are complete');
    await follow(page, chip(page, /^In progress/), /status=IN_PROGRESS/);
    assert.equal(await link(page, `reboot-${how}`).count(), 0);
    await follow(page, link(page, job), new RegExp(`/rollouts/${job}$`));

    await shows('step: download');
    await follow(page, chip(page, /^Queued/), /status=QUEUED/);
    assert.equal(await page.locator('main table tbody tr').count(), 2);
    await press(page, page.getByRole('button', { name: `Cancel ${job} on ${first}` }));
    assert.equal(await statusOf(job, first), 'CANCELED');
    assert.match(page.url(), /status=QUEUED/, 'the page is the same as before');
    await holds('the one that is left', async () => (await page.locator('main table tbody tr').count()) === 1);
    await follow(page, chip(page, /^All/), new RegExp(`/rollouts/${job}#executions-title$`));

    await follow(page, page.getByRole('link', { name: 'Cancel…' }), /cancel=yes/);
    await follow(page, page.getByRole('link', { name: 'Keep it' }), new RegExp(`/rollouts/${job}$`));
    await follow(page, page.getByRole('link', { name: 'Cancel…' }), /cancel=yes/);
    await page.getByRole('checkbox', { name: /executions in progress/ }).check();
    await page.getByLabel('Comment').fill('not <b>today</b>');
    await press(page, page.getByRole('button', { name: 'Cancel the job' }));
    await shows('“not <b>today</b>”');
    await holds('no execution that is pending', async () => (await page.locator('main table form').count()) === 0);
    assert.equal(await page.getByLabel('Comment').count(), 0, 'it asks no longer');
    const { status, comment, forceCanceled } = await node.describeJob(job);
    assert.deepEqual({ status, comment, forceCanceled }, { status: 'CANCELED', comment: 'not <b>today</b>', forceCanceled: true });
    for (const thing of [begun, second]) assert.equal(await statusOf(job, thing), 'CANCELED');
  }));

  test(`a job stops itself, what failed is tried again, the job is deleted, ${how}`, () => visit(async (page, shows, holds) => {
    const job = `broken-${how}`;
    const all = await things(job, 4);
    const rule = { failureType: 'FAILED', action: 'CANCEL', thresholdPercentage: 50, minNumberOfExecutedThings: 4 };
    await node.job(job, all, { abortConfig: { criteriaList: [rule] } });
    await page.goto(`${node.url}/rollouts/${job}`);
    await shows('Stops itself at 50 % FAILED of at least 4 devices, now 0 %');
    await node.says(all[0], job, 'FAILED');
    await shows('of at least 4 devices, now 25 %');
    await node.says(all[1], job, 'FAILED', { statusDetails: { reason: 'checksum' } });
    await shows('Canceled by its abort rule');
    await shows('Aborted: 2 of 4 things are FAILED');

    await press(page, page.getByRole('button', { name: 'Retry 2 failed' }));
    await page.waitForURL(new RegExp(`/rollouts/${job}-retry-1$`));
    await shows(`retry of ${job}`);
    const squares = page.getByRole('region', { name: 'Squares' }).getByRole('link');
    await holds('squares of two devices', async () => (await squares.count()) === 2);
    const { targets, abortConfig } = await node.describeJob(`${job}-retry-1`);
    assert.deepEqual(targets.map((arn) => arn.split('/').at(-1)).sort(), all.slice(0, 2));
    assert.deepEqual(abortConfig.criteriaList, [rule]);
    for (const thing of all.slice(0, 2)) {
      await until('a new execution', async () => (await statusOf(`${job}-retry-1`, thing).catch(() => '')) === 'QUEUED');
      await node.says(thing, `${job}-retry-1`, 'SUCCEEDED');
    }
    await shows('COMPLETED');

    await page.goto(`${node.url}/rollouts/${job}`);
    await follow(page, page.getByRole('link', { name: 'Delete…' }), /delete=yes/);
    await press(page, page.getByRole('button', { name: 'Delete', exact: true }));
    assert.equal(page.url(), `${node.url}/rollouts`);
    const gone = (wrong) => wrong.includes('404 (Not Found)'); // the page of the job was still open
    assert.ok(page.wrongs.splice(0).every(gone));
    await link(page, `${job}-retry-1`).waitFor();
    await holds('a list without it', async () => (await link(page, job).count()) === 0);
    const { jobs } = await node.iot.send(new ListJobsCommand({ maxResults: 250 }));
    assert.ok(!jobs.some(({ jobId }) => jobId === job), 'it is gone');
  }));
}

test('what devices do is seen on pages that are open', async () => {
  const [good, bad, late] = await things('live', 3);
  await node.job('live', [good, bad, late]);
  const context = await chrome.newContext();
  const show = async (path) => {
    const page = await open(context, node.url);
    await page.goto(node.url + path);
    await page.evaluate(() => { window.stays = true; });
    return page;
  };
  const job = await show('/rollouts/live');
  const list = await show('/rollouts');
  const device = await show(`/devices/${bad}?tab=jobs`);
  const square = async (thing) => (await job.locator(`#squares [data-item="${thing}"] a`).getAttribute('class')).split(' ');
  const number = (name) => job.getByRole('group', { name: 'Numbers' }).locator('.card', { hasText: new RegExp(`^${name}`) }).locator('b').innerText();
  const numbers = () => Promise.all(['Succeeded', 'In progress', 'Failed', 'Queued'].map(number));
  const are = (expected) => until(`numbers ${expected}`, async () => `${await numbers()}` === `${expected}`);
  const is = (thing, look) => until(`${thing} is ${look}`, async () => (await square(thing)).includes(look));
  const row = (page, words) => until(words, async () => (await page.locator('main table').innerText()).includes(words));

  await are([0, 0, 0, 3]);
  for (const thing of [good, bad, late]) await is(thing, 'hold');
  await row(device, 'QUEUED');
  await node.says(good, 'live', 'IN_PROGRESS');
  await is(good, 'run');
  await node.says(bad, 'live', 'IN_PROGRESS', { statusDetails: { step: 'flash' } });
  await is(bad, 'run');
  await are([0, 2, 0, 1]);
  await row(device, 'IN_PROGRESS');
  await row(device, 'step: flash');
  await node.says(good, 'live', 'SUCCEEDED');
  await node.says(bad, 'live', 'FAILED', { statusDetails: { reason: 'checksum' } });
  await is(good, 'ok');
  await is(bad, 'err');
  await is(late, 'hold');
  await are([1, 0, 1, 1]);
  await row(job, 'reason: checksum');
  await row(device, 'FAILED');
  await row(list, '1 of 3, 1 failed');
  await node.says(late, 'live', 'SUCCEEDED');
  await is(late, 'ok');
  await until('the end', async () => (await job.locator('h1').innerText()).includes('COMPLETED'));
  await job.getByRole('link', { name: 'Delete…' }).waitFor();
  await row(list, '2 of 3, 1 failed');
  for (const page of [job, list, device]) {
    assert.ok(await page.evaluate(() => window.stays), 'no page was loaded again');
    assert.deepEqual(page.wrongs, []);
  }
  await context.close();
});

test('a page whose job is deleted says so, once', async () => {
  const [thing] = await things('gone', 1);
  await node.job('gone', [thing]);
  const page = await open(await chrome.newContext(), node.url);
  await page.goto(`${node.url}/rollouts/gone`);
  await node.iot.send(new DeleteJobCommand({ jobId: 'gone', force: true }));
  await page.getByText('What this page shows is gone').waitFor({ timeout: 20_000 });
  const wrongs = page.wrongs.splice(0);
  assert.equal(wrongs.length, 1, wrongs.join('\n'));
  assert.match(wrongs[0], /404/);
  await page.context().close();
});
