"""The emulator sees what is wrong with a kernel, and NVRTC compiles all of ours: no GPU is needed for either."""

import functools
import importlib.util
import re
from unittest import mock

import numpy as np
import pytest

from tinyhpe.errors import InputError
from tinyhpe.fast.cuda import conv, emulator, launch, norm
from tinyhpe.fast.cuda.emulator import CpuModule, KernelError, nvrtc
from tinyhpe.fast.cuda.emulator.counting import count_accesses
from tinyhpe.fast.cuda.pairs import CudaPairwiseOrder
from tinyhpe.ops.pairs import PairwiseOrder

KERNELS = launch.source()


@pytest.fixture(autouse=True)
def needs_a_compiler(request):
    """Skip, with the reason, where a C++ compiler is missing."""
    try:
        compile_once(SMALL)
    except InputError as reason:
        pytest.skip(str(reason))


@functools.cache
def compile_once(text):
    return CpuModule(text)


def statistics_are_right():
    x = np.random.default_rng(0).standard_normal((500, 20), dtype=np.float32)
    mean, var = norm.batch_statistics(x, np.zeros(20, np.float32), np.ones(20, np.float32), 0.1)
    return np.allclose(mean, x.mean(axis=0), atol=1e-5) and np.allclose(var, x.var(axis=0), rtol=1e-4)


def ranking_is_right():
    rng = np.random.default_rng(0)
    scores, levels = rng.standard_normal(300, dtype=np.float32), rng.integers(0, 4, 300)
    op = PairwiseOrder(levels)
    CudaPairwiseOrder.forward(op, np, scores)
    wanted = 1 / (1 + np.exp(scores - scores[:, None])) - 0.5 * (1 + np.sign(levels[:, None] - levels))
    return np.allclose(op.gradient, wanted.sum(axis=1) * 2 / (300 * 299), atol=1e-6)


def col2im_is_right():
    columns = np.ones((2 * 5 * 5, 9 * 3), np.float32)
    dx = np.empty((2, 5, 5, 3), np.float32)
    conv.col2im(columns, dx, 3, 1, 1)
    rows = np.array([2, 3, 3, 3, 2])  # windows that cover a row
    return np.array_equal(dx, np.broadcast_to((rows[:, None] * rows)[:, :, None], dx.shape))


IS_RIGHT = {"norm": statistics_are_right, "pairs": ranking_is_right, "conv": col2im_is_right}
PLANTED = {  # name: (family of kernels, a part of its text, what replaces it, how the bug shows)
    "a barrier removed before a reduction": (
        "norm",
        "    sums_b[me] = b;\n    __syncthreads();\n",
        "    sums_b[me] = b;\n",
        "the result is another one when",
    ),
    "a barrier removed after a tile was loaded": (
        "pairs",
        "        __syncthreads();  // the tile is complete\n",
        "",
        "the result is another one when",
    ),
    "a barrier removed before a tile is loaded over": (
        "pairs",
        "        __syncthreads();  // nobody reads it any more\n",
        "",
        "the result is another one when",
    ),
    "a barrier moved into an if": (
        "norm",
        "            sums_b[me] += sums_b[me + half * blockDim.x];\n        }\n        __syncthreads();\n",
        "            sums_b[me] += sums_b[me + half * blockDim.x];\n        __syncthreads();\n        }\n",
        "deadlock in block",
    ),
    "a return before a barrier": (
        "norm",
        "    if (c < channels) {\n        float origin",
        "    if (c >= channels) return;\n    {\n        float origin",
        "deadlock in block",
    ),
    "a read one beyond the end": (
        "pairs",
        "k < blockDim.x && start + k < n",
        "k < blockDim.x && start + k <= n",
        "wrong result",
    ),
    "half of a shared array not initialised": (
        "norm",
        "    sums_a[me] = a;\n",
        "    if (threadIdx.y < blockDim.y / 2) sums_a[me] = a;\n",
        "wrong result",
    ),
    "a write one beyond the end": (
        "conv",
        "    dx[i] = sum;\n",
        "    dx[i + 1] = sum;\n",
        "wrote outside",
    ),
    "a bounds check missing": (
        "conv",
        "    if (i >= (long long)images * height * width * channels) return;\n",
        "",
        "wrote outside",
    ),
}


def with_bug(name):
    """The kernels of a family, and what they share with the others, with a planted bug."""
    family, right, wrong, _ = PLANTED[name]
    text = "".join((launch.FOLDER / f"{part}.cu").read_text() for part in ("common", family))
    mutant = text.replace(right, wrong)
    assert mutant != text, f"the kernel has changed: plant the bug anew, {name}"
    return mutant


@functools.cache
def compile_all_bugs():
    """All the mutants in one text, since to compile takes longest: in namespaces, the kernels' names numbered."""
    numbered = []
    for number, text in enumerate(map(with_bug, PLANTED)):
        for kernel in emulator.kernel_parameters(text):
            text = re.sub(rf"\b{kernel}\b", f"{kernel}_{number}", text)
        numbered.append(f"namespace bug_{number} {{\n{text}\n}}\nusing namespace bug_{number};\n")
    return CpuModule("".join(numbered))


@pytest.mark.parametrize("family", IS_RIGHT)
def test_the_kernels_as_they_are_pass_the_checks_that_planted_bugs_fail(monkeypatch, family):
    monkeypatch.setattr(launch, "module", lambda: compile_once(KERNELS))
    assert IS_RIGHT[family]()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_seen(monkeypatch, name):
    module, number = compile_all_bugs(), list(PLANTED).index(name)
    named = mock.Mock(get_function=lambda kernel: module.get_function(f"{kernel}_{number}"))
    monkeypatch.setattr(launch, "module", lambda: named)
    family, _, _, symptom = PLANTED[name]
    try:
        seen = "right" if IS_RIGHT[family]() else "wrong result"
    except KernelError as error:
        seen = str(error)
    assert symptom in seen


SPLIT = """extern "C" __global__ void split(float* y) {
    if (threadIdx.x < 7)
        __syncthreads();
    else
        __syncthreads();
}
"""
SUMS = """extern "C" __global__ void sums(const float* x, float* total, int* count, int n) {
    extern __shared__ float warps[];
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
    float value = i < n ? x[i] : 0.0f;
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_down_sync(0xffffffff, value, distance);
    if (lane == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x == 0)
        for (int warp = 0; warp < blockDim.x / 32; ++warp) atomicAdd(total, warps[warp]);
    if (i < n) atomicAdd(count, 1);
}
"""
PEEK = """extern "C" __global__ void peek(const float* x, float* y) {
    __shared__ float fixed[8];
    extern __shared__ float sized[];
    y += 4 * blockIdx.x;
    y[0] = fixed[5], y[1] = sized[1], y[2] = x[3], y[3] = x[-1];
    fixed[5] = sized[1] = 1;
}
"""
NUMBER = """extern "C" __global__ void number(int* out) {
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 100 * block + thread;
}
"""
FILL = """extern "C" __global__ void fill(float* y, int n) {
    if (threadIdx.x < n) y[threadIdx.x] = rsqrtf(4.0f);
}
"""
SMALL = SPLIT + SUMS + PEEK + NUMBER + FILL  # in one text: to compile takes longer than all else


def run(name, *args, grid=(1,), block=(64,), shared_mem=0):
    compile_once(SMALL).get_function(name)(grid, block, args, shared_mem=shared_mem)


def test_the_example_of_the_documentation_runs():
    lines = [line[4:] for line in emulator.__doc__.splitlines() if line.startswith("    ")]
    names = {"np": np, "CpuModule": CpuModule}
    exec("\n".join(lines), names)
    np.testing.assert_array_equal(names["y"], [0, 2, 4, 6, 8])


def test_shuffles_dynamic_shared_memory_and_atomics_work_as_on_a_gpu():
    x = np.random.default_rng(0).standard_normal(1000, dtype=np.float32)
    total, count = np.zeros(1, np.float32), np.zeros(1, np.int32)
    run("sums", x, total, count, np.int32(1000), grid=(8,), block=(128,), shared_mem=16)
    np.testing.assert_allclose(total, x.sum(dtype=np.float64), rtol=1e-4)
    assert count == 1000


def test_what_nobody_has_written_is_nan_in_every_block():
    y = np.zeros(12, np.float32)
    run("peek", np.zeros(3, np.float32), y, grid=(3,), block=(1,), shared_mem=8)
    assert np.isnan(y).all()


def test_threads_and_blocks_have_three_dimensions():
    out = np.empty((24, 30), np.int32)
    run("number", out, grid=(2, 3, 4), block=(5, 3, 2))
    np.testing.assert_array_equal(out, 100 * np.arange(24)[:, None] + np.arange(30))


def test_writing_past_the_dynamic_shared_memory_is_seen():
    with pytest.raises(KernelError, match="past the end of the dynamic shared memory"):
        run("sums", *(np.zeros(64, t) for t in "ffi"), np.int32(64), block=(128,), shared_mem=12)


def test_waiting_at_two_different_barriers_names_both_lines():
    with pytest.raises(KernelError, match=r"two different barriers in block .* of lines 3 and 5"):
        run("split", np.zeros(1, np.float32))


def test_a_compile_error_names_its_line():
    with pytest.raises(KernelError, match=r"kernels.cu:2:\d+: error: .*undeclared"):
        CpuModule('extern "C" __global__ void k(float* y) {\n    y[0] = undeclared;\n}')


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((np.zeros(4, np.float32), 4), "argument 1 is int of Python; the kernel takes np.int32"),
        ((np.zeros(4, np.float32), np.int64(4)), "argument 1 is int64 of int64"),
        ((np.zeros(4), np.int32(4)), "argument 0 is ndarray of float64; the kernel takes an array of float32"),
        ((np.zeros(8, np.float32)[::2], np.int32(4)), "not C-contiguous"),
        ((np.zeros(4, np.float32),), "takes 2 arguments, 1 were given"),
    ],
)
def test_arguments_that_a_gpu_would_misread_are_refused(args, error):
    with pytest.raises((TypeError, ValueError), match=error):
        run("fill", *args)


def test_the_shim_compiles_where_the_c_library_has_an_rsqrtf_of_its_own():  # glibc 2.42
    code = emulator.cpp_text(FILL, emulator.kernel_parameters(FILL))
    assert emulator.build('#include <math.h>\nextern "C" float rsqrtf(float) noexcept;\n' + code).exists()
    y = np.zeros(3, np.float32)
    run("fill", y, np.int32(2))
    np.testing.assert_array_equal(y, [0.5, 0.5, 0])


def test_a_compiled_kernel_is_kept_and_without_a_compiler_the_error_says_what_to_do(monkeypatch, tmp_path):
    text = 'extern "C" __global__ void one(float* y) { y[0] = 1; }'
    monkeypatch.setenv("TINYHPE_CACHE", str(tmp_path))
    CpuModule(text)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    CpuModule(text)
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler; run pip install ziglang"):
        CpuModule(text + " ")
    assert [path.suffix for path in next(tmp_path.iterdir()).iterdir()] == [".so"]
    next(tmp_path.iterdir()).chmod(0o777)
    with pytest.raises(InputError, match="others can write"):
        CpuModule(text)


COUNTED = """extern "C" __global__ void halve(const float* x, double* y, int n) {
    __shared__ float both[2];
    int i = threadIdx.x;
    if (i < 2) both[i] = x[2 * i] + x[2 * i + 1];
    __syncthreads();
    if (i < n) y[i] += both[0] - both[1];
}
"""


def test_reads_and_writes_are_counted_as_the_text_has_them():
    args = np.ones(4, np.float32), np.zeros(3), np.int32(3)
    made = count_accesses(COUNTED, "halve", (1,), (8,), args)
    # threads 0 to 2 read and write y, of 8 bytes; 0 and 1 read two of x, of 4 bytes
    assert made == (3, 1, 2, 1, 3 * 2 * 8 + 2 * 2 * 4)
    assert not args[1].any()


@pytest.mark.slow
def test_where_there_is_no_gxx_ziglang_compiles_and_counts_the_same(monkeypatch):
    pytest.importorskip("ziglang", reason="the compiler of the extra kernels is not installed")
    with_gxx = count_accesses(COUNTED, "halve", (1,), (8,), (np.ones(4, np.float32), np.zeros(3), np.int32(3)))
    monkeypatch.setattr(emulator.shutil, "which", lambda name: None)
    text = COUNTED + "// with zig\n"  # another text, so that it is compiled anew
    y = np.zeros(3)
    CpuModule(text).get_function("halve")((1,), (8,), (np.float32([1, 2, 4, 8]), y, np.int32(3)))
    np.testing.assert_array_equal(y, [-9, -9, -9])
    assert count_accesses(text, "halve", (1,), (8,), (np.ones(4, np.float32), y, np.int32(3))) == with_gxx


@pytest.fixture
def compiler():
    library, reason = nvrtc.load_library()
    if library is None:
        pytest.skip(reason)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_every_kernel_compiles_for_real_gpus_and_keeps_its_values_in_registers(architecture):
    resources = nvrtc.compile_text(KERNELS, architecture)
    assert set(resources) == set(emulator.kernel_parameters(KERNELS))
    for name, used in resources.items():
        assert used.spilled_bytes == 0, name
        assert 0 < used.registers <= 65536 // 1024, f"{name}: so many that four blocks do not fit"


@pytest.mark.usefixtures("compiler")
def test_nvrtc_reports_spills_and_errors():
    greedy = """extern "C" __global__ void __launch_bounds__(1024, 2) greedy(const float* x, float* y) {
        float kept[128];
        for (int i = 0; i < 128; ++i) kept[i] = x[i * 1024 + threadIdx.x];
        __syncthreads();
        for (int i = 0; i < 128; ++i) y[i * 1024 + threadIdx.x] = kept[i] * kept[127 - i];
    }"""
    assert nvrtc.compile_text(greedy, "sm_75")["greedy"].spilled_bytes > 0
    with pytest.raises(KernelError, match=r"kernels.cu\(2\): error: identifier \"wrong\" is undefined"):
        nvrtc.compile_text('extern "C" __global__ void k(float* y) {\n    y[0] = wrong;\n}', "sm_90")
