"""Measure how fast Flask-ImageMeta is, beside what one would write by hand.

Usage: python benchmarks/run.py [--quick] [--only P1,P2,...]

Prints one table. A whole run, without --quick and --only, also writes results.json, table.md,
chart.svg and far.md beside this file. It takes about fifteen minutes, a quick one about five.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from time import monotonic

import apps
import chart
import far
import footprint
import scale
import sides
import sockets
import upstream
import views
import workers
from harness import Figure

HERE = Path(__file__).parent
LIBRARIES = ("flask", "werkzeug", "flask-sqlalchemy", "sqlalchemy", "marshmallow")
LEFT_OUT = f"The hand-written views leave out: {apps.LEFT_OUT}."
TITLES = ["id", "compared", "ratio", "spread", "goal", "verdict", "absolute"]
EVERYTHING = tuple(f"P{number}" for number in range(1, 11))
STARTED = monotonic()


def say(message: str) -> None:
    """Show what is being done, where it does not mix with the table."""
    print(f"[{monotonic() - STARTED:4.0f} s] {message}", file=sys.stderr, flush=True)


def measure(quick: bool, only: set[str]) -> Iterator[Figure]:
    parts = [
        ({"P1", "P2", "P3", "P7", "P10"}, lambda: views.measure(quick, only, say)),
        ({"P4"}, lambda: sockets.measure(quick, say)),
        ({"P5"}, lambda: scale.measure(quick, say)),
        ({"P6"}, lambda: footprint.measure(quick, say)),
        ({"P8"}, lambda: upstream.measure(quick, say)),
        ({"P9"}, lambda: workers.measure(quick, say)),
        ({"P10"}, lambda: sides.measure(quick, say)),
    ]
    for ids, part in parts:
        if ids & only:
            yield from part()


def number(value: float, unit: str) -> str:
    digits = 2 if not unit else 0 if value >= 100 else 1
    return f"{value:.{digits}f} {unit}".rstrip()


def as_row(figure: Figure) -> list[str]:
    low, median, high = figure.spread
    goal = "" if figure.goal is None else f"{'≥' if figure.is_floor else '≤'} {figure.goal:g}"
    verdict = "" if figure.goal is None else "met" if figure.is_met else "MISSED"
    digits = 0 if low >= 100 else 2
    between = f"{low:.{digits}f} to {high:.{digits}f}"
    ratio = number(median, figure.unit)
    return [figure.id, figure.compared, ratio, between, goal, verdict, figure.note]


def show(figures: list[Figure]) -> None:
    rows = [TITLES, *map(as_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[6]]).rstrip())
    print(f"\n{LEFT_OUT}")


def as_markdown(figures: list[Figure], machine: str) -> str:
    """Return the table for the documentation."""
    rows = [TITLES, ["---"] * len(TITLES), *map(as_row, figures)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", LEFT_OUT, "", f"Measured on {machine}.", ""])


def write(figures: list[Figure]) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    (HERE / "table.md").write_text(as_markdown(figures, machine), "utf-8")
    results = {
        "machine": machine,
        "left_out_by_views": apps.LEFT_OUT,
        "libraries": {name: version(name) for name in LIBRARIES},
        "figures": [
            figure._asdict()
            | {"spread": figure.spread._asdict(), "is_met": figure.is_met}
            | {"microseconds": dict(figure.microseconds), "rates": dict(figure.rates)}
            for figure in figures
        ],
    }
    text = json.dumps(results, indent=2, ensure_ascii=False)
    (HERE / "results.json").write_text(text + "\n", "utf-8")
    (HERE / "far.md").write_text(far.render(results), "utf-8")
    times = {name: taken for figure in figures for name, taken in figure.microseconds.items()}
    bars = [
        chart.Bar(label, times[name], name.startswith(("dict", "model")))
        for name, label in views.LABELS.items()
    ]
    note = "microseconds of processor time; one image, 15 fields and 4 properties; less is faster"
    svg = chart.draw("One HEAD request", note, bars, LEFT_OUT)
    (HERE / "chart.svg").write_text(svg, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller tables")
    parser.add_argument(
        "--only", default=",".join(EVERYTHING), metavar="P1,P2,...", help="some of them"
    )
    arguments = parser.parse_args()
    only = set(arguments.only.upper().split(","))
    if only - set(EVERYTHING):
        some = f"some of P1 to {EVERYTHING[-1]}, with commas"
        parser.error(f"--only is {arguments.only!r}, but must be {some}")
    figures = sorted(measure(arguments.quick, only), key=lambda figure: int(figure.id[1:]))
    show(figures)
    if only == set(EVERYTHING) and not arguments.quick:
        write(figures)


if __name__ == "__main__":
    main()
