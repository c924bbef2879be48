"""Refuses a CA whose files or folders other users can read or change, as ssh refuses such keys.

On Windows, nothing is checked: permissions are access control lists, inherited from the home folder.
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
    """Other users can read or change a file: `problem` says which, `fix` how to correct that."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem = problem
        self.fix = fix


def check_own(folder: Path, *, made: tuple[Path, ...]) -> None:
    """Check the folder of the user's own CA, and the files that mockrec has made in it. Raises Exposed.

    They must belong to the user, no other user may change them, or read the key, which is the last of `made`.
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
    """Check the key of a CA that the settings name. Raises Exposed if another user can change it.

    Other users may read it: keys of CAs for tests are in repositories, and containers get theirs mounted as 0444. The
    user's own group may write it, too (umask 002).
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
        allowed.add(int(os.environ["SUDO_UID"]))  # the user who has called sudo
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
