"""`python -m planner` is the command `floodmark`."""

from planner.cli import main

main()
