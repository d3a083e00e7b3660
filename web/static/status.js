/** What the page says of itself: its status line, what failed, that it is at work. */

import { byId, make, unseen } from "./dom.js";

/** One line below the heading. Screen readers are told of it, or of `aloud`, without the heading. */
export function showStatus(line, aloud = "") {
  const seen = make("span", { "aria-hidden": aloud ? "true" : null }, line);
  byId("status").replaceChildren(...(aloud ? [unseen(aloud)] : []), ...(line ? [seen] : []));
}

/** Show what failed, with a button where it can be tried again. */
export function showError(error, again = null) {
  const line = make("p", {}, error.message);
  const retry = again && make("button", { type: "button", on: { click: again } }, "Try again");
  const close = make("button", { type: "button", class: "quiet", on: { click: clearError } }, "Close");
  byId("trouble").replaceChildren(line, ...[retry, close].filter(Boolean));
  byId("trouble").dataset.status = error.status ?? "";
}

/** Nothing is wrong any more: remove the error. */
export function clearError() {
  byId("trouble").replaceChildren();
  delete byId("trouble").dataset.status;
}

/** Whether the error on show is that the server doesn't answer. */
export const isCutOff = () => byId("trouble").dataset.status === "0";

/** Show that the page works on something, as long as `promise` takes. */
export async function busy(promise) {
  const main = byId("main");
  const works = 1 + Number(main.dataset.works ?? 0);
  main.dataset.works = works;
  main.setAttribute("aria-busy", "true");
  try {
    return await promise;
  } finally {
    const left = Number(main.dataset.works) - 1;
    main.dataset.works = left;
    if (!left) main.removeAttribute("aria-busy");
  }
}
