"""Execute the notebooks from the root of the repository and keep their outputs.

    python notebooks/run.py [--check] [NAME.ipynb ...]

A cell that fails ends it with exit 1 and the cell's error. `--check` writes nothing, and what comes out otherwise than
it was committed ends it with exit 1 too (notebooks/compare.py). Figures are kept as Plotly's JSON and, where kaleido
finds a Chromium, as a picture beside it, which is what readers without JavaScript see.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
SECONDS = 300  # of one cell: a cell that takes longer hangs
MOST_TOLD = 1500  # characters of an error, its end


def main(arguments: list[str]) -> int:
    check, names = "--check" in arguments, [a for a in arguments if a != "--check"]
    drawn = pictures() and not check  # pictures are not compared
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype+png" if drawn else "plotly_mimetype")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    failed = []
    for path in [FOLDER / name for name in names] or sorted(FOLDER.glob("*.ipynb")):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as sockets:
            error = executed(path, Path(sockets), check)
        print(f"{path.name}: {'FAILED' if error else 'executed'} in {time.monotonic() - began:.0f} s", file=sys.stderr)
        if error:
            print(error, file=sys.stderr)
            failed.append(path.name)
    return 1 if failed else 0


def pictures() -> bool:
    """Whether figures can also be kept as pictures on this machine."""
    from importlib.util import find_spec
    from shutil import which

    return find_spec("kaleido") is not None and any(map(which, ("chromium", "chromium-browser", "google-chrome")))


def executed(path: Path, sockets: Path, check: bool) -> str:
    """Run one notebook in a fresh kernel; the error of the cell that failed, or what no longer holds, or ''."""
    import nbformat
    from compare import differences
    from jupyter_client.manager import KernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    book, committed = (nbformat.read(path, as_version=4) for _ in range(2))
    # sockets in a folder of its own: no port that others on the machine could reach
    kernel = KernelManager(kernel_name="python3", transport="ipc", ip=str(sockets / "kernel"))
    client = NotebookClient(book, km=kernel, timeout=SECONDS, record_timing=False,
                            resources={"metadata": {"path": str(ROOT)}})  # fmt: skip
    try:
        client.execute()
    except CellExecutionError as error:
        return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()[-MOST_TOLD:]
    finally:
        kernel.shutdown_kernel(now=True)
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                     "language_info": {"name": "python"}}  # fmt: skip
    for cell in book.cells:  # logs are this machine's, not the notebook's
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    if not check:
        nbformat.write(book, path)
        return ""
    told = differences(committed, book)
    return "\n".join(["the committed outputs no longer hold (make notebooks writes them anew):", *told]) if told else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
