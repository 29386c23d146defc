"""Records bundle: a zip file with the records and the report of a study, for later verification.

It contains all files that `report` and `verify` read, and no executable content, weights or checkpoints.
Identical results give identical bytes. ``bundle.json`` lists the SHA-256 of every file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from agrm_study import __version__
from agrm_study.records.evaluations import EXTERNAL, ROBUSTNESS
from agrm_study.records.no_results import no_results
from agrm_study.study.errors import InputError
from agrm_study.study.temporary import replacing, temporary_folder

MANIFEST: Final = "bundle.json"
FORMAT: Final = 1
LEFT_OUT: Final = frozenset({"checkpoints", "stages", "ray", "leases", "submission"})
"""Folders of a results folder that are not part of a bundle."""
_DATE: Final = (2000, 1, 1, 0, 0, 0)
_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Listing:
    """Content of ``bundle.json``: the name of the results folder, and the SHA-256 of each of its files, by name."""

    results: str
    files: dict[str, str]


def write_bundle(results: Path, target: Path) -> int:
    """Write the bundle of a results folder and return the number of files in it.

    Args:
        results: Results folder.
        target: The zip file; replaced atomically.

    Raises:
        InputError: If the folder contains no results.
        OSError: If the bundle cannot be written.
    """
    if not (results / "study.yaml").is_file():
        raise no_results(str(results), "study.yaml")
    files = sorted(p.relative_to(results).as_posix() for p in results.rglob("*") if _belongs(p, results))
    digests: dict[str, str] = {}
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in files:
            info = zipfile.ZipInfo(f"{results.name}/{name}", _DATE)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with (results / name).open("rb") as source, bundle.open(info, "w") as member:
                digests[name] = _copied(source, member)
        listing = {"format": FORMAT, "agrm_study": __version__, "results": results.name, "files": digests}
        bundle.writestr(zipfile.ZipInfo(MANIFEST, _DATE), json.dumps(listing, indent=1, ensure_ascii=False) + "\n")
    return len(files)


@contextlib.contextmanager
def opened_bundle(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Context manager that yields the unpacked results folder of a bundle, and the mismatches with its file list.

    Raises:
        InputError: If the file is not a records bundle, or a name in it points outside the folder.
    """
    try:
        with zipfile.ZipFile(path) as bundle, temporary_folder("bundle") as place:
            listing = _listing(bundle, path)
            root = PurePosixPath(listing.results)
            if len(root.parts) != 1 or root.parts[0] in ("", ".", ".."):
                raise _not_a_bundle(path, f"results folder {listing.results!r}")
            folder = place / root.name
            folder.mkdir()
            yield folder, _unpack(bundle, listing, folder, path)
    except (zipfile.BadZipFile, EOFError) as error:
        raise _not_a_bundle(path, str(error)) from None


def _unpack(bundle: zipfile.ZipFile, listing: Listing, folder: Path, path: Path) -> list[str]:
    faults = []
    listed = dict(listing.files)
    for info in bundle.infolist():
        if info.filename == MANIFEST or info.is_dir():
            continue
        inside = PurePosixPath(info.filename)
        if inside.is_absolute() or ".." in inside.parts or len(inside.parts) < 2 or inside.parts[0] != folder.name:
            raise _not_a_bundle(path, f"a file named {info.filename!r}")
        name = PurePosixPath(*inside.parts[1:]).as_posix()
        wanted = listed.pop(name, None)
        if wanted is None:
            faults.append(f"{name}: is not in the bundle's file list")
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with bundle.open(info) as member, target.open("wb") as stream:
                digest = _copied(member, stream)
        except zipfile.BadZipFile:
            faults.append(f"{name}: is damaged")
            continue
        if digest != wanted:
            faults.append(f"{name}: does not match the checksum in the bundle's file list")
    return faults + [f"{name}: is missing" for name in listed]


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy a stream and return its SHA-256."""
    digest = hashlib.sha256()
    while block := source.read(_AT_ONCE):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()


def _listing(bundle: zipfile.ZipFile, path: Path) -> Listing:
    try:
        read = json.loads(bundle.read(MANIFEST))
        if read["format"] != FORMAT:
            raise _not_a_bundle(path, f"{MANIFEST} of format {read['format']!r}")
        return Listing(str(read["results"]), {str(name): str(digest) for name, digest in read["files"].items()})
    except (KeyError, ValueError, TypeError, AttributeError):
        raise _not_a_bundle(path, f"no readable {MANIFEST}") from None


def _belongs(path: Path, results: Path) -> bool:
    parts = path.relative_to(results).parts
    return (
        path.is_file()
        and not path.is_symlink()
        and parts[0] not in LEFT_OUT
        and not (parts[0] in (EXTERNAL, ROBUSTNESS) and "checkpoints" in parts[1:-1])
        and not any(p.startswith(".") for p in parts)
        and path.suffix != ".lock"
    )


def _not_a_bundle(path: Path, why: str) -> InputError:
    return InputError("must be a records bundle written by `agrm-study submission`", where=path, given=why[:200])
