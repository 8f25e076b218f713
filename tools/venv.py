"""Make the virtual environment .venv with this package and some of its dependency groups.

Usage: python3 tools/venv.py GROUP [GROUP ...]. Needs nothing but Python 3.10; what is
installed already and unchanged takes no time.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def is_usable() -> bool:
    """Tell whether .venv is there, runs, is of this Python and was not moved from elsewhere."""
    if not PYTHON.exists():
        return False
    show = "import sys, pip; print(*sys.version_info[:2]); print(sys.prefix)"
    result = subprocess.run([PYTHON, "-c", show], capture_output=True, text=True, check=False)
    if result.returncode:
        return False
    version, prefix = result.stdout.splitlines()
    is_same = version == "{} {}".format(*sys.version_info)
    return is_same and Path(prefix).resolve() == VENV


def run(message: str, *command: object) -> None:
    print(f"==> {message}", flush=True)
    result = subprocess.run([str(part) for part in command], cwd=ROOT, check=False)
    if result.returncode:
        sys.exit(f"That failed: {' '.join(map(str, command))}")


def main(groups: "list[str]") -> None:
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"Python 3.10 or later is needed, this is {sys.version.split()[0]}: PYTHON=...?")
    if not is_usable():
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            sys.exit("This Python cannot make virtual environments: install python3-venv.")
        run("Making a virtual environment in .venv", sys.executable, "-m", "venv", "--clear", VENV)
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamps = [VENV / f"installed-{group}" for group in groups]
    if all(stamp.exists() and stamp.read_text() == wanted for stamp in stamps):
        return
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--upgrade"]
    run("Updating pip", *pip, "pip>=25.1")
    options = [option for group in groups for option in ("--group", group)]
    run(f"Installing the package and what {', '.join(groups)} needs", *pip, "-e", ".", *options)
    for stamp in stamps:
        stamp.write_text(wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
