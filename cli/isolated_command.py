"""Runs COMMAND in a network namespace of its own (Linux): it has a loopback interface, and the recorder listens there.

`isolation.py` starts this file by its path, as `isolated_command.py DESCRIPTOR HOST PORT COMMAND…`. It imports the
standard library only, so that COMMAND starts soon. Through the socket DESCRIPTOR it sends a listening socket of the new
namespace, which stays in that namespace when the recorder accepts from it, or a text that says what has failed. After
the recorder's answer it becomes COMMAND.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


def unshare() -> None:
    """Leave the network of this machine. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def bring_up_loopback() -> None:
    """Switch on the loopback interface of the new namespace. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens in the new namespace. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(2048)
    return sock


def main(arguments: list[str]) -> int:
    """Become COMMAND. Return the exit code if that fails."""
    recorder = socket.socket(fileno=int(arguments[0]))
    host, port, command = arguments[1], int(arguments[2]), arguments[3:]
    try:
        unshare()
        bring_up_loopback()
        with listening(host, port) as sock:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
            recorder.sendmsg([b"\n"], ancillary)
    except OSError as error:
        recorder.sendall((error.strerror or str(error)).encode())
        return 1
    if recorder.recv(1) != b"\n":
        return 1  # the recorder has gone
    recorder.close()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"mockrec: cannot run {command[0]}: {error.strerror or error}\n")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
