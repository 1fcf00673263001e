// The screen Exports: a page of the table that keeps itself up to date.

import { call, canWrite, get } from './api.js';
import { edit, openCreate, whyNoEdit } from './define.js';
import { $, clone, keyed, notice, setAttr, setText } from './dom.js';
import { go, isFiltered, query, render as renderFilter, showError }
  from './filter.js';
import { confirm } from './form.js';
import { list, nickname, onPartners, openAdd } from './partners.js';
import { poll } from './poll.js';
import { count, data, day, days, duration, frequency, instant, plural, typeName }
  from './text.js';

let page = null;
let poller = null;

export function progressWords(e) {
  const p = e.progress;
  if (!e.last_run) {
    return e.status === 'PENDING' ? 'not started' : '';
  }
  const total = p.sent + p.rejected + p.waiting;
  const words = [p.waiting ? `${count(p.sent)} / ${count(total)}`
    : `${count(p.sent)} sent`];
  if (p.rejected) {
    words.push(`${count(p.rejected)} rejected`);
  }
  if (e.last_run.status === 'running' && p.waiting
    && p.eta_seconds !== null && p.eta_seconds < 864000) {
    words.push(`${duration(p.eta_seconds)} left`);
  }
  return words.join(' · ');
}

export function statusWhy(e) {
  if (e.stop_reason === 'errors') {
    return 'after errors';
  }
  const run = e.last_run;
  return e.status === 'RUNNING' && run?.retry_at && run.last_error
    ? `retrying: ${run.last_error.message}` : '';
}

function update(row, e) {
  const name = nickname(e.partner_id);
  const link = $('.name', row);
  setText(link, name);
  setAttr(link, 'href', `#exports/${e.id}`);
  setText($('.type', row), typeName[e.type]);
  setText($('.data', row), data(e));
  setAttr($('.data', row), 'title', data(e));
  setText($('.frequency', row).firstElementChild, frequency(e.frequency));
  setText($('.frequency', row).lastElementChild, days(e.frequency));
  setText($('.status', row), e.status);
  setAttr($('.status', row), 'class', `status ${e.status}`);
  setText($('.why', row), statusWhy(e));
  setText($('.on', row), day(e.exported_on));
  setText($('.next', row), e.frequency.kind === 'recurring'
    ? instant(e.next_run_at) || '–' : '–');
  const bar = $('progress', row);
  bar.hidden = !e.last_run || e.frequency.kind === 'live';
  if (bar.value !== e.progress.percent) {
    bar.value = e.progress.percent;
  }
  setAttr(bar, 'aria-label', `Progress of the export to ${name}`);
  setText($('.count', row), progressWords(e));
  for (const button of row.querySelectorAll('button')) {
    const act = button.dataset.do;
    const why = act === 'edit' ? whyNoEdit(e) : act === 'stop' ? whyNoStop(e)
      : '';
    setAttr(button, 'aria-label', `${button.textContent} export to ${name}`);
    setAttr(button, 'aria-disabled', why ? 'true' : null);
    setAttr(button, 'title', why || null);
    button.disabled = act !== 'view' && !canWrite();
  }
}

const whyNoStop = (e) => e.status === 'DONE' || e.status === 'STOPPED'
  ? `Only a PENDING or RUNNING export can be stopped, this one is ${e.status}.`
  : '';

function make() {
  const row = clone('t-export');
  row.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    const e = page?.items.find(({ id }) => id === row.dataset.key);
    if (!button || !e) {
      return;
    }
    if (button.dataset.do === 'view') {
      location.hash = `exports/${e.id}`;
    } else if (button.dataset.do === 'edit') {
      edit(e, refresh);
    } else {
      stop(e, refresh);
    }
  });
  return row;
}

export function stop(e, then) {
  if (whyNoStop(e)) {
    notice(whyNoStop(e), 'bad');
    return;
  }
  confirm('Stop export?', `The ${e.frequency.kind.replace('_', ' ')} export to ${nickname(e.partner_id)} ends for good. What was sent stays sent.`, 'Stop', async () => {
    await call('POST', `exports/${e.id}/stop`);
    notice('Segment data export stopped');
    then();
  });
}

function render() {
  if (!page) {
    return;
  }
  keyed($('#export-rows'), page.items, (e) => e.id, make, update);
  const empty = page.items.length === 0;
  const node = $('#export-empty');
  node.hidden = !empty;
  $('table.exports').hidden = empty;
  if (empty) {
    const [text, button] = isFiltered()
      ? ['No export matches the filter.', 'Reset all']
      : page.total ? ['This page is empty.', 'First page']
        : list().length ? ['No export yet. An export says which events go to a partner, and when.', 'Create Export']
          : ['No export yet. First add the partner that events go to.', 'Add Partner'];
    setText(node.firstElementChild, text);
    setText(node.lastElementChild, button);
    node.lastElementChild.disabled = !canWrite() && !isFiltered() && !page.total;
  }
  $('#per-page').value = String(page.per_page);
  const first = (page.page - 1) * page.per_page + 1;
  setText($('#page-info'), empty ? plural(page.total, 'export')
    : `${count(first)}–${count(first + page.items.length - 1)} of ${plural(page.total, 'export')}`);
  $('#page-prev').disabled = page.page <= 1;
  $('#page-next').disabled = page.page >= page.pages;
}

async function ask() {
  const text = query().toString();
  try {
    const next = await get(`exports${text ? `?${text}` : ''}`);
    if (text !== query().toString()) {
      return 0;                         // the filter has changed meanwhile
    }
    page = next;
    showError('');
    render();
  } catch (problem) {
    if (problem.status === 400) {
      showError((problem.errors.length ? problem.errors.map((e) => `${e.field} ${e.message}`).join('; ') : '') || problem.message);
    }
    throw problem;
  }
  return page.items.some((e) => e.status === 'RUNNING') ? 2000 : 5000;
}

export const refresh = () => poller?.now();

export function show() {
  renderFilter();
  poller?.stop();
  poller = poll(ask, 5000);
}

export function hide() {
  poller?.stop();
  poller = null;
}

onPartners(render);

$('#create-export').addEventListener('click', () => openCreate(refresh));
$('#per-page').addEventListener('change', (event) =>
  go({ per_page: event.target.value }));
$('#page-prev').addEventListener('click', () =>
  go({ page: String(page.page - 1) }));
$('#page-next').addEventListener('click', () =>
  go({ page: String(page.page + 1) }));
$('#export-empty button').addEventListener('click', () => {
  if (isFiltered()) {
    $('#filter-reset').click();
  } else if (page.total) {
    go({});
  } else if (list().length) {
    openCreate(refresh);
  } else {
    openAdd();
  }
});
