"""Bucket URIs must not contain keys, and server errors are summarised."""

from __future__ import annotations

import pytest

from agrm_study.study.errors import InputError
from agrm_study.study.object_store import arrow_uri, store_error_text


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("gs://bucket/x", "gs://bucket/x?retry_limit_seconds=15"),
        ("gs://anonymous@bucket/x?scheme=http", "gs://anonymous@bucket/x?scheme=http&retry_limit_seconds=15"),
        ("gcs://bucket/x?retry_limit_seconds=2", "gcs://bucket/x?retry_limit_seconds=2"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("file:///a/b", "file:///a/b"),
    ],
)
def test_google_alone_needs_a_limit_of_waiting(given: str, taken: str) -> None:
    assert arrow_uri(given) == taken


@pytest.mark.parametrize("scheme", ["s3", "gs", "gcs"])
def test_keys_in_a_uri_are_refused_and_not_repeated(scheme: str) -> None:
    with pytest.raises(InputError, match="must not contain keys") as refused:
        arrow_uri(f"{scheme}://AKIA:secret@bucket/x?region=eu")
    assert f"{scheme}://…@bucket/x" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_what_a_store_says_is_told_without_what_surrounds_it() -> None:
    google = (
        "google::cloud::Status(UNAVAILABLE: Retry policy exhausted, with a last message of PerformWork() - CURL error "
        "[7]=Could not connect to server error_info={reason=, domain=, metadata={gcloud-cpp.retry.on-entry=false}})"
    )
    assert store_error_text(OSError(google)) == "PerformWork() - CURL error [7]=Could not connect to server"
    amazon = "When listing objects: AWS Error ACCESS_DENIED during ListObjectsV2 operation: Access Denied"
    assert store_error_text(OSError(amazon)) == amazon
    assert store_error_text(OSError(28, "No space left on device")) == ""
    assert store_error_text(ValueError(amazon)) == ""
