/** Whether the store has changed: the server is asked now and then, while the page is visible. */

import * as api from "./api.js";

const EVERY = 10_000; // milliseconds

/** Tell `hear(info)` what is served, and `fail(error)` when that can't be known. */
export function pollInfo(hear, fail) {
  let timer = null;
  const poll = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      hear(await api.info());
    } catch (error) {
      fail(error);
    }
    clearTimeout(timer);
    timer = setTimeout(poll, EVERY);
  };
  document.addEventListener("visibilitychange", poll);
  timer = setTimeout(poll, EVERY);
}
