"""Object-store URIs, error texts and retry limits."""

from __future__ import annotations

from typing import Final

from agrm_study.study.errors import InputError

GOOGLE: Final = ("gs", "gcs")
ANONYMOUS: Final = "anonymous"
RETRIED_FOR: Final = "retry_limit_seconds"
RETRIED_FOR_S: Final = 15
"""Retry limit, in seconds, for failed requests to Google Cloud Storage; Arrow's default is 15 minutes."""
_KEYS: Final = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or assign a role to the machines.",
    **dict.fromkeys(
        GOOGLE, "Google credentials are found automatically, for example from GOOGLE_APPLICATION_CREDENTIALS."
    ),
}
_SPEAKERS: Final = ("AWS Error", "google::cloud::")
"""Texts that identify object-store errors of Arrow, which have no error number."""


def store_error_text(error: BaseException) -> str:
    """Short text of an object-store or network error from Arrow; empty for other errors."""
    text = str(error)
    if not isinstance(error, OSError) or not any(name in text for name in _SPEAKERS):
        return ""
    return text.partition(" error_info=")[0].rpartition("with a last message of ")[2]


def user_of(uri: str) -> str:
    """The user part of a URI, such as ``anonymous@``; empty if there is none."""
    return "".join(uri.partition("://")[2].partition("/")[0].rpartition("@")[:2])


def arrow_uri(uri: str) -> str:
    """The URI to pass to Arrow, with a retry limit for Google Cloud Storage.

    Raises:
        InputError: If the URI contains credentials, which would appear in output and in process lists.
    """
    scheme, user = uri.partition("://")[0], user_of(uri)
    if user and scheme in _KEYS and not (scheme in GOOGLE and user == f"{ANONYMOUS}@"):
        raise InputError("must not contain keys", given=uri.replace(user, "…@", 1), hint=_KEYS[scheme])
    if scheme not in GOOGLE or RETRIED_FOR in uri.partition("?")[2]:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{RETRIED_FOR}={RETRIED_FOR_S}"
