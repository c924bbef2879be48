"""Proxy auto-config: the functions that scripts call, and what their answers mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockrec.engine.upstream.pac import find_proxies, read_answer


@pytest.fixture
def ask(tmp_path: Path):
    def run(expression: str, host: str = "www.example.test") -> str:
        path = tmp_path / "proxy.pac"
        path.write_text(f"function FindProxyForURL(url, host) {{ return String({expression}); }}")
        other = tmp_path / f"{abs(hash(expression))}.pac"  # a script is kept for a while
        other.write_text(path.read_text())
        return find_proxies(str(other), f"http://{host}/", host)

    return run


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("url", "http://www.example.test/"),
        ("isPlainHostName(host)", "false"),
        ("isPlainHostName('intranet')", "true"),
        ("dnsDomainIs(host, '.example.test')", "true"),
        ("dnsDomainIs('test', '.example.test')", "false"),
        ("localHostOrDomainIs('www', 'www.example.test')", "true"),
        ("localHostOrDomainIs('www.other.test', 'www.example.test')", "false"),
        ("dnsDomainLevels(host)", "2"),
        ("isInNet('10.1.2.3', '10.0.0.0', '255.0.0.0')", "true"),
        ("isInNet('11.1.2.3', '10.0.0.0', '255.0.0.0')", "false"),
        ("isInNet('200.1.2.3', '200.1.2.0', '255.255.255.0')", "true"),
        ("isInNet('300.1.2.3', '0.0.0.0', '0.0.0.0')", "false"),
        ("isInNet('localhost', '127.0.0.0', '255.0.0.0')", "true"),
        ("dnsResolve('127.0.0.1')", "127.0.0.1"),
        ("dnsResolve('no name')", "null"),
        ("isResolvable('no name')", "false"),
        ("shExpMatch(host, '*.example.*')", "true"),
        ("shExpMatch('a.b', 'a?b')", "true"),
        ("shExpMatch('axb', 'a.b')", "false"),
        ("shExpMatch('', '*')", "true"),
        ("weekdayRange('SUN', 'SAT')", "true"),
        ("dateRange(1, 31) && dateRange('JAN', 'DEC', 'GMT') && dateRange(1, 'JAN', 2000, 31, 'DEC', 2999)", "true"),
        ("dateRange(2000, 2001)", "false"),
        ("timeRange(0, 0, 0, 23, 59, 59)", "true"),
        ("alert('x')", "undefined"),
    ],
)
def test_what_scripts_call(ask, expression: str, expected: str) -> None:
    assert ask(expression) == expected


def test_a_pattern_of_many_stars_takes_no_longer(ask) -> None:
    text, pattern = "a" * 2000, "*a" * 200 + "b"
    assert ask(f"shExpMatch('{text}', '{pattern}')") == "false"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("function Find", "fails: "),
        ("var x = 1;", "FindProxyForURL"),
        ("function FindProxyForURL() { throw new Error('no'); }", "fails: Error: no"),
        ("function FindProxyForURL() { return 5; }", "returns 5, not text such as DIRECT"),
    ],
)
def test_a_script_that_fails_says_why(tmp_path: Path, script: str, says: str) -> None:
    path = tmp_path / "bad.pac"
    path.write_text(script)
    with pytest.raises(ValueError) as caught:
        find_proxies(str(path), "http://a/", "a")
    assert str(caught.value).startswith(f"the proxy script {path} ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DIRECT", ["None"]),
        ("", ["None"]),
        ("nonsense here; PROXY", ["None"]),
        ("PROXY a:3128; DIRECT", ["http://a:3128", "None"]),
        (" proxy a ;HTTPS b:443;SOCKS c; SOCKS5 [::1]:99; SOCKS4 d:1;", [
            "http://a:80", "https://b:443", "socks4a://c:1080", "socks5h://[::1]:99", "socks4a://d:1",
        ]),
        ("PROXY a:99999; DIRECT", ["None"]),
    ],
)  # fmt: skip
def test_what_answers_mean(text: str, expected: list[str]) -> None:
    assert [str(one) for one in read_answer(text)] == expected
