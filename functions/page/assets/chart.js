// How many events came when: by family, and by what they did.

import { get } from "./api.js";
import { fill, h, svg } from "./dom.js";
import { capital, count, day, localTime, moment } from "./format.js";
import { go, to } from "./route.js";
import { choice, guarded, heading, section, trouble } from "./ui.js";
import { EFFECTS, FAMILIES } from "./words.js";

/// Slower than the other views (ms): it shows how many came in minutes or days, not how things stand, and each time
/// the receiver counts everything in the range anew, with up to 200 queries.
const POLL = 30_000;
const HOUR = 3600;

/// How far back, and how wide a bar is, in seconds.
const RANGES = {
  "1h": { name: "1 hour", span: HOUR, step: 60 },
  "24h": { name: "24 hours", span: 24 * HOUR, step: 1800 },
  "7d": { name: "7 days", span: 7 * 24 * HOUR, step: 4 * HOUR },
  "30d": { name: "30 days", span: 30 * 24 * HOUR, step: 24 * HOUR },
};

const HEIGHT = 190;
const MARGIN = { top: 8, right: 4, bottom: 22, left: 44 };

export function show({ main, route, env, signal, every, title }) {
  const range = Object.hasOwn(RANGES, route.params.range) ? route.params.range : "24h";
  const { name, span, step } = RANGES[range];
  const options = Object.entries(RANGES).map(([value, { name: text }]) => [value, text]);
  const holder = h("div", null, h("p", { class: "muted loading" }, "Reading …"));
  let stats = null;
  let shown = "";
  title(`Charts, ${name}`);
  fill(
    main,
    heading("Charts", choice("Period", options, range, (value) => go(to("charts", { range: value })))),
    holder,
  );

  async function load() {
    const end = (Math.floor(Date.now() / 1000 / step) + 1) * step;
    const iso = (seconds) => new Date(1000 * seconds).toISOString();
    try {
      stats = await get(env, "stats", { from: iso(end - span), to: iso(end), step }, signal);
      const json = JSON.stringify(stats);
      if (json === shown) return;
      draw();
      shown = json;
    } catch (error) {
      if (!signal.aborted && !stats) fill(holder, trouble(error, now));
    }
  }

  function draw() {
    if (!stats) return;
    const open = [...holder.querySelectorAll("details")].map((details) => details.open);
    fill(
      holder,
      guarded(() => coverage(stats)),
      guarded(() => chart("By family", stats, "family", FAMILIES, holder.clientWidth)),
      guarded(() => chart("By effect", stats, "effect", Object.keys(EFFECTS), holder.clientWidth)),
    );
    [...holder.querySelectorAll("details")].forEach((details, i) => (details.open = open[i] ?? false));
  }

  const now = every(load, POLL);
  now();
  let width = 0;
  const resized = new ResizeObserver(() => {
    if (width !== holder.clientWidth) draw();
    width = holder.clientWidth;
  });
  resized.observe(holder);
  signal.addEventListener("abort", () => resized.disconnect());
}

function coverage({ complete, counted_from: from, counts }) {
  const total = counts.reduce((sum, { count: n }) => sum + n, 0);
  if (complete) return h("p", { class: "muted" }, `${count(total, "event")} in this period.`);
  return h("p", { class: "note" }, `There are more events than can be counted at once. These are the newest ${count(total, "event")}, since `, moment(from), ".");
}

/// One bar per step of time, also where nothing came.
function bars({ from, to: end, step, counts }, by) {
  const start = Math.floor(new Date(from).getTime() / 1000 / step) * step;
  const length = Math.max(1, Math.ceil((new Date(end).getTime() / 1000 - start) / step));
  const all = Array.from({ length }, (_, i) => ({ at: new Date(1000 * (start + i * step)), total: 0, parts: {} }));
  for (const entry of counts) {
    const bar = all[Math.floor((new Date(entry.at).getTime() / 1000 - start) / step)];
    if (!bar) continue;
    bar.parts[entry[by]] = (bar.parts[entry[by]] ?? 0) + entry.count;
    bar.total += entry.count;
  }
  return all;
}

function chart(name, stats, by, order, width) {
  const all = bars(stats, by);
  const series = order.filter((key) => all.some(({ parts }) => parts[key]));
  const totals = series.map((key) => [key, all.reduce((sum, { parts }) => sum + (parts[key] ?? 0), 0)]);
  const said = totals.map(([key, n]) => `${key} ${n}`).join(", ") || "nothing";
  return section(
    name,
    h(
      "figure",
      { class: "chart card" },
      picture(all, by, series, `Events ${name.toLowerCase()}: ${said}.`, Math.max(260, width - 34)),
      h("ul", { class: "legend" }, totals.map(([key, n]) => h("li", null, h("span", { class: `dot ${by}-${key}`, "aria-hidden": "true" }), key, h("span", { class: "muted" }, ` ${n.toLocaleString("en")}`)))),
      h("details", null, h("summary", null, "As a table"), asTable(name, all, series)),
    ),
  );
}

/// A round number not below `most`, whose half is round as well.
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 4, 6, 8, 10].map((n) => n * power).find((n) => n >= most);
}

function picture(all, by, series, label, width) {
  const top = ceiling(Math.max(2, ...all.map(({ total }) => total)));
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const slot = inner.width / all.length;
  const y = (n) => MARGIN.top + inner.height * (1 - n / top);
  const grid = [0, top / 2, top].map((n) => [
    svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(n), y2: y(n), class: "grid" }),
    svg("text", { x: MARGIN.left - 8, y: y(n) + 4, "text-anchor": "end" }, n.toLocaleString("en")),
  ]);
  const columns = all.map((bar, i) => {
    const x = MARGIN.left + i * slot + Math.min(1.5, slot / 6);
    let below = 0;
    const parts = series.filter((key) => bar.parts[key]).map((key) => {
      const n = bar.parts[key];
      below += n;
      return svg("rect", { x, y: y(below), width: Math.max(1, slot - Math.min(3, slot / 3)), height: y(0) - y(n), class: `${by}-${key}` });
    });
    const words = series.filter((key) => bar.parts[key]).map((key) => `${key} ${bar.parts[key]}`);
    const hover = svg("rect", { x: MARGIN.left + i * slot, y: MARGIN.top, width: slot, height: inner.height, class: "hover" }, svg("title", null, [localTime(bar.at), ...words].join("\n")));
    return [parts, hover];
  });
  const root = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label });
  root.append(...[grid, columns, times(all, slot, width)].flat(Infinity));
  return root;
}

/// As many times below the axis as have room.
function times(all, slot, width) {
  const spansDays = all.at(-1).at - all[0].at > 36 * HOUR * 1000;
  const words = (date) => (spansDays ? day(date) : localTime(date).slice(-8, -3));
  const each = Math.ceil(all.length / Math.max(1, Math.min(8, Math.floor(width / 80))));
  return all
    .map((bar, i) => [bar, i])
    .filter(([, i]) => i % each === 0)
    .map(([bar, i]) => svg("text", { x: MARGIN.left + i * slot, y: HEIGHT - 6 }, words(bar.at)));
}

function asTable(name, all, series) {
  const rows = all.filter(({ total }) => total > 0);
  const cell = (bar, key) => h("td", { class: "number" }, (bar.parts[key] ?? 0).toLocaleString("en"));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `${name}, as a table` },
    h(
      "table",
      { class: "plain" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "From"), [...series, "total"].map((key) => h("th", { scope: "col", class: "number" }, capital(key))))),
      h("tbody", null, rows.map((bar) => h("tr", null, h("th", { scope: "row" }, moment(bar.at.toISOString())), series.map((key) => cell(bar, key)), h("td", { class: "number" }, bar.total.toLocaleString("en"))))),
    ),
  );
}
