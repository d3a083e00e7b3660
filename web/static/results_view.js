/** What is on show beside the query: heading, pictures and counts. */

import * as queryPictures from "./query_pictures.js";
import * as storeInfo from "./store_info.js";
import { byId, counted } from "./dom.js";
import { address, isEmpty, lookalikesOf } from "./query.js";
import { showStatus } from "./status.js";
import { shortTitleOf, titleOf } from "./titles.js";

/** The headings, while the pictures are on their way. */
export function showHeading(query) {
  const isStart = isEmpty(query);
  document.body.dataset.view = isStart ? "start" : "results";
  const title = isStart ? "Or begin with one of these" : `Lookalikes of ${titleOf(query)}`;
  byId("found-title").textContent = title;
  document.title = isStart ? "tll-index" : `${title} · tll-index`;
  byId("text").value = query.text;
  showStatus(isStart ? "" : "Looking …");
}

/** The pictures of a page, and what belongs to them. */
export function showPage(grid, query, page) {
  const isStart = isEmpty(query);
  grid.show(page.pictures, (picture) => linked(query, picture), actionsOf(query));
  byId("more").hidden = !page.more;
  byId("others").hidden = !isStart || !page.pictures.length;
  byId("found-title").hidden = isStart && !page.pictures.length;
  storeInfo.showFolders(query.folder, page.pictures);
  showCounts(query, page);
}

/** The hits that were added to a page. */
export function showAdded(grid, query, page, added) {
  grid.add(added, (picture) => linked(query, picture), actionsOf(query));
  byId("more").hidden = !page.more;
  showCounts(query, page);
}

/** No page at all: something failed. */
export function showNoPage(grid) {
  grid.show([]);
  for (const id of ["more", "others", "nothing"]) byId(id).hidden = true;
  showStatus("");
}

/** How many pictures are on show. */
export function showCounts(query, page) {
  const nothing = byId("nothing");
  nothing.hidden = page.pictures.length > 0;
  if (isEmpty(query)) {
    nothing.textContent = "Nothing is indexed yet. Run tll-index build FOLDER: this page will notice.";
    showStatus("");
    return;
  }
  const where = query.folder ? ` in ${query.folder}` : "";
  nothing.textContent = `Nothing else is indexed${where}.`;
  const { length } = page.pictures;
  showStatus(
    `The ${length.toLocaleString("en")} most alike${where}, of ${counted(page.total, "picture")}`,
    `${counted(length, "lookalike")} of ${shortTitleOf(query)}${where}`,
  );
}

/** The picture that "why?" compares with: the first of those to be like. */
export const explained = (query) => {
  const liked = query.pictures.find(({ weight }) => weight > 0);
  return liked && queryPictures.get(liked.ref);
};

/** Where a picture leads, which then is known already. */
const linked = (query, picture) =>
  address(lookalikesOf(query, queryPictures.remember(picture).ref));

const actionsOf = (query) => (isEmpty(query) ? [] : [
  "like",
  "unlike",
  ...(storeInfo.info().why && explained(query) ? ["why"] : []),
  "open",
]);
