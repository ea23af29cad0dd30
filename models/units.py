"""Units: how a quantity is written, and the one unit it is kept in.

Inside Floodmark a quantity is a float in seconds, bytes, records or USD. A scenario may write
`8 GiB`, `200 ms`, `50k/s`, `4 %`; this file turns the text where it enters. Byte suffixes follow
the JVM's habit for a bare letter (`8g` is 8 GiB, as spark.executor.memory and -Xmx read it) and SI
for `GB`. Foreign settings that read `50gb` as binary (Elasticsearch) are turned by the file that
knows them.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo

KIB, MIB, GIB, TIB = 1024.0, 1024.0**2, 1024.0**3, 1024.0**4
KB, MB, GB, TB = 1e3, 1e6, 1e9, 1e12
MILLISECOND = 1e-3
MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86400.0, 604800.0
MONTH = 730 * HOUR  # AWS's average month; a dated month has its own hours

_NUMBER = re.compile(r"^\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")
_BYTES = {"": 1.0, "b": 1.0, "byte": 1.0, "bytes": 1.0, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_BYTES |= {f"{p}ib": s for p, s in zip("kmgt", (KIB, MIB, GIB, TIB), strict=True)}
_BYTES |= {f"{p}b": s for p, s in zip("kmgt", (KB, MB, GB, TB), strict=True)}
_TIMES = {"": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "us": 1e-6, "µs": 1e-6, "ms": MILLISECOND}
_TIMES |= {"m": MINUTE, "min": MINUTE, "minute": MINUTE, "minutes": MINUTE, "h": HOUR, "hour": HOUR, "hours": HOUR}
_TIMES |= {"d": DAY, "day": DAY, "days": DAY, "w": WEEK, "week": WEEK, "weeks": WEEK}
_TIMES |= {"month": MONTH, "months": MONTH, "year": 12 * MONTH, "years": 12 * MONTH}
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "million": 1e6, "billion": 1e9}
_PER = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": MINUTE, "min": MINUTE, "minute": MINUTE, "h": HOUR, "hour": HOUR}
_PER |= {"d": DAY, "day": DAY, "month": MONTH}


def _split(text: str) -> tuple[float, str]:
    match = _NUMBER.match(text)
    if match is None:
        raise ValueError("expected a number with a unit")
    return float(match[1].replace("_", "")), match[2].lower()


def _scaled(value: Any, table: dict[str, float], example: str) -> float:
    if isinstance(value, bool) or value is None:
        raise ValueError(f"expected a quantity such as {example}")
    if isinstance(value, int | float):
        number, unit = float(value), ""
    elif isinstance(value, str):
        try:
            number, unit = _split(value)
        except ValueError:
            raise ValueError(f"expected a quantity such as {example}") from None
    else:
        raise ValueError(f"expected a quantity such as {example}")
    if unit not in table:
        known = ", ".join(sorted(u for u in table if u))
        raise ValueError(f"unit '{unit}' is not known here; expected a quantity such as {example} (units: {known})")
    if not math.isfinite(number):
        raise ValueError(f"must be finite; expected a quantity such as {example}")
    return number * table[unit]


def parse_bytes(value: Any) -> float:
    """Bytes in a text or number [bytes].

    >>> parse_bytes("8 GiB") / GIB, parse_bytes("8g") / GIB, parse_bytes("1 MB")
    (8.0, 8.0, 1000000.0)
    """
    return _scaled(value, _BYTES, "'8 GiB' or '800 B'")


def parse_seconds(value: Any) -> float:
    """Seconds in a text or number [s].

    >>> parse_seconds("200 ms"), parse_seconds("7 d") / DAY, parse_seconds(2)
    (0.2, 7.0, 2.0)
    """
    return _scaled(value, _TIMES, "'2 s', '200 ms' or '7 d'")


def parse_per_second(value: Any) -> float:
    """Things a second in a text or number [1/s]; the time unit follows a slash.

    >>> parse_per_second("50k/s"), round(parse_per_second("1 million/day"), 2), parse_per_second(10)
    (50000.0, 11.57, 10.0)
    """
    if not isinstance(value, str):
        return _scaled(value, _COUNTS, "'50k/s'")
    count, slash, per = value.partition("/")
    for word in ("events", "records", "messages", "docs", "searches", "requests"):
        count = count.replace(word, "")
    if slash and per.strip().lower() not in _PER:
        raise ValueError(f"'/{per.strip()}' is not known here; expected a rate such as '50k/s' or '3M/h'")
    return _scaled(count, _COUNTS, "'50k/s' or '3M/h'") / (_PER[per.strip().lower()] if slash else 1.0)


def parse_bytes_per_second(value: Any) -> float:
    """Bytes a second in a text or number [bytes/s].

    >>> parse_bytes_per_second("250 MiB/s") / MIB, round(parse_bytes_per_second("1 TB/day") / MB, 3)
    (250.0, 11.574)
    """
    if not isinstance(value, str):
        return _scaled(value, _BYTES, "'250 MiB/s'")
    amount, slash, per = value.partition("/")
    if slash and per.strip().lower() not in _PER:
        raise ValueError(f"'/{per.strip()}' is not known here; expected a rate such as '250 MiB/s' or '1 TB/day'")
    return _scaled(amount, _BYTES, "'250 MiB/s'") / (_PER[per.strip().lower()] if slash else 1.0)


def parse_fraction(value: Any) -> float:
    """A share of one in a text or number [1].

    >>> parse_fraction("4 %"), parse_fraction(0.25)
    (0.04, 0.25)
    """
    return _scaled(value, {"": 1.0, "%": 0.01}, "'4 %' or 0.04")


def parse_count(value: Any) -> float:
    """A number of things in a text or number [1].

    >>> parse_count("20k"), parse_count(3)
    (20000.0, 3.0)
    """
    return _scaled(value, _COUNTS, "'20k' or 12")


def _parse_whole(value: Any) -> int:
    number = parse_count(value)
    if number != int(number):
        raise ValueError("expected a whole number")
    return int(number)


Bytes = Annotated[float, BeforeValidator(parse_bytes)]
Seconds = Annotated[float, BeforeValidator(parse_seconds)]
PerSecond = Annotated[float, BeforeValidator(parse_per_second)]
BytesPerSecond = Annotated[float, BeforeValidator(parse_bytes_per_second)]
Fraction = Annotated[float, BeforeValidator(parse_fraction)]
Ratio = Annotated[float, BeforeValidator(parse_fraction)]
Count = Annotated[float, BeforeValidator(parse_count)]
Whole = Annotated[int, BeforeValidator(_parse_whole)]


def word(value: Any) -> Any:
    """A number that YAML made of a word such as `java: 17`, as the word that it was.

    >>> word(17), word(2.12), word("17")
    ('17', '2.12', '17')
    """
    return value if isinstance(value, bool) or not isinstance(value, int | float) else f"{value:g}"


def show(value: float, unit: str) -> str:
    """A quantity as a person writes it.

    >>> show(8 * GIB, "bytes"), show(0.25, "s"), show(50_000, "1/s"), show(0.04, "1")
    ('8 GiB', '250 ms', '50k/s', '0.04')
    """
    if unit in ("bytes", "bytes/s"):
        for scale, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
            if abs(value) >= scale:
                return f"{value / scale:.4g} {name}{unit[5:]}"
        return f"{value:.4g} B{unit[5:]}"
    if unit == "s":
        for scale, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1.0, "s")):
            if abs(value) >= 2 * scale or (name == "s" and abs(value) >= scale):
                return f"{value / scale:.3g} {name}"
        return f"{value * 1000:.3g} ms"
    if unit in ("1/s", "count"):
        suffix = "/s" if unit == "1/s" else ""
        for scale, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= scale:
                return f"{value / scale:.4g}{name}{suffix}"
        return f"{value:.4g}{suffix}"
    return f"{value:.4g}"


def field(
    default: Any = ...,
    *,
    unit: str,
    meaning: str,
    foreign: str = "",
    by_version: dict[str, str] | None = None,
    source: str = "",
    advanced: bool = False,
    **bounds: Any,
) -> Any:
    """A noun's field: default, unit, meaning, the foreign setting's name, its default by version, source, bounds.

    The glossary, the JSON Schema, the dashboard's controls and the error messages are all made from this.
    `default` is Floodmark's own; where it follows the foreign system's, `by_version` says so.
    """
    extra: dict[str, Any] = {"unit": unit, "foreign": foreign, "by_version": by_version or {}, "source": source}
    extra["advanced"] = advanced
    info: FieldInfo = Field(default, description=meaning, json_schema_extra=extra, **bounds)
    return info
