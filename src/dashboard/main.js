// The address says what is shown: #exports?..., #exports/ID, #partners and
// #status.  All that the first screen needs is asked for at once.

import { connection } from './api.js';
import { $, $$ } from './dom.js';
import { loadCatalog } from './define.js';
import * as exports from './exports.js';
import * as partners from './partners.js';
import { poll } from './poll.js';
import * as status from './status.js';
import * as view from './view.js';

const titles = { exports: 'Exports', partners: 'Partners', status: 'Status',
  view: 'Export' };
let shown = '';

function route() {
  const [path] = location.hash.slice(1).split('?');
  const [name, id] = path.split('/');
  const screen = name === 'exports' && id ? 'view'
    : titles[name] && name !== 'view' ? name : 'exports';

  exports.hide();
  view.hide();
  connection.forget();
  for (const section of $$('main > section')) {
    section.hidden = section.id !== `screen-${screen}`;
  }
  for (const link of $$('.top nav a')) {
    const on = link.hash === `#${screen === 'view' ? 'exports' : screen}`;
    if (on) {
      link.setAttribute('aria-current', 'page');
    } else {
      link.removeAttribute('aria-current');
    }
  }
  document.title = `${titles[screen]} · ctseg`;

  if (screen === 'exports') {
    exports.show();
  } else if (screen === 'view') {
    view.show(id);
  } else if (started) {
    people.now();
    state.now();
  }
  if (shown && shown !== screen) {
    scrollTo(0, 0);
    $('#content').focus({ preventScroll: true });
  }
  shown = screen;
}

let started = false;

window.addEventListener('hashchange', route);
route();
const state = poll(status.refresh, 5000);
const people = poll(partners.refresh, 10000);
const names = poll(async () => { await loadCatalog(); names.stop(); }, 5000);
started = true;
