// What the browser tests share: a node with the example in it, devices, a browser that notes whatever
// a page does that it should not.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import {
  AttachPolicyCommand, AttachThingPrincipalCommand, CreateJobCommand, CreateKeysAndCertificateCommand,
  CreatePolicyCommand, CreateThingCommand, DescribeJobCommand, IoTClient,
} from '@aws-sdk/client-iot';
import { CreateStateMachineCommand, ListStateMachinesCommand, SFNClient } from '@aws-sdk/client-sfn';
import mqtt from 'mqtt';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const repository = join(here, '..', '..');
export const target = process.env.CARGO_TARGET_DIR ?? join(repository, 'target');
export const screenshots = join(target, 'screenshots');
const require = createRequire(import.meta.url);
export const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const CHROMIUM = process.env.CHROMIUM
  ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const STEPWIRE = process.env.STEPWIRE ?? join(target, 'debug', 'stepwire');
const ROLE = 'arn:aws:iam::000000000000:role/stepwire';
/** What a node is started with that runs the functions in the folder `functions`. */
export const functions = ['--code-folder', `functions=${join(here, 'functions')}`];
const aws = { region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' } };

/** Waits until `check` gives something, at most `ms`. */
export const until = async (what, check, ms = 20_000) => {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 25));
  }
};

/** A `stepwire serve` with a data folder of its own; the same again after `restart`. */
export class Node {
  static async start(options = []) {
    const node = new Node();
    node.folder = mkdtempSync(join(tmpdir(), 'stepwire-browser-'));
    node.options = options;
    node.http = node.mqtts = '127.0.0.1:0';
    await node.#run();
    return node;
  }

  /** The node of a demo, whose `devices` begin to connect now. */
  static async demo(devices) {
    const node = new Node();
    node.folder = mkdtempSync(join(tmpdir(), 'stepwire-browser-'));
    const where = ['--data', join(node.folder, 'data'), '--http', '127.0.0.1:0', '--mqtts', '127.0.0.1:0'];
    node.#spawn(['demo', '--devices', String(devices), ...where]);
    await until('a fleet', () => /^fleet .*$/m.test(node.log), 120_000);
    node.#reached(node.log.match(/console +(\S+)/)[1].replace(/\/$/, ''));
    const { stateMachines } = await node.states.send(new ListStateMachinesCommand({}));
    node.configManagement = stateMachines[0].stateMachineArn;
    return node;
  }

  #spawn(command) {
    this.process = spawn(STEPWIRE, command, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((done) => this.process.once('exit', done));
    this.log = '';
    this.process.stderr.on('data', (text) => { this.log += text; });
  }

  #reached(url) {
    this.url = url;
    this.http = new URL(url).host;
    this.iot = new IoTClient({ ...aws, endpoint: url });
    this.states = new SFNClient({ ...aws, endpoint: url });
  }

  async #run() {
    const data = join(this.folder, 'data');
    const named = ['serve', '--data', data, '--http', this.http, '--mqtts', this.mqtts];
    this.#spawn([...named, ...this.options]);
    let out = '';
    this.process.stdout.on('data', (text) => { out += text; });
    const ready = await until(`a node that is ready; ${this.log}`, () => out.match(/^ready .*$/m), 60_000);
    this.#reached(ready[0].match(/http=(\S+)/)[1]);
    this.mqtts = ready[0].match(/mqtts=mqtts:\/\/(\S+)/)[1].replace('localhost', '127.0.0.1');
    this.mqtt = ready[0].match(/mqtt=mqtt:\/\/(\S+)/)?.[1].replace('localhost', '127.0.0.1');
    this.ca = readFileSync(join(data, 'ca.pem'));
  }

  /** Ends it as a power cut would. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** Starts it again, at the same addresses. */
  async restart() {
    await this.#run();
  }

  async stop() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A state machine's ARN. */
  async machine(name, definition, more = {}) {
    const text = typeof definition === 'string' ? definition : JSON.stringify(definition);
    const input = { name, definition: text, roleArn: ROLE, ...more };
    return (await this.states.send(new CreateStateMachineCommand(input))).stateMachineArn;
  }

  /** An AWS request that the SDKs here have no client for, or would not send as it is. */
  async ask(service, method, path, body, headers = {}) {
    const authorization = `AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/${service}/aws4_request, `
      + `SignedHeaders=host, Signature=${'0'.repeat(64)}`;
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    const text = await answer.text();
    return text ? JSON.parse(text) : {};
  }

  rule(name, payload) {
    return this.ask('iot', 'POST', `/rules/${encodeURIComponent(name)}`, payload);
  }

  target(service, prefix, operation, body) {
    const headers = { 'x-amz-target': `${prefix}.${operation}`, 'content-type': 'application/x-amz-json-1.0' };
    return this.ask(service, 'POST', '/', body, headers);
  }

  /** A function whose code is the folder of its name in `functions`. */
  async function(FunctionName, more = {}) {
    const code = { Runtime: 'nodejs20.x', Handler: 'index.handler', Code: { S3Bucket: 'functions', S3Key: FunctionName } };
    const body = { FunctionName, Role: ROLE, ...code, ...more };
    return this.ask('lambda', 'POST', '/2015-03-31/functions', body);
  }

  /** What a function answers. */
  invoke(name, event) {
    return this.ask('lambda', 'POST', `/2015-03-31/functions/${name}/invocations`, event);
  }

  /** Things, by name, without certificates. */
  async things(names) {
    for (const thingName of names) await this.iot.send(new CreateThingCommand({ thingName }));
  }

  /** A job for things; they have been told of it. */
  async job(jobId, things, more = {}) {
    const targets = things.map((name) => `arn:aws:iot:us-east-1:000000000000:thing/${name}`);
    await this.iot.send(new CreateJobCommand({ jobId, targets, document: '{"operation":"reboot"}', ...more }));
    const told = async () => (await this.describeJob(jobId)).jobProcessDetails.numberOfQueuedThings === things.length;
    await until(`executions of ${jobId}`, told);
  }

  async describeJob(jobId) {
    return (await this.iot.send(new DescribeJobCommand({ jobId }))).job;
  }

  /** What a thing says of its execution of a job. */
  says(thing, job, status, more = {}) {
    return this.ask('iot-jobs-data', 'POST', `/things/${thing}/jobs/${job}`, { status, ...more });
  }

  /** Puts the example in, with a profile service at `profiles`. */
  async example(profiles) {
    const file = (name) => readFileSync(join(repository, 'examples/config-management', name), 'utf8');
    await this.target('dynamodb', 'DynamoDB_20120810', 'CreateTable', file('table.json'));
    const definition = file('config_management.asl.json').replaceAll('${ProfileEndpoint}', profiles);
    this.configManagement = await this.machine('ConfigManagement', definition);
    for (const name of ['StartCMStateMachine', 'CompleteConfiguration']) {
      await this.rule(name, file(`rules/${name}.json`));
    }
    const policyDocument = file('policy.json');
    await this.iot.send(new CreatePolicyCommand({ policyName: 'ConfigManagementDevice', policyDocument }));
  }

  /** A thing with a certificate. */
  async thing(thingName, attributes = { profileId: 'owner' }) {
    await this.iot.send(new CreateThingCommand({ thingName, attributePayload: { attributes } }));
    const made = await this.iot.send(new CreateKeysAndCertificateCommand({ setAsActive: true }));
    const target = made.certificateArn;
    await this.iot.send(new AttachPolicyCommand({ policyName: 'ConfigManagementDevice', target }));
    await this.iot.send(new AttachThingPrincipalCommand({ thingName, principal: target }));
    return { name: thingName, cert: made.certificatePem, key: made.keyPair.PrivateKey };
  }

  /** Connects a thing. `answer` makes of a request what the device says; `undefined` is silence. */
  connect({ name, cert, key }, answer = () => undefined) {
    const client = mqtt.connect(`mqtts://${this.mqtts}`, {
      clientId: name, cert, key, ca: this.ca, clean: true, reconnectPeriod: 0, protocolVersion: 4,
    });
    client.on('connect', () => client.subscribe(`devices/${name}/config_req`, { qos: 1 }));
    client.on('message', (_, payload) => {
      const said = answer(JSON.parse(payload));
      if (said !== undefined) client.publish(`devices/${name}/config_resp`, JSON.stringify(said), { qos: 1 });
    });
    client.on('error', () => {});
    return client;
  }
}

/** A third party's profile service; its answers can be set. */
export const profileService = async () => {
  let status = 200;
  const server = createServer((request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ desiredTemperature: 21.5 }));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const host = `127.0.0.1:${server.address().port}`;
  return { host, url: `http://${host}`, answers: (code) => { status = code; }, close: () => server.close() };
};

/** Chromium, which asks nobody but the node. */
export const browser = () => chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

/** A page that notes errors, and requests to anywhere but `origin`. */
export const open = async (context, origin) => {
  const page = await context.newPage();
  page.wrongs = [];
  page.on('console', (message) => {
    if (message.type() === 'error') page.wrongs.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.wrongs.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    page.wrongs.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith('data:')) page.wrongs.push(`external: ${url}`);
  });
  return page;
};

/** What axe finds against WCAG 2 A and AA. */
export const violations = async (page) => {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'],
  }));
  return found.violations.map(({ id, nodes }) =>
    `${id}: ${nodes.map((node) => node.target.join(' ')).slice(0, 4).join(', ')}`);
};

/** Whether the page as a whole scrolls sideways. */
export const isTooWide = (page) => page.evaluate(() => {
  const root = document.documentElement;
  return root.scrollWidth > root.clientWidth || document.body.scrollWidth > root.clientWidth;
});

/** Presses a button that sends its form, and waits for the page that answers. */
export const press = (page, button) => Promise.all([page.waitForEvent('load'), button.click()]);

/** Writes a picture of the page into the folder that people flip through. */
export const shoot = async (page, name) => {
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
};

/** The value below which `share` of `values` are. */
export const percentile = (values, share) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
};
