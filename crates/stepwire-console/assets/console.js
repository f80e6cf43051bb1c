// What pages gain by script: they stay current, clocks tick, keys work. Without it they are the
// same pages, with links, forms and a reload button.

const $ = (id) => document.getElementById(id);
const main = $('main');
document.documentElement.classList.add('scripted');

// -- theme ---------------------------------------------------------------------------------------

const kept = (key, value) => {
  try {
    return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value);
  } catch {
    return null; // storage may be off
  }
};
const dark = matchMedia('(prefers-color-scheme: dark)');
const paint = () => {
  const theme = kept('theme');
  if (theme) document.documentElement.dataset.theme = theme;
};
paint();
addEventListener('storage', paint);
$('theme-button')?.addEventListener('click', () => {
  const now = document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light');
  kept('theme', now === 'dark' ? 'light' : 'dark');
  paint();
});

// -- clocks --------------------------------------------------------------------------------------

const served = Number(main.dataset.now) || Date.now();
const offset = served - Date.now(); // the node's clock counts
const two = (n) => n.toFixed(n < 10 ? 1 : 0);
const long = (ms) => {
  const s = Math.max(0, ms) / 1000;
  if (s < 60) return `${two(s < 10 ? Math.floor(s * 10) / 10 : Math.floor(s))} s`;
  const [m, h, d] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86400)];
  const and = (n, word) => (n ? ` ${n} ${word}` : '');
  if (h < 1) return `${m} min${and(Math.floor(s % 60), 's')}`;
  return d < 1 ? `${h} h${and(m % 60, 'min')}` : `${d} d${and(h % 24, 'h')}`;
};
const tick = () => {
  const now = Date.now() + offset;
  for (const el of document.querySelectorAll('[data-ago],[data-since],[data-until]')) {
    const { ago, since, until } = el.dataset;
    const text = ago ? `${long(now - ago)} ago` : long(since ? now - since : until - now);
    if (el.textContent !== text) el.textContent = text;
  }
  // a bar that runs out: from `data-from` to `data-to`
  for (const el of document.querySelectorAll('[data-to]')) {
    const { from, to } = el.dataset;
    const left = Math.min(1, Math.max(0, (to - now) / (to - from)));
    el.setAttribute('width', String(left * Number(el.dataset.width ?? 120)));
  }
};
setInterval(tick, 100);

// -- live ----------------------------------------------------------------------------------------

let held = false; // what is live is held back
const waiting = new Map();
const late = new Map(); // what is not replaced while somebody types, or drags, in it
const hooks = []; // called after something was replaced

const replace = (id, html) => {
  const old = $(id);
  if (!old) return;
  const at = document.activeElement;
  if (typing(at) && at.type !== 'checkbox' && old.contains(at)) {
    late.set(id, html);
    return;
  }
  late.delete(id);
  const focused = document.activeElement && old.contains(document.activeElement)
    ? document.activeElement.id : '';
  const open = [...old.querySelectorAll('details[open][id]')].map((el) => el.id);
  const ticked = [...old.querySelectorAll('[type=checkbox][id]:checked')].map((el) => el.id);
  const cursor = old.querySelector('tr.cursor')?.dataset.href;
  const scrolled = [...old.querySelectorAll('[data-scroll]')]
    .map((el) => [el.dataset.scroll, el.scrollTop, el.scrollLeft]);
  const fresh = document.createElement('template');
  const drawn = old instanceof SVGElement; // its children have to be read as SVG, too
  fresh.innerHTML = drawn ? `<svg>${html}</svg>` : html;
  old.replaceChildren(...(drawn ? fresh.content.firstChild : fresh.content).childNodes);
  for (const id of open) $(id)?.setAttribute('open', '');
  for (const id of ticked) if ($(id)) $(id).checked = true;
  if (cursor) old.querySelector(`tr[data-href="${CSS.escape(cursor)}"]`)?.classList.add('cursor');
  for (const [name, top, left] of scrolled) {
    const el = old.querySelector(`[data-scroll="${CSS.escape(name)}"]`);
    if (el) [el.scrollTop, el.scrollLeft] = [top, left];
  }
  if (focused) $(focused)?.focus({ preventScroll: true });
  for (const hook of hooks) hook(old);
};
addEventListener('focusout', () => setTimeout(() => [...late].forEach(([id, html]) => replace(id, html))));
const relist = (id, rows) => {
  const list = $(id);
  if (!list) return;
  const keys = new Set(rows.map(([key]) => key));
  for (const el of [...list.children]) if (!keys.has(el.dataset.item)) el.remove();
  const had = new Map([...list.children].map((el) => [el.dataset.item, el]));
  rows.forEach(([key, html], at) => {
    let el = had.get(key);
    if (html) {
      const fresh = document.createElement('template');
      fresh.innerHTML = html;
      const made = fresh.content.firstElementChild;
      el?.replaceWith(made);
      el = made;
    }
    if (el && list.children[at] !== el) list.insertBefore(el, list.children[at] ?? null);
  });
  for (const hook of hooks) hook(list);
};
const mark = ({ id, class: name, badge, label }) => {
  const el = $(id);
  if (!el) return;
  const selected = el.classList.contains('sel');
  el.setAttribute('class', name);
  el.classList.toggle('sel', selected || / sel( |$)/.test(name));
  if (badge) el.querySelector('.bd')?.setAttribute('href', `#${badge}`);
  if (label) el.setAttribute('aria-label', label);
};
const update = ({ regions = [], lists = [], marks = [] }) => {
  if (held) {
    for (const [id, html] of regions) waiting.set(id, { region: [id, html] });
    for (const [id, rows] of lists) {
      const before = new Map(waiting.get(id)?.list[1]);
      waiting.set(id, { list: [id, rows.map(([key, html]) => [key, html ?? before.get(key)])] });
    }
    for (const it of marks) waiting.set(it.id, { mark: it });
    return;
  }
  for (const [id, html] of regions) replace(id, html);
  for (const [id, rows] of lists) relist(id, rows);
  marks.forEach(mark);
  tick();
};
const reload = async () => {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!answer.ok) return answer.status === 404;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const el of page.querySelectorAll('.region[id],[data-list]')) replace(el.id, el.innerHTML);
};
const say = (text, state) => {
  document.documentElement.dataset.live = state;
  $('live-status').textContent = text;
};
let source;
let last = ''; // the event that was shown last
const listen = () => {
  if (!main.dataset.live || source) return;
  source = new EventSource(main.dataset.live + (last && `&since=${last}`));
  source.onopen = () => say('', 'on');
  source.onerror = () => {
    say('The connection to the node is lost; trying again', 'off');
    if (source.readyState !== EventSource.CLOSED) return;
    source = undefined; // the node was not there: ask again until it is
    setTimeout(listen, 1000);
  };
  source.addEventListener('parts', (event) => {
    update(JSON.parse(event.data));
    last = event.lastEventId;
    say('', 'on');
  });
  source.addEventListener('gap', async () => {
    const gone = await reload();
    say(gone ? 'What this page shows is gone' : '', gone ? 'off' : 'on');
  });
};
const rest = () => {
  source?.close();
  source = undefined;
};
listen();
// a page in the back needs no connection of the few that a browser allows; it catches up
document.addEventListener('visibilitychange', () => (document.hidden ? rest() : listen()));
addEventListener('pagehide', rest);
addEventListener('pageshow', (event) => event.persisted && listen());
const hold = () => {
  held = !held;
  document.documentElement.classList.toggle('held', held);
  say(held ? 'Held: what happens is shown when you press . again' : '', held ? 'held' : 'on');
  if ($('hold-button')) $('hold-button').textContent = held ? 'Follow' : 'Hold';
  if (held) return;
  const kept = [...waiting.values()];
  waiting.clear();
  update({
    regions: kept.flatMap((it) => (it.region ? [it.region] : [])),
    lists: kept.flatMap((it) => (it.list ? [it.list] : [])),
    marks: kept.flatMap((it) => (it.mark ? [it.mark] : [])),
  });
};

// -- keys ----------------------------------------------------------------------------------------

const typing = (el) => el?.closest?.('input,textarea,select,[contenteditable]');
const rows = () => [...main.querySelectorAll('tr[data-href],[data-row]')];
const move = (by) => {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains('cursor'));
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  all[at]?.classList.remove('cursor');
  next.classList.add('cursor');
  (next.querySelector('a') ?? next).focus();
  next.scrollIntoView({ block: 'nearest' });
};
const press = (key) => {
  const el = main.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (el?.tabIndex >= 0 && el.matches('[role=group]')) el.focus();
  else el?.click();
  return Boolean(el);
};
let went = 0;
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === 'Escape' && typing(event.target)) return event.target.blur();
  if (typing(event.target) || $('keys').open) return;
  const { key } = event;
  if (Date.now() - went < 1500) {
    went = 0;
    const place = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
    if (place) return place.click();
  }
  if (key === '/') {
    event.preventDefault();
    $('search').focus();
    $('search').select();
  } else if (key === 'g') went = Date.now();
  else if (key === '?') $('keys').showModal();
  else if (key === 'j') move(1);
  else if (key === 'k') move(-1);
  else if (key === '.') hold();
  else if (key.startsWith('Arrow') && event.target.closest('.asl')) walk(event);
  else if (key === 'x') main.querySelector('tr.cursor [type=checkbox]')?.click();
  else if (/^[\[\]trse]$/.test(key) && press(key)) event.preventDefault();
});
$('hold-button')?.addEventListener('click', hold);
$('keys-button')?.addEventListener('click', () => $('keys').showModal());

// -- graph ---------------------------------------------------------------------------------------

// Arrows go to the nearest state in that direction.
const walk = (event) => {
  const from = event.target.closest('a,g');
  const graph = event.target.closest('.asl');
  const of = (el) => {
    const box = el.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = of(from);
  const [dx, dy] = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0] }[event.key] ?? [0, 0];
  let best;
  for (const el of graph.querySelectorAll('a')) {
    if (el === from || el.contains(from)) continue;
    const [ex, ey] = of(el);
    const along = (ex - x) * dx + (ey - y) * dy;
    const across = Math.abs((ex - x) * dy) + Math.abs((ey - y) * dx);
    if (along > 4 && (!best || along + 2 * across < best[0])) best = [along + 2 * across, el];
  }
  if (best) {
    event.preventDefault();
    best[1].focus();
  }
};

// `/executions/WORKFLOW/NAME#STATE` leads to the state
const named = location.hash.slice(1);
if (named && /^\/executions\/[^/]+\/[^/]+$/.test(location.pathname) && !document.querySelector(':target')) {
  const query = new URLSearchParams(location.search);
  try {
    query.set('state', decodeURIComponent(named));
    location.replace(`${location.pathname}?${query}`);
  } catch {
    // no text
  }
}

// -- rows, forms ---------------------------------------------------------------------------------

addEventListener('click', (event) => {
  const row = event.target.closest('tr[data-href]');
  if (row && !event.target.closest('a,button,input,label') && !getSelection().toString()) {
    location.href = row.dataset.href;
  }
  // to the form as it was left, not to an empty one
  if (event.target.closest('[data-back]') && history.length > 1) {
    event.preventDefault();
    history.back();
  }
  const copy = event.target.closest('[data-copy]');
  if (copy) {
    navigator.clipboard?.writeText(copy.dataset.copy || location.href);
    say('Copied', document.documentElement.dataset.live ?? '');
  }
});
// forms that ask before they act
addEventListener('submit', (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
// choosing in a form of filters is enough; a file's text goes where it is read from
addEventListener('change', async ({ target }) => {
  if (target.dataset.into) $(target.dataset.into).value = (await target.files[0]?.text()) ?? '';
  else if (target.form?.matches('[data-auto]')) target.form.requestSubmit();
});
// a history that is dropped on any page is opened; on a field that takes files it stays there
addEventListener('dragover', (event) => event.dataTransfer?.types.includes('Files') && event.preventDefault());
addEventListener('drop', async (event) => {
  const [file] = event.dataTransfer?.files ?? [];
  if (!file) return;
  event.preventDefault();
  const field = event.target.closest?.('.fld')?.querySelector('[data-into]');
  const text = await file.text();
  if (field) {
    $(field.dataset.into).value = text;
    return;
  }
  const form = document.createElement('form');
  form.method = 'post';
  form.action = '/-/console/open';
  for (const [name, value] of [['back', '/open'], ['history', text], ['definition', '']]) {
    const input = document.createElement('input');
    [input.type, input.name, input.value] = ['hidden', name, value];
    form.append(input);
  }
  main.append(form);
  form.submit();
});
