"""The page: what is in the file, and how it behaves in headless Chromium where there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from conftest import tts
from synthetic_run import synthetic_run

from tts.report.html import write_html

EVIL = '</script><img src=x onerror="window.evil=1"><b>bold</b> & "quoted" '


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs; one problem of the first has a tree and rounds, another a text that means harm, and one failed."""
    folder = tmp_path_factory.mktemp("page")
    run, other = synthetic_run(folder / "votes", 30, 8), synthetic_run(folder / "beam", 30, 8, seed=1, strategy="beam")
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    lines[0]["solution"]["tree"] = [
        {"id": "0", "parent": None, "text": "first step", "score": 0.9, "tokens": 5, "finish": "stop", "pruned": False},
        {"id": "1", "parent": "0", "text": "kept step", "score": 0.8, "tokens": 6, "finish": "stop", "pruned": False},
        {"id": "2", "parent": "0", "text": "pruned step", "score": 0.1, "tokens": 7, "finish": "stop", "pruned": True},
    ]
    lines[0]["solution"]["rounds"] = [
        {"round": 1, "tokens": 50, "answer": None, "finish": "stop", "seconds": 0.5, "context": "summary so far " * 9},
        {"round": 2, "tokens": 30, "answer": "7", "finish": "stop", "seconds": 0.25, "context": "the end " * 12},
    ]
    lines[1]["question"] = EVIL + lines[1]["question"]
    lines[1]["solution"]["candidates"][0]["text"] = (
        EVIL + "it costs $5, then $6. Also \\(\\frac{1}{2}\\) and \\boxed{3}."
    )
    lines[2] |= {"status": "error", "error": "the engine refused", "solution": {"answer": None, "candidates": []}}
    lines[2]["grade"] = {"correct": None, "answer": None, "target": "1", "status": "no_answer"}
    (run / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = folder / "page.html"
    write_html([run, other], path)
    return path


def test_the_file_asks_for_nothing_outside_itself(page: Path) -> None:
    text = page.read_text()
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert "url(fonts/" not in text
    assert text.count("font/woff2;base64,") == 20
    assert EVIL not in text
    assert [p.name for p in page.parent.iterdir() if p.name.startswith(".")] == []


def test_samples_left_out_are_counted(tmp_path: Path) -> None:
    run = synthetic_run(tmp_path / "run", 5, 8)
    whole, part = tmp_path / "whole.html", tmp_path / "part.html"
    assert tts("report", run, "--html", whole).returncode == 0
    assert tts("report", run, "--html", part, "--html-samples", 2).returncode == 0
    assert part.stat().st_size < whole.stat().st_size


@pytest.fixture(scope="module")
def tab(page: Path) -> Iterator[chromium.Page]:
    if chromium.find() is None:
        pytest.skip("no Chromium on this machine: the page is not opened")
    with chromium.page() as found:
        found.open(f"file://{page}")
        found.wait("'ready' in document.documentElement.dataset")
        yield found
        assert found.problems() == []


ROWS = "document.querySelectorAll('#problems tbody tr').length"


def click(tab: chromium.Page, name: str) -> None:
    tab.run(f"document.getElementById('{name}').click()")


def test_plots_have_curves_bands_and_a_front(tab: chromium.Page) -> None:
    assert tab.run("document.querySelectorAll('.plot svg').length") >= 8
    first = "document.querySelector('.plot')"
    assert tab.run(f"{first}.querySelectorAll('svg path[opacity]').length") >= 3
    assert tab.run(f"{first}.querySelectorAll('svg circle[r=\"7\"]').length") >= 1
    assert "beam, as run" in tab.run(f"{first}.querySelector('.legend').textContent")


def test_a_legend_hides_its_curve_and_the_axis_changes(tab: chromium.Page) -> None:
    count = "document.querySelector('.plot').querySelectorAll('svg circle').length"
    before = tab.run(count)
    tab.run("document.querySelector('.plot .legend span').click()")
    assert tab.run(count) < before
    tab.run("document.querySelector('.plot .legend span').click()")
    assert tab.run(count) == before
    assert "(log)" in tab.run("document.querySelector('.plot svg').textContent")
    tab.run("document.querySelector('.plot .legend button').click()")
    assert "(log)" not in tab.run("document.querySelector('.plot svg').textContent")


def test_pointing_at_a_point_says_what_it_is(tab: chromium.Page) -> None:
    tab.run("document.querySelector('.plot svg circle[r=\"11\"]').dispatchEvent(new PointerEvent('pointerenter'))")
    said = tab.run("document.querySelector('.plot .tip:not([hidden])').textContent")
    assert re.search(r"k = 1: [\d.]+ % \[[\d.]+, [\d.]+\]", said)


def test_filters_narrow_the_table(tab: chromium.Page) -> None:
    assert tab.run(ROWS) == 30
    wrong = tab.run("data.runs[0].problems.filter((p) => p.correct === false).length")
    assert 0 < wrong < 30
    click(tab, "wrong")
    assert tab.run(ROWS) == wrong
    click(tab, "wrong")
    click(tab, "cut")
    assert tab.run(ROWS) == tab.run("data.runs[0].problems.filter((p) => p.truncated).length")
    click(tab, "cut")
    click(tab, "split")
    assert tab.run(ROWS) == tab.run("data.runs[0].problems.filter((p) => p.share <= 0.5 && p.share !== null).length")
    click(tab, "split")
    for box, value in (("level", "5"), ("solved", "0-0"), ("query", "q12")):
        tab.run(
            f"{{const b = document.getElementById('{box}'); b.value = '{value}'; b.dispatchEvent(new Event('input'))}}"
        )
        assert 0 < tab.run(ROWS) < 30, box
        tab.run(f"{{const b = document.getElementById('{box}'); b.value = ''; b.dispatchEvent(new Event('input'))}}")
    assert tab.run(ROWS) == 30


def read(tab: chromium.Page, at: int) -> str:
    tab.run(f"location.hash = 'r0/{at}'")
    name = tab.run(f"data.runs[0].problems[{at}].id")
    tab.wait(f"!reader.hidden && document.querySelector('#reader b').textContent === '{name}'")
    return str(tab.run("document.getElementById('reader').textContent"))


def test_the_reader_sets_mathematics_and_shows_votes_and_scores(tab: chromium.Page) -> None:
    said = read(tab, 5)
    assert tab.run("document.querySelectorAll('#reader .katex').length") >= 3
    assert tab.run("document.querySelectorAll('#reader .vote').length") >= 1
    assert "samples (8)" in said
    assert "prm" in said
    assert tab.run("document.querySelectorAll('#reader details .score').length") >= 8
    assert tab.run("document.fonts.size") == 20
    click(tab, "raw")
    tab.wait("document.querySelector('#reader details .text').textContent.includes('boxed{')")
    click(tab, "raw")


def test_the_reader_shows_trees_and_rounds(tab: chromium.Page) -> None:
    said = read(tab, 0)
    assert "first step" in said
    assert tab.run("document.querySelectorAll('#reader .tree .pruned').length") == 1
    assert tab.run("document.querySelector('#reader .tree ul ul').textContent").count("step") == 2
    assert "round 1" in said
    assert "seconds 0.25" in said


def test_text_of_a_model_is_text(tab: chromium.Page) -> None:
    said = read(tab, 1)
    assert "<b>bold</b>" in said
    assert "it costs $5, then $6." in said
    assert tab.run("window.evil") is None
    assert tab.run("document.querySelectorAll('#reader img').length") == 0


def test_a_failed_problem_says_why(tab: chromium.Page) -> None:
    assert "the engine refused" in read(tab, 2)


def test_keys_move_through_what_is_listed(tab: chromium.Page) -> None:
    read(tab, 0)
    tab.run("dispatchEvent(new KeyboardEvent('keydown', {key: 'j'}))")
    tab.wait("document.querySelector('#reader b').textContent === 'q1'")
    tab.run("dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}))")
    assert tab.run("document.getElementById('reader').hidden")
