"use strict";
// What a person marks is kept in the browser at once, under the contest's name, and can be saved as JSON.
const { contest, rows, images } = JSON.parse(document.getElementById("data").textContent);
const KEYS = { left: "1234567890", right: "qwertyuiop" };
const slot = `judge ${contest}`;
const judged = restored();
let at = Math.max(0, rows.findIndex((row) => !(row.query in judged)));

function restored() {
  try {
    return JSON.parse(localStorage.getItem(slot)) || {};
  } catch {
    return {};
  }
}

function keep() {
  try {
    localStorage.setItem(slot, JSON.stringify(judged));
  } catch {
    document.getElementById("note").textContent = "This browser keeps nothing: save before you leave.";
  }
}

function picture(name, alt) {
  const image = new Image();
  image.src = images[name];
  image.alt = alt;
  return image;
}

function tile(name, side, place) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tile";
  button.dataset.name = name;
  button.append(picture(name, `hit ${place + 1}, ${side}`));
  const key = document.createElement("kbd");
  key.textContent = KEYS[side][place] || "";
  button.append(key);
  button.addEventListener("click", () => toggle(name));
  return button;
}

function show() {
  const row = rows[at];
  document.getElementById("query").replaceChildren(picture(row.query, "query"));
  for (const side of ["left", "right"]) {
    document.getElementById(side).replaceChildren(...row[side].map((name, place) => tile(name, side, place)));
  }
  paint();
}

function paint() {
  const marked = judged[rows[at].query] || [];
  for (const button of document.querySelectorAll(".tile")) {
    button.setAttribute("aria-pressed", String(marked.includes(button.dataset.name)));
  }
  const done = rows.filter((row) => row.query in judged).length;
  document.getElementById("place").textContent = `Query ${at + 1} of ${rows.length}, ${done} judged`;
  document.getElementById("progress").value = done;
  document.getElementById("previous").disabled = at === 0;
  document.getElementById("next").textContent = at + 1 < rows.length ? "Next" : "Done";
}

// The same picture on both sides is one picture: it is marked once.
function toggle(name) {
  const { query } = rows[at];
  const marked = new Set(judged[query] || []);
  if (!marked.delete(name)) marked.add(name);
  judged[query] = [...marked].sort();
  keep();
  paint();
}

function next() {
  const { query } = rows[at];
  judged[query] = judged[query] || []; // looked at, and none of them alike
  keep();
  if (at + 1 < rows.length) {
    at += 1;
    show();
  } else {
    paint();
  }
}

function previous() {
  if (at > 0) {
    at -= 1;
    show();
  }
}

function save() {
  const text = JSON.stringify({ contest, judged }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "results.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

document.getElementById("progress").max = rows.length;
document.getElementById("next").addEventListener("click", next);
document.getElementById("previous").addEventListener("click", previous);
document.getElementById("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  for (const side of ["left", "right"]) {
    const name = rows[at][side][KEYS[side].indexOf(event.key.toLowerCase())];
    if (name) {
      toggle(name);
      return;
    }
  }
  if (event.key === "ArrowLeft") previous();
  if (event.key === "ArrowRight") next();
});
show();
