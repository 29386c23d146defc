"""Checks of every cluster node before the first trial: code, versions, storage, videos, GPUs, clocks.

The package must be installed on every node, in the environment from which its Ray was started. A node without it, or
with a different version, is rejected and identified in the message. The study itself is sent with each trial; clip
stores and results are on storage that all nodes can access.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from agrm_study.execution.driver import node_facts
from agrm_study.execution.resources.capacity import alive_nodes
from agrm_study.execution.trial.versions import difference, own_versions
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError, raise_together

NODE_S: Final = 90.0
"""Timeout for the responses of all nodes, in seconds; on each node, a worker must start and import its libraries."""
CLOCKS_S: Final = 5.0
"""Minimum difference between two clocks, in seconds, for which a note is shown."""
INSTALL: Final = "Install the same agrm-study on every node, in the environment from which its Ray was started"
SHARE: Final = (
    "Put data and results on storage that all nodes mount at the same path, or set AGRM_STUDY_SHARED_STORE to an "
    "object store from which each node copies the data."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Facts about a node (`node_facts.describe`), or the reason for their absence.

    Attributes:
        node: Name of the node, unique among the nodes.
        gpus: Number of GPUs, as counted by Ray.
        facts: ``None`` if the node did not respond.
        silence: Reason why the node did not respond.
        skew_s: Seconds by which its clock is ahead of this machine's, beyond what the response time can explain.
    """

    node: str
    gpus: float
    facts: Mapping[str, Any] | None
    silence: str = ""
    skew_s: float = 0.0


class Unfit(NamedTuple):
    """A rule that a node violates, the observed value, and the remedy."""

    node: str
    rule: str
    given: str
    hint: str
    allowed: str | None = None


def check_cluster(results: Location, *, on_gpus: bool, below: str = ".run/") -> list[str]:
    """Checks every node of the cluster to which this process is connected.

    Args:
        on_gpus: Whether trials run on GPUs.
        below: Folder within the results folder in which a test file is written and then removed.

    Returns:
        Non-fatal notes.

    Raises:
        InputError: If some nodes are unfit; each is listed with its problems.
    """
    token = uuid.uuid4().hex
    folder = f"{below}.preflight-{token[:8]}"
    storage = {"results": results.address, "probe": f"{folder}/asked", "token": token}
    (results / folder / "asked").write_atomic(token.encode())
    try:
        answers = ask(storage | {"video": True, "gpus": on_gpus}, answer_in=folder)
        facts = {answer.node: answer.facts for answer in answers if answer.facts is not None}
        arrived = {node for node, each in facts.items() if (results / each["answer"]).read() == token.encode()}
    finally:
        with contextlib.suppress(OSError):
            (results / folder).delete_folder()
    _refuse(_unfit(answers, arrived, results.address))
    return [
        f"{answer.node}: its clock differs by {answer.skew_s:+.0f} s from this machine's, which makes the age of its "
        "trials' updates wrong by the same amount. Synchronise all clocks with one server (NTP)."
        for answer in answers
        if abs(answer.skew_s) > CLOCKS_S
    ]


def check_files(files: Sequence[str], stores: Mapping[str, int], local: str) -> None:
    """Checks that every node can access the data of the trials and has room for its copies of the clip stores.

    A node that no longer responds gets no trials.

    Args:
        files: Paths and URIs that trials read.
        stores: Size in bytes of each clip store among them.
        local: Folder on each node's local disk to which stores are copied; empty to read them in place.

    Raises:
        InputError: If a node cannot access the data, or lacks room.
    """
    here = [file for file in files if "://" not in file]
    blind = []
    for answer in ask({"files": here, "stores": dict(stores), "local": local}):
        facts = answer.facts or {}
        rule = "every node must be able to access the data of its trials"
        blind += [Unfit(answer.node, rule, f"{file} does not exist there", SHARE) for file in facts.get("unseen", ())]
        if room := facts.get("room"):
            hint = "Set AGRM_STUDY_LOCAL_STORE to a folder on a larger disk, on all nodes or only on this one."
            blind.append(
                Unfit(answer.node, "every node must have enough disk space for its copy of the clip stores", room, hint)
            )
    _refuse(blind)


def ask(question: Mapping[str, Any], *, answer_in: str = "") -> list[Answer]:
    """The response of every live node to a question (`node_facts.describe`); all are queried concurrently."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = alive_nodes()
    hosts = Counter(node["NodeManagerHostname"] for node in nodes)
    sent: dict[Any, tuple[str, float, float, str]] = {}
    cloudpickle.register_pickle_by_value(node_facts)
    try:
        describe = ray.remote(num_cpus=0, max_retries=0)(node_facts.describe)
        for node in nodes:
            host, gpus = node["NodeManagerHostname"], node["Resources"].get("GPU", 0.0)
            name = f"node {host}" if hosts[host] == 1 else f"node {host}:{node['NodeID'][:8]}"
            written = f"{answer_in}/{node['NodeID'][:12]}"
            asked = {**question, "gpus": bool(question.get("gpus") and gpus), "answer": written}
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            sent[describe.options(scheduling_strategy=strategy).remote(asked)] = (name, gpus, time.time(), written)
    finally:
        cloudpickle.unregister_pickle_by_value(node_facts)
    answers = []
    end = time.monotonic() + NODE_S
    while sent:
        ready, _ = ray.wait(list(sent), num_returns=1, timeout=max(0.0, end - time.monotonic()))
        if not ready:
            break
        answers.append(_answer(ready[0], *sent.pop(ready[0])))
    for task, (name, gpus, *_) in sent.items():
        ray.cancel(task, force=True)
        answers.append(Answer(name, gpus, None, f"no response within {NODE_S:.0f} s"))
    return sorted(answers, key=lambda answer: answer.node)


def _answer(task: Any, name: str, gpus: float, sent_at: float, written: str) -> Answer:
    import ray

    try:
        facts = ray.get(task)
    except Exception as error:  # Ray may raise exceptions of any type from the node
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Answer(name, gpus, None, f"cannot run a task ({lines[-1][:160]})")
    now, clock = time.time(), facts["clock"]
    skew = clock - now if clock > now else min(0.0, clock - sent_at)
    return Answer(name, gpus, {**facts, "answer": written}, skew_s=skew)


def _unfit(answers: Iterable[Answer], arrived: set[str], place: str) -> Iterator[Unfit]:
    """Problems found on the nodes."""
    for answer in answers:
        node, facts = answer.node, answer.facts
        if facts is None:
            yield Unfit(node, "every node must respond", answer.silence, f"{INSTALL}, or remove the node.")
            continue
        if "missing" in facts:
            hint = f"{INSTALL}: `pip install agrm-study` (or this checkout) there, then restart its Ray."
            yield Unfit(node, "agrm-study must be installed on every node", facts["missing"], hint)
            continue
        theirs, ours = difference(facts["versions"], own_versions())
        if theirs:
            hint = f"{INSTALL}; otherwise its results are not comparable."
            yield Unfit(node, "every node must run the same versions", theirs, hint, f"{ours} (as on this machine)")
        if wrong := facts.get("storage") or ("" if node in arrived else "the file that it wrote is not visible here"):
            hint = "Put `--results` on storage that every node can access: a path that all mount, s3://… or gs://…."
            yield Unfit(node, f"every node must be able to read and write the results in {place}", wrong, hint)
        if video := facts.get("video"):
            yield Unfit(node, "every node must be able to read videos", video, f"{INSTALL}.")
        if cuda := facts.get("cuda"):
            given = f"Ray reports {answer.gpus:g} GPUs, but {cuda}"
            hint = "`agrm-study doctor` on that node shows details."
            yield Unfit(node, "torch must work on the GPUs of a node", given, hint)


def _refuse(unfit: Iterable[Unfit]) -> None:
    """Raises one error for all problems; nodes with the same problem share a line."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for node, *problem in unfit:
        alike.setdefault(tuple(problem), []).append(node)
    problems = [
        InputError(rule, where=", ".join(nodes), given=given, allowed=allowed, hint=hint)
        for (rule, given, hint, allowed), nodes in alike.items()
    ]
    raise_together(problems)
