// Runs a Node.js handler: asks the Runtime API for invocations and answers them, until it is ended.
//
// Started by stepwire, as `node bootstrap.mjs`. Source: AWS Lambda developer guide, "Runtime API".

import fs from "node:fs";
import module from "node:module";
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

function isError(error) {
  return error instanceof Error || Boolean(error && error.stack && error.message !== undefined);
}

// What helps those who miss the SDK that Lambda's own runtimes bring.
function hinted(message) {
  if (!/Cannot find (module|package) '(@aws-sdk\/|@smithy\/|aws-sdk)/.test(message)) return message;
  return `${message}\nhint: stepwire brings no AWS SDK: bundle it with the function, or start the node with \`--function-modules FOLDER\` after \`npm install --prefix FOLDER\` of what is missing`;
}

// An error as callers get it.
function described(error) {
  try {
    if (isError(error)) {
      return {
        errorType: String(error.name),
        errorMessage: hinted(String(error.message)),
        trace: String(error.stack).split("\n"),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    const message = "the error's name, message or stack cannot be read";
    return { errorType: "handled", errorMessage: message, trace: [] };
  }
}

// An error as the log gets it: what it has of its own, too.
function logged(error) {
  const shown = (_, value) => {
    if (!(value instanceof Error)) return value;
    const { name, message, code, stack } = value;
    const lines = typeof stack === "string" ? stack.split("\n") : stack;
    return { errorType: name, errorMessage: hinted(message), code, ...value, stack: lines };
  };
  try {
    return `\t${JSON.stringify(error, shown)}`;
  } catch {
    return `\t${JSON.stringify(described(error))}`;
  }
}

function logError(what, error) {
  const shown = error instanceof Error ? error : new Error(String(error));
  if (json) console.error(shown);
  else console.error(what, logged(shown));
}

function post(place, error) {
  const told = described(error);
  const headers = { "Lambda-Runtime-Function-Error-Type": encodeURIComponent(told.errorType) };
  return request("POST", place, JSON.stringify(told), headers);
}

function named(error, name) {
  Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  const [, ...frames] = error.stack.slice(error.stack.indexOf(error.message) + error.message.length).split("\n");
  error.stack = [`${name}: ${error.message}`, ...frames].join("\n");
  return error;
}

function fault(name, message) {
  return named(new Error(message), name);
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

// ES modules do not look into `NODE_PATH`. What they find nowhere else is looked for there: packages of
// layers, and those of `--function-modules`.
function fallBack() {
  const own = path.join(env.LAMBDA_TASK_ROOT, "node_modules");
  const places = (env.NODE_PATH ?? "").split(":").filter((place) => (
    path.basename(place) === "node_modules" && place !== own && fs.existsSync(place)
  ));
  if (places.length === 0) return;
  const parents = places.map((place) => pathToFileURL(path.join(place, "..", "_")).href);
  if (module.registerHooks) {
    module.registerHooks({
      resolve(name, context, next) {
        try {
          return next(name, context);
        } catch (error) {
          if (error?.code !== "ERR_MODULE_NOT_FOUND" || /^[./#]|^[a-z]+:/.test(name)) throw error;
          for (const parentURL of parents) {
            try {
              return next(name, { ...context, parentURL });
            } catch {
              // The next place may have it.
            }
          }
          throw error;
        }
      },
    });
    return;
  }
  const hook = `
    const parents = ${JSON.stringify(parents)};
    export async function resolve(name, context, next) {
      try {
        return await next(name, context);
      } catch (error) {
        if (error?.code !== "ERR_MODULE_NOT_FOUND" || /^[./#]|^[a-z]+:/.test(name)) throw error;
        for (const parentURL of parents) {
          try {
            return await next(name, { ...context, parentURL });
          } catch {}
        }
        throw error;
      }
    }`;
  module.register?.(`data:text/javascript,${encodeURIComponent(hook)}`);
}

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
  fallBack();
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
      if (!answered) {
        process.off("beforeExit", settle);
        // Nothing is left to do that could settle it.
        const unsettled = () => {
          if (answered) return;
          answered = true;
          reject(fault(
            "Runtime.NodeJsExit",
            "The asynchronous Lambda handler was prevented from completing because returned promise was never settled.",
          ));
        };
        process.once("beforeExit", unsettled);
        const settled = (how) => (value) => {
          process.off("beforeExit", unsettled);
          how(value);
        };
        returned.then(settled(about.succeed), settled(about.fail));
      } else {
        returned.then(about.succeed, about.fail);
      }
    }
  });
}

// A message of several lines is one event of the log: stepwire joins lines that begin with NUL to the
// one before.
const json = env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === "JSON";
const levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const lowest = Math.max(0, levels.indexOf(env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()));

function asMembers(error) {
  return {
    errorType: error.constructor?.name ?? "UnknownError",
    errorMessage: hinted(error.message),
    stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
  };
}

function jsonLine(level, values) {
  const line = { timestamp: new Date().toISOString(), level, requestId: current || undefined };
  const shown = (_, value) => (
    value instanceof Error ? { ...asMembers(value), ...value } : value
  );
  if (values.length === 1) {
    try {
      return JSON.stringify({ ...line, message: values[0] }, shown);
    } catch {
      return JSON.stringify({ ...line, message: format(values[0]) });
    }
  }
  const error = values.find((value) => value instanceof Error);
  const members = error ? asMembers(error) : {};
  return JSON.stringify({ ...line, message: format(...values), ...members });
}

for (const [method, level] of Object.entries({
  trace: "TRACE", debug: "DEBUG", info: "INFO", log: "INFO", warn: "WARN", error: "ERROR", fatal: "FATAL",
})) {
  const counts = levels.indexOf(level) >= lowest;
  console[method] = (...values) => {
    if (!counts) return;
    const text = json
      ? jsonLine(level, values)
      : `${new Date().toISOString()}\t${current}\t${level}\t${format(...values)}`;
    process.stdout.write(`${text.replaceAll("\n", "\n\0")}\n`);
  };
}

async function died(what, error, status) {
  logError(what, error);
  // Unless nothing is under way that could be answered.
  if (!waiting) await post(current ? `/invocation/${current}/error` : "/init/error", error);
  process.exit(status);
}
process.on("uncaughtException", (error) => died("Uncaught Exception", error, 129));
process.on("unhandledRejection", (reason, promise) => {
  const rejection = named(new Error(String(reason)), "Runtime.UnhandledPromiseRejection");
  Object.assign(rejection, { reason, promise });
  return died("Unhandled Promise Rejection", rejection, 128);
});

let made;
try {
  made = await handler();
} catch (error) {
  logError("Uncaught Exception", error);
  await post("/init/error", error);
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
      logError("Invoke Error", error);
      await post(`/invocation/${current}/error`, error);
    }
  }
}
serve();
