"""The page in the distribution's Chromium: no request, no console message, usable by keyboard, readable everywhere."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pages import HOSTILE, MODELS, found, measure, shop, with_lures

from memeval.measures import statistics
from memeval.report import breakdown, cells, reporting
from memeval.report.reporting import Found

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, str]:
    """A page of two data sets: one hostile in every text and name, one with forbidden memories; and what it is of."""
    root = tmp_path_factory.mktemp("pages")
    hostile, other = shop(hostile=True), with_lures(shop(name="stall", stores=6))
    named = [*MODELS, *((name, "python/pages:Words") for name in HOSTILE)]
    folders = measure(hostile, root / "hostile", named), measure(other, root / "stall", MODELS)
    both = found((hostile, folders[0]), (other, folders[1]))
    reporting.write(both, root / "r.html")
    return both, f"file://{root / 'r.html'}"


@pytest.fixture(scope="module")
def file(made: tuple[Found, str]) -> str:
    return made[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Watched:
    """A page with everything it asked for and said."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "offline": True, **options})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append("dialog"), dialog.dismiss()))
        self.page.goto(address)

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def follow(page: Any, link: Any) -> None:
    """Clicks a link within the page and waits until the page has answered the new address, which it does later."""
    page.evaluate("""() => {
        window.answered = false;
        addEventListener("hashchange", () => { window.answered = true; }, { once: true });
    }""")
    link.click()
    page.wait_for_function("() => window.answered")


@pytest.mark.parametrize("width", [1440, 768, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_requested_nothing_fails_and_nothing_overflows(
    browser: Any, file: str, width: int, scheme: str, tmp_path: Path
) -> None:
    """Keeps a screenshot for a person to look at: pytest's temporary folders stay for three runs."""
    with Watched(browser, file, viewport={"width": width, "height": 900}, color_scheme=scheme) as watched:
        page = watched.page
        page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
        page.locator("#b1-explorer").scroll_into_view_if_needed()
        page.locator("#b1-explorer .found button").first.click()
        wide = """() => [...document.querySelectorAll("main *")]
            .filter((one) => !one.closest(".scroll, .orders"))
            .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
            .map((one) => one.outerHTML.slice(0, 90))"""
        assert page.evaluate(wide) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") is (scheme == "light")
        assert watched.requests == [file]
        assert watched.said == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (360, "light")])
def test_axe_has_nothing_to_say(browser: Any, file: str, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "bypass_csp": True}
    with Watched(browser, f"{file}#q=s3%3Aq2&d=b2", **options) as watched:
        results = Axe().run(watched.page)
        found = [
            (one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in results.response["violations"]
        ]
        assert found == []


def test_tables_are_readable_without_a_script(browser: Any, file: str) -> None:
    with Watched(browser, file, java_script_enabled=False) as watched:
        text = watched.page.inner_text("body")
        for words in ("2. Quality against latency", "10. How to make this table again", "needs a script", "stall 1"):
            assert words in text
        assert watched.page.locator("#b1-leaderboard table").first.is_visible()
        assert not watched.page.locator(".tools").first.is_visible()
        watched.page.locator("#b1-leaderboard details.leader summary").first.click()
        assert watched.page.locator("#b1-leaderboard details.leader table").first.is_visible()
        assert watched.said == []


def column(page: Any, table: str, place: int) -> list[str]:
    cells = page.locator(f"{table} tbody:not(.pinned) tr > :nth-child({place})").all_inner_texts()
    return [cell.split("\n")[0] for cell in cells]


def test_columns_sort_and_the_sorted_one_is_marked(browser: Any, file: str) -> None:
    with Watched(browser, f"{file}#b2") as watched:
        page = watched.page
        table = "#b2-leaderboard div.leader table"
        header = page.locator(f"{table} thead th")
        assert header.nth(2).get_attribute("aria-sort") == "descending"
        header.nth(2).locator("button").focus()
        page.keyboard.press("Enter")
        assert header.nth(2).get_attribute("aria-sort") == "ascending"
        values = [float(value) for value in column(page, table, 3) if value != "–"]
        assert values == sorted(values)
        header.nth(1).locator("button").click()
        names = column(page, table, 2)
        assert names == sorted(names)
        assert [one.get_attribute("aria-sort") for one in header.all()].count(None) == header.count() - 1
        pinned = page.locator(f"{table} tbody.pinned tr:not(.group)").all_inner_texts()
        assert len(pinned) == 4


def test_numbers_with_a_power_of_ten_sort_by_their_value(browser: Any, file: str) -> None:
    with Watched(browser, f"{file}#b1") as watched:
        page = watched.page
        table = "#b1-leaderboard div.leader table"
        told = ["2.500e+40", "6.823e+11", "0.471", "−1.000e+09", "–"]
        page.locator(table).first.evaluate(
            """(table, told) => [...table.querySelectorAll("tbody:not(.pinned) tr")].forEach(
                (row, n) => { row.cells[2].textContent = told[n % told.length]; })""",
            told,
        )
        header = page.locator(f"{table} thead th").nth(2)
        header.locator("button").click()
        down = header.get_attribute("aria-sort") == "descending"
        values = [float(one.replace("−", "-")) for one in column(page, table, 3) if one != "–"]
        assert len(values) > 2 and values == sorted(values, reverse=down)


def test_the_first_screen_answers_and_no_names_of_its_picture_overlap(browser: Any, file: str) -> None:
    with Watched(browser, f"{file}#b2") as watched:
        page = watched.page
        page.select_option("#boards", "b2")
        for part in (".call", ".tiles", ".hero figure svg", ".parts"):
            box = page.locator(f"#b2 {part}").first.bounding_box()
            assert box["y"] + box["height"] <= 900, part
        names = page.locator("#b2 .hero figure svg text").all()
        boxes = [name.bounding_box() for name in names]
        assert any(name.text_content() == "words" for name in names)
        for place, one in enumerate(boxes):
            for other in boxes[:place]:
                apart = (
                    one["x"] >= other["x"] + other["width"] - 1
                    or other["x"] >= one["x"] + one["width"] - 1
                    or one["y"] >= other["y"] + other["height"] - 1
                    or other["y"] >= one["y"] + one["height"] - 1
                )
                assert apart, (one, other)


def test_chips_filter_the_systems_and_leave_the_controls(browser: Any, file: str) -> None:
    with Watched(browser, file) as watched:
        page = watched.page
        page.select_option("#boards", "b2")
        rows = page.locator("#b2-leaderboard .leader:not([hidden]) tbody:not(.pinned) tr:visible")
        whole = rows.count()
        chip = page.locator("#b2-leaderboard .tools button", has_text="MIT")
        chip.click()
        assert chip.get_attribute("aria-pressed") == "true"
        assert rows.count() == 1 < whole
        assert "bm25" in rows.first.inner_text()
        assert page.locator("#b2-leaderboard .leader:not([hidden]) .pinned tr.control:visible").count() == 4
        chip.click()
        assert rows.count() == whole


def test_measures_names_and_data_sets_can_be_switched(browser: Any, file: str) -> None:
    with Watched(browser, file) as watched:
        page = watched.page
        assert page.locator("#b1").is_visible()
        assert not page.locator("#b2").is_visible()
        page.select_option("#boards", "b2")
        assert page.locator("#b2").is_visible()
        assert not page.locator("#b1").is_visible()
        page.select_option("#b2 .measure", "MRR")
        shown = page.locator("#b2-leaderboard .leader table:visible")
        assert shown.count() == 1
        assert "MRR" in shown.first.locator("thead").inner_text()
        page.fill("#b2 .filter", "wor")
        assert column(page, "#b2-leaderboard .leader:not([hidden]) table", 2).count("words") == 1
        assert page.locator("#b2-leaderboard .leader:not([hidden]) tbody:not(.pinned) tr:visible").count() == 1
        page.select_option("#b2 .relative", label="difference from words")
        row = page.locator("#b2-categories .heat tbody tr", has_text="words").first
        assert set(row.locator("td").all_inner_texts()) == {"0.000"}
        page.select_option("#b2 .relative", "")
        assert "0.000" not in row.locator("td").first.inner_text()


def test_the_explorer_searches_filters_and_links(browser: Any, file: str) -> None:
    with Watched(browser, f"{file}#q=s3%3Aq2&d=b2") as watched:
        page = watched.page
        detail = page.locator("#b2-explorer .detail")
        assert "how many pears in order 2 of store 3" in detail.inner_text()
        assert "Hello." in detail.inner_text()
        assert detail.locator(".hit").count() > 0
        assert "★ m2 (grade 2)" in detail.inner_text()
        page.fill("#b2-explorer input[type=search]", "order 4 of store 5")
        items = page.locator("#b2-explorer .found button")
        assert items.count() == 1
        items.first.click()
        assert "s5:q4" in detail.inner_text()
        assert page.evaluate("location.hash") == "#q=s5%3Aq4&d=b2"
        page.fill("#b2-explorer input[type=search]", "")
        whole = items.count()
        page.locator("#b2-explorer select.c").select_option("when")
        assert 0 < items.count() < whole
        page.locator("#b2-explorer select.a").select_option(label="lengths")
        page.locator("#b2-explorer select.s").select_option(label="A below B, widest gap first")
        assert items.count() > 0
        heads = page.locator("#b2-explorer .found thead th").all_inner_texts()
        assert heads == ["query", "A: lengths", "B: first-stage (bm25)", "A − B"]
        gaps = [
            float(cell.replace("−", "-"))
            for cell in page.locator("#b2-explorer .found td:last-child").all_inner_texts()
        ]
        assert gaps == sorted(gaps)
        assert gaps[-1] < 0
        assert watched.said == []


def test_the_picked_query_stands_beside_the_list_where_there_is_room(browser: Any, file: str) -> None:
    for width, beside in ((1440, True), (768, False)):
        with Watched(browser, f"{file}#q=s3%3Aq2&d=b2", viewport={"width": width, "height": 900}) as watched:
            boxes = [watched.page.locator(f"#b2-explorer {part}").bounding_box() for part in (".found", ".detail")]
            assert (boxes[1]["x"] > boxes[0]["x"] + 100) is beside
            orders = watched.page.locator("#b2-explorer .orders h5").all_inner_texts()
            assert orders[1].startswith("first-stage (bm25): NDCG@10"), "B is the first stage, next to A"


def test_all_queries_can_be_reached(browser: Any, tmp_path: Path) -> None:
    dataset = shop(stores=20)
    reporting.write(found((dataset, measure(dataset, tmp_path / "shop", MODELS))), tmp_path / "r.html")
    with Watched(browser, f"file://{tmp_path / 'r.html'}#b1-explorer") as watched:
        page = watched.page
        page.locator("#b1-explorer").scroll_into_view_if_needed()
        items, more = page.locator("#b1-explorer .found button"), page.locator("#b1-explorer .more")
        items.nth(49).wait_for()  # the list is drawn when it comes into view
        assert items.count() == 50
        while more.is_visible():
            more.click()
        assert items.count() == sum(bool(own) for own in dataset.qrels.values())
        names = page.locator("#b1-explorer .found .id").all_inner_texts()
        assert len(set(names)) == items.count()


def test_every_number_of_the_leaderboard_and_of_categories_leads_to_its_queries(browser: Any, file: str) -> None:
    with Watched(browser, f"{file}#b2") as watched:
        page = watched.page
        for table in ("#b2-leaderboard div.leader", "#b2-categories"):
            for cell in page.locator(f"{table} table:visible tbody td").all():
                if table == "#b2-categories":
                    assert cell.locator("a").count() == 1, cell.inner_text()
        row = page.locator("#b2-leaderboard div.leader tbody tr", has_text="words").first
        assert row.locator("a").count() == 2, "the value and the difference"
        follow(page, row.locator("a").first)
        heads = page.locator("#b2-explorer .found thead th").all_inner_texts()
        assert heads[1] == "A: words"
        values = [float(cell) for cell in page.locator("#b2-explorer .found td:nth-child(2)").all_inner_texts()]
        assert values == sorted(values), "the lowest first"
        assert page.locator("#b2-explorer .detail .orders h5").first.inner_text().startswith("words: NDCG@10")
        cell = page.locator("#b2-categories .heat tbody tr", has_text="lengths").first.locator("td a").first
        shown = cell.inner_text()
        follow(page, cell)
        mean = sum(map(float, page.locator("#b2-explorer .found td:nth-child(2)").all_inner_texts()))
        assert mean / page.locator("#b2-explorer .found tbody tr").count() == pytest.approx(float(shown), abs=1e-3)
        assert watched.said == []


def test_two_to_four_systems_are_compared_and_the_address_says_which(browser: Any, file: str) -> None:
    with Watched(browser, f"{file}#b2") as watched:
        page = watched.page
        tick = page.locator("#b2-leaderboard div.leader input.tick")
        tick.nth(0).check()
        assert "tick one to three more" in page.locator("#b2 .tray").inner_text()
        assert not page.locator("#b2 .compare").is_visible()
        for place in (1, 2, 3):
            tick.nth(place).check()
        assert tick.nth(4).is_disabled()
        chosen = [tick.nth(place).get_attribute("value") for place in range(4)]
        address = page.evaluate("location.href")
        text = page.locator("#b2 .compare").inner_text()
        assert f"Compared: {', '.join(chosen)}" in text
        page.get_by_text("Clear", exact=True).locator("visible=true").click()
        assert not page.locator("#b2 .compare").is_visible()
    with Watched(browser, address) as watched:
        assert watched.page.locator("#b2 .compare").inner_text() == text
        first = watched.page.locator("#b2 .compare table").last.locator("tbody a").first
        name = first.inner_text()
        follow(watched.page, first)
        assert name in watched.page.locator("#b2-explorer .detail").inner_text()
        assert watched.said == []


@pytest.mark.parametrize("board", [0, 1])
def test_what_the_page_computes_of_a_comparison_is_what_statistics_computes(
    browser: Any, made: tuple[Found, str], board: int
) -> None:
    """Every measure and group, of hostile names too: the page's own formulas against those of the package."""
    told = made[0].boards[board][0]
    result = {row.system: row.result for row in told.rows}
    chosen = [row for row in told.rows if row.control is None][:2] + [row for row in told.rows if row.control][:2]
    groups = {f"{one.name} (n = {one.n:,})": one.places for one in breakdown.categories(told)}
    groups |= {f"slice · {one.name} (n = {one.n:,})": one.places for one in breakdown.slices(told)}
    names = ",".join(quote(row.system, safe="") for row in chosen)
    with Watched(browser, f"{made[1]}#compare={names}&d=b{board + 1}") as watched:
        seen = 0
        for measure_name in told.measures:
            watched.page.locator(f"#b{board + 1} .compare select").select_option(measure_name)
            for table in watched.page.locator(f"#b{board + 1} .compare table").all()[:2]:
                for row in table.locator("tbody tr").all():
                    label = row.locator("th").inner_text().replace("\xa0", " ")
                    whole = label.split(" (n =")[0] in told.measures
                    of = label.split(" (n =")[0] if whole else measure_name
                    places = [
                        place
                        for place in (range(told.n) if whole else groups[label])
                        if not any(math.isnan(result[each.system].values[of][place]) for each in chosen)
                    ]
                    if whole and len(places) < told.n:
                        assert label == f"{of} (n = {len(places)})"
                    cells_of = row.locator("td").all()
                    base = [result[chosen[0].system].values[of][place] for place in places]
                    units = [told.units[place] for place in places]
                    for shift, other in enumerate(chosen[1:]):
                        own = [result[other.system].values[of][place] for place in places]
                        columns = ([[value] for value in values] for values in (own, base))
                        [paired] = statistics.compare(*columns, units, [(of, "a", "b")])
                        cell, again = cells_of[len(chosen) + shift], paired.comparison
                        if max(abs(a - b) for a, b in zip(own, base, strict=True)) < 1e-12:
                            assert cell.inner_text() in ("identical", "0.000\n[0.000, 0.000]")
                            continue
                        exact = [float(text) for text in str(cell.locator("a").get_attribute("data-exact")).split()]
                        exact += [float("nan")] * (3 - len(exact))  # no interval of a single unit
                        wanted = (again.difference, again.low, again.high)
                        assert exact == pytest.approx(wanted, abs=1e-7, nan_ok=True), (label, of)
                        shown = cells.signed(again.difference) + cells.interval(again.low, again.high, sign=True)
                        assert cell.inner_text().replace("\n", " ") == shown
                        seen += 1
        assert seen > 50
        assert watched.said == []


def test_hostile_texts_are_shown_as_texts(browser: Any, file: str) -> None:
    with Watched(browser, f"{file}#q=s0%3Aq1&d=b1") as watched:
        page = watched.page
        text = page.locator("#b1-explorer .detail").inner_text()
        assert "</script><script>alert(1)</script>" in text
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == page.locator("script[type='text/plain']").count() + 1
        names = page.locator("#b1-leaderboard div.leader th.name").all_inner_texts()
        assert HOSTILE[0] in names
        assert HOSTILE[5] in names
        assert watched.said == []


def test_a_public_page_shows_ids(browser: Any, tmp_path: Path) -> None:
    dataset = replace(shop(stores=6))
    folder = measure(dataset, tmp_path / "shop", MODELS)
    reporting.write(found((dataset, folder), texts="none"), tmp_path / "r.html")
    with Watched(browser, f"file://{tmp_path / 'r.html'}#q=s3%3Aq2") as watched:
        text = watched.page.locator("#b1-explorer").inner_text()
        assert "Ids only" in text
        assert "★ m2" in text
        assert "pears" not in watched.page.content()
        assert watched.said == []


def test_what_is_packed_here_is_unpacked_there(browser: Any, tmp_path: Path) -> None:
    """Runs, long blocks and every byte: the page's own reader of bzip2 against Python's writer."""
    import random

    from memeval.report.page_data import pack

    source = (Path(reporting.__file__).parent / "page.js").read_text()
    reader = source[source.index("const bunzip") : source.index("const opened")]
    drawn = random.Random(0)
    texts = [
        "",
        "a",
        "a" * 4,
        "a" * 259,
        "ab" * 700_000,
        "".join(chr(drawn.randrange(32, 3000)) for _ in range(300_000)),
    ]
    with Watched(browser, "about:blank") as watched:
        for text in texts:
            call = "return JSON.parse(bunzip(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));"
            unpacked = watched.page.evaluate(f"(text) => {{ {reader} {call} }}", pack(text))
            assert unpacked == text


def test_motion_and_print_are_respected(browser: Any, file: str) -> None:
    with Watched(browser, file, reduced_motion="reduce") as watched:
        page = watched.page
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        page.emulate_media(media="print")
        assert not page.locator(".parts").first.is_visible()
