"""Draws figures with matplotlib and returns them as SVG for the page.

Colours become the page's CSS variables, so that the same figure fits a light and a dark theme. Texts stay texts, in the
page's own font. One unit of a figure is one CSS pixel. The modules in sections/ decide what is drawn.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from kerasbert.errors import BadInputError
from kerasbert.reports.wording import plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT, MUTED, GRID = "#1d2530", "#57616f", "#d9dee5"
SERIES = ("#2460c4", "#b8500b", "#0d7566", "#7b3fb3", "#9c1f52", "#5f6b1a")
# The pixels of an image cannot follow the theme, so these are mid-tones that stand out on white and on near-black.
RIGHT_RGB, WRONG_RGB = (0x2A / 255, 0x66 / 255, 0xD9 / 255), (0xC4 / 255, 0x56 / 255, 0x0C / 255)
ON_COLOUR = "#fffffe"
FONT_SIZE = 11.0

_VARIABLES = {TEXT: "--text", MUTED: "--muted", GRID: "--grid", ON_COLOUR: "--on-colour"} | {
    colour: f"--series-{index + 1}" for index, colour in enumerate(SERIES)
}
_XLINK = "{http://www.w3.org/1999/xlink}"
_SVG = "{http://www.w3.org/2000/svg}"
_DRAWING_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": FONT_SIZE,
    "text.color": TEXT,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.labelsize": FONT_SIZE,
    "grid.color": GRID,
    "grid.linewidth": 1,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": FONT_SIZE,
    "ytick.labelsize": FONT_SIZE,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


def require_extra() -> None:
    """Import the packages that a report needs.

    Raises:
        BadInputError: jinja2 or matplotlib is not installed.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise BadInputError(
            f"A report needs jinja2 and matplotlib. Received: {error}. "
            'Install both with `pip install "kerasbert[report]"`.'
        ) from error


def draw(
    size: tuple[float, float],
    margins: tuple[float, float, float, float],
    paint: Callable[["Axes"], None],
    description: str,
    least_scale: float = 0.8,
) -> str:
    """Draw one figure as SVG.

    Args:
        size: width and height in pixels.
        margins: the space for labels at the left, right, top and bottom of the axes, in pixels.
        paint: draws on the axes.
        description: what the figure shows, for readers who cannot see it.
        least_scale: the smallest scale in a narrow window, as a share of `size`. Below it, the figure scrolls.

    Returns:
        An `<svg>` element that needs nothing from outside the page.
    """
    import matplotlib
    from matplotlib.figure import Figure

    width, height = size
    left, right, top, bottom = margins
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser draws the texts with its own fonts, so glyphs that matplotlib's fonts lack do not matter.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_DRAWING_SETTINGS)
        # Makes ids unique within the page, and the same in each run.
        matplotlib.rcParams["svg.hashsalt"] = description
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        axes = figure.add_axes(
            (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
        )
        axes.tick_params(length=0, pad=6)
        paint(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _inlined(written.getvalue(), size, description, least_scale)


def _inlined(svg: str, size: tuple[float, float], description: str, least_scale: float) -> str:
    """The figure as an element of an HTML page."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(_SVG) in ("metadata", "style"):
                parent.remove(child)
    _merge_groups(root)
    marks = _referenced_ids(root)
    prefix = "f" + hashlib.sha256((description + svg).encode()).hexdigest()[:8]
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = {
            name.removeprefix(_XLINK): _attribute(name, value, prefix)
            for name, value in element.attrib.items()
            if name != "id" or value in marks
        }
        if element.tag != "text":
            element.text = None
        element.tail = None
    width, height = size
    root.attrib = {
        "viewBox": f"0 0 {width:g} {height:g}",
        "role": "img",
        "aria-label": plain_text(description),
        "style": f"max-width:{width:g}px;min-width:{width * least_scale:g}px",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _merge_groups(root: ElementTree.Element) -> None:
    """Replace groups that only have a name by their content: such groups make up a third of the file."""
    for child in list(root):
        _merge_groups(child)
        if child.tag == f"{_SVG}g" and set(child.attrib) <= {"id"}:
            index = list(root).index(child)
            root.remove(child)
            for offset, grandchild in enumerate(list(child)):
                root.insert(index + offset, grandchild)


def _referenced_ids(root: ElementTree.Element) -> set[str]:
    """The ids that an `href` or `url(#...)` of the figure points to."""
    return {
        mark
        for element in root.iter()
        for name, value in element.attrib.items()
        if not value.startswith("data:")
        for mark in re.findall(r"^#(\S+)$|url\(#([^)]+)\)", value)
        for mark in mark
        if mark
    }


def _attribute(name: str, value: str, prefix: str) -> str:
    """The attribute's value with the page's colours and font, short numbers, and ids that only this figure uses."""
    if name == "id":
        return prefix + value
    if name in (f"{_XLINK}href", "clip-path"):
        return value.replace("\n", "") if value.startswith("data:") else value.replace("#", "#" + prefix)
    if name == "style":
        # matplotlib before 3.9 writes the shorthand `font: 600 10px 'DejaVu Sans', ...`.
        value = re.sub(r"font: (?:(\d{3}|bold) )?([\d.]+px)[^;]*", r"font-weight: \1; font-size: \2", value)
        value = re.sub(r"font-family: [^;]*;?|font-weight: ;", "", value)
        value = re.sub(r"#[0-9a-f]{6}", lambda match: _themed(match[0]), value)
        return re.sub(r"\s*([:;])\s*", r"\1", value).strip(" ;")
    if name in ("d", "transform", "x", "y", "width", "height"):
        # The scale of an image is multiplied by the number of its cells, so it needs more digits.
        digits = 4 if name == "transform" else 2
        value = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.{digits}f}".rstrip("0").rstrip("."), value)
        return " ".join(value.split())
    return value


def _themed(colour: str) -> str:
    """The CSS variable for the colour, with the colour itself for viewers that do not support variables."""
    return f"var({_VARIABLES[colour]},{colour})" if colour in _VARIABLES else colour


def number_ticks(axis: Any, write: Callable[[float], str], count: int = 6, whole: bool = False) -> None:
    """Give an axis about `count` ticks, formatted by `write`. If `whole`, only at whole numbers."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10], integer=whole, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
