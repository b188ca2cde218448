"""Run a module as a Python in a browser (Pyodide) does: python -m tests.in_browser MODULE ARGUMENTS...

There no thread and no process can be started, and modules that share memory are missing. What is refused here
raises what Pyodide 314 raises. It has fcntl and ctypes, which other builds may lack; SciPy must have ctypes.
"""

import builtins
import os
import runpy
import subprocess
import sys
import threading
import time

MISSING = {"_multiprocessing", "_posixshmem", "fcntl", "ctypes", "_ctypes"}


def refuse(error):
    def function(*_, **__):
        raise error

    return function


def become_a_browser(cores):
    """Refuse it, from now on. `cores` is what the browser says that it has; Pyodide says 1."""
    threading.Thread.start = refuse(RuntimeError("can't start new thread"))
    subprocess.Popen.__init__ = refuse(OSError(138, "emscripten does not support processes."))
    os.fork = refuse(OSError(52, "Function not implemented"))
    os.sched_getaffinity = lambda _: range(cores)
    time.process_time = lambda: 0.0
    their_import = builtins.__import__

    def import_(name, globals=None, locals=None, fromlist=(), level=0):
        asks = (globals or {}).get("__name__", "")
        if level == 0 and name.split(".")[0] in MISSING and not asks.startswith(("scipy", "ctypes")):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return their_import(name, globals, locals, fromlist, level)

    builtins.__import__ = import_


if __name__ == "__main__":
    become_a_browser(cores=3)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
