"""Search for video files and folders of numbered images in a folder tree, with reasons for skipped files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agrm_study.study.errors import InputError
from agrm_study.training.data.decoding.images import IMAGE_SUFFIXES, is_numbered
from agrm_study.training.data.manifest import printable

_SUFFIXES = """
264 265 266 3g2 3gp amv asf avi avs2 divx dv dvr-ms evo f4v flv h261 h263 h264 h265 h266 hevc ifv ismv ivf lvf m1v m2p
m2t m2ts m2v m4v mj2 mjpeg mjpg mk3d mkv mod moflex mov mp4 mpe mpeg mpg mpv mts mxf nsv nut obu ogm ogv ogx qt rm rmvb
tod trp ts vc1 viv vob vro vvc webm wm wmv wtv xmv y4m
"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""Suffixes of video containers and raw video streams that FFmpeg can open, in lower case."""
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "#recycle", "#snapshot", "@tmp", "__macosx", "$recycle.bin", "recycler", "system volume information",
     "lost+found"}
)  # fmt: skip
"""Names of folders that file servers and operating systems create, in lower case."""

NUMBERED = "a numbered image: folders of numbered images are read as videos with --fps"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not indexed, and the reason. The path is printable: bytes that are not UTF-8 are escaped."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tree:
    """Sorted videos in a folder tree (files, and folders of numbered images), and all its other files."""

    videos: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def hint(self) -> str | None:
        """Hint for the user if numbered images were skipped; otherwise None."""
        images = any(each.reason == NUMBERED for each in self.left_out)
        return "Folders of numbered images are read as videos with `--fps RATE`." if images else None


def walk(root: Path, *, images: bool = False) -> Tree:
    """Walk a folder tree.

    Links to folders are followed, each folder is read once, and real folders are read before links to them. Hidden
    files and folders, system folders, and names that are not UTF-8 are skipped, including all their contents.

    Args:
        root: The folder.
        images: Whether a folder that contains numbered images and no video files counts as a video.

    Raises:
        InputError: If the path is not a folder, or its name is not UTF-8.
    """
    if not root.is_dir():
        raise InputError("must be a folder", where=printable(root))
    if _undecodable(str(root)):
        raise InputError("the name of the folder must be valid UTF-8", where=printable(root))
    walker = _Walker(root, images)
    walker.read(root, None)
    while walker.links:
        walker.follow(walker.links.pop(0))
    return Tree(tuple(sorted(walker.videos)), tuple(sorted(walker.left_out, key=lambda each: each.path)))


def name_of_video(path: Path) -> str:
    """The name of a video without its suffix, or the name of a folder of images."""
    return path.name if path.is_dir() else path.stem


class _Walker:
    """The state of one walk."""

    def __init__(self, root: Path, images: bool) -> None:
        self.videos: list[Path] = []
        self.left_out: list[LeftOut] = []
        self.links: list[Path] = []
        self._root, self._images = root, images
        self._seen: set[tuple[int, int]] = set()
        self._ancestors = {_identity(parent) for parent in root.resolve().parents}

    def read(self, folder: Path, hidden: str | None) -> None:
        """Read a folder; `hidden` is the reason why all its contents are skipped, or None."""
        if hidden is None:
            self._seen.add(_identity(folder))
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.leave_out(folder, f"the folder cannot be read ({error.strerror})")
            return
        numbered = hidden is None and folder != self._root and _holds_numbered_images(entries)
        if numbered and self._images:
            self.videos.append(folder)
        for entry in entries:
            path, reason = folder / entry.name, hidden or _hidden(entry.name)
            try:
                real_folder, linked_folder = entry.is_dir(follow_symlinks=False), entry.is_dir()
                is_file = entry.is_file()
            except OSError as error:
                self.leave_out(path, f"the link cannot be followed ({error.strerror})")
                continue
            if linked_folder:
                reason = reason or _system(entry.name)
            if real_folder:
                self.read(path, reason)
            elif reason is None and linked_folder:
                self.links.append(path)
            elif reason is None and is_file and numbered and path.suffix.lower() in IMAGE_SUFFIXES:
                if not self._images:
                    self.leave_out(path, NUMBERED)
            else:
                self.file(path, reason, is_file)

    def file(self, path: Path, reason: str | None, is_file: bool) -> None:
        if reason is None and not is_file:
            reason = "a link to a file that does not exist" if path.is_symlink() else "not a regular file"
        if reason is None and path.suffix.lower() not in VIDEO_SUFFIXES:
            reason = f"not a video (suffix {path.suffix.lower()})" if path.suffix else "not a video (no suffix)"
        if reason is None:
            self.videos.append(path)
        else:
            self.leave_out(path, reason)

    def follow(self, link: Path) -> None:
        target = _identity(link)
        if target in self._ancestors:
            self.leave_out(link, "a link to a folder that contains this data set")
        elif target in self._seen:
            self.leave_out(link, "a link to a folder that has already been read")
        else:
            self.read(link, None)

    def leave_out(self, path: Path, reason: str) -> None:
        self.left_out.append(LeftOut(printable(path), reason))


def _holds_numbered_images(entries: list[os.DirEntry[str]]) -> bool:
    names = [entry.name for entry in entries if _hidden(entry.name) is None]
    return is_numbered(names) and not any(Path(name).suffix.lower() in VIDEO_SUFFIXES for name in names)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _undecodable(name: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in name)


def _hidden(name: str) -> str | None:
    if _undecodable(name):
        return "the name is not valid UTF-8"
    return "hidden" if name.startswith(".") else None


def _system(name: str) -> str | None:
    return "in a system folder" if name.lower() in SYSTEM_FOLDERS else None
