// Leads the connections that a Node.js program opens to AWS to the stepwire node it was started for:
// for SDKs that know no AWS_ENDPOINT_URL, and for MQTT clients that were given an AWS endpoint.
//
// Loaded by NODE_OPTIONS=--require before the program. It works below HTTP, where connections are
// opened, so that requests are what they would have been: the Host header, and with it the signature,
// stays true. What is not for AWS is not touched. It prints nothing, and where it cannot do its work
// the program's own call is made as if this file were not there.
'use strict';

(() => {
  const MARK = Symbol.for('stepwire.capture');
  if (globalThis[MARK]) return;

  const where = read(process.env);
  if (!where) return;
  Object.defineProperty(globalThis, MARK, { value: true });

  const fs = require('fs');
  const net = require('net');
  const tls = require('tls');
  const { syncBuiltinESMExports } = require('module');

  const AWS = /(^|\.)(amazonaws\.com|amazonaws\.com\.cn|api\.aws)$/i;
  const IOT = /(^|\.)iot\.[a-z0-9-]+\.(amazonaws\.com|amazonaws\.com\.cn|api\.aws)$/i;
  // What SDKs put in front of an endpoint's name: the prefix of an operation's model.
  const PREFIX = /^[a-z0-9][a-z0-9-]{0,62}[-.]$/i;

  function read(env) {
    const address = (text) => {
      const found = /^(?:https?:\/\/)?(\[[^\]]+\]|[^:/]+):(\d+)\/?$/.exec(text || '');
      return found && { host: found[1].replace(/^\[|\]$/g, ''), port: Number(found[2]) };
    };
    const http = address(env.STEPWIRE_ENDPOINT);
    return http && {
      http, https: address(env.STEPWIRE_HTTPS), mqtts: address(env.STEPWIRE_MQTTS),
      ca: env.STEPWIRE_CA,
    };
  }

  const isAws = (host) => typeof host === 'string' && AWS.test(host);
  const isIot = (host) => typeof host === 'string' && IOT.test(host);

  /** `work()`, or undefined when it throws: nothing of ours may break the program. */
  function attempt(work) {
    try { return work(); } catch { return undefined; }
  }

  let authority;
  function ca() {
    if (authority === undefined) authority = attempt(() => fs.readFileSync(where.ca)) || null;
    return authority;
  }

  // --- TLS -------------------------------------------------------------------------------------

  const tlsConnect = tls.connect;

  /** The options and the callback that `tls.connect` was called with. */
  function given(args) {
    const callback = args.find((arg) => typeof arg === 'function');
    const objects = args.filter((arg) => arg && typeof arg === 'object');
    const options = Object.assign({}, ...objects);
    const [first, second] = args;
    if (typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first))) {
      options.port = Number(first);
      if (typeof second === 'string') options.host = second;
    }
    return { options, callback };
  }

  /** Where a TLS connection is led: to MQTT, to HTTPS or to plain HTTP; undefined: nowhere else. */
  function led({ options }) {
    if (options.path && !options.host) return undefined; // a socket of this machine
    const host = options.host || options.servername;
    if (!isAws(host)) return undefined;
    const port = Number(options.port) || 443;
    const alpn = JSON.stringify(alpnOf(options));
    const certificate = Boolean(options.cert || options.pfx || options.secureContext);
    if (isIot(host) && where.mqtts && (port === 8883 || /mqtt/.test(alpn))) return where.mqtts;
    if (certificate && (port === 8443 || /x-amzn-http-ca/.test(alpn) || isIot(host))) {
      return where.https || where.http;
    }
    return where.http;
  }

  function alpnOf({ ALPNProtocols }) {
    if (!ALPNProtocols) return [];
    if (ArrayBuffer.isView(ALPNProtocols)) return [Buffer.from(ALPNProtocols.buffer).toString()];
    return [].concat(ALPNProtocols).map(String);
  }

  function connect(...args) {
    const asked = attempt(() => given(args));
    const to = asked && attempt(() => led(asked));
    if (!to) return Reflect.apply(tlsConnect, this, args);
    const { options, callback } = asked;
    return to === where.http ? plain(options, callback, to) : secure(options, callback, to);
  }

  /** TLS to the node, which shows a certificate of its own authority whatever name was asked for. */
  function secure(options, callback, to) {
    const servername = options.servername || options.host;
    const led = {
      ...options, host: to.host, port: to.port, socket: undefined, path: undefined,
      servername: net.isIP(servername) ? undefined : servername,
      checkServerIdentity: (_, certificate) => tls.checkServerIdentity('localhost', certificate),
    };
    const own = ca();
    if (own && !options.secureContext) led.ca = own;
    return Reflect.apply(tlsConnect, tls, callback ? [led, callback] : [led]);
  }

  /** A connection without TLS that looks like one with it. */
  function plain(options, callback, to) {
    const socket = new net.Socket({ allowHalfOpen: Boolean(options.allowHalfOpen) });
    const answers = {
      encrypted: true, authorized: true, authorizationError: null, alpnProtocol: false,
      servername: options.servername || options.host,
      getPeerCertificate: () => ({}), getPeerX509Certificate: () => undefined,
      getCertificate: () => ({}), getProtocol: () => 'TLSv1.3', getSession: () => undefined,
      getTLSTicket: () => undefined, getCipher: () => ({ name: 'none', version: 'none' }),
      getEphemeralKeyInfo: () => ({}), getFinished: () => undefined,
      getPeerFinished: () => undefined, isSessionReused: () => false, setServername: () => {},
      setSession: () => {}, setMaxSendFragment: () => true, disableRenegotiation: () => {},
      enableTrace: () => {}, setKeyCert: () => {},
      exportKeyingMaterial: () => Buffer.alloc(0),
      renegotiate: (_, done) => (done && process.nextTick(done, null), true),
    };
    Object.assign(socket, answers);
    if (callback) socket.once('secureConnect', callback);
    socket.once('connect', () => {
      socket.emit('secure');
      socket.emit('secureConnect');
    });
    if (options.timeout) socket.setTimeout(options.timeout);
    if (options.signal) attempt(() => require('stream').addAbortSignal(options.signal, socket));
    const { keepAlive, keepAliveInitialDelay } = options;
    socket.connect({ ...to, noDelay: true, keepAlive, keepAliveInitialDelay });
    return socket;
  }

  // --- TCP -------------------------------------------------------------------------------------

  const socketConnect = net.Socket.prototype.connect;

  /** Where a plain connection is led, if anywhere: HTTP to AWS, and the node under a longer name. */
  function ledPlain(options) {
    const host = options && options.host;
    if (typeof host !== 'string') return undefined;
    const port = Number(options.port);
    if (port === 80 && isAws(host)) return where.http;
    const { http } = where;
    const longer = port === http.port && host.length > http.host.length && host.endsWith(http.host);
    return longer && PREFIX.test(host.slice(0, -http.host.length)) ? http : undefined;
  }

  function open(...args) {
    const led = attempt(() => {
      // `net` hands on what it was given as one array, marked as such: that stays the same array.
      const inner = Array.isArray(args[0]) ? args[0] : args;
      const found = typeof inner[0] === 'number'
        ? { port: inner[0], host: typeof inner[1] === 'string' ? inner[1] : undefined }
        : inner[0];
      const to = ledPlain(found);
      if (!to) return undefined;
      if (typeof inner[0] === 'number') return [to.port, to.host, ...inner.slice(2)];
      const options = { ...found, ...to };
      if (inner === args) return [options, ...args.slice(1)];
      inner[0] = options;
      return args;
    });
    return Reflect.apply(socketConnect, this, led || args);
  }

  // --- aws-crt: native code, which opens its connections itself ----------------------------------

  const dlopen = process.dlopen;

  /** Where an MQTT client of aws-crt is led. `localhost` is what the node's certificate names. */
  function ledNative(host, port) {
    if (!isIot(String(host))) return undefined;
    // A WebSocket needs TLS here: `serve --https`. Without it the attempt fails, and fails here.
    const to = Number(port) === 443 ? where.https || where.http : where.mqtts;
    return to && { host: to.host === '127.0.0.1' ? 'localhost' : to.host, port: to.port };
  }

  function replaced(binding, name, change) {
    const original = binding[name];
    if (typeof original !== 'function') return;
    binding[name] = function (...args) {
      return Reflect.apply(original, this, attempt(() => change([...args])) || args);
    };
  }

  function prepare(binding) {
    // 3.1.1: connection, client id, host, port, …; made before with whether it is a WebSocket
    const sockets = new WeakSet();
    const made = binding.mqtt_client_connection_new;
    if (typeof made === 'function') {
      binding.mqtt_client_connection_new = function (...args) {
        const handle = Reflect.apply(made, this, args);
        if (args[9]) attempt(() => sockets.add(handle));
        return handle;
      };
    }
    replaced(binding, 'mqtt_client_connection_connect', (args) => {
      const to = ledNative(args[2], sockets.has(args[0]) ? 443 : 8883);
      if (to) [args[2], args[3]] = [to.host, to.port];
      return args;
    });
    // 5: client, configuration, …
    replaced(binding, 'mqtt5_client_new', (args) => {
      const config = args[1];
      const to = ledNative(config.hostName, config.websocketHandshakeTransform ? 443 : 8883);
      if (to) args[1] = { ...config, hostName: to.host, port: to.port };
      return args;
    });
  }

  function load(module, filename, ...rest) {
    const result = Reflect.apply(dlopen, this, [module, filename, ...rest]);
    if (/aws-crt/.test(String(filename))) attempt(() => prepare(module.exports));
    return result;
  }

  attempt(() => {
    tls.connect = connect;
    net.Socket.prototype.connect = open;
    process.dlopen = load;
    syncBuiltinESMExports();
  });
})();
