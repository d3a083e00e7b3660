/** The store that is served: limits, folders, what can be done with it; and how it has changed. */

import * as api from "./api.js";
import { byId, counted, make } from "./dom.js";

let known = null;
let latest = null;

/** What /api/info told first, or when the page last caught up. */
export const info = () => known;

/** The same, once it is known. */
export async function ready(signal) {
  if (!known) learn(await api.info(signal));
  return known;
}

/** Take it for what is known, and let the page offer what there is. */
function learn(told) {
  known = latest = told;
  byId("text-form").hidden = !told.text;
  byId("help-text").hidden = !told.text;
  byId("help-why").hidden = !told.why;
  byId("collection").textContent = told.pictures
    ? `${counted(told.pictures, "picture")} in ${told.store}`
    : "";
  byId("version").textContent = `tll-index ${told.version}, ${told.backbone}`
    + `${told.lens ? " with a lens" : ""}, ${told.dimension} numbers a picture.`;
}

/** What is new, for people; "" if nothing is. */
export function hear(told) {
  latest = told;
  if (!known) learn(told);
  if (told.generation === known.generation) return "";
  const more = told.pictures - known.pictures;
  return more > 0 ? counted(more, "new picture") : "The pictures have changed";
}

/** Take what was heard last for what is known. */
export const catchUp = () => learn(latest);

/** Offer the topmost folders, and those of the pictures on show. */
export function showFolders(chosen, pictures) {
  const tops = known.folders.map(({ name, pictures: count }) =>
    [name, count === undefined || count === null ? name : `${name} (${count.toLocaleString("en")})`]);
  const listed = new Set(tops.map(([name]) => name));
  const below = [...new Set(pictures.map(({ folder }) => folder)), chosen]
    .filter((name) => name && !listed.has(name));
  const choice = (value, label = value) =>
    make("option", { value, selected: value === chosen }, label);
  byId("folder").replaceChildren(
    choice("", "All folders"),
    ...tops.map(([name, label]) => choice(name, label)),
    ...(below.length
      ? [make("optgroup", { label: "Of these pictures" }, ...[...new Set(below)].sort().map((name) => choice(name)))]
      : []),
  );
  byId("folder-field").hidden = !tops.length && !below.length;
}
