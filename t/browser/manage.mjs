// An operator's first day: from an empty page to exports of each kind, with
// every control on the way.  Segment's side refuses events that are called
// App Uninstalled; each export of today meets some.

import { allow, args, is, like, ok, open, story } from './driver.mjs';

allow(/status of 4(09|22)/);            // what the story provokes

story(async () => {
  const page = await open();
  const row = (text) => page.locator('#export-rows tr').filter({ hasText: text }).first();
  const notice = page.locator('#notices');
  const screen = (name) => page.locator(`nav a:text-is("${name}")`).click();
  const text = (selector) => page.locator(selector).innerText();

  // ---- partners ----

  await page.getByText('First add the partner').waitFor();
  ok(true, 'an empty page says what comes first');
  await page.locator('#export-empty button').click();
  const dialog = page.locator('#partner-dialog');
  const nick = dialog.getByLabel('Partner Nickname');
  await dialog.getByRole('button', { name: 'Integrate' }).click();
  is(await dialog.locator('.field > .error').count(), 2, 'what is missing is told beside its field');
  ok(await nick.evaluate((node) => node === document.activeElement), '... and the first is in focus');

  await nick.fill('Segment main');
  await dialog.getByLabel('Write Key').fill('AbCdEfGhIjKlMnOp');
  await dialog.getByLabel('User ID', { exact: true }).fill('nonsense');
  await dialog.getByRole('button', { name: 'Integrate' }).click();
  like(await dialog.locator('[data-field=user_id] .error').innerText(), /identity/, 'an error of the API stands beside its field');
  is(await nick.inputValue(), 'Segment main', '... and nothing typed is lost');

  await dialog.getByLabel('User ID', { exact: true }).fill('identity');
  await page.keyboard.press('Escape');
  await screen('Partners');
  await page.locator('#add-partner').click();
  is(await nick.inputValue(), 'Segment main', '... nor by Escape');
  await dialog.getByRole('button', { name: 'Integrate' }).click();
  await notice.getByText('is integrated').waitFor();
  const partner = page.locator('#partner-rows tr');
  like(await partner.innerText(), /Segment main\s+ok\s+US Region\s+…MnOp\s+identity\s+objectId/, 'the partner is in the list, with its health');

  await page.locator('#add-partner').click();
  await nick.fill('Segment main');
  await dialog.getByLabel('Write Key').fill('key');
  await dialog.getByLabel('EU Region').check();
  await dialog.getByRole('button', { name: 'Integrate' }).click();
  await dialog.locator('[data-field=nickname] .error').waitFor();
  like(await dialog.locator('[data-field=nickname] .error').innerText(), /is taken/, 'a nickname names one partner');
  await dialog.getByRole('button', { name: 'Cancel' }).click();

  await partner.getByRole('button', { name: 'Test' }).click();
  await page.locator('#test-steps li.ok').nth(2).waitFor();
  like(await text('#test-steps'), /Resolve[^]*127\.0\.0\.1[^]*Connect[^]*Post[^]*200/, 'a test shows its steps');
  like(await text('#test-note'), /does not prove the write key/, '... and what it does not show');
  await page.locator('#test-dialog .cancel').click();

  await partner.getByRole('button', { name: 'Rename' }).click();
  await page.locator('#r-nickname').fill('Segment');
  await page.locator('#rename-dialog .submit').click();
  await partner.getByText('Segment', { exact: true }).waitFor();
  ok(true, 'a partner is renamed');

  // ---- a one time export ----

  await screen('Exports');
  await page.locator('#create-export').click();
  const form = page.locator('#export-dialog');
  is(await form.getByLabel('Partner Nickname').locator('option:checked').innerText(), 'Segment', 'the only partner is chosen');

  ok(await form.getByLabel('All events, also').isHidden(), 'all events are no choice without ctseg_custom_events');
  await form.getByLabel('Selected events').check();
  await form.locator('.submit').click();
  like(await form.locator('[data-field="events.names"] > .error').innerText(), /at least one/, 'a selection needs a name');
  await form.getByLabel('Search events').fill('uninst');
  is(await form.locator('#e-catalog li').count(), 1, 'events are searched');
  await form.locator('#e-catalog').getByRole('checkbox').check();
  await form.getByLabel('Search events').fill('launched');
  like(await form.locator('#e-catalog li').innerText(), /App Launched\n.+/, '... and described');
  await form.locator('#e-catalog').getByRole('checkbox').check();
  like(await text('#e-count'), /^2 selected, 1 of/, '... and counted');

  await form.getByRole('checkbox', { name: 'phone' }).uncheck();
  await form.getByRole('button', { name: 'Move email up' }).click();

  const integrations = form.getByLabel('Integrations');
  await form.getByText('How messages are made').click();
  await form.getByLabel('Context').check();
  await form.getByLabel('One spelling').check();
  await form.getByLabel('Events dated').selectOption('Are rejected');
  await integrations.fill('{"All": fals}');
  await form.getByText('How messages are made').click();
  await form.locator('.submit').click();
  await form.locator('[data-field="mapping.integrations"] .error').getByText('no JSON').waitFor();
  ok(await integrations.isVisible(), 'what is wrong is unfolded');
  await integrations.fill('{"All": 7}');
  await form.locator('.submit').click();
  await form.locator('[data-field="mapping.integrations"] .error').getByText(/true, false/).waitFor();
  ok(true, '... also when the API finds it');
  await integrations.fill('{"All": false, "<i>x</i>": {"a": [1]}}');

  await form.getByLabel('Data of').selectOption('Custom range…');
  const days = await form.locator('#e-from').evaluate((n) => (Date.parse(n.max) - Date.parse(n.min)) / 864e5);
  is(days, 60, 'at most 60 days back');
  const today = await form.locator('#e-to').getAttribute('max');
  await form.locator('#e-from').fill('2020-01-01');
  await form.locator('#e-to').fill(today);
  await form.getByRole('button', { name: 'Preview' }).click();
  is(await form.locator('[data-field="frequency.from"] .error').count(), 1, '... the browser knows');
  await form.locator('#e-from').fill(today);

  await form.getByRole('button', { name: 'Preview' }).click();
  await form.locator('#e-preview pre').first().waitFor();
  like(await text('#e-preview .figure'), /\d+ messages in \d+ batch.*rate/, 'a preview counts and estimates');
  like(await form.locator('#e-preview pre').first().innerText(), /"messageId"/, '... and shows messages');
  await form.locator('.submit').click();
  await notice.getByText('Segment export has initiated').waitFor();
  ok(true, 'the export has initiated');
  await row('Selected: ').locator('.status.DONE').waitFor();
  like(await row('Selected: ').innerText(), /Segment[^]*Event[^]*Selected: App [^]*One time[^]*DONE[^]*sent/, 'its row says what, when and how far');

  await row('Selected: ').hover();
  const edit = row('Selected: ').getByRole('button', { name: 'Edit' });
  is(await edit.getAttribute('title'), 'A one time export cannot be edited.', 'Edit says why not');
  await edit.click({ force: true });
  await notice.getByText('cannot be edited').waitFor();
  await row('Selected: ').getByRole('button', { name: 'Stop' }).click({ force: true });
  like(await notice.innerText(), /Only a PENDING or RUNNING/, 'and so does Stop');

  // ---- recurring: edit and stop ----

  await page.locator('#create-export').click();
  await form.getByLabel('Engagement events').check();
  await form.getByLabel('Recurring').check();
  await form.locator('#e-hours').fill('3');
  await form.locator('.submit').click();
  is(await form.locator('[data-field="frequency.every_hours"] .error').count(), 1, 'every four hours at most');
  await form.locator('#e-hours').fill('8');
  await form.locator('#e-start').fill(today);
  await form.locator('.submit').click();
  await row('Every 8 h').waitFor();

  await row('Every 8 h').locator('.status.PENDING').waitFor();
  like(await row('Every 8 h').locator('.next').innerText(), /20\d\d/, 'the next run is named');
  await row('Every 8 h').locator('a').focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  ok(await row('Every 8 h').getByRole('button', { name: 'Edit' }).evaluate((node) => node === document.activeElement && Number(getComputedStyle(node).opacity) > 0), 'buttons of a row are there for the keyboard');
  await page.keyboard.press('Enter');
  is(await form.locator('.submit').innerText(), 'Update export', 'Edit opens the form');
  ok(await form.getByLabel('Live', { exact: true }).isDisabled(), '... whose kind stays');
  await form.locator('#e-hours').fill('12');
  await form.getByText('How messages are made').click();
  await form.getByLabel('Events dated').selectOption('Get the time of their arrival');
  await form.locator('.submit').click();
  await notice.getByText('from the next run on').waitFor();
  await row('Every 12 h').waitFor();
  ok(true, 'an edit is shown');

  await screen('Partners');
  await partner.getByRole('button', { name: 'Delete' }).click();
  await page.locator('#confirm-dialog .submit').click();
  await page.locator('#confirm-dialog .form-error').getByText(/every export/).waitFor();
  ok(true, 'a partner in use is not deleted, and the reason is there');
  await page.locator('#confirm-dialog .cancel').click();

  await screen('Exports');
  const stop = row('Every 12 h').getByRole('button', { name: 'Stop' });
  const seen = (node) => node.evaluate((n) => n.getAnimations().forEach((a) => a.finish()) ?? Number(getComputedStyle(n).opacity));
  await page.locator('#h-exports').hover();
  is(await seen(stop), 0, 'buttons of a row are out of the way');
  await row('Every 12 h').hover();
  is(await seen(stop), 1, '... until somebody points at it');
  let stops = 0;
  page.on('request', (request) => { stops += /stop$/.test(request.url()) ? 1 : 0; });
  await stop.click();
  is(await text('#h-confirm'), 'Stop export?', 'Stop asks');
  await page.locator('#confirm-dialog .cancel').click();
  is(stops, 0, '... and takes no for an answer');
  await stop.click();
  await page.locator('#confirm-dialog .submit').click();
  await notice.getByText('Segment data export stopped').waitFor();
  await row('Every 12 h').locator('.status.STOPPED').waitFor();
  ok(true, '... and stops');

  // ---- profiles ----

  await page.locator('#create-export').click();
  await form.getByLabel('User profiles').check();
  ok(await form.getByLabel('One time').isEnabled() && await form.getByLabel('Live', { exact: true }).isEnabled(), 'profiles go out in each of the ways');
  await form.getByLabel('Recurring').check();
  is(await form.locator('#e-hours').inputValue(), '24', '... recurring once a day');
  await form.getByText('How messages are made').click();
  ok(await form.getByLabel('Context').isHidden() && await form.getByLabel('Events dated').isVisible(), '... without what is of events only');
  await form.locator('.submit').click();
  await row('Every 24 h').waitFor();
  like(await row('Every 24 h').innerText(), /User profile[^]*User profiles/, '... and have their row');

  // ---- live, and what the table shows by itself ----

  await page.locator('#create-export').click();
  await form.getByLabel('All system events').check();
  await form.getByLabel('Live', { exact: true }).check();
  await form.locator('.submit').click();
  await row('Live').locator('.status.RUNNING').waitFor();
  await row('Live').evaluate((node) => { node.dataset.mark = 'kept'; });
  await page.evaluate((url) => fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ d: [{ type: 'event', identity: 'u', evtName: 'App Launched' }] }) }), args[0]);
  await row('Live').getByText('1 sent').waitFor();
  is(await row('Live').getAttribute('data-mark'), 'kept', 'a row is updated where it stands');

  // ---- the filter ----

  await page.locator('#filter-button').click();
  const filter = page.locator('#filter');
  await filter.getByLabel('STOPPED').check();
  await filter.getByLabel('Recurring').check();
  await filter.getByLabel('Segment', { exact: true }).check();
  await filter.getByLabel('JSON').check();
  await filter.getByLabel('Event', { exact: true }).check();
  await filter.getByLabel('From').fill(today);
  await filter.locator('[name=exported_to]').fill(today);
  await filter.getByRole('button', { name: 'Apply' }).click();
  await page.getByText('1–1 of 1 export').waitFor();
  const address = () => Object.fromEntries(new URLSearchParams(page.url().split('?')[1]));
  const { partner: whose, ...rest } = address();
  like(whose, /^[0-9a-f]{20}$/, 'the filter is in the address, with the partner');
  is(JSON.stringify(rest), JSON.stringify({ exported_from: today, exported_to: today, type: 'event', format: 'json', status: 'STOPPED', frequency: 'recurring' }), '... and all else');
  await page.reload();
  await page.getByText('1–1 of 1 export').waitFor();
  like(await text('#filter-summary'), /STOPPED/, '... and survives a reload');
  await page.locator('#filter-button').click();
  ok(await filter.getByLabel('STOPPED').isChecked(), '... and is in its form');
  await filter.getByRole('button', { name: 'Reset all' }).click();
  await page.getByText('1–4 of 4 exports').waitFor();
  is(JSON.stringify(address()), '{}', 'Reset all shows all');
  is(await filter.locator('input:checked').count() + (await filter.locator('[type=date]').evaluateAll((all) => all.filter((n) => n.value).length)), 0, '... and the form is empty');
  is((await page.locator('#per-page option').allInnerTexts()).join(), '10,20,30,40', 'items per page');
  await Promise.all([page.waitForRequest(/api\/exports\?per_page=10$/), page.locator('#per-page').selectOption('10')]);
  is(address().per_page, '10', '... are asked for, and in the address');

  // ---- one export, its runs and what was rejected ----

  await row('Selected: ').hover();
  await row('Selected: ').getByRole('button', { name: 'View' }).click();
  await page.locator('#run-rows tr').waitFor();
  like(await text('#view-definition'), /DONE[^]*email, identity[^]*with context, one spelling of names, events dated ahead are rejected, integrations {"All":false,"<i>x<\/i>":{"a":\[1\]}}/, 'View shows the definition, as it was set');
  like(await page.locator('#view-chart svg.chart').getAttribute('aria-label'), /1 run: \d+ events sent, \d+ rejected/, '... a chart of its runs');
  ok(Number(await page.locator('#view-chart g rect.rejected').getAttribute('height')) > 0, '... with what was rejected');
  await page.locator('#rejected-rows li').first().waitFor();
  like(await page.locator('#rejected-rows li').first().innerText(), /App Uninstalled[^]*refused by Segment 400[^]*run 1/, 'rejected events have their reason');
  await page.locator('#rejected-rows summary').first().click();
  like(await page.locator('#rejected-rows pre').first().innerText(), /"messageId"/, '... and their message');
  const refused = await page.locator('#rejected-rows li').count();
  await page.locator('#rejected-retry').click();
  await page.getByText(`Last retry done: 0 sent, ${refused} refused again`).waitFor();
  ok(true, 'Retry tells how it went');
  await page.locator('#rejected-purge').click();
  await page.locator('#confirm-dialog .cancel').click();
  is(await page.locator('#rejected-rows li').count(), refused, 'Purge asks');
  await page.locator('#rejected-purge').click();
  await page.locator('#confirm-dialog .submit').click();
  await page.locator('#rejected-state').getByText(/./).waitFor();
  await page.waitForFunction(() => !document.querySelector('#rejected-rows li'));
  ok(true, 'Purge forgets them');

  // ---- the status ----

  await screen('Status');
  for (const tile of ['Store: events', 'Events in', 'Events out', 'Commit latency', 'Workers', 'Paused partners']) {
    like(await page.locator('.tile').filter({ hasText: tile }).locator('.big').innerText(), /^[\d.]+( %)?$/, `a figure: ${tile}`);
  }
  await page.locator('.spark polyline').first().waitFor({ state: 'attached' });
  ok(true, 'and lines of the last minutes');
  like(await text('#status-exports'), /DONE\s+1\s+STOPPED\s+1/, 'exports by status');
  like(await text('#zone'), /Times in UTC/, 'the account zone is named');
});
