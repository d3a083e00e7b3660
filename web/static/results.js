/** What a query finds, page by page, and why. */

import * as api from "./api.js";
import * as queryPictures from "./query_pictures.js";

const PAGE = 30;
const BEGIN_WITH = 36;

/** Random pictures to begin with, as a page like any other. */
export async function randomPage(signal) {
  const pictures = await api.random(BEGIN_WITH, signal);
  return { pictures, more: false };
}

/** The first page of hits: {pictures, more, total, milliseconds}. */
export async function firstPage(query, limits, signal) {
  const { hits, more, total_pictures: total, took_ms: milliseconds } =
    await search(query, 0, signal);
  return { pictures: hits, more: more && PAGE < limits.deepest, total, milliseconds };
}

/** Add the next hits to a page, and return them. */
export async function addHits(page, query, limits, signal) {
  const offset = page.end ?? PAGE;
  const limit = Math.min(PAGE, limits.deepest - offset);
  const { hits, more } = await search(query, offset, signal, limit);
  const known = new Set(page.pictures.map(({ id }) => id)); // the store may have changed between
  const added = hits.filter(({ id }) => !known.has(id));
  page.pictures.push(...added);
  page.end = offset + limit;
  page.more = more && page.end < limits.deepest;
  return added;
}

/** What makes an indexed picture look like a picture of the query: an image. */
export const why = (ref, id, signal) => uploadingAgain(async () => {
  const picture = await queryPictures.forApi({ ref, weight: 1 }, signal);
  return api.why(picture.id ?? picture.upload, id, signal);
});

const search = (query, offset, signal, limit = PAGE) => uploadingAgain(async () =>
  api.query(await body(query, offset, limit, signal), signal));

/** `work`; once more where the server forgot an upload, which then is uploaded again. */
async function uploadingAgain(work) {
  try {
    return await work();
  } catch (error) {
    if (error.status !== 410) throw error;
    queryPictures.forgetUploads();
    return work();
  }
}

async function body(query, offset, limit, signal) {
  const { pictures, folder, text } = query;
  const ready = await Promise.all(pictures.map((one) => queryPictures.forApi(one, signal)));
  const withSign = (sign) =>
    ready.filter((_, index) => Math.sign(pictures[index].weight) === sign);
  return {
    like: withSign(1),
    unlike: withSign(-1),
    ...(folder && { folder }),
    ...(text && { text }),
    offset,
    limit,
  };
}
