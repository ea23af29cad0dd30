"""Shared by all tests: where the fact sheets are, and how Hypothesis searches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
settings.register_profile("house", deadline=None, max_examples=40, derandomize=True)  # the same cases on every machine
settings.load_profile("house")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def facts() -> Path:
    """The folder of fact sheets: FLOODMARK_FACTS, or ../shared/facts beside the checkout; else the test is skipped."""
    folder = Path(os.environ.get("FLOODMARK_FACTS", ROOT.parent / "shared" / "facts"))
    if not folder.is_dir():
        pytest.skip(f"no fact sheets at {folder}; FLOODMARK_FACTS may name them")
    return folder
