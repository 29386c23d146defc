"""Facts of one node of a cluster, gathered on the node.

`describe` is sent to the node by value, so that it also runs where this package is missing. Therefore it imports
everything inside the functions and does not depend on this package.
"""

from __future__ import annotations

from typing import Any


def describe(question: dict[str, Any]) -> dict[str, Any]:
    """The facts of the node that this runs on.

    Args:
        question: ``results`` and ``probe`` (a results folder and the name of a file in it whose
            content is ``token``), ``answer`` (the name of a file that the node writes), ``files`` (paths that it must
            see), ``stores`` and ``local`` (clip stores by size, and the folder of their copies), ``video`` and
            ``gpus`` (whether to test decoding, and CUDA).

    Returns:
        ``host, clock``, and ``missing`` where this package cannot be imported; otherwise ``versions``, ``unseen``,
        ``room`` (what the disk lacks) and, where asked, ``storage``, ``video`` (problems, empty when all is well),
        ``gpus`` (their names) and ``cuda`` (a problem, or empty).
    """
    import platform
    import time

    facts: dict[str, Any] = {"host": platform.node(), "clock": time.time()}
    try:
        from agrm_study.execution.trial.versions import own_versions
    except ImportError as error:
        facts["missing"] = str(error)
        return facts
    facts["versions"] = own_versions()
    facts["unseen"] = unseen(question["files"])
    facts["room"] = try_room(question) if question["stores"] else ""
    if question["results"]:
        facts["storage"] = try_storage(question)
    if question["video"]:
        facts["video"] = try_video()
    if question["gpus"]:
        facts["gpus"], facts["cuda"] = try_cuda()
    facts["clock"] = time.time()
    return facts


def unseen(files: list[str]) -> list[str]:
    """Those of the paths that do not exist here."""
    from pathlib import Path

    return [file for file in files if not Path(file).exists()]


def try_room(question: dict[str, Any]) -> str:
    """Disk space that this node lacks for copies of the clip stores, in words; empty for none."""
    from agrm_study.execution.data.node_store import lacking_room

    return lacking_room(question["stores"], question["local"])


def try_storage(question: dict[str, Any]) -> str:
    """Problem with reading or writing the results folder; empty for none."""
    from agrm_study.records.location import Location

    try:
        results = Location.of(question["results"])
        content = (results / question["probe"]).read()
        if content is None:
            return "does not see it"
        if content.decode() != question["token"]:
            return "reads something else than was written"
        (results / question["answer"]).write_atomic(content)
    except Exception as error:  # the storage library raises errors of any class
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return ""


def try_video() -> str:
    """Problem with reading a tiny video; empty for none."""
    from agrm_study.execution.fitness.video import check_video

    return "; ".join(f"{found.check}: {found.text}" for found in check_video() if found.level == "problem")


def try_cuda() -> tuple[list[str], str]:
    """GPU names, and any problem with computing on one; in a child process, as Ray hides GPUs from this one."""
    import os
    import subprocess
    import sys

    script = (
        "import torch\n"
        "names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]\n"
        "for i in range(len(names)):\n"
        "    assert float(torch.ones(8, 8, device=f'cuda:{i}').sum()) == 64.0\n"
        "print('\\n'.join(names))\n"
    )
    environment = {k: v for k, v in os.environ.items() if not (k == "CUDA_VISIBLE_DEVICES" and v in ("", "NoDevFiles"))}
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return [], "torch does not compute within a minute"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return [], lines[-1] if lines else f"torch ended with {done.returncode}"
    names = done.stdout.split("\n")[:-1] if done.stdout.strip() else []
    return names, "" if names else "torch finds no GPU"
