/** The server's JSON API: each call gives what was asked for, or throws a `Failure`. */

const PATIENCE = 3; // times a busy server is asked

/** Something that did not work, as one line for people; `status` is HTTP's, 0 without an answer. */
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

/** Show the server a picture file: {look, width, height, known}. `crop`: "x%,y%,width%,height%". */
export function look(blob, crop, signal) {
  const kind = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
  const part = crop ? `?crop=${encodeURIComponent(crop)}` : "";
  return json(`looks${part}`, {
    method: "POST",
    headers: { "content-type": kind },
    body: blob,
    signal,
  });
}

/** Ask: {hits, more, total_pictures, took_ms}. */
export function query(question, signal) {
  return json("query", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(question),
    signal,
  });
}

/** The file of an indexed picture. */
export const file = async (id, signal) => (await call(`pictures/${id}/file`, { signal })).blob();

/** What `why` answers, an image. */
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
  for (let times = 1; ; times++) {
    const response = await reach(path, options);
    if (response.ok) return response;
    const seconds = Number(response.headers.get("retry-after"));
    if (response.status !== 503 || !seconds || times === PATIENCE) throw await refusal(response);
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
