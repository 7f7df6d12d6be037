"""From which address a request comes, when proxies stand in between."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from environs import ValidationError

Address = IPv4Address | IPv6Address

NO_ADDRESS: Final = "unix socket"
WITH_PORT: Final = re.compile(r"\[(?P<six>[^\]]*)\](:\d+)?|(?P<four>[^:]*):\d+")
CUSTOMER_PREFIX: Final = 64
"""So many bits of an IPv6 address are given out; the others are its owner's to vary with each request."""


def client_address(request: HttpRequest) -> str:
    """Return what stands for the sender in a limit: an IPv4 address, or the network that an IPv6 one is of.

    Each proxy writes down at the end of `X-Forwarded-For` who sent to it. So the list is read from there, as long as
    whoever wrote it is among TRUSTED_PROXIES: what stands before that, the sender may have made up. Something that is
    no address ends the way at the proxy that let it pass. Who comes by a Unix socket has no address; they are one.
    """
    sender = _parsed(request.META.get("REMOTE_ADDR", ""))
    if sender is None:
        return NO_ADDRESS
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while told and _is_trusted(sender):
        before = _parsed(told.pop())
        if before is None:
            break
        sender = before
    return _limited(sender)


def check_network(text: str) -> None:
    """Raise environs' ValidationError unless this is an address or a network; say which form is meant."""
    try:
        ip_network(text)
    except ValueError as error:
        raise ValidationError(f"{error}; write an address or a network, like 10.0.0.0/8 or fd00::/8.") from error


def _parsed(text: str) -> Address | None:
    """Return the address, without the port that some proxies add; an IPv4 address that is dressed as IPv6 undressed."""
    text = text.strip()
    if with_port := WITH_PORT.fullmatch(text):
        text = with_port["six"] or with_port["four"] or ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_trusted(sender: Address) -> bool:
    return any(sender in ip_network(proxy) for proxy in settings.TRUSTED_PROXIES)


def _limited(sender: Address) -> str:
    return str(sender) if isinstance(sender, IPv4Address) else str(IPv6Network((int(sender), CUSTOMER_PREFIX), False))
