// The log: newest first, alive, narrowed down by what the address bar says.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { progressBadge } from "./endpoints.js";
import { amount, count, countDeliveries, identifier, moment, times } from "./format.js";
import { chips, filterForm, filterLabel } from "./filters.js";
import { go, to, toEntity, toEvent } from "./route.js";
import { searchBox } from "./search.js";
import { announce, button, heading, table, trouble } from "./ui.js";
import { effectBadge, familyDot, kindName, moneyMarks, statusBadge } from "./words.js";

const PAGE = 50;
/// An event recorded a little earlier may become visible a little later.
const OVERLAP = 5000;
const NEW_PAGES = 10;
const SEARCH_PAGES = 5;
const BEGINNING_PAGES = 20;
const SHORTEST_BEGINNING = 4;
const MOST_BEGUN = 8;
const MOST_ROWS = 1000;

const COLUMNS = [
  { name: "Recorded", class: "col-time", cell: (event) => moment(event.recorded_at) },
  { name: "Event", class: "col-event", cell: eventCell },
  { name: "About", class: "col-about", cell: about },
  { name: "Status", class: "col-status", cell: (event) => statusBadge(event.status) },
  { name: "Amount", class: "col-amount", cell: (event) => [amount(event.amount, event.asset) ?? event.asset, moneyMarks(event)] },
  { name: "Effect", class: "col-effect", cell: (event) => [effectBadge(event.effect), " ", h("span", { class: "why", title: event.why }, event.why)] },
  { name: "Endpoints", class: "col-endpoints", cell: ({ endpoints }) => progressBadge(endpoints) },
  { name: "Times", class: "col-deliveries", cell: deliveries },
];

function eventCell(event) {
  return [familyDot(event.family), h("a", { href: toEvent(event.id), class: "opens", title: event.family }, event.event)];
}

export function about({ entity, kind }) {
  if (!entity) return null;
  return [h("span", { class: "muted" }, `${kindName(kind, entity.type)} `), h("a", { href: toEntity(entity, kind) }, identifier(entity.uid))];
}

function deliveries({ deliveries: n }) {
  const label = countDeliveries(n);
  return h("span", { class: n > 1 ? "many" : "muted", title: label, "aria-label": label }, times(n));
}

/// A moment of the API, and so many milliseconds.
const plus = (iso, milliseconds) => new Date(new Date(iso).getTime() + milliseconds).toISOString();

/// What was on the page when it was left: who comes back finds the same rows at the same place.
let kept = null;

const newestFirst = (a, b) =>
  a.recorded_at === b.recorded_at ? (a.id < b.id ? 1 : -1) : a.recorded_at < b.recorded_at ? 1 : -1;

export function show({ main, route, env, signal, every, title }) {
  let params = route.params;
  let state = null;
  let generation = 0;
  let live = true;

  const list = table("Events, newest first", COLUMNS, { rowClass: (event) => (event.conflict || event.effect === "conflict" ? "conflict" : null) });
  const foot = h("div", { class: "foot" });
  const summary = h("p", { class: "summary muted" });
  const chipRow = h("div", { class: "chip-row" });
  const liveButton = button([h("span", { class: "pulse", "aria-hidden": "true" }), h("span", null, "Live")], toggleLive, { class: "live", "aria-pressed": "true", title: "New events appear automatically" });
  const form = filterForm(change);
  const panel = h("details", { class: "panel" }, h("summary", null, "Filters"), form.form);
  const box = searchBox({
    choose: (name, value) => (name === "id" ? go(toEvent(value)) : change(name, value)),
    has: async (name, value) => (await get(env, "events", { [name]: value, limit: 1 })).events.length > 0,
    begun,
  });

  fill(
    main,
    heading("Log", summary),
    h("div", { class: "toolbar" }, box, liveButton),
    panel,
    chipRow,
    h("div", { class: "list" }, list.element),
    foot,
  );
  // Clicking anywhere in a row opens it, except on what is itself a link or being selected.
  list.element.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    if (!row || event.target.closest("a, button") || getSelection()?.toString()) return;
    row.querySelector("a.opens").click();
  });

  /// What of the newest events begins with a text: uids of entities, and ids of events, as guesses of the search box.
  async function begun(text) {
    if (text.length < SHORTEST_BEGINNING) return [];
    const found = new Map();
    const note = (name, label, value) => value?.toLowerCase().startsWith(text.toLowerCase()) && found.set(value, [name, label, value]);
    let cursor = null;
    for (let page = 0; page < BEGINNING_PAGES; page += 1) {
      const { events, cursor: next } = await get(env, "events", { limit: 100, cursor }, signal);
      for (const { id, event, entity } of events) {
        note("entity", "Entity", entity?.uid);
        note("id", event, id);
      }
      cursor = next;
      if (cursor === null) break;
    }
    return [...found.values()].slice(0, MOST_BEGUN);
  }

  function change(name, value) {
    go(to("log", { ...params, [name]: value }));
  }

  const key = () => to("log", params, env);

  function begin() {
    generation += 1;
    form.show(params);
    fill(chipRow, chips(params, change, () => go(to("log"))));
    const names = Object.keys(params).map(filterLabel);
    title(names.length > 0 ? `Log by ${names.join(", ").toLowerCase()}` : "Log");
    if (kept?.key === key()) {
      state = kept;
      draw();
      offer();
      scrollTo(0, state.scroll);
      return;
    }
    state = { key: key(), events: new Map(), cursor: null, more: true, scroll: 0 };
    kept = state;
    draw();
    loadOlder();
  }

  function draw() {
    const events = [...state.events.values()].sort(newestFirst);
    const fresh = list.show(events, (event) => event.id);
    const said = events.length > 0 ? `${count(events.length, "event")} shown` : "";
    if (summary.textContent !== said) summary.textContent = said;
    return fresh;
  }

  const take = (events) => events.forEach((event) => state.events.set(event.id, event));

  function question(extra) {
    return get(env, "events", { ...params, limit: PAGE, ...extra }, signal);
  }

  /// A page may be short or empty and the log still go on: then it is searched further, but not for ever.
  async function loadOlder() {
    const mine = generation;
    fill(foot, h("p", { class: "muted loading" }, "Reading …"));
    try {
      let gained = 0;
      for (let page = 0; page < SEARCH_PAGES && state.more && gained < PAGE / 2; page += 1) {
        const found = await question({ cursor: state.cursor, ...(state.before ? { to: state.before } : {}) });
        if (mine !== generation) return;
        take(found.events);
        gained += found.events.length;
        state.cursor = found.cursor;
        state.more = found.cursor !== null;
        state.hint = found.hint;
        draw();
      }
      offer(gained);
    } catch (error) {
      if (!signal.aborted && mine === generation) fill(foot, trouble(error, loadOlder));
    }
  }

  function offer(gained = 1) {
    const isEmpty = state.events.size === 0;
    const nothing = Object.keys(params).length > 0 ? "No events match these filters." : "No events yet. They appear here as they arrive.";
    if (!state.more) {
      fill(foot, h("p", { class: isEmpty ? "empty" : "muted" }, isEmpty ? [nothing, state.hint && ` ${state.hint}`] : "This is the beginning of the log."));
    } else {
      const found = gained > 0 ? null : h("p", { class: "muted" }, "No more matches in this part of the log. Older events may match.");
      fill(foot, found, button(gained > 0 ? "Load older" : "Search further back", loadOlder));
    }
  }

  async function poll() {
    if (!live) return;
    const mine = generation;
    try {
      const [newest, seen] = await Promise.all([news(), inSight()]);
      if (mine !== generation) return;
      const unknown = newest.events.filter((event) => !state.events.has(event.id));
      for (const page of [seen, newest]) {
        take(page.events);
        if (params.effect) forget(page);
      }
      if (newest.isTorn) beginBelow(newest.events);
      trim();
      const fresh = draw();
      if (unknown.length > 0) {
        fresh.forEach((row) => row.classList.add("fresh"));
        announce(`${count(unknown.length, "new event")}.`);
        if (!state.more) offer();
      }
      liveButton.classList.remove("waiting");
    } catch {
      // The banner says that nothing answers; the next poll tries again.
      liveButton.classList.add("waiting");
    }
  }

  /// The newest page as a whole, as deliveries and effects of its events change; or, where more has come than it
  /// has, all of that. Where even that is too much, it does not reach what is shown: it is torn.
  async function news() {
    const page = await question({});
    const newest = [...state.events.values()].reduce((latest, { recorded_at: at }) => (at > latest ? at : latest), "");
    const since = newest && plus(newest, -OVERLAP);
    const isEnough = page.cursor === null || page.events.some(({ recorded_at: at }) => at < since);
    if (!newest || isEnough) return { ...page, below: since };
    const from = params.from && new Date(params.from) > new Date(since) ? params.from : since;
    const events = [];
    let cursor = null;
    for (let pages = 0; pages < NEW_PAGES; pages += 1) {
      const found = await question({ from, cursor });
      events.push(...found.events);
      cursor = found.cursor;
      if (cursor === null) break;
    }
    return { events, cursor, below: "", isTorn: cursor !== null && events.length > 0 };
  }

  /// Where the newest page ends above what is in sight: the page from the first row in sight on, as far as it is
  /// shown. More is loaded when somebody asks for it.
  async function inSight() {
    const rows = [...list.element.tBodies[0].rows];
    const end = rows.findLastIndex((row) => row.getBoundingClientRect().top < innerHeight);
    if (end < PAGE) return { events: [], cursor: null, below: "" };
    const first = rows.find((row) => row.getBoundingClientRect().bottom > 0);
    const to = plus(state.events.get(first.dataset.key).recorded_at, 1);
    const { events, cursor } = await question({ to });
    return { events: events.filter(({ id }) => state.events.has(id)), cursor, below: to };
  }

  /// Drops what a page should have, below a moment, and has not: its effect has changed.
  function forget({ events, cursor, below }) {
    const found = new Set(events.map(({ id }) => id));
    const end = cursor === null ? "" : events.at(-1)?.recorded_at ?? below;
    for (const { id, recorded_at: at } of state.events.values()) {
      if (at > end && at < below && !found.has(id)) state.events.delete(id);
    }
  }

  /// Leaves `events` only. What is older can be loaded again; what is being loaded would not follow them.
  function beginBelow(events) {
    generation += 1;
    state.events = new Map(events.map((event) => [event.id, event]));
    state.cursor = null;
    state.before = plus(events.at(-1).recorded_at, 1);
    state.more = true;
    offer();
  }

  /// A page that stays open for days must not grow for ever.
  function trim() {
    if (state.events.size > MOST_ROWS) beginBelow([...state.events.values()].sort(newestFirst).slice(0, MOST_ROWS / 2));
  }

  function toggleLive() {
    live = !live;
    liveButton.setAttribute("aria-pressed", String(live));
    liveButton.lastElementChild.textContent = live ? "Live" : "Paused";
    announce(live ? "New events appear again." : "Paused: new events do not appear.");
    if (live) now();
  }

  signal.addEventListener("abort", () => {
    state.scroll = scrollY;
  });
  begin();
  const now = every(poll);

  return {
    update(next) {
      state.scroll = scrollY;
      params = next.params;
      begin();
    },
  };
}
