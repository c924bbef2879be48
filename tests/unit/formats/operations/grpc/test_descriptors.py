"""Messages by their descriptors, and descriptors that cannot be used."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from mockrec.formats.operations.grpc import protos
from mockrec.formats.operations.grpc.descriptors import DescriptorError, Descriptors, of_header, stored
from mockrec.formats.operations.grpc.protos import read_descriptors

METHOD = "shop.v1.Cart/AddItem"
PROTO = """\
syntax = "proto3";
package shop.v1;
import "item.proto";
service Cart { rpc AddItem (Item) returns (Reply); }
message Reply { repeated Item items = 1; int64 total = 2; }
"""
ITEM = """\
syntax = "proto3";
package shop.v1;
message Item { string sku = 1; int32 count = 2; string unit_name = 3; }
"""


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Descriptors:
    folder = tmp_path_factory.mktemp("protos")
    (folder / "cart.proto").write_text(PROTO)
    (folder / "item.proto").write_text(ITEM)
    return Descriptors(read_descriptors([str(folder)]))


def test_messages_become_json_and_back(descriptors: Descriptors) -> None:
    data = descriptors.encode(METHOD, "request", {"sku": "x1", "unit_name": "kg"})
    decode = descriptors.decoder(METHOD, "request")
    assert decode is not None
    assert decode(data) == {"sku": "x1", "unitName": "kg"}
    whole = descriptors.decoder(METHOD, "request", defaults=True)
    assert whole is not None
    assert whole(data) == {"sku": "x1", "count": 0, "unitName": "kg"}
    assert descriptors.methods == (METHOD,)
    assert descriptors.decoder("shop.v1.Cart/Other", "request") is None


def test_expected_parts_keep_given_defaults(descriptors: Descriptors) -> None:
    assert descriptors.expected(METHOD, "request", {"count": 0, "unit_name": "kg"}) == {"count": 0, "unitName": "kg"}
    value = {"items": [{"sku": "a"}], "total": 7}
    assert descriptors.expected(METHOD, "response", value) == {"items": [{"sku": "a"}], "total": "7"}


@pytest.mark.parametrize("value", [{"sk": 1}, {"sku": 3}, "text", {"count": "many"}])
def test_a_message_of_another_form_is_refused(descriptors: Descriptors, value: object) -> None:
    with pytest.raises(DescriptorError, match=r"shop\.v1\.Item"):
        descriptors.encode(METHOD, "request", value)


def test_an_unknown_method_is_named_with_the_known_ones(descriptors: Descriptors) -> None:
    with pytest.raises(
        DescriptorError, match=r"shop\.v1\.Cart/Nope is not in record\.protobuf; it has shop\.v1\.Cart/AddItem"
    ):
        descriptors.encode("shop.v1.Cart/Nope", "request", {})


def test_bytes_of_another_message_are_a_finding(descriptors: Descriptors) -> None:
    decode = descriptors.decoder(METHOD, "request")
    assert decode is not None
    with pytest.raises(DescriptorError, match=r"it is no shop\.v1\.Item"):
        decode(b"\x0a\xff")


@pytest.mark.parametrize("data", [b"", b"junk", b"\x0a\x02hi"])
def test_what_is_no_descriptor_set_is_refused(data: bytes) -> None:
    with pytest.raises(DescriptorError, match="protoc --include_imports"):
        Descriptors(data)


def test_a_set_without_its_imports_is_refused(descriptors: Descriptors) -> None:
    from google.protobuf import descriptor_pb2

    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors.serialized)
    del files.file[0]
    with pytest.raises(DescriptorError, match=r"cart\.proto cannot be used"):
        Descriptors(files.SerializeToString())


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match=r"x\.pb: No such file"):
        read_descriptors([str(tmp_path / "x.pb")])
    with pytest.raises(DescriptorError, match=r"the folder has no \.proto file"):
        read_descriptors([str(tmp_path)])
    (tmp_path / "bad.proto").write_text('syntax = "proto3";\nmessage {\n')
    with pytest.raises(DescriptorError, match=r"bad\.proto:2:9: Expected message name"):
        read_descriptors([str(tmp_path)])


def test_a_plain_install_says_what_to_install(monkeypatch: pytest.MonkeyPatch, descriptors: Descriptors) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(DescriptorError, match=r"pip install 'mockrec\[grpc\]'"):
        Descriptors(descriptors.serialized)
    assert of_header({"protobuf": stored(descriptors)}) is None


def test_a_folder_needs_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "item.proto").write_text(ITEM)
    monkeypatch.setattr(protos, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DescriptorError, match=r"need a compiler: pip install 'mockrec\[grpc\]', or install protoc"):
        read_descriptors([str(tmp_path)])


def test_descriptors_survive_a_session_and_a_process(descriptors: Descriptors) -> None:
    read = of_header({"protobuf": stored(descriptors)})
    assert read is not None
    assert read.methods == (METHOD,)
    assert pickle.loads(pickle.dumps(descriptors)).methods == (METHOD,)
    assert stored(None) is None
    assert of_header({"protobuf": "!"}) is None
    assert of_header({}) is None
