"""The notebook, and what docs/python.md shows, are carried out."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from house import ROOT

README, PAGE, NOTEBOOK = ROOT / "README.md", ROOT / "docs" / "python.md", ROOT / "docs" / "notebook.ipynb"


def blocks() -> str:
    """Return the page's Python, one block after the other."""
    return "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))


def readme() -> str:
    """Return the README's Python."""
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return f"import gridstorm\n{block}"


def cells() -> str:
    """Return the notebook's Python, one cell after the other."""
    content = json.loads(NOTEBOOK.read_text())
    return "\n".join("".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code")


@pytest.mark.slow
@pytest.mark.parametrize("script", [readme, blocks, cells])
def test_the_python_of_the_docs_runs_without_a_main_script(script: object, tmp_path: Path) -> None:
    text = script()  # type: ignore[operator]  # one of the two functions
    done = subprocess.run([sys.executable, "-"], input=text, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len([*tmp_path.glob("outputs/*/*/result.json")]) in (2, 4, 6)


def test_the_notebook_holds_no_output() -> None:
    content = json.loads(NOTEBOOK.read_text())
    assert not [cell for cell in content["cells"] if cell.get("outputs")]


@pytest.mark.site
@pytest.mark.skipif(find_spec("nbclient") is None, reason="nbclient is not installed: ci/site")
def test_the_notebook_runs_in_a_kernel_and_shows_tables(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    seen = "gridstorm.train(gridstorm.compose('trainer.max_epochs=30', 'name=seen'), verbose=True)"
    notebook.cells.append(nbformat.v4.new_code_cell(seen))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [
        str(output.get("data", {}).get("text/html", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    ]
    assert any("<td>optimizer.lr</td><td>0.01</td>" in html for html in shown)
    streams = "".join(str(output.get("text", "")) for output in notebook.cells[-1].get("outputs", []))
    assert "\r" in streams  # the bar took itself away, where nothing is a terminal
    assert "record  outputs/seen" in streams
    assert any("<th>val/loss</th>" in html for html in shown)
