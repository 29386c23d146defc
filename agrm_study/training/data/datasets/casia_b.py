"""Layout of CASIA-B: subject, condition and view are parsed from file names such as 001-nm-01-090.avi."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType

from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets.layout import Found, Layout, Options, Survey, survey_of
from agrm_study.training.data.datasets.walk import LeftOut, name_of_video, walk

NAME = re.compile(r"(\d{3})-([a-z]{2})-(\d{2})-(\d{3})", re.IGNORECASE)
BACKGROUND = re.compile(r"\d{3}-(bkgrd|bkgd|background)-\d{3}", re.IGNORECASE)
SUBJECTS = range(1, 125)
SEQUENCES = {"nm": range(1, 7), "bg": range(1, 3), "cl": range(1, 3)}
"""Sequence numbers of each condition: normal walking, with a bag, in a coat."""
VIEWS = range(0, 181, 18)


class CasiaBLayout(Layout):
    """Videos in one folder tree, with DatasetB-1 and DatasetB-2 separate or merged; background files are skipped.

    Folders of numbered images (silhouettes) are named like the videos, or are nested as in `001/nm-01/090`.
    """

    name = "casia_b"
    describes = "a folder with videos named SSS-mm-nn-vvv.avi (001-nm-01-000.avi)"
    example = MappingProxyType({"001-nm-01-000.avi": "", "002-cl-01-180.avi": ""})

    def survey(self, path: Path, options: Options) -> Survey:
        tree = walk(path, images=options.fps is not None)
        left_out = list(tree.left_out)
        found: list[Found] = []
        foreign: list[Path] = []
        for video in tree.videos:
            name = name_of_video(video)
            match = NAME.fullmatch(name) or NAME.fullmatch("-".join(video.parts[-3:]))
            if match is None:
                if BACKGROUND.fullmatch(name):
                    left_out.append(LeftOut(str(video), "a background without a person"))
                else:
                    foreign.append(video)
                continue
            subject, way, number, view = int(match[1]), match[2].lower(), int(match[3]), int(match[4])
            if subject not in SUBJECTS or number not in SEQUENCES.get(way, ()) or view not in VIEWS:
                allowed = "subject 001-124; nm-01..06, bg-01..02, cl-01..02; view 000-180 in steps of 018"
                raise InputError("not a CASIA-B file name", where=video, given=match[0], allowed=allowed)
            found.append(
                Found(
                    path=video, subject_id=f"casia_b-{match[1]}", clip_id=match[0].lower(), source=self.name,
                    view=view, condition=f"{way}-{match[3]}",
                )
            )  # fmt: skip
        if not found:
            given = f"{len(foreign)} other videos, including {foreign[0].name}" if foreign else "no video"
            raise InputError(
                "the folder contains no CASIA-B video", where=path, given=given, allowed=self.describes, hint=tree.hint
            )
        if foreign:
            rule = f"{len(foreign)} videos do not have a CASIA-B file name"
            raise InputError(rule, where=path, given=foreign[0].name, allowed=self.describes)
        return survey_of(found, left_out, options, path)
