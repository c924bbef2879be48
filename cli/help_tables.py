"""The groups of options, the examples of `--help`, and the words that options take. Man pages, the reference and
completion are made from these tables, too."""

from __future__ import annotations

from typing import Final

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "redact": ("default", "none"),
    "unmatched": ("reject", "passthrough"),
    "http2": ("true", "false", "fallback"),
    "on-full": ("wait", "drop"),
    "live-lines": ("auto", "on", "off"),
    "after-last": ("repeat", "fail"),
    "pace": ("original", "max", "2x"),
    "latency": ("none", "recorded", "2x"),
    "array-order": ("ignore",),
    "format": ("jsonl", "jsonl.gz", "jsonl.zst", "har", "parquet"),
    "color": ("auto", "always", "never"),
}
"""Option → the words that it takes, or the usual ones."""

COMMON_GROUPS: Final = (
    ("Printing", ("quiet", "verbose", "color", "wide", "no_pager", "live_lines")),
    ("Files", ("output", "output_format", "force", "file_mode")),
)
GROUPS: Final[dict[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "run": (
        ("Listening", ("host", "ports", "workers", "http2", "socks", "is_open", "ready_file")),
        ("Servers", ("unmatched", "upstream", "transparent", "trust", "insecure")),
        ("Recording", ("events", "max_body_size", "inline_bodies", "redact", "rotate", "on_full")),
        ("Files", ("output", "output_format", "force", "file_mode")),
        ("HTTPS", ("ca_cert", "ca_key")),
        ("The end of a run", ("grace", "stop_after", "strict")),
    ),
    "replay": (
        (
            "With --to",
            (
                "to", "pace", "concurrency", "header", "settings", "keep_host", "timeout", "repeat", "only", "no_chain",
                "compare", "dry_run", "shape", "trust", "insecure",
            ),
        ),
        (
            "With --serve",
            (
                "serve", "host", "ports", "ready_file", "match", "ignore", "strict_match", "after_last", "latency",
                "strict",
            ),
        ),
        ("Recording", ("events", "max_body_size", "redact")),
    ),
    "diff": (
        ("What is compared", ("only", "requests", "strict", "timing", "map_host", "pair_header", "array_order")),
        ("What is left out", ("ignore", "ignore_file", "noise", "baseline")),
        ("The report", ("shape", "output", "fail_on")),
    ),
    "filter": (
        ("Rows instead of a session", ("fields", "shape", "sort", "count")),
        ("What is kept", ("where", "records", "limit", "redact", "follow")),
    ),
}  # fmt: skip
"""Command → titles of its groups and the parameters in them; all others stand first, under Options."""

EXAMPLES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "run": (
        ("answer by rules on port 8000, and record", "mockrec run rules.yaml -o session.jsonl"),
        ("record what a test suite asks for", "mockrec run -o session.jsonl -- pytest -q"),
        ("stand before a server", "mockrec run --upstream http://localhost:3000 -o session.har"),
    ),
    "check": (
        ("check two rule files", "mockrec check rules.yaml more.yaml"),
        ("annotate a pull request", "mockrec check rules.yaml --as github"),
    ),
    "replay": (
        (
            "send the requests again, and compare the answers",
            "mockrec replay session.jsonl --to http://localhost:3000 --diff",
        ),
        ("answer from the session", "mockrec replay session.jsonl --serve --port 8000"),
        ("make rules of it", "mockrec replay session.jsonl --to-rules rules.yaml"),
    ),
    "filter": (
        ("keep failures", "mockrec filter session.jsonl 'status >= 500' -o failures.jsonl"),
        ("the ten slowest", "mockrec filter session.jsonl --fields duration,url --sort -duration --limit 10"),
        ("convert", "mockrec filter session.jsonl -o session.har"),
    ),
    "show": (
        ("list the exchanges", "mockrec show session.jsonl"),
        ("one in full, by the beginning of its id", "mockrec show session.jsonl 01a22a91-22e4"),
    ),
    "report": (
        ("one HTML file that shows a session", "mockrec report session.jsonl -o report.html"),
        ("only failures", "mockrec report session.jsonl 'status >= 500' -o failures.html"),
    ),
    "watch": (
        ("a session that is being recorded", "mockrec watch session.jsonl"),
        ("the failures of a run with a ready file", "mockrec watch --attach ready.json -w 'status >= 500'"),
    ),
    "stats": (
        ("latency of each endpoint", "mockrec stats session.jsonl"),
        ("for a job summary", "mockrec stats session.jsonl --as markdown"),
    ),
    "verify": (
        ("is it complete?", "mockrec verify session.jsonl"),
        ("write what is whole to a new file", "mockrec verify session.jsonl --repair whole.jsonl"),
    ),
    "diff": (
        ("what changed since main", "mockrec diff main.jsonl branch.jsonl"),
        ("without a field, as JUnit", "mockrec diff a.jsonl b.jsonl --ignore 'json:$.ts' -o diff.xml"),
    ),
    "ca export": (("the certificate as PEM", "mockrec ca export -o ca.pem"),),
    "ca install-hint": (("how Firefox is made to trust it", "mockrec ca install-hint firefox"),),
}
"""Command → what for, and what to type."""
