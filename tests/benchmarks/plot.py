"""Draws the growth curves as SVG: one small chart for each, CPU time over size, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 300, 190, 48, 30, 30
_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#57606a}.t{font-weight:600;fill:#24292f}"
    ".c{fill:none;stroke:#0969da;stroke-width:2}.d{fill:#0969da}.a{stroke:#d0d7de}.b{fill:#ffffff}"
    "@media(prefers-color-scheme:dark){text{fill:#8b949e}.t{fill:#e6edf3}.c{stroke:#58a6ff}.d{fill:#58a6ff}"
    ".a{stroke:#30363d}.b{fill:#0d1117}}"
)


def svg(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Return the charts side by side. Each curve: what grows → its rounds, each of size → µs of CPU."""
    charts = [_chart(name, _medians(rounds), at * _WIDTH) for at, (name, rounds) in enumerate(curves.items())]
    width = _WIDTH * len(curves)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}">'
        f'<style>{_STYLE}</style><rect class="b" width="{width}" height="{_HEIGHT}"/>{"".join(charts)}</svg>\n'
    )


def _medians(rounds: Sequence[Mapping[str, float]]) -> list[tuple[str, float]]:
    return [(label, median(one[label] for one in rounds)) for label in rounds[0]]


def _chart(name: str, points: Sequence[tuple[str, float]], left: int) -> str:
    low = math.log10(max(0.1, min(cost for _, cost in points))) - 0.1
    high = max(low + 1.0, math.log10(max(cost for _, cost in points)) + 0.1)
    inner_width, inner_height = _WIDTH - _LEFT - 20, _HEIGHT - _TOP - _BOTTOM

    def x(at: int) -> float:
        return left + _LEFT + inner_width * at / max(1, len(points) - 1)

    def y(cost: float) -> float:
        return _TOP + inner_height * (1 - (math.log10(max(0.1, cost)) - low) / (high - low))

    parts = [f'<text class="t" x="{left + _LEFT}" y="18">µs by {name}</text>']
    parts.append(f'<path class="a" d="M{left + _LEFT},{_TOP}V{_HEIGHT - _BOTTOM}H{left + _WIDTH - 20}" fill="none"/>')
    line = "L".join(f"{x(at):.1f},{y(cost):.1f}" for at, (_, cost) in enumerate(points))
    parts.append(f'<path class="c" d="M{line}"/>')
    for at, (label, cost) in enumerate(points):
        parts.append(f'<circle class="d" cx="{x(at):.1f}" cy="{y(cost):.1f}" r="3"/>')
        parts.append(f'<text x="{x(at):.1f}" y="{y(cost) - 7:.1f}" text-anchor="middle">{cost:,.0f}</text>')
        parts.append(f'<text x="{x(at):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{label}</text>')
    return "".join(parts)
