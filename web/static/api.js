/** The server's JSON API: each call returns what it is for, or throws a `Failure`. */

const MOST_TRIES = 3; // of a request to a busy server

/** Something that did not work, as one line for people; `status` is HTTP's, 0 without a response. */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** `limits`, `folders`, how many pictures: what is served. */
export const info = (signal) => json("info", { signal });

/** Pictures to begin with, others each time. */
export const random = async (count, signal) =>
  (await json(`random?count=${count}`, { signal })).pictures;

/** What the store knows of a picture. */
export const picture = (id, signal) => json(`pictures/${id}`, { signal });

/** Upload a picture file: {upload, width, height, known}. `crop`: "x%,y%,width%,height%". */
export function upload(blob, crop, signal) {
  const kind = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
  const search = crop ? `?crop=${encodeURIComponent(crop)}` : "";
  return json(`uploads${search}`, {
    method: "POST",
    headers: { "content-type": kind },
    body: blob,
    signal,
  });
}

/** Search: {hits, more, total_pictures, took_ms}. */
export function query(body, signal) {
  return json("query", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/** The file of an indexed picture. */
export const file = async (id, signal) => (await call(`pictures/${id}/file`, { signal })).blob();

/** Why two pictures look alike, an image. */
export const why = async (a, b, signal) =>
  (await call(`why?${new URLSearchParams({ a, b })}`, { signal })).blob();

/** Show the token once; the browser gets a cookie for it. */
export const begin = (token) =>
  call("session", { method: "POST", headers: { authorization: `Bearer ${token}` } });

export const thumbnailOf = (id, side) => `api/pictures/${id}/thumbnail?side=${side}`;
export const fileOf = (id) => `api/pictures/${id}/file`;

async function json(path, options) {
  return (await call(path, options)).json();
}

async function call(path, options) {
  for (let tries = 1; ; tries++) {
    const response = await reach(path, options);
    if (response.ok) return response;
    const seconds = Number(response.headers.get("retry-after"));
    if (response.status !== 503 || !seconds || tries === MOST_TRIES) throw await refusal(response);
    await pause(seconds * 1000, options.signal);
  }
}

async function reach(path, options) {
  try {
    return await fetch(`api/${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The server doesn't answer. Is tll-index serve still running?");
  }
}

async function refusal(response) {
  try {
    return new Failure(response.status, (await response.json()).error);
  } catch {
    return new Failure(response.status, `the server answered ${response.status}`);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
