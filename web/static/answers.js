/** Answers to questions, page by page. */

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

async function asked(question, offset, signal, limit = PAGE) {
  try {
    return await api.query(await body(question, offset, limit, signal), signal);
  } catch (error) {
    if (error.status !== 410) throw error;
    faces.forgetLooks(); // the server did: show it the pictures again
    return api.query(await body(question, offset, limit, signal), signal);
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
