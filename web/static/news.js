/** Whether the store has changed: asked now and then, while somebody looks. */

import * as api from "./api.js";

const EVERY = 10_000; // milliseconds

/** Tell `hear(info)` what is served, and `fail(error)` when that can't be known. */
export function watch(hear, fail) {
  let timer = null;
  const look = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      hear(await api.info());
    } catch (error) {
      fail(error);
    }
    clearTimeout(timer);
    timer = setTimeout(look, EVERY);
  };
  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, EVERY);
}
