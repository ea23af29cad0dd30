"""A noun: one part of a stack as a frozen, validated record.

An unknown key is refused with the nearest right one; a foreign setting's own name
(`maxOffsetsPerTrigger`) is answered with ours; a setting that exists in the field but that no law
here reads is refused as not modelled, never accepted in silence.
"""

from __future__ import annotations

import difflib
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Noun(BaseModel):
    """Base of all nouns: frozen, no unknown keys, defaults validated."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
    not_modelled: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        names = {f.alias or n for n, f in cls.model_fields.items()}
        for key in data:
            if key not in names:
                raise ValueError(cls._why_refused(str(key), sorted(names)))
        return data

    @classmethod
    def _why_refused(cls, key: str, names: list[str]) -> str:
        if key in cls.not_modelled:
            return f"'{key}' is not modelled: {cls.not_modelled[key]}"
        for name, info in cls.model_fields.items():
            if key == foreign_name(info):
                return f"unknown key '{key}'; Floodmark's name for it is '{name}'"
        near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
        return f"unknown key '{key}'; " + (
            f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(names)}"
        )


def foreign_name(info: Any) -> str:
    """The foreign setting's name that a field stands for, '' where there is none."""
    extra = info.json_schema_extra
    return str(extra.get("foreign", "")) if isinstance(extra, dict) else ""
