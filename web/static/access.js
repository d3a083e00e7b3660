/** The token, and what is done when something fails. */

import * as api from "./api.js";
import { askForToken } from "./dialogs.js";
import { showError } from "./status.js";

let asking = null;

/** A token in the address becomes a cookie, and leaves the address. */
export async function useToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  await api.begin(token).catch(showError);
}

/** Do `work`, and show what fails; `again` is what "Try again" does. */
export async function guarded(work, again = null) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) await withToken(again ?? work);
    else if (error instanceof api.Failure) showError(error, again);
    else throw error;
  }
}

/** Ask for the token, once for all who need it, then do `work`. */
export async function withToken(work) {
  asking ??= askForToken().finally(() => { asking = null; });
  await asking;
  await work();
}
