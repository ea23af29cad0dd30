"""Whether an executed notebook still says what the committed one says: its words, and its numbers as they are shown.

Numbers may differ by one in the last place shown (another machine rounds another way) and by a millionth in charts;
digests of code and tables are passed over, because they change with every change that moves no number. Layout is not
compared: a number that is a digit longer moves its whole column.
"""

import re
from typing import Any

NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
DIGEST = re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{10,}\b")
CLOSE = 1e-6  # of a chart's number, and of the greatest of its trace
CHART = "application/vnd.plotly.v1+json"


def differences(committed: Any, fresh: Any) -> list[str]:
    """What differs, a line each, in the order of cells: `cell 4: '12.3 s' became '14.1 s'`."""
    pairs = zip(_code(committed), _code(fresh), strict=True)
    return [f"cell {n}: {told}" for n, (one, other) in enumerate(pairs, start=1) if (told := _cell(one, other))]


def _code(book: Any) -> list[Any]:
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def _cell(one: Any, other: Any) -> str:
    """The first difference of two cells' outputs, '' for none."""
    if told := apart(_text(one), _text(other)):
        return told
    charts = [[out["data"][CHART] for out in cell["outputs"] if CHART in out.get("data", {})] for cell in (one, other)]
    if len(charts[0]) != len(charts[1]):
        return f"{len(charts[0])} charts became {len(charts[1])}"
    return next((told for a, b in zip(*charts, strict=True) if (told := _chart(a, b))), "")


def _text(cell: Any) -> str:
    """What a reader sees as text: streams and results, joined."""
    found = []
    for out in cell["outputs"]:
        text = out.get("text", "") if out["output_type"] == "stream" else out.get("data", {}).get("text/plain", "")
        found.append("".join(text) if isinstance(text, list) else text)
    return "".join(found)


def apart(one: str, other: str) -> str:
    """Where two texts part, '' where they say the same.

    >>> apart("p99  12.3 s", "p99 12.4 s"), apart("p99 12.3 s", "p99 12.5 s")
    ('', "'12.3' became '12.5' in 'p99 12.3 s'")
    """
    words, others = (DIGEST.sub("(digest)", re.sub(r"[─-╿]", " ", text)) for text in (one, other))
    plain, changed = (re.sub(r"\W+", " ", NUMBER.sub(" 0 ", text)).split() for text in (words, others))
    if plain != changed:
        k = next(
            (k for k, (a, b) in enumerate(zip(plain, changed, strict=False)) if a != b), min(map(len, (plain, changed)))
        )
        return f"words: '{' '.join(plain[max(0, k - 3) : k + 4])}' became '{' '.join(changed[max(0, k - 3) : k + 4])}'"
    for a, b in zip(NUMBER.finditer(words), NUMBER.finditer(others), strict=True):
        if not _near(a.group(), b.group()):
            line = words[words.rfind("\n", 0, a.start()) + 1 :].split("\n")[0]
            return f"'{a.group()}' became '{b.group()}' in '{' '.join(line.split())[:100]}'"
    return ""


def _near(one: str, other: str) -> bool:
    """Whether two numbers differ by no more than one in the last place that either shows."""
    (x, a), (y, b) = _read(one), _read(other)
    return abs(x - y) <= 1.0001 * max(a, b)


def _read(text: str) -> tuple[float, float]:
    """A number and what one in its last place is worth; of a whole number without a point nothing may differ.

    >>> _read("1,234.5"), _read("17"), _read("2.5e-06")
    ((1234.5, 0.1), (17.0, 0.0), (2.5e-06, 1e-07))
    """
    plain = text.replace(",", "").replace("−", "-")
    digits, _, power = plain.lower().partition("e")
    places = len(digits.partition(".")[2])
    if "," in text and not places:  # thousands shown without cents: rounded
        return float(plain), 1.0
    return float(plain), 10.0 ** (int(power or 0) - places) if places or power else 0.0


def _chart(one: Any, other: Any) -> str:
    """The first difference of two figures' traces."""
    if len(one["data"]) != len(other["data"]):
        return f"{len(one['data'])} traces became {len(other['data'])}"
    for k, (a, b) in enumerate(zip(one["data"], other["data"], strict=True)):
        if told := _part(a, b):
            return f"chart, trace {k} ({a.get('name') or a['type']}): {told}"
    return ""


def _part(one: Any, other: Any) -> str:
    """The first difference of two parts of a trace; numbers of one list are judged by the greatest of them."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{', '.join(sorted(one.keys() ^ other.keys()))} on one side only"
        return next((f"{key}: {told}" for key in one if (told := _part(one[key], other[key]))), "")
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"{len(one)} values became {len(other)}"
        scale = max((abs(x) for x in one if _number(x)), default=0.0)
        for x, y in zip(one, other, strict=True):
            told = _moved(x, y, scale) if _number(x) and _number(y) else _part(x, y)
            if told:
                return told
        return ""
    if _number(one) and _number(other):
        return _moved(one, other, abs(one))
    if isinstance(one, str) and isinstance(other, str):
        return apart(one, other)
    return "" if one == other else f"{one} became {other}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moved(one: float, other: float, scale: float) -> str:
    return f"{one:.6g} became {other:.6g}" if abs(one - other) > CLOSE * scale else ""
