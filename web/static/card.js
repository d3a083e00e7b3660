/** One picture of a grid: a link that searches with it, and what else can be done with it. */

import { fileOf, thumbnailOf } from "./api.js";
import { icon, make, unseen } from "./dom.js";

const AGAIN = 1500; // milliseconds until a thumbnail is requested once more

/** The buttons of a hit: what `act` is told, the keys, the icon or label, what it says it does. */
export const ACTIONS = [
  { does: "like", keys: ["+", "="], icon: "plus", says: "More like this" },
  { does: "unlike", keys: ["-", "_", "−"], icon: "minus", says: "Less like this" },
  { does: "why", keys: ["w"], label: "Why?", says: "Show what is alike" },
  { does: "open", keys: ["o"], icon: "open", says: "Open the original" },
];

/** The list item; `actions` are names of ACTIONS, each told to `act(name, picture)`. */
export function card(picture, address, actions, act) {
  const item = make(
    "li",
    { class: "card" },
    make("a", { class: "search-link", href: address, tabindex: "-1" }, frame(picture), facts(picture)),
    actions.length ? buttons(picture, actions, act) : null,
  );
  const ratio = Math.min(2.2, Math.max(0.72, picture.width / picture.height || 1));
  item.style.setProperty("--ratio", ratio.toFixed(3));
  return item;
}

/** A thumbnail; a line of text where it can't be shown. */
export function thumbnail(address, alt, options = {}) {
  const image = make("img", { src: address, alt, draggable: "false", decoding: "async", ...options });
  let isSecond = false;
  image.addEventListener("error", () => {
    if (isSecond || address.startsWith("blob:")) {
      image.replaceWith(make("span", { class: "missing" }, icon("picture"), `${alt} can't be shown`));
      return;
    }
    isSecond = true;
    setTimeout(() => { image.src = address; }, AGAIN);
  });
  return image;
}

function frame({ id, name, width, height }) {
  const sides = { width: width || 1, height: height || 1, loading: "lazy" };
  const across = Math.min(1, sides.width / sides.height); // of the longer side, which 320 and 640 are
  const srcset = [320, 640]
    .map((side) => `${thumbnailOf(id, side)} ${Math.max(1, Math.round(side * across))}w`)
    .join(", ");
  const sizes = "(max-width: 40rem) 45vw, 18rem";
  return make(
    "span",
    { class: "frame" },
    thumbnail(thumbnailOf(id, 320), name, { ...sides, srcset, sizes }),
  );
}

function facts({ name, folder, score, copies }) {
  return make(
    "span",
    { class: "facts" },
    score === undefined ? null : similarity(score),
    make("span", { class: "name", title: name, "aria-hidden": "true" }, name),
    copies ? make("span", { class: "copies" }, `${copies + 1} paths`) : null,
    folder ? make("span", { class: "folder", title: folder }, folder) : null,
  );
}

function similarity(score) {
  const bar = make("span", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.min(1, Math.max(0, score)).toFixed(3));
  const number = make("b", {}, score.toFixed(2).replace("-", "−"));
  return make("span", { class: "likeness" }, number, unseen(" alike,"), bar);
}

function buttons(picture, actions, act) {
  const wanted = ACTIONS.filter(({ does }) => actions.includes(does));
  return make(
    "div",
    { class: "actions", role: "group", "aria-label": picture.name },
    ...wanted.map((one) => button(one, picture, act)),
  );
}

function button({ does, icon: drawing, label, says }, picture, act) {
  const inside = drawing ? icon(drawing) : label;
  const described = label ? `${label} ${says}: ${picture.name}` : `${says}: ${picture.name}`;
  const shared = { class: `action ${does}`, title: says, "aria-label": described, tabindex: "-1" };
  if (does === "open") {
    return make("a", { ...shared, href: fileOf(picture.id), target: "_blank", rel: "noopener" }, inside);
  }
  const on = { click: () => act(does, picture) };
  return make("button", { ...shared, type: "button", on }, inside);
}
