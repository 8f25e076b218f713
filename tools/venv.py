"""Create the virtual environment .venv with this package and some of its dependency groups.

Usage: python3 tools/venv.py GROUP [GROUP ...]. Needs only Python 3.10. Groups that are installed
already are skipped until pyproject.toml changes.
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
    """Return whether .venv exists, works, has this version of Python and was not moved."""
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
        sys.exit(f"This command failed: {' '.join(map(str, command))}")


def main(groups: "list[str]") -> None:
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit(f"This is Python {sys.version.split()[0]}; use 3.10 or later: PYTHON=...")
    if not is_usable():
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            sys.exit("This Python cannot create virtual environments: install python3-venv.")
        run("Creating .venv", sys.executable, "-m", "venv", "--clear", VENV)
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamps = [VENV / f"installed-{group}" for group in groups]
    if all(stamp.exists() and stamp.read_text() == wanted for stamp in stamps):
        return
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    # Python compiles what it imports; that is much less than what is installed.
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "--no-compile"]
    run("Updating pip", *pip, "pip>=25.1")
    options = [option for group in groups for option in ("--group", group)]
    run(f"Installing the package for: {', '.join(groups)}", *pip, "-e", ".", *options)
    for stamp in stamps:
        stamp.write_text(wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
