"""A table of a report, for display in notebooks and as a data frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agrm_study.report.renderers import csv, html, latex, markdown
from agrm_study.report.table import Number, Table

if TYPE_CHECKING:
    import pandas as pd

_STYLE = (
    "<style>figure.table{margin:0} figure.table table{border-collapse:collapse} figure.table td,figure.table th"
    "{padding:.2em .6em;text-align:right} figure.table .left{text-align:left} figure.table .center{text-align:center} "
    "figure.table .notes{font-size:85%;opacity:.8} figure.table .notes p{margin:.2em 0}</style>"
)


class ResultTable:
    r"""One table of a study, displayed in a notebook with its caption and notes.

    Args:
        table: Table of the report.

    Examples:
        >>> table = results.table("ablation")
        >>> list(table.to_frame()["arm"])[:5]
        ['AGRM', 'w/o MTM', 'w/o SHPM', 'w/o both', 'Interaction']
        >>> print(table.to_latex())
        % ...
        \begin{...
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def name(self) -> str:
        """Name of the table in a study file."""
        return self._table.name

    @property
    def caption(self) -> str:
        """The caption, preceded by a note on missing trials."""
        return self._table.heading

    @property
    def notes(self) -> tuple[str, ...]:
        """Footnotes: n, intervals, tests, versions, and missing results with the reasons."""
        return self._table.notes

    def to_frame(self) -> pd.DataFrame:
        """The content of the table's CSV file: fractions at full precision, with intervals and p-values."""
        import pandas as pd

        header, rows = csv.values(self._table)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
        return pd.DataFrame({name: _series(list(column)) for name, column in zip(header, columns, strict=True)})

    def to_csv(self) -> str:
        """The table as CSV, identical to the report's file."""
        return csv.render(self._table)

    def to_latex(self) -> str:
        """The table as LaTeX, identical to the report's file."""
        return latex.render(self._table)

    def to_markdown(self) -> str:
        """The table as Markdown, identical to the report's file."""
        return markdown.render(self._table)

    def to_html(self) -> str:
        """The table as HTML: a ``<figure>`` with the table, its caption and its notes."""
        return html.render(self._table)

    def _repr_html_(self) -> str:
        return _STYLE + self.to_html()

    def __repr__(self) -> str:
        return self.to_markdown()


def _series(values: list[Number]) -> pd.Series:
    """One column of integers, floats or text; missing and non-finite values are NA or NaN."""
    import pandas as pd

    known = [v for v in values if v is not None and not (isinstance(v, float) and not math.isfinite(v))]
    if known and all(isinstance(v, float) for v in known):
        return pd.Series([math.nan if v is None or v in (math.inf, -math.inf) else v for v in values], dtype="float64")
    if known and all(isinstance(v, int) for v in known):
        whole = [v if isinstance(v, int) else None for v in values]
        return pd.Series(whole, dtype="int64" if len(known) == len(values) else "Int64")
    return pd.Series([None if isinstance(v, float) and not math.isfinite(v) else v for v in values], dtype="object")
