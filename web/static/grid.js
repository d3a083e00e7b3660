/** A list of cards that is one stop for the Tab key; arrow keys move in it. */

import { ACTIONS, card } from "./card.js";

/** Rows of pictures in a list element. */
export class Grid {
  #list;
  #act;
  #active = null;

  /** `act(name, picture)` is told what was chosen of ACTIONS. */
  constructor(list, act) {
    this.#list = list;
    this.#act = act;
    list.addEventListener("focusin", (event) => this.#activate(event.target.closest(".card")));
    list.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Show these instead; `address(picture)` is where its link leads, `actions` what is offered. */
  show(pictures, address, actions) {
    this.#list.replaceChildren();
    this.#active = null;
    this.add(pictures, address, actions);
  }

  /** Show these as well. */
  add(pictures, address, actions) {
    this.#list.append(...pictures.map((one) => card(one, address(one), actions, this.#act)));
    if (!this.#active) this.#activate(this.#list.firstElementChild);
  }

  /** Which card was used last, counted from 0. */
  get index() {
    return Math.max(0, [...this.#list.children].indexOf(this.#active));
  }

  /** Whether it has the keyboard's focus. */
  get hasFocus() {
    return this.#list.contains(document.activeElement);
  }

  /** Focus a card. */
  focus(index = 0) {
    this.#list.children[index]?.querySelector(".search-link").focus();
  }

  #activate(item) {
    if (!item || item === this.#active) return;
    for (const one of [this.#active, item]) {
      for (const stop of one?.querySelectorAll("a, button") ?? []) {
        stop.tabIndex = one === item ? 0 : -1;
      }
    }
    this.#active = item;
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = event.target.closest(".card");
    const action = ACTIONS.find(({ keys }) => keys.includes(event.key));
    const next = this.#next(item, event.key);
    if (action) item.querySelector(`.${action.does}`)?.click();
    else if (next) next.querySelector(".search-link").focus();
    else return;
    event.preventDefault();
  }

  #next(item, key) {
    switch (key) {
      case "ArrowRight": return item.nextElementSibling;
      case "ArrowLeft": return item.previousElementSibling;
      case "ArrowDown": return this.#across(item, "nextElementSibling");
      case "ArrowUp": return this.#across(item, "previousElementSibling");
      case "Home": return this.#list.firstElementChild;
      case "End": return this.#list.lastElementChild;
      default: return null;
    }
  }

  /** The card of the next row whose middle is nearest. */
  #across(item, towards) {
    const middle = (one) => one.offsetLeft + one.offsetWidth / 2;
    const off = (one) => Math.abs(middle(one) - middle(item));
    let one = item[towards];
    while (one && one.offsetTop === item.offsetTop) one = one[towards];
    let best = one;
    for (const row = one?.offsetTop; one?.offsetTop === row && one; one = one[towards]) {
      if (off(one) < off(best)) best = one;
    }
    return best;
  }
}
