"""The process of one helper: calls functions, each within a limit of CPU time, and sends back what they return.

Started as `python -P -m mockrec.engine.offload.helper SOCKET SECONDS`. At the limit the operating system ends the
process (SIGPROF), whatever it is doing. So no work outlives its limit, even if the recorder has died.
"""

from __future__ import annotations

import contextlib
import pickle
import resource
import signal
import socket
import sys
from typing import Any

from mockrec.engine.offload.messages import Done, Job
from mockrec.engine.pickle_frames import LENGTH_BYTES, to_frame

MOST_MEMORY = 2 * 1024**3
"""Bytes of memory that a helper may allocate: ten megabytes of JSON can become one or two hundred times as many, and
an attacker can choose them so."""


def main() -> None:
    """Serve until the recorder closes the socket."""
    sock, seconds = socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2])
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # a lower limit is in force
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    subject: Any = None
    with contextlib.suppress(ConnectionError), sock, sock.makefile("rb") as stream:
        while len(head := stream.read(LENGTH_BYTES)) == LENGTH_BYTES:
            data = stream.read(int.from_bytes(head))
            job: Job = pickle.loads(data)  # the first job of a kind imports its modules, which is not its own time
            del data
            signal.setitimer(signal.ITIMER_PROF, seconds)
            if job.subject is not None:
                subject = job.subject
            elif job.subject_id is None:
                subject = None
            frame = to_frame(_do(job, subject))
            signal.setitimer(signal.ITIMER_PROF, 0)
            sock.sendall(frame)


def _do(job: Job, subject: Any) -> Done:
    try:
        if job.subject_id is None:
            return Done(job.function(*job.arguments))
        return Done(job.function(subject, *job.arguments))
    except Exception as error:
        return Done(error=error)


if __name__ == "__main__":
    main()
