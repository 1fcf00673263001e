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
    ...performance.getEntriesByType('resource')].map((e) => ({ name: e.name, size: e.transferSize, start: e.startTime, kind: e.initiatorType })));
  const bytes = load.filter((e) => !/\/api\//.test(e.name)).reduce((n, e) => n + e.size, 0);
  ok(bytes > 10000 && bytes < 60000, `the first load has ${bytes} bytes`);
  console.log(`# the first load has ${bytes} bytes in ${load.length} answers`);
  const asked = load.filter((e) => /\/api\//.test(e.name)).map((e) => e.name.replace(/.*\/api\//, ''));
  ok(['exports', 'partners?per_page=40', 'status', 'catalog'].every((name) => asked.includes(name)), 'all data is asked for at once');

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
  like(await page.locator('#e-partner').innerText(), /<img src=x/, 'a name is text in a choice');
  await page.locator('#export-dialog .cancel').click();

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

  // ---- every screen, for everybody ----

  for (const colorScheme of ['light', 'dark']) {
    const p = await open('#exports', { colorScheme });
    await screens(p, id, (name) => accessible(p, `${name}, ${colorScheme}`));
    await p.locator('nav a').first().click();
    await p.locator('#filter-button').click();
    await accessible(p, `the filter, ${colorScheme}`);
    await p.locator('#create-export').click();
    await p.locator('[name=set][value=selected]').check();
    await p.locator('#e-look').click();
    await accessible(p, `the form of an export, ${colorScheme}`);
    await p.locator('#export-dialog .cancel').click();
    await p.locator('nav a').nth(1).click();
    await p.locator('#add-partner').click();
    await p.locator('#partner-dialog .submit').click();
    await accessible(p, `the form of a partner, ${colorScheme}`);
    await p.context().close();
  }

  for (const width of [360, 768, 2560]) {
    const p = await open('#exports', { viewport: { width, height: 800 }, hasTouch: width < 500 });
    await screens(p, id, (name) => fits(p, `${name}, ${width} px`));
    await p.context().close();
  }

  // ---- a hidden tab asks for nothing ----

  const p = await open();
  await p.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  let questions = 0;
  await p.waitForLoadState('networkidle');
  p.on('request', () => questions++);
  await p.waitForTimeout(6000);
  is(questions, 0, 'a hidden tab is quiet');
  await p.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: false, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await p.waitForRequest(/api\/exports/);
  ok(true, '... and asks again when it is seen');
});
