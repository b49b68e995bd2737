"""Texts to values and back: sizes, lists, addresses, URLs. Each raises ValueError in words for the operator."""

from __future__ import annotations

import base64
import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from urllib.parse import unquote, urlsplit, urlunsplit

_UNITS = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9,
    "ki": 1 << 10, "kib": 1 << 10, "mi": 1 << 20, "mib": 1 << 20, "gi": 1 << 30, "gib": 1 << 30,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")
_ENTRY = re.compile(r"(?:\\[^\n]|[^,\n])+")
TOPIC_NAME_MOST = 249  # characters, by Kafka's rule
_TOPIC = re.compile(rf"[A-Za-z0-9._-]{{1,{TOPIC_NAME_MOST}}}")
_BOOTSTRAP = re.compile(r"(?:[A-Za-z_]+://)?(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_REG_EXTENDED = 1  # regex.h, the same in glibc, musl and macOS
_REGEX_BYTES = 512  # for a regex_t: they need 64 at most
_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)?")
MASK = "***"
# Here, because the probes' commands need them and must not import the settings, which take longer than the answer.
OPS_ADDRESS = "0.0.0.0:9400"
ADMIN_ADDRESS = "127.0.0.1:9401"
HTTP_SCHEMES = ("http", "https")
LOCAL_SCHEMES = ("stdout", "blackhole")


def parse_size(text: str) -> int:
    """``"96MiB"``, ``"96Mi"`` (binary), ``"100MB"``, ``"100M"`` (decimal) or plain bytes → bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError("is not a size: write it like 96MiB, or as a plain number of bytes")
    return (
        int(float(match[1]) * _UNITS[match[2].lower()]) if "." in match[1] else int(match[1]) * _UNITS[match[2].lower()]
    )


def format_size(size: int) -> str:
    """The shortest exact way to write ``size`` bytes: ``"96MiB"``, ``"1000"``."""
    for name in ("GiB", "MiB", "KiB"):
        unit = _UNITS[name.lower()]
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def split_list(text: str) -> tuple[str, ...]:
    r"""Entries between commas or line ends, without blanks around them; ``\,`` is a comma inside an entry."""
    entries = (match[0].strip().replace("\\,", ",") for match in _ENTRY.finditer(text))
    return tuple(entry for entry in entries if entry)


def split_rule_list(text: str) -> tuple[str, ...]:
    """Rule texts between commas or line ends, their escapes as they stand."""
    from tidegate.core.rule_text import split_rules

    return tuple(split_rules(text.replace("\r\n", "\n").replace("\n", ",")))


def check_topic(entry: str) -> str:
    """A topic's name, or ``^`` and a regular expression as librdkafka takes it."""
    if entry.startswith("^") and (why := _fault_of_expression(entry)) is not None:
        raise ValueError(f"holds a regular expression that is not right: {entry!r} ({why})")
    if not entry.startswith("^") and not _is_topic(entry):
        raise ValueError(
            f"names a topic that Kafka does not allow: {entry!r} (letters, digits, '.', '_' and '-', at most 249;"
            " a regular expression begins with ^)"
        )
    return entry


def check_topic_name(name: str) -> str:
    """A topic's name, as Kafka allows it."""
    if not _is_topic(name):
        raise ValueError("is not a topic's name: letters, digits, '.', '_' and '-', at most 249")
    return name


def _is_topic(name: str) -> bool:
    return _TOPIC.fullmatch(name) is not None and name not in (".", "..")


def parking_topic_of(group_id: str) -> str:
    """Where a group parks unless it is told otherwise. Longer than a topic's name may be if the group's name is."""
    return f"tidegate.{re.sub(r'[^A-Za-z0-9._-]', '_', group_id)}.parked"


def matches_topic(entry: str, topic: str) -> bool:
    """Whether a subscription's entry, a name or a right expression, takes a topic in, as librdkafka decides it."""
    if not entry.startswith("^"):
        return entry == topic
    with _compiled(entry) as (code, regex):
        return code == 0 and _libc().regexec(regex, topic.encode(), ctypes.c_size_t(0), None, 0) == 0


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _fault_of_expression(text: str) -> str | None:
    """What the C library says against a POSIX extended regular expression."""
    with _compiled(text) as (code, regex):
        if code == 0:
            return None
        libc = _libc()
        libc.regerror.restype = ctypes.c_size_t
        words = ctypes.create_string_buffer(200)
        libc.regerror(code, regex, words, ctypes.c_size_t(len(words)))
        return words.value.decode(errors="replace")


@contextmanager
def _compiled(text: str) -> Iterator[tuple[int, ctypes.Array[ctypes.c_char]]]:
    """(0 or what is wrong, the C library's regex_t): librdkafka uses these."""
    libc = _libc()
    regex = ctypes.create_string_buffer(_REGEX_BYTES)
    code: int = libc.regcomp(regex, text.encode(), _REG_EXTENDED)
    try:
        yield code, regex
    finally:
        if code == 0:
            libc.regfree(regex)


def check_bootstrap(text: str) -> str:
    """``host:port`` entries between commas, at least one."""
    if not split_list(text):
        raise ValueError("lists nothing")
    for entry in split_list(text):
        match = _BOOTSTRAP.fullmatch(entry)
        if match is None or (match[2] and not 0 < int(match[2]) < 65536):
            raise ValueError(f"has an entry that is not host:port: {entry!r}")
    return ",".join(split_list(text))


def parse_listener(text: str) -> tuple[str, int] | None:
    """``"0.0.0.0:9400"`` or ``"[::]:9400"`` → (host, port); ``"none"`` → None. Port 0: any free one."""
    if text == "none":
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("is not an address: write host:port, such as 0.0.0.0:9400, or none to switch it off")
    if re.fullmatch(r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w+)?\]", host):
        return host[1:-1], int(port)
    if re.search(r"[:\[\]]", host):
        raise ValueError("is not an address: write host:port, an IPv6 host in brackets, such as [::1]:9400")
    return host, int(port)


def check_loopback(text: str) -> str:
    """A listener's address, or ``none``, that nobody outside this machine (or pod) can reach."""
    import ipaddress

    listener = parse_listener(text)
    try:
        local = listener is None or listener[0] == "localhost" or ipaddress.ip_address(listener[0]).is_loopback
    except ValueError:
        local = False  # a name resolves to whatever it likes
    if not local:
        raise ValueError("is not a loopback address: write 127.0.0.1:port, [::1]:port or localhost:port, or none")
    return text


def parse_seconds(text: str) -> float:
    """``"20"``, ``"20s"``, ``"500ms"`` or ``"2m"`` → seconds."""
    match = _SECONDS.fullmatch(text.strip())
    if match is None:
        raise ValueError("is not a time: write it like 20s, or as a plain number of seconds")
    return float(match[1]) * {"ms": 0.001, "m": 60.0}.get(match[2], 1.0)


def check_sink_url(text: str) -> str:
    """``http(s)://host…``, ``stdout:`` or ``blackhole:``. Never repeats the URL: it may hold a password."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme in LOCAL_SCHEMES:
        if text != f"{url.scheme}:":
            raise ValueError(f"takes nothing behind {url.scheme}:")
        return text
    if url.scheme not in HTTP_SCHEMES:
        raise ValueError("has an unknown kind of target: it is one of http://…, https://…, stdout:, blackhole:")
    if not url.hostname or url.port == 0:
        raise ValueError("names no host" if not url.hostname else "names port 0, which nobody listens on")
    try:
        url.hostname.encode("idna")  # as the resolver will: a label may be too long, or missing
    except UnicodeError:
        raise ValueError("names a host that cannot be one") from None
    if "@" in url.netloc:
        raise ValueError("holds user:password@, and TIDEGATE_SINK_AUTHORIZATION is set as well: keep one")
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("holds a blank or control character")
    return text


def split_credentials(url: str) -> tuple[str, str | None]:
    """Take ``user:password@`` out of a URL: (URL without it, value of the Authorization header or None)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, None  # check_sink_url says it in words
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    token = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


def masked_url(url: str) -> str:
    """The URL without what may be a secret in it: user, password and query. Most often all of it."""
    parts = urlsplit(url)
    masked = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urlunsplit(masked._replace(query=MASK) if parts.query else masked)


def secrets_of_header(text: str) -> list[str]:
    """The value of an Authorization header and what it carries: the token, or the password inside Basic."""
    kind, _, token = text.partition(" ")
    found = [text, token] if token else [text]
    if kind.lower() == "basic":
        with suppress(ValueError):  # not what Basic should be: the target will say so
            found.append(base64.b64decode(token, validate=True).decode().partition(":")[2])
    return [secret for secret in found if secret]


def check_header_value(text: str) -> str:
    """One HTTP header value: printable ASCII, no line ends. Never repeats the text: it is a secret."""
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?", text):
        raise ValueError("is not a header value: printable ASCII on one line, without blanks at its ends")
    return text
