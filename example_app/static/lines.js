// The same request from elsewhere: lines to copy into a shell or a Python program.

export function curlLine(method, url, headers) {
  const options = Object.entries(headers).map((pair) => ` -H ${quote(pair.join(": "))}`);
  return `curl${method === "HEAD" ? " -I" : ""}${options.join("")} ${quote(url)}`;
}

// glance takes an id or a name.
export function glanceLine(mount, idOrName, url, headers) {
  const { "X-Auth-Token": token, ...extra } = headers;
  const [endpoint, rest] = url.split("/v1/images/");
  if (mount.prefix !== "X-Image-Meta-" || !rest || Object.keys(extra).length) {
    return "# glance reads X-Image-Meta-* below /v1 and sends neither of the two headers";
  }
  return `glance --os-image-url ${quote(endpoint)} \\
  --os-auth-token ${quote(token ?? "none")} \\
  --os-image-api-version 1 image-show ${quote(idOrName)}`;
}

export function pythonShow(mount, url, headers) {
  return `from urllib.request import Request, urlopen

from ${mount.package} import ${mount.schema}

url = ${JSON.stringify(url)}
request = Request(url, method="HEAD", headers=${dict(headers)})
with urlopen(request) as answer:
    print(${mount.schema}().load(answer.headers))`;
}

export function pythonFind(url, headers) {
  return `import json
from urllib.request import Request, urlopen

url = ${JSON.stringify(url)}
with urlopen(Request(url, headers=${dict(headers)})) as answer:
    for image in json.load(answer)["images"]:
        print(image["id"], image["name"])`;
}

// Return text as one word for a POSIX shell.
function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function dict(headers) {
  const items = Object.entries(headers).map((pair) => pair.map((text) => JSON.stringify(text)));
  return `{${items.map((item) => item.join(": ")).join(", ")}}`;
}
