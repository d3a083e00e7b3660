/** Elements made in one call, icons, and numbers as people read them. */

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  plus: "M8 2.5v11M2.5 8h11",
  minus: "M2.5 8h11",
  open: "M6.5 3.5h6v6M12.5 3.5l-9 9",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  crop: "M4.5 1v10.5h10.5M1 4.5h10.5v10.5",
  again: "M13 5.5A5.5 5.5 0 1 0 13.5 9M13.5 2v4h-4",
  picture: "M2 3h12v10h-12zM2 11l4-4 3 3 2-2 3 3",
};

/** An element with attributes (null and false leave one out), listeners (`on`) and children. */
export function make(tag, { on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A small drawing, which screen readers pass over. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

/** Text for screen readers only. */
export const unseen = (text) => make("span", { class: "unseen" }, text);

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** 1234 pictures -> "1,234 pictures"; 1 picture. */
export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** Bytes as megabytes. */
export const megabytes = (bytes) => `${(bytes / 1048576).toFixed(bytes < 10485760 ? 1 : 0)} MiB`;
