"""Does another run write to results in an object store? There is no lock, but it says what was written last.

A run writes its name again and again and takes it away when it ends. Whoever finds a name watches it for a while: one
that is written again is a run under way; one that is not is what a crash has left. Of two that begin in the same moment
one finds the other's name over its own.
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

SAID_EVERY_S: Final = 10.0
GONE_AFTER_S: Final = 60.0
"""A run that has said nothing for so long is gone."""
FORGOTTEN_AFTER_S: Final = 900.0
"""And is not even watched after so long, though clocks may differ."""
SETTLE_S: Final = 2.0
"""Between writing a name and looking whether it is still there."""
LOOK_EVERY_S: Final = 0.5

_SAID_AT: Final = "said_at"
_CLAIM: Final = "claim"


class TakenError(Exception):
    """Another run has the place; `owner` says who."""

    def __init__(self, owner: dict[str, Any]) -> None:
        super().__init__("another run has the place")
        self.owner = owner


@contextlib.contextmanager
def claimed(place: Location, owner: Mapping[str, Any], tick: Callable[[], None]) -> Iterator[None]:
    """Holds a place for the duration of the block.

    Args:
        place: The file with the name of whoever holds it.
        owner: Who that is.
        tick: Called several times a second while another's name is watched; may raise to give up.

    Raises:
        TakenError: Another run holds it.
        OSError: The object store does not answer.
    """
    _watch(place, tick)
    mine = {**owner, _CLAIM: uuid.uuid4().hex}
    _say(place, mine)
    _pause(SETTLE_S, tick)
    found = _parsed(place.read())
    if found and found.get(_CLAIM) != mine[_CLAIM]:
        raise TakenError(_owner(found))
    over = threading.Event()

    def say() -> None:
        while not over.wait(SAID_EVERY_S):
            with contextlib.suppress(OSError):  # the next one says the same
                _say(place, mine)

    thread = threading.Thread(target=say, name="claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(SAID_EVERY_S)
        with contextlib.suppress(OSError):  # it is forgotten in time
            place.delete()


def holder(place: Location) -> dict[str, Any] | None:
    """Who holds a place, as far as its last word tells; ``None`` for nobody.

    Raises:
        OSError: The object store does not answer.
    """
    found = _parsed(place.read())
    return _owner(found) if _age_s(found) < GONE_AFTER_S else None


def _watch(place: Location, tick: Callable[[], None]) -> None:
    """Returns when nobody writes there.

    Raises:
        TakenError: Somebody does.
    """
    first = place.read()
    if first is None or _age_s(_parsed(first)) >= FORGOTTEN_AFTER_S:
        return
    end = time.monotonic() + GONE_AFTER_S
    while time.monotonic() < end:
        tick()
        time.sleep(LOOK_EVERY_S)
        now = place.read()
        if now is None:
            return
        if now != first:
            raise TakenError(_owner(_parsed(now)))


def _say(place: Location, owner: Mapping[str, Any]) -> None:
    place.write_atomic(json.dumps({**owner, _SAID_AT: time.time()}).encode())


def _pause(seconds: float, tick: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        tick()
        time.sleep(min(LOOK_EVERY_S, left))


def _parsed(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _age_s(found: Mapping[str, Any]) -> float:
    return time.time() - float(found.get(_SAID_AT, 0.0))


def _owner(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in (_SAID_AT, _CLAIM)}
