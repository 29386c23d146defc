"""Checks every node of a cluster before the first trial: code, versions, storage, videos, GPUs, clocks.

The package must be installed on every node, in the environment that its Ray was started from. A node that lacks it, or
has another version, is refused by name. The study itself is sent with each trial;
clip stores and results are on storage that all nodes reach.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.execution.driver import node_facts
from agrm_study.execution.resources.capacity import alive_nodes
from agrm_study.execution.trial.versions import difference, own_versions
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError, InputErrors

NODE_S: Final = 90.0
"""Seconds that the nodes have to answer, all at the same time; a worker must start and import its libraries."""
CLOCKS_S: Final = 5.0
"""Difference of two clocks, in seconds, from which a note is shown."""
NOTHING: Final = {"files": [], "stores": {}, "local": "", "video": False, "gpus": False}
"""Parts of a question that are left out unless asked for."""
INSTALL: Final = "Install the same agrm-study everywhere, in the environment that each node's Ray was started from"


@dataclass(frozen=True, slots=True)
class Answer:
    """Facts of a node, or the reason why there are none.

    Attributes:
        node: Its name, unique among the nodes.
        resources: Its resources, by Ray's names.
        facts: As returned by `node_facts.describe`; ``None`` if it did not answer.
        silence: Why it did not answer.
        skew_s: Seconds by which its clock is ahead of this machine's, beyond the time that the answer took.
    """

    node: str
    resources: Mapping[str, float]
    facts: Mapping[str, Any] | None
    silence: str = ""
    skew_s: float = 0.0


def check_cluster(results: Location, *, on_gpus: bool, below: str = ".run/") -> list[str]:
    """Checks every node of the cluster that this process is connected to.

    Args:
        results: Results folder.
        on_gpus: Whether trials compute on GPUs.
        below: Folder within the results where a file is written as a test, and removed again.

    Returns:
        Non-fatal notes.

    Raises:
        InputError: Some nodes are unfit; each is listed with its problems.
    """
    token = uuid.uuid4().hex
    folder = f"{below}.preflight-{token[:8]}"
    question = {
        "results": results.address, "probe": f"{folder}/asked", "token": token, "video": True, "gpus": on_gpus,
    }  # fmt: skip
    (results / folder / "asked").write_atomic(token.encode())
    try:
        answers = ask(question, answer_in=folder)
        arrived = {
            answer.node
            for answer in answers
            if answer.facts is not None and (results / answer.facts["answer"]).read() == token.encode()
        }
    finally:
        with contextlib.suppress(OSError):
            (results / folder).delete_folder()
    _refuse(_unfit(answers, arrived, results.address))
    return [
        f"{answer.node}: its clock is {answer.skew_s:+.0f} s from this machine's, so updates of its trials look old "
        "or new by as much. Synchronise all clocks with one server (NTP)."
        for answer in answers
        if abs(answer.skew_s) > CLOCKS_S
    ]


def check_files(files: Sequence[str], stores: Mapping[str, int], local: str) -> None:
    """Checks that every node can access the data of the trials and has room for its copies of the clip stores.

    Args:
        files: Paths and URIs that trials read.
        stores: Bytes of each clip store among them.
        local: Folder on each node's own disk to which stores are copied; empty to read them in place.

    Raises:
        InputError: A node cannot, or lacks room.
    """
    here = [file for file in files if "://" not in file]
    _refuse(_blind(ask({"files": here, "stores": dict(stores), "local": local})))


def _blind(answers: Iterable[Answer]) -> Iterator[Unfit]:
    """Files that nodes cannot access, and disks without room. A node that no longer answers gets no trials."""
    for answer in answers:
        for file in (answer.facts or {}).get("unseen", ()):
            hint = (
                "Put data and results on storage that all nodes mount at the same path, or name an object store in "
                "AGRM_STUDY_SHARED_STORE, from which each node takes a copy."
            )
            yield "every node must see what its trials read", answer.node, {"given": f"no {file} there"}, hint
        if room := (answer.facts or {}).get("room"):
            hint = "AGRM_STUDY_LOCAL_STORE names a folder on a larger disk, also for one node alone."
            yield "every node must have room for its copy of the clip stores", answer.node, {"given": room}, hint


def ask(question: Mapping[str, Any], *, answer_in: str = "") -> list[Answer]:
    """The answer of every living node to a question (`node_facts.describe`); all are queried concurrently."""
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    whole = {"results": "", **NOTHING, **question}
    nodes = alive_nodes()
    names = _names(nodes)
    pending: dict[Any, tuple[str, Mapping[str, float], float]] = {}
    written: dict[str, str] = {}
    cloudpickle.register_pickle_by_value(node_facts)
    try:
        describe = ray.remote(num_cpus=0, max_retries=0)(node_facts.describe)
        for node, name in zip(nodes, names, strict=True):
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            written[name] = f"{answer_in}/{node['NodeID'][:12]}"
            gpus = whole["gpus"] and node["Resources"].get("GPU", 0.0) > 0
            sent = describe.options(scheduling_strategy=strategy).remote(
                {**whole, "gpus": gpus, "answer": written[name]}
            )
            pending[sent] = (name, node["Resources"], time.time())
    finally:
        cloudpickle.unregister_pickle_by_value(node_facts)
    answers = []
    end = time.monotonic() + NODE_S
    while pending:
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=max(0.0, end - time.monotonic()))
        if not ready:
            break
        name, resources, sent_at = pending.pop(ready[0])
        answers.append(_answer(ready[0], name, resources, sent_at, written[name]))
    for sent, (name, resources, _) in pending.items():
        ray.cancel(sent, force=True)
        answers.append(Answer(name, resources, None, f"no answer within {NODE_S:.0f} s"))
    return sorted(answers, key=lambda answer: answer.node)


def _answer(sent: Any, name: str, resources: Mapping[str, float], sent_at: float, written: str) -> Answer:
    import ray

    try:
        facts = ray.get(sent)
    except Exception as error:  # Ray raises errors of any class from the node
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Answer(name, resources, None, f"cannot run a task ({lines[-1][:160]})")
    now, clock = time.time(), facts["clock"]
    skew = clock - now if clock > now else min(0.0, clock - sent_at)
    return Answer(name, resources, {**facts, "answer": written}, skew_s=skew)


def _names(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each node: its host name where unique."""
    hosts = [str(node["NodeManagerHostname"]) for node in nodes]
    addresses = [str(node["NodeManagerAddress"]) for node in nodes]
    for candidate in (hosts, [f"{h} ({a})" for h, a in zip(hosts, addresses, strict=True)]):
        if len(set(candidate)) == len(candidate):
            return [f"node {name}" for name in candidate]
    return [f"node {host}:{node['NodeID'][:8]}" for host, node in zip(hosts, nodes, strict=True)]


Unfit = tuple[str, str, Mapping[str, str], str]
"""The broken rule, the node, the given (and allowed) value, and the remedy."""


def _unfit(answers: Iterable[Answer], arrived: set[str], place: str) -> Iterator[Unfit]:
    """Problems of the nodes."""
    for answer in answers:
        node, facts = answer.node, answer.facts
        if facts is None:
            yield "every node must answer", node, {"given": answer.silence}, f"{INSTALL}, or remove the node."
            continue
        if "missing" in facts:
            hint = f"{INSTALL}: `pip install agrm-study` (or this checkout) there, then start its Ray again."
            yield "agrm-study must be installed on every node", node, {"given": facts["missing"]}, hint
            continue
        theirs, ours = difference(facts["versions"], own_versions())
        if theirs:
            words = {"given": theirs, "allowed": f"{ours} (as on this machine)"}
            yield "every node must run the same versions", node, words, f"{INSTALL}: its results could not be compared."
        wrong = facts.get("storage") or ("" if node in arrived else "what it wrote there did not arrive here")
        if wrong:
            hint = "Give `--results` on storage that every node reaches: a path that all mount, s3://… or gs://…."
            yield f"every node must read and write the results, {place}", node, {"given": wrong}, hint
        if facts.get("video"):
            yield "every node must be able to read videos", node, {"given": facts["video"]}, f"{INSTALL}."
        if facts.get("cuda"):
            given = f"{answer.resources['GPU']:g} GPUs for Ray, but {facts['cuda']}"
            yield (
                "torch must compute on the GPUs of a node",
                node,
                {"given": given},
                "`agrm-study doctor` on that node shows details.",
            )


def _refuse(unfit: Iterable[Unfit]) -> None:
    """Raises one error for all problems; nodes with the same problem share a line."""
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for rule, node, words, hint in unfit:
        alike.setdefault((rule, words.get("given", ""), words.get("allowed", ""), hint), []).append(node)
    problems = [
        InputError(rule, where=", ".join(nodes), given=given, allowed=allowed or None, hint=hint)
        for (rule, given, allowed, hint), nodes in alike.items()
    ]
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise InputErrors(problems)
