// Whether everything that was accepted has been handled.

import { act, get, path } from "./api.js";
import { fill, h } from "./dom.js";
import { ago, capital, count, duration, moment } from "./format.js";
import { to } from "./route.js";
import { announce, button, askWhy, heading, section, table, toast, trouble } from "./ui.js";
import { familyDot } from "./words.js";

const POLL = 5000;
/// Older than this, a delivery that waits is news (seconds).
const LATE = 300;

const sum = (queues, name) => queues.reduce((total, queue) => total + queue[name], 0);

const quarantined = ({ count: n, more }) => `${n.toLocaleString("en")}${more ? "+" : ""}`;

/// What is wrong, in words; nothing where all is well.
export function worries({ queues }) {
  const dead = sum(queues, "dead_letters");
  const late = queues.filter(({ oldest_seconds: oldest }) => oldest !== null && oldest > LATE);
  return [
    dead > 0 ? `${capital(count(dead, "delivery", "deliveries"))} could not be handled and lie among the dead letters.` : null,
    late.length > 0 ? `Deliveries have been waiting for ${duration(1000 * Math.max(...late.map(({ oldest_seconds: oldest }) => oldest)))}.` : null,
  ].filter(Boolean);
}

const tile = (name, value, note, href) =>
  h(
    "div",
    { class: "tile" },
    h("h3", null, href ? h("a", { href }, name) : name),
    h("p", { class: "value" }, value),
    h("p", { class: "muted" }, note),
  );

const number = (n, word) => h("span", { class: n > 0 ? word : "muted" }, n.toLocaleString("en"));

export function show({ main, env, signal, every }) {
  const verdict = h("div", { class: "verdict", "aria-live": "polite" });
  const tiles = h("div", { class: "tiles" });
  const list = table("Queues", [
    { name: "Family", cell: ({ family }) => [familyDot(family), family] },
    { name: "Waiting", class: "number", cell: ({ waiting }) => number(waiting, "some") },
    { name: "In flight", class: "number", cell: ({ in_flight: n }) => number(n, "some") },
    { name: "Oldest", class: "number", cell: ({ oldest_seconds: s }) => (s === null ? h("span", { class: "muted" }, "–") : duration(1000 * s)) },
    { name: "Dead letters", class: "number", cell: ({ dead_letters: n }) => number(n, "bad") },
    { name: "", class: "number", cell: (queue) => (queue.dead_letters > 0 ? button("Redrive…", () => redrive(queue), { class: "small", "aria-label": `Redrive ${queue.family}` }) : null) },
  ]);
  const holder = h("div", { hidden: true }, tiles, section("Queues", h("p", { class: "muted" }, "One queue per family of events, and beside it the dead letters: deliveries that were tried often and not handled."), h("div", { class: "list keep" }, list.element)));
  const problem = h("div");
  fill(main, heading("Health"), verdict, problem, holder);

  async function load() {
    try {
      draw(await get(env, "health", {}, signal));
      fill(problem);
    } catch (error) {
      if (!signal.aborted) fill(problem, trouble(error, load));
    }
  }

  function draw(health) {
    const { last_event_at: last, quarantine, queues, version } = health;
    const worried = worries(health);
    const said = worried.join(" ") || "All is well: nothing is stuck.";
    if (verdict.textContent !== said) fill(verdict, h("p", { class: worried.length > 0 ? "bad" : "good" }, said));
    fill(
      tiles,
      tile("Last event", last ? ago(last) : "none yet", last ? moment(last) : "Nothing has come."),
      tile("In the queues", (sum(queues, "waiting") + sum(queues, "in_flight")).toLocaleString("en"), "waiting or in flight"),
      tile("Quarantine", quarantined(quarantine), "could not be read", to("quarantine")),
      tile("Version", version, "of the receiver"),
    );
    list.show(queues, ({ family }) => family);
    holder.hidden = false;
  }

  async function redrive({ family, dead_letters: dead }) {
    const done = await askWhy({
      env,
      title: `Send the dead letters of ${family} through again?`,
      lines: [`${capital(count(dead, "delivery", "deliveries"))} go back to their queue and are handled anew. Nothing is counted twice.`],
      verb: "Redrive",
      run: (why, key) => act(env, `dead-letters/${path(family)}/redrive`, why, key),
    });
    if (!done) return;
    const said = `${done.moved} moved${done.more ? "; there are more: redrive again" : ""}.`;
    toast(said);
    announce(said);
    load();
  }

  load();
  every(POLL, load);
}
