"""Exclusive creation of files in local folders and object stores: exactly one of several concurrent creators succeeds.

A local file is written under a temporary name and published under its final name by a hard link, which is atomic on
local disks, NFS and Lustre. In object stores, a file is created by a conditional put (``If-None-Match: *``, or
generation 0 in Google Cloud Storage). Arrow's filesystems do not support conditional puts, so obstore performs them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from agrm_study.records.location import Location
from agrm_study.study.object_store import ANONYMOUS, GOOGLE, RETRIED_FOR_S

LEASES: Final = "leases"
"""Subfolder of a results folder in which joined runs create their files."""
ENDED: Final = ".ended"
"""Suffix of the file that marks a run as ended."""


def create(file: Location, content: bytes) -> bool:
    """Creates a file with the given content unless it exists; returns whether this call created it.

    If a request to an object store is retried after its reply was lost, the result may be False for a file that this
    call created; the caller must then compare the content.

    Raises:
        OSError: If the storage rejects the request, or does not support exclusive creation.
    """
    if not file.is_local:
        return _create_object(file, content)
    target = Path(file.path)
    try:
        return _link(target, content)
    except FileNotFoundError:
        file.require_anchor()
        target.parent.mkdir(parents=True, exist_ok=True)
        return _link(target, content)


def probe(folder: Location) -> str:
    """Tests whether files can be created exclusively in a folder; returns the problem, or an empty string."""
    file = folder / f"probe-{secrets.token_hex(8)}"
    try:
        first, second = create(file, b"first"), create(file, b"second")
        kept = file.read()
    except OSError as error:
        return f"it rejects exclusive file creation ({error.strerror or error})"
    finally:
        with contextlib.suppress(OSError):
            file.delete()
    if first and not second and kept == b"first":
        return ""
    return "it ignores the condition that the file must not exist"


def ended_mark(results: Location, run: str) -> Location:
    """File that marks a joined run as ended, or as declared dead by another run."""
    return results / LEASES / "runs" / f"{run}{ENDED}"


def has_ended(results: Location, run: str) -> bool:
    """Whether a joined run has ended, or was declared dead."""
    mark = ended_mark(results, run)
    if mark.is_local:  # opening the folder makes an NFS client refresh its cached listing
        with contextlib.suppress(OSError), os.scandir(Path(mark.path).parent):
            pass
    return mark.exists()


def _link(target: Path, content: bytes) -> bool:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        try:
            os.link(temporary, target)
        except FileExistsError:  # NFS may repeat a request whose reply was lost
            return temporary.stat().st_nlink == 2
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _create_object(file: Location, content: bytes) -> bool:
    try:
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError
    except ImportError:
        raise OSError("the package obstore is not installed: pip install obstore") from None

    bucket, _, key = file.path.partition("/")
    try:
        obstore.put(_store(file.scheme, bucket, file.query, file.user, _region(file)), key, content, mode="create")
    except AlreadyExistsError:
        return False
    except BaseError as error:
        raise OSError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from None
    return True


def _region(file: Location) -> str:
    """Region of an S3 bucket, as determined by Arrow; empty for other storage."""
    return str(getattr(file.filesystem, "region", "") or "")


@lru_cache(maxsize=4)
def _store(scheme: str, bucket: str, query: str, user: str, region: str) -> Any:
    """The obstore client for a bucket, with the settings that a URI passes to Arrow."""
    from datetime import timedelta

    from obstore.store import GCSStore, S3Store

    given = {name: values[-1] for name, values in parse_qs(query).items()}
    endpoint = given.get("endpoint_override") or ""
    if endpoint and "://" not in endpoint:
        endpoint = f"{given.get('scheme', 'https')}://{endpoint}"
    retry: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=RETRIED_FOR_S)}
    if scheme in GOOGLE:
        nobody: Any = (
            {"credential_provider": lambda: {"token": "", "expires_at": None}} if user == f"{ANONYMOUS}@" else {}
        )
        config: Any = {"base_url": endpoint} if endpoint else {}
        return GCSStore(bucket, config=config, client_options={"allow_http": True}, retry_config=retry, **nobody)
    options: Any = {"endpoint": endpoint} if endpoint else {}
    if region:
        options["region"] = region
    return S3Store(bucket, config=options, client_options={"allow_http": True}, retry_config=retry)
