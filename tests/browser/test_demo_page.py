"""The demo page, end to end in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from flask import Flask

from example_app import create_app
from example_app.page import Mount, make_page
from example_app.seed import EXAMPLE_ID
from flask_imagemeta import ImageMeta, ImageMetaSchema

from ..local_server import serve_origin
from ..needs import needs
from ..stores.databases import GLANCE

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}}
DEBIAN_ID = "1f9e3c52-7a5f-4c4e-9a53-6a0e5a2f1b01"
PAYROLL_ID = "3c8e2f95-1d7c-4a8b-9a9f-1e5dac4b8f03"


def choose(page, name):
    page.get_by_role("button", name=name).click()


def ask_for(page, image_id):
    page.get_by_label("Any image id").fill(image_id)
    page.get_by_role("button", name="Send HEAD", exact=True).click()


def find(page, name):
    page.get_by_label("Find by name").fill(name)
    page.get_by_role("button", name="Send GET").click()


def wait_for_answers(page, expect):
    """Wait until the page shows what it asked for: an answer moves what is below it."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def field(page, header):
    """Return the value shown beside a header's name."""
    return page.locator("dt", has_text=re.compile(f"^{re.escape(header)}$")).locator("+ dd")


def test_first_image(page, expect):
    """The page opens with the first image's answer: status, request line and headers."""
    expect(page.locator("#status")).to_contain_text("200 OK")
    expect(page.locator("#request")).to_have_text(f"HEAD /v1/images/{EXAMPLE_ID}")
    expect(field(page, "x-image-meta-size")).to_have_text("4979632")


def test_choosing_sends_head(page, expect):
    """Choosing an image sends a HEAD request for it."""
    with page.expect_response(lambda answer: answer.url.endswith(f"/{DEBIAN_ID}")) as answer:
        choose(page, "Debian 12")
    assert answer.value.request.method == "HEAD"
    assert answer.value.status == 200
    expect(page.get_by_role("button", name="Debian 12")).to_have_attribute("aria-current", "true")


def test_name_is_decoded(page, expect):
    """A name beyond Latin-1 is shown as it was stored."""
    choose(page, "Ubuntu")
    expect(field(page, "x-image-meta-name")).to_have_text("Ubuntu 24.04 (noble) — Größe geprüft ✓")


def test_headers_are_grouped(page, expect):
    """Core fields, properties and the headers of HTTP itself stand in groups of their own."""
    choose(page, "Debian 12")
    properties = page.locator("#properties dt")
    expect(properties).to_have_text(
        [
            f"x-image-meta-property-{name}"
            for name in ("architecture", "hw_disk_bus", "os_distro", "os_version")
        ]
    )
    for name in page.locator("#core dt").all_inner_texts():
        assert name.startswith("x-image-meta-")
    expect(page.locator("#core-count")).to_have_text(str(page.locator("#core dt").count()))
    expect(page.locator("#http dt", has_text="etag")).to_have_count(1)
    for name in page.locator("#http dt").all_inner_texts():
        assert not name.startswith("x-image-meta-")


def test_caller_switch(page, expect):
    """The same image appears for its owner, disappears for others, and comes back for an admin."""
    row = page.locator("tr.image", has_text="payroll appliance").locator(".answer")
    choose(page, "payroll appliance")
    for caller, status in [
        ("anonymous", "404"),
        ("member", "200"),
        ("other", "404"),
        ("admin", "200"),
    ]:
        page.get_by_role("radio", name=caller).check()
        expect(page.locator("#status")).to_contain_text(status)
        expect(row).to_have_text(status)


def test_own_token(page, expect):
    """A token typed in is sent as it is."""
    choose(page, "payroll appliance")
    expect(page.locator("#status")).to_contain_text("404")
    page.get_by_role("radio", name="own token").check()
    page.get_by_label("X-Auth-Token").fill("demo-member")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("200")
    expect(page.locator("#request")).to_contain_text("X-Auth-Token: demo-member")


@pytest.mark.parametrize(
    ("size", "status"), [("1", "409"), ("4979632", "200"), ("several", "400"), ("✓", "No answer")]
)
def test_size_box(page, expect, size, status):
    """The box sends X-Image-Meta-Size: another size is a 409, no number a 400."""
    page.get_by_label("X-Image-Meta-Size").fill(size)
    page.get_by_role("button", name="Send size").click()
    expect(page.locator("#request")).to_contain_text(f"X-Image-Meta-Size: {size}")
    expect(page.locator("#status")).to_contain_text(status)


def test_repeat_is_304(page, expect):
    """A repeat with If-None-Match is answered with 304, and so is a repeat of the repeat."""
    etag = field(page, "etag").inner_text()
    for _ in range(2):
        page.get_by_role("button", name="Repeat").click()
        expect(page.locator("#status")).to_contain_text("304")
        expect(page.locator("#request")).to_contain_text(f"If-None-Match: {etag}")
        expect(page.locator("#core dt")).to_have_count(0)


def test_firmware(page, expect):
    """The second mount's images answer with its own prefix and its own field."""
    choose(page, "Router R2")
    expect(page.locator("#request")).to_have_text("HEAD /firmware/v1/images/router-r2")
    expect(field(page, "x-firmware-meta-release")).to_have_text("2.4.1")
    expect(page.locator("#size-name")).to_have_text("X-Firmware-Meta-Size")
    expect(page.locator("#glance")).to_contain_text("# glance reads")


def test_any_id(page, expect):
    """An id typed in is asked for, whatever characters it has."""
    ask_for(page, "größe/1 & 2")
    expect(page.locator("#status")).to_contain_text("404")
    expect(page.locator("#request")).to_have_text("HEAD /v1/images/gr%C3%B6%C3%9Fe%2F1%20%26%202")


def test_server_gone(page, expect):
    """Where no answer comes, the page says so and shows nothing stale."""
    find(page, "Debian 12 generic amd64")
    expect(page.locator("#found li")).to_have_count(1)
    page.route("**/v1/images/*", lambda route: route.abort())
    find(page, "Debian 12 generic amd64")
    expect(page.locator("#status")).to_contain_text("No answer")
    expect(page.locator("#found li")).to_have_count(0)
    expect(page.locator("#body")).to_be_empty()
    choose(page, "Debian 12")
    expect(page.locator("#status")).to_contain_text("No answer")
    expect(page.locator("dt")).to_have_count(0)


def test_find_by_name(page, expect):
    """A name is searched for in the API's list, and the image found is asked for by its id."""
    with page.expect_response(lambda answer: "/detail?" in answer.url) as answer:
        find(page, "Debian 12 generic amd64")
    assert answer.value.request.method == "GET"
    sent = answer.value.json()
    expect(page.locator("#status")).to_have_text(re.compile("^200 OK A client now sends HEAD"))
    expect(page.locator("#request")).to_have_text(
        "GET /v1/images/detail?name=Debian+12+generic+amd64"
    )
    assert json.loads(page.locator("#body").inner_text()) == sent
    expect(page.locator("#http dt", has_text="content-type")).to_have_count(1)
    expect(page.get_by_label("X-Image-Meta-Size")).to_be_hidden()
    page.get_by_role("button", name=f"Send HEAD for {DEBIAN_ID}").click()
    expect(field(page, "x-image-meta-name")).to_have_text("Debian 12 generic amd64")
    expect(page.locator("#body")).to_be_hidden()


def test_found_for_a_caller(page, expect):
    """A search is repeated for another caller, and finds only what that caller may list."""
    find(page, "payroll appliance")
    for caller, count in [("anonymous", 0), ("member", 1), ("other", 0)]:
        page.get_by_role("radio", name=caller).check()
        expect(page.locator("#found li")).to_have_count(count)
        expect(page.locator("#status")).to_contain_text("client" if count else "No image")


def test_find_at_another_mount(page, expect):
    """Each mount has lists of its own."""
    page.locator("#find-mount").select_option("firmware")
    find(page, "Router R2")
    expect(page.locator("#request")).to_have_text("GET /firmware/v1/images/detail?name=Router+R2")
    expect(page.locator("#body")).to_contain_text('"release": "2.4.1"')


def test_several_images_of_one_name(page, expect):
    """Several images are all shown, with what a client says about them."""
    twins = json.dumps({"images": [{"id": "a", "name": "twin"}, {"id": "b", "name": "twin"}]})
    page.route("**/detail?*", lambda route: route.fulfill(body=twins))
    find(page, "twin")
    expect(page.locator("#found code")).to_have_text(["a", "b"])
    expect(page.locator("#status")).to_contain_text("Several images have this name")


@pytest.mark.parametrize(
    "context", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True
)
def test_copied_lines_work(page, expect):
    """The curl and Python lines, copied and run, get the answer that the page got."""
    if shutil.which("curl") is None:
        needs("curl: apt-get install curl")
    page.get_by_role("radio", name="member").check()
    choose(page, "payroll appliance")
    wait_for_answers(page, expect)
    curl, python = run_copied_lines(page, expect)
    assert "X-Image-Meta-Name: payroll appliance" in curl
    assert "'name': 'payroll appliance'" in python

    find(page, "payroll appliance")
    expect(page.locator("#found li")).to_have_count(1)
    curl, python = run_copied_lines(page, expect)
    assert [image["name"] for image in json.loads(curl)["images"]] == ["payroll appliance"]
    assert python == f"{PAYROLL_ID} payroll appliance\n"


def run_copied_lines(page, expect) -> list[str]:
    """Return what the curl and the Python lines print, copied and run."""
    printed = []
    for title, program in [("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])]:
        page.get_by_role("button", name=f"Copy the {title} lines").click()
        expect(page.locator("#copied")).to_have_text(f"Copied: {title}.")
        copied = page.evaluate("navigator.clipboard.readText()")
        command = [*program, copied]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        printed.append(result.stdout)
    return printed


def test_copy_without_clipboard(page, expect):
    """Where the browser gives no clipboard, Copy selects the lines and says so."""
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error()); }")
    page.get_by_role("button", name="Copy the glance lines").click()
    expect(page.locator("#copied")).to_have_text("Selected, ready to copy: glance.")
    selected = page.evaluate("getSelection().toString()")
    assert selected == page.locator("#glance").inner_text()


def test_lines_follow_the_request(page, expect):
    """The lines carry the caller's token and the headers sent, quoted for their language."""
    page.get_by_role("radio", name="admin").check()
    wait_for_answers(page, expect)
    page.get_by_label("X-Image-Meta-Size").fill("it's 1")
    page.get_by_role("button", name="Send size").click()
    curl = page.locator("#curl")
    expect(curl).to_contain_text("-H 'X-Auth-Token: demo-admin'")
    expect(curl).to_contain_text("-H 'X-Image-Meta-Size: it'\\''s 1'")
    expect(page.locator("#python")).to_contain_text('"X-Image-Meta-Size": "it\'s 1"')


def test_glance_line(page, expect):
    """The glance line names this server, the caller's token and the image."""
    page.get_by_role("radio", name="member").check()
    expect(page.locator("#glance")).to_contain_text("--os-auth-token demo-member")
    expect(page.locator("#glance")).to_contain_text(f"image-show {EXAMPLE_ID}")
    find(page, "payroll appliance")
    expect(page.locator("#glance")).to_contain_text("image-show 'payroll appliance'")


def test_by_keyboard_alone(page, expect):
    """Caller, image, size and repeat are all within reach of the keyboard, focus always shown."""

    def tab_to(locator):
        for _ in range(40):
            page.keyboard.press("Tab")
            ring = page.evaluate(
                """() => {
                  const box = document.activeElement.closest(".choices label");
                  return getComputedStyle(box ?? document.activeElement).outlineStyle;
                }"""
            )
            assert ring == "solid"
            if locator.evaluate("(element) => element === document.activeElement"):
                return
        raise AssertionError("not reached by Tab")

    tab_to(page.get_by_role("radio", name="anonymous"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="member")).to_be_checked()
    tab_to(page.get_by_label("Find by name"))
    page.keyboard.type("payroll appliance")
    page.keyboard.press("Enter")
    expect(page.locator("#found li")).to_have_count(1)
    tab_to(page.get_by_role("button", name="payroll appliance"))
    page.keyboard.press("Enter")
    expect(page.locator("#request")).to_contain_text("X-Auth-Token: demo-member")
    expect(field(page, "x-image-meta-name")).to_have_text("payroll appliance")
    tab_to(page.get_by_label("X-Image-Meta-Size"))
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("409")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("200")
    tab_to(page.get_by_role("button", name="Repeat"))
    page.keyboard.press("Space")
    expect(page.locator("#status")).to_contain_text("304")


@pytest.mark.parametrize("context", [PHONE], indirect=True)
def test_phone_width(page, expect):
    """At 360 pixels nothing is wider than the screen, whatever the answer."""
    for caller, name in [("admin", "Ubuntu"), ("anonymous", "payroll"), ("admin", "AMI")]:
        page.get_by_role("radio", name=caller).check()
        choose(page, name)
        wait_for_answers(page, expect)
        assert_nothing_is_wide(page)
    find(page, "AMI machine image")
    expect(page.locator("#found li")).to_have_count(1)
    assert_nothing_is_wide(page)


def assert_nothing_is_wide(page):
    wide = page.evaluate(
        """() => [...document.body.querySelectorAll("*")]
             .filter((element) => element.getBoundingClientRect().right > innerWidth
                               || element.getBoundingClientRect().left < 0)
             .map((element) => element.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize(
    "context", [{"viewport": {"width": 1280, "height": 700}}], indirect=True, ids=["desktop"]
)
def test_list_stays_in_view(page, expect):
    """On a wide screen the list of images stays in view while the answer scrolls."""
    choose(page, "Debian 12")
    wait_for_answers(page, expect)
    page.locator("#python").scroll_into_view_if_needed()
    expect(page.locator("#python")).to_be_in_viewport()
    expect(page.locator("#images-heading")).to_be_in_viewport()
    expect(page.get_by_role("link", name="Back to the images")).to_be_hidden()


@pytest.mark.parametrize("context", [PHONE], indirect=True)
def test_phone_has_a_way_back(page, expect):
    """On a phone a link leads from any part of the answer back to the list."""
    choose(page, "Debian 12")
    wait_for_answers(page, expect)
    page.locator("#python").scroll_into_view_if_needed()
    back = page.get_by_role("link", name="Back to the images")
    expect(back).to_be_in_viewport()
    back.click()
    expect(page.locator("#images-heading")).to_be_in_viewport()


@pytest.mark.parametrize("context", [PHONE], indirect=True)
def test_phone_shows_the_answer(page, expect):
    """On a phone, where the answer is below the table, choosing or finding an image goes there."""
    heading = page.get_by_role("heading", name="Request and answer")
    for act, name in [(choose, "Debian 12"), (find, "Debian 12 generic amd64")]:
        act(page, name)
        expect(heading).to_be_focused()
        expect(heading).to_be_in_viewport()


def test_no_other_host_and_no_error(context, origin, expect):
    """The page uses its own host only and keeps to its CSP; even hidden images log nothing."""
    page = context.new_page()
    urls, errors = [], []
    page.on("request", lambda request: urls.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.add_init_script(
        """document.addEventListener("securitypolicyviolation",
             (event) => console.error(event.violatedDirective));"""
    )
    page.goto(origin)
    row = page.locator("tr.image", has_text="payroll appliance").locator(".answer")
    expect(row).to_have_text("404")
    for act, name, status in [
        (choose, "payroll appliance", "404"),
        (ask_for, PAYROLL_ID, "404"),
        (find, "payroll appliance", "200"),
        (choose, "Debian 12", "200"),
    ]:
        act(page, name)
        expect(page.locator("#status strong")).to_contain_text(status)
    page.get_by_label("X-Image-Meta-Size").fill("1")
    page.get_by_role("button", name="Send size").click()
    expect(page.locator("#status")).to_contain_text("409")
    page.get_by_role("button", name="Copy the curl lines").click()
    expect(page.locator("#copied")).not_to_be_empty()
    assert {url for url in urls if not url.startswith(f"{origin}/")} == set()
    assert len(urls) > 5
    assert errors == []


def test_inline_script_is_refused(page):
    """The policy is in force: a script written into the page does not run."""
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.wasRun = true";
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.wasRun") is None


@pytest.mark.parametrize(
    "context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=str
)
def test_contrast(page, expect, request):
    """Every text, in light and dark, has the contrast that WCAG 2 asks of small text: 4.5."""
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(numbers(ground)) < 0.2) is is_dark
    texts = []
    for act, name, shown in [
        (choose, "payroll appliance", "404 NOT FOUND"),
        (choose, "Debian 12", "200 OK The image"),
        (find, "Debian 12 generic amd64", "200 OK A client now"),
    ]:
        act(page, name)
        expect(page.locator("#status")).to_contain_text(shown)
        texts += read_colors(page)
    assert len(texts) > 240
    low = [text for text in texts if contrast(numbers(text[1]), numbers(text[2])) < 4.5]
    assert low == []


def read_colors(page):
    """Return the markup, color and background of every element that shows text."""
    return page.evaluate(
        """() => {
          const seen = [];
          for (const element of document.body.querySelectorAll("*")) {
            const hasText = [...element.childNodes].some((node) =>
              node.nodeType === Node.TEXT_NODE && node.data.trim());
            if (!hasText || !element.checkVisibility() || element.matches(":disabled")) continue;
            let behind = element;
            const colorOf = (of) => getComputedStyle(of).backgroundColor;
            while (colorOf(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
            seen.push([element.outerHTML.slice(0, 60), getComputedStyle(element).color,
                       colorOf(behind)]);
          }
          return seen;
        }"""
    )


def numbers(color: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", color)]


def luminance(rgb: list[int]) -> float:
    """Return the relative luminance of an sRGB colour, as WCAG 2 defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (number / 255 for number in rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[int], other: list[int]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_a_glances_callers(context, expect):
    """With a Glance behind it, the page lists the Glance's images and offers their callers."""
    app = create_app({"SQLALCHEMY_DATABASE_URI": "sqlite://", "GLANCE_DATABASE_URL": GLANCE})
    with serve_origin(app) as origin:
        page = context.new_page()
        page.goto(origin)
        shared = page.locator("tr.image", has=page.get_by_role("button", name="hidden"))
        expect(shared.locator(".answer")).to_have_text("404")
        page.get_by_role("radio", name="member projB").check()
        expect(shared.locator(".answer")).to_have_text("200")
        choose(page, "hidden")
        expect(page.locator("#request")).to_contain_text("X-Auth-Token: projB")
        expect(field(page, "x-image-meta-owner")).to_have_text("projA")


def test_store_that_cannot_be_listed(context, expect):
    """Without lists the page says so, and an image is asked for by its id alone."""
    app = Flask("example_app")
    image = {"id": "i-1", "name": "only by id", "status": "active"}
    ImageMeta(app, lookup={"i-1": image}.get)
    app.register_blueprint(make_page(Mount("Images", "imagemeta", ImageMetaSchema, tuple)))
    with serve_origin(app) as origin:
        page = context.new_page()
        page.goto(origin)
        expect(page.get_by_role("table")).to_contain_text("cannot be listed")
        expect(page.get_by_label("Find by name")).to_have_count(0)
        page.get_by_label("Any image id").fill("i-1")
        page.keyboard.press("Enter")
        expect(page.locator("#status")).to_contain_text("200")
        expect(field(page, "x-image-meta-name")).to_have_text("only by id")
