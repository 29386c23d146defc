"""Every container with an unusual suffix is indexed, checked and stored frame by frame."""

from pathlib import Path

import pytest

from agrm_study.study.recipe import Clip
from agrm_study.training.data.check import check_manifest
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store import ClipStore, build_store

CODECS = {
    ".3gp": "h263", ".m2ts": "libx264", ".vob": "mpeg2video", ".asf": "wmv2", ".mts": "libx264", ".wmv": "wmv2",
    ".flv": "flv", ".ogv": "libvpx", ".mpg": "mpeg1video", ".ts": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9",
}  # fmt: skip


@pytest.mark.parametrize("suffix", CODECS)
def test_a_container_is_read_frame_by_frame(tmp_path: Path, videos, suffix: str) -> None:
    (tmp_path / "normal").mkdir()
    # The pixels of H.263 are 12:11 (ITU-T H.263, 4.1), so that 176 columns are shown as 192.
    size, shown = ((176, 144), (192, 144)) if suffix == ".3gp" else ((160, 120), (160, 120))
    videos.write(tmp_path / "normal" / f"a{suffix.upper()}", 40, codec=CODECS[suffix], size=size)
    (clip,) = layout_of("folder").index(tmp_path)
    assert (clip.frames, clip.width, clip.height) == (40, *shown)
    assert clip.fps == pytest.approx(25, rel=0.01)
    manifest = Manifest(tmp_path / "m", (clip,))
    report = check_manifest(manifest, Clip(fps=25.0, frames=16, resize=120, size=120))
    assert not report.stops, report.findings
    store = ClipStore.open(build_store(manifest, Clip(fps=25.0, resize=60, size=48), tmp_path / "stores"))
    assert videos.numbers(store.clip(0).transpose(0, 2, 3, 1)) == list(range(40))
