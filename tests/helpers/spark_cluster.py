"""A cluster of Apache Spark in processes of this machine: two executors behind a Spark Connect server on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

PATIENCE = 300.0
"""Seconds that a start may take. Usually it is 10 to 20."""
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Options for short runs."""


class SparkCluster:
    """A running cluster."""

    def __init__(self, server: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.url = f"sc://127.0.0.1:{port}"
        self._server = server
        self._port = port
        self._log = log

    def started_tasks(self) -> int:
        """The number of tasks that executors have got so far."""
        return self._log.read_bytes().count(b"TaskSetManager: Starting task ")

    def lost_executors(self) -> int:
        """The number of executors that the cluster has noticed to be gone."""
        return self._log.read_bytes().count(b"ERROR TaskSchedulerImpl: Lost executor ")

    def executors(self) -> list[int]:
        """The process ids of the executors. They are in the session of the server, which is their parent."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
                parent = int((place / "stat").read_bytes().rpartition(b")")[2].split()[1])
            except OSError:
                continue  # it has ended
            if b"org.apache.spark.executor.CoarseGrainedExecutorBackend" in words and parent == self._server.pid:
                found.append(int(place.name))
        return sorted(found)

    def wait_until_ready(self) -> None:
        """Wait until the server accepts connections and both executors run."""
        end = time.monotonic() + PATIENCE
        while not (self._accepts() and len(self.executors()) == 2):
            text = self._log.read_text("utf-8", "replace")
            assert self._server.poll() is None, f"the cluster has ended:\n{text[-4000:]}"
            assert time.monotonic() < end, f"the cluster has not started in time:\n{text[-4000:]}"
            time.sleep(0.1)

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 1).close()
        except OSError:
            return False
        return True


@contextmanager
def spark_cluster(folder: Path) -> Iterator[SparkCluster]:
    """Run a cluster until the end of the block. Its files are in `folder`."""
    spec = find_spec("pyspark")
    assert spec is not None and spec.origin is not None
    # A home of links: Spark puts the folders of executors into it.
    home = folder / "home"
    home.mkdir()
    for entry in Path(spec.origin).parent.iterdir():
        if entry.name != "work":
            (home / entry.name).symlink_to(entry)
    port = _free_port()
    settings = {
        "spark.ui.enabled": "false",
        "spark.executor.memory": "512m",
        "spark.executor.extraJavaOptions": _JAVA,
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
    }
    command = [
        str(home / "bin" / "spark-submit"),
        "--master",
        "local-cluster[2,1,1024]",
        "--driver-java-options",
        _JAVA,
    ]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    env = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_DIRS": str(folder),
        "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    log = folder / "spark.log"
    with log.open("wb") as file:
        server = subprocess.Popen(command, env=env, stdout=file, stderr=file, start_new_session=True)
    try:
        cluster = SparkCluster(server, port, log)
        cluster.wait_until_ready()
        yield cluster
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
