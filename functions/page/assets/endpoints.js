// The user's own services: which there are, how they are, and what each event's way to them was.

import { actionsTable } from "./actions.js";
import { act, get, path } from "./api.js";
import { fill, h } from "./dom.js";
import { ago, capital, count, identifier, moment } from "./format.js";
import { askWhy, button, copyButton, heading, report, section, table, toast } from "./ui.js";
import { ENDPOINT_STATES, PROGRESS } from "./words.js";

const stateBadge = (state) => h("span", { class: `badge status status-${ENDPOINT_STATES[state]?.outcome ?? "open"}`, title: ENDPOINT_STATES[state]?.means }, state);

/// How far an event is on its way to the endpoints.
export const progressBadge = (progress) =>
  progress ? h("span", { class: `badge status status-${PROGRESS[progress]?.outcome ?? "open"}`, title: PROGRESS[progress]?.means }, progress) : h("span", { class: "muted", title: "No endpoint wanted this event." }, "–");

const outcomeOf = ({ status, error }) => (status === null ? error : String(status));

const isSuccess = ({ status }) => status >= 200 && status < 300;

const attemptsTable = () =>
  table("Attempts", [
    { name: "#", class: "number", cell: ({ number, resend }) => [number || "–", resend ? h("span", { class: "muted", title: `Resend ${resend}` }, " resent") : null] },
    { name: "At", class: "col-time", cell: ({ at }) => moment(at, { millis: true }) },
    { name: "Outcome", cell: (attempt) => h("span", { class: `badge status status-${isSuccess(attempt) ? "good" : "bad"}` }, outcomeOf(attempt)) },
    { name: "Took", class: "number", cell: ({ milliseconds, number }) => (number ? `${milliseconds} ms` : "–") },
    { name: "Answer", class: "col-why", cell: ({ answer }) => (answer ? h("code", null, answer) : null) },
    { name: "Next", class: "col-time", cell: ({ next_at: next }) => (next ? moment(next) : h("span", { class: "muted" }, "–")) },
  ]);

/// The attempts of an event, endpoint by endpoint; `urls` by their ids. `resend(endpoint)` asks for another.
export function attemptsSection({ attempts, endpoints }, { urls, resend }) {
  if (attempts.length === 0) return section("Endpoints", h("p", { class: "muted" }, "No endpoint was sent this event: there was none that wanted it, or its attempts were more than 30 days ago."));
  const ids = [...new Set(attempts.map(({ endpoint }) => endpoint))];
  const one = (id) => {
    const list = attemptsTable();
    const own = attempts.filter(({ endpoint }) => endpoint === id);
    list.show(own, ({ at, number, resend: of }) => `${at} ${number} ${of ?? ""}`);
    return h("div", { class: "block" }, h("div", { class: "bar" }, h("h3", null, urls.get(id) ?? "An endpoint that was removed", " ", h("span", { class: "muted" }, identifier(id))), button("Resend…", () => resend(id), { class: "small", "aria-label": `Resend to ${id}` })), h("div", { class: "list keep" }, list.element));
  };
  return section("Endpoints", h("p", null, progressBadge(endpoints), " ", PROGRESS[endpoints]?.means), ids.map(one));
}

const filterText = (filter) => {
  const words = Object.entries(filter).map(([word, value]) => `${word.replaceAll("_", " ")} ${[value].flat().join(", ")}`);
  return words.length > 0 ? words.join("; ") : h("span", { class: "muted" }, "every event");
};

const WORDS = "The log's words: family, event, effect, status, asset, chain. Also counted (events that moved money), least=100 (US dollars), unlisted (takes types and statuses that Bitpowr does not document).";

/// The filter that a line of words is, `family=deposits,transfers counted`. Which words there are, and which values, the API knows.
function filterOf(line) {
  const given = new Map();
  for (const [, word, values] of line.matchAll(/([^\s=]+)=?(\S*)/g)) given.set(word, [...(given.get(word) ?? []), ...values.split(",").filter(Boolean)]);
  // A word without a value is a switch.
  const value = (values) => (values.length === 0 || (values.length === 1 && values[0] === "true") ? true : values.length === 1 ? values[0] : values);
  const { unlisted = false, ...filter } = Object.fromEntries([...given].map(([word, values]) => [word, value(values)]));
  return { filter, unlisted };
}

/// Shows a secret, once.
function showSecret(title, secret) {
  const close = button("Close", () => dialog.close(), { class: "primary" });
  const dialog = h(
    "dialog",
    { class: "ask", "aria-label": title },
    h("h2", null, title),
    h("p", null, "Your service verifies requests with this signing secret. It is shown only now."),
    h("p", null, h("code", { class: "secret" }, secret), " ", copyButton(() => secret)),
    h("div", { class: "buttons" }, close),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

const deeds = {
  test: { verb: "Send a test", lines: ["The endpoint gets a test event. Nothing else happens."], done: "A test event is on its way." },
  rotate: { verb: "Rotate the secret", lines: ["A new signing secret is made. For 24 hours requests are signed with the old one, too, so that you have time to install the new one."], done: "The secret was rotated." },
  enable: { verb: "Enable", lines: ["The endpoint gets new events, and those that wait for it."], done: "Enabled." },
  disable: { verb: "Disable", lines: ["The endpoint gets no events until it is enabled. What comes meanwhile is not sent to it later, unless you resend it."], done: "Disabled." },
  remove: { verb: "Remove", lines: ["The endpoint gets no more events, and its signing secret is gone."], done: "Removed." },
};

export function show({ main, env, signal, every }) {
  const problem = h("div");
  const empty = h("p", { class: "empty", hidden: true }, "No endpoints yet. Add the URL of your own service, and it gets every event as a signed POST.");
  const list = table("Endpoints", [
    { name: "Endpoint", cell: ({ id, url, description }) => [h("strong", null, url), description ? ` ${description}` : "", h("br"), identifier(id)] },
    { name: "Gets", cell: ({ filter }) => filterText(filter) },
    { name: "State", cell: ({ state }) => stateBadge(state) },
    { name: "Last success", class: "col-time", cell: ({ last_success_at: at }) => (at ? h("span", { title: at }, ago(at)) : h("span", { class: "muted" }, "none yet")) },
    { name: "Last failure", cell: ({ last_failure: failure }) => (failure ? [h("span", { title: failure.at }, ago(failure.at)), `: ${failure.error}`] : h("span", { class: "muted" }, "–")) },
    { name: "", class: "number", cell: buttons },
  ]);
  const history = actionsTable("What was done to endpoints");
  fill(
    main,
    heading("Endpoints", button("Add endpoint…", add, { class: "primary" })),
    h("p", { class: "lead muted" }, "Your own services. Each gets the events that it wants as a signed POST; what it does not accept is tried again for three days."),
    problem,
    h("div", { class: "list keep" }, list.element),
    empty,
    section("Changes", h("div", { class: "list" }, history.element)),
  );

  function buttons(endpoint) {
    const names = ["test", "rotate", endpoint.state === "disabled" ? "enable" : "disable", "remove"];
    const offered = endpoint.state === "disabled" ? names.filter((name) => name !== "test") : names;
    return h("div", { class: "buttons" }, offered.map((name) => button(`${capital(name)}…`, () => change(name, endpoint), { class: "small", "aria-label": `${capital(name)} ${endpoint.url}` })));
  }

  async function change(name, { id, url }) {
    const { verb, lines, done: said } = deeds[name];
    const at = path("endpoints", id);
    const run = (why, key) => (name === "remove" ? act(env, at, why, key, { method: "DELETE" }) : act(env, `${at}/${name}`, why, key));
    const done = await askWhy({ env, title: `${verb}: ${url}`, lines, verb, run });
    if (!done) return;
    toast(said);
    if (done.secret) showSecret("The new signing secret", done.secret);
    if (name === "test") outcome(id);
    now();
  }

  /// Says what came of a test, as soon as something did.
  async function outcome(id) {
    for (let tries = 0; tries < 20 && !signal.aborted; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const { test } = await get(env, path("endpoints", id), {}, signal).catch(() => ({}));
      const last = test?.attempts.at(-1);
      if (!last) continue;
      toast(isSuccess(last) ? `The test was accepted: ${last.status} in ${last.milliseconds} ms.` : `The test was not accepted: ${outcomeOf(last)}.`);
      return;
    }
  }

  async function add() {
    const fields = [
      { name: "url", label: "URL of your service", required: true, type: "url" },
      { name: "description", label: "What it is for (optional)" },
      { name: "words", label: "Only these events (optional)", hint: "family=deposits,transfers status=success", note: WORDS },
    ];
    const run = (why, key, { url, description, words }) => act(env, "endpoints", why, key, { body: { url, description, ...filterOf(words) } });
    const done = await askWhy({ env, title: "Add an endpoint", lines: ["It gets your customers' data. People are notified of it."], verb: "Add", fields, run });
    if (!done) return;
    showSecret("The signing secret", done.secret);
    now();
  }

  async function load() {
    try {
      const [{ endpoints }, { actions }] = await Promise.all([get(env, "endpoints", {}, signal), get(env, "actions", { limit: 100 }, signal)]);
      list.show(endpoints, ({ id }) => id);
      empty.hidden = endpoints.length > 0;
      history.show(actions.filter(({ target }) => target.type === "endpoint").slice(0, 20), ({ id }) => id);
      report(problem, null);
    } catch (error) {
      if (!signal.aborted) report(problem, error, now);
    }
  }

  const now = every(load);
  now();
}

/// What is wrong with endpoints, in words; null where nothing is.
export function worry({ failing, disabled }) {
  const parts = [failing > 0 ? `${count(failing, "endpoint")} failing` : null, disabled > 0 ? `${count(disabled, "endpoint")} disabled` : null].filter(Boolean);
  return parts.length > 0 ? `${capital(parts.join(", "))}.` : null;
}
