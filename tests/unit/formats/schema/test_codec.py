"""Dataclasses to objects of the log and back: names, what is left out, what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, get_type_hints

import pytest

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.codec import (
    FreeData,
    Headers,
    LogObject,
    RawHeaders,
    _without_none,
    camel,
    element,
    log_object,
    read_object,
    specs,
    write_object,
)
from mockrec.formats.schema.errors import RecordError
from mockrec.formats.schema.events import EVENT_CLASSES
from mockrec.formats.schema.objects import Destination, TlsMetadata


@dataclass(kw_only=True)
class Parcel(LogObject):
    """One field of every kind."""

    first_word: str
    how_many: int | None = None
    headers: Headers = field(default_factory=dict)
    pairs: RawHeaders | None = None
    data: FreeData = field(default_factory=dict)
    target: Destination | None = None
    stops: list[Destination] | None = None
    body: Body | None = None


@pytest.mark.parametrize(
    ("name", "key"),
    [("id", "id"), ("http_version", "httpVersion"), ("ja3_fingerprint", "ja3Fingerprint"), ("a_b_c", "aBC")],
)
def test_names_become_camel_case(name: str, key: str) -> None:
    assert camel(name) == key


def test_the_fields_of_a_shape_in_order() -> None:
    assert [spec.key for spec in specs(Parcel)] == [
        "firstWord",
        "howMany",
        "headers",
        "pairs",
        "data",
        "target",
        "stops",
        "body",
    ]
    assert [spec.name for spec in specs(Parcel) if spec.required] == ["first_word"]


def test_a_type_loses_its_none() -> None:
    hints = {spec.name: spec.hint for spec in specs(Parcel)}
    assert hints["how_many"] is int
    assert hints["target"] is Destination
    assert hints["pairs"] == RawHeaders


def test_which_fields_are_lists_of_objects() -> None:
    found = {spec.name: element(spec.hint) for spec in specs(Parcel)}
    assert {name: item for name, item in found.items() if item} == {"stops": Destination}


def test_absent_values_and_empty_objects_are_not_written() -> None:
    assert write_object(Parcel(first_word="a", target=None, headers={})) == {"firstWord": "a", "data": {}}


def test_an_object_with_nothing_to_say_is_not_written() -> None:
    @dataclass(kw_only=True)
    class Owner(LogObject):
        tls: Any

    assert write_object(Owner(tls=TlsMetadata())) == {}
    assert write_object(Owner(tls=TlsMetadata(version="TLSv1.3"))) == {"tls": {"version": "TLSv1.3"}}


def test_free_data_is_written_as_it_is() -> None:
    assert write_object(Parcel(first_word="a", data={"no": None, "empty": {}}))["data"] == {"no": None, "empty": {}}


def test_false_zero_and_empty_texts_and_lists_are_written() -> None:
    written = write_object(Parcel(first_word="", how_many=0, pairs=[], stops=[]))
    assert written == {"firstWord": "", "howMany": 0, "pairs": [], "data": {}, "stops": []}


def test_objects_inside_are_read_and_written() -> None:
    record = {
        "firstWord": "a",
        "data": {},
        "target": {"hostname": "h", "port": 1, "later": 2},
        "stops": [{"hostname": "i", "port": 3}],
        "body": {"size": 1, "text": "x"},
    }
    parcel = read_object(Parcel, record)
    assert parcel.target == Destination(hostname="h", port=1, extra={"later": 2})
    assert parcel.stops == [Destination(hostname="i", port=3)]
    assert parcel.body == Body(size=1, inline_text="x")
    assert write_object(parcel) == record


def test_unknown_keys_follow_the_known_ones() -> None:
    parcel = read_object(Parcel, {"later": 1, "firstWord": "a"})
    assert parcel.extra == {"later": 1}
    assert list(write_object(parcel)) == ["firstWord", "data", "later"]


def test_two_shapes_share_no_values() -> None:
    one, other = Parcel(first_word="a"), Parcel(first_word="a")
    one.headers["x"] = "y"
    one.extra["x"] = "y"
    assert (other.headers, other.extra) == ({}, {})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "^Parcel: firstWord is missing$"),
        ({"firstWord": "a", "target": None}, "^target: expected an object, found None$"),
        ({"firstWord": "a", "target": {"port": 1}}, "^Destination: hostname is missing$"),
        ({"firstWord": "a", "stops": {}}, "^stops: expected a list, found {}$"),
        ({"firstWord": "a", "stops": [5]}, "^stops: expected an object, found 5$"),
        ({"firstWord": "a", "body": []}, r"^body: expected an object, found \[\]$"),
    ],
)
def test_what_cannot_be_read(record: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read_object(Parcel, record)


def test_hints_are_those_of_typing() -> None:
    for cls in (Parcel, *EVENT_CLASSES.values()):
        hints = get_type_hints(cls, include_extras=True)
        assert {spec.name: spec.hint for spec in specs(cls)} == {
            name: _without_none(hint) for name, hint in hints.items() if name != "extra"
        }


def test_objects_are_dataclasses() -> None:
    """With the arguments, the text and the equality of any dataclass, also in a class without fields of its own."""

    @log_object
    class Point(LogObject):
        x: float
        name: str = "p"

    @log_object
    class Corner(Point):
        """A point without further fields."""

    nan = float("nan")
    for cls in (Point, Corner):
        assert [item.name for item in fields(cls)] == ["extra", "x", "name"]
        assert cls(x=1.0) == cls(x=1.0, name="p")
        assert cls(x=nan) == cls(x=nan)
        assert cls(x=1.0) != cls(x=1.0, extra={"y": 2})
        assert repr(cls(x=1.0, extra={"y": 2})) == f"{cls.__qualname__}(x=1.0, name='p')"
        assert replace(cls(x=1.0), name="q").name == "q"
        with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'x'"):
            cls()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="unhashable"):
            hash(cls(x=1.0))
    assert Point(x=1.0) != Corner(x=1.0)
