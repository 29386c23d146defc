"""An emulator of Google's storage that also lists folder markers, which Arrow needs.

`python google_storage.py PORT`. Google's own testbench, which is not on PyPI, lists them too.
"""

from __future__ import annotations

import sys
from typing import Any

from gcp_storage_emulator.__main__ import main
from gcp_storage_emulator.storage import Storage


class Listing(Storage):
    """Lists an object whose name ends in the delimiter (`includeTrailingDelimiter`), which Arrow asks for always."""

    def _apply_list_delimiter(
        self, candidates: list[tuple[str, Any]], prefix: str | None, delimiter: str, match_glob: str | None
    ) -> tuple[list[Any], set[str]]:
        found, prefixes = super()._apply_list_delimiter(candidates, prefix, delimiter, match_glob)
        return found + [each for name, each in candidates if name in prefixes], prefixes


if __name__ == "__main__":
    sys.modules["gcp_storage_emulator.server"].Storage = Listing  # type: ignore[attr-defined]
    main(["start", "-H", "127.0.0.1", "--port", sys.argv[1], "--default-bucket", "bucket", "--in-memory", "--quiet"])
