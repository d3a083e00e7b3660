/** The dialog in which a part of a picture is chosen: by dragging, or with the arrow keys. */

import { byId } from "./dom.js";
import { openDialog } from "./dialogs.js";

const STEP = 2; // percent that an arrow key moves
const LEAST = 4; // percent of a side
const SHOWN = 640; // pixels of the part's longer side, as it is shown beside the results

/** A part of the picture at an address: {crop, image}; null where none was chosen. */
export async function chooseCrop(image, name) {
  const picture = byId("crop-picture");
  const frame = new Frame(byId("crop-frame"), byId("crop-says"));
  picture.alt = name;
  picture.src = image;
  const stage = byId("crop-stage");
  stage.onpointerdown = (event) => frame.drag(event, stage);
  byId("crop-frame").onkeydown = (event) => frame.press(event);
  const isChosen = (await openDialog("crop")) === "crop";
  if (!isChosen) return null;
  const { x, y, width, height } = frame;
  const crop = [x, y, width, height].map((one) => `${one.toFixed(2)}%`).join(",");
  return { crop, image: await cutOut(picture, frame) };
}

/** The rectangle, in percent of the picture's sides. */
class Frame {
  constructor(element, says) {
    this.element = element;
    this.says = says;
    this.put(25, 25, 50, 50);
  }

  put(x, y, width, height) {
    this.width = Math.min(100, Math.max(LEAST, width));
    this.height = Math.min(100, Math.max(LEAST, height));
    this.x = Math.min(100 - this.width, Math.max(0, x));
    this.y = Math.min(100 - this.height, Math.max(0, y));
    for (const side of ["x", "y", "width", "height"]) {
      this.element.style.setProperty(`--${side}`, `${this[side]}%`);
    }
    const [left, top, across, down] = [this.x, this.y, this.width, this.height].map(Math.round);
    this.says.textContent = `${across}% × ${down}%, from ${left}% across and ${top}% down`;
  }

  drag(start, stage) {
    const box = stage.getBoundingClientRect();
    const at = (event) => [
      Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100)),
      Math.min(100, Math.max(0, ((event.clientY - box.top) / box.height) * 100)),
    ];
    const [fromX, fromY] = at(start);
    start.preventDefault();
    stage.setPointerCapture(start.pointerId);
    stage.onpointermove = (event) => {
      const [toX, toY] = at(event);
      const width = Math.abs(toX - fromX);
      const height = Math.abs(toY - fromY);
      if (Math.max(width, height) < LEAST / 2) return; // a click, no rectangle
      this.put(Math.min(fromX, toX), Math.min(fromY, toY), width, height);
    };
    stage.onpointerup = stage.onpointercancel = () => {
      stage.onpointermove = null;
      this.element.focus();
    };
  }

  press(event) {
    const steps = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [across, down] = steps[event.key];
    if (event.shiftKey) this.put(this.x, this.y, this.width + across, this.height + down);
    else this.put(this.x + across, this.y + down, this.width, this.height);
  }
}

/** The address of what the frame shows, as a picture of its own. */
async function cutOut(picture, { x, y, width, height }) {
  const [left, across] = [x, width].map((one) => (one / 100) * picture.naturalWidth);
  const [top, down] = [y, height].map((one) => (one / 100) * picture.naturalHeight);
  const scale = Math.min(1, SHOWN / Math.max(across, down));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(across * scale));
  canvas.height = Math.max(1, Math.round(down * scale));
  canvas.getContext("2d").drawImage(picture, left, top, across, down, 0, 0, canvas.width, canvas.height);
  return URL.createObjectURL(await new Promise((made) => canvas.toBlob(made)));
}
