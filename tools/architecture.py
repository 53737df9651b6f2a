"""Draw the packages of the project and their imports as SVG, from the code.

    python -m tools.architecture docs/explanation/architecture.svg

The rows are chosen by hand, so that data flows from the bottom to the top and imports point down;
the boxes' captions and the arrows come from the code. An arrow stands for imports; those that
follow from others are left out (the transitive reduction), so that the picture can be read.
Packages that all others may import are a band without arrows.
"""

import ast
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

import grimp

REPOSITORY = Path(__file__).parents[1]
ROWS = (
    ("mediafm_assets", "cli"),
    ("pipeline", "evaluation"),
    ("training_sets", "api", "search"),
    ("isolation", "shots", "inference"),
    ("media", "clips", "queries"),
    ("titles", "encoders", "model", "store"),
    ("fusion", "storage", "scenes"),
)
BAND = (
    "config",
    "runtime",
    "disk",
    "report",
    "errors",
    "identity",
    "vectors",
    "readable",
    "overlaps",
)
"""Packages and modules that any other may import."""

BOX_WIDTH, BOX_HEIGHT = 200, 58
GAP_X, GAP_Y = 44, 46
BAND_COLUMNS = 5
MARGIN = 24
CAPTION_LETTERS = 31
"""Letters of a caption's line in a box, at 11 pixels."""

STYLE = """
  text { font-family: system-ui, sans-serif; font-size: 13px; fill: #1f2937; }
  .caption { font-size: 11px; fill: #4b5563; }
  rect { fill: #f8fafc; stroke: #64748b; rx: 6; }
  .assets rect { fill: #eef2ff; stroke: #6366f1; }
  path { fill: none; stroke: #94a3b8; stroke-width: 1.2; marker-end: url(#head); }
"""


@dataclass(frozen=True)
class Box:
    """A package or module of the drawing, at its place in pixels."""

    module: str
    caption: str
    x: float
    y: float


def imports_between(modules: list[str]) -> dict[str, set[str]]:
    """Return the modules among `modules` that each imports, directly or by its submodules."""
    graph = grimp.build_graph(
        "mediafm_core", "mediafm_assets", exclude_type_checking_imports=True, cache_dir=None
    )
    for module in modules:
        if graph.find_children(module):
            graph.squash_module(module)
    chosen = set(modules)
    return {
        module: graph.find_modules_directly_imported_by(module) & chosen - {module}
        for module in modules
    }


def transitive_reduction(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others; `imports` has no circle."""
    reach: dict[str, set[str]] = {}

    def reached(module: str) -> set[str]:
        if module not in reach:
            reach[module] = imports[module].union(*map(reached, imports[module]))
        return reach[module]

    return {
        module: {
            target
            for target in targets
            if not any(target in reached(other) for other in targets - {target})
        }
        for module, targets in imports.items()
    }


def caption_of(module: str) -> str:
    """Return the first sentence of a module's docstring, without its full stop."""
    path = REPOSITORY / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return text.split("\n\n")[0].split(":")[0].replace("\n", " ").rstrip(".")


def place() -> list[Box]:
    """Return a box for every package, each row centred, and the band in several lines below."""
    band = [BAND[at : at + BAND_COLUMNS] for at in range(0, len(BAND), BAND_COLUMNS)]
    rows = [*ROWS, *band]
    widest = max(map(len, rows)) * (BOX_WIDTH + GAP_X) - GAP_X
    boxes = []
    for level, row in enumerate(rows):
        width = len(row) * (BOX_WIDTH + GAP_X) - GAP_X
        y = MARGIN + level * (BOX_HEIGHT + GAP_Y)
        y -= max(0, level - len(ROWS)) * (GAP_Y - 12)  # the band's lines stand close together
        for index, name in enumerate(row):
            x = MARGIN + (widest - width) / 2 + index * (BOX_WIDTH + GAP_X)
            boxes.append(Box(module_of(name), caption_of(module_of(name)), x, y))
    return boxes


def module_of(name: str) -> str:
    """Return the module of a box's name."""
    return name if name.startswith("mediafm") else f"mediafm_core.{name}"


def draw(boxes: list[Box], arrows: dict[str, set[str]]) -> str:
    """Return the SVG document of boxes and arrows."""
    by_module = {box.module: box for box in boxes}
    width = max(box.x for box in boxes) + BOX_WIDTH + MARGIN
    height = max(box.y for box in boxes) + BOX_HEIGHT + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        "<title>Packages of the project; an arrow goes from a package to one it imports</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" '
        'style="fill:#94a3b8;stroke:none;marker-end:none"/></marker></defs>',
        '<rect width="100%" height="100%" style="fill:#ffffff;stroke:none"/>',
    ]
    for module, targets in sorted(arrows.items()):
        for target in sorted(targets):
            lines.append(_arrow(by_module[module], by_module[target]))
    lines += [_drawn(box) for box in boxes]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _arrow(start: Box, end: Box) -> str:
    if start.y == end.y:
        return _sideways(start, end)
    x1, y1 = start.x + BOX_WIDTH / 2, start.y + BOX_HEIGHT
    x2, y2 = end.x + BOX_WIDTH / 2, end.y
    bend = (y2 - y1) / 2
    # A long arrow between boxes of one column would run behind the boxes between: it swings out.
    swing = BOX_WIDTH / 2 + 30 if y2 - y1 > GAP_Y and abs(x1 - x2) < BOX_WIDTH else 0.0
    return (
        f'<path d="M{x1:.0f} {y1:.0f} C{x1 + swing:.0f} {y1 + bend:.0f} '
        f'{x2 + swing:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"/>'
    )


def _sideways(start: Box, end: Box) -> str:
    """An arrow between boxes of one row: straight to a neighbour, else over those between."""
    to_right = end.x > start.x
    x1, x2 = (start.x + BOX_WIDTH, end.x) if to_right else (start.x, end.x + BOX_WIDTH)
    y = start.y + BOX_HEIGHT / 2
    if abs(x2 - x1) <= GAP_X:
        return f'<path d="M{x1:.0f} {y:.0f} L{x2:.0f} {y:.0f}"/>'
    x1, x2 = start.x + BOX_WIDTH / 2, end.x + BOX_WIDTH / 2
    over = start.y - GAP_Y / 2
    return (
        f'<path d="M{x1:.0f} {start.y:.0f} C{x1:.0f} {over:.0f} '
        f'{x2:.0f} {over:.0f} {x2:.0f} {end.y:.0f}"/>'
    )


def _drawn(box: Box) -> str:
    name = box.module.removeprefix("mediafm_core.")
    group = ' class="assets"' if box.module.startswith("mediafm_assets") else ""
    caption = "".join(
        f'<text class="caption" x="{box.x + 10:.0f}" y="{box.y + 34 + 14 * line:.0f}">'
        f"{escape(text)}</text>"
        for line, text in enumerate(_in_two_lines(box.caption))
    )
    return (
        f'<g{group}><rect x="{box.x:.0f}" y="{box.y:.0f}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}"/><text x="{box.x + 10:.0f}" y="{box.y + 18:.0f}" '
        f'font-weight="600">{escape(name)}</text>{caption}</g>'
    )


def _in_two_lines(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= CAPTION_LETTERS and len(lines) < 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    if len(lines[-1]) > CAPTION_LETTERS:
        lines[-1] = lines[-1][: CAPTION_LETTERS - 1].rsplit(" ", 1)[0] + " …"
    return lines


def drawing() -> str:
    """Return the drawing of the code as it stands."""
    modules = [module_of(name) for row in ROWS for name in row]
    return draw(place(), transitive_reduction(imports_between(modules)))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(drawing())
