from __future__ import annotations

import base64

import pytest

from defer_emulator.web.errors import Refused
from defer_emulator.web.requests import Headers
from defer_emulator.web.security import Gate, generate_token, is_loopback
from defer_emulator.web.settings import WebSettings

TOKEN = "sésame-7"
CHILD = "01a22ba7-15fa-7544-a1fe-04ec1fe500d1.secret"


def gate(host: str = "127.0.0.1", token: str | None = None, allowed_hosts: tuple[str, ...] = ()) -> Gate:
    settings = WebSettings(project="shop", version="1", host=host, token=token, allowed_hosts=allowed_hosts)
    return Gate(settings, lambda token: token.partition(".")[0] if token == CHILD else None)


def basic(user: str, password: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(encoding)).decode()


def refusal(gate: Gate, headers: Headers) -> int:
    with pytest.raises(Refused) as caught:
        gate.check_site(headers)
        gate.admit(headers)
    return caught.value.status


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.0.1", "::1", "[::1]", "a.localhost"]
)
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com", "", "localhost.example.com"])
def test_all_else_is_beyond(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost:3337", "127.0.0.1:3337", "[::1]:3337", "localhost", "LocalHost."]
)
def test_this_machines_names_are_no_foreign_host(host: str) -> None:
    gate().check_site(Headers(host=host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3337",
        "192.168.1.7:3337",
        "localhost.evil.example",
        "",
        "a b",
        "x@localhost",
    ],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    assert refusal(gate(), Headers(host=host)) == 403


def test_a_missing_host_is_a_bad_request() -> None:
    assert refusal(gate(), Headers()) == 400


def test_an_allowed_host_is_accepted_on_any_port_and_in_any_case() -> None:
    allowing = gate(allowed_hosts=("host.docker.internal", "Dev.example:443"))
    allowing.check_site(Headers(host="HOST.docker.internal:3337"))
    allowing.check_site(Headers(host="dev.example"))


def test_beyond_this_machine_addresses_are_accepted_and_names_are_not() -> None:
    listening = gate(host="0.0.0.0", token=TOKEN)
    listening.check_site(Headers(host="192.168.1.7:3337"))
    assert refusal(listening, Headers(host="evil.example")) == 403


@pytest.mark.parametrize("origin", ["http://localhost:3337", "http://127.0.0.1:3337"])
def test_our_own_origin_is_accepted_by_any_of_its_names(origin: str) -> None:
    gate().check_site(Headers(host="localhost:3337", origin=origin))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://localhost:3000",
        "http://localhost",
        "file://",
        "http://localhost:3337@evil",
    ],
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert refusal(gate(), Headers(host="localhost:3337", origin=origin)) == 403


def test_the_origin_of_an_allowed_host_is_accepted_behind_a_proxy() -> None:
    proxied = gate(allowed_hosts=("dev.example",))
    proxied.check_site(Headers(host="127.0.0.1:3337", origin="https://dev.example"))
    proxied.check_site(Headers(host="dev.example", origin="https://dev.example"))


def test_without_a_token_any_credentials_are_accepted() -> None:
    for authorization in (None, basic("", "anything"), "Bearer x", "Basic !!!", "Digest x"):
        assert gate().admit(Headers(authorization=authorization)) is None


@pytest.mark.parametrize(
    "authorization",
    [
        basic("", TOKEN),
        basic("", TOKEN, "latin-1"),
        "Bearer " + TOKEN.encode().decode("latin-1"),
        basic("", TOKEN).replace("Basic", "bASIC"),
    ],
)
def test_the_token_is_accepted_as_bearer_and_as_the_password_of_nobody(authorization: str) -> None:
    assert gate(token=TOKEN).admit(Headers(authorization=authorization)) is None


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Bearer",
        "Bearer no",
        basic("", "no"),
        basic("user", TOKEN),
        basic("", ""),
        f"Digest {TOKEN}",
    ],
)
def test_anything_else_is_unauthorized(authorization: str | None) -> None:
    with pytest.raises(Refused) as caught:
        gate(token=TOKEN).admit(Headers(authorization=authorization))
    assert caught.value.status == 401
    assert caught.value.headers is not None and "Basic" in caught.value.headers["WWW-Authenticate"]
    assert TOKEN not in caught.value.message


def test_listening_beyond_this_machine_needs_a_token() -> None:
    with pytest.raises(ValueError, match="token"):
        gate(host="0.0.0.0")
    assert refusal(gate(host="0.0.0.0", token=TOKEN), Headers(host="10.0.0.1")) == 401


def test_an_execution_token_names_the_parent_wherever_it_is_sent() -> None:
    parent = CHILD.partition(".")[0]
    for checked in (gate(), gate(token=TOKEN)):
        assert checked.admit(Headers(execution_token=CHILD)) == parent
        assert checked.admit(Headers(authorization=basic("", CHILD))) == parent
        assert checked.admit(Headers(authorization=f"Bearer {CHILD}")) == parent


def test_a_forged_execution_token_or_one_of_another_emulator_opens_nothing() -> None:
    forged = Headers(host="localhost", execution_token=CHILD + "x")
    assert gate().admit(forged) is None
    assert refusal(gate(token="s3cret"), forged) == 401


def test_generated_tokens_are_long_and_differ() -> None:
    assert len(generate_token()) >= 32
    assert generate_token() != generate_token()
