/** What the page says: how it stands, what failed, that it is at work. */

import { byId, make, unseen } from "./dom.js";

/** One line below the heading. Screen readers are told of it, or of `aloud`, without the heading. */
export function say(line, aloud = "") {
  const seen = make("span", { "aria-hidden": aloud ? "true" : null }, line);
  byId("status").replaceChildren(...(aloud ? [unseen(aloud)] : []), ...(line ? [seen] : []));
}

/** What failed, with a button where it can be tried again. */
export function complain(error, again = null) {
  const line = make("p", {}, error.message);
  const retry = again && make("button", { type: "button", on: { click: again } }, "Try again");
  const close = make("button", { type: "button", class: "quiet", on: { click: calm } }, "Close");
  byId("trouble").replaceChildren(line, ...[retry, close].filter(Boolean));
  byId("trouble").dataset.status = error.status ?? "";
}

/** Nothing is wrong any more. */
export function calm() {
  byId("trouble").replaceChildren();
  delete byId("trouble").dataset.status;
}

/** Whether the complaint on show is that the server doesn't answer. */
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
