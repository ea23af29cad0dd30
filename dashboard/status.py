"""How sure the numbers on the page are, how far the work is that makes them surer, and the button that ends it."""

from __future__ import annotations

import time
from functools import partial

import streamlit as st

from dashboard import blocks, state
from dashboard.work import draw

POLL_SECONDS = 0.4


def status(slots: tuple[str, ...]) -> None:
    """Polls while work is under way or about to start, and not a moment longer."""
    waiting = any(state.whole(state.variants()[slot].scenario) is None for slot in slots)
    busy = waiting and (follows() or any(state.variants()[slot].job is not None for slot in slots))
    st.fragment(_status, run_every=POLL_SECONDS if busy else None)(slots, busy)


def follows() -> bool:
    """Whether the whole forecast is made by itself once the controls rest."""
    return bool(st.session_state.setdefault("follows", True))


def _status(slots: tuple[str, ...], busy: bool) -> None:
    finished = [slot for slot in slots if slot in state.variants() and state.take(slot)]
    if finished:
        st.rerun()
    _begin_settled(slots)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="status"):
        for slot in slots:
            if slot in state.variants():
                _line(slot, f"{slot}: " if len(slots) > 1 else "")
        st.toggle("by itself", key="follows", help="make the whole forecast by itself once the controls rest")


def _begin_settled(slots: tuple[str, ...]) -> None:
    """Start the whole forecast of what has not been moved for a moment."""
    if not follows():
        return
    for slot in slots:
        variant = state.variants().get(slot)
        if variant is None or variant.wrong or variant.job is not None:
            continue
        if state.whole(variant.scenario) is None and time.monotonic() - variant.changed > state.SETTLED_SECONDS:
            state.ask_whole(slot)


def _line(slot: str, head: str) -> None:
    variant = state.variants()[slot]
    if state.whole(variant.scenario) is not None:
        st.html(blocks.note(f"{head}whole forecast: both intervals, simulated"))
        return
    job = variant.job
    if job is None or job.state == "cancelled":
        st.html(blocks.note(f"{head}quick answer of one run, no intervals"))
        st.button("Whole forecast", key=f"ask-{slot}", on_click=_ask, args=(slot,))
    elif job.state in ("refused", "failed"):
        st.html(blocks.errors(f"{head}the whole forecast was not made", job.error.splitlines()[-3:]))
        st.button("Try again", key=f"again-{slot}", on_click=_ask, args=(slot,))
    else:
        draw(job, f"{head}whole forecast", slot, partial(_cancel, slot))


def _ask(slot: str) -> None:
    state.stop(slot)
    state.ask_whole(slot)


def _cancel(slot: str) -> None:
    variant = state.variants().get(slot)
    if variant is not None and variant.job is not None:
        state.workers().cancel(variant.job)
