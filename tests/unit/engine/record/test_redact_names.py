"""Which names are secret."""

from __future__ import annotations

import pytest

from mockrec.engine.record.redact_names import is_secret_name

SECRET = """
password passwd pwd passphrase secret token jwt session sid signature sig credential otp csrf apikey api_key apiKey API-KEY
x-api-key X-Api-Key access_key accessKey private.key clientSecret client_secret access_token accessToken refreshToken ID_TOKEN
user[password] user[pwd] password1 password_2 connect.sid X-Amz-Signature x-amz-credential XSRF-TOKEN JWTToken userPASSWORD
oauth2_token "session"
""".split()  # noqa: SIM905
PLAIN = """
max_tokens maxTokens tokens tokenizer passwords-allowed secretary sidebar inside design signal significant sessionId session_id
content-security-policy sec-websocket-key public_key key api keyboard api_keys monkey optional potp token_type tokenCount password_hint
expires 1 _ ä
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", SECRET)
def test_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", [*PLAIN, "", "token" * 100])
def test_plain(name: str) -> None:
    assert not is_secret_name(name)
