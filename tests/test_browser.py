"""Where no thread and no process can be started, as in a browser, all but the speed is the same."""

import os
import subprocess
import sys

WORK = """
import hashlib
import tinyhpe
from tinyhpe.cli import main
from tinyhpe.heads import render_head

COMMANDS = [  # 60 heads are two chunks: for two workers, where they can be started
    "train --heads 60 --input-size 32 --epochs 2 --batch-size 16 --out run",
    "render 1 --size 64 --out heads",
    "predict heads/head00000.jpg --model run --out poses",
    "lesson 1",
    "doctor",
]

if __name__ == "__main__":
    for command in COMMANDS:
        assert main(command.split()) == 0, command
    network, head = tinyhpe.load_model("run"), render_head(33, 96).image
    learned = hashlib.sha256(b"".join(parameter.numpy().tobytes() for parameter in network.parameters()))
    print(learned.hexdigest(), tinyhpe.predict(head), tinyhpe.predict(head, model=network))
"""


def last_line(folder, *way):
    """What WORK prints at its end, run in a way in an empty folder; warnings are errors."""
    folder.mkdir()
    (folder / "work.py").write_text(WORK)
    settings = {"TINYHPE_CACHE": str(folder), "OMP_NUM_THREADS": "1"}  # as BLAS has in a browser
    settings |= {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    command = [sys.executable, "-W", "error", "-m", *way, "work"]
    ran = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()[-1]


def test_in_a_browser_all_commands_work_and_a_network_learns_the_same_to_the_bit(tmp_path):
    assert last_line(tmp_path / "browser", "tests.in_browser") == last_line(tmp_path / "native")
