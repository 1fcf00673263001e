// The screen Partners, and the names of partners for all others.

import { all, call, canWrite } from './api.js';
import { $, clone, el, keyed, notice, setAttr, setText } from './dom.js';
import { clear, confirm, dialogForm } from './form.js';
import { instant } from './text.js';

const regions = { us: 'US Region', eu: 'EU Region' };
let partners = [];
let current = null;                     // of the dialogs
const listeners = new Set();

export const list = () => partners;
export const onPartners = (listener) => listeners.add(listener);

export function nickname(id) {
  return partners.find((p) => p.id === id)?.nickname ?? 'deleted partner';
}

export async function refresh() {
  partners = await all('partners');
  partners.sort((a, b) => a.nickname.localeCompare(b.nickname));
  render();
  listeners.forEach((listener) => listener());
}

export function healthWords(health) {
  const words = [];
  if (health.reason) {
    words.push(health.reason);
  }
  if (health.since) {
    words.push(`since ${instant(health.since)}`);
  }
  if (health.retry_at) {
    words.push(`next attempt ${instant(health.retry_at)}`);
  }
  return words.join(', ');
}

function render() {
  $('#partner-empty').hidden = partners.length > 0;
  $('table.partners').hidden = partners.length === 0;
  keyed($('#partner-rows'), partners, (p) => p.id, make, update);
}

function make() {
  const row = clone('t-partner');
  row.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    const p = partners.find(({ id }) => id === row.dataset.key);
    if (button && p) {
      ({ test: openTest, rename: openRename, delete: openDelete })[
        button.dataset.do](p);
    }
  });
  return row;
}

function update(row, p) {
  setText($('.name', row), p.nickname);
  setText($('.tag', row), p.health.state);
  setAttr($('.tag', row), 'class', `tag ${p.health.state}`);
  setText($('.why', row), healthWords(p.health));
  setText($('.region', row), regions[p.region]);
  setText($('.key', row), `…${p.write_key_hint}`);
  setText($('.user', row), p.user_id);
  setText($('.anonymous', row), p.anonymous_id);
  for (const button of row.querySelectorAll('button')) {
    setAttr(button, 'aria-label', `${button.textContent} ${p.nickname}`);
    button.disabled = !canWrite();
  }
}

// ---- add ----

const addDialog = $('#partner-dialog');
let key = null;

const addForm = dialogForm(addDialog, async (form) => {
  const body = Object.fromEntries(new FormData(form));
  const p = await call('POST', 'partners', body, { 'Idempotency-Key': key });
  form.reset();
  key = null;
  notice(`${p.nickname} is integrated. Test the connection before you export.`);
  await refresh().catch(() => {});
}, { onCancel: () => addForm.reset() });

addForm.addEventListener('input', () => { key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; });

export function openAdd() {
  clear(addForm);
  addDialog.showModal();
}

$('#add-partner').addEventListener('click', openAdd);
$('#partner-empty button').addEventListener('click', openAdd);

// ---- rename ----

const renameDialog = $('#rename-dialog');

const renameForm = dialogForm(renameDialog, async (form) => {
  await call('PATCH', `partners/${current.id}`,
    { nickname: form.elements.nickname.value },
    { 'If-Match': `"${current.revision}"` });
  notice('The partner is renamed.');
  await refresh().catch(() => {});
});

function openRename(p) {
  current = p;
  clear(renameForm);
  renameForm.elements.nickname.value = p.nickname;
  renameDialog.showModal();
}

// ---- delete ----

function openDelete(p) {
  confirm('Delete partner?', `${p.nickname} and its write key are removed. Exports that are done keep their history.`, 'Delete', async () => {
    await call('DELETE', `partners/${p.id}`, undefined,
      { 'If-Match': `"${p.revision}"` });
    notice(`${p.nickname} is deleted.`);
    await refresh().catch(() => {});
  });
}

// ---- test ----

const testDialog = $('#test-dialog');
const steps = { resolve: 'Resolve the name', connect: 'Connect',
  post: 'Post a marked event' };
const words = { true: 'ok', false: 'failed', null: 'not reached' };

async function runTest() {
  const p = current;
  clear(testDialog);
  $('#test-again').disabled = true;
  setText($('#test-note'), '');
  $('#test-steps').replaceChildren(...Object.values(steps).map((text) =>
    el('li', { class: 'wait' }, el('span', {}, text), el('span', { class: 'quiet' }, '…'))));
  try {
    const result = await call('POST', `partners/${p.id}/test`);
    $('#test-steps').replaceChildren(...result.steps.map((step) => {
      const detail = [words[step.ok], step.detail,
        step.seconds === null ? null : `${step.seconds} s`].filter(Boolean);
      return el('li', { class: step.ok ? 'ok' : step.ok === null ? 'wait' : 'failed' },
        el('span', {}, steps[step.name] ?? step.name),
        el('span', { class: 'quiet' }, detail.join(' · ')));
    }));
    setText($('#test-note'), result.ok
      ? `Segment took the event. That does not prove the write key: look for ${result.message_id} in the debugger of the source.`
      : 'The event did not arrive.');
  } catch (problem) {
    if (!('status' in problem)) {
      throw problem;
    }
    $('#test-steps').replaceChildren();
    const node = $('.form-error', testDialog);
    setText(node, problem.message);
    node.hidden = false;
  }
  $('#test-again').disabled = false;
}

function openTest(p) {
  current = p;
  setText($('#test-about'), p.nickname);
  testDialog.showModal();
  runTest();
}

$('#test-again').addEventListener('click', runTest);
$('.cancel', testDialog).addEventListener('click', () => testDialog.close());
