"""A calibration told: as text, as JSON, and its residuals as a page of plots."""

from __future__ import annotations

import json
import math
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.regress import CONDITION_LIMIT, Fit
from models.coefficients import LAWS
from planner.calibrate import Calibration, why_unanchored
from planner.look import INK, template

if TYPE_CHECKING:
    from rich.console import Console

MOST_POINTS = 4000  # of a plot


def print_calibration(out: Calibration, console: Console) -> None:
    """Coefficients with their intervals, how well each block was told, what was left, held out and replayed."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title_justify="left", title=f"{out.name}: told by {_runs(out)}")
    for name in ("coefficient", "value", "low", "high", "unit", "prior"):
        table.add_column(name, justify="left" if name in ("coefficient", "unit") else "right")
    for name in (n for n in LAWS if n in out.outcome.told):
        one = out.outcome.told[name]
        table.add_row(name, f"{one.value:.4g}", f"{one.low:.4g}", f"{one.high:.4g}", LAWS[name][0], _prior(out, name))
    console.print(table)
    console.print()
    for fitted in out.outcome.fits.values():
        console.print(_block_line(fitted))
    for what, cores in out.outcome.background.items():
        console.print(f"background, {what}: {cores:+.3f} cores; it is laid on no record")
    for what, why in out.outcome.refused.items():
        console.print(f"not fitted, {what}: {why}")
    console.print(f"\nleft at the prior ({out.prior}), and what would tell it:")
    for name, why in sorted(out.outcome.left.items()):
        console.print(f"  {name}: {why}", highlight=False)
    for name, why in out.gathered.skipped.items():
        console.print(f"not taken: {name}: {why}")
    console.print()
    _print_errors(out, console)


def _print_errors(out: Calibration, console: Console) -> None:
    if out.held:
        console.print(
            "the last part of each recording, forecast from a fit without it (median error; measured inside):"
        )
        for row in held_rows(out):
            inside = "" if row["inside"] is None else f", {row['inside']:.0%} inside the 90 % interval"
            console.print(f"  {row['quantity']}: {row['median_error']:.1%} of {row['parts']} parts{inside}")
    elif out.held_refused:
        console.print(f"nothing was held out: {out.held_refused}")
    for match in out.replay:
        word = "as measured" if match.holds else "does NOT match"
        told = f"{match.error:+.1%}, at most {match.tolerance:.0%}"
        console.print(f"today replayed: {match.quantity}: {told}: {word}")
    console.print(f"{'anchored' if out.anchored else 'UNANCHORED'}: {why_unanchored(out.replay)}")


def _runs(out: Calibration) -> str:
    return f"{len(out.gathered.runs)} runs of {out.gathered.machine['name']}"


def _prior(out: Calibration, name: str) -> str:
    from models.coefficients import carried, load_set

    base = carried(load_set(out.prior), float(out.gathered.machine["per_core_speed"]))
    return f"{base[name].value:.4g}"


def _block_line(fitted: Fit) -> str:
    left = np.abs(np.log(np.maximum(fitted.residual_ratio, 1e-6)))
    held = f"; left at the prior: {', '.join(fitted.held)}" if fitted.held else ""
    told = f"{fitted.rows} observations, condition {fitted.condition:.1f} (at most {CONDITION_LIMIT:g})"
    return f"{fitted.block}: {told}, residual {math.expm1(float(np.median(left))):.1%} median{held}"


def held_rows(out: Calibration) -> list[dict[str, Any]]:
    """Errors on what was held out, by quantity."""
    rows = []
    for quantity in dict.fromkeys(s.quantity for s in out.held):
        mine = [s for s in out.held if s.quantity == quantity]
        inside = [bool(s.inside) for s in mine if s.inside is not None]
        error = float(np.median([abs(s.error) for s in mine]))
        share = sum(inside) / len(inside) if inside else None
        rows.append({"quantity": quantity, "parts": len(mine), "median_error": error, "inside": share})
    return rows


def as_dict(out: Calibration) -> dict[str, Any]:
    """Plain data for JSON."""
    told = {
        name: {"value": t.value, "low": t.low, "high": t.high, "unit": LAWS[name][0], "source": t.source}
        for name, t in out.outcome.told.items()
    }
    blocks = {
        f.block: {"condition": f.condition, "observations": f.rows, "left_at_prior": sorted(f.held)}
        for f in out.outcome.fits.values()
    }
    replay = [
        {"quantity": m.quantity, "error": m.error, "tolerance": m.tolerance, "holds": m.holds} for m in out.replay
    ]
    return {
        "schema_version": 1, "name": out.name, "machine": out.gathered.machine["name"],
        "per_core_speed": float(out.gathered.machine["per_core_speed"]), "recordings": out.gathered.digest,
        "runs": [run.name for run in out.gathered.runs], "skipped": dict(out.gathered.skipped), "told": told,
        "left_at_prior": dict(out.outcome.left), "blocks": blocks, "background_cores": dict(out.outcome.background),
        "not_fitted": dict(out.outcome.refused), "held_out": held_rows(out), "held_out_refused": out.held_refused,
        "replay": replay, "anchored": out.anchored, "why": why_unanchored(out.replay),
    }  # fmt: skip


def as_json(out: Calibration) -> str:
    return json.dumps(as_dict(out), indent=2, ensure_ascii=False) + "\n"


def residual_figures(out: Calibration) -> dict[str, dict[str, Any]]:
    """For each block two plots: measured over fitted against what was fitted, and in order of observation."""
    figures: dict[str, dict[str, Any]] = {}
    for fitted in out.outcome.fits.values():
        for x, title in (
            ("fitted", f"{fitted.block}: residual by size"),
            ("order", f"{fitted.block}: residual in time"),
        ):
            figures[title] = _figure(fitted, x)
    return figures


def _figure(fitted: Fit, x: str) -> dict[str, Any]:
    names = list(dict.fromkeys(fitted.run))
    labels, order = np.array(fitted.run), np.arange(fitted.rows)
    step = max(1, fitted.rows // MOST_POINTS)
    data = []
    for k, name in enumerate(names):
        mine = np.flatnonzero(labels == name)[::step]
        across = fitted.fitted[mine] if x == "fitted" else order[mine]
        data.append({
            "type": "scatter", "mode": "markers", "name": name, "x": np.round(across, 6).tolist(),
            "y": np.round(fitted.residual_ratio[mine], 4).tolist(), "marker": {"size": 5, "color": INK[k % len(INK)]},
        })  # fmt: skip
    label = "fitted [s]" if x == "fitted" else "observation"
    axes = {
        "xaxis": {"title": {"text": label}, "type": "log" if x == "fitted" else "linear"},
        "yaxis": {"title": {"text": "measured over fitted"}, "type": "log"},
    }
    one = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 1,
        "y1": 1,
        "line": {"color": INK[6], "dash": "dot"},
    }
    return {"data": data, "layout": {**axes, "height": 380, "shapes": [one], "template": template()}}


def residual_page(out: Calibration) -> str:
    """One HTML file that opens offline."""
    from planner import look_page

    charts, places = look_page.charts(residual_figures(out))
    title = f"Residuals of {out.name}"
    note = "Each point is one observation: a batch's driver or tasks, or a node's CPU between two samples. On the line"
    note += " the law says what was measured. A slope against size is a law that is wrong; a drift in time is a machine"
    note += " or a JVM that changed."
    return look_page.page(title, [f"<h1>{escape(title)}</h1><p>{note}</p>", *charts], places)
