"""Emulator of Google Cloud Storage that also lists folder markers, as Arrow requires, and creates conditionally.

`python google_storage.py PORT`. Google's own testbench, which is not on PyPI, also lists them.
"""

from __future__ import annotations

import sys
import threading
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.__main__ import main
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.storage import Storage

LOCK = threading.Lock()


class Listing(Storage):
    """Lists an object whose name ends in the delimiter (`includeTrailingDelimiter`), which Arrow asks for always."""

    def _apply_list_delimiter(
        self, candidates: list[tuple[str, Any]], prefix: str | None, delimiter: str, match_glob: str | None
    ) -> tuple[list[Any], set[str]]:
        found, prefixes = super()._apply_list_delimiter(candidates, prefix, delimiter, match_glob)
        return found + [each for name, each in candidates if name in prefixes], prefixes


def put(request: Any, response: Any, storage: Any, *args: Any, **options: Any) -> None:
    """A put of the XML interface, refused where the object exists and its generation must be 0."""
    with LOCK:
        if request.get_header("x-goog-if-generation-match") == "0":
            try:
                storage.get_file_obj(request.params["bucket_name"], request.params["object_id"])
            except NotFound:
                pass
            else:
                response.status = HTTPStatus.PRECONDITION_FAILED
                return
        objects.xml_upload(request, response, storage, *args, **options)
        response["ETag"] = '"1"'


if __name__ == "__main__":
    server.Storage = Listing
    for _, methods in server.HANDLERS:
        if methods.get("PUT") is objects.xml_upload:
            methods["PUT"] = put
    main(["start", "-H", "127.0.0.1", "--port", sys.argv[1], "--default-bucket", "bucket", "--in-memory", "--quiet"])
