"""Child process that times training steps, so that its parent need not import torch.

It reads one JSON object from stdin, ``{"gpu": bool, "recipes": {name: recipe}, "parts": [source]}``, and writes one
per line: the device, then the times of each recipe or the reason why it has none.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any


def main() -> None:
    """Writes the results to stdout."""
    import torch

    from agrm_study.study.errors import InputError
    from agrm_study.study.parts.loaded import offer_portable
    from agrm_study.study.recipe import Recipe
    from agrm_study.training.failures import DeviceMemoryError
    from agrm_study.training.step_time import step_time

    def write(**facts: Any) -> None:
        print(json.dumps(facts), flush=True)

    asked = json.load(sys.stdin)
    offer_portable(asked["parts"])
    on_gpu = asked["gpu"] and torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    write(device=torch.cuda.get_device_name() if on_gpu else "cpu", threads=torch.get_num_threads())
    for name, recipe in asked["recipes"].items():
        try:
            write(name=name, times=asdict(step_time(Recipe.model_validate(recipe), device)))
        except (InputError, DeviceMemoryError) as error:
            write(name=name, problem=str(error))


if __name__ == "__main__":
    main()
