/** The pictures that are asked with: indexed ones by their id, one's own from memory. */

import * as api from "./api.js";

/** By `ref`, an id or "own-1": {ref, name, image (an address), id} of an indexed one; with blob,
 * look (what the server calls it), crop and whole (what it is a part of) in place of id, else. */
const faces = new Map();
let owned = 0;

/** What is known of a picture that was met before. */
export const face = (ref) => faces.get(ref);

/** Remember an indexed picture: a hit, or what /api/pictures tells. */
export function meet({ id, name }) {
  if (!faces.has(id)) faces.set(id, { ref: id, id, name, image: api.thumbnailOf(id, 640) });
  return faces.get(id);
}

/** The picture behind `ref`, asked of the server where it wasn't met before. */
export async function recall(ref, signal) {
  if (faces.has(ref)) return faces.get(ref);
  if (ref.startsWith("own-")) {
    throw new api.Failure(410, "A picture of your own is only kept until the page is left: give it again.");
  }
  return meet(await api.picture(ref, signal));
}

/** As /api/query wants it; uploads a picture of one's own where the server doesn't have it. */
export async function part({ ref, weight }, signal) {
  const one = await recall(ref, signal);
  if (one.id) return { id: one.id, weight: Math.abs(weight) };
  one.look ??= (await upload(one, signal)).look;
  return { look: one.look, weight: Math.abs(weight) };
}

/** Show a picture of one's own to the server. One that is indexed is taken for that. */
export async function introduce(blob, name, signal) {
  const { look, known } = await upload({ blob, name }, signal);
  return known ? meet({ id: known, name }) : own({ blob, name, look, image: URL.createObjectURL(blob) });
}

/** Show a part of a picture: `crop`, and the address of an `image` of it. */
export async function introducePart(whole, { crop, image }, signal) {
  const blob = whole.blob ?? (await api.file(whole.id, signal));
  const name = `part of ${whole.name}`;
  const { look } = await upload({ blob, name, crop }, signal);
  return own({ blob, name, look, crop, image, whole });
}

/** The server lost what it was shown: upload again when it is asked next. */
export function forgetLooks() {
  for (const one of faces.values()) if (one.blob) one.look = null;
}

function own(facts) {
  const ref = `own-${++owned}`;
  faces.set(ref, { ref, ...facts });
  return faces.get(ref);
}

async function upload({ blob, name, crop }, signal) {
  try {
    return await api.look(blob, crop, signal);
  } catch (error) {
    if (error.status >= 400 && error.status !== 401) error.message = `${name}: ${error.message}`;
    throw error;
  }
}
