"""Word renderer of a table with three horizontal rules; requires the optional python-docx."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Sequence
from typing import Any

from agrm_study.report.table import Entry, Table
from agrm_study.study.errors import InputError

THICK, THIN = 8, 4
"""Widths of the horizontal rules in eighths of a point: above and below the table, and below the headings."""


def render(table: Table) -> bytes:
    """A document with the caption, the table and its notes; identical tables produce identical bytes.

    Raises:
        InputError: If python-docx is not installed.
    """
    try:
        import docx
        from docx.enum.section import WD_ORIENT
        from docx.enum.text import WD_ALIGN_PARAGRAPH
        from docx.shared import Pt
    except ImportError:
        raise InputError(
            "the format docx requires python-docx", field="formats", hint="pip install 'agrm-study[docx]'"
        ) from None
    aligned = {
        "left": WD_ALIGN_PARAGRAPH.LEFT,
        "right": WD_ALIGN_PARAGRAPH.RIGHT,
        "center": WD_ALIGN_PARAGRAPH.CENTER,
    }
    document: Any = docx.Document()
    document.core_properties.created = document.core_properties.modified = datetime.datetime(2000, 1, 1)
    document.core_properties.author = "agrm-study"
    columns = [table.columns[i] for i in table.visible]
    if len(columns) > 6:
        section = document.sections[0]
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = section.page_height, section.page_width
    document.add_paragraph(_clean(table.heading), style="Caption")
    grid = document.add_table(rows=1, cols=len(columns))
    for cell, column in zip(grid.rows[0].cells, columns, strict=True):
        _fill(cell, Entry(text=column.title, style="best"), aligned[column.align], Pt(8))
    for row in table.rows:
        if row.heading is not None:
            cells = grid.add_row().cells
            merged = cells[0].merge(cells[-1])
            merged.paragraphs[0].add_run(_clean(row.heading)).italic = True
        cells = grid.add_row().cells
        for cell, column, i in zip(cells, columns, table.visible, strict=True):
            _fill(cell, row.entries[i], aligned[column.align], Pt(8))
    _rule(grid.rows[0].cells, "top", THICK)
    _rule(grid.rows[0].cells, "bottom", THIN)
    _rule(grid.rows[-1].cells, "bottom", THICK)
    for note in table.notes:
        run = document.add_paragraph().add_run(_clean(note))
        run.font.size = Pt(8)
    return _archive(document)


def _rule(cells: Any, edge: str, eighths: int) -> None:
    """Draw a line along an edge of a row's cells, with its width in eighths of a point."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    for cell in cells:
        properties = cell._tc.get_or_add_tcPr()
        borders = properties.find(qn("w:tcBorders"))
        if borders is None:
            borders = OxmlElement("w:tcBorders")
            properties.append(borders)
        line = OxmlElement(f"w:{edge}")
        for key, value in (("val", "single"), ("sz", str(eighths)), ("space", "0"), ("color", "000000")):
            line.set(qn(f"w:{key}"), value)
        borders.append(line)


def _clean(text: str) -> str:
    """Remove the control characters that XML does not allow."""
    return "".join(c for c in text if c.isprintable() or c in "\t\n")


def _fill(cell: Any, entry: Entry, alignment: Any, size: Any) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.alignment = alignment
    run = paragraph.add_run(_clean(entry.text))
    run.bold, run.underline = entry.style == "best", entry.style == "second"
    run.font.size = size
    for mark in entry.marks:
        raised = paragraph.add_run(_clean(mark))
        raised.font.superscript = True
        raised.font.size = size


def _archive(document: Any) -> bytes:
    """The document as a zip package with fixed dates.

    The `save` method of python-docx uses the current time, which a zip archive cannot store before 1980 or after 2107.
    """
    from docx.opc.packuri import CONTENT_TYPES_URI, PACKAGE_URI

    package = document.part.package
    parts = list(package.parts)
    members = {CONTENT_TYPES_URI: _content_types(parts), PACKAGE_URI.rels_uri: package.rels.xml}
    for part in parts:
        part.before_marshal()
        members[part.partname] = part.blob
        if len(part.rels):
            members[part.partname.rels_uri] = part.rels.xml
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for uri, content in members.items():
            info = zipfile.ZipInfo(uri.membername, (2000, 1, 1, 0, 0, 0))
            target.writestr(info, content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _content_types(parts: Sequence[Any]) -> bytes:
    """``[Content_Types].xml``: content types by extension, with exceptions by part (ECMA-376, part 2)."""
    from docx.opc.constants import CONTENT_TYPE
    from docx.opc.oxml import CT_Types, serialize_part_xml
    from docx.opc.spec import default_content_types

    extensions = {"rels": CONTENT_TYPE.OPC_RELATIONSHIPS, "xml": CONTENT_TYPE.XML}
    others = {}
    for part in parts:
        extension = part.partname.ext.lower()
        if (extension, part.content_type) in default_content_types:
            extensions[extension] = part.content_type
        else:
            others[part.partname] = part.content_type
    types = CT_Types.new()
    for extension in sorted(extensions):
        types.add_default(extension, extensions[extension])
    for name in sorted(others):
        types.add_override(name, others[name])
    content: bytes = serialize_part_xml(types)
    return content
