"""P6: what importing costs beyond the libraries that a host application has anyway."""

import compileall
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import Figure, spread

PROGRAM = """
import json, time

# Linux tells the memory; the processor's time, not to count what other processes take.
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

import flask, flask_sqlalchemy, marshmallow
memory, start = resident(), time.process_time()
import flask_imagemeta
from flask_imagemeta.stores import ModelStore
print(json.dumps([(time.process_time() - start) * 1000, resident() - memory]))
"""


def measure(quick: bool, say: Callable[[str], None]) -> Iterator[Figure]:
    """Measure in fresh interpreters, with the package compiled as an installer leaves it."""
    compileall.compile_dir(Path(__file__).parents[1] / "flask_imagemeta", quiet=1)
    say("P6: importing in fresh interpreters")
    runs = []
    for _ in range(5 if quick else 25):
        run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
        runs.append(json.loads(run.stdout))
    beyond = "beyond flask, flask-sqlalchemy, marshmallow"
    milliseconds, megabytes = zip(*runs, strict=True)
    yield Figure("P6", f"import time {beyond}", spread(milliseconds), 30, unit="ms")
    yield Figure("P6", f"resident memory {beyond}", spread(megabytes), 4, unit="MiB")
