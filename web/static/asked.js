/** What is asked, beside the answers: each picture with its sign, its weight, a part of it. */

import { thumbnail } from "./card.js";
import { icon, make } from "./dom.js";
import { NOTHING, weighing, without } from "./question.js";

const WEIGHTS = [0.25, 0.5, 1, 2, 4];

/** Show `question` in a list; `faces` are its pictures (null: unknown). `change(question)` is told
 * of another one, `crop(face)` that a part of a picture is to be chosen. */
export function showAsked(list, question, faces, { change, crop }) {
  const held = document.activeElement?.dataset.control;
  const items = question.parts.map((part, place) =>
    picture(question, part, faces[place], { change, crop }));
  if (question.words) items.unshift(words(question, change));
  list.replaceChildren(...items);
  list.classList.toggle("several", items.length > 1);
  if (held) (list.querySelector(`[data-control="${held}"]`) ?? list.parentElement).focus();
}

function picture(question, part, face, { change, crop }) {
  const { ref, weight } = part;
  const name = face?.name ?? "A picture that is gone";
  const size = Math.abs(weight);
  const isLiked = weight > 0;
  const reweigh = (other) => change(weighing(question, ref, other));
  return make(
    "li",
    { class: `asked ${isLiked ? "like" : "unlike"}`, "data-ref": ref },
    make("span", { class: "frame" }, face ? thumbnail(face.image, name) : icon("picture")),
    make("span", { class: "name", title: name }, name),
    control(ref, "remove", "close", `Remove ${name}`, () => change(without(question, ref))),
    make(
      "span",
      { class: "controls", role: "group", "aria-label": name },
      control(ref, "like", "plus", `More like ${name}`, () => reweigh(size), isLiked),
      control(ref, "unlike", "minus", `Less like ${name}`, () => reweigh(-size), !isLiked),
      weights(ref, name, size, (other) => reweigh(isLiked ? other : -other)),
      face ? control(ref, "part", "part", `Look at a part of ${name}`, () => crop(face)) : null,
    ),
  );
}

function words(question, change) {
  const remove = () => change({ ...question, words: NOTHING.words });
  return make(
    "li",
    { class: "asked like words" },
    make("q", {}, question.words),
    control("words", "remove", "close", `Remove ${question.words}`, remove),
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
