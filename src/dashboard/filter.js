// The filter of the table of exports.  It lives in the address behind the #,
// so that it can be shared and is there after a reload.

import { $, $$, el, setText } from './dom.js';
import { list, nickname, onPartners } from './partners.js';
import { day, kindName, typeName } from './text.js';

const lists = ['partner', 'type', 'format', 'status', 'frequency'];
const days = ['exported_from', 'exported_to'];
const statuses = ['PENDING', 'RUNNING', 'DONE', 'STOPPED'];
const values = {
  type: Object.entries(typeName),
  format: [['json', 'JSON']],
  status: statuses.map((s) => [s, s]),
  frequency: Object.entries(kindName),
};
const perPages = ['10', '20', '30', '40'];
const form = $('#filter');

// what the address says: only what the API knows

export function query() {
  const given = new URLSearchParams(location.hash.split('?')[1] || '');
  const known = new URLSearchParams();
  for (const name of [...lists, ...days]) {
    if (given.get(name)) {
      known.set(name, given.get(name));
    }
  }
  if (perPages.includes(given.get('per_page'))) {
    known.set('per_page', given.get('per_page'));
  }
  if (/^[1-9]\d{0,5}$/.test(given.get('page') || '')) {
    known.set('page', given.get('page'));
  }
  return known;
}

export function go(changes) {
  const next = query();
  for (const [name, value] of Object.entries({ page: null, ...changes })) {
    if (value) {
      next.set(name, value);
    } else {
      next.delete(name);
    }
  }
  const text = next.toString();
  location.hash = text ? `exports?${text}` : 'exports';
}

export const isFiltered = () =>
  [...lists, ...days].some((name) => query().has(name));

function checks(name, pairs) {
  const box = $(`[data-name=${name}] .checks`, form);
  const on = (query().get(name) || '').split(',');
  box.replaceChildren(...pairs.map(([value, text]) => {
    const input = el('input', { type: 'checkbox', name, value });
    input.checked = on.includes(value);
    return el('label', {}, input, ` ${text}`);
  }));
}

function partnerChecks() {
  const marked = $$('input[name=partner]:checked', form).map((i) => i.value);
  checks('partner', list().map((p) => [p.id, p.nickname]));
  for (const input of $$('input[name=partner]', form)) {
    input.checked = input.checked || marked.includes(input.value);
  }
}

// the form and the line above the table as the address says

export function render() {
  const q = query();
  for (const [name, pairs] of Object.entries(values)) {
    checks(name, pairs);
  }
  checks('partner', list().map((p) => [p.id, p.nickname]));
  for (const name of days) {
    form.elements[name].value = q.get(name) || '';
  }
  summary();
}

function summary() {
  const q = query();
  const words = [];
  for (const name of lists) {
    if (q.has(name)) {
      const names = q.get(name).split(',').map((value) => name === 'partner'
        ? nickname(value)
        : Object.fromEntries(values[name])[value] ?? value);
      words.push(names.join(' or '));
    }
  }
  if (q.has('exported_from') || q.has('exported_to')) {
    words.push(`exported ${[q.has('exported_from') ? `from ${day(q.get('exported_from'))}` : '',
      q.has('exported_to') ? `to ${day(q.get('exported_to'))}` : ''].filter(Boolean).join(' ')}`);
  }
  const node = $('#filter-summary');
  setText(node, words.length ? `Only ${words.join(', ')}` : '');
  node.hidden = words.length === 0;
}

onPartners(() => { partnerChecks(); summary(); });

function open(yes) {
  form.hidden = !yes;
  $('#filter-button').setAttribute('aria-expanded', yes);
  if (yes) {
    $('input', form)?.focus();
  }
}

$('#filter-button').addEventListener('click', () => open(form.hidden));
form.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    open(false);
    $('#filter-button').focus();
  }
});

$('#filter-reset').addEventListener('click', () => {
  showError('');
  go(Object.fromEntries([...lists, ...days].map((name) => [name, null])));
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const from = form.elements.exported_from.value;
  const to = form.elements.exported_to.value;
  if (from && to && to < from) {
    showError('The last day lies before the first.');
    return;
  }
  showError('');
  const next = { exported_from: from, exported_to: to };
  for (const name of lists) {
    next[name] = $$(`input[name=${name}]:checked`, form)
      .map((input) => input.value).join(',');
  }
  go(next);
});

// the API's own words, by its names

export function showError(text) {
  const node = $('.error', form);
  setText(node, text);
  node.hidden = !text;
  if (text && form.hidden) {
    open(true);
  }
}
