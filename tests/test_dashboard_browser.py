"""The dashboard as a person has it: served, in a real headless Chromium, with no request to anywhere but itself.

Run by `make test-browser`, as it takes minutes; skipped where no Chromium or no Playwright is installed. Every wait is
for a state of the page, with bounds that a busy machine keeps too: `act` waits until all of the board is of a new
drawing, `expect` until a text stands there.
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

from benchmarks.browser import START_SECONDS, Browser, act, browser, chromium, free_port, idle, served

if not os.environ.get("FLOODMARK_BROWSER"):
    pytest.skip("minutes of a real browser: make test-browser runs them", allow_module_level=True)
if chromium() is None:
    pytest.skip("no Chromium with Playwright on this machine", allow_module_level=True)

from playwright.sync_api import expect

WAIT = START_SECONDS * 1000  # milliseconds
expect.set_options(timeout=WAIT)
GROUPS = ("Workload", "Kafka", "Spark", "Search", "Promises", "Money", "Run")


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
    assert made.get_by_test_id("stException").count() == 0
    made.context.close()


def verdict(page: Any) -> str:
    return str(page.locator(".fm-verdict").first.inner_text())


def slider(page: Any, label: str) -> Any:
    return page.get_by_test_id("stSlider").filter(has=page.get_by_text(label, exact=True)).locator("input")


def thumb(page: Any) -> Any:
    """What the first slider (the rate) says."""
    return page.get_by_test_id("stSliderThumbValue").first


def press(page: Any, key: str) -> None:
    act(page, lambda: page.keyboard.press(key))


def click(page: Any, name: str) -> None:
    act(page, lambda: page.get_by_role("button", name=name, exact=True).click())


def unroll(page: Any, name: str) -> None:
    """The popover of Open or Save."""
    act(page, lambda: page.get_by_test_id("stPopoverButton").filter(has_text=name).click())


def view(page: Any, name: str) -> None:
    act(page, lambda: page.locator(".st-key-view").get_by_text(name, exact=True).click())


def unfold(page: Any, group: str) -> Any:
    fold = page.locator(f".st-key-group-{group}")
    act(page, lambda: fold.locator("summary").click())
    fold.get_by_test_id("stWidgetLabel").first.wait_for()
    return fold


def write(page: Any, box: Any, text: str) -> None:
    """A text into the editor, taken by the page before a button is pressed."""
    box.get_by_role("textbox").fill(text)
    box.get_by_role("textbox").press("Control+Enter")
    idle(page)


def upload(page: Any, file: Path) -> None:
    if not page.locator("input[type=file]").count():
        unroll(page, "Open")
    act(page, lambda: page.locator("input[type=file]").set_input_files(file))


def rests(page: Any) -> None:
    """No forecast starts by itself: what is tried then has the machine to itself."""
    page.locator(".st-key-status").get_by_text("by itself").click()
    idle(page)


def test_it_opens_on_the_example_and_the_intervals_follow_by_themselves(page: Any) -> None:
    assert "targets" in verdict(page) and "USD a month" in verdict(page)
    expect(page.get_by_text("whole forecast: both intervals").first).to_be_visible()
    expect(page.locator(".fm-tile").first.locator(".beside")).to_have_text(re.compile(r"to .* s"))
    expect(page.locator(".fm-plot")).to_have_count(2)
    drawn = page.locator(".fm-lines img").evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0)")
    assert drawn and page.locator(".fm-dot").count() > 5


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


def test_the_keyboard_alone_moves_a_slider_unfolds_a_group_and_changes_the_view(page: Any) -> None:
    rests(page)
    rate = slider(page, "rate")
    rate.focus()
    press(page, "ArrowRight")
    press(page, "ArrowRight")
    assert rate.evaluate("e => e === document.activeElement"), "the slider keeps the focus"
    expect(thumb(page)).to_have_text("4k/s")
    page.locator(".st-key-group-Kafka summary").focus()
    press(page, "Enter")
    expect(slider(page, "topic retention")).to_be_visible()
    page.locator(".st-key-view").get_by_role("radio", name="Bill", exact=True).focus()
    press(page, "Space")
    expect(page.get_by_text("MSK broker").first).to_be_visible()


def test_a_beside_b(page: Any) -> None:
    click(page, "Compare with a variant B")
    expect(page.get_by_text("B is still equal to A")).to_be_visible()
    slider(page, "rate").focus()
    press(page, "ArrowLeft")
    row = page.locator("tr", has_text="USD a month").first
    expect(row.locator("td").last).to_have_text(re.compile(r"−\d"))  # less load costs less
    expect(page.locator(".fm-verdict")).to_have_count(2)
    click(page, "Drop B")
    expect(page.locator(".fm-tile")).to_have_count(7)


def test_save_load_and_share(page: Any, opened: Browser, tmp_path: Path) -> None:
    slider(page, "rate").focus()
    press(page, "ArrowRight")
    unroll(page, "Save")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download YAML").click()
    file = tmp_path / "saved.yaml"
    saved.value.save_as(file)
    assert "rate: 3000.0" in file.read_text(encoding="utf-8")
    page.get_by_role("button", name="Make a link").click()
    page.wait_for_url(re.compile(r"\?a=[\w-]+"))
    other = opened.page(page.url.removeprefix(opened.address))
    other.set_default_timeout(WAIT)
    expect(thumb(other)).to_have_text("3k/s")
    unroll(other, "Open")
    click(other, "Example: lab")
    expect(other.locator(".fm h1")).to_contain_text("Kafka 4.1.0, Spark 4.1.1")
    upload(other, file)
    expect(other.locator(".fm h1")).to_contain_text("Web shop events")
    expect(thumb(other)).to_have_text("3k/s")
    other.context.close()


def test_bad_yaml_is_said_in_our_words_and_changes_nothing(page: Any) -> None:
    before = verdict(page).split(";")[-1]
    page.get_by_role("button", name="Edit as text").click()
    box = page.get_by_test_id("stDialog")
    write(page, box, "name: x\nflows:\n- workload: {rate: 5k/s, size: big}\n")
    box.get_by_role("button", name="Use this text").click()
    box.get_by_text("workload.size = 'big'; expected a quantity such as '8 GiB' or '800 B'").wait_for()
    box.get_by_text("query is missing").wait_for()
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    assert verdict(page).split(";")[-1] == before


def test_what_discovery_left_unknown_is_filled_in_on_the_page(page: Any, tmp_path: Path) -> None:
    from planner.scenario import example_text

    rests(page)
    file = tmp_path / "found.yaml"
    file.write_text(example_text("events").replace("rate: 2500/s", "rate: UNKNOWN"), encoding="utf-8")
    assert "UNKNOWN" in file.read_text(encoding="utf-8")
    upload(page, file)
    expect(page.get_by_text("found.yaml was not opened")).to_be_visible()
    page.get_by_role("button", name="Fill in found.yaml here").click()
    box = page.get_by_test_id("stDialog")
    text = box.get_by_role("textbox").input_value()
    write(page, box, text.replace("UNKNOWN", "4k/s"))
    box.get_by_role("button", name="Use this text").click()
    expect(box).to_have_count(0)
    expect(thumb(page)).to_have_text("4k/s")


def test_a_calibrated_set_is_put_under_the_stack_and_saved_by_its_name(page: Any, tmp_path: Path) -> None:
    from models.coefficients import DATA

    file = tmp_path / "orders-prod.toml"
    file.write_bytes((DATA / "lab-2026-11-23.toml").read_bytes())
    upload(page, file)
    view(page, "Rests on")
    expect(page.get_by_text("Coefficient set lab-2026-11-23")).to_be_visible()
    page.keyboard.press("Escape")
    unroll(page, "Save")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download YAML").click()
    saved.value.save_as(tmp_path / "saved.yaml")
    assert "coefficients: orders-prod.toml" in (tmp_path / "saved.yaml").read_text(encoding="utf-8")


def test_cancel_ends_the_process(page: Any) -> None:
    page.get_by_role("button", name="Edit as text").click()
    box = page.get_by_test_id("stDialog")
    box.get_by_role("textbox").wait_for()
    text = box.get_by_role("textbox").input_value().replace("repeats: 4", "repeats: 900")
    write(page, box, text)
    before = children_at_work()
    act(page, lambda: box.get_by_role("button", name="Use this text").click())
    page.get_by_text(re.compile("simulating")).wait_for()
    mine = {child for child in until(lambda: children_at_work() - before) if child}
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Whole forecast").wait_for()
    until(lambda: not mine & children_at_work())


def until(seen: Any) -> Any:
    """What is seen as soon as it is something."""
    end = time.monotonic() + START_SECONDS
    while not (found := seen()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


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


@pytest.mark.parametrize("group", GROUPS)
def test_every_control_moves_once(page: Any, group: str) -> None:
    """Each of a group, the advanced ones too: the page is drawn anew, or says what does not go together."""
    rests(page)
    fold = page.locator(f".st-key-group-{group}") if group == "Workload" else unfold(page, group)
    if fold.locator(f".st-key-more-{group}").count():
        act(page, lambda: fold.locator(f".st-key-more-{group} input").press("Space"))
    keys = fold.locator("[class*='st-key-A']").evaluate_all(
        "all => all.map(e => [...e.classList].find(c => c.startsWith('st-key-A')))"
    )
    assert len(keys) == len(set(keys)) >= 3
    moved = [key for key in keys if _moved(page, page.locator(f".{key}"))]
    assert len(moved) >= 0.9 * len(keys), f"not moved: {set(keys) - set(moved)}"
    assert page.locator(".fm-verdict").count() >= 1


def _moved(page: Any, control: Any) -> bool:
    """Move a control, and back where it then does not go with the rest; False for one that has nowhere to go."""
    back = _move(page, control)
    if back is None:
        return False
    assert page.get_by_test_id("stException").count() == 0
    if page.locator(".fm-verdict[role=alert]").count() or control.get_by_test_id("stCheckbox").count():
        act(page, back)
    return True


def _move(page: Any, control: Any) -> Any:
    """Move it; what moves it back."""
    if control.get_by_test_id("stSlider").count():
        knob = control.locator("input[type=range]")
        keys = ["ArrowRight", "ArrowLeft"]
        if knob.get_attribute("max") == knob.input_value():
            keys.reverse()
        act(page, lambda: knob.press(keys[0]))
        return lambda: control.locator("input[type=range]").press(keys[1])
    if control.get_by_test_id("stNumberInput").count():
        ways = ["stNumberInputStepUp", "stNumberInputStepDown"]
        if control.get_by_test_id(ways[0]).is_disabled():
            ways.reverse()
        act(page, lambda: control.get_by_test_id(ways[0]).click())
        return lambda: control.get_by_test_id(ways[1]).click()
    if control.get_by_test_id("stSelectbox").count():
        return _choose(page, control)
    if control.get_by_test_id("stCheckbox").count():
        act(page, lambda: control.locator("input").press("Space"))
        return lambda: control.locator("input").press("Space")
    return _type(page, control.locator("input"))


def _listed(page: Any, box: Any) -> None:
    """The list of a choice, open."""
    box.scroll_into_view_if_needed()
    box.click()
    if not page.get_by_role("option").count():
        box.press("ArrowDown")
    page.get_by_role("option").first.wait_for()


def _take(page: Any, box: Any, name: str) -> None:
    """Type the name, so that a list of hundreds need not be scrolled, and take it."""
    box.fill(name)
    page.get_by_role("option", name=name, exact=True).click()


def _choose(page: Any, control: Any) -> Any:
    box = control.get_by_role("combobox")
    was = box.input_value()
    options = page.get_by_role("option")
    _listed(page, box)
    others = [text for text in options.all_inner_texts() if text.strip() != was]
    if not others:
        page.keyboard.press("Escape")
        return None
    act(page, lambda: _take(page, box, others[0]))

    def back() -> None:
        _listed(page, box)
        _take(page, box, was)

    return back


def _type(page: Any, field: Any) -> Any:
    was = field.input_value()
    number = re.search(r"\d+(\.\d+)?", was)
    more = f"{was}x" if was else "1"
    if number is not None:
        more = was.replace(number.group(), f"{float(number.group()) + 1:g}", 1)

    def put(text: str) -> None:
        field.fill(text)
        field.press("Enter")

    act(page, lambda: put(more))
    return lambda: put(was)


BARE = """() => {
  const shown = "[data-tip],svg,style,script,h1,h3,th,code,label,button,.quiet,[class^=fm-at],[role=option]," +
    "[data-testid=stSlider]";
  const texts = [], main = document.querySelector("[data-testid=stMain]");
  const walk = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  while (walk.nextNode())
    if (/[0-9]/.test(walk.currentNode.textContent) && !walk.currentNode.parentElement.closest(shown))
      texts.push(walk.currentNode.textContent);
  return texts; }"""  # texts with digits that lie in nothing that hovers to a source, is a heading or a control


def test_views_follow_one_another_and_leave_nothing_behind(page: Any) -> None:
    for name, sign in (("Bill", "MSK broker"), ("Memory", "log cleaner"), ("Rests on", "Coefficient set")):
        view(page, name)
        expect(page.get_by_text(sign).first).to_be_visible()
    assert page.get_by_text("log cleaner").count() == 0
    view(page, "Growth")
    expect(page.get_by_text("USD in month 12")).to_be_visible()
    slider(page, "Months from now").focus()
    press(page, "ArrowRight")
    expect(page.get_by_text("USD in month 13")).to_be_visible()
    assert page.evaluate(BARE) == []


def test_a_bad_day_is_played_and_shown_in_time(page: Any) -> None:
    rests(page)
    view(page, "Bad days")
    page.locator(".st-key-drill").get_by_role("combobox").click()
    act(page, lambda: page.get_by_role("option", name=re.compile("^data-node-lost:")).click())
    click(page, "Play")
    expect(page.get_by_text("green again after")).to_be_visible()
    assert re.search("holds|broken", page.locator(".fm-verdict").nth(1).inner_text())
    for title in ("Lag in time", "Batches in time", "Shards in time", "Partitions in time"):
        expect(page.get_by_text(title, exact=True)).to_be_visible()
    states = "(e.data || []).map(t => t.name).join() === 'started,relocating,initializing,unassigned'"
    page.wait_for_function(f"[...document.querySelectorAll('.js-plotly-plot')].some(e => {states})")
    expect(page.get_by_text("what happened to nodes")).to_be_visible()
    assert page.evaluate(BARE) == []


def test_a_recommendation_is_searched_cancelled_and_a_stack_clicked_on_its_front_opens_as_b(page: Any) -> None:
    rests(page)
    view(page, "Recommend")
    click(page, "Recommend a stack")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("recommendation: cancelled").wait_for()
    page.get_by_role("button", name="Ask again").click()
    page.get_by_role("button", name="Open as B").wait_for(timeout=3 * WAIT)
    idle(page)
    name = _clicked(page)
    expect(page.locator(".st-key-front-chosen").get_by_role("combobox")).to_have_value(name)
    expect(page.locator("th", has_text=name)).to_be_visible()  # what it changes of today's
    assert page.get_by_text("how it was sought").count() == 1 and page.evaluate(BARE) == []
    told = page.locator("tr", has=page.locator("td", has_text=re.compile(f"^{re.escape(name)}( on the front)?$")))
    usd = told.locator("td").nth(1).inner_text()
    click(page, "Open as B")
    expect(page.get_by_text("What B changes")).to_be_visible()
    expect(page.locator("tr", has_text="USD a month").first.locator("td").nth(2)).to_contain_text(usd)
    expect(page.locator(".fm-verdict")).to_have_count(2)


def _clicked(page: Any) -> str:
    """Click the stack of the front that lies furthest from the others and is not chosen yet; its name."""
    plot = page.locator(".st-key-chart-front .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    names = plot.evaluate("e => e.data[1].customdata.map(c => c[2])")
    chosen = page.locator(".st-key-front-chosen").get_by_role("combobox").input_value()
    dots = [dot.bounding_box() for dot in plot.locator(".scatterlayer .trace:last-child .points path").all()]
    at = [(d["x"] + d["width"] / 2, d["y"] + d["height"] / 2) for d in dots]
    assert len(names) == len(at) >= 2

    def lonely(k: int) -> float:
        return min(abs(at[k][0] - x) + abs(at[k][1] - y) for j, (x, y) in enumerate(at) if j != k)

    best = max((k for k, name in enumerate(names) if name not in (chosen, "today")), key=lonely)
    page.mouse.move(*at[best])
    act(page, lambda: page.mouse.click(*at[best]))
    return str(names[best])


def test_dark_pages_are_dark_all_over(opened: Browser) -> None:
    dark = opened.page(color_scheme="dark")
    dark.set_default_timeout(WAIT)
    view(dark, "Latency")
    dark.locator(".js-plotly-plot .xtitle").first.wait_for(timeout=WAIT)
    ground = dark.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert ground == "rgb(15, 23, 32)"
    ink = dark.evaluate("getComputedStyle(document.querySelector('.js-plotly-plot .xtitle')).fill")
    assert ink == "rgb(154, 168, 181)", "the charts' text is the dark shade's"
    dark.context.close()


@pytest.mark.parametrize("width", [1366, 390])
def test_nothing_is_wider_than_the_screen(opened: Browser, width: int) -> None:
    page = opened.page()
    page.set_viewport_size({"width": width, "height": 768})
    page.wait_for_function(f"document.querySelector('.stMain').scrollWidth <= {width}", timeout=WAIT)
    page.context.close()


def test_five_browsers_at_once_keep_their_own_stack(opened: Browser) -> None:
    pages = [opened.page() for _ in range(5)]
    for k, page in enumerate(pages):
        slider(page, "rate").focus()
        for _ in range(k):
            page.keyboard.press("ArrowRight")
    for page, shown in zip(pages, ("2.5k/s", "3k/s", "4k/s", "5k/s", "6k/s"), strict=True):
        expect(thumb(page)).to_have_text(shown)
        idle(page)
    told = {page.locator(".fm-tile .value").last.inner_text() for page in pages}
    assert len(told) == 5, "each has a bill of its own"
    for page in pages:
        page.context.close()


def test_the_command_serves_on_loopback_only() -> None:
    port = free_port()
    told = [sys.executable, "-m", "planner", "dashboard", "--port", str(port), "--no-browser"]
    server = subprocess.Popen(told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: _listening(port)).split(":")[0] == "0100007F", "127.0.0.1, and no other address"
    finally:
        server.terminate()
        server.wait(30)


def _listening(port: int) -> str:
    rows = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
    found = (r.split()[1] for r in rows[1:] if r.split()[1].endswith(f":{port:04X}") and r.split()[3] == "0A")
    return next(found, "")
