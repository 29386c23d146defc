"""Sphinx configuration: `make docs` builds the pages as HTML, with warnings as errors and without network access.

Tables of commands, study-file keys, report tables and figures are generated from the code: a line
``<!-- generated: NAME -->`` in a page is replaced by the output of `generated.PARTS[NAME]` when the page is read.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from generated import PARTS

from agrm_study import __version__

project = "agrm-study"
author = "The agrm-study developers"
copyright = "The agrm-study developers, Apache 2.0"
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_title = f"agrm-study {version}"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []


def fill(app: Any, page: str, source: list[str]) -> None:
    """Insert the generated parts into a page."""
    source[0] = re.sub(r"<!-- generated: (\w+) -->", lambda match: PARTS[match[1]](), source[0])


def inline_math(translator: Any, node: nodes.math) -> None:
    """An inline formula, as MathML, which browsers render without a script."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(translator: Any, node: nodes.math_block) -> None:
    """A displayed formula."""
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register the generated parts and the rendering of formulas."""
    app.connect("source-read", fill)
    app.add_html_math_renderer("mathml", inline_renderers=(inline_math, None), block_renderers=(block_math, None))
