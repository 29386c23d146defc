"""Registry of one kind of part: built-in parts by name, and user-defined parts."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.parts.kinds import KINDS
from agrm_study.study.parts.loaded import own_class
from agrm_study.study.parts.names import is_own


class Registry(Mapping[str, str]):
    """Mapping from the names of built-in parts of one kind to ``module:Class``; listing names does not import parts.

    Args:
        kind: A name in `KINDS`.
        shipped: The built-in parts.
    """

    def __init__(self, kind: str, shipped: Mapping[str, str]) -> None:
        self.kind = KINDS[kind]
        self._shipped = dict(shipped)

    def __getitem__(self, name: str) -> str:
        return self._shipped[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shipped)

    def __len__(self) -> int:
        return len(self._shipped)

    def load(self, name: str) -> Any:
        """The class of a part; its module is imported on this call.

        Args:
            name: Name of a built-in part, or full name (``name@source``) of a user-defined part.

        Raises:
            InputError: If the part does not exist, or the source of a user-defined part is unavailable.
        """
        if is_own(name):
            return own_class(self.kind.name, name)
        if name not in self._shipped:
            raise InputError(
                f"must be one of the known {self.kind.plural}",
                field=self.kind.field,
                given=name,
                allowed=", ".join(self._shipped),
                hint=did_you_mean(name, self._shipped),
            )
        return pkgutil.resolve_name(self._shipped[name])
