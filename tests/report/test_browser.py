"""What a user sees in a browser: the report of a real sweep, and TensorBoard on it; in a headless Chromium."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gridstorm.archive.board import link
from gridstorm.report.board import address
from house import ROOT
from tensorboard_server import tensorboard

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SHOTS = os.environ.get("GRIDSTORM_SHOTS")  # a folder for pictures of what was seen, to be looked at
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and find_spec("playwright")), reason="no Chromium or playwright: ci/browser"),
]
SWEEP = ["-m", "optimizer=adam,sgd", "optimizer.lr=0.001,0.01,0.1,1e25", "model.width=8,64", "sweep.repeats=5",
         "trainer.max_epochs=8", "pruner=asha", "sweep.name=three", 'note="<b>which</b> optimizer"']  # fmt: skip

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a sweep of three keys, one of them a group, with five seeds: some failed, some were pruned."""
    folder = tmp_path_factory.mktemp("browser")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for words in (["train.py", *SWEEP], ["report", "outputs/three"]):
        program = [str(ROOT / "train.py")] if words[0] == "train.py" else ["-m", "gridstorm", "report"]
        done = subprocess.run([sys.executable, *program, *words[1:]], cwd=folder, env=environment, capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
    return folder / "outputs/three"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Return a function that opens an address; what the page complains of fails the test."""
    said: list[str] = []
    contexts = []

    def one(address: str, width: int = 1280, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        if address.startswith("file:"):
            page.on("console", lambda message: said.append(message.text))
            page.on("request", lambda request: said.append(request.url) if request.url != address else None)
        page.goto(address)
        return page

    yield one
    for context in contexts:
        context.close()
    assert not said


def kept(page: Any, name: str) -> None:
    """Keep a picture of the page, where one was asked for."""
    if SHOTS:
        page.wait_for_timeout(1000)  # until what is drawn in steps stands
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_fits_its_window_and_has_the_colors_that_are_asked_for(
    swept: Path, opened: Open, width: int, scheme: str
) -> None:
    page = opened(f"file://{swept}/report.html", width, color_scheme=scheme)
    kept(page, f"report-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    red = int(re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
    assert (red > 200) == (scheme == "light")
    headings = page.locator("h2").all_inner_texts()
    assert headings[:4] == ["The best", "What each key does", "How they went", "All of it"]
    assert page.locator(".lead").first.inner_text().startswith("Best: optimizer=")
    assert page.locator("path.f").count() > 0 and page.locator("circle.b").count() >= 3


def test_no_label_lies_on_another_one(swept: Path, opened: Open) -> None:
    page = opened(f"file://{swept}/report.html")
    overlapping = page.evaluate("""() => [...document.querySelectorAll(".grid svg")].flatMap((picture) => {
      const boxes = [...picture.querySelectorAll("text")].map((one) => [one.textContent, one.getBoundingClientRect()]);
      return boxes.flatMap(([one, a], n) => boxes.slice(n + 1).filter(([, b]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4)
        .map(([other]) => `${one} on ${other}`));
    })""")
    assert not overlapping


def test_pointing_at_a_mark_lights_up_its_setting_everywhere_and_a_click_keeps_it(swept: Path, opened: Open) -> None:
    page = opened(f"file://{swept}/report.html")
    lit = page.locator(".lit")
    assert lit.count() == 0
    page.locator("svg circle.b").first.hover()
    assert "optimizer=" in page.locator("#told").inner_text() and lit.count() >= 6
    assert set(lit.evaluate_all("all => all.map((one) => one.dataset.t)")) == {"0"}
    page.locator("svg circle.b").first.click()
    page.mouse.move(5, 5)
    assert lit.count() >= 6
    page.keyboard.press("Escape")
    assert lit.count() == 0


def test_a_report_is_used_with_the_keyboard_alone(swept: Path, opened: Open) -> None:
    page = opened(f"file://{swept}/report.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TR" and page.locator(".lit").count() >= 6
    first = page.locator("#told").inner_text()
    while page.evaluate("document.activeElement.tagName") == "TR":
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "hide" and page.locator("#told").inner_text() != ""
    assert page.locator("path.f").first.is_visible()
    page.keyboard.press("Space")
    assert not page.locator("path.f").first.is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.locator("#told").inner_text() != first or page.locator("details[open] tr.lit").count() == 1


def test_dragging_along_an_axis_chooses_the_settings_that_pass_there(swept: Path, opened: Open) -> None:
    page = opened(f"file://{swept}/report.html")
    handle = page.locator(".ax").last.locator("rect").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 14, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + 14, box["y"] + box["height"] - 2)
    page.mouse.up()
    chosen = page.locator("path.q.lit").count()
    assert 0 < chosen < page.locator("path.q").count()
    assert page.locator("#told").inner_text().startswith(f"{chosen} setting") or chosen == 1


def test_a_report_is_read_without_its_script_and_on_paper(swept: Path, opened: Open) -> None:
    page = opened(f"file://{swept}/report.html", java_script_enabled=False)
    assert (
        page.locator("circle[data-t]").count() >= 3 * page.locator("path.q").count() > 0
        and page.locator("#told").inner_text() == ""
    )
    page.emulate_media(media="print")
    assert not page.locator("#switch").is_visible() and not page.locator("#told").is_visible()
    assert page.locator("circle.b").first.is_visible()
    if SHOTS:
        page.pdf(path=f"{SHOTS}/report.pdf", format="A4")


def test_what_a_user_wrote_is_shown_and_not_run(swept: Path, opened: Open) -> None:
    page = opened(f"file://{swept}/report.html")
    assert page.locator("b", has_text="which").count() == 0
    assert "<b>which</b> optimizer" in page.inner_text("body")


def test_tensorboard_shows_the_answer_and_what_each_key_does(swept: Path, opened: Open) -> None:
    with tensorboard(swept.parent) as server:
        page = opened(address(swept).replace("http://localhost:6006/", server.url))
        page.get_by_text("Best: optimizer").first.wait_for()
        kept(page, "tensorboard-text")
        page = opened(address(swept).replace("http://localhost:6006/", server.url).replace("#text", "#images"))
        picture = page.locator("tf-image-loader img").first
        picture.wait_for()
        assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") > 300
        assert {"by/optimizer", "by/optimizer.lr", "by/model.width"} <= set(
            server.get("data/plugin/images/tags")["three"]
        )
        kept(page, "tensorboard-images")


def test_the_link_of_board_pins_validation_without_smoothing(swept: Path, opened: Open) -> None:
    with tensorboard(swept) as server:
        _, address = link(swept)
        page = opened(address.replace("http://localhost:6006/", server.url))
        pinned = page.locator("metrics-pinned-view card-view")
        pinned.first.wait_for()
        assert "val/loss" in pinned.first.inner_text().replace("\n", "")
        kept(page, "tensorboard-timeseries")
