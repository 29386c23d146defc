"""Studies with results in S3 or Google Cloud Storage: run, resume, report, and a server that stops responding."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from disturbed_study import TRIALS, Quiet
from nodes import Nodes
from object_stores import Bucket

from agrm_study.execution.data.node_store import lacking_room, node_store
from agrm_study.execution.progress.status import status
from agrm_study.execution.trial.checkpoints import BEST, NEXT_BEST, ROLLING, CheckpointFolder
from agrm_study.records.compaction import compact
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.study.recipe import Clip
from agrm_study.training.data.datasets.synthetic import write_synthetic
from agrm_study.training.data.manifest import read_manifest
from agrm_study.training.data.store import ClipStore, build_store, publish_store


def test_a_location_in_an_object_store_behaves_like_a_folder_and_is_found_again_by_its_address(bucket: Bucket) -> None:
    folder = Location.of(bucket.uri("a/b"))
    file = folder / "c" / "d.json"
    assert file.read() is None
    assert not file.exists()
    assert file.stamp() is None
    file.write_atomic(b"one")
    again = Location.of(file.address)
    assert again.read() == b"one"
    first = again.stamp()
    file.write_atomic(b"other")
    assert again.read() == b"other"
    assert file.stamp() != first
    assert [child.name for child in (folder / "c").children(".json")] == ["d.json"]
    (folder / "c").mark()
    (folder / "c").mark()
    assert [child.name for child in folder.children()] == ["c"]
    assert [child.name for child in (folder / "c").children()] == ["d.json"]
    file.delete()
    file.delete()
    assert (folder / "c").children(".json") == []
    folder.delete_folder()
    folder.delete_folder()


def test_checkpoints_belong_together_whenever_a_push_is_cut_short(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agrm_study.execution.trial.checkpoints.process_folder", lambda: tmp_path)
    folder = CheckpointFolder.of(bucket.uri("results"), "trial")
    folder.local.mkdir(parents=True)

    def train(epoch: int, best: int) -> None:
        (folder.local / BEST).write_text(f"best {best}")
        (folder.local / ROLLING).write_text(f"epoch {epoch} needs best {best}")

    def there() -> dict[str, str]:
        return {file.name: (file.read() or b"").decode() for file in folder.shared.children()}

    train(1, 1)
    folder.push()
    assert there() == {BEST: "best 1", ROLLING: "epoch 1 needs best 1"}
    train(2, 2)
    put, done = Location.write_atomic, list[str]()

    def cut(self: Location, data: bytes, **options: bool) -> None:
        needed = there()[ROLLING].partition("needs ")[2]
        assert needed in (there().get(BEST), there().get(NEXT_BEST))
        done.append(self.name)
        put(self, data, **options)

    monkeypatch.setattr(Location, "write_atomic", cut)
    folder.push()
    assert done == [NEXT_BEST, ROLLING]
    assert there() == {BEST: "best 2", ROLLING: "epoch 2 needs best 2"}
    folder.push()
    assert done == [NEXT_BEST, ROLLING], "what has not changed is sent once"
    (folder.local / "stale").write_text("of another attempt")
    folder.pull()
    assert sorted(file.name for file in folder.local.iterdir()) == [BEST, ROLLING]
    folder.finish(keep_weights=True)
    assert there() == {BEST: "best 2"}


@pytest.mark.cluster
def test_two_nodes_write_to_a_bucket_and_a_server_that_is_silent_for_twenty_seconds_costs_no_result(
    quiet: Quiet, bucket: Bucket, nodes: Nodes, tmp_path: Path
) -> None:
    for _ in range(2):
        nodes.start(cpus=1, gpus=1)
    run = quiet.start(bucket.uri("results"), tmp_path / "log", address=nodes.address)
    run.until(lambda beats: sum(beat.epoch >= 3 for beat in beats) >= 2)
    bucket.process.send_signal(signal.SIGSTOP)
    time.sleep(20)
    bucket.process.send_signal(signal.SIGCONT)
    assert run.wait() == 0, run.said
    assert status(bucket.uri("results")).finished == TRIALS
    quiet.assert_same(bucket.uri("results"))
    assert compact(bucket.uri("results"), at_least=1) > 0
    assert len(Ledger(Location.of(bucket.uri("results"))).finished_ids()) == TRIALS
    quiet.assert_same(bucket.uri("results"))


@pytest.mark.cluster
def test_a_run_into_a_bucket_that_is_stopped_goes_on_from_its_checkpoints(
    quiet: Quiet, bucket: Bucket, nodes: Nodes, tmp_path: Path
) -> None:
    for _ in range(2):
        nodes.start(cpus=1, gpus=1)
    run = quiet.start(bucket.uri("results"), tmp_path / "log", address=nodes.address)
    run.until(lambda beats: sum(beat.epoch >= 3 for beat in beats) >= 2)
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 130, run.said
    assert "were saved" in run.said
    again = quiet.start(bucket.uri("results"), tmp_path / "log", address=nodes.address)
    assert again.wait() == 0, again.said
    quiet.assert_same(bucket.uri("results"))
    assert Ledger(Location.of(bucket.uri("results"))).trials()["attempt"].max() == 2


def test_a_node_copies_a_clip_store_from_a_bucket_once_and_is_told_before_its_disk_is_full(
    bucket: Bucket, tmp_path: Path
) -> None:
    made = write_synthetic(tmp_path / "made", subjects=6, unlabelled=0, seed=0, difficulty="easy", workers=1)
    store = build_store(read_manifest(made), Clip(frames=4, size=32, resize=36), tmp_path / "built", workers=1)
    place = publish_store(store, bucket.uri("stores"))
    node = str(tmp_path / "node")
    with ThreadPoolExecutor(2) as workers:
        copies = list(workers.map(lambda _: node_store(place, node), range(2)))
    assert copies[0] == copies[1]
    assert (ClipStore.open(copies[0]).clip(0) == ClipStore.open(store).clip(0)).all()
    assert lacking_room({place: 10**18}, node) == "", "what is there needs no room"
    assert "clip stores in" in lacking_room({place.replace(store.name, "other"): 10**18}, node)
    assert lacking_room({str(store): 10**18}, "") == "", "a store that is read in place needs none"
