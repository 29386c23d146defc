"""Claims on results in an object store, which has no file locks.

A run writes its claim and renews it until it ends. A run that finds the claim of another run watches it: a renewed
claim belongs to a live run; a claim that is not renewed was left by a crash.

Two runs that start at the same moment both write a claim; each waits (`SETTLE_S`) and reads it again, and the one whose
claim was overwritten gives up. A run that stalls for longer than that between the two steps is not detected. This also
works in stores without conditional writes, which joined runs (`leases`) require.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from agrm_study.records.location import Location

RENEW_EVERY_S: Final = 10.0
EXPIRES_AFTER_S: Final = 60.0
"""Seconds without a renewal after which a claim counts as left by a crash."""
IGNORED_AFTER_S: Final = 900.0
"""Age at which a claim is ignored without being watched, regardless of clock skew."""
SETTLE_S: Final = 2.0
"""Seconds between writing a claim and reading it again."""
LOOK_EVERY_S: Final = 0.5

_RENEWED_AT: Final = "said_at"
_CLAIM: Final = "claim"


class TakenError(Exception):
    """Another run owns the claim; `content` is the content of the claim, its owner as JSON."""

    def __init__(self, content: bytes | None) -> None:
        super().__init__("another run holds the claim")
        self.content = content


@contextlib.contextmanager
def claimed(file: Location, owner: Mapping[str, Any], on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds a claim for the duration of the block; raises `TakenError` if another run holds it.

    `on_wait`, called several times a second while another run's claim is watched, may raise to abort.
    """
    watch_claim(file, on_wait)
    mine = {**owner, _CLAIM: uuid.uuid4().hex}
    _write(file, mine)
    _pause(SETTLE_S, on_wait)
    content = file.read()
    found = _parsed(content)
    if found and found.get(_CLAIM) != mine[_CLAIM]:
        raise TakenError(content)
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_EVERY_S):
            with contextlib.suppress(OSError):  # retried at the next renewal
                _write(file, mine)

    thread = threading.Thread(target=renew, name="claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(RENEW_EVERY_S)
        with contextlib.suppress(OSError):  # the claim expires
            file.delete()


def held(file: Location) -> bytes | None:
    """The content of a claim if it was renewed recently; ``None`` otherwise."""
    content = file.read()
    return content if _age_s(content) < EXPIRES_AFTER_S else None


def watch_claim(file: Location, on_wait: Callable[[], None]) -> None:
    """Returns if no run renews the claim; raises `TakenError` if a run renews it."""
    first = file.read()
    if first is None or _age_s(first) >= IGNORED_AFTER_S:
        return
    end = time.monotonic() + EXPIRES_AFTER_S
    while time.monotonic() < end:
        on_wait()
        time.sleep(LOOK_EVERY_S)
        now = file.read()
        if now is None:
            return
        if now != first:
            raise TakenError(now)


def _write(file: Location, owner: Mapping[str, Any]) -> None:
    file.write_atomic(json.dumps({**owner, _RENEWED_AT: time.time()}).encode())


def _pause(seconds: float, on_wait: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        on_wait()
        time.sleep(min(LOOK_EVERY_S, left))


def _parsed(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _age_s(content: bytes | None) -> float:
    renewed = _parsed(content).get(_RENEWED_AT)
    return time.time() - renewed if isinstance(renewed, int | float) else float("inf")
