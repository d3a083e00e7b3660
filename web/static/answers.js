/** Answers to questions, page by page, and why they are. */

import * as api from "./api.js";
import * as faces from "./faces.js";

const PAGE = 30;
const BEGIN_WITH = 36;

/** Pictures to begin with, as a page like any other. */
export async function beginnings(signal) {
  const pictures = await api.random(BEGIN_WITH, signal);
  return { pictures, more: false };
}

/** The first page of answers: {pictures, more, total, milliseconds}. */
export async function ask(question, limits, signal) {
  const { hits, more, total_pictures: total, took_ms: milliseconds } =
    await asked(question, 0, signal);
  return { pictures: hits, more: more && PAGE < limits.deepest, total, milliseconds };
}

/** Add the next page to it, and give what is new. */
export async function goOn(page, question, limits, signal) {
  const offset = page.asked ?? PAGE;
  const limit = Math.min(PAGE, limits.deepest - offset);
  const { hits, more } = await asked(question, offset, signal, limit);
  const known = new Set(page.pictures.map(({ id }) => id)); // the store may have changed between
  const added = hits.filter(({ id }) => !known.has(id));
  page.pictures.push(...added);
  page.asked = offset + limit;
  page.more = more && page.asked < limits.deepest;
  return added;
}

/** What makes an indexed picture an answer to a picture that was asked with: an image. */
export const why = (ref, id, signal) => remembered(async () => {
  const shown = await faces.part({ ref, weight: 1 }, signal);
  return api.why(shown.id ?? shown.look, id, signal);
});

const asked = (question, offset, signal, limit = PAGE) => remembered(async () =>
  api.query(await body(question, offset, limit, signal), signal));

/** `work`; once more where the server lost what it was shown, which then is uploaded again. */
async function remembered(work) {
  try {
    return await work();
  } catch (error) {
    if (error.status !== 410) throw error;
    faces.forgetLooks();
    return work();
  }
}

async function body(question, offset, limit, signal) {
  const { parts, folder, words } = question;
  const shown = await Promise.all(parts.map((one) => faces.part(one, signal)));
  const withSign = (sign) => shown.filter((_, place) => Math.sign(parts[place].weight) === sign);
  return {
    like: withSign(1),
    unlike: withSign(-1),
    ...(folder && { folder }),
    ...(words && { text: words }),
    offset,
    limit,
  };
}
