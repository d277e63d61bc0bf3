"""The house: who may import whom, what an import may cost, how files and functions look."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "triptych"
FLOORS = {
    "core": 0,
    "maths": 1, "nets": 1, "tiles": 1,
    "readers": 2, "encoders": 2, "aligners": 2, "fusers": 2, "clusterers": 2, "refiners": 2,
    "metrics": 2, "stains": 2, "analyses": 2, "deconvolvers": 2, "predictors": 2,
    "segmenters": 2, "annotators": 2, "registrars": 2,
    "pipeline": 3, "recipes": 3, "verbs": 3,
    "plots": 4, "report": 4,
    "runs": 5,
    "studies": 6,
    "cli": 7, "__main__": 7,
}  # fmt: skip
# A room may use another room of its own floor only where the house says so.
SIDEWAYS = {
    ("nets", "maths"), ("tiles", "maths"),
    ("verbs", "pipeline"), ("report", "plots"), ("pipeline", "recipes"), ("__main__", "cli"),
}  # fmt: skip
FILES = sorted(path for path in SRC.rglob("*.py") if path != SRC / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [node.module] if node.module.count(".") else names
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "triptych" and len(parts) > 1 and parts[1] in FLOORS:
                yield parts[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_imports_only_from_its_room_and_lower_floors(path):
    room = room_of(path)
    assert room in FLOORS, f"{room} has no floor"
    for other in imported_rooms(ast.parse(path.read_text("utf-8"))):
        allowed = other == room or FLOORS[other] < FLOORS[room] or (room, other) in SIDEWAYS
        assert allowed, f"{path.name} ({room}) imports from {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_files_and_functions_stay_small(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= 310
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.end_lineno - node.lineno + 1
            doc = ast.get_docstring(node, clean=False)
            body -= doc.count("\n") + 1 if doc else 0
            assert body <= 45, f"{node.name} has {body} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_no_assert_no_print_no_broad_except_no_attic(path):
    assert path.stem not in {"utils", "helpers", "misc", "common"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert not isinstance(node, ast.Assert)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
            assert getattr(node.type, "id", "") not in {"Exception", "BaseException"}


def test_import_is_light():
    code = (
        "import time; t = time.perf_counter(); import sys, logging; n = len(logging.getLogger().handlers);"
        "import triptych; s = time.perf_counter() - t;"
        "heavy = [m for m in ('torch', 'anndata', 'sklearn', 'pandas', 'matplotlib') if m in sys.modules];"
        "print(s < 0.5, heavy, len(logging.getLogger().handlers) - n)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "[]", "0"]


def test_listing_a_room_imports_no_component():
    code = (
        "import sys; from triptych.pipeline.rooms import BY_NAME;"
        "names = [list(r) for r in BY_NAME.values()];"
        "print([m for m in ('torch', 'anndata', 'sklearn', 'harmonypy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves():
    import triptych

    for name in triptych.__all__:
        assert getattr(triptych, name) is not None
    with pytest.raises(AttributeError):
        triptych.no_such_name  # noqa: B018
