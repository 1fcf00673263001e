// A story in a real browser, told as TAP: what each t/browser/*.mjs shares.
//
//   node story.mjs URL ...          CTSEG_BROWSER=directory of node_modules
//
// The end checks what no story may forget: no error on the console, no request
// to another host, nothing that the policy of the page blocked.

import { createRequire } from 'node:module';

const require = createRequire(`${process.env.CTSEG_BROWSER}/x.js`);
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

export const [base, ...args] = process.argv.slice(2);
export const deadline = Number(process.env.CTSEG_BROWSER_DEADLINE || 15000);

let n = 0;
let failed = 0;
const wrong = [];
const allowed = [];

export function ok(value, name) {
  n++;
  if (!value) {
    failed++;
  }
  console.log(`${value ? 'ok' : 'not ok'} ${n} - ${name.replace(/#/g, '')}`);
  return !!value;
}

export function is(got, expected, name) {
  return ok(got === expected, name)
    || console.log(`#   got: ${JSON.stringify(got)}\n#   expected: ${JSON.stringify(expected)}`);
}

export function like(got, re, name) {
  return ok(re.test(got), name)
    || console.log(`#   got: ${JSON.stringify(got)}\n#   expected: ${re}`);
}

// errors on the console that a story provokes

export const allow = (re) => allowed.push(re);

export const browser = await chromium.launch({
  executablePath: process.env.CTSEG_CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
});

// options: those of a context, { clock: true } for a clock that the story
// moves, and { before: async (page) => {} } for what comes before the first load

export async function open(hash = '', { before, ...options } = {}) {
  const context = await browser.newContext({ locale: 'en-US',
    viewport: { width: 1360, height: 860 }, ...options });
  const page = await context.newPage();
  await before?.(page);
  if (options.clock) {
    await page.clock.install();
  }
  page.setDefaultTimeout(deadline);
  page.on('console', (message) => {
    if (message.type() === 'error' || /Content Security Policy/.test(message.text())) {
      wrong.push(`${message.text()} ${message.location().url}`);
    }
  });
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('dialog', (dialog) => {
    wrong.push(`a dialog of the browser: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(base).origin) {
      wrong.push(`a request to ${url.origin}`);
    }
  });
  await page.goto(base + hash);
  await page.locator('#zone:not(:empty)').waitFor();
  return page;
}

export async function accessible(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document,
    { resultTypes: ['violations'] }));
  const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
  ok(bad.length === 0, `${name}: accessible`);
  for (const v of bad) {
    console.log(`# ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((node) => `${node.html} ${node.any?.[0]?.message ?? ''}`).join('\n#   ')}`);
  }
}

export async function fits(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth
    - document.documentElement.clientWidth);
  ok(over <= 0, `${name}: nothing sticks out (${over})`);
}

// run the story, then the checks

export async function story(tell) {
  try {
    await tell();
  } catch (error) {
    ok(false, 'the story comes to its end');
    console.log(String(error.stack).replace(/^/mg, '# '));
    for (const context of browser.contexts()) {
      for (const page of context.pages()) {
        const text = await page.evaluate(() => document.body.innerText)
          .catch(() => '');
        console.log(text.slice(0, 1500).replace(/^/mg, '#   '));
      }
    }
  }
  const left = wrong.filter((text) => !allowed.some((re) => re.test(text)));
  ok(left.length === 0, 'no error, no other host, no breach of the policy');
  left.forEach((text) => console.log(`# ${text}`));
  console.log(`1..${n}`);
  await browser.close();
  process.exit(failed ? 1 : 0);
}
