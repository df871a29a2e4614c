// Whether everything that was accepted has been handled.

import { act, get, path } from "./api.js";
import { fill, h, reconcile } from "./dom.js";
import { ago, capital, count, duration, moment, number } from "./format.js";
import { worry } from "./endpoints.js";
import { to } from "./route.js";
import { announce, button, askWhy, heading, report, section, table, toast } from "./ui.js";
import { familyDot } from "./words.js";

/// Older than this, a delivery that waits is news (seconds).
const LATE = 300;

const sum = (queues, name) => queues.reduce((total, queue) => total + queue[name], 0);

const quarantined = ({ count: n, more }) => `${number(n)}${more ? "+" : ""}`;

/// What is wrong, in words; nothing where all is well.
export function worries({ queues, endpoints }) {
  const dead = sum(queues, "dead_letters");
  const late = queues.filter(({ oldest_seconds: oldest }) => oldest !== null && oldest > LATE);
  return [
    dead > 0 ? `${capital(count(dead, "delivery", "deliveries"))} could not be applied: see the dead letters below.` : null,
    late.length > 0 ? `Deliveries have been waiting for ${duration(1000 * Math.max(...late.map(({ oldest_seconds: oldest }) => oldest)))}.` : null,
    worry(endpoints),
  ].filter(Boolean);
}

const tile = ({ name, value, at, note, href }) =>
  h(
    "div",
    { class: "tile" },
    h("h3", null, href ? h("a", { href }, name) : name),
    h("p", { class: "value" }, value),
    h("p", { class: "muted" }, at ? moment(at) : note),
  );

const quantity = (n, word) => h("span", { class: n > 0 ? word : "muted" }, number(n));

export function show({ main, env, signal, every }) {
  const verdict = h("div", { class: "verdict", "aria-live": "polite" });
  const tiles = h("div", { class: "tiles" });
  const list = table("Queues", [
    { name: "Family", cell: ({ family }) => [familyDot(family), family] },
    { name: "Waiting", class: "number", cell: ({ waiting }) => quantity(waiting, "some") },
    { name: "In flight", class: "number", cell: ({ in_flight: n }) => quantity(n, "some") },
    { name: "Oldest", class: "number", cell: ({ oldest_seconds: s }) => (s === null ? h("span", { class: "muted" }, "–") : duration(1000 * s)) },
    { name: "Dead letters", class: "number", cell: ({ dead_letters: n }) => quantity(n, "bad") },
    { name: "", class: "number", cell: (queue) => (queue.dead_letters > 0 ? button("Redrive…", () => redrive(queue), { class: "small", "aria-label": `Redrive ${queue.family}` }) : null) },
  ]);
  const holder = h("div", { hidden: true }, tiles, section("Queues", h("p", { class: "muted" }, "Each family of events has a queue, and dead letters: deliveries that failed too often."), h("div", { class: "list keep" }, list.element)));
  const problem = h("div");
  fill(main, heading("Health"), verdict, problem, holder);

  async function load() {
    try {
      draw(await get(env, "health", {}, signal));
      report(problem, null);
    } catch (error) {
      if (!signal.aborted) report(problem, error, now);
    }
  }

  function draw(health) {
    const { last_event_at: last, quarantine, queues, endpoints, version } = health;
    const worried = worries(health);
    const said = worried.join(" ") || "OK: nothing is stuck.";
    if (verdict.textContent !== said) fill(verdict, h("p", { class: worried.length > 0 ? "bad" : "good" }, said));
    const items = [
      { name: "Last event", value: last ? ago(last) : "none yet", at: last, note: "No event has arrived." },
      { name: "In the queues", value: number(sum(queues, "waiting") + sum(queues, "in_flight")), note: "waiting or in flight" },
      { name: "Quarantine", value: quarantined(quarantine), note: "could not be read", href: to("quarantine") },
      { name: "Endpoints", value: number(endpoints.active + endpoints.failing + endpoints.disabled), note: worry(endpoints) ?? "none is failing", href: to("endpoints") },
      { name: "Version", value: version, note: "of the receiver" },
    ];
    reconcile(tiles, items, ({ name }) => name, tile);
    list.show(queues, ({ family }) => family);
    holder.hidden = false;
  }

  async function redrive({ family, dead_letters: dead }) {
    const done = await askWhy({
      env,
      title: `Redrive the dead letters of ${family}?`,
      lines: [`${capital(count(dead, "delivery", "deliveries"))} will move back to the queue and be processed again. Nothing is counted twice.`],
      verb: "Redrive",
      run: (why, key) => act(env, `dead-letters/${path(family)}/redrive`, why, key),
    });
    if (!done) return;
    const said = `${done.moved} moved${done.more ? "; there are more, so redrive again" : ""}.`;
    toast(said);
    announce(said);
    now();
  }

  const now = every(load);
  now();
}
