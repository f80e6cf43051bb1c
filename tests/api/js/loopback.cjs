// Every name that ends in `.localhost` is this machine, as RFC 6761 has it; not every system knows.
const dns = require("node:dns");
const { lookup } = dns;
dns.lookup = (name, options, done) =>
  lookup(name.endsWith(".localhost") ? "127.0.0.1" : name, options, done);
