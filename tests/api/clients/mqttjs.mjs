// A device on MQTT.js: `node mqttjs.mjs LIBRARY URL CLIENT VERSION CA CERTIFICATE KEY`, where LIBRARY is
// `mqtt` or `mqtt4`. Does what the lines of its input say, and writes what happens: see test_clients.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [library, url, clientId, version, ca, certificate, key] = process.argv.slice(2);
const mqtt = createRequire(new URL("../js/", import.meta.url))(library);
const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
let client;

function connect({ clean, will, expiry }) {
  const protocolVersion = Number(version);
  client = mqtt.connect(url, {
    clientId,
    protocolVersion,
    clean,
    ca: readFileSync(ca),
    ...(certificate ? { cert: readFileSync(certificate), key: readFileSync(key) } : {}),
    reconnectPeriod: 0,
    ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: expiry ?? 0 } } : {}),
    ...(will ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1 } } : {}),
  });
  client.on("connect", (packet) => say({ event: "connected", present: packet.sessionPresent }));
  client.on("error", (error) => say({ event: "error", why: String(error) }));
  client.on("message", (topic, payload, { qos, retain }) =>
    say({ event: "message", topic, payload: payload.toString(), qos, retain }),
  );
}

const commands = {
  connect,
  subscribe: ({ topic, qos }) =>
    client.subscribe(topic, { qos }, (error, granted) =>
      say({ event: "subscribed", granted: granted?.[0]?.qos, why: error && String(error) }),
    ),
  publish: ({ topic, payload, qos, retain }) =>
    client.publish(topic, payload, { qos, retain }, (error) =>
      say({ event: "published", why: error && String(error) }),
    ),
  disconnect: () => client.end(false, {}, () => say({ event: "disconnected" })),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...how } = JSON.parse(line);
  commands[what](how);
}
