"""Draw with matplotlib, without its global state, as SVG that is embedded in a page.

Colours are placeholders that become CSS variables of the page, which has light, dark and print colours. Text
stays text, so it can be read aloud, searched and copied.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID = "#010101", "#020202", "#030303"
#: Colours of the candidate, the champion, and of a third and a fourth series.
OURS, THEIRS, THIRD, FOURTH = "#040404", "#050505", "#060606", "#070707"
PAPER = "#080808"
SERIES = (OURS, THEIRS, THIRD, FOURTH)

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    OURS: "--ours",
    THEIRS: "--theirs",
    THIRD: "--third",
    FOURTH: "--fourth",
    PAPER: "--paper",
}

_STYLE: Any = {  # matplotlib's type for it lists three hundred keys
    "svg.fonttype": "none",
    "svg.hashsalt": "modelane",
    "text.parse_math": False,  # a column may be named $x$
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "figure.constrained_layout.h_pad": 0.06,
}

#: Sizes in inches.
WIDE, SQUARE = (6.4, 3.4), (4.6, 4.2)


def drawn(draw: Callable[[Axes], None], *, name: str, alt: str, size: tuple[float, float] = SQUARE) -> Markup:
    """Return the picture that ``draw`` paints, as an SVG element.

    Args:
        draw: called with the axes.
        name: unique in the page; a prefix of the ids in the SVG.
        alt: describes the picture, for people who cannot see it.
        size: width and height in inches.
    """
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about glyphs that matplotlib's font lacks; browsers have them
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        written = StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(written.getvalue(), name, alt)


def short(label: Any, length: int = 26) -> str:
    """Return a label of at most ``length`` characters."""
    text = " ".join(str(label).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _for_page(svg: str, name: str, alt: str) -> Markup:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)  # matplotlib repeats each text in a comment
    view = re.search(r'viewBox="([^"]+)"', body)
    assert view is not None
    inner = body[body.index(">") + 1 :]
    inner = re.sub(r'\bid="', f'id="{name}-', inner)
    inner = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", inner)
    for colour, variable in _VARIABLES.items():
        inner = inner.replace(colour, f"var({variable})")
    # The font of the page, which differs a little from the one that matplotlib has measured.
    inner = re.sub(r"(font: [^;\"']*?px) [^;\"]*", r"\1 var(--sans)", inner)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view[1]}" role="img" aria-label="{escape(alt)}">'
    )
    return Markup(head + inner)  # noqa: S704  # matplotlib escapes what it writes
