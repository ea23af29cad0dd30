"""The dashboard as a person has it: served, in a real headless Chromium, with no request to anywhere but itself.

Run by `make test-browser`, as it takes minutes; skipped where no Chromium or no Playwright is installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")

from benchmarks.browser import Browser, browser, chromium, free_port, idle, served

if not os.environ.get("FLOODMARK_BROWSER"):
    pytest.skip("minutes of a real browser: make test-browser runs them", allow_module_level=True)
if chromium() is None:
    pytest.skip("no Chromium with Playwright on this machine", allow_module_level=True)

WAIT = 60_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with served() as address, browser(address) as open_:
        yield open_
        assert open_.strangers == [], "the page asked for something off this machine"
        assert open_.complaints == []


@pytest.fixture
def page(opened: Browser) -> Iterator[Any]:
    made = opened.page()
    made.set_default_timeout(WAIT)
    yield made
    made.context.close()


def whole(page: Any) -> None:
    """Until the whole forecast stands on the page."""
    page.get_by_text("whole forecast: both intervals").first.wait_for()
    idle(page)


def verdict(page: Any) -> str:
    return str(page.locator(".fm-verdict").first.inner_text())


def changed(page: Any, action: Any) -> None:
    """Do something, and wait until the main numbers differ."""
    numbers = "[...document.querySelectorAll('.fm-tile,.fm-verdict,.fm td')].map(t => t.textContent).join()"
    before = page.evaluate(numbers)
    action()
    page.wait_for_function(f"before => {numbers} !== before", arg=before)
    idle(page)


def slider(page: Any, label: str) -> Any:
    return page.get_by_test_id("stSlider").filter(has=page.get_by_text(label, exact=True)).locator("input")


def unfold(page: Any, group: str) -> None:
    page.locator(f".st-key-group-{group} summary").click()
    page.locator(f".st-key-group-{group} [data-testid=stWidgetLabel]").first.wait_for()
    idle(page)


def test_it_opens_on_the_example_and_the_intervals_follow_by_themselves(page: Any) -> None:
    assert "targets" in verdict(page) and "USD a month" in verdict(page)
    whole(page)
    tile = page.locator(".fm-tile").first
    assert re.search(r"to .* s", tile.locator(".beside").inner_text()), "the forecast interval stands beside"
    assert page.locator(".js-plotly-plot").count() == 2


def test_a_number_shows_its_source_when_hovered_and_when_focused(page: Any) -> None:
    tile = page.locator(".fm-tile").first
    shown = "e => getComputedStyle(e, '::after').content"
    assert tile.evaluate(shown) == "none"
    tile.hover()
    assert "rests on coefficients" in tile.evaluate(shown)
    page.mouse.move(0, 0)
    page.locator(".fm-tile").nth(1).focus()
    page.keyboard.press("Shift+Tab")
    assert "rests on coefficients" in tile.evaluate(shown)


def test_the_keyboard_moves_a_slider_and_keeps_its_focus(page: Any) -> None:
    thumb = slider(page, "rate")
    thumb.focus()
    changed(page, lambda: page.keyboard.press("ArrowRight"))
    changed(page, lambda: page.keyboard.press("ArrowRight"))
    assert thumb.evaluate("e => e === document.activeElement")
    assert page.get_by_test_id("stSliderThumbValue").first.inner_text() == "4k/s"


def test_a_beside_b(page: Any) -> None:
    page.get_by_role("button", name="Compare with a variant B").click()
    page.get_by_text("B is still equal to A").wait_for()
    slider(page, "rate").focus()
    changed(page, lambda: page.keyboard.press("ArrowLeft"))
    row = page.locator("tr", has_text="USD a month").first
    assert re.search(r"−\d", row.locator("td").last.inner_text()), "less load costs less"
    assert page.locator(".fm-verdict").count() == 2
    page.get_by_role("button", name="Drop B").click()
    page.locator(".fm-tile").first.wait_for()


def test_save_load_and_share(page: Any, opened: Browser, tmp_path: Path) -> None:
    slider(page, "rate").focus()
    changed(page, lambda: page.keyboard.press("ArrowRight"))
    told = verdict(page)
    page.get_by_role("button", name="Save").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download YAML").click()
    file = tmp_path / "saved.yaml"
    saved.value.save_as(file)
    assert "rate: 3000.0" in file.read_text(encoding="utf-8")
    page.get_by_role("button", name="Make a link").click()
    page.wait_for_url(re.compile(r"\?a=[\w-]+"))
    other = opened.page(page.url.removeprefix(opened.address))
    assert verdict(other).split(";")[0] == told.split(";")[0] or "targets" in verdict(other)
    assert other.get_by_test_id("stSliderThumbValue").first.inner_text() == "3k/s"
    other.get_by_role("button", name="Open").click()
    other.get_by_role("button", name="Example: lab").click()
    other.get_by_text("Kafka 4.1.0, Spark 4.1.1").wait_for()
    if not other.locator("input[type=file]").count():
        other.get_by_role("button", name="Open").click()
    other.locator("input[type=file]").set_input_files(file)
    other.get_by_text("Web shop events").wait_for()
    assert other.get_by_test_id("stSliderThumbValue").first.inner_text() == "3k/s"
    other.context.close()


def test_bad_yaml_is_said_in_our_words_and_changes_nothing(page: Any) -> None:
    before = verdict(page).split(";")[1]
    page.get_by_role("button", name="Edit as text").click()
    box = page.get_by_test_id("stDialog")
    box.get_by_role("textbox").fill("name: x\nflows:\n- workload: {rate: 5k/s, size: big}\n")
    box.get_by_role("button", name="Use this text").click()
    box.get_by_text("workload.size = 'big'; expected a quantity such as '8 GiB' or '800 B'").wait_for()
    box.get_by_text("query is missing").wait_for()
    page.keyboard.press("Escape")
    idle(page)
    assert verdict(page).split(";")[1] == before


def test_cancel_ends_the_process(page: Any, opened: Browser) -> None:
    page.get_by_role("button", name="Edit as text").click()
    box = page.get_by_test_id("stDialog")
    box.get_by_role("textbox").wait_for()
    text = box.get_by_role("textbox").input_value().replace("repeats: 4", "repeats: 900")
    box.get_by_role("textbox").fill(text)
    box.get_by_role("button", name="Use this text").click()
    page.get_by_role("button", name="Cancel").wait_for()
    page.get_by_text(re.compile("simulating")).wait_for()
    until = time.monotonic() + 20
    while not (before := children_at_work()) and time.monotonic() < until:
        time.sleep(0.1)
    assert before, "a child is at work"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Whole forecast").wait_for()
    assert not before & children_at_work(), "the child is gone, and not only its bar"


def children_at_work() -> set[int]:
    """Processes of this test's server that were forked from the one that prepares children."""
    out = subprocess.run(["ps", "-eww", "-o", "pid,ppid,stat,args"], capture_output=True, text=True, check=True).stdout
    rows = {int(r[0]): (int(r[1]), r[2], r[3]) for r in (line.split(None, 3) for line in out.splitlines()[1:])}
    found = set()
    for pid, (parent, state, _) in rows.items():
        nursery = parent in rows and "multiprocessing.forkserver" in rows[parent][2]
        if nursery and "Z" not in state and os.getpid() in _parents(rows, pid):
            found.add(pid)
    return found


def _parents(rows: dict[int, tuple[int, str, str]], pid: int) -> set[int]:
    found = set()
    while pid in rows and pid not in found:
        found.add(pid)
        pid = rows[pid][0]
    return found


def test_every_first_control_moves_once_without_an_error(page: Any) -> None:
    """Each slider and number of each group, one after another: the page answers or says what is wrong."""
    for group in ("Kafka", "Spark", "Search"):
        unfold(page, group)
    moved = 0
    for kind, key in (("stSlider input", "ArrowRight"), ("stNumberInput input", "ArrowUp")):
        found = page.locator(f".st-key-panel [data-testid={kind.split()[0]}] input")
        for k in range(found.count()):
            found.nth(k).focus()
            page.keyboard.press(key)
            if "Number" in kind:
                page.keyboard.press("Enter")
            page.wait_for_timeout(150)
            idle(page)
            moved += 1
    assert moved >= 18
    assert page.get_by_test_id("stException").count() == 0
    assert "targets" in verdict(page) or "does not go together" in verdict(page)


def test_views_follow_one_another_and_leave_nothing_behind(page: Any) -> None:
    for view, sign in (("Bill", "MSK broker"), ("Memory", "log cleaner"), ("Rests on", "Coefficient set")):
        page.get_by_test_id("stMain").get_by_text(view, exact=True).first.click()
        page.get_by_text(sign).first.wait_for()
        idle(page)
    assert page.get_by_text("log cleaner").count() == 0
    page.get_by_test_id("stMain").get_by_text("Growth", exact=True).first.click()
    page.get_by_text("USD in month 12").wait_for()
    slider(page, "Months from now").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("USD in month 13").wait_for()


def test_a_bad_day_is_played_and_shown_in_time(page: Any) -> None:
    view(page, "Bad days")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("green again after").wait_for()
    idle(page)
    assert re.search("holds|broken", page.locator(".fm-verdict").nth(1).inner_text())
    assert page.locator(".js-plotly-plot").count() == 2
    page.get_by_text("what happened to nodes").wait_for()


def test_a_recommendation_is_searched_cancelled_and_a_stack_of_its_front_opens_as_b(page: Any) -> None:
    whole(page)
    view(page, "Recommend")
    page.get_by_role("button", name="Recommend a stack").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("recommendation: cancelled").wait_for()
    page.get_by_role("button", name="Ask again").click()
    page.get_by_role("button", name="Open as B").wait_for(timeout=4 * WAIT)
    idle(page)
    page.get_by_role("button", name="Open as B").click()
    page.get_by_text("What B changes").wait_for()
    page.locator(".fm-verdict").nth(2).wait_for(state="detached")  # the recommendation's own sentence goes
    assert page.locator(".fm-verdict").count() == 2


def view(page: Any, name: str) -> None:
    page.get_by_test_id("stMain").get_by_text(name, exact=True).first.click()
    page.wait_for_timeout(300)
    idle(page)


def test_dark_pages_are_dark_all_over(opened: Browser) -> None:
    dark = opened.page(color_scheme="dark")
    dark.locator(".js-plotly-plot").first.wait_for(timeout=WAIT)
    ground = dark.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert ground == "rgb(15, 23, 32)"
    ink = dark.evaluate("getComputedStyle(document.querySelector('.js-plotly-plot .xtitle')).fill")
    assert ink == "rgb(154, 168, 181)", "the charts' text is the dark shade's"
    dark.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(opened: Browser, width: int) -> None:
    page = opened.page()
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(500)
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= width
    page.context.close()


def test_five_browsers_at_once_keep_their_own_stack(opened: Browser) -> None:
    pages = [opened.page() for _ in range(5)]
    for k, page in enumerate(pages):
        slider(page, "rate").focus()
        for _ in range(k):
            page.keyboard.press("ArrowRight")
    for page in pages:
        page.wait_for_timeout(200)
        idle(page)
    for k, page in enumerate(pages):
        shown = page.get_by_test_id("stSliderThumbValue").first.inner_text()
        assert shown == ("2.5k/s", "3k/s", "4k/s", "5k/s", "6k/s")[k]
    for page in pages:
        page.context.close()


def test_the_command_serves_on_loopback_only(tmp_path: Path) -> None:
    port = free_port()
    told = [sys.executable, "-m", "planner", "dashboard", "--port", str(port), "--no-browser"]
    server = subprocess.Popen(told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        listening = ""
        while not listening and time.monotonic() < until:
            time.sleep(0.2)
            rows = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
            listening = next((r.split()[1] for r in rows[1:] if r.split()[1].endswith(f":{port:04X}")
                              and r.split()[3] == "0A"), "")  # fmt: skip
        assert listening.split(":")[0] == "0100007F", "127.0.0.1, and no other address"
    finally:
        server.terminate()
        server.wait(20)
