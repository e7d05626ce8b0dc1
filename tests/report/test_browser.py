"""The page in a real browser: every interaction, no error, no request, no serious fault for axe."""

from __future__ import annotations

import contextlib
import time

import pytest

import browser
from explained import explain
from live_page import served
from normlab.records.store import RunFolder
from normlab.report.page.build import build_report
from normlab.report.page.joint import build_joint_report

HOSTILE = ("<script>alert(1)</script>", "=cmd()", "a&b_c|d%{}\"'")


pytestmark = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "present")


@pytest.fixture(scope="module")
def chromium():
    with browser.Browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(fabricate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    plan = fabricate.make_plan(norms=("bn", "bin", "none"), blocks=4, epochs=6, batch_size=(8, 32))
    fabricate.write_study(
        folder, plan, fabricate.make_runs(plan, statuses={("none", 1): "diverged"})
    )
    explain(folder, ("bn", "bin", "none"))
    return build_report(folder, exports=False)


@pytest.fixture
def opened(chromium, page):
    chromium.media("light")
    chromium.resize(1180)
    chromium.open(page.as_uri())
    chromium.run("document.querySelectorAll('.folded > details').forEach(d => { d.open = true; })")
    yield chromium
    assert chromium.errors == []
    assert [url for url in chromium.requests if not url.startswith("data:")] == [page.as_uri()]


def shown(chromium, selector):
    """How many elements of a selector take up space."""
    return chromium.run(
        f"[...document.querySelectorAll({selector!r})]"
        ".filter(e => e.getClientRects().length).length"
    )


def click(chromium, selector):
    """Click in the middle of an element, which also works where scripts are off."""
    x, y = chromium.run(
        f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView();"
        " const r = e.getBoundingClientRect(); return [r.x + 20, r.y + r.height / 2]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        chromium.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def text(chromium, selector):
    return chromium.run(f"document.querySelector({selector!r}).innerText")


@pytest.mark.slow
def test_another_reference_changes_tables_figures_and_classes(opened):
    assert "against bn" in text(opened, "#answer .perspective:not([hidden])").replace("\n", " ")
    before = text(opened, "table.recall tbody tr")
    opened.choose("#reference", "none")
    assert "none" in text(opened, "#answer .perspective:not([hidden]) table")
    assert "that of none" in text(opened, "#verdict .perspective:not([hidden]) figcaption")
    assert "against none" in text(opened, "#answer .perspective:not([hidden])").replace("\n", " ")
    assert text(opened, "table.recall tbody tr") != before
    assert text(opened, ".reference-name") == "none"
    assert opened.run("location.hash") == "#?ref=none"
    opened.choose("#reference", "bn")
    assert text(opened, "table.recall tbody tr") == before


@pytest.mark.slow
def test_the_script_prints_differences_as_the_page_does(opened):
    cells = "[...document.querySelectorAll('table.recall tbody td')].map(c => c.textContent)"
    printed = opened.run(cells)
    opened.choose("#reference", "none")
    opened.choose("#reference", "bn")
    assert opened.run(cells) == printed


@pytest.mark.slow
def test_one_setting_at_a_time(opened):
    everything = shown(opened, "article[data-setting]")
    opened.choose("#setting", "sgd-lr0.1-batch8")
    assert 0 < shown(opened, "article[data-setting]") < everything
    assert shown(opened, "[data-setting='sgd-lr0.1-batch32']") == 0
    opened.choose("#setting", "")
    assert shown(opened, "article[data-setting]") == everything


@pytest.mark.slow
def test_a_block_is_followed_by_choice_by_mouse_and_in_the_table(opened):
    opened.choose("#block", "2")
    opacity = "getComputedStyle(document.querySelector('.panels path[data-block=\"{}\"]')).opacity"
    assert float(opened.run(opacity.format(2))) == 1
    assert float(opened.run(opacity.format(1))) < 0.3
    assert opened.run("document.querySelectorAll('.followed').length") > 20
    opened.choose("#block", "")
    assert opened.run("document.querySelectorAll('.followed').length") == 0
    opened.run("document.querySelector('#answer figure').scrollIntoView({block: 'center'})")
    x, y = opened.run(
        "(() => { const mark = '#answer figure path[data-block=\"3\"][data-arm]';"
        " const r = document.querySelector(mark).getBoundingClientRect();"
        " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    opened.move(x, y)
    assert text(opened, "#status") == "block 3"
    assert opened.run("document.querySelectorAll('article.following .followed').length") > 5
    opened.move(2, 2)
    assert opened.run("document.querySelectorAll('.followed').length") == 0


@pytest.mark.slow
def test_the_axis_in_steps_images_and_seconds_and_back(opened):
    svg = ".panels svg"
    line = f"document.querySelector('{svg} path[data-arm][data-block]').getAttribute('d')"
    words = f"document.querySelector('{svg}').textContent"
    before, path = opened.run(words), opened.run(line)
    assert "epoch" in before
    for unit in ("steps", "images"):
        opened.choose(f"input[value={unit}]", unit)
        assert unit in opened.run(words)
        assert opened.run(line) == path
    assert "20k" in opened.run(words)  # 6 epochs of 4,000 images
    opened.choose("input[value=seconds]", "seconds")
    moved = opened.run(line)
    assert moved != path
    # 6 epochs of 4 s: the first ends at a sixth of the 400 points
    assert moved.startswith(("M66.8,", "M66.7,"))
    assert moved.count("L") == 5
    assert "L400.0," in moved
    opened.choose("input[value=epochs]", "epochs")
    assert opened.run(line) == path
    assert opened.run(words) == before


@pytest.mark.slow
def test_tables_sort_and_copy(opened):
    first = "#answer .perspective:not([hidden]) table"
    rows = f"[...document.querySelectorAll('{first} tbody tr')].slice(0, 3)"
    names = f"{rows}.map(r => r.cells[0].innerText.trim())"
    assert opened.run(names) == ["bn", "bin", "none"]
    opened.run(f"document.querySelectorAll('{first} thead button')[1].click()")
    assert opened.run(names)[0] == "none"
    assert opened.run(f"document.querySelectorAll('{first} thead th')[1].ariaSort") == "ascending"
    opened.run(f"document.querySelectorAll('{first} thead button')[1].click()")
    assert opened.run(names)[-1] == "none"
    # what is copied is what lies in report/tables
    opened.run("navigator.clipboard.writeText = async text => { window.copied = text; }")
    for index, start in enumerate(("norm,loss mean", "### Training", r"% \usepackage{booktabs}")):
        opened.run(f"document.querySelectorAll('#tables .copies button')[{index}].click()")
        assert opened.run("window.copied").startswith(start)


@pytest.mark.slow
def test_the_confusions_of_another_arm(opened):
    before = text(opened, "table.confusion")
    opened.choose(".confusion-pick", "none")
    assert text(opened, ".confusion-arm") == "none"
    opened.choose(".confusion-pick", "bn")
    assert text(opened, "table.confusion") == before


@pytest.mark.slow
def test_two_runs_are_compared(opened):
    names = "[...document.querySelectorAll('#compare-runs tbody th')].map(h => h.textContent)"
    assert opened.run(names) == ["arm", "norm"]  # the first two: bn and bin of block 1
    other = opened.run("document.querySelector('#run-a').value")
    opened.choose("#run-b", other)
    assert opened.run(names) == []


@pytest.mark.slow
def test_a_link_brings_back_the_whole_view(opened, page):
    opened.open(page.as_uri() + "#curves?ref=none&block=1&x=steps&setting=sgd-lr0.1-batch8")
    assert opened.run("document.querySelector('#reference').value") == "none"
    assert opened.run("document.querySelector('#block').value") == "1"
    assert opened.run("document.querySelector('input[name=x]:checked').value") == "steps"
    assert shown(opened, "[data-setting='sgd-lr0.1-batch32']") == 0
    top = opened.run("document.querySelector('#curves').getBoundingClientRect().top")
    assert -5 < top < 300
    opened.run("document.querySelector('nav a[href=\"#cost\"]').click()")
    assert opened.run("location.hash").startswith("#cost?ref=none")
    opened.requests[:] = [page.as_uri()]


@pytest.mark.slow
def test_light_and_dark(opened):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = opened.run(paper)
    opened.choose("#theme", "dark")
    dark = opened.run(paper)
    assert light != dark
    opened.choose("#theme", "")
    opened.media("dark")
    assert opened.run(paper) == dark
    opened.choose("#theme", "light")
    assert opened.run(paper) == light
    opened.choose("#theme", "")


@pytest.mark.slow
def test_the_keyboard_reaches_the_controls(opened):
    opened.key("Tab")
    assert opened.run("document.activeElement.className") == "skip"
    opened.run("document.querySelector('#answer table button').focus()")
    opened.key("Enter")
    assert opened.run("document.querySelector('#answer th[aria-sort]') !== null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.slow
def test_axe_finds_no_serious_fault(opened, scheme):
    script = browser.axe_script()
    if script is None:
        pytest.skip("the package axe-playwright-python, which carries axe-core, is not installed")
    opened.media(scheme)
    found = opened.axe(script)
    assert [v for v in found if v["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("width", [390, 1180])
@pytest.mark.slow
def test_nothing_sticks_out(opened, width):
    opened.resize(width, 844)
    assert opened.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1400, 900)])
def test_the_first_screen_has_the_answer_the_plot_and_a_picture(
    chromium, fabricate, tmp_path, width, height
):
    plan = fabricate.make_plan(norms=("bn", "gn", "in", "none"), blocks=5, epochs=1)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    explain(tmp_path, ("bn", "gn"))
    page = build_report(tmp_path, exports=False)
    chromium.resize(width, height)
    chromium.open(page.as_uri())
    bottom = "Math.max(...[...document.querySelectorAll({!r})].map(e => {}))"
    rect = "e.getBoundingClientRect().bottom"
    for part in (".recommendation .sure", "#verdict .perspective:not([hidden]) .plot-row.axis"):
        assert chromium.run(bottom.format(part, rect)) < height
    assert chromium.run("document.querySelector('main img').getBoundingClientRect().top") < height
    if width > 1000:
        assert chromium.run(bottom.format("#verdict img", rect)) < height
    chromium.resize(1180)


@pytest.mark.slow
def test_print_hides_the_controls(opened):
    opened.media("light", "print")
    assert shown(opened, ".controls") == shown(opened, ".copies") == 0
    assert shown(opened, ".panels svg") == 12 + 24  # by setting, by batch size of each norm


@pytest.mark.slow
def test_without_scripts_tables_and_figures_are_there(chromium, page):
    chromium.send("Page.navigate", url="about:blank")
    chromium.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.send("Page.navigate", url=page.as_uri())
        for _ in range(100):
            time.sleep(0.1)
            with contextlib.suppress(RuntimeError):  # between two documents there is none
                if chromium.run("document.querySelector('footer') !== null"):
                    break
        assert chromium.run("document.documentElement.dataset.ready === undefined")
        assert shown(chromium, "#answer table") >= 2
        assert shown(chromium, ".panels svg") == 12 + 24
        is_open = "document.querySelector('#by-factor').closest('details').open"
        assert not chromium.run(is_open)
        click(chromium, "summary:has(#by-factor-title)")
        assert chromium.run(is_open)
        assert shown(chromium, "#tables table") == 11  # by norm, claims, curves; by batch size
        assert shown(chromium, ".controls, .copies, #units, #compare-runs") == 0
    finally:
        chromium.send("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.slow
def test_hostile_names_do_nothing(chromium, fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", *HOSTILE), classes=(*HOSTILE, "x"), epochs=2)
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))
    page = build_report(tmp_path, exports=False)
    chromium.open(page.as_uri())
    for arm in HOSTILE:
        chromium.choose("#reference", arm)
        assert chromium.run("document.querySelector('#reference').value") == arm
        assert arm in chromium.run(
            "document.querySelector('#answer .perspective:not([hidden])').textContent"
        )
    assert chromium.errors == []
    assert chromium.requests == [page.as_uri()]


@pytest.mark.slow
def test_several_studies(chromium, fabricate, tmp_path):
    for name in ("one", "two"):
        plan = fabricate.make_plan(norms=("bn", "bin"), blocks=2, epochs=2)
        fabricate.write_study(tmp_path / name, plan, fabricate.make_runs(plan))
    page = build_joint_report([tmp_path / "one", tmp_path / "two"], tmp_path)
    chromium.open(page.as_uri())
    assert "hold the same images" in text(chromium, ".callout")
    assert chromium.errors == []
    assert chromium.requests == [page.as_uri()]
    script = browser.axe_script()
    if script is not None:
        found = chromium.axe(script)
        assert [v for v in found if v["impact"] in ("serious", "critical")] == []


@pytest.mark.slow
def test_a_watched_page_follows_the_run(chromium, fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "bin"), blocks=1, epochs=3)
    runs = fabricate.make_runs(plan, statuses={("bin", 0): "unfinished"})
    written = fabricate.write_study(tmp_path, plan, runs)
    with served(tmp_path) as address:
        chromium.open(address)
        assert "1 of 2 runs ended" in text(chromium, ".facts")
        folder = RunFolder(written[1].folder)
        for row in runs[0].rows[len(runs[1].rows) :]:
            folder.append_row(row)
        folder.write_outcome(runs[0].outcome)
        for _ in range(60):
            time.sleep(0.25)
            try:
                if "2 of 2 runs ended" in text(chromium, ".facts"):
                    break
            except RuntimeError:  # just reloading
                continue
        assert "2 of 2 runs ended" in text(chromium, ".facts")
        assert chromium.errors == []
        assert all(url.startswith("http://127.0.0.1:") for url in chromium.requests)
