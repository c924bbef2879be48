"""Runs the tests of `requests` directly and through `mockrec run --`: `python tests/conformance/requests_suite.py`.

A recorder must not change what a program sees. What comes out otherwise is listed in DIFFERENCES with the reason.
Exit code 0: only those differ, and the recordings are whole; 1: others do, or one of them does not any more; 2: the
suite cannot be installed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tarfile
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "2.32.5"
NEEDED = ("pytest<9", "pytest-httpbin==2.1.0", "pytest-mock", "httpbin~=0.10.0", "trustme", "PySocks", "setuptools")
MOCKREC = Path(sysconfig.get_path("scripts")) / "mockrec"

_VARIABLES = "the test sets its own variables for proxies, or wants none: COMMAND finds the recorder by them"
_OWN_TRUST = "the test trusts its own authority alone (verify=FILE), so not the recorder's certificates"
_POOLS = f"{_OWN_TRUST}; it counts pools without a proxy"
_LENGTHS = (
    "two lengths of a body are refused, as two readers could frame it in two ways: a 502, or the end of the connection"
)

DIFFERENCES = {
    "test_lowlevel::test_chunked_encoding_error": "the server's head has no end, which http.client reads nevertheless",
    "test_lowlevel::test_chunked_upload_uses_only_specified_host_header": "a proxy goes by the URL (RFC 9112, 3.2.2)",
    "test_lowlevel::test_conflicting_content_lengths": _LENGTHS,
    "test_lowlevel::test_use_proxy_from_environment": _VARIABLES,
    "test_requests.TestRequests::test_proxy_authorization_preserved_on_request": "it is for the proxy, which takes it off",
    "test_requests::test_proxy_env_vars_override_default": _VARIABLES,
    "test_requests.TestPreparingURLs::test_redirecting_to_bad_url": "requests asks a proxy for a URL without a host: 400",
    "test_requests.TestPreparingURLs::test_different_connection_pool_for_tls_settings_verify_True": _POOLS,
    "test_requests.TestPreparingURLs::test_different_connection_pool_for_tls_settings_verify_bundle_expired_cert": _POOLS,
    "test_requests.TestPreparingURLs::test_different_connection_pool_for_tls_settings_verify_bundle_unexpired_cert": _POOLS,
    "test_requests.TestPreparingURLs::test_different_connection_pool_for_mtls_settings": _POOLS,
    "test_utils::test_set_environ": _VARIABLES,
}
"""Test, without its parameters → why it comes out otherwise."""

_UNREACHED = "a server that cannot be reached, or ends without an answer, is a 502 that says so; see --transparent"
_CERTIFICATE = "a server that nobody trusts is a 502 behind the recorder's certificate; see --transparent"
NOT_TRANSPARENT = {
    "test_requests.TestRequests::test_errors": _UNREACHED,
    "test_requests.TestRequests::test_certificate_failure": _CERTIFICATE,
    "test_requests.TestRequests::test_pyopenssl_redirect": _OWN_TRUST,
    "test_requests.TestRequests::test_auth_is_stripped_on_http_downgrade": _OWN_TRUST,
    "test_testserver.TestTestServer::test_multiple_requests": _UNREACHED,
}
"""What differs as well without `--transparent`."""


def install(folder: Path) -> Path:
    """The suite's folder, with an environment of its own beside it. Raises CalledProcessError."""
    source, python = folder / f"requests-{VERSION}", folder / "venv" / "bin" / "python"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run(sys.executable, "-m", "venv", folder / "venv")
        _run(python, "-m", "pip", "install", *NEEDED)
        sdist = ("--no-deps", "--no-binary", "requests", f"requests=={VERSION}", "-d", folder)
        _run(python, "-m", "pip", "download", *sdist)
        with tarfile.open(folder / f"requests-{VERSION}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        _run(python, "-m", "pip", "install", "-e", source)
        (folder / "installed").touch()
    return source


def _run(*command: str | Path) -> None:
    """Raises CalledProcessError, with what the command has said."""
    subprocess.run(command, check=True, capture_output=True, text=True)


def outcomes(source: Path, name: str, *through: str | Path) -> dict[str, str]:
    """Test → `passed`, `failed` or `skipped`, of a run with this command before it."""
    report = source.parent / f"{name}.xml"
    report.unlink(missing_ok=True)
    pytest = [source.parent / "venv" / "bin" / "python", "-m", "pytest", "tests", "-q", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    with (source.parent / f"{name}.txt").open("w") as out:
        command = [*through, *pytest, "-o", "addopts=", f"--junitxml={report}"]
        subprocess.run(command, cwd=source, env=environment, stdout=out, stderr=subprocess.STDOUT)
    found = {}
    for case in ET.parse(report).iter("testcase"):
        children = {child.tag for child in case}
        outcome = "failed" if children & {"failure", "error"} else "skipped" if "skipped" in children else "passed"
        where = (case.get("classname") or "").removeprefix("tests.")
        found[f"{where}::{case.get('name')}"] = outcome
    return found


def compare(direct: dict[str, str], recorded: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Sentences about what differs and is not expected to, and about what is and does not."""
    differing = {test for test, outcome in direct.items() if recorded.get(test) != outcome}
    families = {test.partition("[")[0] for test in differing}
    wrong = [
        f"{test}: {direct[test]} directly, {recorded.get(test, 'not run')} through the recorder"
        for test in sorted(differing)
        if test.partition("[")[0] not in expected
    ]
    return wrong + [f"{test}: listed as different, and is not" for test in sorted(expected.keys() - families)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=Path, default=HERE / ".requests", help="where the suite is installed")
    try:
        source = install(parser.parse_args().suite.resolve())
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"the suite cannot be installed: {error}\n{getattr(error, 'stderr', '')}", file=sys.stderr)
        return 2
    direct = outcomes(source, "direct")
    print(f"directly: {list(direct.values()).count('passed')} of {len(direct)} pass")
    wrong: list[str] = []
    for name, options, expected in (
        ("recorded", (), {**DIFFERENCES, **NOT_TRANSPARENT}),
        ("transparent", ("--transparent",), DIFFERENCES),
    ):
        log = source.parent / f"{name}.jsonl"
        recorded = outcomes(source, name, MOCKREC, "run", *options, "-q", "--force", "-o", log, "--")
        differing = sum(recorded.get(test) != outcome for test, outcome in direct.items())
        print(f"{name}: {list(recorded.values()).count('passed')} pass, {differing} differ")
        wrong += [f"{name}: {line}" for line in compare(direct, recorded, expected)]
        if subprocess.run([MOCKREC, "verify", log], capture_output=True).returncode:
            wrong.append(f"{name}: the recording is not whole: mockrec verify {log}")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
