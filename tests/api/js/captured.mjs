// What a program does whose SDK knows no AWS_ENDPOINT_URL: each line of JSON is one thing done.
// Usage: node captured.mjs THING SFN IOT-DATA MQTT CERTIFICATE KEY
import { readFileSync } from 'node:fs';
import { get } from 'node:https';

const [, , thing, sfn, data, library, certificate, key] = process.argv;
const told = (name, value) => console.log(JSON.stringify({ [name]: value }));

const { SFNClient, ListStateMachinesCommand, ...states } = await import(sfn);
const client = new SFNClient({});
told('region', await client.config.region());
told('machines', (await client.send(new ListStateMachinesCommand({}))).stateMachines.length);
if (states.TestStateCommand) {
  // its model puts `sync-` in front of the endpoint
  const definition = '{"Type":"Pass","End":true}';
  const roleArn = 'arn:aws:iam::000000000000:role/any';
  told('tested', (await client.send(new states.TestStateCommand({ definition, roleArn }))).status);
}

const HOST = 'abcdefg-ats.iot.us-east-1.amazonaws.com';
const mqtt = (await import(library)).default;
const device = mqtt.connect({
  host: HOST, protocol: 'mqtts', clientId: thing, reconnectPeriod: 0,
  cert: readFileSync(certificate), key: readFileSync(key),
});
await new Promise((resolve, reject) => device.once('connect', resolve).once('error', reject));
await new Promise((resolve, reject) =>
  device.subscribe('a b/c', { qos: 1 }, (error) => (error ? reject(error) : resolve())));
const message = new Promise((resolve) => device.once('message', (_, payload) => resolve(String(payload))));
const { IoTDataPlaneClient, PublishCommand } = await import(data);
await new IoTDataPlaneClient({}).send(new PublishCommand({ topic: 'a b/c', qos: 1, payload: Buffer.from('hello') }));
told('received', await message);
device.end(true);

// What is no SDK's: sockets are led as well, and keep the name that was asked for.
const raw = await new Promise((resolve, reject) =>
  get(`https://states.us-east-1.amazonaws.com/`, (answer) => resolve(answer)).on('error', reject));
raw.resume();
told('raw', [raw.statusCode, raw.req.getHeader('host'), raw.socket.encrypted, raw.socket.authorized]);
told('fetched', (await fetch('https://states.us-east-1.amazonaws.com/')).status);
