"""Run a student's kernel in a process of its own, so that one that never ends, or ends Python, does no harm."""

import os
import pickle
import re
import subprocess
import sys

from checks.judging import Wrong, call, case
from tinyhpe.fast.cuda.emulator import CpuModule, KernelError, kernel_parameters
from tinyhpe.fast.cuda.emulator.counting import count_accesses

SECONDS = 30


def source_of(answer, signature):
    """The source that an answer returns, without comments; raises Wrong where its kernel is not `signature`."""
    source = call(answer)
    if not isinstance(source, str):
        raise Wrong(
            f"it returns a {type(source).__name__}",
            "the answer is to be the text of a kernel, a string",
            'return """...""", with the kernel between the quotes',
        )
    plain = re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.DOTALL)
    name, wanted = signature.split("(")[0], kernel_parameters(f'extern "C" __global__ void {signature}')
    try:
        found = kernel_parameters(source)
    except KernelError as error:
        raise Wrong(str(error), "a parameter has another type", f"copy the signature: {signature}") from error
    if found.get(name) != wanted[name]:
        raise Wrong(
            f"the kernels in the text: {', '.join(found) or 'none'}; wanted is {signature}",
            "the kernel that is asked for is not there, or its parameters are others",
            'begin with extern "C" __global__ void, and copy name and parameters from the exercise',
        )
    try:
        CpuModule(source)
    except KernelError as error:
        first = next((line for line in str(error).splitlines() if "error" in line), str(error))
        raise Wrong(
            f"the compiler says: {first.strip()}",
            "the kernel does not compile",
            "the number after kernels.cu is the line; look for a missing ; or } or type in it, or above",
        ) from error
    return plain


def run_apart(source, name, cases, counted=False):
    """Run a kernel on cases (blocks, threads, args) until one is stopped.

    Returns:
        For each case what its last array holds then, or, with `counted`, its Accesses; or why it was stopped, a
        string, and nothing more after it.
    """
    settings = os.environ | {"PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path)}
    command, job = [sys.executable, "-m", "checks.kernels"], pickle.dumps((source, name, cases, counted))
    try:
        ran = subprocess.run(command, input=job, capture_output=True, timeout=SECONDS, env=settings)
    except subprocess.TimeoutExpired as error:
        raise Wrong(
            f"it did not end within {SECONDS} seconds",
            "a loop never ends",
            "for each loop: what changes, and when is the condition false? 0 / 2 is 0 for ever",
        ) from error
    if ran.returncode != 0:
        raise Wrong(
            f"it ended Python: {ran.stderr.decode(errors='replace').strip()[-200:] or ran.returncode}",
            "an index is wildly wrong, so that the memory there belongs to nobody",
            "print by hand the smallest and the largest index that a thread can have",
        )
    return pickle.loads(ran.stdout)


def outcomes(source, name, cases):
    """Yield (number, case, what its last array holds, why it was stopped): one of the last two is None."""
    for number, (given, result) in enumerate(zip(cases, run_apart(source, name, cases), strict=False)):
        stopped = isinstance(result, str)
        case.inputs, case.got, case.expected = given[2], None if stopped else result, None
        yield number, given, None if stopped else result, result if stopped else None


def main():
    source, name, cases, counted = pickle.load(sys.stdin.buffer)
    results = []
    for blocks, threads, args in cases:
        try:
            if counted:
                results.append(count_accesses(source, name, (blocks,), (threads,), args))
                continue
            CpuModule(source).get_function(name)((blocks,), (threads,), args)
            results.append(args[-2])
        except KernelError as error:
            results.append(str(error))
            break
    sys.stdout.buffer.write(pickle.dumps(results))


if __name__ == "__main__":
    main()
