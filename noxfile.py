"""The checks that need environments of their own: ``make check`` runs them all.

``make check ARGS="-s lowest"`` runs one of them.
"""

import shutil
import sys
from itertools import chain
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
CURRENT = "{}.{}".format(*sys.version_info)  # make test runs on it
# Dependencies of the declared ones that this package imports, too.
LOWEST_INDIRECT = ["blinker==1.7.0", "werkzeug==3.0.1"]
# Tests of what the extras are for, beside the core tests.
EXTRAS_TESTS = ["tests/stores", "tests/cli", "tests/lists", "tests/test_openapi.py"]


def group(name: str) -> list[str]:
    return nox.project.dependency_groups(PYPROJECT, name)


def install(session: nox.Session, *arguments: str) -> None:
    # Python compiles what it imports; that is much less than what is installed.
    session.install("--no-compile", *arguments)


@nox.session(python=[version for version in PYTHONS if version != CURRENT])
def tests(session: nox.Session) -> None:
    """Run the suite on every other installed Python, with the newest releases."""
    install(session, "-e", ".", *group("test"))
    session.run("pytest", "-q", "--ignore=tests/browser", *session.posargs)


@nox.session(python="3.10" if shutil.which("python3.10") else None)
def lowest(session: nox.Session) -> None:
    """Test what depends on other packages with the lowest versions that are declared."""
    project = PYPROJECT["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    lowest = [line.replace(">=", "==") for line in declared]
    install(session, "-e", ".", *group("test"))
    install(session, *lowest, *LOWEST_INDIRECT)
    # urllib3 1 leaves the connections of a pool that is dropped to Python's garbage collector.
    options = ["-q", "-W", "ignore:unclosed <socket:ResourceWarning", *session.posargs]
    session.run("pytest", *options, "-m", "core")
    session.run("pytest", *options, "-m", "not core and not slow", *EXTRAS_TESTS)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines of the package the fast tests run."""
    install(session, "-e", ".", *group("test"))
    session.run("pytest", "-q", "--cov", "--ignore=tests/browser", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the slow tests; those that measure time come last, one at a time."""
    install(session, "-e", ".", *group("test"), *group("api-check"))
    options = ["-q", "--ignore=tests/browser", "--durations=20"]
    session.run("pytest", *options, "-m", "slow and not alone", *session.posargs)
    session.run("pytest", *options, "-m", "slow and alone")


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist and the wheel, check both, and test the wheel with the sdist's own tests."""
    install(session, *group("package"), *group("test"), *group("typing"))
    folder = Path(session.create_tmp()) / "package"
    shutil.rmtree(folder, ignore_errors=True)
    # The wheel is built from the sdist, so it has nothing that the sdist lacks.
    session.run("python", "-m", "build", "--outdir", str(folder), str(ROOT), silent=True)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    install(session, str(wheel))
    install(session, "--force-reinstall", "--no-deps", str(wheel))
    shutil.unpack_archive(sdist, folder)
    with session.chdir(folder / sdist.name.removesuffix(".tar.gz")):
        shutil.rmtree("flask_imagemeta")  # so that the tests import the wheel
        session.run("pytest", "-q", "-m", "core", *session.posargs)
        session.run("pyright", "--verifytypes", "flask_imagemeta", "--ignoreexternal")
