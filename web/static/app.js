/** The page: its address is a query, and it shows what the query finds. */

import * as api from "./api.js";
import * as fileInput from "./file_input.js";
import * as queryPictures from "./query_pictures.js";
import * as results from "./results.js";
import * as storeInfo from "./store_info.js";
import * as view from "./results_view.js";
import * as visits from "./visits.js";
import { guarded, useToken, withToken } from "./access.js";
import { chooseCrop } from "./crop_dialog.js";
import { listenInDialogs, openDialog, showWhy } from "./dialogs.js";
import { byId, counted } from "./dom.js";
import { Grid } from "./grid.js";
import { pollInfo } from "./polling.js";
import { EMPTY_QUERY, address, isEmpty, parse, withPicture, withReplaced } from "./query.js";
import { showQuery } from "./query_panel.js";
import { busy, clearError, isCutOff, showError, showStatus } from "./status.js";

const grid = new Grid(byId("grid"), act);
let query = EMPTY_QUERY;
let page = null;
let stop = new AbortController();

begin();

async function begin() {
  history.scrollRestoration = "manual";
  listenInDialogs();
  listenForKeys();
  listenForClicks();
  fileInput.listen((files, role) => guarded(() => take(files, role)));
  addEventListener("popstate", () => {
    leave();
    show({ isBack: true });
  });
  await useToken();
  await show();
  pollInfo(hear, (error) => (error.status === 401 ? withToken(show) : showError(error, retry)));
}

/* Going from query to query */

function go(next) {
  leave();
  history.pushState(null, "", address(next));
  return show();
}

/** Remember the page that is on show, and where one is in it. */
function leave() {
  if (page) visits.remember(address(query), { page, top: scrollY, index: grid.index });
}

/** Show what the address is a query for. */
async function show({ isBack = false } = {}) {
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  const hadFocus = grid.hasFocus;
  query = parse(location.hash);
  const visit = isBack ? visits.get(address(query)) : null;
  page = null;
  const work = async () => {
    await storeInfo.ready(signal);
    const pictures = await fetchPictures(signal);
    if (signal.aborted) return;
    view.showHeading(query);
    showQuery(byId("query-list"), query, pictures, { change: go, crop });
    const found = visit?.page ?? (await firstPage(signal));
    if (signal.aborted) return;
    page = found;
    clearError();
    view.showPage(grid, query, page);
    scrollTo(0, visit?.top ?? 0);
    if (hadFocus) grid.focus(visit?.index ?? 0);
  };
  await guarded(() => busy(work()), retry);
  if (!page && !signal.aborted) view.showNoPage(grid);
}

const firstPage = (signal) => (isEmpty(query)
  ? results.randomPage(signal)
  : results.firstPage(query, storeInfo.info().limits, signal));

/** The pictures of the query; null for each that is gone. */
function fetchPictures(signal) {
  return Promise.all(query.pictures.map(({ ref }) =>
    queryPictures.fetchPicture(ref, signal).catch((error) => {
      if ([404, 410].includes(error.status)) return null;
      throw error;
    })));
}

function retry() {
  clearError();
  return show();
}

function act(does, picture) {
  if (does !== "why") return go(withPicture(query, picture.id, does === "like" ? 1 : -1));
  const { ref, name } = view.explained(query);
  return showWhy(name, picture.name, (signal) => results.why(ref, picture.id, signal));
}

/** The next hits. */
const more = once(async () => {
  if (!page?.more) return;
  const { signal } = stop;
  const [current, of] = [page, query];
  const added = await busy(results.addHits(current, of, storeInfo.info().limits, signal));
  if (!signal.aborted) view.showAdded(grid, of, current, added);
});

/* Pictures that are given */

/** Search with files: `role` is "new" (with them alone), or also "like" or "unlike" them. */
async function take(files, role) {
  const { signal } = stop;
  const { limits } = await storeInfo.ready(signal);
  let next = role === "new" ? { ...EMPTY_QUERY, folder: query.folder } : query;
  const room = limits.pictures_a_query - next.pictures.length;
  showStatus(`Looking at ${files.length === 1 ? files[0].name : counted(files.length, "picture")} …`);
  const taken = await busy(Promise.allSettled(files.slice(0, room).map(async (file) => {
    await fileInput.check(file, limits);
    return queryPictures.addOwn(file, file.name || "pasted picture", signal);
  })));
  if (signal.aborted) return;
  for (const { value } of taken) {
    if (value) next = withPicture(next, value.ref, role === "unlike" ? -1 : 1);
  }
  if (taken.some(({ value }) => value)) await go(next);
  else if (page) view.showCounts(query, page);
  const failed = taken.find(({ reason }) => reason);
  if (failed) throw failed.reason;
  if (files.length > room) {
    throw new api.Failure(400, `A query takes ${limits.pictures_a_query} pictures at most.`);
  }
}

/** Replace a picture of the query by a part of it. */
function crop(picture) {
  return guarded(async () => {
    const whole = picture.whole ?? picture;
    const chosen = await chooseCrop(whole.image, whole.name);
    if (!chosen) return;
    const { signal } = stop;
    const made = await busy(queryPictures.addCrop(whole, chosen, signal));
    await go(withReplaced(query, picture.ref, made.ref));
  });
}

/* News of the store */

function hear(info) {
  if (isCutOff()) retry();
  const news = storeInfo.hear(info);
  byId("news").hidden = !news;
  byId("news").textContent = news;
  if (news && page && !page.pictures.length) renew();
}

function renew() {
  visits.clear();
  storeInfo.catchUp();
  byId("news").hidden = true;
  return show();
}

/* Keys and clicks */

function listenForClicks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const isPlain = !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (!link || !isPlain) return;
    event.preventDefault();
    go(parse(link.hash));
  });
  byId("skip").addEventListener("click", () => grid.focus(grid.index));
  byId("more").addEventListener("click", () => guarded(more));
  byId("others").addEventListener("click", () => show());
  byId("news").addEventListener("click", renew);
  byId("help-button").addEventListener("click", () => openDialog("help"));
  byId("folder").addEventListener("change", ({ target }) => go({ ...query, folder: target.value }));
  byId("text-form").addEventListener("submit", (event) => {
    event.preventDefault();
    go({ ...query, text: byId("text").value.trim() });
  });
  const near = new IntersectionObserver(
    (seen) => seen.some((one) => one.isIntersecting) && guarded(more),
    { rootMargin: "800px" },
  );
  near.observe(byId("more"));
}

function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    if (event.key === "?") openDialog("help");
    else if (event.key === "/") firstInput().focus();
    else return;
    event.preventDefault();
  });
}

/** Where a query begins: the text field, or the button that picks a picture. */
const firstInput = () => {
  if (!byId("text-form").hidden) return byId("text");
  return byId(isEmpty(query) ? "hero-choose" : "choose");
};

/** `work`, but never twice at a time. */
function once(work) {
  let running = null;
  return () => {
    running ??= work().finally(() => { running = null; });
    return running;
  };
}
