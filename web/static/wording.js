/** A question in words, for headings and screen readers. */

import { face } from "./faces.js";
import { counted } from "./dom.js";

/** door.jpg and cat.jpg, but not dog.jpg. */
export function inWords(question) {
  const liked = named(question, 1);
  if (question.words) liked.unshift(`“${question.words}”`);
  const unliked = named(question, -1);
  const not = unliked.length ? `less like ${listed(unliked)}` : "";
  return [listed(liked) || "others", not].filter(Boolean).join(", ");
}

/** The same, where many names would be too long. */
export function inShort(question) {
  const { length } = question.parts;
  return length > 2 ? counted(length, "picture") : inWords(question);
}

function named({ parts }, sign) {
  return parts
    .filter(({ weight }) => Math.sign(weight) === sign)
    .map(({ ref }) => face(ref)?.name ?? "a picture that is gone");
}

function listed(names) {
  if (names.length > 3) return counted(names.length, "picture");
  return [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" and ");
}
