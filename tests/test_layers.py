"""Imports point one way, and names and sizes keep to the house's rules."""

import ast
import os
import re
from pathlib import Path

import pytest

from cdp_assets.paths import PACKAGE

MODULES = sorted(PACKAGE.rglob("*.py"))
PURE = [
    path
    for path in MODULES
    if "defs" not in path.relative_to(PACKAGE).parts and path.name != "definitions.py"
]
STAGES = [
    "streams",
    "identity",
    "segments",
    "activation",
    "data_actions",
    "publication",
]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", PURE, ids=named)
def test_only_defs_imports_dagster(path: Path) -> None:
    """A test or the HTTP application must not need an orchestrator to call a stage."""
    allowed = {"cdp_assets.defs", "cdp_assets.definitions"}
    names = imported(path)
    assert not {name for name in names if name.split(".")[0].startswith("dagster")}
    if path.name not in {"cli.py", "terminal.py", "commands.py"}:
        assert not {name for name in names if name.startswith(tuple(allowed))}


@pytest.mark.parametrize(
    "path",
    [path for path in PURE if path.relative_to(PACKAGE).parts[0] in STAGES],
    ids=named,
)
def test_a_stage_imports_only_stages_to_its_left(path: Path) -> None:
    """Otherwise a change to activation could break loading."""
    stage = path.relative_to(PACKAGE).parts[0]
    right = STAGES[STAGES.index(stage) + 1 :]
    assert not {
        name
        for name in imported(path)
        if name.startswith(tuple(f"cdp_assets.{later}" for later in right))
    }


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_modules_and_functions_stay_small_and_introduced(path: Path) -> None:
    """Sixty lines is what fits a screen; a module says what lives in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module says what lives in it"
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 60
    ]
    assert not long


def test_no_module_is_named_after_nothing() -> None:
    empty = re.compile(r"(utils?|helpers?|common|base|misc|managers?|lib)")
    assert not [path for path in MODULES if empty.fullmatch(path.stem)]


@pytest.mark.xdist_group("together")
def test_groups_reach_the_workers(request: pytest.FixtureRequest) -> None:
    """A pytest that xdist did not know yet made every shared run once per worker."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("one process runs everything, in no groups")
    assert request.node.nodeid.endswith("@together")
