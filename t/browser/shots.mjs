// Pictures of each screen, light, dark and on a phone: make screenshots.

import { args, base, open, story, ok } from './driver.mjs';

const [dir] = args;

story(async () => {
  const list = await (await fetch(`${base}api/exports?status=DONE`)).json();
  const id = (list.items.find((e) => e.progress.rejected) ?? list.items[0]).id;
  const kinds = {
    light: { colorScheme: 'light' },
    dark: { colorScheme: 'dark' },
    phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  };
  for (const [kind, options] of Object.entries(kinds)) {
    const page = await open('#exports', options);
    const shot = (name) => page.screenshot({ path: `${dir}/${name}-${kind}.png` });
    await page.locator('#export-rows tr').first().waitFor();
    if (kind !== 'phone') {
      await page.locator('#export-rows tr').nth(1).hover();
    }
    await shot('exports');
    await page.locator('#filter-button').click();
    await shot('filter');
    await page.locator('#filter-button').click();
    await page.locator('#create-export').click();
    await page.locator('#e-partner').selectOption({ index: 1 });
    await page.locator('[name=set][value=selected]').check();
    await shot('create');
    await page.locator('[name=set][value=system]').check();
    await page.locator('#e-look').click();
    await page.locator('#e-preview').waitFor();
    await shot('preview');
    await page.locator('#export-dialog .cancel').click();
    await page.evaluate((to) => { location.hash = to; }, `exports/${id}`);
    await page.locator('#run-rows tr').first().waitFor();
    await shot('view');
    await page.evaluate(() => { location.hash = 'partners'; });
    await page.locator('#partner-rows tr').first().waitFor();
    await shot('partners');
    await page.locator('#add-partner').click();
    await shot('partner');
    await page.locator('#partner-dialog .cancel').click();
    await page.evaluate(() => { location.hash = 'status'; });
    await page.waitForTimeout(11000);
    await shot('status');
    await page.context().close();
  }
  ok(true, 'all pictures are made');
});
