// Runs a Node.js handler: asks the Runtime API for invocations and answers them, until it is ended.
//
// Started by stepwire, as `node bootstrap.mjs`. Source: AWS Lambda developer guide, "Runtime API".

import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const env = process.env;
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(":");
let current = "";

// One connection, one request at a time: `http` would take longer than the handler often does. When
// nobody is there any more, this process ends.
const socket = net.connect({ host, port: Number(port), noDelay: true });
socket.on("error", () => process.exit(0));
socket.on("close", () => process.exit(0));
let waiting = null;
let pieces = [];
let received = 0;
let wanted = 0;

function request(method, place, body = "", headers = {}) {
  const bytes = Buffer.from(body);
  let head = `${method} /2018-06-01/runtime${place} HTTP/1.1\r\nhost: ${host}:${port}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  head += `content-length: ${bytes.length}\r\n\r\n`;
  // It holds the process only while an answer is awaited.
  socket.ref();
  return new Promise((resolve) => {
    waiting = resolve;
    socket.write(Buffer.concat([Buffer.from(head, "latin1"), bytes]));
  });
}

socket.on("data", (piece) => {
  pieces.push(piece);
  received += piece.length;
  if (received < wanted) return;
  const all = pieces.length > 1 ? Buffer.concat(pieces, received) : piece;
  pieces = [all];
  const end = all.indexOf("\r\n\r\n");
  if (end < 0) return;
  const headers = {};
  for (const line of all.latin1Slice(0, end).split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  wanted = end + 4 + Number(headers["content-length"] ?? 0);
  if (received < wanted) return;
  const text = all.toString("utf8", end + 4, wanted);
  const resolve = waiting;
  [pieces, received, wanted, waiting] = [[], 0, 0, null];
  socket.unref();
  resolve?.([headers, text]);
});

function described(error, kind) {
  if (error instanceof Error || (error && error.stack && error.message !== undefined)) {
    return {
      errorType: kind ?? String(error.name),
      errorMessage: String(error.message),
      trace: String(error.stack).split("\n"),
    };
  }
  return { errorType: kind ?? typeof error, errorMessage: String(error), trace: [] };
}

function post(place, error) {
  console.error("Invoke Error", JSON.stringify(error));
  const headers = { "Lambda-Runtime-Function-Error-Type": encodeURIComponent(error.errorType) };
  return request("POST", place, JSON.stringify(error), headers);
}

function fault(name, message) {
  const error = new Error(message);
  error.name = name;
  return error;
}

// What Lambda's runtime offers handlers that answer piece by piece. It is refused, by name.
globalThis.awslambda = {
  streamifyResponse() {
    throw fault(
      "Runtime.StreamingNotAvailable",
      "response streaming (awslambda.streamifyResponse) is not available in stepwire yet: return the whole response",
    );
  },
};

// The function that `_HANDLER` names: `folder/file.export`, where an export may be nested.
async function handler() {
  const name = env._HANDLER;
  const [, file, exported] = /^((?:.*\/)?[^/.]+)\.(.+)$/.exec(name) ?? [];
  if (!file || name.includes("..")) {
    throw fault("Runtime.MalformedHandlerName", "Bad handler");
  }
  const whole = path.resolve(env.LAMBDA_TASK_ROOT, file);
  const found = ["", ".js", ".mjs", ".cjs"].map((end) => whole + end);
  const place = found.find((place) => fs.statSync(place, { throwIfNoEntry: false })?.isFile());
  if (!place) {
    throw fault("Runtime.ImportModuleError", `Error: Cannot find module '${file}'`);
  }
  let loaded;
  try {
    loaded = await import(pathToFileURL(place));
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw fault("Runtime.UserCodeSyntaxError", `SyntaxError: ${error.message}`);
    }
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") {
      throw fault("Runtime.ImportModuleError", `Error: ${error.message}`);
    }
    throw error;
  }
  const within = (start) => exported.split(".").reduce((value, key) => value?.[key], start);
  const made = within(loaded) ?? within(loaded.default);
  if (made === undefined) {
    throw fault("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  }
  if (typeof made !== "function") {
    throw fault("Runtime.HandlerNotFound", `${name} is not a function`);
  }
  return made;
}

function context(headers) {
  const client = headers["lambda-runtime-client-context"];
  const identity = headers["lambda-runtime-cognito-identity"];
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    callbackWaitsForEmptyEventLoop: true,
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: client ? JSON.parse(client) : undefined,
    identity: identity ? JSON.parse(identity) : undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

// Calls a handler in whichever of its styles it is written: async, or with a callback. A callback's
// answer counts once nothing is left to do, unless the handler says that it need not.
function call(made, event, about) {
  return new Promise((resolve, reject) => {
    let answer = [null, null];
    let answered = false;
    const settle = () => {
      process.off("beforeExit", settle);
      const [error, result] = answer;
      if (error === null || error === undefined) resolve(result);
      else reject(error);
    };
    // Whichever answers first counts. Only a callback without an error waits for what is under way.
    const answering = (waits) => (error, result) => {
      if (answered) return;
      answered = true;
      answer = [error, result];
      const failed = error !== null && error !== undefined;
      process.off("beforeExit", settle);
      if (failed || !waits()) setImmediate(settle);
      else process.on("beforeExit", settle);
    };
    const callback = answering(() => about.callbackWaitsForEmptyEventLoop !== false);
    const done = answering(() => false);
    Object.assign(about, {
      done,
      fail: (error) => done(error ?? "handled"),
      succeed: (result) => done(null, result),
    });
    process.on("beforeExit", settle);
    const returned = made(event, about, callback);
    if (typeof returned?.then === "function") {
      if (!answered) process.off("beforeExit", settle);
      returned.then(about.succeed, about.fail);
    }
  });
}

for (const [method, level] of Object.entries({
  log: "INFO", info: "INFO", debug: "DEBUG", warn: "WARN", error: "ERROR", trace: "TRACE",
})) {
  console[method] = (...values) => {
    const text = format(...values).replaceAll("\n", "\r");
    process.stdout.write(`${new Date().toISOString()}\t${current}\t${level}\t${text}\n`);
  };
}

async function died(error, kind) {
  if (waiting) {
    // Nothing is under way that could be answered.
    console.error("Invoke Error", JSON.stringify(described(error, kind)));
    process.exit(129);
  }
  await post(current ? `/invocation/${current}/error` : "/init/error", described(error, kind));
  process.exit(129);
}
process.on("uncaughtException", (error) => died(error));
process.on("unhandledRejection", (error) => died(error, "Runtime.UnhandledPromiseRejection"));

let made;
try {
  made = await handler();
} catch (error) {
  await post("/init/error", described(error));
  process.exit(1);
}
async function serve() {
  for (;;) {
    current = "";
    const [headers, event] = await request("GET", "/invocation/next");
    const about = context(headers);
    current = about.awsRequestId;
    env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"] ?? "";
    try {
      const result = await call(made, JSON.parse(event), about);
      const text = JSON.stringify(result === undefined ? null : result) ?? "null";
      await request("POST", `/invocation/${current}/response`, text);
    } catch (error) {
      await post(`/invocation/${current}/error`, described(error));
    }
  }
}
serve();
