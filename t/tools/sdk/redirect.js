/*
 * The environment of a program that talks to api.clevertap.com: preloaded by
 * NODE_OPTIONS, it leads connections to that domain to a port of 127.0.0.1, as
 * a name server and a firewall may.  Names, TLS and certificates stay as they
 * are; any other name leads nowhere.
 */

'use strict';

const tls = require('tls');

const port = Number(process.env.CTSEG_SDK_PORT);
const connect = tls.connect;

tls.connect = function (options, ...rest) {
	if (!/^(\w+\.)?api\.clevertap\.com$/.test(options.host)) {
		throw new Error('who is ' + options.host + '?');
	}
	const there = { servername: options.host, ...options,
		host: '127.0.0.1', port };
	return connect.call(this, there, ...rest);
};
