"""Which names are secret."""

from __future__ import annotations

import pytest

from mockrec.engine.redaction.names import is_secret_name

SECRET = """
password passwd pwd passphrase secret token jwt session sid signature sig credential otp csrf apikey api_key apiKey API-KEY
x-api-key X-Api-Key access_key accessKey private.key clientSecret client_secret access_token accessToken refreshToken ID_TOKEN
user[password] user[pwd] password1 password_2 connect.sid X-Amz-Signature x-amz-credential XSRF-TOKEN JWTToken userPASSWORD
oauth2_token "session" dbpassword csrftoken authtoken appSecret clientsecret passWord pass_phrase totp XSRF PHPSESSID
code_verifier codeVerifier client_assertion device_code user_code id_token_hint SAMLResponse authorization_code
Authorization X-Forwarded-Authorization proxy_authorization Ocp-Apim-Subscription-Key X-Functions-Key X-Auth-Key DPoP AccountKey
X-Amz-Security-Token X-Vault-Token Private-Token X-Goog-Api-Key X-Shopify-Hmac-Sha256 Cf-Access-Jwt-Assertion X-Goog-Signature
X-Ms-Client-Principal X-Honeycomb-Team DD-APPLICATION-KEY X-Rapidapi-Key apikey rspauth cvv secret_key master_key recovery-code
""".split()  # noqa: SIM905
PLAIN = """
max_tokens maxTokens tokens tokenizer passwords-allowed secretary sidebar inside design signal significant sessionId session_id
content-security-policy sec-websocket-key public_key key api keyboard api_keys monkey optional potp token_type tokenCount password_hint
expires 1 _ ä code country_code statusCode error_code zip-code assertion pass bypass ticket client_assertion_type token_type_hint
Idempotency-Key Surrogate-Key cacheKey storageKey primary_key sort_key foreignKey nonce cnonce WWW-Authenticate opaque realm
Access-Control-Allow-Credentials credentials authorized author X-Request-Id traceparent obsession compass inside_sid_x code_challenge
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", SECRET)
def test_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["assertion", "pass", "ticket"])
def test_secret_in_queries_and_forms_alone(name: str) -> None:
    assert is_secret_name(name, "query") and is_secret_name(name, "form")
    assert not is_secret_name(name, "json") and not is_secret_name(name, "header")
    assert not is_secret_name(f"first_{name}", "form")


@pytest.mark.parametrize("name", [*PLAIN, "", "token" * 100])
def test_plain(name: str) -> None:
    assert not is_secret_name(name)
