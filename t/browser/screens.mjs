// How the page looks and how it bears trouble: each screen in light and dark
// and on a phone, names that are markup, a thousand exports, a lost
// connection, a server that is busy, and an API that is read-only.

import { accessible, allow, base, fits, is, like, ok, open, story } from './driver.mjs';

allow(/status of (400|503)|ERR_FAILED|net::/);  // what the story provokes

const screens = async (page, id, each) => {
  for (const [hash, ready] of [['exports', '#export-rows tr'], [`exports/${id}`, '#run-rows tr'], ['partners', '#partner-rows tr'], ['status', '.tile']]) {
    await page.evaluate((to) => { location.hash = to; }, hash);
    await page.locator(ready).first().waitFor();
    await each(hash.replace(id, 'one'));
  }
};

story(async () => {
  const list = await (await fetch(`${base}api/exports?status=DONE`)).json();
  const id = list.items.at(-1).id;

  // ---- the first load ----

  const page = await open();
  await page.locator('#export-rows tr').first().waitFor();
  const load = await page.evaluate(() => [performance.getEntriesByType('navigation')[0],
    ...performance.getEntriesByType('resource')].map((e) => ({ name: e.name, size: e.transferSize, start: e.startTime, end: e.responseEnd, kind: e.initiatorType })));
  const bytes = load.filter((e) => !/\/api\//.test(e.name)).reduce((n, e) => n + e.size, 0);
  ok(bytes > 10000 && bytes < 60000, `the first load has ${bytes} bytes`);
  console.log(`# the first load has ${bytes} bytes in ${load.length} answers`);
  const asked = load.filter((e) => /\/api\//.test(e.name)).map((e) => e.name.replace(/.*\/api\//, ''));
  const needs = ['exports', 'partners?per_page=40', 'status', 'catalog'];
  ok(needs.every((name) => asked.includes(name)), 'all data is asked for');

  // none is answered before the last one is asked for, so a question that
  // waits for an answer is never asked

  const missing = new Set(needs);
  const once = await open('', { before: (next) => {
    const held = [];
    return next.route(/\/api\//, (route) => {
      missing.delete(route.request().url().replace(/.*\/api\//, ''));
      held.push(route);
      if (missing.size === 0) {
        held.splice(0).forEach((each) => each.continue());
      }
    });
  } }).catch(() => null);
  ok(once, `... at once, before the first answer ${[...missing].join(' ')}`);
  await once?.context().close();

  // ---- many exports ----

  is(await page.locator('#export-rows tr').count(), 20, 'a page of a thousand exports has 20 rows');
  like(await page.locator('#page-info').innerText(), /1–20 of 1,0\d\d/, '... and says so');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('21–40 of').waitFor();
  await page.locator('#per-page').selectOption('40');
  await page.getByText(/^1–40 of/).waitFor();
  is(await page.locator('#export-rows tr').count(), 40, '40 items per page');
  await page.evaluate(() => { location.hash = 'exports?page=26&per_page=40'; });
  await page.getByText(/1,001–1,0\d\d of/).waitFor();
  ok(await page.getByRole('button', { name: 'Next' }).isDisabled(), 'the last page is the last');
  await page.getByRole('button', { name: 'Previous' }).click();
  await page.getByText('961–1,000 of').waitFor();
  await page.evaluate(() => { location.hash = 'exports?exported_from=nonsense'; });
  await page.locator('#filter .error').getByText(/exported_from/).waitFor();
  ok(true, 'a wrong filter in the address is told');
  await page.locator('#filter-reset').click();

  // ---- text is text ----

  for (const hash of ['exports', `exports/${id}`, 'partners']) {
    await page.evaluate((to) => { location.hash = to; }, hash);
    await page.getByText('<img src=x onerror=').locator('visible=true').first().waitFor();
    is(await page.locator('img').count(), 0, `${hash.replace(id, 'one')}: a name is text`);
  }
  await page.evaluate((to) => { location.hash = to; }, `exports/${id}`);
  await page.locator('#rejected-rows strong').getByText('<b onclick=').first().waitFor();
  is(await page.locator('b').count(), 0, 'the name of an event is text');
  await page.evaluate(() => { location.hash = 'exports'; });
  await page.locator('#create-export').click();
  ok(await page.getByLabel('All events, also').isVisible(), 'all events are a choice with ctseg_custom_events');
  like(await page.locator('#e-partner').innerText(), /<img src=x/, 'a name is text in a choice');
  await page.locator('#export-dialog .cancel').click();

  // ---- under way ----

  await page.route('**/api/exports*', async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    Object.assign(json.items[0], { status: 'RUNNING',
      last_run: { status: 'running', retry_at: '2027-01-01T00:00:00Z', last_error: { message: 'service unavailable' } },
      progress: { sent: 1200, rejected: 12, filtered: 7, waiting: 3788, percent: 24, eta_seconds: 180 } });
    await route.fulfill({ response: answer, json });
  });
  const first = page.locator('#export-rows tr').first();
  await first.getByText('1,200 / 5,000 · 12 rejected · 3 min left').waitFor();
  is(await first.locator('progress').evaluate((n) => n.value), 24, 'how far, and how long it takes');
  like(await first.innerText(), /RUNNING[^]*retrying: service unavailable/, '... and what is wrong');
  await page.unroute('**/api/exports*');
  await first.locator('.status.PENDING').waitFor();

  // ---- trouble ----

  await page.locator('#create-export').click();
  await page.locator('#e-partner').selectOption({ index: 1 });
  await page.locator('[name=kind][value=recurring]').check();
  await page.locator('#e-hours').fill('7');
  await page.route('**/api/**', (route) => route.abort());
  await page.locator('#export-dialog .submit').click();
  await page.locator('#export-dialog .form-error').getByText(/no connection/).waitFor();
  is(await page.locator('#e-hours').inputValue(), '7', 'a lost connection loses nothing that was typed');
  await page.locator('#export-dialog .close').click();
  await page.locator('#connection').getByText(/connection to the server is lost/).waitFor();
  ok(await page.locator('#export-rows tr').count() > 0, 'it is shown, and the table stays');
  await page.unroute('**/api/**');
  await page.locator('#connection').waitFor({ state: 'hidden' });
  ok(true, '... until it is back, by itself');

  let busy = 0;
  await page.route('**/api/exports*', (route) => (++busy > 2 ? route.continue()
    : route.fulfill({ status: 503, headers: { 'Retry-After': '1' }, contentType: 'application/problem+json', body: '{"status":503,"detail":"the store is busy"}' })));
  await page.locator('#connection').getByText('the store is busy').waitFor();
  await page.getByRole('button', { name: 'Try now' }).click();
  await page.locator('#connection').waitFor({ state: 'hidden' });
  ok(busy > 2, 'so is a server that is busy');
  await page.unroute('**/api/exports*');
  await page.context().close();

  // ---- read-only ----

  const reader = await open();
  await reader.goto(base.replace(/ctseg\/$/, 'reader/'));
  await reader.locator('#export-rows tr').first().waitFor();
  await reader.locator('#readonly').waitFor();
  ok(await reader.locator('#create-export').isDisabled(), 'a read-only page creates nothing');
  ok(await reader.locator('#export-rows button[data-do=stop]').first().isDisabled(), '... and stops nothing');
  ok(await reader.locator('#export-rows button[data-do=view]').first().isEnabled(), '... and shows all');
  await reader.context().close();

  // ---- a reader elsewhere ----

  const far = await open('', { locale: 'de-DE', timezoneId: 'Asia/Tokyo' });
  await far.locator('#export-rows tr').first().waitFor();
  is(await far.locator('#export-rows .next').first().innerText(), '01.01.2027, 00:00', 'times as the reader writes them, in the account zone');
  like(await far.locator('#page-info').innerText(), /1–20 of 1\.0\d\d/, '... and numbers');
  is(await far.locator('#zone').innerText(), 'Times in UTC', '... which is named');
  await far.context().close();

  // ---- every screen, for everybody ----

  for (const colorScheme of ['light', 'dark']) {
    const p = await open('#exports', { colorScheme });
    await screens(p, id, (name) => accessible(p, `${name}, ${colorScheme}`));
    await p.locator('nav a').first().click();
    await p.locator('#filter-button').click();
    await accessible(p, `the filter, ${colorScheme}`);
    await p.locator('#create-export').click();
    await p.locator('[name=set][value=selected]').check();
    await p.locator('#e-more summary').click();
    await p.locator('#e-look').click();
    await accessible(p, `the form of an export, ${colorScheme}`);
    await p.locator('#export-dialog .cancel').click();
    await p.locator('nav a').nth(1).click();
    await p.locator('#add-partner').click();
    await p.locator('#partner-dialog .submit').click();
    await accessible(p, `the form of a partner, ${colorScheme}`);
    await p.locator('#partner-dialog .cancel').click();
    await p.locator('#partner-rows [data-do=delete]').first().click();
    await accessible(p, `a question, ${colorScheme}`);
    await p.locator('#confirm-dialog .cancel').click();
    await p.locator('#partner-rows [data-do=test]').first().click();
    await p.locator('#test-steps li.ok').nth(2).waitFor();
    await accessible(p, `a test, ${colorScheme}`);
    await p.context().close();
  }

  for (const width of [360, 768, 2560]) {
    const p = await open('#exports', { viewport: { width, height: 800 }, hasTouch: width < 500 });
    await screens(p, id, (name) => fits(p, `${name}, ${width} px`));
    await p.context().close();
  }

  // ---- a hidden tab asks for nothing ----

  // its own question is the fence: what was asked before it would come first

  const p = await open('', { clock: true });
  await p.locator('#export-rows tr').first().waitFor();
  const turn = (hidden) => p.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await turn(true);
  await p.waitForLoadState('networkidle');
  const questions = [];
  p.on('request', (request) => questions.push(request.url()));
  await p.clock.runFor(60000);
  await p.evaluate(() => fetch('api/catalog?fence').then((a) => a.text()));
  is(questions.length, 1, 'a hidden tab is quiet for a minute');
  const next = () => p.waitForResponse(/api\/exports/);
  let [answer] = await Promise.all([next(), turn(false)]);
  is(answer.status(), 200, '... asks again when it is seen');
  [answer] = await Promise.all([next(), p.clock.runFor(10000)]);
  is(answer.status(), 200, '... and then by itself');
});
