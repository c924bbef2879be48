"""Compares two sessions: reads both into digests, pairs these, compares the pairs, collects what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from difflib import get_close_matches

from mockrec.formats.diff.collect import Collector, Filters, noise_of
from mockrec.formats.diff.compare import timing
from mockrec.formats.diff.compare.exchange import Comparer
from mockrec.formats.diff.compare.hosts import Hosts
from mockrec.formats.diff.compare.keys import Keys
from mockrec.formats.diff.compare.pairing import Pairing, pair
from mockrec.formats.diff.compare.timing import Samples
from mockrec.formats.diff.compare.values import HiddenText, ValueComparer
from mockrec.formats.diff.compare.volatile import Window
from mockrec.formats.diff.ignore import IgnoreRule
from mockrec.formats.diff.model.exchange import Digest, Endpoint
from mockrec.formats.diff.model.finding import DifferenceKind, Finding, Severity, Subject
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import ContentSpool
from mockrec.formats.diff.reading import ReadSession, file_size, read_session
from mockrec.formats.diff.result import Result
from mockrec.formats.operations.grpc.descriptors import of_header
from mockrec.formats.parquet.gc_pause import no_collection
from mockrec.formats.sessions.live import warning_for

_PROBLEMS = 20
"""Parts of a file that were left out, which are listed one by one."""
LARGE = 16 * 1024 * 1024
"""Bytes of the smaller of two files from which on another process reads B: about what is read while one starts."""
_NEAREST = 200
"""Exchanges without a partner for which a near endpoint is looked for."""


def compare_sessions(a: str, b: str, options: DiffOptions, filters: Filters, noise: str | None = None) -> Result:
    """Compare two session files; `noise` is another recording of what A is. Raises `SessionError`."""
    with closing(ContentSpool()) as spool, no_collection():
        if noise is None:
            return _Comparison(*_read_both(a, b, spool, options), spool, options, filters).result()
        first, again = read_session(a, spool, options), read_session(noise, spool, options)
        recordings_of_a = _Comparison(first, again, spool, options, filters, same_hosts=True)
        filters.noise = noise_of(recordings_of_a.findings())
        spool.forget_shapes()
        result = _Comparison(first, read_session(b, spool, options), spool, options, filters).result()
        result.noise_side = again.side
        return result


def _read_both(a: str, b: str, spool: ContentSpool, options: DiffOptions) -> tuple[ReadSession, ReadSession]:
    if min(file_size(a), file_size(b)) < LARGE:
        return read_session(a, spool, options), read_session(b, spool, options)
    # Imported here: only large sessions need another process.
    from mockrec.formats.diff.second_reader import read_both

    return read_both(a, b, spool, options)


class _Comparison:
    """The comparison of two sessions."""

    def __init__(
        self,
        a: ReadSession,
        b: ReadSession,
        spool: ContentSpool,
        options: DiffOptions,
        filters: Filters,
        *,
        same_hosts: bool = False,
    ) -> None:
        """`same_hosts`: B is another recording of A and has the names of A's hosts, so both sides are renamed."""
        self._a = a
        self._b = b
        self._options = options
        self._filters = filters
        self._hidden = [(rule, HiddenText(rule.selector.pattern)) for rule in filters.rules if rule.selector.pattern]
        renamed = options.map_host
        renamed_b = renamed if same_hosts else {}
        hosts_a, hosts_b = ({digest.host for digest in side.digests} for side in (a, b))
        kept = frozenset(hosts_a & hosts_b)
        self._hosts = (Hosts(a.header, renamed, kept), Hosts(b.header, renamed_b, kept))
        own_a, own_b = self._hosts[0].own, self._hosts[1].own
        if len(own_a) != len(own_b):
            own_a = own_b = ()
        names = ((*own_a, *renamed), (*own_b, *(renamed_b or renamed.values())))
        self._values = ValueComparer(
            Window.around(a.start, b.start),
            strict=options.strict,
            marks_comparable=a.key_id is not None and a.key_id == b.key_id,
            own=names,
            hidden=[hidden for _, hidden in self._hidden],
            any_order=options.any_order,
        )
        descriptors = (options.descriptors or of_header(a.header), options.descriptors or of_header(b.header))
        self._comparer = Comparer(spool, options, self._values, (a.folder, b.folder), descriptors)
        self._pairing = self._pair()

    def _pair(self) -> Pairing:
        queries = {rule.selector.value: rule for rule in self._filters.rules if _is_about_query(rule)}
        keys = Keys(frozenset(queries), self._values.masked)
        for session, hosts in ((self._a, self._hosts[0]), (self._b, self._hosts[1])):
            for digest in session.digests:
                path = digest.url[digest.target :].partition("#")[0].partition("?")[0]
                digest.endpoint = keys.endpoint(digest.method, hosts.canonical(digest.host), path, digest.operation)
        pairing = pair(self._a.digests, self._b.digests, keys, self._comparer.shape, self._comparer.have_same_shape)
        for name, count in keys.left_out.items():
            queries[name].hidden += count
        return pairing

    def findings(self) -> Iterator[tuple[Endpoint, Finding]]:
        """What differs in all pairs."""
        for couple in self._pairing.pairs:
            for finding in self._comparer.findings(couple):
                yield _endpoint(couple.a), finding

    def result(self) -> Result:
        """Everything that is to be reported."""
        collector = Collector(self._filters, self._values.masked)
        for couple in self._pairing.pairs:
            if self._comparer.may_differ(couple):
                for finding in self._comparer.findings(couple):
                    collector.add(finding, couple, _endpoint(couple.a))
        self._counts(collector)
        notes = self._notes()
        if self._options.timing:
            samples = self._samples()
            for endpoint, finding in timing.compare(samples):
                collector.add_for_endpoint(finding, endpoint)
            if few := timing.too_few(samples):
                words = f"{few} of {len(samples)} endpoints have not enough samples"
                notes.append(f"timing: {words} ({timing.ENOUGH} on each side are needed)")
        for rule, hidden in self._hidden:
            rule.hidden += hidden.count
        return Result(
            self._a.side,
            self._b.side,
            paired=dict(Counter(couple.by for couple in self._pairing.pairs)),
            endpoints=dict(Counter(_endpoint(couple.a) for couple in self._pairing.pairs)),
            differences=collector.differences,
            only_a=collector.only_in(0),
            only_b=collector.only_in(1),
            by_severity={severity: count for severity, count in collector.by_severity.items() if count},
            by_kind={kind: count for kind, count in collector.by_kind.items() if count},
            rules=self._filters.rules,
            noise=collector.noise,
            accepted=sum(collector.accepted.values()),
            gone=len(self._filters.baseline - set(collector.accepted)),
            omitted=collector.omitted,
            notes=notes,
        )

    def _notes(self) -> list[str]:
        sides = ((self._a.side, "A"), (self._b.side, "B"))
        notes = [f"{letter}: {warning_for(side.cut_off)}" for side, letter in sides if side.cut_off]
        notes += [f"{letter}: {problem}" for side, letter in sides for problem in side.problems[:_PROBLEMS]]
        for side, letter in sides:
            if (more := len(side.problems) - _PROBLEMS) > 0:
                notes.append(f"{letter}: and {more} more; `mockrec verify -v` lists them")
        if cut := sum(couple.a.cut or couple.b.cut for couple in self._pairing.pairs):
            notes.append(f"bodies that were recorded in part: {cut}; what is missing of them was not compared")
        return notes

    def _counts(self, collector: Collector) -> None:
        """Endpoints that were called more or less often, and the exchanges without a partner."""
        calls = Counter(_endpoint(digest) for digest in self._a.digests)
        less = Counter(_endpoint(digest) for digest in self._pairing.only_a)
        more = Counter(_endpoint(digest) for digest in self._pairing.only_b)
        for endpoint in dict.fromkeys((*less, *more)):
            count_a = calls[endpoint]
            count_b = count_a - less[endpoint] + more[endpoint]
            if count_a != count_b:
                severity = Severity.breaking if count_b < count_a else Severity.changed
                finding = Finding(DifferenceKind.calls, severity, "calls", Subject("", "count"), count_a, count_b)
                collector.add_for_endpoint(finding, endpoint)
        for side, left, others in ((0, self._pairing.only_a, self._b), (1, self._pairing.only_b, self._a)):
            names = {str(_endpoint(digest)): None for digest in others.digests} if left else {}
            nearest: dict[Endpoint, str] = {}
            for digest in left:
                endpoint = _endpoint(digest)
                if endpoint not in nearest and len(nearest) < _NEAREST:
                    nearest[endpoint] = _near(str(endpoint), names)
                collector.add_only(side, digest, nearest.get(endpoint, ""))

    def _samples(self) -> dict[Endpoint, Samples]:
        """What each endpoint took. An exchange of B counts for the endpoint of its partner."""
        samples: dict[Endpoint, Samples] = {}
        for couple in self._pairing.pairs:
            _sample(samples.setdefault(_endpoint(couple.a), Samples()), couple.a, 0)
            _sample(samples[_endpoint(couple.a)], couple.b, 1)
        return samples


def _sample(samples: Samples, digest: Digest, side: int) -> None:
    if digest.kind != "response":
        return
    if digest.duration is not None:
        samples.duration[side].append(digest.duration)
    if digest.first_byte is not None:
        samples.first_byte[side].append(digest.first_byte)


def _endpoint(digest: Digest) -> Endpoint:
    assert digest.endpoint is not None
    return digest.endpoint


def _is_about_query(rule: IgnoreRule) -> bool:
    """Whether a rule leaves a query parameter out of account when exchanges are paired."""
    return rule.selector.kind == "query" and not rule.endpoint and rule.selector.is_about("request")


def _near(name: str, names: Mapping[str, None]) -> str:
    """The endpoint of the other session that looks most like one, if any does; the same one is no news."""
    found = get_close_matches(name, [other for other in list(names)[:1000] if other != name], n=1, cutoff=0.8)
    return "" if name in names or not found else found[0]
