/** A query in plain English, for headings and screen readers. */

import * as queryPictures from "./query_pictures.js";
import { counted } from "./dom.js";

/** door.jpg and cat.jpg, less like dog.jpg. */
export function titleOf(query) {
  const liked = named(query, 1);
  if (query.text) liked.unshift(`“${query.text}”`);
  const unliked = named(query, -1);
  const not = unliked.length ? `less like ${listed(unliked)}` : "";
  return [listed(liked) || "others", not].filter(Boolean).join(", ");
}

/** The same, where many names would be too long. */
export function shortTitleOf(query) {
  const { length } = query.pictures;
  return length > 2 ? counted(length, "picture") : titleOf(query);
}

function named({ pictures }, sign) {
  return pictures
    .filter(({ weight }) => Math.sign(weight) === sign)
    .map(({ ref }) => queryPictures.get(ref)?.name ?? "a picture that is gone");
}

function listed(names) {
  if (names.length > 3) return counted(names.length, "picture");
  return [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" and ");
}
