// The archive's API: what is asked, and what comes back. All addresses are relative to the page.

/** @typedef {Record<string, string | number | boolean | null | undefined>} Parameters */

const BASE = new URL("api/", document.baseURI);

/** An answer that says no; its message says why, for people. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   */
  constructor(status, detail) {
    super(detail);
    this.name = "Refusal";
    this.status = status;
  }
}

/** Dispatches "signed-out" when the archive asks who is there. */
export const doorbell = new EventTarget();

/**
 * Returns an address of the API.
 * @param {string} path
 * @param {Parameters} [parameters] those that are null or empty are left out
 */
export function address(path, parameters = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url.href;
}

/**
 * Asks, and returns the response of a request that succeeded.
 * @param {string} path
 * @param {{parameters?: Parameters, signal?: AbortSignal, method?: string, body?: unknown}} [options]
 */
export async function ask(path, { parameters, signal, method = "GET", body } = {}) {
  /** @type {RequestInit} */
  const request = { method, credentials: "same-origin", headers: { accept: "application/json, */*" } };
  if (signal) request.signal = signal;
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { accept: "application/json", "content-type": "application/json" };
  }
  let response;
  try {
    response = await fetch(address(path, parameters), request);
  } catch (error) {
    if (error instanceof DOMException) throw error;
    throw new Refusal(0, "The archive cannot be reached. Is it still being served?");
  }
  if (response.ok) return response;
  if (response.status === 401) doorbell.dispatchEvent(new Event("signed-out"));
  throw new Refusal(response.status, await reason(response));
}

/** @param {Response} response */
async function reason(response) {
  try {
    const problem = await response.json();
    return String(problem.detail ?? problem.title);
  } catch {
    return `The archive answered ${response.status} ${response.statusText}`;
  }
}

/**
 * Asks for JSON.
 * @param {string} path
 * @param {Parameters} [parameters]
 * @param {AbortSignal} [signal]
 */
const json = async (path, parameters, signal) =>
  (await ask(path, { ...(parameters && { parameters }), ...(signal && { signal }) })).json();

/** @returns {Promise<import("./shapes.js").Me>} */
export const me = () => json("me");

/** @param {string} token */
export const signIn = (token) => ask("session", { method: "POST", body: { token } });

export const signOut = () => ask("session", { method: "DELETE" });

/** @returns {Promise<import("./shapes.js").Source[]>} */
export const sources = async () => (await json("sources")).sources;

/** @returns {Promise<import("./shapes.js").Status[]>} */
export const status = async () => (await json("status")).sources;

/**
 * Returns a page of recordings.
 * @param {Parameters} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{recordings: import("./shapes.js").Recording[], next: string | null}>}
 */
export const recordings = (query, signal) => json("recordings", query, signal);

/**
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./shapes.js").Recording>}
 */
export const recording = (id, signal) => json(`recordings/${encodeURIComponent(id)}`, {}, signal);

/**
 * @param {string} id
 * @param {object} changes
 * @returns {Promise<import("./shapes.js").Recording>}
 */
export const edit = async (id, changes) =>
  (await ask(`recordings/${encodeURIComponent(id)}`, { method: "PATCH", body: changes })).json();

/**
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./shapes.js").Gap[]>}
 */
export const gapsInside = async (id, signal) =>
  (await json(`recordings/${encodeURIComponent(id)}/gaps`, {}, signal)).gaps;

/**
 * @param {Parameters} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./shapes.js").Gap[]>}
 */
export const gaps = async (query, signal) => (await json("gaps", query, signal)).gaps;

/**
 * @param {Parameters} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./shapes.js").Timeline>}
 */
export const timeline = (query, signal) => json("timeline", query, signal);

/**
 * @param {string} id
 * @param {Parameters} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./shapes.js").Peaks>}
 */
export const peaks = (id, query, signal) => json(`recordings/${encodeURIComponent(id)}/peaks`, query, signal);

/**
 * @param {string} id
 * @param {Parameters} query
 * @param {AbortSignal} [signal]
 */
export const spectrogram = async (id, query, signal) =>
  (
    await ask(`recordings/${encodeURIComponent(id)}/spectrogram`, {
      parameters: query,
      ...(signal && { signal }),
    })
  ).blob();

/**
 * @param {string} id
 * @param {Parameters} [query]
 */
export const audioAddress = (id, query) => address(`recordings/${encodeURIComponent(id)}/audio`, query);

/**
 * @param {Parameters} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<import("./shapes.js").Coverage>}
 */
export const coverage = (query, signal) => json("coverage", query, signal);

/**
 * Loads a file, under the name that it is served with.
 * @param {string} href
 */
export async function fetchFile(href) {
  const response = await ask(href);
  const disposition = response.headers.get("content-disposition") ?? "";
  const name = /filename="([^"]+)"/.exec(disposition)?.[1] ?? "phonobase";
  return { name, blob: await response.blob() };
}

/** @param {Parameters} query */
export const cutAddress = (query) => address("cut", query);
