// The demo page: sends real HEAD requests and shows what comes back.

const byId = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("button[data-id]")];
const mounts = new Map(
  [...byId("other-mount").options].map((option) => [option.value, option.dataset]),
);

const MEANING = {
  200: "The image’s metadata, and no body.",
  304: "Unchanged since the answer with this ETag.",
  400: "The size is not a whole number of bytes.",
  404: "Missing, deleted or not for this caller: the answer is the same.",
  409: "The image’s size is not the one that was sent.",
  500: "The stored image cannot be sent; the server’s log says why.",
  503: "The image store is out of reach; try again.",
};

// What was asked last: a mount, an image's id, and the headers sent beside the token.
let asked = null;
let etag = null;
let turn = 0;
let round = 0;

function callerHeaders() {
  const choice = byId("caller").elements.caller.value;
  const token = choice === "own" ? byId("token").value.trim() : choice;
  return token ? { "X-Auth-Token": token } : {};
}

// "no-store": what is shown is the server's answer, never one from the browser's cache.
function sendHead(url, headers) {
  return fetch(url, { method: "HEAD", headers, cache: "no-store" });
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

// Send what is asked and show the answer, unless a later one overtakes it.
async function ask(mountName, id, extra = {}) {
  const mine = ++turn;
  const mount = mounts.get(mountName);
  const headers = { ...callerHeaders(), ...extra };
  asked = { mount: mountName, id };
  mark(mountName, id);
  try {
    const url = mount.url + encodeURIComponent(id);
    showRequest(mount, id, new URL(url, location.href), headers);
    const answer = await sendHead(url, headers);
    if (mine === turn) showAnswer(mount, answer);
  } catch (error) {
    if (mine !== turn) return;
    showStatus("bad", "No answer", error.message);
    showHeaders(mount, []);
  }
}

function mark(mountName, id) {
  for (const button of buttons) {
    const isChosen = button.dataset.mount === mountName && button.dataset.id === id;
    button.setAttribute("aria-current", isChosen);
    button.closest("tr").classList.toggle("chosen", isChosen);
  }
}

function showRequest(mount, id, url, headers) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  byId("request").textContent = [`HEAD ${url.pathname}`, ...lines].join("\n");
  byId("size-name").textContent = `${mount.prefix}Size`;
  showLines(mount, id, url.href, headers);
  byId("details").hidden = false;
}

function showAnswer(mount, answer) {
  const { status, statusText } = answer;
  showStatus(kindOf(status), `${status} ${statusText}`, MEANING[status] ?? "");
  etag = answer.headers.get("ETag");
  byId("repeat").disabled = etag === null;
  showHeaders(mount, answer.headers);
}

function kindOf(status) {
  return status === 200 ? "good" : status === 304 ? "same" : "bad";
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
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function showLines(mount, id, url, headers) {
  const { "X-Auth-Token": token, ...extra } = headers;
  const pairs = Object.entries(headers);
  const options = pairs.map(([name, value]) => ` -H ${quote(`${name}: ${value}`)}`);
  byId("curl").textContent = `curl -I${options.join("")} ${quote(url)}`;

  const [endpoint, rest] = url.split("/v1/images/");
  const hasGlance = mount.prefix === "X-Image-Meta-" && rest && !Object.keys(extra).length;
  byId("glance").textContent = hasGlance
    ? `glance --os-image-url ${quote(endpoint)} \\
  --os-auth-token ${quote(token ?? "none")} \\
  --os-image-api-version 1 image-show ${quote(id)}`
    : "# glance reads X-Image-Meta-* below /v1 and sends neither of the two headers";

  const dict = pairs.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  byId("python").textContent = `from urllib.request import Request, urlopen

from ${mount.package} import ${mount.schema}

url = ${JSON.stringify(url)}
request = Request(url, method="HEAD", headers={${dict.join(", ")}})
with urlopen(request) as answer:
    print(${mount.schema}().load(answer.headers))`;
}

// Return text as one word for a POSIX shell.
function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

// Fill the last column: what the caller gets for each image that is listed.
async function askForAll() {
  const mine = ++round;
  const headers = callerHeaders();
  await Promise.allSettled(
    buttons.map(async (button) => {
      const { mount, id } = button.dataset;
      const { status } = await sendHead(mounts.get(mount).url + encodeURIComponent(id), headers);
      if (mine !== round) return;
      const row = button.closest("tr");
      row.classList.toggle("unseen-image", status !== 200);
      const strong = element("strong", status);
      strong.className = kindOf(status);
      row.querySelector(".answer").replaceChildren(strong);
    }),
  );
}

async function choose(mountName, id) {
  byId("size").value = "";
  await ask(mountName, id);
  const heading = byId("result-heading");
  if (heading.getBoundingClientRect().top > innerHeight) heading.focus(); // below, on a phone
}

for (const button of buttons) {
  button.closest("tr").addEventListener("click", () => {
    choose(button.dataset.mount, button.dataset.id);
  });
}

byId("caller").addEventListener("change", () => {
  askForAll();
  if (asked) ask(asked.mount, asked.id);
});

byId("caller").addEventListener("submit", (event) => event.preventDefault());

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
