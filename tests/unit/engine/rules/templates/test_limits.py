"""Limits of templates: time and memory are bounded, for a request and for `check`."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import SourceLocation
from mockrec.engine.rules.templates import sandbox
from mockrec.engine.rules.templates.budget import Budget
from mockrec.engine.rules.templates.template import MAX_SIZE, MAX_STEPS, Scope, TemplateError, compile_template
from tests.helpers.template_attacks import AMPLIFIERS, ESCAPES

PLACE = SourceLocation("rules.yaml", 7, 12, "rules[0].then.reply.body")
REFUSED = (
    r"server\.limits\.template(Steps|Size) raises that|more than \d|takes numbers|levels? deep|range too big|"
    "is not in|not safely callable|cannot be called|no caller|too deeply"
)


def request() -> RequestView:
    view = RequestView("GET", "http", "http://a.test/?n=9999999999", "a.test", 80, "/?n=9999999999", {}, [])
    view.params = {"id": "7"}
    return view


def render(text: str, **names: Any) -> str:
    return compile_template(text, PLACE).render(names)


@pytest.mark.parametrize("text", AMPLIFIERS)
def test_what_would_make_much_of_little_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match=REFUSED):
        render(text, now=datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        "{{ request.query.n|int * 'x' }}",
        "{{ 'x'|center(request.query.n|int) }}",
        "{% for i in range(request.query.n|int) %}{% endfor %}",
        "{{ '%*d' % (request.query.n|int, 1) }}",
        "{{ '{:{}}'.format(1, request.query.n) }}",
        "{{ ('%' ~ request.query.n ~ 'd') % 1 }}",
        "{{ ('%' ~ request.query.n ~ 'd') | format(1) }}",
        "{{ 2 ** (request.query.n|int) }}",
    ],
)
def test_what_a_client_sends_is_bounded_too(text: str) -> None:
    with pytest.raises(TemplateError, match=r"server\.limits|more than|too big"):
        render(text, request=request())


@pytest.mark.parametrize("text", ESCAPES)
def test_nothing_but_values_can_be_reached(text: str) -> None:
    with pytest.raises(
        TemplateError, match="unsafe|undefined|cannot be called|stands alone|has no attribute|knows UTF-8"
    ):
        render(text, request=request())


def test_all_of_them_together_need_little_memory_and_time() -> None:
    """Rendered in a process with limits of 400 MB of address space and a minute: without a budget, one took far more."""
    script = (
        "import json, resource, sys\n"
        "from mockrec.engine.rules.model import SourceLocation\n"
        "from mockrec.engine.rules.templates.template import TemplateError, compile_template\n"
        "compile_template('{{ 1 }}', SourceLocation('r', 1, 1, '')).render({})\n"
        "pages = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (pages + (400 << 20),) * 2)\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "for text in json.load(sys.stdin):\n"
        "    try:\n"
        "        compile_template(text, SourceLocation('r', 1, 1, '')).render({})\n"
        "    except TemplateError as error:\n"
        "        assert 'MemoryError' not in error.message, text\n"
    )
    texts = json.dumps([*AMPLIFIERS, *sources()])
    done = subprocess.run([sys.executable, "-c", script], input=texts, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def sources() -> list[str]:
    """Texts that are expensive to parse, before anything is rendered."""
    return [
        "{{ " + "+".join(["1"] * 50_000) + " }}",
        "{{ " + "~".join(["1"] * 40_000) + " }}",
        "{{ " + " and ".join(["1"] * 50_000) + " }}",
        "{{ " + "[" * 5000 + "]" * 5000 + " }}",
        "{{ " + "-" * 50_000 + "1 }}",
        "{{ " + "not " * 50_000 + "1 }}",
        "{{ 1" + "|string" * 30_000 + " }}",
        "{{ a" + ".b" * 30_000 + " }}",
        "{{ [" + "1," * 300_000 + "] }}",
        "{% if 1 %}" * 300 + "{% endif %}" * 300,
        "{% for i in x %}" * 50 + "{% endfor %}" * 50,
        "{{" * 200_000,
        "{#" * 200_000,
        "{% raw %}" * 100_000,
        "{{ 1 }}" * 100_000,
        "{{ 0x" + "f" * 1_000_000 + " }}",
        "{{ " + "9" * 1_000_000 + " }}",
        "{{ 1 }}" + "x" * sandbox.MAX_SOURCE,
    ]


@pytest.mark.parametrize("text", sources(), ids=lambda text: text[:24])
def test_a_text_that_is_expensive_to_parse_is_compiled_or_refused(text: str) -> None:
    message = ""
    try:
        compile_template(text, PLACE)
    except TemplateError as error:
        message = error.message
    assert len(message) < 1000


@pytest.mark.parametrize("text", ["{{ 'a'|center(10**9) }}", "{{ 'a' * 10**9 }}", "{{ [1]|batch(10**9, 1)|list }}"])
def test_nothing_is_worked_out_while_a_file_is_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def spend(*_: Any) -> None:
        raise AssertionError("rendered while it was compiled")

    for name in ("spend", "fits", "take"):
        monkeypatch.setattr(Budget, name, spend)
    compile_template(text, PLACE)


def test_a_step_has_one_budget_for_all_its_texts() -> None:
    scope = Scope({}, steps=1000)
    text = compile_template("{% for i in range(50) %}{{ i }}{% endfor %}", PLACE)
    assert text.render(scope) == text.render(scope)
    while scope.budget.steps > 200:
        text.render(scope)
    with pytest.raises(TemplateError, match="1,000 steps of work"):
        text.render(scope)


def test_the_error_names_the_limit_and_what_exceeded_it() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{ 'a'|center(10**10) }}")
    assert caught.value.message == (
        f"the filter center makes more than the {MAX_SIZE:,} bytes of text and values that a template may make "
        "(server.limits.templateSize raises that)"
    )
    assert (caught.value.place_line, caught.value.column) == (7, 12)
    with pytest.raises(TemplateError, match=f"a loop needs more than the {MAX_STEPS:,} steps"):
        render("{% for i in range(99999) %}{% for j in range(9) %}{{ j }}{% endfor %}{% endfor %}")


def test_limits_can_be_raised() -> None:
    text = compile_template(
        "{{ ('x' * 40000000)|length }}{% for i in range(90000) %}{{ '' }}{{ '' }}{% endfor %}", PLACE
    )
    with pytest.raises(TemplateError):
        text.render({})
    assert text.render(Scope({}, steps=10**7, size=10**8)) == "40000000"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ 'a'.upper() ~ 'b' * 3 ~ 1 ~ none }}", "AbbbB1None".replace("B", "")),
        ("{{ 1 < 2 < 3 }} {{ 3 in [1, 2, 3] }} {{ 'b' not in 'abc' }} {{ 1 == 1.0 }} {{ 1 < 0 < 9 }}",
         "True True False True False"),
        ("{{ [1, 2, 3][1:] }} {{ 'abc'[::-1] }} {{ 'abc'[1] }} {{ [1, 2, 3][:2]|join }}", "[2, 3] cba b 12"),
        ("{{ {'a': 1}['a'] }} {{ {1 + 1: 2} }} {{ {(1, 2): 3}[(1, 2)] }}", "1 {2: 2} 3"),
        ("{{ '%05.1f|%s|%(x)s' % {'x': 1} if false else '%05.1f|%s' % (2.5, 'a') }}", "002.5|a"),
        ("{{ '{:>5}|{a!r}'.format(1, a='x') }} {{ '{a}'.format_map({'a': 1}) }}", "    1|'x' 1"),
        ("{{ 'a b'|title }} {{ 'x'|center(3) }}| {{ 'a,b'.split(',') }} {{ 'a-b'.partition('-')[2] }}",
         "A B  x | ['a', 'b'] b"),
        ("{{ ['b', 'a']|sort|join(',') }} {{ [1, 1, 2]|unique|list }} {{ {'b': 1, 'a': 2}|dictsort }}",
         "a,b [1, 2] [('a', 2), ('b', 1)]"),
        ("{{ [1, 2, 3]|batch(2, 0)|list }} {{ [1, 2, 3]|slice(2)|list }}", "[[1, 2], [3, 0]] [[1, 2], [3]]"),
        ("{{ [{'a': {'b': 1}}]|map(attribute='a.b')|list }} {{ [1, 2]|map('string')|join('-') }}", "[1] 1-2"),
        ("{{ range(5)|select('odd')|list }} {{ [1, 2]|sum }} {{ [[1], [2]]|sum(start=[]) }}", "[1, 3] 3 [1, 2]"),
        ("{{ [{'k': 1, 'v': 2}, {'k': 1, 'v': 3}]|groupby('k')|length }} {{ [3, 1]|max }}", "1 3"),
        ("{{ {'a': [1, '<']}|tojson }} {{ [1]|tojson(indent=1) }}", '{"a": [1, "\\u003c"]} [\n 1\n]'),
        ("{{ 'a <b>c</b>'|striptags }} {{ '<'|e }} {{ 'a b'|urlencode }} {{ 'see http://a.test now'|urlize }}",
         'a c &lt; a%20b see <a href="http://a.test" rel="noopener">http://a.test</a> now'),
        ("{{ 'a b c'|wordwrap(3) }}|{{ 'a\nb'|indent(2) }}|{{ 'abcdefghij'|truncate(6, true, '…', 0) }}",
         "a b\nc|a\n  b|abcde…"),
        ("{% macro m(x) %}<{{ x }}>{{ caller() if caller is defined }}{% endmacro %}{{ m(1) }}{% call m(2) %}in{% endcall %}",
         "<1><2>in"),
        ("{% for x in [1, [2, [3]]] recursive %}{{ x if x is number else loop(x) }}{% endfor %}", "123"),
        ("{% for x in 'ab' %}{{ loop.index }}/{{ loop.length }}{{ loop.cycle('x', 'y') }}{% endfor %}", "1/2x2/2y"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{% for x in [] %}{% else %}none{% endfor %}",
         "a1none"),
        ("{% set ns = namespace(n=0) %}{% for i in range(4) if i %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"),
        ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{% set j = joiner(',') %}{{ j() }}{{ j() }}", "ab,"),
        ("{% set x %}{% filter upper %}a{% endfilter %}{% endset %}{{ x }}{{ dict(a=1).get('b', 2) }}", "A2"),
        ("{% block a %}x{% endblock %}{{ self.a() }}", "xx"),
        ("{{ 7 // 2 }} {{ 7 % 4 }} {{ -1 + 2.5 }} {{ 2 ** 100 }} {{ 10 / 4 }} {{ [1] + [2] }} {{ 'a' + 'b' }}",
         "3 3 1.5 1267650600228229401496703205376 2.5 [1, 2] ab"),
        ("{% autoescape true %}{{ '<' }}{{ '<' ~ ('<'|safe) }}{% endautoescape %}", "&lt;&lt;<"),
    ],
)  # fmt: skip
def test_what_people_write_gives_what_jinja_gives(text: str, result: str) -> None:
    assert render(text) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ 1e999 }}", "a number is too large: at most about 1.8e308"),
        ("{{ -1e999 }}", "a number is too large"),
        ("{{ '1e999'|float }}", "not finite"),
        ("{{ 1e308 * 10 }}", "not finite"),
        ("{{ ('nan'|float)|tojson }}", "not JSON compliant"),
    ],
)
def test_numbers_that_json_does_not_know_are_errors(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render(text)
