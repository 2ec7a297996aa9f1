from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree

import pytest

from prebuild.report.html import as_html, ticks
from prebuild.report.model import make_report
from tests.unit.prebuild.report.samples import COSTS, EDGES, record, report

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


def bars(page: str) -> list[ElementTree.Element]:
    match = SVG.search(page)
    assert match is not None
    root = ElementTree.fromstring(match[0])  # noqa: S314  our own page
    return [group for group in root.iter("g") if group.get("class") == "bar"]


def test_page_needs_nothing_else() -> None:
    page = as_html(report())
    assert "http" not in page
    assert "src=" not in page
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page


def test_each_compile_and_the_link_has_a_bar_in_scale() -> None:
    found = bars(as_html(report()))
    rects = [group.find("rect") for group in found]
    widths = sorted(float(r.get("width", "0")) for r in rects if r is not None)
    assert len(widths) == 4
    assert widths[-1] == pytest.approx(1000 * 30 / 30.5, abs=0.01)
    tips = [group.findtext("title") for group in found]
    assert any("29.0 CPU s, peak 900 MiB" in (tip or "") for tip in tips)


def test_page_has_the_modules_and_every_kernel() -> None:
    page = as_html(report())
    modules, kernels = page.split("<h2>Timeline</h2>")[0], page.split('<table id="kernels">')[1]
    assert "<tr><td>deployed</td><td>2 of 10</td><td>2</td><td>123,456</td>" in modules
    assert "<td>module_x__deployed_0</td><td>one, two</td></tr>" in modules
    body = kernels.split("</table>")[0]
    assert body.count("<tr title=") == 2
    assert "<td>42</td>" in body


def test_names_are_escaped() -> None:
    page = as_html(make_report(record(compiler="<b>x"), EDGES, COSTS, {}))
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page


def test_the_page_says_when_of_what_and_with_what_it_was_built() -> None:
    page = as_html(report())
    head = page.split("<h2>")[0]
    assert "<title>Build of 2026-11-26 08:00 UTC</title>" in head
    for text in ("one, two", "clang 22", "0" * 40):
        assert text in head


def test_a_cached_kernel_has_a_bar_of_its_last_compile() -> None:
    units = tuple(dataclasses.replace(unit, cached=True) for unit in record().units)
    known = {units[0].id: 30.0, units[1].id: 15.0}
    page = as_html(make_report(record(units=units), [], {}, {}, known))
    assert "saved 45 s" in page
    kernels = page.split('<table id="kernels">')[1].split("</table>")[0]
    assert 'style="width: 100.0%"' in kernels
    assert 'style="width: 50.0%"' in kernels


def test_a_build_from_the_cache_alone_has_no_timeline() -> None:
    units = record().units[3:]
    page = as_html(make_report(record(units=units), EDGES, COSTS, {}))
    assert "every object came from the cache" in page
    assert "saved" in page
    assert "<svg" not in page


@pytest.mark.parametrize(
    ("span", "expected"), [(30.5, [0, 5, 10, 15, 20, 25, 30]), (0.0, []), (0.8, [0, 0.1])]
)
def test_marks_of_the_axis_are_round(span: float, expected: list[float]) -> None:
    assert ticks(span)[: len(expected)] == expected
    assert len(ticks(span)) <= 10
