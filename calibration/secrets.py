"""Secrets: what must not be shown, found by the name it stands under and by its shape.

Answers of live systems hold other people's passwords: connection strings, JAAS lines, tokens in a label,
keys among JVM options. Everything that is recorded, logged or told of an error passes through here first.
A value is hidden when its name says so (`…password`, `…secret.key`), when it looks like one (an AWS key,
a JWT, userinfo of an address), or when it is a credential that this process itself uses (`remember`).
Numbers stay numbers, so that counters called `…token…` can still be read. A secret of no known name
and no known shape is not recognised.
"""

from __future__ import annotations

import base64
import itertools
import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

HIDDEN = "(hidden)"
SHORT = 100  # characters: what is at most this long is worth remembering
SHORTEST = 4  # a remembered literal shorter than this would hide half of every text

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SURE = {
    *("password", "passwd", "passphrase", "pwd", "pass", "secret", "secrets", "secretkey", "accesskey", "credential"),
    *("credentials", "jaas", "authorization", "apikey", "privatekey", "signature", "cookie", "sessionid", "passcode"),
}
_TOKENS = {"token", "sessiontoken", "authtoken", "sastoken"}
_PAIRS = {
    *(("api", "key"), ("access", "key"), ("secret", "key"), ("private", "key"), ("account", "key"), ("shared", "key")),
    *(("user", "info"), ("encryption", "key"), ("signing", "key"), ("key", "password"), ("connection", "string")),
}
_NAMES = (
    r"[\w.\-]{0,120}?(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|jaas[._-]config|authorization|cookie|"
    r"api[._-]?key|access[._-]?key|private[._-]?key|account[._-]?key|x-amz-signature|x-amz-credential|"
    r"(?<![a-z])sig(?:nature)?)[\w.\-]{0,60}"
)
# what looks like a secret wherever it stands; group `keep` stays
_SHAPES = re.compile(
    "|".join((
        r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))",
        r"(?P<scheme>\b[a-z][a-z0-9+._\-]{0,20}://)(?:[^\s/?#\"']{0,300}@|[^\s/?#\"':]{1,100}:[^\s\"'?#]{0,300}@)",
        r"(?P<bearer>\b(?:bearer|basic|apikey|aws4-hmac-sha256)\s+)(?:[A-Za-z0-9+/=._~\-]{6,})",
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
        r"\beyJ[\w\-]{6,}\.[\w\-]{6,}(?:\.[\w\-]*)?",
        r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,}|xox[abposr]-[\w\-]{10,}|"
        r"sk_(?:live|test)_\w{10,}|AIza[\w\-]{30,}|dapi[0-9a-f]{32}|hvs\.[\w\-]{20,})",
        rf"(?P<name>(?<![\w.\-]){_NAMES}(?:\\*[\"'])?\s*[=:]\s*)(?:(?:bearer|basic|apikey)\s+[^\s\"']+|\\*\"[^\"]*?\\*\"|'[^']*'|[^\s,;&\"'{{}}\[\]]+)",
        rf"(?P<xml><name>\s*{_NAMES}\s*</name>\s*<value>)[^<]+",
        rf"(?P<element><(?:{_NAMES})>)[^<\s][^<]*",
        rf"(?P<property>(?<!\S)(?=[\w\-]{{1,60}}\.){_NAMES}[ \t]+)"  # dotted, and a value that is no word and no number
        r"(?![\d.]+\b)(?=\S*[\d/+=_~!@$%^*])[^\s,;&\"'{}\[\]()]{6,}",
        r"(?P<login>\blogin\s+\S{1,100}\s+password\s+)\S+",
        r"(?P<user>(?<!\S)(?:-u|--user)[ =]\s*[^\s:]{1,100}:)[^\s\"']+",
        r"(?P<query>[?&](?:key|auth)=)[^\s&\"'#]{6,}",
        rf"(?P<flag>(?<!\S)--?{_NAMES}\s+)(?:\"[^\"]*\"|'[^']*'|[^\s\"'\-][^\s\"']*)",
    )),
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_KEPT = ("bearer", "name", "xml", "element", "property", "login", "user", "query", "flag")
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_known: set[str] = set()
_lock = threading.Lock()
MOST_CACHED = 100_000  # names, labels and short words come again with every sample


def remember(secret: str | None) -> None:
    """Never show this literal again, nor its base64 or percent-encoded form."""
    if secret and len(secret) >= SHORTEST:
        coded = base64.b64encode(secret.encode()).decode()
        with _lock:
            _known.update({secret, quote(secret, safe=""), quote_plus(secret), coded, coded.rstrip("=")})
        _short.cache_clear()
        _series.cache_clear()


def remembered() -> list[str]:
    """The literals to hide, longest first, so that none is left in half."""
    with _lock:
        return sorted(_known, key=len, reverse=True)


@lru_cache(MOST_CACHED)
def sensitive(name: str) -> bool:
    """Whether a value under this name is to be hidden.

    >>> sensitive("spark.hadoop.fs.s3a.secret.key"), sensitive("sslKeystorePassword"), sensitive("sasl.jaas.config")
    (True, True, True)
    >>> sensitive("bypass"), sensitive("key"), sensitive("tokenizer")
    (False, False, False)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if any(word in _SURE or word in _TOKENS for word in words):
        return True
    return any(pair in _PAIRS for pair in itertools.pairwise(words))


def redact(value: Any, name: str = "") -> Any:
    """JSON-like data with every secret hidden; numbers, booleans and structure stay as they are.

    >>> redact({"a": 1, "db": {"password": "hunter2", "url": "http://me:pw@host/x"}})
    {'a': 1, 'db': {'password': '(hidden)', 'url': 'http://(hidden)@host/x'}}
    >>> redact([["spark.ssl.keyPassword", "x1"], {"name": "api.key", "value": "x2"}])
    [['spark.ssl.keyPassword', '(hidden)'], {'name': 'api.key', 'value': '(hidden)'}]
    """
    if isinstance(value, str):
        if value and name and sensitive(name):
            return HIDDEN
        return _short(value) if len(value) <= SHORT else redact_text(value)
    if isinstance(value, Mapping):
        return {_short(str(key)): redact(inner, _name(value, key, name)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        if len(value) == 2 and all(isinstance(one, str) for one in value) and sensitive(value[0]):
            return [value[0], HIDDEN]
        return [redact(inner, name) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and name and _is_password(name):
        return HIDDEN
    return value


@lru_cache(MOST_CACHED)
def _short(text: str) -> str:
    """`redact_text` of a name or a word, remembered."""
    return redact_text(text)


def _name(holder: Mapping[Any, Any], key: Any, above: str) -> str:
    """The name that a value stands under: its key, or its sibling `name` where the key is just `value`."""
    text = str(key)
    if text.lower() in ("value", "parametervalue"):
        for sibling in ("name", "key", "Name", "Key", "ParameterKey"):
            if isinstance(holder.get(sibling), str):
                return str(holder[sibling])
    return text if not (above and sensitive(above)) else above


def _is_password(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and words[-1] in ("password", "passwd", "passphrase", "pwd", "passcode")


def redact_text(text: str) -> str:
    """A text with every secret hidden.

    >>> redact_text("GET https://bob:pw@host/ failed: Authorization: Bearer abcdef123456")
    'GET https://(hidden)@host/ failed: Authorization: (hidden)'
    >>> redact_text('java -Djavax.net.ssl.keyStorePassword=changeit -Xmx1g')
    'java -Djavax.net.ssl.keyStorePassword=(hidden) -Xmx1g'
    """
    if len(text) < SHORTEST:
        return text
    for secret in remembered():
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return _AWS_SECRET.sub(_if_mixed, _SHAPES.sub(_hide, text))


def _hide(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if groups["scheme"]:
        return f"{groups['scheme']}{HIDDEN}@"
    if groups["name"] and match[0][len(groups["name"]) :].strip("\\\"'") == HIDDEN:
        return match[0]
    return next((groups[kept] for kept in _KEPT if groups[kept]), "") + HIDDEN


def _if_mixed(match: re.Match[str]) -> str:
    """Forty characters of base64 are an AWS secret key where cases and digits mix; a SHA-1 in hex is none."""
    text = match[0]
    mixed = any(c.isupper() for c in text) and any(c.islower() for c in text) and any(c.isdigit() for c in text)
    return HIDDEN if mixed else text


def redact_exposition(text: str) -> str:
    """A Prometheus text with the labels hidden whose name or value says so; samples stay as they are.

    >>> redact_exposition('up{job="a",password="pw1"} 1')
    'up{job="a",password="(hidden)"} 1'
    """
    return "\n".join(_line(line) if not line.startswith("#") else redact_text(line) for line in text.split("\n"))


def _line(line: str) -> str:
    name, brace, value = line.rpartition("}")
    return _series(name) + brace + value


@lru_cache(MOST_CACHED)
def _series(text: str) -> str:
    """A series' name and labels, which come again with every scrape."""
    return _LABEL.sub(lambda m: f'{m[1]}="{HIDDEN if sensitive(m[1]) and m[2] else redact_text(m[2])}"', text)


def without_userinfo(url: str) -> str:
    """An address as it may be shown: no userinfo, no query, no fragment.

    >>> without_userinfo("https://bob:pw@host:9200/x?token=1")
    'https://host:9200/x'
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(unreadable address)"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
