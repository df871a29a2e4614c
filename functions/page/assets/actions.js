// Who did what, when, and why.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { identifier, moment, plain } from "./format.js";
import { to, toEntity, toEvent } from "./route.js";
import { heading, pages, table } from "./ui.js";

const HREF = {
  event: toEvent,
  quarantine: () => to("quarantine"),
  dead_letters: () => to("health"),
  endpoint: () => to("endpoints"),
  transaction: (uid) => toEntity({ type: "transaction", uid }),
  balance: () => to("balances"),
};

const WHAT = { event: "event", quarantine: "quarantined body", dead_letters: "dead letters of", endpoint: "endpoint" };

const target = ({ target: { type, id } }) => [
  h("span", { class: "muted" }, `${WHAT[type] ?? type} `),
  h("a", { href: (HREF[type] ?? (() => to("actions")))(id), class: "opens" }, identifier(id)),
];

export function actionsTable(label, { target: withTarget = true } = {}) {
  return table(
    label,
    [
      { name: "When", class: "col-time", cell: ({ at }) => moment(at) },
      { name: "Who", cell: ({ who }) => h("strong", null, who) },
      { name: "Action", cell: ({ action }) => h("span", { class: "badge" }, plain(action)) },
      withTarget ? { name: "Target", cell: target } : null,
      { name: "Why", class: "col-why", cell: ({ why }) => why },
    ].filter(Boolean),
  );
}

export function show({ main, env, signal, every }) {
  const list = actionsTable("Actions, newest first");
  const shown = pages({
    load: async (cursor) => {
      const { actions, cursor: next } = await get(env, "actions", { cursor }, signal);
      return { items: actions, cursor: next };
    },
    show: (items) => list.show(items, (action) => action.id),
    empty: "No actions yet.",
    every,
    signal,
  });
  fill(
    main,
    heading("Actions"),
    h("p", { class: "lead muted" }, "Every resend, acknowledgement, retry, redrive, erasure, correction and change of an endpoint: who did it, when and why."),
    h("div", { class: "list" }, list.element),
    shown.foot,
  );
}
