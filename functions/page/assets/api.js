// Questions to the API, and what can go wrong with them.

import * as auth from "./auth.js";
import { parse } from "./json.js";

const TIMEOUT = 20_000;
const ATTEMPTS = 3;

/// Announces `lost` and `back`: whether the receiver can be reached; and `refused`: that it knows nobody any more.
export const network = new EventTarget();

/// An answer that is a refusal (RFC 9457).
export class Problem extends Error {
  constructor(status, { code, title, detail } = {}) {
    super(detail ?? title ?? `The receiver answered ${status}.`);
    this.status = status;
    this.code = code;
  }
}

/// No answer at all.
export class Unreachable extends Error {
  constructor() {
    super("The receiver cannot be reached.");
  }
}

async function ask(path, { signal, ...options } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT);
  let response;
  let text;
  try {
    response = await fetch(path, {
      ...options,
      headers: { accept: "application/json", ...options.headers, ...(await auth.header()) },
      cache: "no-store",
      credentials: "omit",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    network.dispatchEvent(new Event("lost"));
    throw new Unreachable();
  }
  network.dispatchEvent(new Event("back"));
  return { response, body: read(text) };
}

function read(text) {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

async function answer(path, options) {
  let { response, body } = await ask(path, options);
  if (response.status === 401 && (await auth.renew())) ({ response, body } = await ask(path, options));
  if (response.status === 401 && auth.isOn()) network.dispatchEvent(new Event("refused"));
  if (!response.ok) throw new Problem(response.status, body ?? {});
  if (response.status === 204) return {};
  if (body === null) throw new Problem(response.status, { detail: "The receiver's answer could not be read." });
  return body;
}

export const config = () => answer("config.json");

/// Reads `path` of an environment. Empty parameters are left out.
export function get(env, path, params = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value));
  return answer(`api/${env}/${path}${query.size ? `?${query}` : ""}`, { signal });
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// Does something, and says why. The same `key` makes sure that it is done once, however often it is asked for.
export async function act(env, path, why, key, { method = "POST", body = {} } = {}) {
  const options = {
    method,
    headers: { "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify({ ...body, why }),
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await answer(`api/${env}/${path}`, options);
    } catch (error) {
      if (attempt === ATTEMPTS || !isPassing(error)) throw error;
      await wait(500 * attempt);
    }
  }
}

/// Whether the same question may well be answered a little later.
export const isPassing = (error) => error instanceof Unreachable || error.status === 503 || error.status === 429;

export const path = (...segments) => segments.map(encodeURIComponent).join("/");
