#!/usr/bin/env bash
# Installs what the benchmarks compare against and are driven with. Safe to run again:
# what is already there in the wanted version is left alone.
#
#   tests/benchmarks/setup.sh                 into tests/benchmarks/.peers/
#   MOCKREC_PEERS=/var/peers …/setup.sh       into another folder
#   tests/benchmarks/setup.sh --more          mountebank, Mockoon and proxy.py, too (150 MB)
#
# Exit code 0: everything is there; 1: something is missing, named on stderr. run.py works
# without any peer, so a partial installation is still useful.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
peers="${MOCKREC_PEERS:-$here/.peers}"
mockttp_range="~4.6.0"
mitmproxy_range=">=12,<13"
missing=()

say() { printf '%s\n' "$*" >&2; }

# --- load generators and the upstream server: Debian packages ----------------------------

# Absent by command, not by package: a wrk that was built from source is as good.
wanted_packages=()
command -v wrk >/dev/null || wanted_packages+=(wrk)
command -v h2load >/dev/null || wanted_packages+=(nghttp2-client)
PATH="$PATH:/usr/sbin" command -v nginx >/dev/null || wanted_packages+=(nginx-light)

if ((${#wanted_packages[@]})); then
    if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
        say "installing ${wanted_packages[*]}"
        apt-get update -qq || say "apt-get update failed; trying with the lists there are"
        # A package's own service must not start: the benchmarks run their servers themselves.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${wanted_packages[@]}" >&2 || missing+=("${wanted_packages[@]}")
    else
        say "not root, or no apt-get: install these yourself: ${wanted_packages[*]}"
        missing+=("${wanted_packages[@]}")
    fi
fi

# --- Mockttp ------------------------------------------------------------------------------

mkdir -p "$peers/mockttp"
cat >"$peers/mockttp/package.json" <<JSON
{
  "name": "mockrec-benchmark-peer",
  "private": true,
  "dependencies": {"mockttp": "$mockttp_range"}
}
JSON
if ! command -v npm >/dev/null; then
    say "npm not found: Mockttp is left out"
    missing+=(mockttp)
elif (cd "$peers/mockttp" && npm ls mockttp >/dev/null 2>&1); then
    say "mockttp is there"
else
    say "installing mockttp $mockttp_range"
    (cd "$peers/mockttp" && npm install --no-audit --no-fund --loglevel=error >&2) || missing+=(mockttp)
fi

# --- mitmproxy, in its own virtual environment ----------------------------------------------

# Version 12 needs Python 3.12. Candidates are run, not only looked up: a version manager's
# shim may exist for a version that is not active.
find_python() {
    local candidate
    for candidate in "$(command -v python3.13)" "$(command -v python3.12)" \
        "$HOME"/.pyenv/versions/3.13*/bin/python "$HOME"/.pyenv/versions/3.12*/bin/python \
        "$(command -v python3)"; do
        if [[ -n "$candidate" ]] && "$candidate" -c \
            'import sys; sys.exit(not ((3, 12) <= sys.version_info < (3, 15)))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    return 1
}

if [[ -x "$peers/mitmproxy/bin/mitmdump" ]] \
    && "$peers/mitmproxy/bin/mitmdump" --version 2>/dev/null | grep -q '^Mitmproxy: 12\.'; then
    say "mitmproxy is there"
elif python="$(find_python)"; then
    say "installing mitmproxy $mitmproxy_range with $("$python" --version)"
    rm -rf "$peers/mitmproxy"
    if ! { "$python" -m venv "$peers/mitmproxy" \
        && "$peers/mitmproxy/bin/pip" install -q "mitmproxy$mitmproxy_range" >&2; }; then
        missing+=(mitmproxy)
    fi
else
    say "no Python >= 3.12 found: mitmproxy is left out"
    missing+=(mitmproxy)
fi

# --- further peers, if they are wanted --------------------------------------------------------

if [[ "${1:-}" == --more ]]; then
    mkdir -p "$peers/more"
    cat >"$peers/more/package.json" <<JSON
{
  "name": "mockrec-benchmark-peers",
  "private": true,
  "dependencies": {"@mbtest/mountebank": "^2.9.2", "@mockoon/cli": "^9.9.0"}
}
JSON
    if ! (cd "$peers/more" && npm ls @mbtest/mountebank @mockoon/cli >/dev/null 2>&1); then
        say "installing mountebank and Mockoon"
        (cd "$peers/more" && npm install --no-audit --no-fund --loglevel=error >&2) || missing+=(mountebank mockoon)
    fi
    if ! [[ -x "$peers/proxypy/bin/proxy" ]]; then
        say "installing proxy.py"
        { python3 -m venv "$peers/proxypy" && "$peers/proxypy/bin/pip" install -q "proxy.py~=2.4" >&2; } \
            || missing+=(proxy.py)
    fi
fi

if ((${#missing[@]})); then
    say "missing: ${missing[*]}"
    exit 1
fi
say "all peers are in $peers"
