"""Facts about one node of a cluster, gathered on the node itself.

`describe` is sent to the node by value, so that it also runs on nodes without this package. Therefore all imports are
inside the functions, and importing this package may fail.
"""

from __future__ import annotations

from typing import Any


def describe(question: dict[str, Any]) -> dict[str, Any]:
    """Facts about the node on which this function runs.

    Args:
        question: The facts to determine, all optional: ``results`` (a results folder), with ``probe`` (the name of a
            file in it whose content is ``token``) and ``answer`` (the name of a file that the node writes); ``files``
            (paths that must exist on the node); ``stores`` and ``local`` (clip stores with their sizes, and the folder
            for their copies); ``video`` and ``gpus`` (whether to test video decoding and CUDA).

    Returns:
        ``clock`` and ``missing`` if this package cannot be imported; otherwise ``clock``, ``versions``, ``unseen``
        files and, if requested, ``room``, ``storage``, ``video`` and ``cuda``, each the problem found, or empty.
    """
    import time
    from pathlib import Path

    try:
        from agrm_study.execution.data.node_store import lacking_room
        from agrm_study.execution.trial.versions import own_versions
    except ImportError as error:
        return {"clock": time.time(), "missing": str(error)}
    facts: dict[str, Any] = {"versions": own_versions()}
    facts["unseen"] = [file for file in question.get("files", ()) if not Path(file).exists()]
    if question.get("stores"):
        facts["room"] = lacking_room(question["stores"], question["local"])
    if question.get("results"):
        facts["storage"] = try_storage(question)
    if question.get("video"):
        facts["video"] = try_video()
    if question.get("gpus"):
        facts["cuda"] = try_cuda()
    facts["clock"] = time.time()
    return facts


def try_storage(question: dict[str, Any]) -> str:
    """Problem with reading or writing the results folder; empty if there is none."""
    from agrm_study.records.location import Location

    try:
        results = Location.of(question["results"])
        content = (results / question["probe"]).read()
        if content is None:
            return "cannot read a test file that this machine has written"
        if content.decode() != question["token"]:
            return "reads content that differs from what was written"
        (results / question["answer"]).write_atomic(content)
    except Exception as error:  # the storage library raises exceptions of any type
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return ""


def try_video() -> str:
    """Problem with reading a tiny video; empty if there is none."""
    from agrm_study.execution.fitness.video import check_video

    return "; ".join(f"{found.check}: {found.text}" for found in check_video() if found.level == "problem")


def try_cuda() -> str:
    """Problem with computations on the GPUs, tested in a child process because Ray hides GPUs; empty if none."""
    import os
    import subprocess
    import sys

    script = (
        "import torch\n"
        "assert torch.cuda.device_count(), 'torch finds no GPU'\n"
        "for i in range(torch.cuda.device_count()):\n"
        "    assert float(torch.ones(8, 8, device=f'cuda:{i}').sum()) == 64.0, f'cuda:{i} gives wrong results'\n"
    )
    environment = {k: v for k, v in os.environ.items() if not (k == "CUDA_VISIBLE_DEVICES" and v in ("", "NoDevFiles"))}
    command = [sys.executable, "-c", script]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return "a torch computation did not finish within a minute"
    lines = done.stderr.strip().splitlines() or [f"torch exited with code {done.returncode}"]
    return lines[-1].removeprefix("AssertionError: ") if done.returncode else ""
