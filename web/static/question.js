/** What is asked: values that never change, and how they are written in the page's address. */

/** `parts`: pictures, each {ref, weight}, a weight below 0 for "less like this". */
export const NOTHING = Object.freeze({ parts: Object.freeze([]), words: "", folder: "" });

/** Whether it asks for nothing yet. */
export const isEmpty = (question) => !question.parts.length && !question.words;

/** What `#like=a,b*2&unlike=c&words=...&folder=...` asks; parts that make no sense are left out. */
export function parse(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const parts = [...weighed(values.get("like"), 1), ...weighed(values.get("unlike"), -1)];
  const seen = new Map(parts.map((part) => [part.ref, part]));
  return {
    parts: [...seen.values()],
    words: values.get("words") ?? "",
    folder: values.get("folder") ?? "",
  };
}

/** The address of a question, "#" and all. */
export function address(question) {
  const like = question.parts.filter((part) => part.weight > 0).map(written);
  const unlike = question.parts.filter((part) => part.weight < 0).map(written);
  const fields = [
    like.length && `like=${like.join(",")}`,
    unlike.length && `unlike=${unlike.join(",")}`,
    question.words && `words=${encodeURIComponent(question.words)}`,
    question.folder && `folder=${encodeURIComponent(question.folder)}`,
  ];
  return `#${fields.filter(Boolean).join("&")}`;
}

/** The same in the same folder, about one picture only. */
export const about = (question, ref) => ({
  ...NOTHING,
  folder: question.folder,
  parts: [{ ref, weight: 1 }],
});

/** With this picture also, or with another weight. */
export function weighing(question, ref, weight) {
  const part = { ref, weight };
  const isNew = !question.parts.some((one) => one.ref === ref);
  const parts = isNew
    ? [...question.parts, part]
    : question.parts.map((one) => (one.ref === ref ? part : one));
  return { ...question, parts };
}

/** Without this picture. */
export const without = (question, ref) => ({
  ...question,
  parts: question.parts.filter((one) => one.ref !== ref),
});

/** With one picture in another's place. */
export const replacing = (question, ref, other) => ({
  ...question,
  parts: question.parts.map((one) => (one.ref === ref ? { ...one, ref: other } : one)),
});

function written({ ref, weight }) {
  const size = Math.abs(weight);
  return size === 1 ? ref : `${ref}*${size}`;
}

function weighed(list, sign) {
  return (list ?? "")
    .split(",")
    .map((word) => /^([0-9a-f]{64}|own-\d+)(?:\*(\d*\.?\d+))?$/.exec(word))
    .filter((found) => found && Number(found[2] ?? 1) > 0)
    .map(([, ref, size]) => ({ ref, weight: sign * Math.min(100, Number(size ?? 1)) }));
}
