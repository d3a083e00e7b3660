/** The pictures of queries: indexed ones by their id, one's own from memory. */

import * as api from "./api.js";

/** By `ref`, an id or "own-1": {ref, name, image (an address)}; with `id` of an indexed picture,
 * else with `blob`, `upload` (the server's name for it), `crop`, and `whole` (what it is cut from). */
const known = new Map();
let owned = 0;

/** What is known of a picture; nothing where it was never met. */
export const get = (ref) => known.get(ref);

/** Remember an indexed picture: a hit, or what /api/pictures tells. */
export function remember({ id, name }) {
  if (!known.has(id)) known.set(id, { ref: id, id, name, image: api.thumbnailOf(id, 640) });
  return known.get(id);
}

/** The picture behind `ref`, from the server where it isn't known yet. */
export async function fetchPicture(ref, signal) {
  if (known.has(ref)) return known.get(ref);
  if (ref.startsWith("own-")) {
    throw new api.Failure(410, "A picture of your own is only kept until the page is left: give it again.");
  }
  return remember(await api.picture(ref, signal));
}

/** As /api/query wants it; uploads a picture of one's own where the server doesn't have it. */
export async function forApi({ ref, weight }, signal) {
  const picture = await fetchPicture(ref, signal);
  if (picture.id) return { id: picture.id, weight: Math.abs(weight) };
  picture.upload ??= (await upload(picture, signal)).upload;
  return { upload: picture.upload, weight: Math.abs(weight) };
}

/** Upload a picture of one's own. One that is indexed is taken for that. */
export async function addOwn(blob, name, signal) {
  const { upload: uploaded, known: id } = await upload({ blob, name }, signal);
  if (id) return remember({ id, name });
  return own({ blob, name, upload: uploaded, image: URL.createObjectURL(blob) });
}

/** Upload a part of a picture: its `crop`, and the address of an `image` of it. */
export async function addCrop(whole, { crop, image }, signal) {
  const blob = whole.blob ?? (await api.file(whole.id, signal));
  const name = `part of ${whole.name}`;
  const { upload: uploaded } = await upload({ blob, name, crop }, signal);
  return own({ blob, name, upload: uploaded, crop, image, whole });
}

/** The server forgot the uploads: upload them again when they are searched with next. */
export function forgetUploads() {
  for (const one of known.values()) if (one.blob) one.upload = null;
}

function own(facts) {
  const ref = `own-${++owned}`;
  known.set(ref, { ref, ...facts });
  return known.get(ref);
}

async function upload({ blob, name, crop }, signal) {
  try {
    return await api.upload(blob, crop, signal);
  } catch (error) {
    if (error.status >= 400 && error.status !== 401) error.message = `${name}: ${error.message}`;
    throw error;
  }
}
