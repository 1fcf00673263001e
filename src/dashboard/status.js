// The screen Status, and what of it all screens show.

import { get, setWritable } from './api.js';
import { sparkline } from './chart.js';
import { setCustom } from './define.js';
import { $, define, el, keyed, setAttr, setText } from './dom.js';
import { healthWords, list, onPartners } from './partners.js';
import { bytes, count, decimal, instant, plural, setZone } from './text.js';

const minutes = 15;
const healthName = { ok: 'All well', retrying: 'Retrying', paused: 'Partner paused' };
const samples = [];                     // of the last minutes, oldest first
let state = null;

const kinds = {
  in: { title: 'Events in', unit: 'per second', of: (a, b, s) => (b.collected - a.collected) / s },
  out: { title: 'Events out', unit: 'per second', of: (a, b, s) => (b.sent - a.sent) / s },
  commit: { title: 'Commit latency', unit: 'ms on average', of: (a, b) =>
    b.commits > a.commits ? (b.commit_microseconds - a.commit_microseconds) / (b.commits - a.commits) / 1000 : 0 },
};

export async function refresh() {
  state = await get('status');
  const zone = setZone(state.time_zone);
  setText($('#zone'), zone === state.time_zone ? `Times in ${zone}` : `Times in UTC; days in ${state.time_zone}`);
  setText($('#health'), healthName[state.health] ?? state.health);
  setAttr($('#health'), 'class', `tag ${state.health}`);
  setWritable(state.write !== false);
  setCustom(state.custom_events);

  const at = Date.parse(state.now) / 1000;
  samples.push({ at, ...(state.activity ?? {}) });
  while (samples[0].at < at - minutes * 60) {
    samples.shift();
  }
  render();
}

// one value for each two samples; counters that begin anew say nothing

function series(kind) {
  const points = [];
  for (let i = 1; i < samples.length; i++) {
    const [a, b] = [samples[i - 1], samples[i]];
    const value = kind.of(a, b, Math.max(0.001, b.at - a.at));
    if (value >= 0) {
      points.push([b.at, value]);
    }
  }
  return points;
}

function fill(used, of) {
  const percent = of ? used / of * 100 : 0;
  return { percent, text: `${decimal(percent)} %`, more: `${bytes(used)} of ${bytes(of)}` };
}

function tiles() {
  const { events, state: small } = state.store;
  const log = fill(events.used_bytes, events.capacity_bytes);
  const rest = fill(small.used_bytes, small.capacity_bytes);
  const tile = [
    { title: 'Store: events', text: log.text, more: `${log.more}, uploads are refused above ${bytes(events.high_water_bytes)}`,
      meter: log.percent, high: events.high_water_bytes / events.capacity_bytes * 100 },
    { title: 'Store: state', text: rest.text, more: rest.more, meter: rest.percent, high: 90 },
  ];
  if (state.activity) {
    for (const kind of Object.values(kinds)) {
      const points = series(kind);
      const value = points.length ? points.at(-1)[1] : 0;
      tile.push({ title: kind.title, text: decimal(value), more: kind.unit, points });
    }
    tile.push({ title: 'Workers', text: count(state.activity.workers),
      more: `${plural(state.activity.tasks, 'task')} under way` });
  }
  const paused = list().filter((p) => p.health.state === 'paused').length;
  tile.push({ title: 'Paused partners', text: count(paused), more: `of ${count(list().length)}` });
  return tile;
}

function render() {
  if (!state) {
    return;
  }
  setText($('#status-now'), `as of ${instant(state.now)}`);
  keyed($('#status-tiles'), tiles(), (t) => t.title, (t) => el('div', { class: 'card tile' },
    el('h2', {}, t.title), el('p', { class: 'big' }), el('p', { class: 'quiet' }), el('div')),
  (node, t) => {
    setText(node.children[1], t.text);
    setText(node.children[2], t.more);
    if (t.points) {
      node.children[3].replaceChildren(sparkline(t.points, `${t.title} in the last minutes, now ${t.text} ${t.more}`));
    } else if (t.meter !== undefined) {
      const meter = node.children[3].firstElementChild ?? el('meter', { min: '0', max: '100', 'aria-label': t.title });
      setAttr(meter, 'high', t.high);
      meter.value = t.meter;
      if (!meter.parentNode) {
        node.children[3].append(meter);
      }
    }
  });

  const ill = list().filter((p) => p.health.state !== 'ok');
  keyed($('#status-partners'), ill.length ? ill : [null], (p) => p?.id ?? 'none',
    () => el('li', {}, el('strong'), ' ', el('span')),
    (row, p) => {
      setText(row.children[0], p ? p.nickname : '');
      setText(row.children[1], p ? `${p.health.state}: ${healthWords(p.health)}` : 'All are well.');
    });
  define($('#status-exports'), Object.entries(state.exports).map(([name, n]) => [name, count(n)]));
  const held = state.store.events.held;
  define($('#status-about'), [
    ['Version', state.version],
    ['Installation', state.installation_id],
    ['Account zone', state.time_zone],
    ['Events in the log', state.sequence.first ? count(state.sequence.last - state.sequence.first + 1) : '0'],
    ['Held back for an export', held.events ? `${plural(held.events, 'event')} since ${instant(held.since)}, for ${held.export_id}` : null],
    ['Damaged records', state.damaged ? count(state.damaged) : null],
  ]);
}

onPartners(render);
