"""Descriptor sets from files: `.pb` as they are, folders of `.proto` files compiled by protoc."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mockrec.formats.operations.grpc.descriptors import DescriptorError

_FAULT: Final = re.compile(r"\.proto:\d")
_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a descriptor set; that of all of Google's APIs has 10 MB."""
_MOST_FILES: Final = 5000
_SECONDS: Final = 60.0


def read_descriptors(paths: Sequence[str]) -> bytes:
    """Return one serialized descriptor set of files and folders. Raises DescriptorError, with the path first."""
    # Serialized messages that follow one another are one message: their repeated fields are joined.
    return b"".join(_read(Path(path)) for path in paths)


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            return _compiled(path, sorted(str(one.relative_to(path)) for one in path.rglob("*.proto")))
        if path.suffix == ".proto":
            return _compiled(path.parent, [path.name])
        if path.stat().st_size > _LARGEST:
            raise DescriptorError(f"{path}: larger than {_LARGEST // 1024 // 1024} MiB")
        return path.read_bytes()
    except OSError as error:
        raise DescriptorError(f"{path}: {error.strerror or error}") from None


def _compiled(folder: Path, names: Sequence[str]) -> bytes:
    if not names:
        raise DescriptorError(f"{folder}: the folder has no .proto file")
    if len(names) > _MOST_FILES:
        raise DescriptorError(f"{folder}: the folder has {len(names)} .proto files; {_MOST_FILES} are the most")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "set.pb")
        command = [*_protoc(folder), f"-I{folder}", "--include_imports", f"--descriptor_set_out={out}", *names]
        try:
            ran = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS, cwd=folder
            )
        except subprocess.TimeoutExpired:
            raise DescriptorError(f"{folder}: protoc took longer than {_SECONDS:.0f} seconds") from None
        if ran.returncode:
            lines = ran.stderr.decode("utf-8", "replace").strip().splitlines()
            # The library may log lines of its own before the fault.
            fault = next((line for line in lines if _FAULT.search(line)), lines[-1] if lines else "")
            raise DescriptorError(f"{folder}: protoc: {fault or f'exit code {ran.returncode}'}")
        return out.read_bytes()


def _protoc(folder: Path) -> list[str]:
    """Return the compiler to run: grpcio-tools of this environment, or `protoc` of the path."""
    if find_spec("grpc_tools") is not None:
        from importlib.resources import files

        return [sys.executable, "-m", "grpc_tools.protoc", f"-I{files('grpc_tools') / '_proto'}"]
    program = shutil.which("protoc")
    if program is None:
        raise DescriptorError(
            f"{folder}: .proto files need a compiler: pip install 'mockrec[grpc]', or install protoc; or name a"
            " descriptor set instead (protoc --include_imports --descriptor_set_out=NAME.pb)"
        )
    return [program]
