// Where the reader is, as the address bar says it. Everything is in the query: the server needs to know one
// path only, and every link can be shared.

export const FILTERS = [
  "from", "to", "family", "event", "entity", "effect", "oddity", "status", "asset", "chain", "hash", "reference", "address",
  "customer", "account", "sub_account",
];

export const PLURAL = {
  account: "accounts", asset: "assets", address: "addresses", customer: "customers", transaction: "transactions",
};

const listeners = [];
let environments = ["test"];

export const serve = (served) => {
  environments = served;
};

export function current() {
  const query = Object.fromEntries([...new URLSearchParams(location.search)].filter(([, value]) => value));
  const { env, view = "log", ...params } = query;
  return { env: environments.includes(env) ? env : environments[0], view, params };
}

/// The address of a page in the environment shown.
export function to(view, params = {}, env = current().env) {
  const query = new URLSearchParams({ env });
  if (view !== "log") query.set("view", view);
  for (const [name, value] of Object.entries(params)) if (value) query.set(name, value);
  return `?${query}`;
}

export const toEvent = (id) => to("event", { id });

export const toEntity = ({ type, uid }, kind) => to("entity", { type, uid, kind });

const depth = () => history.state?.depth ?? 0;

export function go(href) {
  // Which link was followed stays with the page that it was on: who comes back stands there again.
  history.replaceState({ depth: depth(), opened: href }, "");
  history.pushState({ depth: depth() + 1 }, "", href);
  listeners.forEach((listener) => listener({ isBack: false }));
}

/// Back to where the reader came from; who came by a link from outside goes to the log.
export function back() {
  if (depth() > 0) history.back();
  else if (current().view !== "log") go(to("log"));
}

export const opened = () => history.state?.opened;

export function onChange(listener) {
  listeners.push(listener);
  addEventListener("popstate", () => listener({ isBack: true }));
}

/// Links within the page are followed without loading it anew; with a modifier key they are ordinary links.
export function followLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?']");
    const plainClick = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plainClick || event.defaultPrevented) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
}
