"""A question that takes long, asked from the page: its answer if it is there, else how far it is, with a Cancel."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from dashboard import blocks, state
from dashboard.jobs import Job

POLL_SECONDS = 0.4


def asked(what: str, name: str, question: str, *arguments: Any, **options: Any) -> Any | None:
    """The answer kept under `name`, or None while the page shows the work. `what` names the place on the page.

    Work of the same place on an older question is ended.
    """
    found = state.shelf().get(name)
    if found is not None:
        return found
    jobs: dict[str, Job] = st.session_state.setdefault("jobs", {})
    if what in jobs and jobs[what].about != name:
        state.workers().cancel(jobs.pop(what))
    if what not in jobs:
        jobs[what] = state.workers().start(question, *arguments, about=name, **options)
    st.fragment(_show, run_every=None if jobs[what].ended else POLL_SECONDS)(what)
    return None


def _show(what: str) -> None:
    job = st.session_state["jobs"].get(what)
    if job is None:  # asked again: the page starts it anew
        st.rerun()
    was = job.ended
    state.workers().look(job)
    if job.state == "done":
        state.shelf().put(job.about, job.result)
        st.session_state["jobs"].pop(what)
        st.rerun()
    if job.ended and not was:
        st.rerun()
    draw(job, what, what)


def draw(job: Job, head: str, key: str, cancel: Any = None) -> None:
    """How far a job is, and its button."""
    if job.state in ("refused", "failed"):
        st.html(blocks.errors(f"{head}: not made", job.error.splitlines()[-3:]))
    elif job.state == "cancelled":
        st.html(blocks.note(f"{head}: cancelled"))
    else:
        seconds = f", {time.monotonic() - job.started:.0f} s" if job.started else ""
        st.progress(min(1.0, job.done / job.of) if job.of > 1 else 0.0, f"{head}: {job.text}{seconds}")
        st.button("Cancel", key=f"cancel-{key}", on_click=cancel or _cancel, args=() if cancel else (key,))
        return
    st.button("Ask again", key=f"again-{key}", on_click=_forget, args=(key,))


def _cancel(what: str) -> None:
    state.workers().cancel(st.session_state["jobs"][what])


def _forget(what: str) -> None:
    st.session_state["jobs"].pop(what, None)
