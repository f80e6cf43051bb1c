// Checks documents of topics, a list on standard input, as a subscriber on Node does: `null` or what is wrong.

import MessageValidator from "sns-validator";

// The package takes certificates of Amazon's hosts unless it is told otherwise.
const validator = new MessageValidator(/^127\.0\.0\.1:\d+$/);

let text = "";
for await (const part of process.stdin) text += part;
const check = (document) =>
  new Promise((done) => validator.validate(document, (error) => done(error?.message ?? null)));
console.log(JSON.stringify(await Promise.all(JSON.parse(text).map(check))));
