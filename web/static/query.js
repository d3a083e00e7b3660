/** A query: values that never change, and how they are written in the page's address. */

/** `pictures`: each {ref, weight}, a weight below 0 for "less like this". */
export const EMPTY_QUERY = Object.freeze({ pictures: Object.freeze([]), text: "", folder: "" });

/** Whether it has nothing to search for yet. */
export const isEmpty = (query) => !query.pictures.length && !query.text;

/** The query of `#like=a,b*2&unlike=c&text=...&folder=...`; what makes no sense is left out. */
export function parse(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const pictures = [...weighted(values.get("like"), 1), ...weighted(values.get("unlike"), -1)];
  const byRef = new Map(pictures.map((one) => [one.ref, one]));
  return {
    pictures: [...byRef.values()],
    text: values.get("text") ?? values.get("words") ?? "", // "words" in bookmarks of 0.1
    folder: values.get("folder") ?? "",
  };
}

/** The address of a query, "#" and all. */
export function address(query) {
  const like = query.pictures.filter(({ weight }) => weight > 0).map(written);
  const unlike = query.pictures.filter(({ weight }) => weight < 0).map(written);
  const fields = [
    like.length && `like=${like.join(",")}`,
    unlike.length && `unlike=${unlike.join(",")}`,
    query.text && `text=${encodeURIComponent(query.text)}`,
    query.folder && `folder=${encodeURIComponent(query.folder)}`,
  ];
  return `#${fields.filter(Boolean).join("&")}`;
}

/** A query for lookalikes of one picture, in the same folder. */
export const lookalikesOf = (query, ref) => ({
  ...EMPTY_QUERY,
  folder: query.folder,
  pictures: [{ ref, weight: 1 }],
});

/** The query with this picture as well, or with another weight of it. */
export function withPicture(query, ref, weight) {
  const picture = { ref, weight };
  const isNew = !query.pictures.some((one) => one.ref === ref);
  const pictures = isNew
    ? [...query.pictures, picture]
    : query.pictures.map((one) => (one.ref === ref ? picture : one));
  return { ...query, pictures };
}

/** The query without this picture. */
export const withoutPicture = (query, ref) => ({
  ...query,
  pictures: query.pictures.filter((one) => one.ref !== ref),
});

/** The query with one picture replaced by another. */
export const withReplaced = (query, ref, other) => ({
  ...query,
  pictures: query.pictures.map((one) => (one.ref === ref ? { ...one, ref: other } : one)),
});

function written({ ref, weight }) {
  const size = Math.abs(weight);
  return size === 1 ? ref : `${ref}*${size}`;
}

function weighted(list, sign) {
  return (list ?? "")
    .split(",")
    .map((item) => /^([0-9a-f]{64}|own-\d+)(?:\*(\d*\.?\d+))?$/.exec(item))
    .filter((found) => found && Number(found[2] ?? 1) > 0)
    .map(([, ref, size]) => ({ ref, weight: sign * Math.min(100, Number(size ?? 1)) }));
}
