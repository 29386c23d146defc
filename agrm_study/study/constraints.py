"""Constraints of a search: bounds on quantities recorded on validation data, such as ``val/ece <= 0.1``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from agrm_study.study.errors import did_you_mean
from agrm_study.study.section import Section
from agrm_study.study.translate import Rule

QUANTITIES: Final[Mapping[str, str]] = {
    "val/macro_f1": "macro F1 on validation data",
    "val/accuracy": "accuracy on validation data",
    "val/balanced_accuracy": "balanced accuracy on validation data",
    "val/loss": "cross-entropy on validation data",
    "val/ece": "expected calibration error on validation data",
    "n_params": "parameters of the network",
}
"""Quantities that a constraint can bound, with descriptions; all are evaluated at the best epoch of a trial."""

_FORM: Final = re.compile(
    r"\s*(?P<quantity>[a-z_0-9/]+)\s*(?P<relation><=|>=)\s*(?P<bound>[-+]?[0-9.]+(?:e[-+]?\d+)?)\s*"
)


class Constraint(Section):
    """A bound on one quantity."""

    quantity: str
    """A key of `QUANTITIES`."""
    relation: Literal["<=", ">="]
    """Whether the bound is an upper or a lower bound."""
    bound: float
    """Value of the bound."""

    def excess(self, value: float) -> float:
        """Amount by which a value exceeds the bound: positive for a violation, NaN for an undefined value."""
        return value - self.bound if self.relation == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.quantity} {self.relation} {self.bound:.10g}"


def read_constraint(value: Any) -> Any:
    """Parse a constraint such as ``val/ece <= 0.1``; the text is matched against a pattern, never evaluated.

    Raises:
        Rule: If the text has a different form, or trials do not record the quantity on validation data.
    """
    if isinstance(value, Constraint):
        return value
    quantities = ", ".join(QUANTITIES)
    form = f"QUANTITY <= NUMBER or QUANTITY >= NUMBER, with one of {quantities}"
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    try:
        bound = math.nan if found is None else float(found["bound"])
    except ValueError:
        bound = math.nan
    if found is None or not math.isfinite(bound):
        raise Rule("must bound one quantity", allowed=form)
    quantity = found["quantity"]
    if quantity not in QUANTITIES:
        if quantity.startswith("test"):
            raise Rule("a search must not use the test part", allowed=quantities)
        hint = did_you_mean(quantity, QUANTITIES)
        raise Rule("is not a recorded validation quantity", allowed=quantities, hint=hint)
    return Constraint(quantity=quantity, relation=found["relation"], bound=bound)  # type: ignore[arg-type]


ConstraintEntry = Annotated[
    Constraint,
    BeforeValidator(read_constraint),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "description": "QUANTITY <= NUMBER, or >="}),
]
