// Bodies that were authenticated and could not be read.

import { act, get, path } from "./api.js";
import { fill, h, reconcile } from "./dom.js";
import { countDeliveries, identifier, moment } from "./format.js";
import { pretty } from "./json.js";
import { bytes, excerpt, readings } from "./text.js";
import { button, askWhy, copyButton, facts, guarded, heading, pages, toast, unfold } from "./ui.js";
import { REASONS } from "./words.js";

export function show({ main, env, signal, every }) {
  const reading = readings();
  const list = h("ul", { class: "cards", "aria-label": "Quarantined bodies, newest first" });
  const shown = pages({
    load: async (cursor) => {
      const { quarantine, cursor: next } = await get(env, "quarantine", { cursor }, signal);
      return { items: quarantine, cursor: next };
    },
    show: (items) => reconcile(list, items, (item) => item.id, entry),
    empty: "The quarantine is empty: every body could be read.",
    every,
    signal,
  });

  async function retry(item) {
    const done = await askWhy({
      env,
      title: "Retry this body?",
      lines: [`Why it is here: ${item.detail || REASONS[item.reason] || item.reason}`, "If it can be read now, it is applied, and notifications are sent as for any other event."],
      verb: "Retry",
      run: (why, key) => act(env, `${path("quarantine", item.id)}/retry`, why, key),
    });
    if (!done) return;
    toast("The body was read and sent to its family.");
    shown.again();
  }

  const entry = (item) => h("li", { class: "card" }, guarded(() => card(item), "This body"));

  function card(item) {
    return [
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
        ["deliveries", countDeliveries(item.deliveries)],
        ["id", identifier(item.id)],
      ]),
      body(item, reading(item.id)),
    ];
  }

  fill(
    main,
    heading("Quarantine"),
    h("p", { class: "lead muted" }, "Bodies that had the right secret but could not be read. They are kept byte for byte."),
    list,
    shown.foot,
  );
}

/// Whether the detail says more than the reason does.
function adds({ reason, detail }) {
  const letters = (text) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  return detail && letters(detail) !== letters(REASONS[reason] ?? "");
}

function body(item, reading) {
  if (item.raw === undefined) return unfold("Body, as bytes", () => bytes(item.raw_base64, "Body, as bytes", reading));
  if (item.raw === "") return h("p", { class: "muted" }, "The body is empty.");
  return unfold("Body", () => [h("div", { class: "bar" }, copyButton(() => item.raw)), excerpt(item.raw, "Body", { write: pretty, reading })]);
}
