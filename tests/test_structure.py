"""The house keeps its shape: arrows point downward, CuPy has one door, nothing is unpickled."""

import ast
import subprocess
import sys
from pathlib import Path

import tinyhpe

ROOT = Path(tinyhpe.__file__).parent
MAY_IMPORT = {  # part -> the parts of the package that it may know
    "errors": set(),
    "files": {"errors"},
    "backend": {"errors"},
    "tensor": {"backend"},
    "parallel": set(),
    "memory": {"backend", "errors"},
    "cuda_graph": {"backend", "memory"},
    "emulator": {"errors"},
    "ops": {"tensor", "backend", "errors", "parallel"},
    "gradcheck": {"tensor", "ops"},
    "nn": {"tensor", "backend", "ops", "errors", "files", "parallel"},
    "optim": {"backend", "ops"},
    "pose": {"backend", "errors"},
    "heads": {"pose"},
    "datasets": {"pose", "heads", "backend", "errors", "files"},
    "methods": {"datasets", "nn", "pose", "ops", "tensor", "backend", "errors"},
    "report": {"pose", "errors"},
    "bench": {"cuda_graph", "datasets", "nn", "optim", "ops", "tensor", "backend", "parallel"},
    "train": {
        "cuda_graph",
        "memory",
        "parallel",
        "methods",
        "report",
        "datasets",
        "nn",
        "optim",
        "pose",
        "ops",
        "tensor",
        "backend",
        "errors",
        "files",
    },
}


def part_of(module):
    """tinyhpe.ops.conv -> ops"""
    return module.split(".")[1] if "." in module else ""


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "tinyhpe":
            yield from (f"tinyhpe.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def sources():
    for path in ROOT.rglob("*.py"):
        yield path, path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_arrows_point_downward_only():
    for path, part in sources():
        if part in ("__init__", "__main__", "cli"):
            continue
        known = {part_of(m) for m in imported_modules(path) if m.startswith("tinyhpe")} - {part, ""}
        assert known <= MAY_IMPORT[part], f"{path.name} in {part} imports {known - MAY_IMPORT[part]}"


def test_cupy_is_imported_in_backend_alone_and_pickle_nowhere():
    for path, part in sources():
        roots = {module.split(".")[0] for module in imported_modules(path)}
        assert "pickle" not in roots, path
        assert "cupy" not in roots or part == "backend", path


def test_importing_the_engine_loads_neither_matplotlib_nor_cupy_nor_torch():
    code = "import sys, tinyhpe; print({'matplotlib', 'cupy', 'torch', 'PIL', 'scipy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
