/** The dialogs: one at a time, closed by Esc, by their buttons, or by a click beside them. */

import * as api from "./api.js";
import { byId, make } from "./dom.js";

/** Open a dialog, and wait for the value of the button that closes it ("" for Esc). */
export function openDialog(id) {
  const dialog = byId(id);
  dialog.returnValue = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}

/** Let buttons close the dialogs that they are in. */
export function listenInDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-closes]");
      if (button) dialog.close(button.dataset.closes);
      else if (event.target === dialog && !dialog.dataset.stays) dialog.close("");
    });
  }
}

/** Show what is alike in two pictures; `fetch(signal)` gives it as an image. */
export async function showWhy(queryName, hitName, fetch) {
  const frame = byId("why-picture");
  const stop = new AbortController();
  const title = `What ${queryName} and ${hitName} share`;
  byId("why-title").textContent = title;
  frame.replaceChildren("Looking …");
  const closed = openDialog("why").then(() => stop.abort());
  let address = null;
  try {
    address = URL.createObjectURL(await fetch(stop.signal));
    frame.replaceChildren(make("img", { src: address, alt: `${title}: the warmer, the more` }));
  } catch (error) {
    if (error.name !== "AbortError") frame.replaceChildren(error.message);
  }
  await closed;
  if (address) URL.revokeObjectURL(address);
}

/** Ask for the token until the server knows it. */
export async function askForToken() {
  const form = byId("token-form");
  await new Promise((known) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      try {
        await api.begin(byId("token-input").value.trim());
        known();
      } catch (error) {
        byId("token-says").textContent = error.status === 401 ? "That is not the token." : error.message;
      }
    };
    byId("token").oncancel = (event) => event.preventDefault();
    openDialog("token");
  });
  byId("token").close();
}
