// Calls AWS services at argv[2] for each line of standard input, `{"service", "operation", "input"}`,
// and answers it by a line. Bytes are written `{"$bytes": BASE64}`, in both directions.

import { createInterface } from "node:readline";

const clients = new Map();

async function client(service) {
  if (!clients.has(service)) {
    const sdk = await import(`@aws-sdk/client-${service}`);
    const Client = sdk[Object.keys(sdk).find((name) => /^[A-Za-z0-9]+Client$/.test(name))];
    const made = new Client({
      endpoint: process.argv[2],
      region: "us-east-1",
      credentials: { accessKeyId: "any", secretAccessKey: "any" },
      maxAttempts: 1,
    });
    clients.set(service, { sdk, made });
  }
  return clients.get(service);
}

const revive = (_, value) =>
  value?.$bytes === undefined ? value : Buffer.from(value.$bytes, "base64");

// A buffer becomes an object before a replacer sees it, so `this` is asked.
function replace(name, value) {
  const bytes = this[name];
  if (!(bytes instanceof Uint8Array)) return value instanceof Set ? [...value] : value;
  return { $bytes: Buffer.from(bytes).toString("base64") };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { service, operation, input } = JSON.parse(line, revive);
  try {
    const { sdk, made } = await client(service);
    const { $metadata, ...answer } = await made.send(new sdk[`${operation}Command`](input));
    console.log(JSON.stringify({ answer }, replace));
  } catch (error) {
    // What the query protocol calls the error; else its class is its name.
    const code = error.Code ?? error.Error?.Code ?? error.name;
    const status = error.$metadata?.httpStatusCode;
    console.log(JSON.stringify({ error: { code, status, message: error.message } }));
  }
}
