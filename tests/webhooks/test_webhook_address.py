"""Where webhooks may be sent: odd spellings, inner networks, allow lists. No network is touched."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.address import AddressPolicy, AddressRefused, check_addresses, check_url, parse_url, refusal

PUBLIC = AddressPolicy()

ODD_SPELLINGS = [
    "https://0x7f000001/",
    "https://127.1/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://1.2.3/",
    "https://0x7f.0.0.1/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://[::ffff:127.0.0.1/",
    "https://[fe80::1%25eth0]/",
    "https://[v1.x]/",
    "https://user:secret@example.com/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com#part",
    "https://exa\\mple.com/",
    "https://example.com\\@127.0.0.1/",
    "https://例え.jp/",
    "https://example..com/",
    "https://-a.com/",
    "https:///path",
    "ftp://example.com/",
    "javascript:alert(1)",
    "example.com",
    "https://example.com/%zz\x7f",
    "https://.com/",
    "https://example.com./",
    "https://[127.0.0.1]/",
    "",
    " https://example.com/",
    "https://exam ple.com/",
    "https://example.com/\r\nX: y",
    "https://" + "a" * 300,
]


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_inner_and_special_addresses_are_refused(text: str) -> None:
    assert refusal(ip_address(text), PUBLIC)


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_allowed(text: str) -> None:
    assert refusal(ip_address(text), PUBLIC) is None


@given(st.ip_addresses(v=4))
def test_nothing_that_python_calls_inner_is_allowed(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert refusal(address, PUBLIC)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_allowed_in_ipv6(address: IPv6Address) -> None:
    if int(address) >> 125 != 1:
        assert refusal(address, PUBLIC)


def test_an_allow_list_admits_inner_networks_but_never_metadata() -> None:
    everything = AddressPolicy.parse(["0.0.0.0/0", "::/0"], allow_http=True)
    for text in ("10.0.0.1", "127.0.0.1", "::1", "192.168.0.1", "fd12::1"):
        assert refusal(ip_address(text), everything) is None
    for text in ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"):
        assert refusal(ip_address(text), everything)


def test_one_inner_answer_spoils_a_name() -> None:
    check_addresses([ip_address("8.8.8.8")], PUBLIC)
    with pytest.raises(AddressRefused) as refused:
        check_addresses([ip_address("8.8.8.8"), ip_address("10.0.0.1")], PUBLIC)
    assert refused.value.code == "forbidden_network"
    assert "10.0.0.1" not in refused.value.detail


@pytest.mark.parametrize(
    "url",
    ODD_SPELLINGS,
)
def test_odd_spellings_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        parse_url(url)
    assert refused.value.code == "bad_url"


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://[::1]:8443/", "https://10.0.0.1"]
)
def test_literal_inner_addresses_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        check_url(url, PUBLIC)
    assert refused.value.code == "forbidden_network"


def test_plain_http_needs_the_operators_leave() -> None:
    with pytest.raises(AddressRefused) as refused:
        check_url("http://example.com/", PUBLIC)
    assert refused.value.code == "https_required"
    assert check_url("http://example.com/", AddressPolicy(allow_http=True)).port == 80


def test_a_plain_url_is_taken_apart() -> None:
    target = check_url("https://Hooks.Example.com:8443/a/b%20c?x=1&y=/", PUBLIC)
    assert (target.scheme, target.host, target.port, target.literal) == ("https", "hooks.example.com", 8443, None)
    assert parse_url("https://[2606:4700::1111]").literal == IPv6Address("2606:4700::1111")


@given(st.text(max_size=100) | st.from_regex(r"https?://[0-9a-fx.\[\]:@/%]{1,40}", fullmatch=True))
def test_any_text_is_taken_or_refused(url: str) -> None:
    try:
        parse_url(url)
    except AddressRefused as refused:
        assert refused.code == "bad_url"


def test_an_allow_list_that_is_not_of_networks_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        AddressPolicy.parse(["10.0.0.0/99"], allow_http=False)
