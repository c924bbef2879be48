"""Who else can get at the key of a CA: files and folders that others can read or change are refused, as ssh does.

On Windows permissions are lists that the home folder hands down; nothing is checked there.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

_WRITABLE = stat.S_IWGRP | stat.S_IWOTH
_READABLE = stat.S_IRGRP | stat.S_IROTH


class Exposed(Exception):
    """Others can get at a file. `problem` says how, `fix` what mends it."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem = problem
        self.fix = fix


def check_own(folder: Path, *, made: tuple[Path, ...]) -> None:
    """The folder of the user's own CA, and the files that mockrec has made in it. Raises Exposed.

    Nobody else may be their owner or change them, and nobody else may read the key, which is the last of `made`.
    """
    if os.name != "posix":
        return
    for place in _places(folder):
        _check(place, "the folder of the CA", _WRITABLE, "700")
    for path in made:
        private = path == made[-1]
        forbidden = _WRITABLE | _READABLE if private else _WRITABLE
        _check(path, "the key of the CA" if private else "the certificate of the CA", forbidden, "600")
        if path.is_symlink():
            _check(path.resolve().parent, "the folder of the CA", _WRITABLE, "700")


def check_given(key: Path) -> None:
    """The key of a CA that was given by name. Raises Exposed where somebody else can change it.

    That others can read it is no fault: keys of CAs for tests lie in repositories, and containers get theirs mounted as
    0444. In a group of one's own (umask 002) the group may write, too.
    """
    if os.name != "posix":
        return
    info = key.stat()
    _check_owner(key, info, "the key of the CA")
    forbidden = stat.S_IWOTH if info.st_gid == os.getegid() else _WRITABLE
    _check(key, "the key of the CA", forbidden, "go-w")


def _places(folder: Path) -> Iterator[Path]:
    yield folder
    if folder.is_symlink():
        yield folder.resolve()


def _check(path: Path, what: str, forbidden: int, mode: str) -> None:
    info = path.stat()
    _check_owner(path, info, what)
    if info.st_mode & forbidden:
        done = "changed" if info.st_mode & forbidden & _WRITABLE else "read"
        raise Exposed(
            f"{what}, {path}, can be {done} by other users (its mode is {stat.S_IMODE(info.st_mode):04o})",
            f"run chmod {mode} {shlex.quote(str(path))} if nobody else has used it so far",
        )


def _check_owner(path: Path, info: os.stat_result, what: str) -> None:
    own = os.geteuid()
    allowed = {own, 0}
    if own == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        allowed.add(int(os.environ["SUDO_UID"]))  # who has said sudo
    if info.st_uid not in allowed:
        raise Exposed(
            f"{what}, {path}, belongs to another user ({_user(info.st_uid)})",
            f"run chown {_user(own)} {shlex.quote(str(path))} if it is yours",
        )


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # users of containers may have no name
        return str(uid)
