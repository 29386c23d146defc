"""How is a folder in an object store named, and how long is a server that refuses waited for?"""

from __future__ import annotations

from typing import Final

from agrm_study.study.errors import InputError

GOOGLE: Final = ("gs", "gcs")
ANONYMOUS: Final = "anonymous"
RETRIED_FOR: Final = "retry_limit_seconds"
RETRIED_FOR_S: Final = 15
"""For so long a request that Google's server refuses is sent again; Arrow's own limit is a quarter of an hour."""
_KEYS: Final = {
    "s3": "Give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or by a role of the machines.",
    **dict.fromkeys(GOOGLE, "Google's are found by themselves, e.g. where GOOGLE_APPLICATION_CREDENTIALS says."),
}
_SPEAKERS: Final = ("AWS Error", "google::cloud::")
"""What Arrow's errors of an object store contain; they have no number."""


def store_error_text(error: BaseException) -> str:
    """What an object store, or the way to it, answered to Arrow, in short; empty for any other error."""
    text = str(error)
    if not isinstance(error, OSError) or not any(name in text for name in _SPEAKERS):
        return ""
    return text.partition(" error_info=")[0].rpartition("with a last message of ")[2]


def user_of(uri: str) -> str:
    """What a URI names before its bucket, ``anonymous@`` for one; empty for nothing."""
    return "".join(uri.partition("://")[2].partition("/")[0].rpartition("@")[:2])


def arrow_uri(uri: str) -> str:
    """The URI as Arrow is to take it: one of Google's with a limit of waiting.

    Raises:
        InputError: Keys stand in it: they would be printed, and seen by all who list processes.
    """
    scheme, user = uri.partition("://")[0], user_of(uri)
    if user and scheme in _KEYS and not (scheme in GOOGLE and user == f"{ANONYMOUS}@"):
        raise InputError("must not hold keys", given=uri.replace(user, "…@", 1), hint=_KEYS[scheme])
    if scheme not in GOOGLE or RETRIED_FOR in uri.partition("?")[2]:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{RETRIED_FOR}={RETRIED_FOR_S}"
