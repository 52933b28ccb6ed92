"""The page of a real run, in a real browser: it opens without a network, filters, tells of a cell, prints, and is read
on a phone and in the dark.

``tox -e browser`` brings Playwright; Chromium comes from the system (``apt-get install chromium``), from
``python -m playwright install chromium``, or from where PORTAX_BROWSER says. With PORTAX_SCREENSHOT=FILE the picture
of the documentation is taken anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.browser

#: The processor through XLA, with plausible bugs: two functions in bfloat16, one rounding mode for another, a signed
#: shift taken for an unsigned one, one operation that aborts and one that has no end.
DRIVER = """
import os, re, time
from portax.backend import hookimpl
from portax_cpu.backend import CPUBackend

def narrow(match):
    name, operation, x, shape = match.groups()
    wide, half = f"tensor<{shape}f32>", f"tensor<{shape}bf16>"
    return (
        f"%a{name} = stablehlo.convert {x} : ({wide}) -> {half}\\n%b{name} = stablehlo.{operation} %a{name} : {half}\\n"
        f"%{name} = stablehlo.convert %b{name} : ({half}) -> {wide}"
    )

class SloppyBackend(CPUBackend):
    def __init__(self, options):
        super().__init__(options)
        self.name = "sloppy"
        for device in self._devices:
            device.platform = "sloppy"

    def compile(self, program, options, devices):
        if "stablehlo.atan2" in program:
            os.abort()
        if "stablehlo.cbrt" in program and "bf16" in program:
            time.sleep(600)
        program = re.sub(r"%(\\w+) = stablehlo\\.(cosine|logistic) (%\\w+) : tensor<([\\dx]*)f32>", narrow, program)
        program = program.replace("stablehlo.shift_right_arithmetic", "stablehlo.shift_right_logical")
        program = program.replace("stablehlo.floor", "stablehlo.round_nearest_even")
        return super().compile(program, options, devices)

@hookimpl
def portax_register_backend(register):
    register("sloppy", SloppyBackend)
"""
FILES = {
    "portax_sloppy/__init__.py": DRIVER,
    "portax_sloppy/portax_backend.toml": 'name = "sloppy"\ninterface = ["1.0", "1.0"]\nopset = [1, 1]\npriority = 1\n',
    "portax_sloppy/portax_gaps.toml": (
        '[[gap]]\ncase = "floor/matrix/float64/value"\nreason = "float64 is rounded to nearest"\nlink = "https://example.org/12"\n'
    ),
    "portax_sloppy-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: portax-sloppy\nVersion: 1.0\n",
    "portax_sloppy-1.0.dist-info/entry_points.txt": "[portax.backends]\nsloppy = portax_sloppy\n",
}
#: Cases of some of everything; the picture has more of them.
FEW = (
    "open/*", "co*/value", "co*/exact", "logistic/*/value", "floor/*/value", "cbrt/vector/*/value",
    "atan*/vector/*/value", "shift_right*/value",
)  # fmt: skip
MANY = (*FEW, "exp*/exact", "log/*/exact", "sin/*/exact", "tanh/*/exact", "erf/*/exact", "sqrt/*/exact")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PICTURE = os.environ.get("PORTAX_SCREENSHOT")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of a run on the faulty driver and on the reference device."""
    folder = tmp_path_factory.mktemp("run")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    only = [part for pattern in (MANY if PICTURE else FEW) for part in ("--only", pattern)]
    subprocess.run(
        [sys.executable, "-m", "portax_conformance", "run", "--backend", "sloppy,reference", "--full", "--level", "L1",
         "--limit", "60", "--report", str(folder / "out"), *only],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))},
        cwd=folder, check=False, timeout=3000,
    )  # fmt: skip
    return folder / "out" / "report.html"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    known = (os.environ.get("PORTAX_BROWSER"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=next(filter(None, known), None), args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser, file):
    """Opens the page; what it asks for, and what goes wrong in it, fails the test."""
    contexts, asked, wrong = [], [], []

    def opened(width=1280, height=900, at="", **given):
        context = browser.new_context(viewport={"width": width, "height": height}, **given)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(file.as_uri() + at)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong and {url.partition("#")[0] for url in asked} == {file.as_uri()}


def cell(page, primitive, dtype, backend="sloppy"):
    """A cell of a map."""
    table = page.locator(f"table.map[data-b={backend}]")
    columns = table.locator("thead th").all_text_contents()
    return table.locator(f"tr[data-p={primitive}] > *").nth(columns.index(dtype))


def shown(page):
    """The primitives whose rows are seen."""
    return set(page.locator("table.map tbody tr:visible th").all_text_contents())


def test_the_page_opens_with_the_verdicts(open_page):
    page = open_page()
    headlines = [text.split(maxsplit=1)[1] for text in page.locator("h1").all_text_contents()]
    assert headlines == ["sloppy fails", "reference passes a part"]
    assert "sloppy fails" in page.title()
    assert page.locator("#shown").text_content().endswith(f"of {len(shown(page))} primitives")


def test_primitives_are_filtered_by_name_and_the_address_keeps_it(open_page):
    page = open_page()
    page.fill("#find", "cos")
    assert shown(page) == {"cos", "cosh"} and page.locator("#shown").text_content().startswith("2 of ")
    assert set(page.locator("#failures .failure:visible").evaluate_all("all => all.map(f => f.dataset.p)")) == {"cos"}
    assert set(page.locator(".histograms li:visible b").all_text_contents()) == {"cos", "cosh"}
    again = open_page(at="#" + page.url.partition("#")[2])
    assert again.input_value("#find") == "cos" and shown(again) == {"cos", "cosh"}
    page.fill("#find", "no such")
    assert shown(page) == set() and page.locator(".nothing:visible").count() == 2


def test_primitives_are_filtered_by_outcome(open_page):
    page = open_page()
    page.click(".chip[data-o=crashed]")
    assert shown(page) == {"atan2"} and page.get_attribute(".chip[data-o=crashed]", "aria-pressed") == "true"
    page.click(".chip[data-o=timed-out]")
    assert shown(page) == {"atan2", "cbrt"}
    page.click(".chip[data-o=crashed]")
    page.click(".chip[data-o=timed-out]")
    assert {"cos", "floor"} < shown(page)


def test_one_backend_is_shown_alone(open_page):
    page = open_page()
    page.select_option("#backend", "reference")
    assert page.locator("table.map:visible").count() == 1
    assert page.locator("#failures .failure:visible").count() == 0


def test_pointing_at_a_cell_shows_how_far_off_it_is(open_page):
    page = open_page()
    cell(page, "cos", "float32").hover()
    said = page.locator("#tip").text_content()
    assert said.startswith("cos float32\n") and " fail" in said and "ULP allowed" in said
    cell(page, "cos", "float64").hover()
    assert "farthest" in page.locator("#tip").text_content() and "fail" not in page.locator("#tip").text_content()


def test_a_click_shows_the_failures_of_a_cell(open_page):
    page = open_page()
    cell(page, "cos", "float32").click()
    dialog = page.locator("dialog")
    assert dialog.is_visible() and dialog.locator("h2").text_content() == "cos float32 on sloppy"
    first = dialog.locator(".failure").first
    text = first.inner_text()
    for words in (
        "units in the last place",
        "expected",
        "got",
        "operands",
        "portax-conformance run --backend sloppy --only 'cos/",
    ):
        assert words in text
    assert first.locator("button.copy").is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    cell(page, "atan2", "float32").click()
    assert "SIGABRT" in dialog.inner_text()


def test_cells_are_reached_by_keys(open_page):
    page = open_page()
    cell(page, "cos", "float32").click()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("dialog h2").text_content() == "cos float64 on sloppy"
    assert page.locator("table.map[data-b=sloppy] td[tabindex]").count() == 1


def test_a_failure_has_an_address(open_page):
    page = open_page(at="#f2")
    assert page.locator("#f2").get_attribute("open") is not None and page.locator("#f2").is_visible()


def test_on_paper_everything_is_open(open_page, tmp_path):
    page = open_page()
    page.evaluate("""
        addEventListener("beforeprint", () => {
          window.closedOnes = document.querySelectorAll("main details:not([open])").length;
        })
    """)
    printed = page.pdf(format="A4")
    (tmp_path / "report.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    assert page.evaluate("window.closedOnes") == 0
    assert page.locator("main details[open]").count() == 0
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator(".tools").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_on_a_phone_nothing_runs_over_the_edge(open_page):
    page = open_page(390, 844, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cell(page, "cos", "float32").tap()
    assert page.locator("dialog").is_visible()
    box = page.locator("dialog").bounding_box()
    assert box["width"] <= 390 and box["y"] + box["height"] >= 840
    page.locator("dialog form button").tap()
    page.locator("#failures summary").first.tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


#: How much the text of elements stands out from what is behind it, by kind of element (WCAG 2, contrast ratio).
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const kinds = "body, .note, .stamp dt, .legend i, .map td[class], .badge, .chip b, .histograms small";
  const found = {};
  for (const e of document.querySelectorAll(kinds)) {
    let ground = e;
    while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    const [a, b] = [light(getComputedStyle(e).color), light(getComputedStyle(ground).backgroundColor)];
    found[`${e.tagName} ${e.className}`] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_in_the_dark(open_page, scheme):
    page = open_page(color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark")
    found = page.evaluate(CONTRAST)
    assert len(found) > 10 and {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}


def test_without_its_script_the_page_is_whole(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("table.map tbody tr:visible").count() > 10
    page.locator("#failures summary").first.click()
    assert "portax-conformance run" in page.locator("#failures .failure").first.inner_text()


def test_a_picture_is_taken(open_page, tmp_path):
    page = open_page(1360, 1320, color_scheme="light")
    target = PICTURE or str(tmp_path / "report.png")
    found = cell(page, "cos", "float32")
    found.evaluate("c => { c.closest('.box').scrollTop = c.parentElement.offsetTop - 230 }")
    page.wait_for_timeout(1000)  # what scrolls hides the tip
    box = found.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#tip").is_visible() and page.evaluate("scrollY") == 0
    page.screenshot(path=target)
    assert os.path.getsize(target) > 10_000
