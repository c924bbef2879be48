"""Compare two XML documents by path: `/order/item[2]/@price`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from operator import eq, ne
from typing import Any, NamedTuple

from mockrec.formats.diff.compare.align import align
from mockrec.formats.diff.compare.alike import FEATURES, ComparisonBudget, Features, ItemLikeness
from mockrec.formats.diff.compare.digests import digest_of_text
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.walk import Place, ValuePair, walk
from mockrec.formats.diff.compare.xml import Element, Instruction, Node, local, parse, qualified, shown
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Location, Severity, Subject

_TEXT = "text()"


class _ElementPath(NamedTuple):
    """The path to an element: as it is shown, and step by step."""

    shown: str
    location: Location

    def to(self, step: str | tuple[str, int]) -> _ElementPath:
        """Return the path to a member of the element."""
        return _ElementPath(self.shown + path_of((step,)), (*self.location, step))


class _ElementPlace(Place[_ElementPath]):
    """The place of two elements, by the names in A's document."""

    __slots__ = ("_step",)

    def __init__(self, parent: _ElementPlace | None, step: str | tuple[str, int]) -> None:
        self.parent = parent
        self.known_path = None if parent is not None else _ElementPath("", ())
        self._step = step

    def extend(self, path: _ElementPath) -> _ElementPath:
        """See `Place`."""
        return path.to(self._step)


_ElementPair = ValuePair[Element, _ElementPlace]


def compare(text_a: str, text_b: str, values: ValueComparer, side: str) -> Iterator[Finding] | None:
    """Return the differences of two texts, in A's order; None if one of them is not XML, or refused (see `xml.py`)."""
    a, b = parse(text_a), parse(text_b)
    if a is None or b is None:
        return None
    return _XmlComparison(values, side).findings(a, b)


class _XmlComparison:
    def __init__(self, values: ValueComparer, side: str) -> None:
        self._values = values
        self._side = side
        self._digests: dict[tuple[int, int], str] = {}
        """Side and identity of an element → its digest."""
        self._budget = ComparisonBudget()

    def findings(self, a: Element, b: Element) -> Iterator[Finding]:
        """Yield the differences between two documents."""
        for number, document in enumerate((a, b)):
            self._digest_all(document, number)
        if self._digest(a, 0) == self._digest(b, 1):
            return
        yield from walk(ValuePair(a, b, _ElementPlace(None, "")), self._elements)

    def _elements(self, pair: _ElementPair) -> Iterator[Finding | _ElementPair]:
        a, b, place = pair
        for name in (*a.attributes, *(name for name in b.attributes if name not in a.attributes)):
            value_a, value_b = a.attributes.get(name, ABSENT), b.attributes.get(name, ABSENT)
            if value_a is ABSENT or value_b is ABSENT or not self._values.same_text(str(value_a), str(value_b)):
                severity = Severity.breaking if value_b is ABSENT else Severity.changed
                yield self._finding(place.path().to(f"@{local(name)}"), value_a, value_b, severity)
        yield from self._children(a, b, place)

    def _children(self, a: Element, b: Element, place: _ElementPlace) -> Iterator[Finding | _ElementPair]:
        steps_a, steps_b = _steps(a.children), _steps(b.children)
        names_a, names_b = (Counter(map(_name, element.children)) for element in (a, b))
        for i, j in self._side_by_side(a.children, b.children):
            one = None if i is None else a.children[i]
            other = None if j is None else b.children[j]
            if one is not None and other is not None and _name(one) == _name(other):
                assert i is not None
                if self._digest(one, 0) == self._digest(other, 1):
                    continue
                if isinstance(one, Element) and isinstance(other, Element):
                    yield ValuePair(one, other, _ElementPlace(place, steps_a[i]))
                elif not (isinstance(one, str) and isinstance(other, str) and self._values.same_text(one, other)):
                    yield self._finding(place.path().to(steps_a[i]), _value(one), _value(other), Severity.changed)
                continue
            if one is not None and i is not None:
                # One of several elements with a name may be removed, as in a list.
                left = names_b[_name(one)] and names_a[_name(one)] > 1
                severity = Severity.changed if left else Severity.breaking
                yield self._finding(place.path().to(steps_a[i]), _value(one), ABSENT, severity)
            if other is not None and j is not None:
                yield self._finding(place.path().to(steps_b[j]), ABSENT, _value(other), Severity.changed)

    def _side_by_side(self, a: list[Node], b: list[Node]) -> Iterator[tuple[int | None, int | None]]:
        digests_a, digests_b = [self._digest(node, 0) for node in a], [self._digest(node, 1) for node in b]
        if len(a) == len(b) and sum(map(ne, digests_a, digests_b)) < 2 and all(map(eq, map(_name, a), map(_name, b))):
            return iter([(index, index) for index in range(len(a))])
        self._budget.earn(len(a) + len(b))
        weigh = ItemLikeness(lambda i: self._features(a[i], 0), lambda j: self._features(b[j], 1), self._budget)
        return align(digests_a, digests_b, weigh)

    def _finding(self, path: _ElementPath, a: Any, b: Any, severity: Severity) -> Finding:
        kind = DifferenceKind.added if a is ABSENT else DifferenceKind.removed if b is ABSENT else DifferenceKind.value
        locations = (None if a is ABSENT else path.location, None if b is ABSENT else path.location)
        subject = Subject(self._side, "xml", locations=locations)
        return Finding(kind, severity, f"{self._side}.xml:{path.shown}", subject, a, b)

    def _features(self, node: Node, side: int) -> Features:
        """Return the features of a child: attributes, children and, with twice the weight, its name."""
        if not isinstance(node, Element):
            return frozenset([_name(node)])
        attributes = [
            (key, self._values.whole(value, side)) for key, value in islice(node.attributes.items(), FEATURES)
        ]
        children = [self._digest(child, side) for child in node.children[:FEATURES]]
        return frozenset([node.name, (node.name, ""), *attributes, *children])

    def _digest_all(self, document: Element, side: int) -> None:
        """Compute the digest of each element once, from the inside out."""
        order, waiting = [], [document]
        while waiting:
            one = waiting.pop()
            order.append(one)
            waiting.extend(child for child in one.children if isinstance(child, Element))
        for one in reversed(order):
            attributes = sorted([f"{key}={self._values.whole(value, side)}" for key, value in one.attributes.items()])
            children = [self._digest(child, side) for child in one.children]
            self._digests[side, id(one)] = digest_of_text("\0".join([one.name, *attributes, "\0", *children]))

    def _digest(self, node: Node, side: int) -> str:
        if isinstance(node, Element):
            return self._digests[side, id(node)]
        if isinstance(node, Instruction):
            return digest_of_text(f"?{node.target}\0{self._values.whole(node.data, side)}")
        return digest_of_text(f"text\0{self._values.whole(node, side)}")


def path_of(location: Location) -> str:
    """Format a path: `/order/item[2]/@price`."""
    return "".join([f"/{step[0]}[{step[1]}]" if isinstance(step, tuple) else f"/{step}" for step in location])


def _steps(children: list[Node]) -> list[str | tuple[str, int]]:
    """Return the step to each child: its name, with a number (from 1, as in XPath) if several have that name."""
    names = [_local(child) for child in children]
    several = {name for name, count in Counter(names).items() if count > 1}
    counts: Counter[str] = Counter()
    steps: list[str | tuple[str, int]] = []
    for name in names:
        counts[name] += 1
        steps.append((name, counts[name]) if name in several else name)
    return steps


def _name(node: Node) -> str:
    return node.name if isinstance(node, Element) else f"?{node.target}" if isinstance(node, Instruction) else _TEXT


def _local(node: Node) -> str:
    return local(node.name) if isinstance(node, Element) else _name(node)


def _value(node: Node) -> str:
    if isinstance(node, str):
        return node
    text = shown(node)
    # The namespace is shown too, because it may be the only difference.
    return f"{text} ({qualified(node.name)})" if isinstance(node, Element) and "\n" in node.name else text
