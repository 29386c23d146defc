"""Internal names of Ray that the package uses and Ray may change without notice, read from syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import agrm_study

PACKAGE = Path(agrm_study.__file__).parent
SETTERS = {"setattr", "delattr"}


def is_internal(dotted: str) -> bool:
    """Whether a dotted name below `ray` is no public one: `ray.core` holds what Ray generates for itself."""
    parts = dotted.split(".")
    return parts[0] == "ray" and (any(part.startswith("_") for part in parts) or parts[1:2] == ["core"])


class Uses(ast.NodeVisitor):
    """Internal names of Ray in a module, and the lines that set something of Ray's."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # local name → dotted name below ray
        self.internal: set[str] = set()
        self.set_at: list[int] = []
        self._texts: set[str] = set()

    def finish(self) -> None:
        """Texts that name a member (for `getattr`) count where the module imports Ray."""
        if self.names:
            self.internal |= {f"ray.{text}" for text in self._texts}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] == "ray":
                self._bind(alias.asname or "ray", alias.name if alias.asname else "ray")
                self._note(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".")[0] == "ray":
            for alias in node.names:
                self._bind(alias.asname or alias.name, f"{node.module}.{alias.name}")
                self._note(node.module if is_internal(node.module or "") else f"{node.module}.{alias.name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._note(self._dotted(node) or "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and re.fullmatch(r"_[A-Za-z]\w*", node.value):
            self._texts.add(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._targets(node.targets, node.lineno)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._targets([node.target], node.lineno)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._targets(node.targets, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if function in SETTERS and node.args and self._dotted(node.args[0]):
            self.set_at.append(node.lineno)
        self.generic_visit(node)

    def _targets(self, targets: list[ast.expr], line: int) -> None:
        if any(isinstance(target, ast.Attribute) and self._dotted(target.value) for target in targets):
            self.set_at.append(line)

    def _bind(self, local: str, dotted: str) -> None:
        self.names[local] = dotted

    def _note(self, dotted: str | None) -> None:
        if dotted and is_internal(dotted):
            self.internal.add(dotted)

    def _dotted(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute) and (base := self._dotted(node.value)):
            return f"{base}.{node.attr}"
        return None


def modules() -> Iterator[tuple[str, Uses]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        uses = Uses()
        uses.visit(ast.parse(file.read_text()))
        uses.finish()
        yield file.relative_to(PACKAGE).as_posix(), uses


def test_at_most_two_internal_names_of_ray_are_used() -> None:
    every = {name: place for place, uses in modules() for name in uses.internal}
    found = {n: place for n, place in every.items() if not any(n.startswith(f"{other}.") for other in every)}
    assert len(found) <= 2, found


def test_no_module_sets_anything_of_rays() -> None:
    assert [place for place, uses in modules() if uses.set_at] == []


def test_whatever_way_a_name_is_reached_it_is_found() -> None:
    uses = Uses()
    uses.visit(
        ast.parse(
            "import ray\nimport ray._private.worker as w\nfrom ray.tune import execution\n"
            "from ray.tune.utils import _hidden\nfrom ray.core.generated import x\n"
            "w.y.z = 1\nray.shutdown()\ngetattr(execution, '_ObjectCache')\nsetattr(ray.tune, 'b', 1)\n"
            "ray._raylet.Config\nexecution.a, own = 1, 2\n"
        )
    )
    uses.finish()
    assert {"ray._private.worker", "ray.tune.utils._hidden", "ray.core.generated", "ray._ObjectCache"} <= uses.internal
    assert "ray._raylet.Config" in uses.internal
    assert uses.set_at == [6, 9]
