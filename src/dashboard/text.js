// Words and numbers as the reader's locale has them.  Instants are shown in
// the account zone, which decides where days begin; days are days.

let zone = 'UTC';

export function setZone(name) {
  try {
    new Intl.DateTimeFormat(undefined, { timeZone: name });
    zone = name;
  } catch {
    zone = 'UTC';                       // a rule that only the server knows
  }
  return zone;
}

const number = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

export const count = (n) => number.format(n);
export const decimal = (n) => short.format(n);

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export function instant(text) {
  return text ? new Intl.DateTimeFormat(undefined,
    { dateStyle: 'medium', timeStyle: 'short', timeZone: zone })
    .format(new Date(text)) : '';
}

// what is no day stands as it came: an address may say anything

export function day(text) {
  const date = new Date(`${text}T12:00:00Z`);
  return !text || Number.isNaN(date.getTime()) ? text || ''
    : new Intl.DateTimeFormat(undefined,
      { dateStyle: 'medium', timeZone: 'UTC' }).format(date);
}

// the day that it is in the account zone, and others beside it

export function today(now) {
  const part = Object.fromEntries(new Intl.DateTimeFormat('en-US',
    { year: 'numeric', month: '2-digit', day: '2-digit', timeZone: zone })
    .formatToParts(now ? new Date(now) : new Date())
    .map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day}`;
}

export function addDays(text, n) {
  const date = new Date(`${text}T12:00:00Z`);
  date.setUTCDate(date.getUTCDate() + n);
  return date.toISOString().slice(0, 10);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) {
    return '';
  }
  if (seconds < 1) {
    return 'less than a second';
  }
  if (seconds < 90) {
    return `${count(Math.round(seconds))} s`;
  }
  if (seconds < 5400) {
    return `${count(Math.round(seconds / 60))} min`;
  }
  return seconds < 129600 ? `${decimal(seconds / 3600)} h`
    : `${decimal(seconds / 86400)} days`;
}

export function bytes(n) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) {
    n /= 1024;
  }
  return `${decimal(n)} ${units[i]}`;
}

const sets = {
  system: 'All system events', engagement: 'Engagement events',
  all: 'All events',
};

export function data(e) {
  if (e.type === 'profile') {
    return 'User profiles';
  }
  return e.events.set === 'selected'
    ? `Selected: ${e.events.names.join(', ')}` : sets[e.events.set];
}

// how messages are made, where it is not the usual way

const futures = { clamp: 'dates ahead become those of arrival',
  reject: 'events dated ahead are rejected' };

export function messages(m) {
  return !m ? '' : [m.context && 'with context',
    m.names === 'canonical' && 'one spelling of names', futures[m.future],
    m.integrations && `integrations ${JSON.stringify(m.integrations)}`]
    .filter(Boolean).join(', ');
}

export const typeName = { event: 'Event', profile: 'User profile' };
export const kindName = { one_time: 'One time', recurring: 'Recurring',
  live: 'Live' };

// the days of an export of the kind that has some

export function days(f) {
  return f.kind !== 'one_time' ? '' : new Intl.DateTimeFormat(undefined,
    { dateStyle: 'medium', timeZone: 'UTC' })
    .formatRange(new Date(`${f.from}T12:00:00Z`), new Date(`${f.to}T12:00:00Z`));
}

export function frequency(f) {
  return f.kind === 'recurring' ? `Every ${f.every_hours} h` : kindName[f.kind];
}
