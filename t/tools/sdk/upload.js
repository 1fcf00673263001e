/*
 * What a customer's server does with the SDK: events and profiles by upload().
 * Prints the answers as JSON.
 */

'use strict';

const CleverTap = require('clevertap');

const [ account, passcode, region, records ] = process.argv.slice(2);
const client = CleverTap.init(account, passcode, CleverTap.REGIONS[region]);

client.upload(JSON.parse(records), { batchSize: 3 }, (answers) => {
	console.log(JSON.stringify(answers));
});
