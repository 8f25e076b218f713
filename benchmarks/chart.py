"""The chart: what a request costs, as bars, in an SVG that follows light and dark."""

from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

WIDTH, BAR, GAP, TOP, LEFT, RIGHT, LINE = 760, 22, 10, 52, 290, 80, 18

STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .note { font-size: 12px; fill: #57606a }
  .ours { fill: #0969da }
  .theirs { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .theirs { fill: #656c76 }
  }
"""


class Bar(NamedTuple):
    """One bar: what was measured, and how many microseconds it took."""

    label: str
    microseconds: float
    is_ours: bool


def draw(title: str, note: str, bars: Sequence[Bar], footnote: str) -> str:
    """Return the SVG, with the note below the title and the footnote below the bars."""
    bottom = TOP + len(bars) * (BAR + GAP)
    footnotes = wrap(footnote, 110)  # characters: that many fit into the width
    height = bottom + LINE * (len(footnotes) + 1)
    scale = (WIDTH - LEFT - RIGHT) / max(bar.microseconds for bar in bars)
    summary = "; ".join(f"{bar.label}: {bar.microseconds:.0f} µs" for bar in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><desc>{escape(summary)}</desc>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="20">{escape(title)}</text>',
        f'<text class="note" x="8" y="38">{escape(note)}</text>',
    ]
    for number, bar in enumerate(bars):
        y = TOP + number * (BAR + GAP)
        width = bar.microseconds * scale
        kind = "ours" if bar.is_ours else "theirs"
        lines += [
            f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3"/>',
            f'<text x="{LEFT + width + 8:.1f}" y="{y + 16}">{bar.microseconds:.0f} µs</text>',
        ]
    for number, text in enumerate(footnotes, start=1):
        lines.append(f'<text class="note" x="8" y="{bottom + number * LINE}">{escape(text)}</text>')
    return "\n".join([*lines, "</svg>", ""])
