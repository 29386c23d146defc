"""Leases with which joined runs share the trials of a results folder.

Each run renews its own file, ``leases/runs/<run>.json``. A run has ended if and only if ``leases/runs/<run>.ended``
exists: the run creates this file when it leaves, or another run creates it after it has seen no renewal for
`EXPIRES_AFTER_S` on its own clock. Timestamps are never compared.

A claim ``leases/claims/<name>.<generation>`` identifies the run that holds a resource until that run ends; a later
generation supersedes it. All operations except renewals are exclusive creations (`exclusive.create`): nothing is
overwritten, or deleted and recreated, so exactly one of several runs gets a claim on any storage that supports
exclusive creation.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from typing import Final

from agrm_study.records.disk_use import file_sizes
from agrm_study.records.exclusive import ENDED, LEASES, create, ended_mark, has_ended
from agrm_study.records.location import Location
from agrm_study.records.parsing import Count, Seconds, parse
from agrm_study.records.patience import retry_storage

RENEW_EVERY_S: Final = 10.0
EXPIRES_AFTER_S: Final = 60.0
"""Seconds without a renewal after which a run is declared dead."""
LOOK_EVERY_S: Final = 0.5
"""Seconds between two reads of another run's file."""
NOBODY: Final = ""
"""Holder of a claim that was released."""
UNKNOWN: Final = "?"
"""Holder of a claim whose file cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A joined run; times are Unix times, for display only.

    Attributes:
        code: Versions that must be equal in all joined runs.
        renewals: Counter that ensures that each renewal changes the file.
    """

    study: str
    host: str
    pid: Count
    since: Seconds
    code: str = ""
    renewals: Count = 0
    renewed_at: Seconds = 0.0

    @property
    def words(self) -> str:
        """Description of the run, for messages."""
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Content of a claim: the run that holds it, and a note from that run."""

    run: str
    state: str = ""


OBSERVER: Final = Member(study="", host="", pid=0, since=0.0)
UNCLAIMED: Final = (0, Claim(run=NOBODY))
"""Generation and content before the first claim."""


class Sightings:
    """Files of other runs as seen by one observer, timed with the observer's monotonic clock.

    A file counts as dead when it has not changed for `expires_s` while the observer was awake and could reach the
    storage: time during which the observer was suspended or the storage unavailable does not count.
    """

    def __init__(self, clock: Callable[[], float], expires_s: float) -> None:
        self._clock, self._expires_s = clock, expires_s
        self._seen: dict[str, tuple[bytes | None, float]] = {}
        self._awake_since = self._awake_at = clock()

    def awake(self) -> None:
        """Records that the observer has reached the storage."""
        now = self._clock()
        if now - self._awake_at > self._expires_s / 2:
            self._awake_since = now
        self._awake_at = now

    def dead(self, name: str, content: bytes | None) -> bool:
        """Records the content of a file; returns whether it has been unchanged for long enough to count as dead."""
        now = self._clock()
        seen = self._seen.get(name)
        if seen is None or seen[0] != content:
            self._seen[name] = (content, now)
            return False
        asleep = now - self._awake_at > self._expires_s / 2
        return not asleep and now - max(seen[1], self._awake_since) >= self._expires_s


class Leases:
    """The claims of a results folder as seen by one run; used by one thread, except for renewals.

    Args:
        member: This run; not needed by an observer that never joins.
        expires_s: Seconds without a renewal after which a run is declared dead.

    Attributes:
        run: Identity of this run; empty before it joins.
        lost: Whether another run has declared this one dead; its claims are then invalid.
    """

    def __init__(
        self,
        results: Location,
        member: Member = OBSERVER,
        *,
        clock: Callable[[], float] = time.monotonic,
        expires_s: float | None = None,
    ) -> None:
        self._results, self._folder, self._member, self._clock = results, results / LEASES, member, clock
        self.expires_s = EXPIRES_AFTER_S if expires_s is None else expires_s
        self._sightings = Sightings(clock, self.expires_s)
        self._ended: set[str] = {NOBODY}
        self._looked: dict[str, float] = {}  # run → time of the last check
        self._claims: dict[str, tuple[int, Claim]] = {}  # name → last generation known, and its content
        self._leaving = threading.Event()
        self.run, self.lost = NOBODY, False

    def join(self) -> None:
        """Announces this run under a new identity."""
        (self._folder / "runs").mark()
        self._claims.clear()
        self.run, self.lost = secrets.token_hex(8), False
        retry_storage(self.renew)

    def keep_renewed(self) -> None:
        """Renews this run in a thread until it leaves."""
        threading.Thread(target=self._renew_always, name="leases", daemon=True).start()

    def renew(self) -> None:
        """Renews this run, unless another run has declared it dead."""
        run = self.run
        if has_ended(self._results, run):
            self.lost = run == self.run
            return
        self._member = replace(self._member, renewals=self._member.renewals + 1, renewed_at=time.time())
        self._beat(run).write_atomic(json.dumps(asdict(self._member)).encode(), durable=False)
        self._sightings.awake()

    def leave(self) -> None:
        """Ends this run: all its claims are released at once. If storage rejects the write, the lease expires."""
        self._leaving.set()
        if self.run and not self.lost:
            with contextlib.suppress(OSError):
                create(ended_mark(self._results, self.run), b"left")

    def claim(self, name: str) -> str:
        """Claims a name; returns the run that now holds it: this run or another live run."""
        if self.lost:
            return UNKNOWN
        generation, content = self.last(name) if name in self._claims else UNCLAIMED
        while content.run != self.run and self.over(content.run, f"{name}.{generation}"):
            generation += 1
            content = Claim(run=self.run)
            if not self.note(name, generation):
                content = self._read(name, generation)
        self._claims[name] = (generation, content)
        return content.run

    def is_first(self, name: str) -> bool:
        """Whether no run held this claim before this run."""
        return self._claims[name][0] == 1

    def is_free(self, name: str, *, ask: bool = True) -> bool:
        """Whether no run holds a claim; checks the last known holder and, with `ask`, later holders."""
        if ask:
            self._claims[name] = self.last(name)
        generation, content = self._claims.get(name, UNCLAIMED)
        return self.over(content.run, f"{name}.{generation}")

    def release(self, name: str) -> None:
        """Releases a claim of this run while the run continues."""
        generation, content = self._claims[name]
        if content.run == self.run:
            file, nobody = self._file(name, generation + 1), Claim(run=NOBODY)
            retry_storage(lambda: create(file, _json(nobody)))
            self._claims[name] = (generation + 1, nobody)

    def note(self, name: str, generation: int, state: str = "") -> bool:
        """Creates one generation of a claim; returns whether it did not exist yet."""
        file = self._file(name, generation)
        content = _json(Claim(run=self.run, state=state))
        return retry_storage(lambda: create(file, content)) or file.read() == content

    def last(self, name: str) -> tuple[int, Claim]:
        """The last generation of a claim and its content; 0 if there is none."""
        generation, content = self._claims.get(name, UNCLAIMED)
        while self._file(name, generation + 1).exists():
            generation += 1
            content = self._read(name, generation)
        return generation, content

    def over(self, run: str, claim: str = "") -> bool:
        """Whether a run has ended; a run that no longer renews its lease is declared dead.

        Args:
            run: Its identity, or `UNKNOWN`.
            claim: File of the claim, for a run whose identity cannot be read; the run has ended once this file is dead.
        """
        file = self._folder / "claims" / claim if run == UNKNOWN else self._beat(run)
        key = claim if run == UNKNOWN else run
        if key in self._ended:
            return True
        now = self._clock()
        if run == self.run or (key in self._looked and now - self._looked[key] < LOOK_EVERY_S):
            return False
        self._looked[key] = now
        if run == UNKNOWN or not has_ended(self._results, run):
            if not self._sightings.dead(key, file.read()):
                return False
            if run != UNKNOWN:
                create(ended_mark(self._results, run), b"declared dead")
        self._ended.add(key)
        return True

    def others(self) -> list[str]:
        """The other runs that have not ended, including dead runs that have not been declared dead."""
        names = {file.name for file in (self._folder / "runs").children()}
        runs = {name.removesuffix(".json") for name in names if name.endswith(".json")}
        return sorted(runs - {name.removesuffix(ENDED) for name in names} - {self.run})

    def member(self, run: str) -> Member | None:
        """Information about a run; ``None`` if it is unknown."""
        return parse(Member, self._beat(run).read())

    def watch(self, runs: Collection[str], on_wait: Callable[[], None]) -> str | None:
        """Watches runs until one of them renews its lease, and returns that run; ``None`` if all have ended.

        `on_wait`, called several times a second, may raise to abort.
        """
        first = {run: self._beat(run).read() for run in runs}
        while first:
            on_wait()
            self._sightings.awake()
            for run, content in list(first.items()):
                if self.over(run):
                    del first[run]
                elif self._beat(run).read() != content:
                    return run
            time.sleep(LOOK_EVERY_S if first else 0.0)
        return None

    def _read(self, name: str, generation: int) -> Claim:
        return parse(Claim, retry_storage(self._file(name, generation).read)) or Claim(run=UNKNOWN)

    def _file(self, name: str, generation: int) -> Location:
        return self._folder / "claims" / f"{name}.{generation}"

    def _beat(self, run: str) -> Location:
        return self._folder / "runs" / f"{run}.json"

    def _renew_always(self) -> None:
        while not self._leaving.wait(min(RENEW_EVERY_S, self.expires_s / 4)):
            with contextlib.suppress(OSError):  # retried at the next renewal
                if not self.lost:
                    self.renew()


def spent_files(results: Location) -> dict[str, int]:
    """Sizes in bytes of files of ended runs, by path in the results folder; valid once all joined runs have ended.

    The marks of ended runs are not included: a process of such a run that resumes after a suspension finds the mark and
    writes nothing.
    """
    sizes = file_sizes(results / LEASES)
    return {f"{LEASES}/{name}": size for name, size in sizes.items() if not name.endswith(ENDED)}


def remove_spent(results: Location) -> None:
    """Removes `spent_files`; the caller holds the lock of the results folder, so that no run can join.

    Raises:
        OSError: If the storage rejects a request.
    """
    if spent := spent_files(results):
        (results / LEASES / "claims").delete_folder()  # object stores remove a thousand files per request
        for name in spent:
            if not name.startswith(f"{LEASES}/claims/"):
                (results / name).delete()


def living(results: Location) -> list[Member]:
    """Joined runs with a recent renewal according to the wall clock, oldest first; for display only."""
    leases = Leases(results)
    now = time.time()
    found = [member for run in leases.others() if (member := leases.member(run)) is not None]
    return sorted((m for m in found if now - m.renewed_at < EXPIRES_AFTER_S), key=lambda member: member.since)


def wait_to_lead(leases: Leases, name: str, on_note: Callable[[str], None], on_wait: Callable[[], None]) -> bool:
    """Waits until this run holds a claim and reports each other holder; returns False if this run is declared dead.

    `on_wait`, called several times a second, may raise to abort.
    """
    noted = leases.run
    while (leader := leases.claim(name)) != leases.run:
        if leases.lost:
            return False
        if leader != noted:
            noted, member = leader, leases.member(leader)
            by = member.words if member is not None else "another run"
            on_note(f"The {name} is led by {by}. This run waits until it ends and then shares the remaining trials.")
        on_wait()
        time.sleep(LOOK_EVERY_S)
    return True


def _json(claim: Claim) -> bytes:
    return json.dumps(asdict(claim)).encode()
