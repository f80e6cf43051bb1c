// The events that keep pages current, as a browser gets them: by their ids a page goes on without a gap.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DescribeExecutionCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';

import { Node, until } from './support.mjs';

let node;
let ended; // address of a run that has ended
let machine;

const pass = { StartAt: 'End', States: { End: { Type: 'Pass', End: true } } };
const slow = {
  StartAt: 'Wait',
  States: { Wait: { Type: 'Wait', Seconds: 1, Next: 'Again' }, Again: { Type: 'Wait', Seconds: 600, End: true } },
};

/** Runs `machine` and waits until it has ended; how many commits that takes does not matter. */
const run = async (name) => {
  const { executionArn } = await node.states.send(new StartExecutionCommand({ stateMachineArn: machine, name }));
  await until('an end', async () => {
    const { status } = await node.states.send(new DescribeExecutionCommand({ executionArn }));
    return status === 'SUCCEEDED';
  });
};

before(async () => {
  node = await Node.start();
  machine = await node.machine('Quick', pass);
  await run('first');
  ended = '/executions/Quick/first';
});
after(() => node.stop());

const pageOf = async (address) => (await fetch(node.url + address, { headers: { accept: 'text/html' } })).text();

/** Where the page at `address` is live, as it says itself. */
const liveOf = async (address) => {
  const page = await pageOf(address);
  return page.match(/data-live="([^"]+)"/)[1].replaceAll('&amp;', '&');
};

/** A stream of events: `next(ms)` is the next one, or undefined if none comes in that time. */
class Stream {
  static async open(live, last) {
    const stream = new Stream();
    stream.aborter = new AbortController();
    const headers = last === undefined ? {} : { 'last-event-id': last };
    const answer = await fetch(node.url + live, { headers, signal: stream.aborter.signal });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'text/event-stream');
    stream.reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    stream.text = '';
    return stream;
  }

  async next(ms = 10_000) {
    const end = Date.now() + ms;
    for (;;) {
      const at = this.text.indexOf('\n\n');
      if (at >= 0) {
        const fields = this.text.slice(0, at).split('\n').map((line) => line.match(/^(\w*): ?(.*)$/).slice(1));
        this.text = this.text.slice(at + 2);
        const event = Object.fromEntries(fields);
        this.retry = event.retry ?? this.retry;
        if (event.event) return event;
        continue;
      }
      this.reading ??= this.reader.read();
      let timer;
      const late = new Promise((done) => { timer = setTimeout(done, Math.max(0, end - Date.now()), 'late'); });
      const read = await Promise.race([this.reading, late]);
      clearTimeout(timer);
      if (read === 'late') return undefined;
      this.reading = undefined;
      if (read.done) return undefined;
      this.text += read.value;
    }
  }

  close() {
    this.aborter.abort();
    this.reading?.catch(() => {});
  }
}

const position = async () => {
  const page = await pageOf('/system');
  return Number(page.match(/the last at position <b>([\d,]+)<\/b>/)[1].replaceAll(',', ''));
};

/** The ids of events that a run's page gets until `Again` waits, and the page's live address. */
const watched = async (name) => {
  const arn = await node.machine(name, slow);
  await node.states.send(new StartExecutionCommand({ stateMachineArn: arn, name: 'run' }));
  const live = await liveOf(`/executions/${name}/run`);
  const stream = await Stream.open(live);
  const ids = [];
  for (let shown = ''; !shown.includes('Again');) {
    const event = await stream.next();
    assert.ok(event, `no event told that Again waits; ${shown}`);
    assert.equal(event.event, 'parts');
    ids.push(event.id);
    shown += JSON.stringify(JSON.parse(event.data).regions ?? []);
  }
  stream.close();
  return { live, ids };
};

test('the id of an event is the position of a commit', async () => {
  const began = await position();
  const { ids } = await watched('Positions');
  const ends = await position();
  for (const id of ids) assert.match(id, /^\d+$/);
  const numbers = ids.map(Number);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.ok(numbers.every((id) => began < id && id <= ends), `${began} < ${ids} <= ${ends}`);
});

test('a page that comes back is sent nothing while what it shows is as it was', async () => {
  const live = await liveOf(ended);
  const other = await Stream.open(live); // as long as a page is open, changes are remembered
  const last = String(await position());
  await run('meanwhile');
  assert.ok(await position() > Number(last));
  for (const [address, id] of [[live, last], [`${live}&since=${last}`, undefined]]) {
    const stream = await Stream.open(address, id);
    assert.equal(await stream.next(700), undefined);
    assert.equal(stream.retry, '1000', 'when to ask again');
    stream.close();
  }
  other.close();
});

test('a page that comes back is sent what it has missed, as a whole', async () => {
  const { live, ids } = await watched('Missed');
  const before = String(Number(ids[0]) - 1);
  for (const [address, id] of [[live, before], [`${live}&since=${before}`, undefined], [live, 'something'], [live, '']]) {
    const stream = await Stream.open(address, id);
    const event = await stream.next();
    assert.ok(event, `nothing was sent after ${id ?? address}`);
    assert.ok(Number(event.id) >= Number(ids.at(-1)), `${event.id} >= ${ids.at(-1)}`);
    const { regions } = JSON.parse(event.data);
    assert.ok(regions.length > 1 && JSON.stringify(regions).includes('Again'));
    stream.close();
  }
});

test('a position of the future is none of this node', async () => {
  const stream = await Stream.open(await liveOf(ended), String(await position() + 1_000));
  assert.ok(await stream.next());
  stream.close();
});

test('after kill -9 positions go on, and a page that comes back is sent all of it', async () => {
  const { live, ids } = await watched('Killed');
  const last = ids.at(-1);
  await node.kill();
  await node.restart();
  assert.ok(await position() >= Number(last));
  const stream = await Stream.open(live, last);
  const event = await stream.next();
  assert.ok(event, 'what a process knew that is gone may stand on the page');
  assert.ok(Number(event.id) >= Number(last), `${event.id} >= ${last}`);
  assert.ok(JSON.parse(event.data).regions.length > 1);
  stream.close();
  const { ids: later } = await watched('Later');
  assert.ok(Number(later[0]) > Number(event.id));
});
