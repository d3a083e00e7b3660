/** Ways in for pictures: dropped, pasted, picked, photographed. */

import { Failure } from "./api.js";
import { byId, megabytes } from "./dom.js";

/** Tell `take(files, role)` of pictures; `role`: "new" (search with them alone), or also "like" or
 * "unlike" them. */
export function listen(take) {
  let role = "new";
  for (const input of [byId("pick"), byId("photograph")]) {
    input.addEventListener("change", () => {
      if (input.files.length) take([...input.files], role);
      input.value = "";
    });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-opens]");
    if (!button) return;
    role = button.dataset.role ?? "new";
    byId(button.dataset.opens).click();
  });
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    take(files, "new");
  });
  listenForDrops(take);
}

/** Throw a `Failure` unless the file can be read and sent. */
export async function check(file, limits) {
  if (file.size > limits.upload_bytes) {
    const most = megabytes(limits.upload_bytes);
    throw new Failure(413, `${file.name} has ${megabytes(file.size)}; the server takes ${most} at most.`);
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Failure(400, `${file.name} can't be read. Is it a folder?`);
  }
}

function listenForDrops(take) {
  const zones = byId("zones");
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const zoneOf = (event) => event.target.closest?.("[data-zone]") ?? null;
  const mark = (zone) => {
    for (const one of document.querySelectorAll("[data-zone]")) {
      one.classList.toggle("over", one === zone);
    }
  };
  const end = () => {
    mark(null);
    zones.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    zones.hidden = document.body.dataset.view !== "results";
    mark(zoneOf(event));
  });
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) end();
  });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    const role = zoneOf(event)?.dataset.zone ?? "new";
    end();
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files], role);
  });
}
