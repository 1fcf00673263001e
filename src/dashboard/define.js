// The form "Export to Segment": for a new export and for an edit.

import { call, get } from './api.js';
import { $, $$, el, keyed, notice, setText } from './dom.js';
import { check, clear, dialogForm, problem } from './form.js';
import { list, onPartners } from './partners.js';
import { addDays, bytes, count, duration, messages, plural, today }
  from './text.js';

const dialog = $('#export-dialog');
const form = $('form', dialog);
const fields = ['identity', 'objectId', 'email', 'phone', 'fbid', 'gpid'];
const common = ['identity', 'email', 'phone'];
let catalog = [];                       // { name, description }
let chosen = new Set();                 // names
let editing = null;                     // the export, or null: a new one
let dirty = false;
let key = null;
let then = () => {};

let custom = false;                     // may there be exports of all events?

export function setCustom(value) {
  custom = value;
  layout();
}

export async function loadCatalog() {
  const { system, engagement } = await get('catalog');
  catalog = [...new Map([...system, ...engagement]
    .map((event) => [event.name, event])).values()];
  renderCatalog();
}

export function whyNoEdit(e) {
  if (e.frequency.kind === 'one_time') {
    return 'A one time export cannot be edited.';
  }
  return e.status === 'DONE' || e.status === 'STOPPED'
    ? `An export that is ${e.status} cannot be edited.` : '';
}

// ---- what the form shows ----

const value = (name) => form.elements[name].value;

function layout() {
  const kind = value('kind');
  const set = value('set');
  for (const node of $$('[data-kind]', form)) {
    node.hidden = node.dataset.kind !== kind;
  }
  $('#e-names').hidden = set !== 'selected';
  $('#e-all').hidden = !custom && set !== 'all';
  const days = value('range') === '';
  $('#e-days').hidden = !days;
  form.elements.from.required = days;
  form.elements.to.required = days;
}

// profiles that recur do so every 24 hours

function types() {
  const profile = value('set') === 'profile';
  const hours = form.elements.every_hours;
  for (const input of form.elements.kind) {
    input.disabled = !!editing && input.value !== editing.frequency.kind;
  }
  if (profile) {
    hours.value = 24;
  }
  hours.min = profile ? 24 : 4;
  $('#e-daily').hidden = !profile;
  for (const node of $$('[data-type]', form)) {
    node.hidden = profile;
  }
}

function integrations() {
  const input = form.elements.integrations;
  try {
    const json = JSON.parse(input.value.trim() || 'null');
    input.setCustomValidity('');
    return json;
  } catch {
    input.setCustomValidity('This is no JSON.');
    return undefined;
  }
}

function limits() {
  const now = today();
  for (const name of ['from', 'to']) {
    form.elements[name].min = addDays(now, -60);
    form.elements[name].max = now;
  }
  form.elements.start_date.min = addDays(now, -60);
  form.elements.start_date.max = addDays(now, 366);
}

function renderPartners() {
  const select = form.elements.partner_id;
  const before = select.value;
  select.replaceChildren(el('option', { value: '' }, 'Choose a partner'),
    ...list().map((p) => el('option', { value: p.id }, p.nickname)));
  select.value = before;
}

onPartners(renderPartners);

function renderCatalog() {
  const words = $('#e-search').value.trim().toLowerCase();
  const hits = catalog.filter(({ name, description }) =>
    `${name} ${description}`.toLowerCase().includes(words));
  keyed($('#e-catalog'), hits, (event) => event.name, ({ name, description }) => {
    const input = el('input', { type: 'checkbox', value: name });
    input.addEventListener('change', () => {
      chosen[input.checked ? 'add' : 'delete'](name);
      setCount(null);
    });
    return el('li', {}, el('label', {}, input, el('span', {},
      el('strong', {}, name), el('span', { class: 'quiet' }, description))));
  }, (row, { name }) => { $('input', row).checked = chosen.has(name); });
  setCount(hits.length);
}

let shown = 0;

function setCount(n) {
  shown = n ?? shown;
  setText($('#e-count'), `${count(chosen.size)} selected, ${count(shown)} of ${count(catalog.length)} shown`);
}

function renderPriority(names) {
  const rest = fields.filter((name) => !names.includes(name));
  $('#e-priority').replaceChildren(...[...names, ...rest].map((name) => {
    const input = el('input', { type: 'checkbox', value: name });
    input.checked = names.includes(name);
    const up = el('button', { type: 'button', 'aria-label': `Move ${name} up` }, '↑');
    up.addEventListener('click', () => {
      const row = up.closest('li');
      row.previousElementSibling?.before(row);
      changed();
      up.focus();
    });
    return el('li', {}, el('label', {}, input, ` ${name}`), up);
  }));
}

// ---- what the form says ----

function definition() {
  const set = value('set');
  const kind = value('kind');
  const body = { partner_id: value('partner_id') };
  if (!editing) {
    body.type = set === 'profile' ? 'profile' : 'event';
  }
  if (set !== 'profile') {
    body.events = { set };
    if (set === 'selected') {
      body.events.names = [...chosen];
    }
  }
  body.identifier_priority = $$('#e-priority input:checked')
    .map((input) => input.value);
  body.mapping = { integrations: integrations(), future: value('future') };
  if (set !== 'profile') {
    body.mapping.context = form.elements.context.checked;
    body.mapping.names = form.elements.names.checked ? 'canonical' : 'original';
  }
  body.frequency = { kind };
  if (kind === 'one_time') {
    if (value('range')) {
      body.frequency.range = value('range');
    } else {
      body.frequency.from = value('from');
      body.frequency.to = value('to');
    }
  } else if (kind === 'recurring') {
    body.frequency.every_hours = Number(value('every_hours'));
    if (value('start_date')) {
      body.frequency.start_date = value('start_date');
    }
  }
  return body;
}

function ready() {
  integrations();
  if (!check(form)) {
    return false;
  }
  if (value('set') === 'selected' && chosen.size === 0) {
    problem(form, { errors: [{ field: 'events.names',
      message: 'Select at least one event.' }] });
    return false;
  }
  return true;
}

function changed() {
  dirty = true;
  key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  $('#e-preview').hidden = true;
  integrations();
  types();
  layout();
}

form.addEventListener('input', changed);
form.addEventListener('change', changed);
$('#e-search').addEventListener('input', renderCatalog);

// ---- preview ----

const basis = {
  first_run: 'The first run, if it started now:',
  last_24_hours: 'What arrived in the last 24 hours:',
};

$('#e-look').addEventListener('click', async () => {
  if (!ready()) {
    return;
  }
  const box = $('#e-preview');
  const look = $('#e-look');
  look.disabled = true;
  try {
    const body = definition();
    if (editing) {
      body.type = editing.type;
    }
    const p = await call('POST', 'exports/preview', body);
    const facts = [`${plural(p.sent, 'message')} in ${plural(p.batches, 'batch', 'batches')}, ${bytes(p.bytes)}`,
      `at Segment's rate ${duration(p.estimated_seconds)}`];
    if (p.filtered) {
      facts.push(`${count(p.filtered)} not wanted`);
    }
    if (p.rejected) {
      facts.push(`${count(p.rejected)} can never be sent`);
    }
    if (!p.complete) {
      facts.push(`${count(p.waiting)} not looked at yet`);
    }
    box.replaceChildren(el('h3', {}, 'Preview'), el('p', {}, basis[p.basis]),
      el('p', { class: 'figure' }, facts.join(' · ')),
      ...p.messages.map((message) => el('pre', { tabindex: '0' },
        JSON.stringify(message, null, 2))));
    if (!p.messages.length) {
      box.append(el('p', { class: 'quiet' }, 'There is no message to show.'));
    }
    box.hidden = false;
    box.scrollIntoView({ block: 'nearest' });
  } catch (p) {
    if (!('status' in p)) {
      throw p;
    }
    problem(form, p);
  } finally {
    look.disabled = false;
  }
});

// ---- open and send ----

function fill(e) {
  form.reset();
  editing = e;
  chosen = new Set(e?.events?.names ?? []);
  renderPartners();
  form.elements.partner_id.value = e?.partner_id
    ?? (list().length === 1 ? list()[0].id : '');
  form.elements.set.value = e?.type === 'profile' ? 'profile'
    : e?.events?.set ?? 'system';
  form.elements.kind.value = e?.frequency.kind ?? 'one_time';
  if (e?.frequency.kind === 'recurring') {
    form.elements.every_hours.value = e.frequency.every_hours;
    form.elements.start_date.value = e.frequency.start_date;
  }
  const m = e?.mapping;
  form.elements.context.checked = !!m?.context;
  form.elements.names.checked = m?.names === 'canonical';
  form.elements.future.value = m?.future ?? 'keep';
  form.elements.integrations.value = m?.integrations
    ? JSON.stringify(m.integrations, null, 1) : '';
  $('#e-more').open = !!messages(m);
  renderPriority(e?.identifier_priority ?? common);
  for (const input of form.elements.set) {
    input.disabled = !!e && (e.type === 'profile') !== (input.value === 'profile');
  }
  integrations();
  types();
  setText($('.submit', form), e ? 'Update export' : 'Export');
  $('#e-preview').hidden = true;
  $('#e-search').value = '';
  dirty = false;
}

function open() {
  clear(form);
  limits();
  layout();
  renderCatalog();
  dialog.showModal();
}

// what was typed and not sent is there again, unless it was canceled

export function openCreate(after) {
  if (editing || !dirty) {
    fill(null);
  }
  then = after;
  open();
}

export function edit(e, after) {
  if (whyNoEdit(e)) {
    notice(whyNoEdit(e), 'bad');
    return;
  }
  fill(e);
  then = after;
  open();
}

dialogForm(dialog, async () => {
  if (!ready()) {
    throw Object.assign(new Error(), { status: 422, errors: value('set') === 'selected' && !chosen.size ? [{ field: 'events.names', message: 'Select at least one event.' }] : [] });
  }
  const body = definition();
  const answer = editing
    ? await call('PATCH', `exports/${editing.id}`, changes(body),
      { 'If-Match': `"${editing.revision}"` })
    : await call('POST', 'exports', body, { 'Idempotency-Key': key
      ?? (key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`) });
  const warnings = (answer.warnings || []).map((w) => `${w.field}: ${w.message}`);
  const text = editing ? `The export is updated, from the ${answer.applies_from === 'next_batch' ? 'next batch' : 'next run'} on`
    : 'Segment export has initiated';
  notice([text, ...warnings].join('. '), warnings.length ? 'warn' : 'good');
  key = null;
  fill(null);
  then();
}, { onCancel: () => fill(null) });

// of an edit only what is other than before: a frequency that is sent begins
// again

function changes(body) {
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const now = { ...body, mapping: { ...body.mapping } };
  for (const name of Object.keys(now)) {
    if (name !== 'mapping' && same(now[name], editing[name])) {
      delete now[name];
    }
  }
  for (const [name, value] of Object.entries(body.mapping)) {
    if (same(value, editing.mapping[name])) {
      delete now.mapping[name];
    }
  }
  if (!Object.keys(now.mapping).length) {
    delete now.mapping;
  }
  const { kind, every_hours, start_date } = editing.frequency;
  const f = body.frequency;
  if (kind === 'live' || (f.every_hours === every_hours
    && f.start_date === start_date)) {
    delete now.frequency;
  }
  return now;
}
