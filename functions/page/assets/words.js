// The product's vocabulary: what events, effects, steps and reasons are called, and what they mean.

import { h } from "./dom.js";
import { plain } from "./format.js";

export const FAMILIES = [
  "accounts", "assets", "addresses", "customers", "deposits", "transfers", "compliance", "contracts", "legacy", "unrecognised",
];

export const EFFECTS = {
  applied: "It changed the state.",
  stale: "A later step was known already. The event is kept and changes nothing.",
  repeat: "It repeats what was known. The event is kept and changes nothing.",
  conflict: "It contradicts what is known. The transaction counts for nothing until that is resolved.",
  ambiguous: "The same content came again after its entity had changed. Whether it happened again is unknown.",
  none: "It changed no state: its type is unknown, or it has no identifier.",
};

const TRANSFER_ENDS = ["success", "failed", "cancelled", "rejected", "rejected_by_counterparty", "dropped"];

export const EVENTS = [
  ...["created", "updated", "policy.updated", "frozen", "archived"].map((name) => `accounts.${name}`),
  "assets.created",
  ...["created", "updated", "flagged", "blocked"].map((name) => `address.${name}`),
  ...["created", "updated", "attached_to_address", "deleted"].map((name) => `customer.${name}`),
  ...["created", "pending", "awaiting_confirmation", "success", "aml_flagged"].map((name) => `transaction.deposit.${name}`),
  ...["created", "approved", "approved_by_counterparty", "awaiting_confirmation", ...TRANSFER_ENDS].map(
    (name) => `transaction.transfer.${name}`,
  ),
  "transaction.compliance.aml_flag",
  ...["deployment.success", "deployment.failed", "interaction.success", "interaction.failed"].map(
    (name) => `transaction.contract.${name}`,
  ),
  ...["incoming", "new", "pending_approval", "pending", "processing", "queue", "awaiting_confirmation", "success", "failed"].map(
    (name) => `transaction.${name}`,
  ),
];

/// The steps of a transaction, the furthest last; failures outrank success.
export const STEPS = [
  "created", "pending_approval", "approved", "approved_by_counterparty", "pending", "processing", "queue",
  "pre_broadcast", "broadcasted", "stuck", "awaiting_confirmation", "success", "rejected",
  "rejected_by_counterparty", "cancelled", "dropped", "failed",
];

export const STATUSES = [
  ...STEPS, "aml_flag", "aml_flagged", "updated", "frozen", "archived", "flagged", "blocked", "attached_to_address", "deleted",
];

const BAD = ["failed", "dropped", "cancelled", "rejected", "rejected_by_counterparty", "deleted", "blocked", "archived"];
const WARNING = ["stuck", "aml_flag", "aml_flagged", "flagged", "frozen"];

/// How a status is to be taken: good, bad, warning, or on its way.
export function outcome(status) {
  if (BAD.includes(status)) return "bad";
  if (WARNING.includes(status)) return "warning";
  return status === "success" || status === "active" || status === "attached" ? "good" : "open";
}

export const effectBadge = (effect) =>
  h("span", { class: `badge effect effect-${effect in EFFECTS ? effect : "none"}`, title: EFFECTS[effect] }, effect);

/// Why money is not counted.
export const ODDITIES = {
  not_a_number: "the amount is not a number",
  negative: "the amount is negative",
  too_long: "the amount has more than 38 digits",
  asset_unknown: "the asset is unknown",
  direction_unknown: "it is unknown which way the money goes",
  not_counted: "a contract can move money either way",
};

/// What is wrong with the money, in words, to stand where its amount does.
export function moneyMarks({ oddity, conflict }) {
  const mark = (kind, words) => h("span", { class: `mark ${kind}` }, words);
  return [
    oddity ? mark("odd", `not counted: ${ODDITIES[oddity] ?? plain(oddity)}`) : null,
    conflict ? mark("conflict", "not counted: its events contradict each other") : null,
  ];
}

/// What something is. Of a transaction that is its kind, if it is known.
export const kindName = (kind, type) => (kind === "unknown" ? "transaction, kind unknown" : kind ?? type);

export const statusBadge = (status) =>
  status ? h("span", { class: `badge status status-${outcome(status)}` }, plain(status)) : null;

export const familyDot = (family) =>
  h("span", { class: `dot family-${FAMILIES.includes(family) ? family : "unrecognised"}`, "aria-hidden": "true" });

export const REASONS = {
  empty: "The body is empty",
  not_utf8: "The body is not UTF-8",
  not_json: "The body is not JSON",
  reserved_name: "The name of a field is reserved",
  not_an_object: "The body is JSON, but not an object",
  repeated_field: "A field is given more than once",
  no_event: "The field “event” is missing",
  event_not_text: "The field “event” is not a string, or is empty",
  no_data: "The field “data” is missing",
  data_not_an_object: "The field “data” is not an object",
  test_on_live: "A test object was sent to the live URL",
  too_large: "The body is larger than 128 KiB",
  not_understood: "A field of “data” has an unexpected type",
  not_applied: "The delivery could not be applied for three days",
};

export const DEEDS = { resend: "resent", retry: "retried", redrive: "redriven", acknowledge: "acknowledged", erase: "erased" };

export const ENDPOINT_STATES = {
  active: { outcome: "good", means: "It gets its events." },
  failing: { outcome: "bad", means: "Its last attempts failed. Events wait, and one is tried now and then." },
  disabled: { outcome: "warning", means: "It gets no events until it is enabled." },
};

export const PROGRESS = {
  delivered: { outcome: "good", means: "Every endpoint that wants this event has accepted it." },
  retrying: { outcome: "warning", means: "An endpoint has not accepted this event yet. It is tried again." },
  failed: { outcome: "bad", means: "An endpoint has not accepted this event, and it is not tried again." },
};

export const ENVIRONMENTS = {
  test: "no real money",
  live: "this is real money",
};

/// The known word that a text resembles most; none where it resembles none. As the receiver does with parameters.
export function nearest(given, words) {
  const alike = (word) => 1 - changes(given.toLowerCase(), word) / Math.max(given.length, word.length);
  const best = words.reduce((best, word) => (alike(word) > alike(best) ? word : best));
  return alike(best) >= 0.7 ? best : null;
}

/// How many letters have to be added, removed or replaced to make one text of the other.
function changes(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, n) => n);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let n = 1; n <= to.length; n += 1) {
      next.push(Math.min(row[n] + 1, next[n - 1] + 1, row[n - 1] + (to[n - 1] === letter ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1);
}
