"""Why there is no usable GPU: one clear line for each kind of bad luck; the switch for TF32 and float16."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.pretend_cuda import PretendCublas
from tinyhpe import backend
from tinyhpe.errors import InputError
from tinyhpe.fast.cuda import cublas, precision


class FakeArray:
    """Enough of an array to multiply it."""

    def reshape(self, *_):
        return self

    __add__ = __matmul__ = reshape

    def sum(self):
        return 1.0


def fake_cupy(available=True, capability="80", failure=None):
    """A cupy on a machine with a GPU of this capability, whose first computation raises `failure`."""

    def arange(*_, **__):
        if failure:
            raise failure
        return FakeArray()

    device = SimpleNamespace(Device=lambda: SimpleNamespace(compute_capability=capability))
    return SimpleNamespace(is_available=lambda: available, cuda=device, arange=arange)


def probe(monkeypatch, cupy, packages=("cupy-cuda12x",)):
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(backend, "installed_cupy_packages", lambda: list(packages))
    return backend.probe_cuda.__wrapped__()


@pytest.mark.parametrize("capability", ["75", "90", "120"])
def test_a_gpu_that_computes_is_found(monkeypatch, capability):
    cupy = fake_cupy(capability=capability)
    assert probe(monkeypatch, cupy) == (cupy, "")


# what CuPy 14.2 says without a toolkit, on its first kernel and on its first matrix product
NO_NVRTC = RuntimeError('Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file: libnvrtc.so.12\n')
NO_CUBLAS = ImportError('Failure finding "libcublasLt.so.13 or libcublasLt.so.12": No such file\n')


@pytest.mark.parametrize(
    ("cupy", "packages", "reason"),
    [
        (None, (), r"cupy is not installed; install tinyhpe\[cuda12\]"),
        (fake_cupy(), ("cupy-cuda12x", "cupy-cuda13x"), "cupy-cuda12x and cupy-cuda13x break each other"),
        (fake_cupy(available=False), ("cupy-cuda12x",), "no CUDA driver, or a too old one, or no GPU"),
        (fake_cupy(capability="61"), ("cupy-cuda12x",), r"capability is 6\.1, less than 7\.5"),
        (fake_cupy(failure=NO_NVRTC), ("cupy-cuda13x",), "no CUDA toolkit; tinyhpe.*libnvrtc"),
        (fake_cupy(failure=NO_CUBLAS), ("cupy-cuda12x",), "no CUDA toolkit; tinyhpe.*libcublas"),
        (
            fake_cupy(failure=RuntimeError("ECC\nmore")),
            ("cupy",),
            "first computation .* failed: RuntimeError: ECC$",
        ),
    ],
)
def test_bad_luck_with_the_gpu_is_one_clear_line(monkeypatch, cupy, packages, reason):
    module, text = probe(monkeypatch, cupy, packages)
    assert module is None
    assert "\n" not in text
    assert re.search(reason, text), text


def test_the_installed_packages_with_cupy_in_them_are_found_by_name(monkeypatch):
    monkeypatch.setattr(backend, "CUPY_PACKAGES", ("cupy-that-nobody-has", "numpy", "pytest"))
    assert backend.installed_cupy_packages() == ["numpy", "pytest"]


@pytest.mark.parametrize("name", ["tf32", "float16"])
def test_another_precision_is_for_gpus_that_have_it_and_for_the_whole_process(monkeypatch, name):
    monkeypatch.setattr(precision, "_chosen", "float32")
    for cupy, reason, message in [
        (None, "there is none", "no usable GPU: there is none"),
        (fake_cupy(capability="75"), "", r"TF32 needs .* 8\.0 .* this one is of 7\.5; use the precision float32"),
    ][: 2 if name == "tf32" else 1]:
        monkeypatch.setattr(backend, "probe_cuda", lambda found=(cupy, reason): found)
        with pytest.raises(InputError, match=message):
            precision.use_precision(name)
        assert precision.precision() == "float32"
    monkeypatch.setattr(backend, "probe_cuda", lambda: (fake_cupy(), ""))
    precision.use_precision(name)
    assert precision.precision() == name
    with pytest.raises(InputError, match="unknown precision 'fp16': use one of float32, tf32, float16"):
        precision.use_precision("fp16")
    assert precision.precision() == name


GPU_SCRIPT = Path(__file__).parents[1] / ".ci" / "gpu"
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@needs_bash
def test_the_command_for_machines_with_a_gpu_stops_with_one_line_where_there_is_none():
    _, reason = backend.probe_cuda()
    if not reason:
        pytest.skip("there is a GPU")
    result = subprocess.run(["bash", GPU_SCRIPT, sys.executable], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"no usable GPU: {reason}\n")


@needs_bash
@pytest.mark.parametrize("tests_pass", [True, False])
def test_the_command_for_machines_with_a_gpu_runs_tests_sanitizer_and_bench(tmp_path, monkeypatch, tests_pass):
    for name in ("python", "compute-sanitizer"):  # they write down what they are asked
        (tmp_path / name).write_text(
            f"""#!/usr/bin/env bash
            if [ "$1" != -c ]; then echo "{name} $*" >>"{tmp_path}/calls"; fi
            case "$*" in *"pytest -q -m gpu") exit {int(not tests_pass)};; *bench*) echo "{{}}";; esac"""
        )
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    command = ["bash", GPU_SCRIPT, tmp_path / "python", tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True)
    first, *others = (tmp_path / "calls").read_text().splitlines()
    assert first == "python -m pytest -q -m gpu"
    assert (result.returncode == 0) == tests_pass
    if tests_pass:
        assert "--tool memcheck" in others[0]
        assert "--tool racecheck" in others[1]
        assert all(call.endswith("pytest -q -m gpu tests/test_kernels.py") for call in others[:2])
        assert others[2:] == ["python -m tinyhpe bench --device cuda --json"]
        assert (tmp_path / "out" / "bench.json").read_text() == "{}\n"


@pytest.mark.parametrize("found", [None, "libcublas.so.12"])
def test_cublas_that_is_missing_or_fails_is_one_clear_line(monkeypatch, found):
    def load(name):
        if found is None:
            raise ImportError(f'Failure finding "lib{name}.so"\nin many places')
        return SimpleNamespace(abs_path=found)

    pathfinder = SimpleNamespace(load_nvidia_dynamic_lib=load)
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(pathfinder=pathfinder))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", pathfinder)
    monkeypatch.setattr(backend, "probe_cuda", lambda: (fake_cupy(), ""))
    library = PretendCublas()
    library.cublasCreate_v2 = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda handle: 7)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
    reason = "cublasCreate_v2 failed: CUBLAS_STATUS_INVALID_VALUE" if found else 'Failure finding "libcublas.so"'
    with pytest.raises(
        InputError, match=re.escape(f"cuBLAS does not work here ({reason}); stay on the device 'cpu'")
    ):
        cublas.cublas.__wrapped__()
