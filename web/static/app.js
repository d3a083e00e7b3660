/** The page: what its address asks is what it shows; the way back is remembered. */

import * as answers from "./answers.js";
import * as api from "./api.js";
import * as faces from "./faces.js";
import * as intake from "./intake.js";
import { showAsked } from "./asked.js";
import { askForToken, listenInDialogs, opened, showWhy } from "./dialogs.js";
import { byId, counted } from "./dom.js";
import { Grid } from "./grid.js";
import { watch } from "./news.js";
import { busy, calm, complain, isCutOff, say } from "./notices.js";
import { choosePart } from "./part.js";
import * as served from "./served.js";
import { NOTHING, about, address, isEmpty, parse, replacing, weighing } from "./question.js";
import { inShort, inWords } from "./wording.js";

const REMEMBERED = 30; // pages on the way back

/** By address: pages that were shown, each with where one was in it. */
const visited = new Map();

const grid = new Grid(byId("grid"), act);
let question = NOTHING;
let page = null;
let stop = new AbortController();

begin();

async function begin() {
  history.scrollRestoration = "manual";
  listenInDialogs();
  listenForKeys();
  listenForClicks();
  intake.listen((files, how) => guarded(() => take(files, how)));
  addEventListener("popstate", () => {
    leave();
    show({ isBack: true });
  });
  await useToken();
  await show();
  watch(hear, (error) => (error.status === 401 ? authorised(show) : complain(error, retry)));
}

/** A token in the address becomes a cookie, and leaves the address. */
async function useToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  await api.begin(token).catch(complain);
}

/* Going from question to question */

function go(next) {
  leave();
  history.pushState(null, "", address(next));
  return show();
}

/** Remember the page that is on show, and where one is in it. */
function leave() {
  if (!page) return;
  const here = address(question);
  visited.delete(here);
  visited.set(here, { page, top: scrollY, place: grid.place });
  if (visited.size > REMEMBERED) visited.delete(visited.keys().next().value);
}

/** Show what the address asks. */
async function show({ isBack = false } = {}) {
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  const hadFocus = grid.hasFocus;
  question = parse(location.hash);
  const kept = isBack ? visited.get(address(question)) : null;
  page = null;
  const work = async () => {
    await served.ready(signal);
    const known = await recalled(signal);
    if (signal.aborted) return;
    showQuestion(known);
    const found = kept?.page ?? (await fresh(signal));
    if (signal.aborted) return;
    page = found;
    calm();
    showPage();
    scrollTo(0, kept?.top ?? 0);
    if (hadFocus) grid.focus(kept?.place ?? 0);
  };
  await guarded(() => busy(work()), retry);
  if (!page && !signal.aborted) showNoPage();
}

const fresh = (signal) => (isEmpty(question)
  ? answers.beginnings(signal)
  : answers.ask(question, served.info().limits, signal));

/** The pictures of the question; null for each that is gone. */
function recalled(signal) {
  return Promise.all(question.parts.map(({ ref }) => faces.recall(ref, signal).catch((error) => {
    if ([404, 410].includes(error.status)) return null;
    throw error;
  })));
}

function retry() {
  calm();
  return show();
}

/** Do it; say what fails. */
async function guarded(work, again = null) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) await authorised(again ?? work);
    else if (error instanceof api.Failure) complain(error, again);
    else throw error;
  }
}

let asksForToken = null;

async function authorised(work) {
  asksForToken ??= askForToken().finally(() => { asksForToken = null; });
  await asksForToken;
  await work();
}

/* What is on show */

function showQuestion(known) {
  const isStart = isEmpty(question);
  document.body.dataset.view = isStart ? "start" : "results";
  const title = isStart ? "Or begin with one of these" : `Lookalikes of ${inWords(question)}`;
  byId("found-title").textContent = title;
  document.title = isStart ? "tll-index" : `${title} · tll-index`;
  byId("words").value = question.words;
  showAsked(byId("asked-list"), question, known, { change: go, crop });
  say(isStart ? "" : "Looking …");
}

function showPage() {
  const isStart = isEmpty(question);
  grid.show(page.pictures, linked, isStart ? [] : offered());
  byId("more").hidden = !page.more;
  byId("others").hidden = !isStart || !page.pictures.length;
  byId("found-title").hidden = isStart && !page.pictures.length;
  served.showFolders(question.folder, page.pictures);
  showCounts();
}

/** The question has no answer: something failed. */
function showNoPage() {
  grid.show([]);
  for (const id of ["more", "others", "nothing"]) byId(id).hidden = true;
  say("");
}

function showCounts() {
  const nothing = byId("nothing");
  nothing.hidden = page.pictures.length > 0;
  if (isEmpty(question)) {
    nothing.textContent = "Nothing is indexed yet. Run tll-index build FOLDER: this page will notice.";
    say("");
    return;
  }
  const where = question.folder ? ` in ${question.folder}` : "";
  nothing.textContent = `Nothing else is indexed${where}.`;
  const { length } = page.pictures;
  say(
    `The ${length.toLocaleString("en")} most alike${where}, of ${counted(page.total, "picture")}`,
    `${counted(length, "lookalike")} of ${inShort(question)}${where}`,
  );
}

/** Where a picture leads, which is then known already. */
function linked(picture) {
  return address(about(question, faces.meet(picture).ref));
}

const offered = () => [
  "like",
  "unlike",
  ...(served.info().why && explained() ? ["why"] : []),
  "open",
];

/** The picture that "why?" compares with: the first that is liked. */
const explained = () => {
  const part = question.parts.find(({ weight }) => weight > 0);
  return part && faces.face(part.ref);
};

function act(does, picture) {
  if (does !== "why") return go(weighing(question, picture.id, does === "like" ? 1 : -1));
  const { ref, name } = explained();
  return showWhy(name, picture.name, (signal) => answers.why(ref, picture.id, signal));
}

/** The next page of answers. */
const more = once(async () => {
  if (!page?.more) return;
  const { signal } = stop;
  const [of, asked] = [page, question];
  const added = await busy(answers.goOn(of, asked, served.info().limits, signal));
  if (signal.aborted) return;
  grid.add(added, linked, offered());
  byId("more").hidden = !of.more;
  showCounts();
});

/* Pictures that are given */

/** Ask with files: `how` is "only" them, or also "like" or "unlike" them. */
async function take(files, how) {
  const { signal } = stop;
  const { limits } = await served.ready(signal);
  let next = how === "only" ? { ...NOTHING, folder: question.folder } : question;
  const room = limits.pictures_a_query - next.parts.length;
  say(`Looking at ${files.length === 1 ? files[0].name : counted(files.length, "picture")} …`);
  const taken = await busy(Promise.allSettled(files.slice(0, room).map(async (file) =>
    faces.introduce(await intake.checked(file, limits), file.name || "pasted picture", signal))));
  if (signal.aborted) return;
  for (const { value } of taken) {
    if (value) next = weighing(next, value.ref, how === "unlike" ? -1 : 1);
  }
  if (taken.some(({ value }) => value)) await go(next);
  else if (page) showCounts();
  const failed = taken.find(({ reason }) => reason);
  if (failed) throw failed.reason;
  if (files.length > room) {
    throw new api.Failure(400, `One can ask with ${limits.pictures_a_query} pictures at most.`);
  }
}

/** Ask with a part of a picture in its place. */
function crop(face) {
  return guarded(async () => {
    const whole = face.whole ?? face;
    const part = await choosePart(whole.image, whole.name);
    if (!part) return;
    const { signal } = stop;
    const made = await busy(faces.introducePart(whole, part, signal));
    await go(replacing(question, face.ref, made.ref));
  });
}

/* News of the store */

function hear(info) {
  if (isCutOff()) retry();
  const fresh = served.hear(info);
  byId("news").hidden = !fresh;
  byId("news").textContent = fresh;
  if (fresh && page && !page.pictures.length) renew();
}

function renew() {
  visited.clear();
  served.catchUp();
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
  byId("skip").addEventListener("click", () => grid.focus(grid.place));
  byId("more").addEventListener("click", () => guarded(more));
  byId("others").addEventListener("click", () => show());
  byId("news").addEventListener("click", renew);
  byId("help-button").addEventListener("click", () => opened("help"));
  byId("folder").addEventListener("change", ({ target }) => go({ ...question, folder: target.value }));
  byId("words-form").addEventListener("submit", (event) => {
    event.preventDefault();
    go({ ...question, words: byId("words").value.trim() });
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
    if (event.key === "?") opened("help");
    else if (event.key === "/") wayIn().focus();
    else return;
    event.preventDefault();
  });
}

const wayIn = () => {
  if (!byId("words-form").hidden) return byId("words");
  return byId(isEmpty(question) ? "hero-choose" : "choose");
};

/** `work`, but never twice at a time. */
function once(work) {
  let running = null;
  return () => {
    running ??= work().finally(() => { running = null; });
    return running;
  };
}
