"""Which way a request takes: what is this machine, what goes to a proxy, what may go in the clear."""

from __future__ import annotations

import pytest

from vault_core.api import ConfigError, is_loopback, proxy_for, refuse_plain_http

PROXY = "http://proxy.test:3128"
EVERYWHERE = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), PROXY)
OURS = [
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.255.3.4",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "::FFFF:7f00:1",
]
BELOW = ["localhost.", "api.localhost", "api.LOCALHOST."]
"""Names of this machine by their standard; a system without its resolver asks the network for them."""
OTHERS = [
    *BELOW,
    "127.1",  # an address to some resolvers, a name to others
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.1.",  # a name
    "127.0.0.1.example",
    "localhost.example",
    "localhost..",
    "notlocalhost",
    "localhost.localstack.cloud",  # a name of the public DNS, whatever it says today
    "0.0.0.0",
    "::",
    "::ffff:10.0.0.1",
    "fe80::1",
    "evil.example\\.localhost",
    "\uff4cocalhost",
    "localho\u017ft",
    "\uff11\uff12\uff17.0.0.1",
    "127.0.0.1 ",
]


@pytest.mark.parametrize("host", OURS)
def test_is_loopback_accepts_loopback_addresses_and_localhost(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", OTHERS)
def test_is_loopback_rejects_other_hosts(host: str) -> None:
    assert not is_loopback(host)


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("port", ["", ":4566"])
@pytest.mark.parametrize("host", OURS)
def test_proxy_for_loopback_is_none(host: str, port: str, scheme: str) -> None:
    url = f"{scheme}://{in_url(host)}{port}/x"
    assert proxy_for(url, EVERYWHERE) is None
    refuse_plain_http(url, {})


@pytest.mark.parametrize("host", BELOW)
def test_name_below_localhost_uses_neither_proxy_nor_plain_http(host: str) -> None:
    assert proxy_for(f"https://{host}/", EVERYWHERE) is None
    with pytest.raises(ConfigError, match="in the clear"):
        refuse_plain_http(f"http://{host}/", {})


@pytest.mark.parametrize("host", [*OTHERS, "evil.example#@localhost", "evil.example?@localhost"])
def test_plain_http_to_other_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"would carry secrets in the clear|does not name a server") as refused:
        refuse_plain_http(f"http://{in_url(host)}/", {})
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://evil.example\\@localhost/",  # urllib3 goes to the first, urlsplit to the second
        "http://evil.example\\.localhost/",
        "http://localhost\\.evil.example/",
        "http://localhost@evil.example/",
        "http://localhost:80@evil.example/",
        "http://user@localhost/",
        "http://localho\u017ft/",
        "http://\u212aube.example/",
        "http://[::1",
        "http://[::1].evil.example/",
        "http://[::1%25lo]/",
        "http://localhost:x/",
        "http://localhost:99999/",
        "http:localhost",
        "ftp://localhost/",
        "localhost",
        "",
    ],
)
def test_plain_http_to_ambiguous_host_is_refused(url: str) -> None:
    for environ in ({}, {"AWS_VAULT_PLAIN_HTTP": "*"}):
        with pytest.raises(ConfigError, match="does not name a server") as refused:
            refuse_plain_http(url, environ)
        assert "https://" in (refused.value.hint or "")


def test_error_hides_password_of_url() -> None:
    with pytest.raises(ConfigError) as refused:
        refuse_plain_http("http://me:hunter2@vault.example:8200/x?y=hunter2", {})
    assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"
    assert refused.value.message == "http://vault.example:8200 does not name a server"


@pytest.mark.parametrize(
    ("exempt", "url", "is_exempt"),
    [
        ("localstack", "http://localstack:4566", True),
        ("localstack", "http://LocalStack:4566", True),
        ("x, .internal", "http://vault.internal:8200", True),
        ("localstack:4566", "http://localstack:4566", True),
        ("10.0.0.0/8", "http://10.1.2.3:4566", True),
        ("10.1.2.3", "http://10.1.2.3:4566", True),
        ("fd00::/8", "http://[fd00::5]:4566", True),
        ("[fd00::5]:4566", "http://[fd00::5]:4566", True),
        ("*", "http://anybody.example", True),
        ("localstack", "http://notlocalstack:4566", False),
        ("localstack:80", "http://localstack:4566", False),
        ("10.0.0.0/8", "http://11.1.2.3:4566", False),
        ("2.3", "http://10.1.2.3", False),  # no domain of an address
        ("10.0.0.0/8", "http://10.evil.example", False),
        ("*", "http://evil.example\\@localstack", False),
        ("*", "ftp://localstack", False),
        ("", "http://localstack", False),
        (",. ,", "http://localstack", False),
        (".", "http://evil.example.", False),
        ("10.9.9.9/8", "http://10.1.2.3", True),
        ("fd00::5:80", "http://[fd00::5]", False),  # an address of its own, not a port
        ("fd00::5:80", "http://[fd00::5:80]", True),
    ],
)
def test_plain_http_to_exempt_host_is_allowed(exempt: str, url: str, is_exempt: bool) -> None:
    environ = {"AWS_VAULT_PLAIN_HTTP": exempt}
    if is_exempt:
        refuse_plain_http(url, environ)
        return
    with pytest.raises(ConfigError):
        refuse_plain_http(url, environ)


def test_plain_http_hint_allows_the_host() -> None:
    for url in ("http://localstack:4566", "http://[fd00::5]:80/", "http://10.0.0.7"):
        with pytest.raises(ConfigError) as refused:
            refuse_plain_http(url, {})
        named, _, _ = str(refused.value.hint).partition("AWS_VAULT_PLAIN_HTTP=")[2].partition(" ")
        refuse_plain_http(url, {"AWS_VAULT_PLAIN_HTTP": named})


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://sts.test", None),
        ({"https_proxy": "http://a", "HTTPS_PROXY": "http://b"}, "https://sts.test", "http://a"),
        ({"HTTPS_PROXY": "http://b"}, "https://sts.test", "http://b"),
        ({"HTTPS_PROXY": "http://b"}, "http://sts.test", None),
        ({"http_proxy": "http://a"}, "https://sts.test", None),
        ({"HTTP_PROXY": "http://b"}, "http://sts.test", "http://b"),
        ({"HTTP_PROXY": "http://b", "REQUEST_METHOD": "GET"}, "http://sts.test", None),
        ({"http_proxy": "http://a", "REQUEST_METHOD": "GET"}, "http://sts.test", "http://a"),
        ({"HTTPS_PROXY": "http://b", "REQUEST_METHOD": "GET"}, "https://sts.test", "http://b"),
        ({"ALL_PROXY": "http://c"}, "https://sts.test", "http://c"),
        ({"all_proxy": "http://c", "https_proxy": "http://a"}, "https://sts.test", "http://a"),
        ({"https_proxy": "proxy:3128"}, "https://sts.test", "proxy:3128"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b"}, "https://sts.test", "http://b"),
    ],
)
def test_proxy_for_reads_proxy_variables(environ: dict[str, str], url: str, proxy: str | None) -> None:
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(
    ("rules", "is_direct"),
    [
        ("sts.corp.test", True),
        ("CORP.test", True),
        (" x , .test", True),
        ("sts.corp.test:443", True),
        ("sts.corp.test:80", False),
        ("*", True),
        ("orp.test", False),
        (",", False),
        ("127.0.0.1", False),
    ],
)
def test_no_proxy_rules(name: str, rules: str, is_direct: bool) -> None:
    assert (proxy_for("https://sts.corp.test/", EVERYWHERE | {name: rules}) is None) is is_direct


def test_proxy_with_unsupported_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match="a socks5h:// one") as refused:
        proxy_for("https://sts.test", {"ALL_PROXY": "socks5h://me:hunter2@127.0.0.1:9050"})
    assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"
    assert proxy_for("http://localhost", {"ALL_PROXY": "socks5h://127.0.0.1:9050"}) is None


@pytest.mark.parametrize(
    "proxy", ["hunter2@", "http://", "http://[", "http://me:hunter2@h:x", "//h", "h ost", " ", ":"]
)
def test_proxy_with_invalid_url_is_refused(proxy: str) -> None:
    """requests fails at some with a TypeError, and botocore says that the server broke the connection."""
    with pytest.raises(ConfigError, match="is not a valid URL") as refused:
        proxy_for("https://sts.test", {"https_proxy": proxy})
    assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    "proxy", ["proxy", "proxy:3128", "me:secret@proxy:3128", "http://[::1]:3128", "https://p/", "HTTP://p"]
)
def test_proxy_url_is_returned_unchanged(proxy: str) -> None:
    assert proxy_for("https://sts.test", {"https_proxy": proxy}) == proxy
