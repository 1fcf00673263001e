/*
 * What somebody writes who wants events at Segment and has Node.js: a server
 * that gives each event of an upload to Segment's own SDK, and answers.  The
 * SDK keeps them in memory and posts them in batches.  bench-peers measures
 * it beside ctseg.
 *
 *     node server.mjs MODULES PORT SEGMENT
 *
 * MODULES is where npm put the SDK, PORT takes uploads, SEGMENT is the port
 * of Segment's side.
 */

import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const [ modules, port, segment ] = process.argv.slice(2);
const { Analytics } = createRequire(`${modules}/`)('@segment/analytics-node');

/*
 * The bound of bytes that the SDK has of its own does not hold (it counts
 * something else), so the number of events has to keep a batch below 500 KB:
 * 650 of these have some 470 KB.  The default are 15 events and 10 seconds.
 */

const analytics = new Analytics({
	writeKey: 'bench',
	host: `http://127.0.0.1:${segment}`,
	path: '/v1/batch',
	flushAt: 650,
	flushInterval: 1000,
});

/* without anybody who listens an event that is lost ends the process */

analytics.on('error', (error) => {
	console.error(`lost: ${error.code} ${error.reason ?? ''}`);
});

function collect(body) {
	let taken = 0;

	for (const record of JSON.parse(body).d) {
		if (record.type !== 'event' || !record.evtName) {
			continue;
		}

		analytics.track({
			userId: record.identity,
			event: record.evtName,
			properties: record.evtData,
			timestamp: new Date(record.ts * 1000),
		});
		taken++;
	}

	return taken;
}

function answer(response, status, value) {
	const text = `${JSON.stringify(value)}\n`;

	response.writeHead(status, {
		'Content-Type': 'application/json',
		'Content-Length': Buffer.byteLength(text),
	});
	response.end(text);
}

const server = createServer((request, response) => {
	const parts = [];

	request.on('data', (part) => parts.push(part));
	request.on('end', () => {
		try {
			answer(response, 200, { status: 'success',
				processed: collect(Buffer.concat(parts)) });

		} catch {
			answer(response, 400, { status: 'fail' });
		}
	});
});

server.keepAliveTimeout = 600000;
server.listen(Number(port), '127.0.0.1', 1024);

process.on('SIGQUIT', async () => {
	await analytics.closeAndFlush({ timeout: 5000 });
	process.exit(0);
});
