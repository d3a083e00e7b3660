/** The query, beside what it finds: each picture with its sign, its weight, a part of it. */

import { thumbnail } from "./card.js";
import { icon, make } from "./dom.js";
import { EMPTY_QUERY, withPicture, withoutPicture } from "./query.js";

const WEIGHTS = [0.25, 0.5, 1, 2, 4];

/** Show `query` in a list; `pictures` are known of it (null: gone). `change(query)` is told of another
 * one, `crop(picture)` that a part of a picture is to be chosen. */
export function showQuery(list, query, pictures, { change, crop }) {
  const held = document.activeElement?.dataset.control;
  const items = query.pictures.map((weighted, index) =>
    pictureItem(query, weighted, pictures[index], { change, crop }));
  if (query.text) items.unshift(textItem(query, change));
  list.replaceChildren(...items);
  list.classList.toggle("several", items.length > 1);
  if (held) (list.querySelector(`[data-control="${held}"]`) ?? list.parentElement).focus();
}

function pictureItem(query, { ref, weight }, picture, { change, crop }) {
  const name = picture?.name ?? "A picture that is gone";
  const size = Math.abs(weight);
  const isLiked = weight > 0;
  const reweigh = (other) => change(withPicture(query, ref, other));
  return make(
    "li",
    { class: `query-item ${isLiked ? "like" : "unlike"}`, "data-ref": ref },
    make("span", { class: "frame" }, picture ? thumbnail(picture.image, name) : icon("picture")),
    make("span", { class: "name", title: name }, name),
    control(ref, "remove", "close", `Remove ${name}`, () => change(withoutPicture(query, ref))),
    make(
      "span",
      { class: "controls", role: "group", "aria-label": name },
      control(ref, "like", "plus", `More like ${name}`, () => reweigh(size), isLiked),
      control(ref, "unlike", "minus", `Less like ${name}`, () => reweigh(-size), !isLiked),
      weights(ref, name, size, (other) => reweigh(isLiked ? other : -other)),
      picture ? control(ref, "crop", "crop", `Search with a part of ${name}`, () => crop(picture)) : null,
    ),
  );
}

function textItem(query, change) {
  const remove = () => change({ ...query, text: EMPTY_QUERY.text });
  return make(
    "li",
    { class: "query-item like text" },
    make("q", {}, query.text),
    control("text", "remove", "close", `Remove ${query.text}`, remove),
  );
}

function control(ref, does, drawing, says, click, pressed) {
  return make(
    "button",
    {
      type: "button",
      class: `action ${does}`,
      title: says,
      "aria-label": says,
      "aria-pressed": pressed === undefined ? null : String(pressed),
      "data-control": `${ref} ${does}`,
      on: { click },
    },
    icon(drawing),
  );
}

function weights(ref, name, size, choose) {
  const sizes = WEIGHTS.includes(size) ? WEIGHTS : [...WEIGHTS, size].sort((a, b) => a - b);
  return make(
    "select",
    {
      "aria-label": `How much ${name} counts`,
      title: "How much it counts",
      "data-control": `${ref} weight`,
      on: { change: (event) => choose(Number(event.target.value)) },
    },
    ...sizes.map((one) => make("option", { value: one, selected: one === size }, `×${one}`)),
  );
}
