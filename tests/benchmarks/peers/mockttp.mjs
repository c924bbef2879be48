// Mockttp with the same mocked answers as mockrec's benchmark rules.
//
//   node mockttp.mjs --modules DIR [--record FILE] [--payload FILE]
//
// --modules  the folder that holds node_modules/mockttp (this file lives outside of it)
// --record   write every event as one JSON line, as somebody who wants a log would do:
//            a listener for each type, body text included, one buffered stream. Without it: no listener.
// --payload  the text that POST /upload answers with
// --tls      speak TLS as well, with an authority made at the start
// --proxy    pass every request on
// --echo     echo WebSocket messages
// --max-body bytes of a body that are kept
//
// When ready the port is printed on stdout. SIGTERM stops the server, flushes the log and then
// prints {"events": N}: what was recorded, so that a log that is cut short can be noticed.

import { createWriteStream, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Server } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
    options: {
        modules: { type: 'string' },
        record: { type: 'string' },
        payload: { type: 'string' },
        tls: { type: 'boolean' },
        proxy: { type: 'boolean' },
        echo: { type: 'boolean' },
        'max-body': { type: 'string' },
    },
});

const require = createRequire(join(resolve(options.modules), 'package.json'));
const mockttp = require('mockttp');

// Mockttp listens on every interface and has no option for it; benchmarks stay on loopback.
const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
    return listen.call(this, port, '127.0.0.1', ...rest);
};

// Explicit headers switch Mockttp's own framing off: without a content-length it would close the
// connection after every answer, and a keep-alive benchmark would measure connecting.
const answer = (text, type) => [
    200,
    text,
    { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) },
];

// recordTraffic keeps every exchange in memory for assertions; a long run would measure that.
const settings = { recordTraffic: false };
if (options.tls) {
    settings.https = await mockttp.generateCACertificate();
    settings.http2 = true;
}
if (options['max-body']) settings.maxBodySize = Number(options['max-body']);
const server = mockttp.getLocal(settings);
await server.start(0);

// A rule that answers by itself would win over the one that passes on, once that has been used.
if (options.proxy) await server.forAnyRequest().thenPassThrough();
else await server.forGet('/hello').thenReply(...answer('Hello', 'text/plain'));
if (options.echo) await server.forAnyWebSocket().thenEcho();
if (options.payload) {
    const payload = readFileSync(options.payload, 'utf8');
    await server.forPost('/upload').thenReply(...answer(payload, 'application/json'));
}

let events = 0;
let log;
const pending = new Set();

async function write(type, event) {
    const record = { type, ...event };
    // A body is an object with accessors: a log of it holds its text.
    if (event.body) record.body = await event.body.getText();
    if (event.content) record.content = Buffer.from(event.content).toString(event.isBinary ? 'base64' : 'utf8');
    events += 1;
    log.write(JSON.stringify(record) + '\n');
}

if (options.record) {
    log = createWriteStream(options.record, { highWaterMark: 1 << 20 });
    const sockets = ['request', 'accepted', 'message-received', 'message-sent', 'close'].map((name) => `websocket-${name}`);
    const types = options.echo ? [...sockets, 'abort'] : ['request-initiated', 'request', 'response', 'abort'];
    for (const type of types) {
        await server.on(type, (event) => {
            const written = write(type, event).finally(() => pending.delete(written));
            pending.add(written);
        });
    }
}

process.once('SIGTERM', async () => {
    await server.stop();
    await Promise.all(pending);
    if (log) await new Promise((done) => log.end(done));
    console.log(JSON.stringify({ events }));
    process.exit(0);
});

console.log(server.port);
