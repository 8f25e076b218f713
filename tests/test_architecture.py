"""The architecture: which module imports which, and what is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import flask_imagemeta

pytestmark = pytest.mark.core

PACKAGE = "flask_imagemeta"
FOLDER = Path(flask_imagemeta.__file__).parent

# Each module, or folder of modules, imports from those before it and from no other.
ORDER = """
exceptions wire request_id age image access query fields signals model schema documents answers
limits conditional hooks config files state stores bad_query parameters listing operation show
search blueprint cli extension openapi __init__
""".split()  # noqa: SIM905

# What may be missing, and the words of its import.
OPTIONAL = ("apispec", "asgiref", "dogpile", "flask_migrate", "keystoneauth1", "oslo_utils", "yaml")


def module_name(path: Path) -> str:
    parts = path.relative_to(FOLDER.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {module_name(path): path for path in sorted(FOLDER.rglob("*.py"))}


def place(module: str) -> str:
    """Return the word of ORDER that stands for a module."""
    _, _, rest = module.partition(".")
    return rest.split(".")[0] or "__init__"


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are not only for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from executed(node)


@cache
def imports(module: str, nodes: Callable[[ast.AST], Iterable[ast.AST]] = ast.walk) -> set[str]:
    """Return the full names of the modules that a module imports in these nodes."""
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= names & FILES.keys() or {base}
    return found


def own_imports(module: str) -> set[str]:
    return imports(module) & FILES.keys()


@pytest.mark.parametrize("module", FILES)
def test_imports_run_one_way(module: str) -> None:
    """A module imports only from its own folder or from modules before it in the order.

    Imports for type checkers count, too.
    """
    assert place(module) in ORDER, f"{module} has no place in ORDER"
    for other in own_imports(module):
        assert ORDER.index(place(other)) <= ORDER.index(place(module)), f"{module} imports {other}"


def test_design_page() -> None:
    """The tables of modules on the design page have each module once, commands as one."""
    page = Path(__file__).parents[1] / "docs" / "design.md"
    rows = re.findall(r"^\| (`.+?) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    modules = {name.partition(".")[2] for name in FILES}
    expected = {name for name in modules if name and not name.startswith("cli.")}
    assert sorted(listed) == sorted(expected)


def test_no_circle() -> None:
    """No module imports itself by way of others, for type checkers neither."""
    graph = {module: own_imports(module) - {module} for module in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


@pytest.mark.parametrize("module", [name for name in FILES if place(name) == "stores"])
def test_stores_know_errors_and_the_record(module: str) -> None:
    """A store knows errors, the record and its fields, queries, the request's id and age."""
    others = {place(other) for other in own_imports(module)}
    assert others <= {"age", "exceptions", "fields", "image", "query", "request_id", "stores"}


@pytest.mark.parametrize("module", ["wire", "exceptions"])
def test_pure_modules(module: str) -> None:
    """The grammar and the errors need nothing but Python's own library."""
    found = {name.split(".")[0] for name in imports(f"{PACKAGE}.{module}")}
    assert found <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("dependency", OPTIONAL)
def test_optional_dependency_has_one_door(dependency: str) -> None:
    """An optional dependency is imported by one module at most, except for type checkers."""
    doors = [
        module
        for module in FILES
        if dependency in {name.split(".")[0] for name in imports(module, executed)}
    ]
    assert len(doors) <= 1, doors


def test_import_without_optional_dependencies() -> None:
    """The package and `import *` from it and its stores work without any optional dependency."""
    program = f"""
import sys
sys.modules.update(dict.fromkeys({OPTIONAL!r}))  # importing one raises
from flask_imagemeta import *
from flask_imagemeta.stores import *
ImageMeta(), ModelStore
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_import_without_sqlalchemy() -> None:
    """Importing the package does not import SQLAlchemy, which takes many times as long."""
    program = "import sys, flask_imagemeta; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def public_objects() -> Iterator[tuple[str, object]]:
    """Yield what a user may see: the public names, the modules' own, and their methods."""
    for name in flask_imagemeta.__all__:
        yield name, getattr(flask_imagemeta, name)
    for info in pkgutil.walk_packages([str(FOLDER)], f"{PACKAGE}."):
        try:
            module = importlib.import_module(info.name)
        except ImportError:  # its optional dependency is missing
            continue
        yield info.name, module
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != info.name:
                continue
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            yield f"{info.name}.{name}", value
            for member, function in vars(value).items() if inspect.isclass(value) else ():
                is_method = inspect.isfunction(function) or isinstance(function, property)
                if is_method and not member.startswith("_"):
                    yield f"{info.name}.{name}.{member}", function


def test_docstrings() -> None:
    """Every public name, and every module's, is documented by a sentence."""
    undocumented = [name for name, value in public_objects() if not inspect.getdoc(value)]
    assert undocumented == []


def test_public_names() -> None:
    """The public names are sorted, exist, and are all that `import *` brings."""
    names = flask_imagemeta.__all__
    assert list(names) == sorted(names)
    assert {"ImageMeta", "ImageMetaSchema", "ImageMixin", "Identity"} <= set(names)
    assert all(hasattr(flask_imagemeta, name) for name in names)


def test_typed() -> None:
    """The package tells type checkers that it is typed."""
    assert (FOLDER / "py.typed").is_file()
