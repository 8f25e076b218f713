// The demo page: sends real requests and shows what comes back.

import { curlLine, glanceLine, pythonFind, pythonShow } from "./lines.js";

const byId = (id) => document.getElementById(id);
// While a section waits for an answer, a screen reader does not read out what it still shows.
const setBusy = (id, isBusy) => byId(id).setAttribute("aria-busy", isBusy);
const buttons = [...document.querySelectorAll("button[data-id]")];
const urls = byId("images").dataset;
const mounts = new Map(
  [...byId("other-mount").options].map((option) => [option.value, option.dataset]),
);

const MEANING = {
  200: "The image’s metadata, and no body.",
  304: "Unchanged since the answer with this ETag.",
  400: "The size is not a whole number of bytes.",
  404: "Missing, deleted or not for this caller: the answer is the same.",
  405: "This address is a list, not an image.",
  409: "The image’s size is not the one that was sent.",
  500: "The stored image cannot be sent; the server’s log says why.",
  503: "The image store is unreachable; try again.",
};

// The image asked for last, and how to send the last request again, for another caller.
let asked = null;
let sendAgain = () => {};
let etag = null;
let turn = 0;
let round = 0;

function callerHeaders() {
  const choice = byId("caller").elements.caller.value;
  const token = choice === "own" ? byId("token").value.trim() : choice;
  return token ? { "X-Auth-Token": token } : {};
}

// "no-store": what is shown is the server's answer, never one from the browser's cache.
function send(method, url, headers) {
  return fetch(url, { method, headers, cache: "no-store" });
}

// Send HEAD for an image, but only once the server says that the answer is no error: the browser
// would log it as an error of the page. An error is shown as the server got it.
async function sendHead(mount, id, url, headers) {
  const query = new URLSearchParams({ mount, id });
  const expected = await (await send("GET", `${urls.answer}?${query}`, headers)).json();
  return expected.status < 400 ? send("HEAD", url, headers) : new Response(null, expected);
}

// fetch() reads each byte of a value as one character; the API writes UTF-8.
function decode(value) {
  try {
    const bytes = Uint8Array.from(value, (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return value;
  }
}

// Ask for an image's metadata and show the answer, unless a later request overtakes it.
async function ask(mountName, id, extra = {}) {
  const mine = ++turn;
  const mount = mounts.get(mountName);
  const headers = { ...callerHeaders(), ...extra };
  const url = new URL(mount.url + encodeURIComponent(id), location.href);
  asked = { mount: mountName, id };
  sendAgain = () => ask(mountName, id);
  mark(mountName, id);
  byId("size-name").textContent = `${mount.prefix}Size`;
  showRequest("HEAD", mount, id, url, headers);
  byId("python").textContent = pythonShow(mount, url.href, headers);
  try {
    const answer = await sendHead(mountName, id, url, headers);
    if (mine !== turn) return;
    showAnswer(mount, answer, MEANING[answer.status]);
    etag = answer.headers.get("ETag");
    byId("repeat").disabled = etag === null;
  } catch (error) {
    if (mine === turn) showFailure(mount, error);
  }
}

// Search for a name as clients do, and show what they get.
async function find(mountName, name) {
  const mine = ++turn;
  const mount = mounts.get(mountName);
  const headers = callerHeaders();
  const url = new URL(`${mount.url}detail?${new URLSearchParams({ name })}`, location.href);
  sendAgain = () => find(mountName, name);
  mark(null);
  showRequest("GET", mount, name, url, headers);
  byId("python").textContent = pythonFind(url.href, headers);
  try {
    const answer = await send("GET", url, headers);
    const body = await answer.text();
    if (mine !== turn) return;
    const found = answer.ok ? JSON.parse(body) : null;
    showAnswer(mount, answer, found ? meaningOf(found.images) : "");
    showFound(mountName, found?.images ?? [], found ? JSON.stringify(found, null, 2) : body);
  } catch (error) {
    if (mine !== turn) return;
    showFailure(mount, error);
    showFound(mountName, [], "");
  }
}

function mark(mountName, id) {
  for (const button of buttons) {
    const isChosen = button.dataset.mount === mountName && button.dataset.id === id;
    button.setAttribute("aria-current", isChosen);
    button.closest("tr").classList.toggle("chosen", isChosen);
  }
}

function showRequest(method, mount, idOrName, url, headers) {
  setBusy("result", true);
  const lines = Object.entries(headers).map((pair) => pair.join(": "));
  byId("request").textContent = [`${method} ${url.pathname}${url.search}`, ...lines].join("\n");
  byId("curl").textContent = curlLine(method, url.href, headers);
  byId("glance").textContent = glanceLine(mount, idOrName, url.href, headers);
  byId("one").hidden = method !== "HEAD";
  byId("several").hidden = method === "HEAD";
  byId("details").hidden = false;
}

function showAnswer(mount, { status, statusText, headers }, meaning = "") {
  showStatus(kindOf(status), `${status} ${statusText}`, meaning);
  showHeaders(mount, headers);
}

function showFailure(mount, error) {
  showStatus("bad", "No answer", error.message);
  showHeaders(mount, []);
}

function kindOf(status) {
  return status === 200 ? "good" : status === 304 ? "same" : "bad";
}

function meaningOf({ length }) {
  if (length === 0) return "No image that this caller may list has this name.";
  if (length === 1) return "A client now sends HEAD for the id that it found.";
  return "Several images have this name: a client asks its user for an id.";
}

function showStatus(kind, status, meaning) {
  const strong = element("strong", status);
  strong.className = kind;
  byId("status").replaceChildren(strong, ` ${meaning}`);
}

function showHeaders(mount, headers) {
  const prefix = mount.prefix.toLowerCase();
  const groups = { core: [], properties: [], http: [] };
  for (const [name, value] of headers) {
    const isProperty = name.startsWith(`${prefix}property-`);
    const group = isProperty ? "properties" : name.startsWith(prefix) ? "core" : "http";
    groups[group].push(element("dt", name), element("dd", decode(value)));
  }
  for (const [id, rows] of Object.entries(groups)) {
    byId(id).replaceChildren(...rows);
    byId(`${id}-count`).textContent = rows.length / 2 || "none";
  }
  setBusy("result", false);
}

function showFound(mountName, images, body) {
  byId("found-count").textContent = images.length || "none";
  byId("found").replaceChildren(...images.map(({ id }) => {
    const item = element("li", "");
    const button = element("button", "Send HEAD");
    button.type = "button";
    button.setAttribute("aria-label", `Send HEAD for ${id}`);
    button.addEventListener("click", () => choose(mountName, id));
    item.append(element("code", id), button);
    return item;
  }));
  byId("body").textContent = body;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

// Fill the last column: what the caller gets for each image of the table.
async function askForAll() {
  const mine = ++round;
  setBusy("images", true);
  const answer = await send("GET", urls.statuses, callerHeaders()).catch(() => null);
  const statuses = answer?.ok ? await answer.json() : {};
  if (mine !== round) return;
  for (const button of buttons) {
    const status = statuses[button.dataset.mount]?.[button.dataset.id] ?? "–";
    const row = button.closest("tr");
    row.classList.toggle("unseen-image", status !== 200);
    const strong = element("strong", status);
    strong.className = kindOf(status);
    row.querySelector(".answer").replaceChildren(strong);
  }
  setBusy("images", false);
}

async function choose(mountName, id) {
  byId("size").value = "";
  await ask(mountName, id);
  goToAnswer();
}

// Go to the answer where it is out of view: below the table, on a phone.
function goToAnswer() {
  const heading = byId("result-heading");
  const { top, bottom } = heading.getBoundingClientRect();
  if (top <= innerHeight && bottom >= 0) return;
  heading.focus({ preventScroll: true });
  heading.scrollIntoView();
}

for (const button of buttons) {
  button.closest("tr").addEventListener("click", () => {
    choose(button.dataset.mount, button.dataset.id);
  });
}

byId("caller").addEventListener("change", () => {
  askForAll();
  sendAgain();
});

byId("caller").addEventListener("submit", (event) => event.preventDefault());

byId("find")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  await find(byId("find-mount").value, byId("find-name").value);
  goToAnswer();
});

byId("other").addEventListener("submit", (event) => {
  event.preventDefault();
  choose(byId("other-mount").value, byId("other-id").value);
});

byId("again").addEventListener("submit", (event) => {
  event.preventDefault();
  const size = byId("size").value.trim();
  ask(asked.mount, asked.id, size ? { [byId("size-name").textContent]: size } : {});
});

byId("repeat").addEventListener("click", () => {
  ask(asked.mount, asked.id, { "If-None-Match": etag });
});

for (const button of document.querySelectorAll("button[data-copies]")) {
  button.addEventListener("click", async () => {
    const lines = byId(button.dataset.copies);
    const { title } = button.dataset;
    try {
      await navigator.clipboard.writeText(lines.textContent);
      byId("copied").textContent = `Copied: ${title}.`;
    } catch { // a page that is neither on this machine nor on HTTPS has no clipboard
      getSelection().selectAllChildren(lines);
      byId("copied").textContent = `Selected, ready to copy: ${title}.`;
    }
  });
}

askForAll();
if (buttons.length) ask(buttons[0].dataset.mount, buttons[0].dataset.id);
