// Signing in by OpenID Connect: authorization code with PKCE, against the issuer's own discovery document.
//
// The tokens live in this module's memory only. A reload asks the issuer again, which answers without a
// question as long as its own session lasts; a refresh token renews in between. `sessionStorage` holds, only
// while the browser is away at the issuer, what the way back is checked with: it has to survive that trip.

const PENDING = "sign-in";
const LEEWAY = 30_000;

let settings = null;
let issuer = null;
let tokens = null;
let renewing = null;

/// Why nobody is signed in.
class SignInError extends Error {}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

const challenge = async (verifier) =>
  base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));

/// The page itself, without a question: what the issuer has to know as the way back.
const here = () => location.origin + location.pathname;

async function json(url, options) {
  const response = await fetch(url, options).catch(() => {
    throw new SignInError("The sign-in service cannot be reached.");
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new SignInError(`The sign-in service refused: ${body.error_description ?? body.error ?? response.status}.`);
  }
  return body;
}

/// Signs in: finishes a sign-in that comes back from the issuer, else leaves for the issuer.
export async function start(config) {
  settings = config;
  issuer = await json(`${settings.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (issuer.issuer !== settings.issuer) throw new SignInError("The sign-in service has another issuer name.");
  const query = new URLSearchParams(location.search);
  if (query.has("state") && (query.has("code") || query.has("error"))) await finish(query);
  else await leave();
}

/// Leaves for the issuer. Never returns.
export async function leave() {
  const pending = { state: random(), nonce: random(), verifier: random(), back: backTo() };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const question = new URLSearchParams({
    response_type: "code",
    client_id: settings.client_id,
    redirect_uri: here(),
    scope: settings.scope,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await challenge(pending.verifier),
    code_challenge_method: "S256",
  });
  location.assign(`${issuer.authorization_endpoint}?${question}`);
  return new Promise(() => {});
}

function backTo() {
  const query = new URLSearchParams(location.search);
  ["code", "state", "error", "error_description", "iss", "session_state"].forEach((name) => query.delete(name));
  return `?${query}`;
}

async function finish(query) {
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  history.replaceState(null, "", pending?.back ?? here());
  if (!pending || query.get("state") !== pending.state) {
    throw new SignInError("The answer of the sign-in service does not match a request of this page.");
  }
  if (query.has("iss") && query.get("iss") !== settings.issuer) {
    throw new SignInError("The answer comes from another sign-in service.");
  }
  if (query.has("error")) {
    throw new SignInError(`Not signed in: ${query.get("error_description") ?? query.get("error")}.`);
  }
  const granted = await exchange({
    grant_type: "authorization_code",
    code: query.get("code"),
    redirect_uri: here(),
    code_verifier: pending.verifier,
  });
  check(claims(granted.id_token), pending.nonce);
  keep(granted);
}

const exchange = (body) =>
  json(issuer.token_endpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ client_id: settings.client_id, ...body }),
  });

function claims(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0))));
  } catch {
    throw new SignInError("The sign-in service returned no readable identity.");
  }
}

// The identity comes straight from the token endpoint over TLS, which stands in for its signature (OpenID
// Connect Core 1.0, 3.1.3.7, rule 6). The API checks the signature of every token that it is shown.
function check(identity, nonce) {
  const holds =
    identity.nonce === nonce &&
    identity.iss === settings.issuer &&
    [identity.aud].flat().includes(settings.client_id) &&
    identity.exp * 1000 > Date.now() - LEEWAY;
  if (!holds) throw new SignInError("The returned identity is not for this sign-in.");
}

function keep(granted) {
  tokens = {
    access: granted.access_token,
    identity: granted.id_token ?? tokens?.identity,
    refresh: granted.refresh_token ?? tokens?.refresh,
    until: Date.now() + (granted.expires_in ?? 300) * 1000,
  };
}

/// Fetches new tokens without a question. Several requests that find the old ones expired share one renewal.
export function renew() {
  if (!tokens?.refresh) return Promise.resolve(false);
  renewing ??= exchange({ grant_type: "refresh_token", refresh_token: tokens.refresh })
    .then((granted) => (keep(granted), true))
    .catch(() => ((tokens = null), false))
    .finally(() => (renewing = null));
  return renewing;
}

/// What goes along with every question to the API.
export async function header() {
  if (!settings) return {};
  if (tokens && tokens.until - LEEWAY < Date.now()) await renew();
  return tokens ? { authorization: `Bearer ${tokens.access}` } : {};
}

export const isOn = () => settings !== null;

export async function signOut() {
  const hint = tokens?.identity;
  tokens = null;
  if (!issuer?.end_session_endpoint) return;
  // Amazon Cognito knows the way back as `logout_uri`; other issuers pass over what they do not know.
  const question = new URLSearchParams({
    client_id: settings.client_id,
    post_logout_redirect_uri: here(),
    logout_uri: here(),
    ...(hint ? { id_token_hint: hint } : {}),
  });
  location.assign(`${issuer.end_session_endpoint}?${question}`);
  await new Promise(() => {});
}
