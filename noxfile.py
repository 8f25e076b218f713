"""The longer checks: other Pythons, the lowest versions, the built wheel.

``make check`` runs them all; ``make check ARGS="-s lowest"`` runs one.
"""

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
TYPING = nox.project.dependency_groups(PYPROJECT, "typing")
TEST = nox.project.dependency_groups(PYPROJECT, "test")
# Of what the declared dependencies bring along and this package imports, too.
LOWEST_OF_OTHERS = ["blinker==1.7.0", "sqlalchemy==2.0.23", "werkzeug==3.0.1"]


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run the suite on every Python that is present, with the newest releases."""
    session.install("-e", ".", *TEST)
    session.run(
        "pytest",
        "-q",
        "-n2",
        "--dist=worksteal",
        "-m",
        "not slow and not browser",
        *session.posargs,
    )


@nox.session(python="3.10" if shutil.which("python3.10") else None)
def lowest(session: nox.Session) -> None:
    """Run the core of the suite with the lowest versions that are declared."""
    declared = [line.replace(">=", "==") for line in PYPROJECT["project"]["dependencies"]]
    session.install("-e", ".", *TEST)
    session.install(*declared, *LOWEST_OF_OTHERS)
    session.run("pytest", "-q", "-m", "core", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take long.

    Real clients, faults, a deployment, the API's description, a fresh demo and the benchmarks.
    """
    session.install("-e", ".", *TEST, *nox.project.dependency_groups(PYPROJECT, "api-check"))
    session.run("pytest", "-q", "-m", "slow and not browser", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Check the built wheel, with the source folder out of reach: the suite's core, the types."""
    session.install("build", *TEST, *TYPING)
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist), str(ROOT), silent=True)
    built = list(map(str, dist.glob("*.whl")))
    session.install(*built)
    session.install("--force-reinstall", "--no-deps", *built)
    away = dist.parent / "away"
    shutil.rmtree(away, ignore_errors=True)
    # The tree without the package, so that what is imported can only be the wheel.
    left_out = shutil.ignore_patterns(".*", "__pycache__", "flask_imagemeta", "instance")
    shutil.copytree(ROOT, away, ignore=left_out)
    with session.chdir(away):
        session.run("pytest", "-q", "-m", "core", *session.posargs)
        session.run("pyright", "--verifytypes", "flask_imagemeta", "--ignoreexternal")
