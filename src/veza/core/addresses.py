"""Addresses that are nobody's server on the internet: ours, the neighbours', or what stands for them.

Sources: IANA's registries of special-purpose addresses for IPv4 and IPv6 (begun by RFC 6890).
``ipaddress.is_global`` does not know transition mechanisms, through which one address is another.
"""

import socket
from contextlib import closing
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_SPECIAL_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host, on this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # what Azure's machines are told of themselves by
        "169.254.0.0/16",  # link-local, and the metadata of nearly every cloud
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Only here are addresses given to anybody: so all else is special, of whatever sort, fec0::/10 included.
_GIVEN_6 = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, AMT, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address of any kind
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# Translated to the IPv4 address in its last 32 bits: so networks without IPv4 reach the others (RFC 6052).
# Its sibling for local use, 64:ff9b:1::/48, stands for whatever somebody has chosen.
_TRANSLATED = IPv6Network("64:ff9b::/96")
# Never a server's, on any network.
_NOBODYS = tuple(IPv4Network(text) for text in ("0.0.0.0/32", "224.0.0.0/4", "255.255.255.255/32"))
_NOBODYS_6 = tuple(IPv6Network(text) for text in ("::/128", "ff00::/8"))


def canonical(text: str) -> str:
    """An address as it is always written; an IPv4 address within IPv6 is that IPv4 address.

    Raises ValueError. Source: RFC 5952, RFC 4291.
    """
    address = ip_address(text)
    return str((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)


def is_public(address: Address) -> bool:
    """Whether packets for this address go to somebody on the internet, and to nobody nearer."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    if address in _TRANSLATED:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _GIVEN_6 and not any(address in network for network in _SPECIAL_6)


def is_anybodys(address: Address) -> bool:
    """Whether a server can have this address at all, on whatever network."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else address
    if mapped is not None:
        return not any(mapped in network for network in _NOBODYS)
    return not any(address in network for network in _NOBODYS_6)


def is_of_this_machine(address: Address) -> bool:
    """Whether this machine itself has this address.

    The kernel is asked from where it would send something there: only to itself, from the same address.
    Nothing is sent.
    """
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as asking:
            asking.connect((str(address), 9))
            return bool(asking.getsockname()[0] == str(address))
    except OSError:  # no way there
        return False
