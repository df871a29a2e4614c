// The frame: environment, navigation, which page is shown, and what happens when nothing answers.

import { show as showActions } from "./actions.js";
import { config as readConfig, get, network } from "./api.js";
import * as auth from "./auth.js";
import { showBalances, showLedger } from "./balances.js";
import { show as showCharts } from "./chart.js";
import { byId, fill, h } from "./dom.js";
import { show as showEndpoints } from "./endpoints.js";
import { show as showEntity } from "./entity.js";
import { show as showEvent } from "./event.js";
import { show as showHealth, worries } from "./health.js";
import { listen } from "./keys.js";
import { show as showLog } from "./log.js";
import { show as showQuarantine } from "./quarantine.js";
import * as route from "./route.js";
import { announce, button, heading, trouble } from "./ui.js";
import { ENVIRONMENTS, nearest } from "./words.js";

/// How often a view asks for what it shows, from one question to the next (ms). With the way of the answer, what
/// somebody sees is no older than two seconds.
const POLL = 1500;
/// A hint beside the navigation; the view Health itself is as current as every view.
const CHECK_HEALTH = 60_000;
const CHECK_NETWORK = 3000;

const NAVIGATION = { log: "Log", balances: "Balances", endpoints: "Endpoints", charts: "Charts", health: "Health", quarantine: "Quarantine", actions: "Actions" };

/// Pages below another one, and under which they are found.
const BELOW = { event: "log", entity: "log", ledger: "balances" };

const VIEWS = {
  log: { name: "Log", show: showLog },
  event: { name: "Event", show: showEvent },
  entity: { name: "Entity", show: showEntity },
  balances: { name: "Balances", show: showBalances },
  ledger: { name: "Ledger", show: showLedger },
  endpoints: { name: "Endpoints", show: showEndpoints },
  charts: { name: "Charts", show: showCharts },
  health: { name: "Health", show: showHealth },
  quarantine: { name: "Quarantine", show: showQuarantine },
  actions: { name: "Actions", show: showActions },
};

const main = byId("main");
let settings = null;
let shown = null;

/// Does `work` again and again, one at a time, as long as somebody can see it. Gives what does it at once, or once
/// more where it is under way.
function every(work, ms, signal) {
  let timer = null;
  let isRunning = false;
  let isWanted = false;
  const now = async () => {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    clearTimeout(timer);
    let began = 0;
    while (isWanted && !signal.aborted) {
      isWanted = false;
      began = performance.now();
      await work().catch(() => {});
    }
    isRunning = false;
    // A slow answer does not make the view older, and a slow receiver is not asked without a pause.
    if (!signal.aborted) timer = setTimeout(tick, Math.max(ms / 3, ms - (performance.now() - began)));
  };
  const tick = () => document.hidden || now();
  timer = setTimeout(tick, ms);
  document.addEventListener("visibilitychange", tick);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", tick);
  });
  return now;
}

function render({ isBack } = { isBack: true }) {
  const at = route.current();
  const view = Object.hasOwn(VIEWS, at.view) ? VIEWS[at.view] : null;
  frame(at);
  if (shown && shown.view === at.view && shown.env === at.env && shown.update) {
    shown.update(at);
    return;
  }
  const isFirst = shown === null;
  shown?.leave.abort();
  const leave = new AbortController();
  const keys = {};
  shown = { view: at.view, env: at.env, leave, keys };
  fill(main);
  title(view?.name ?? "Not found", at.env);
  if (view) {
    const context = {
      main,
      route: at,
      env: at.env,
      signal: leave.signal,
      every: (work, ms = POLL) => every(work, ms, leave.signal),
      title: (text) => title(text, at.env),
      onKey: (key, work) => (keys[key] = work),
    };
    shown.update = view.show(context)?.update;
  } else {
    fill(main, ...unknownView(at.view));
  }
  if (!isBack) scrollTo(0, 0);
  if (!isFirst) focus(isBack);
}

/// What the address bar calls a view, and is none.
function unknownView(name) {
  const meant = nearest(name, Object.keys(NAVIGATION));
  const link = (view) => h("a", { href: route.to(view) }, NAVIGATION[view]);
  const way = meant ? ["Did you mean ", link(meant), "?"] : ["Go to the ", link("log"), "."];
  return [heading("Not found"), h("p", null, `There is no view “${name}”. `, way)];
}

/// Who comes back stands where they left; who goes on hears where they are.
function focus(isBack) {
  const left = isBack && [...main.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === route.opened());
  (left || main.querySelector("h1"))?.focus({ preventScroll: true });
}

function title(text, env) {
  document.title = `${env === "live" ? "LIVE" : "test"} · ${text} · Bitpowr webhooks`;
  announce(text);
}

function frame({ env, view }) {
  const root = document.documentElement;
  root.dataset.env = env;
  byId("environment-name").replaceChildren(h("strong", null, env.toUpperCase()), h("span", null, ENVIRONMENTS[env]));
  const here = Object.hasOwn(BELOW, view) ? BELOW[view] : view;
  byId("environments").replaceChildren(
    ...(settings.environments.length > 1 ? settings.environments : []).map((other) =>
      h("a", { href: route.to(here, {}, other), "aria-current": other === env ? "true" : null }, other),
    ),
  );
  byId("nav").replaceChildren(
    ...Object.entries(NAVIGATION).map(([name, label]) =>
      h("a", { href: route.to(name), "aria-current": name === here ? "page" : null, "data-view": name }, label),
    ),
  );
  // On a phone there is not room for all pages: the one that is shown is in sight.
  const link = byId("nav").querySelector("[aria-current]");
  if (link) byId("nav").scrollLeft = link.offsetLeft - 48;
  markHealth();
}

let worried = {};

function markHealth() {
  const link = byId("nav").querySelector("[data-view=health]");
  const said = worried[route.current().env];
  link.querySelector(".alarm")?.remove();
  if (said) link.append(h("span", { class: "alarm", title: said }, h("span", { class: "unseen" }, ` (${said})`)));
}

async function checkHealth() {
  const { env } = route.current();
  const said = worries(await get(env, "health")).join(" ");
  if (said === (worried[env] ?? "")) return;
  worried = { ...worried, [env]: said };
  markHealth();
}

function watchNetwork() {
  let lost = false;
  network.addEventListener("lost", () => {
    if (lost) return;
    lost = true;
    byId("banner").replaceChildren(h("p", null, "The receiver does not answer. This page shows the last known data and keeps trying."));
    tryAgain();
  });
  network.addEventListener("back", () => {
    if (!lost) return;
    lost = false;
    byId("banner").replaceChildren();
    announce("The receiver answers again.");
    if (settings && main.querySelector(".trouble[role=alert]")) anew();
  });
  network.addEventListener("refused", () => {
    if (byId("banner").hasChildNodes()) return;
    byId("banner").replaceChildren(h("p", null, "Your sign-in has ended. ", button("Sign in", auth.leave, { class: "small" })));
  });
  const tryAgain = () => setTimeout(() => lost && readConfig().catch(tryAgain), CHECK_NETWORK);
}

function anew() {
  shown?.leave.abort();
  shown = null;
  render();
}

function search() {
  if (route.current().view !== "log") route.go(route.to("log"));
  byId("search")?.focus();
}

function signedOut(message) {
  shown?.leave.abort();
  fill(
    main,
    heading("Signed out"),
    h("p", { class: "lead" }, message),
    h("p", null, button("Sign in", auth.leave, { class: "primary" })),
  );
  main.querySelector("h1").focus();
}

async function signIn() {
  byId("sign-out").hidden = false;
  byId("sign-out").addEventListener("click", async () => {
    await auth.signOut();
    signedOut("You have signed out.");
  });
  await auth.start(settings.auth);
}

async function start() {
  watchNetwork();
  try {
    settings = await readConfig();
  } catch (error) {
    fill(main, trouble(error, start));
    return;
  }
  route.serve(settings.environments);
  byId("stack").textContent = settings.stack ?? "";
  try {
    if (settings.auth) await signIn();
  } catch (error) {
    signedOut(error.message);
    return;
  }
  history.scrollRestoration = "manual";
  route.followLinks();
  route.onChange(render);
  listen({ page: (key) => shown?.keys[key], search });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  render();
  const forever = new AbortController().signal;
  every(checkHealth, CHECK_HEALTH, forever)();
}

start();
