"""What every child process needs, imported once in the process that they are forked from, kernels compiled and warm."""

import numpy as np  # noqa: F401

import planner.forecast  # noqa: F401
from planner.engine import warm_up

warm_up()
