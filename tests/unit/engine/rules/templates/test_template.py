"""Templates: the names that they can use, the reports of their errors, their limits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import SourceLocation
from mockrec.engine.rules.templates.template import TemplateError, compile_headers, compile_template, compile_tree

RequestOf = Callable[..., RequestView]

INLINE = SourceLocation("rules.yaml", 7, 12, "rules[0].then.reply.body")
BLOCK = SourceLocation("rules.yaml", 8, 1, "rules[0].then.reply.body")


@pytest.fixture
def context(request_of: RequestOf) -> dict[str, Any]:
    request = request_of(
        "POST",
        "http://a.test:81/users/7?name=Ada&tag=x&tag=y",
        [("X-Id", "abc"), ("Cookie", "sid=1; sid=2"), ("Content-Type", "application/json")],
        b'{"items": [1, 2], "who": {"name": "Bob"}}',
    )
    request.params = {"id": "7"}
    return {"request": request, "count": 3, "uuid": "u-1", "now": "2024-01-01", "random": 0.5}


def render(text: str, context: dict[str, Any]) -> str:
    return compile_template(text, INLINE).render(context)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ request.method }} {{ request.path }}", "POST /users/7"),
        ("{{ request.url }}", "http://a.test:81/users/7?name=Ada&tag=x&tag=y"),
        ("{{ request.protocol }} {{ request.hostname }} {{ request.port }} {{ request.host }}",
         "http a.test 81 a.test:81"),
        ("{{ request.params.id }}", "7"),
        ("{{ request.query.name }} {{ request.query.tag }}", "Ada x"),
        ("{{ request.query_all.tag | join('+') }}", "x+y"),
        ("{{ request.headers['x-id'] }}", "abc"),
        ("{{ request.cookies.sid }} {{ request.cookies_all.sid[1] }}", "1 2"),
        ("{{ request.json.who.name }} {{ request.json['items'] | sum }}", "Bob 3"),
        ("{{ request.body | length }}", "41"),
        ("{{ count + 1 }} {{ uuid }} {{ now }} {{ random }}", "4 u-1 2024-01-01 0.5"),
        ("{% for i in request.json['items'] %}<{{ i }}>{% endfor %}{# nothing #}", "<1><2>"),
        ("{{ request.query.missing | default('none') }}", "none"),
        ("{{ '<b>' }} ends with a line\n", "<b> ends with a line\n"),
    ],
)  # fmt: skip
def test_a_template_sees_the_request(context: dict[str, Any], text: str, result: str) -> None:
    assert render(text, context) == result


def test_a_form_gives_its_first_values(request_of: RequestOf) -> None:
    headers = [("content-type", "application/x-www-form-urlencoded")]
    request = request_of("POST", headers=headers, body=b"a=1&a=2")
    text = "{{ request.form.a }} {{ request.form_all.a[1] }} {{ request.body }}"
    assert render(text, {"request": request}) == "1 2 a=1&a=2"


def test_a_text_without_marks_is_itself() -> None:
    compiled = compile_template("a { b } %}", INLINE)
    assert compiled.is_static
    assert compiled.render({}) == "a { b } %}"
    assert not compile_template("{{ 1 }}", INLINE).is_static


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ request.query.missing }}", "no attribute 'missing'"),
        ("{{ request.missing }}", "^line 7: the request has no attribute 'missing'$"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ request.__class__ }}", "unsafe"),
        ("{{ request._view }}", "unsafe"),
        ("{{ request.json['items'].append(1) }}", "cannot be called in a template"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_what_fails_on_a_request_is_told_with_its_line(context: dict[str, Any], text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        render(text, context)
    assert caught.value.place_line == 7
    assert str(caught.value).startswith("line 7: ")


def test_a_body_that_is_no_json_is_an_error_of_the_template(request_of: RequestOf) -> None:
    with pytest.raises(TemplateError, match="Expecting value"):
        render("{{ request.json.a }}", {"request": request_of(body=b"")})


def test_lines_of_a_block_are_lines_of_the_file() -> None:
    compiled = compile_template("one\ntwo {{ 1 }}\n{{ nothing }}\n", BLOCK)
    with pytest.raises(TemplateError) as caught:
        compiled.render({})
    assert (caught.value.place_line, caught.value.message) == (10, "'nothing' is undefined")


def test_lines_of_other_texts_are_told_beside_the_place() -> None:
    with pytest.raises(TemplateError, match=r"^line 7: .* \(in line 2 of the text\)$"):
        compile_template("one\n{{ nothing }}", INLINE).render({})


@pytest.mark.parametrize(
    ("text", "place", "line"),
    [("{{ 1 +", INLINE, 7), ("a\n{% if 1 %}\n{{ ) }}", BLOCK, 10), ("{% nonsense %}", INLINE, 7)],
)
def test_what_is_malformed_is_told_when_it_is_compiled(text: str, place: SourceLocation, line: int) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(text, place)
    assert caught.value.place_line == line
    assert caught.value.message


def test_a_template_that_is_too_deep_is_malformed_too() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", INLINE)
    assert caught.value.place_line == 7


def test_ordinary_products_and_powers_work() -> None:
    assert render("{{ 6 * 7 }} {{ '-' * 3 }} {{ 2 ** 10 }} {{ 4 ** 0.5 }} {{ 2 ** -1 }}", {}) == "42 --- 1024 2.0 0.5"


def test_a_tree_renders_the_texts_in_it(context: dict[str, Any]) -> None:
    tree = {"id": "{{ request.params.id }}", "{{ key }}": [1, None, ("{{ count }}", "plain")]}
    compiled = compile_tree(tree, INLINE)
    assert not compiled.is_static
    assert compiled.render(context) == {"id": "7", "{{ key }}": [1, None, ["3", "plain"]]}
    assert compile_tree({"a": ["b", 1]}, INLINE).is_static
    assert compile_tree("{{ count }}", INLINE).render(context) == "3"
    with pytest.raises(TemplateError):
        compile_tree([["{{"]], INLINE)


def test_header_values_are_templates(context: dict[str, Any]) -> None:
    pairs = (("X-Id", "{{ request.params.id }}"), ("X-{{ 1 }}", "plain"))
    compiled = compile_headers(pairs, INLINE)
    assert not compiled.is_static
    assert compiled.render(context) == (("X-Id", "7"), ("X-{{ 1 }}", "plain"))
    assert compile_headers((("a", "b"),), INLINE).is_static


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\0"])
def test_a_header_cannot_be_broken_apart_by_a_value(value: str) -> None:
    with pytest.raises(TemplateError, match="header X-Id has a line break or NUL"):
        compile_headers((("X-Id", "{{ value }}"),), INLINE).render({"value": value})


def test_jinja_is_imported_only_for_templates() -> None:
    script = (
        "import sys\n"
        "from mockrec.engine.rules.model import SourceLocation\n"
        "from mockrec.engine.rules.templates.template import compile_template\n"
        "import mockrec.engine.rules.matching.select, mockrec.engine.rules.explain.explain\n"
        "place = SourceLocation('rules.yaml', 1, 1, '')\n"
        "compile_template('plain', place)\n"
        "for name in ('jinja2', 'jsonschema_rs', 'jsonpath_rfc9535'):\n"
        "    assert name not in sys.modules, name\n"
        "compile_template('{{ 1 }}', place)\n"
        "assert 'jinja2' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
