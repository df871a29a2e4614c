// Bodies that were authenticated and could not be read.

import { act, get, path } from "./api.js";
import { fill, h, reconcile } from "./dom.js";
import { count, hexDump, identifier, moment } from "./format.js";
import { block, pretty } from "./json.js";
import { button, askWhy, copyButton, facts, heading, pages, toast } from "./ui.js";
import { REASONS } from "./words.js";

const POLL = 5000;

export function show({ main, env, signal, every }) {
  const list = h("ul", { class: "cards", "aria-label": "Quarantined bodies, newest first" });
  const shown = pages({
    load: async (cursor) => {
      const { quarantine, cursor: next } = await get(env, "quarantine", { cursor }, signal);
      return { items: quarantine, cursor: next };
    },
    show: (items) => reconcile(list, items, (item) => item.id, card),
    empty: "The quarantine is empty: everything that came could be read.",
    signal,
  });

  async function retry(item) {
    const done = await askWhy({
      env,
      title: "Read this body again?",
      lines: [`It was kept because: ${item.detail || REASONS[item.reason] || item.reason}`, "If it can be read now, it is applied and told like any other event."],
      verb: "Retry",
      run: (why, key) => act(env, `${path("quarantine", item.id)}/retry`, why, key),
    });
    if (!done) return;
    toast("It could be read, and is on its way.");
    shown.refresh();
  }

  function card(item) {
    return h(
      "li",
      { class: "card" },
      h(
        "div",
        { class: "bar" },
        h("h2", null, REASONS[item.reason] ?? item.reason, " ", h("code", { class: "muted" }, item.reason)),
        button("Retry…", () => retry(item), { "aria-label": `Retry ${item.id}` }),
      ),
      adds(item) ? h("p", null, item.detail) : null,
      facts([
        ["received", moment(item.received_at)],
        ["recorded", moment(item.recorded_at)],
        ["deliveries", count(item.deliveries, "delivery", "deliveries")],
        ["id", identifier(item.id)],
      ]),
      body(item),
    );
  }

  fill(
    main,
    heading("Quarantine"),
    h("p", { class: "lead muted" }, "What had the right secret and could not be read. It is kept, byte for byte."),
    list,
    shown.foot,
  );
  shown.first();
  every(POLL, shown.refresh);
}

/// Whether the detail says more than the reason does.
function adds({ reason, detail }) {
  const letters = (text) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  return detail && letters(detail) !== letters(REASONS[reason] ?? "");
}

function body(item) {
  if (item.raw === undefined) {
    return h("details", null, h("summary", null, "Body, as bytes"), block(hexDump(item.raw_base64), "Body, as bytes"));
  }
  if (item.raw === "") return h("p", { class: "muted" }, "The body is empty.");
  return h(
    "details",
    null,
    h("summary", null, "Body"),
    copyButton(() => item.raw),
    block(pretty(item.raw) ?? item.raw, "Body"),
  );
}
