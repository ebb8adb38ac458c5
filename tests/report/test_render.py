"""The whole report: what is in it, what never is, and what a reader is told when it fails."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.report.factory import MASKED, control, curve, flag, history, report, shifted, write

from ntprune.attacks import attack_class
from ntprune.audit.flags.texts import entries
from ntprune.audit.schema import SourceChange
from ntprune.errors import AuditError, OutputError
from ntprune.report import render
from ntprune.report.history import panels_of
from ntprune.report.text import NBSP

HOSTILE = "<script>alert(1)</script>|$x$"


def text(page: str) -> str:
    """What a reader sees of an HTML page, without figures."""
    bare = re.sub(r"<svg.*?</svg>|<style>.*?</style>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", bare))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """One audit, rendered."""
    root = tmp_path_factory.mktemp("one")
    out = render([write(root / "audit", report(flags=[flag()]), history())], root / "report.html")
    assert out == root / "report.html"
    return out.read_text(), out.with_suffix(".md").read_text()


def test_one_file_without_network_or_script(made: tuple[str, str]) -> None:
    page = made[0]
    assert not re.search(r"https?://|//[a-z]+\.|<script|<link|<img|@import|javascript:", page)
    assert not re.search(r"\b(?:src|href)=\"(?!#)", page)


def test_what_the_source_lost_has_an_interval_wherever_it_stands(made: tuple[str, str]) -> None:
    for document in (text(made[0]), made[1]):
        assert "0.80 (0.41 to 1.23)" in document, "in its table"
        assert f"0.8 points lost; 95{NBSP}% interval of the loss 0.4 to 1.2" in document
        assert "1.30 (0.62 to 1.98)" in document, "of a control"
        assert f"in points, in brackets a 95{NBSP}% interval over its images" in document


def test_which_attacks_were_made_on_a_control_is_said(made: tuple[str, str]) -> None:
    """A control that few attacks were made on would else look better than it is."""
    for document in (text(made[0]), made[1]):
        assert "attacks that were made: on unprotected finetune; on magnitude finetune;" in document


def test_a_report_from_before_there_was_one_promises_none(tmp_path: Path) -> None:
    bare = SourceChange(name="mnist", before=0.991, after=0.983, drop_pp=0.8)
    audits = [write(tmp_path / name, report(source=bare)) for name in ("a", "b")]
    page = text(render(audits, tmp_path / "report.html").read_text())
    assert "0.80" in page
    assert "over its images" not in page
    assert "over test images" not in page
    audits.append(write(tmp_path / "c", report()))
    page = text(render(audits, tmp_path / "newer.html").read_text())
    assert f"in brackets its 95{NBSP}% interval over test images" in page


def test_order_of_sections(made: tuple[str, str]) -> None:
    wanted = (
        "Attacks",
        "Controls",
        "Flags",
        "Source accuracy",
        "Sparsity by layer",
        "Training history",
        "Settings, versions and cost",
    )
    for document, heading in zip(made, ("<h3>", "### "), strict=True):
        start = document.index("Measured with protocol standard/1, 5 runs")
        places = [start, *(document.index(heading + word) for word in wanted)]
        assert places == sorted(places)
        assert "gains nothing from this file" in document[:start]


def test_every_figure_parses_and_ids_are_unique(made: tuple[str, str]) -> None:
    page = made[0]
    figures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 10  # five, each wide and narrow
    for figure in figures:
        assert ET.fromstring(figure).get("aria-label")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', page))
    assert used <= set(ids)


def test_figures_take_their_colours_from_the_page(made: tuple[str, str]) -> None:
    figures = "".join(re.findall(r"<svg.*?</svg>", made[0], flags=re.DOTALL))
    assert not re.search(r"#[0-9a-f]{6}\b", figures)
    used = set(re.findall(r"var\(--([\w-]+)\)", figures))
    defined = set(re.findall(r"--([\w-]+):", made[0]))
    assert used <= defined


def test_the_twin_has_the_same_numbers(made: tuple[str, str]) -> None:
    page, twin = text(made[0]), made[1]
    number = r"[+−]?\d[\d,]*\.\d+"
    assert set(re.findall(number, twin)) == set(re.findall(number, page))


def test_no_table_or_figure_of_results_without_its_protocol(made: tuple[str, str]) -> None:
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", made[0], flags=re.DOTALL)
    own = ("card", "defender")  # numbers that no protocol stands behind
    assert captions
    assert all("standard/1" in c or any(word in c for word in own) for c in captions)


def test_flags_and_their_absence(made: tuple[str, str], tmp_path: Path) -> None:
    for document in made:
        assert "highest one tried" in document
        assert "What the flags mean" in document
    out = render([write(tmp_path / "audit", report())], tmp_path / "r.html")
    for file in (out, out.with_suffix(".md")):
        assert "No flag was raised." in file.read_text()
        assert "What the flags mean" not in file.read_text()


def test_a_flag_leads_to_its_entry(tmp_path: Path) -> None:
    """Once, however many audits raise it, and in the very words of the documentation."""
    audit = report(flags=[flag(name) for name in entries()])
    folders = [write(tmp_path / name, audit) for name in ("a", "b")]
    out = render(folders, tmp_path / "r.html")
    page, twin = (
        html.unescape(re.sub("</?code>", "`", file.read_text()))
        for file in (out, out.with_suffix(".md"))
    )
    for name, entry in entries().items():
        assert page.count(f'<a href="#flag-{name}">{name}</a>') == 2
        assert page.count(f'<h3 id="flag-{name}">') == 1
        assert twin.count(f"[{name}](#flag-{name})") == 2
        assert twin.count(f'<a id="flag-{name}">') == 1
        assert f"<li><strong>Raised when</strong> {entry.raised}\n</li>" in page
        assert f"<li><strong>Meaning:</strong> {entry.meaning}\n</li>" in page
        assert f"<li><strong>What to do:</strong> {entry.remedy}\n</li>" in page
        assert (
            f"- **Raised when** {entry.raised}\n- **Meaning:** {entry.meaning}\n"
            f"- **What to do:** {entry.remedy}\n"
        ) in twin


def test_a_flag_of_another_version_is_named_without_a_link(tmp_path: Path) -> None:
    audit = report(flags=[flag("of-old"), flag(f'"{HOSTILE}')])
    out = render([write(tmp_path / "audit", audit)], tmp_path / "r.html")
    page, twin = out.read_text(), out.with_suffix(".md").read_text()
    assert "<strong>of-old</strong> The best" in page
    assert "- **of-old**: The best" in twin
    for document in (page, twin):
        assert "#flag-" not in document
        assert "<script" not in document


def test_what_each_thief_needs(made: tuple[str, str], tmp_path: Path) -> None:
    page, twin = made
    assert page.count("<summary>What each thief needs</summary>") == 1
    row = ("mix", "yes", "yes", "yes", "free", "any", "the architecture and labelled source images")
    assert f"| {' | '.join(('masked', 'yes', 'yes', 'no', 'kept', 'kept'))} |" in twin
    threats = {name: attack_class("mix").threat for name in ("mix", "mix@sgd", "mix@long")}
    out = render([write(tmp_path / "a", report(threats=threats))], tmp_path / "r.html")
    cells = "".join(f"<td>{cell}</td>" for cell in row[1:])
    assert out.read_text().count(f'<th scope="row">mix</th>{cells}') == 1
    assert out.with_suffix(".md").read_text().count(f"| {' | '.join(row)} |") == 1


def test_an_older_report_says_nothing_of_needs(tmp_path: Path) -> None:
    folder = write(tmp_path / "audit", report())
    file = folder / "report.json"
    content = json.loads(file.read_text())
    del content["threats"]
    file.write_text(json.dumps(content))
    out = render([folder], tmp_path / "r.html")
    assert "What each thief needs" not in out.read_text()
    assert "Must know" not in out.with_suffix(".md").read_text()


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    attacks = {HOSTILE: curve(MASKED), "a\nb\x00": curve(shifted(MASKED, -0.1))}
    audit = report(target=HOSTILE, attacks=attacks, controls={HOSTILE: control(MASKED, 0.9, 0.9)})
    out = render([write(tmp_path / "a<b>&", audit, history())], tmp_path / "r.html")
    page, twin = out.read_text(), out.with_suffix(".md").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;|$x$" in page
    assert "\x00" not in page + twin
    assert "<script" not in twin
    rows = [line for line in twin.splitlines() if line.startswith("|")]
    assert any("\\|\\$x\\$" in row for row in rows)
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ET.fromstring(figure)


def test_same_audit_same_bytes(
    made: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = next(tmp_path_factory.getbasetemp().glob("one[0-9]*"))
    again = render([root / "audit"], root / "again.html")
    assert (again.read_text(), again.with_suffix(".md").read_text()) == made


@pytest.mark.parametrize("records", [None, []])
def test_no_history(tmp_path: Path, records: list[dict[str, object]] | None) -> None:
    out = render([write(tmp_path / "audit", report(), records)], tmp_path / "r.html")
    for file in (out, out.with_suffix(".md")):
        assert "No training history was kept." in file.read_text()


def test_history_of_another_method(tmp_path: Path) -> None:
    records = [{"phase": "x", "mmd": 0.5 / i, "note": "a", "bad": float("nan")} for i in (1, 2)]
    out = render([write(tmp_path / "audit", report(), records)], tmp_path / "r.html")
    assert ">mmd</text>" in out.read_text()


def test_steps_that_are_none_are_no_reason_to_fail(tmp_path: Path) -> None:
    records = [{"step": step, "loss": 1.0} for step in (None, "x", [1], 10**400, 3)]
    out = render([write(tmp_path / "audit", report(), records)], tmp_path / "r.html")
    assert "optimiser step" in out.read_text()


def test_a_figure_that_is_no_number(tmp_path: Path) -> None:
    """A report could not draw it, or would draw a conclusion from it."""
    folder = write(tmp_path / "audit", report())
    document = json.loads((folder / "report.json").read_bytes())
    document["controls"]["unprotected"]["envelope"]["mean_gap"] = float("nan")
    (folder / "report.json").write_text(json.dumps(document))
    with pytest.raises(AuditError, match=r"controls.unprotected.envelope.mean_gap: .*finite"):
        render([folder], tmp_path / "r.html")


def test_a_file_that_is_no_report_is_kept(tmp_path: Path) -> None:
    folder = write(tmp_path / "audit", report())
    (tmp_path / "README.md").write_text("precious")
    (tmp_path / "page.html").write_text("<!doctype html><title>precious</title>")
    for kept, other in (("README.md", "README.html"), ("page.html", "page.md")):
        with pytest.raises(OutputError, match=rf"{kept} is no report and would be replaced"):
            render([folder], (tmp_path / kept).with_suffix(".html"))
        assert "precious" in (tmp_path / kept).read_text()
        assert not (tmp_path / other).exists()
    for _ in range(2):
        render([folder], tmp_path / "mine.html")


def test_one_line_a_target_beside_their_mean(tmp_path: Path) -> None:
    targets = ("usps", "blended:mnist", f"{HOSTILE}: x")
    records = [
        {"phase": "finish", "step": i, "thief": -1 / i} | {f"thief: {t}": -0.9 / i for t in targets}
        for i in (1, 2)
    ]
    panels = panels_of(records)
    (panel,) = panels
    assert panel.title == "quick thief's success, nats"
    labels = [label for label, _, _ in panel.lines]
    assert labels[:3] == ["thief", "usps", "blended:mnist"]
    assert len(labels[3]) <= 24
    assert panel.lines[1][1:] == ([1.0, 2.0], [-0.9, -0.45])
    out = render([write(tmp_path / "audit", report(), records)], tmp_path / "r.html")
    assert ">blended:mnist</text>" in out.read_text()


def test_several_audits(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / "a", report()),
        write(tmp_path / "b", report(0.05, protocol="quick/1")),
    ]
    out = render(folders, tmp_path / "r.html")
    page, twin = out.read_text(), out.with_suffix(".md").read_text()
    for document in (page, twin):
        assert "different protocols cannot be compared" in document
        assert document.index("1. mnist to usps, ntp") < document.index("2. mnist to usps, ntp")
        assert document.index("2. mnist model") > document.index("No training history")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_many_layers_and_attacks(tmp_path: Path) -> None:
    audit = report(attacks={f"attack-{i}": curve(shifted(MASKED, -0.01 * i)) for i in range(14)})
    layers = {f"blocks.{i}.conv.weight": 0.5 + i / 400 for i in range(120)}
    audit = audit.model_copy(update={"release": audit.release | {"layers": layers}})
    page = render([write(tmp_path / "a", audit)], tmp_path / "r.html").read_text()
    assert "The 48 densest are shown." in page
    assert "blocks.119.conv.weight" in page  # in the table


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "report.json").unlink(), "finish it by running the same command again"),
        (lambda f: (f / "report.json").write_text('{"schema": 1,'), "is damaged"),
        (lambda f: (f / "report.json").write_bytes(b"\xff\xfe\x00"), "is damaged"),
        (lambda f: (f / "report.json").write_text("[]"), "not an audit of this version"),
        (lambda f: change(f, schema=2), "schema"),
        (lambda f: change(f, release={"method": "ntp"}), "release.settings"),
        (lambda f: change(f, budgets=[8, 42]), "5 values for 2 budgets"),
        (lambda f: (f / "history.json").write_text('{"a": 1}'), "list of training records"),
        (lambda f: (f / "history.json").write_text("["), "history.json is damaged"),
        (lambda f: (f / "history.json").write_text("[" * 100_000), "history.json is damaged"),
    ],
)
def test_bad_folders(tmp_path: Path, spoil: object, says: str) -> None:
    folder = write(tmp_path / "audit", report())
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(AuditError) as caught:
        render([folder], tmp_path / "r.html")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r.html").exists()


def change(folder: Path, **values: object) -> None:
    """Replace entries of `report.json`."""
    file = folder / "report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="run 'ntprune audit' first"):
        render([tmp_path / "nothing"], tmp_path / "r.html")
    with pytest.raises(AuditError, match="at least one"):
        render([], tmp_path / "r.html")
    with pytest.raises(OutputError, match=r"\.html"):
        render([write(tmp_path / "audit", report())], tmp_path / "r.pdf")
