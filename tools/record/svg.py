# SPDX-License-Identifier: Apache-2.0
"""A terminal's screen as SVG that draws itself row by row, in the time it took when recorded.

What cannot animate shows the whole screen at once.
"""

import re
from html import escape

CHARACTER, LINE, MARGIN, BAR = 8.4, 19, 18, 34  # pixels
MAX_PAUSE_S = 1.2  # between two rows; what took longer is shown as long as this
BACKGROUND, TEXT, DOT = "#14171f", "#d6dae3", "#3a4050"
COLOURS = {
    "black": "#8a93a5", "red": "#f2777a", "green": "#8fce8a", "brown": "#f0c674",
    "blue": "#7aa6f2", "magenta": "#c79bf0", "cyan": "#74c7d4", "white": TEXT,
    "brightblack": "#7d8699", "brightred": "#f2777a", "brightgreen": "#8fce8a",
    "brightbrown": "#f0c674", "brightblue": "#7aa6f2", "brightmagenta": "#c79bf0",
    "brightcyan": "#74c7d4", "brightwhite": "#ffffff",
}


def _runs(cells):
    """(column, text, style) of what looks alike and has no two spaces after each other: how wide
    those are is a matter of taste to some that draw SVG."""
    column = 0
    while column < len(cells):
        style = (cells[column].fg, cells[column].bold)
        end = column
        while end < len(cells) and (cells[end].fg, cells[end].bold) == style:
            end += 1
        text = "".join(cell.data for cell in cells[column:end])
        for part in re.finditer(r"\S+(?: \S+)*", text):
            yield column + part.start(), part.group(), style
        column = end


def _row(cells, y):
    spans = []
    for column, text, (colour, bold) in _runs(cells):
        fill = COLOURS.get(colour)
        if fill is None and colour != "default":
            fill = f"#{colour}"
        # pyte's bright black, which faint text has become, is bold and black.
        is_bold = bold and colour != "black"
        look = (f' fill="{fill}"' if fill else "") + (' class="b"' if is_bold else "")
        # Whatever font the viewer has, columns stay columns.
        spans.append(f'<text x="{MARGIN + column * CHARACTER:.1f}" y="{y}"{look} '
                     f'textLength="{len(text) * CHARACTER:.1f}" '
                     f'lengthAdjust="spacingAndGlyphs">{escape(text)}</text>')
    return "".join(spans)


def _delays(rows, seen_s):
    """When each row is drawn: in the order in which they came, long waits made short."""
    delays, last_s, shown_s = {}, None, 0.3
    for row in sorted(rows, key=lambda row: (seen_s.get(row, 0), row)):
        at = seen_s.get(row, last_s or 0)
        if last_s is not None:
            shown_s += min(at - last_s, MAX_PAUSE_S)
        delays[row], last_s = shown_s, at
    return delays


def draw(screen, seen_s, title):
    rows = [row for row in range(screen.lines) if screen.display[row].strip()]
    height = BAR + (rows[-1] - rows[0] + 1) * LINE + MARGIN
    width = 2 * MARGIN + screen.columns * CHARACTER
    delays = _delays(rows, seen_s)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" fill="{TEXT}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>",
        "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}",
        ".b{font-weight:600}",
        "@keyframes come{from{opacity:0}to{opacity:1}}",
        "g{animation:come .12s backwards}",
        "@media(prefers-reduced-motion:reduce){g{animation:none}}",
        "</style>",
        f'<rect width="100%" height="100%" rx="10" fill="{BACKGROUND}"/>',
    ]
    lines += [f'<circle cx="{MARGIN + 6 + 18 * i}" cy="18" r="5.5" fill="{DOT}"/>'
              for i in range(3)]
    for row in rows:
        cells = [screen.buffer[row][column] for column in range(screen.columns)]
        y = BAR + (row - rows[0] + 1) * LINE - 5
        lines.append(f'<g style="animation-delay:{delays[row]:.2f}s">{_row(cells, y)}</g>')
    return "\n".join(lines + ["</svg>", ""])
