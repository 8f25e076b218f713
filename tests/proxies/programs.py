"""Proxies that stand in front of an application, each run as its own process on loopback."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from ..local_server import free_port
from ..needs import needs

DOCS = Path(__file__).parents[2] / "docs"
MODULES = "/usr/lib/apache2/modules"  # where Debian has them
PATIENCE = 30  # seconds for a program to start


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language on a page of docs/."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def head(port: int, path: str, headers: dict[str, str] | None = None) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("HEAD", path, headers=headers or {})
        return connection.getresponse()
    finally:
        connection.close()


def find_program(name: str) -> str:
    """Return a program's path, also from where Debian keeps servers."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or needs(
        f"the program {name}"
    )


@contextmanager
def running(command: list[str], port: int, **options: object) -> Iterator[None]:
    """Run a server until the block ends; it begins once the server accepts connections."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as server:  # type: ignore[call-overload]
        try:
            wait_for(port, server)
            yield
        finally:
            server.terminate()


def wait_for(port: int, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    server.terminate()
    raise AssertionError(f"{server.args!r} does not listen: {server.communicate()[1]}")


@contextmanager
def nginx(location: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run nginx with one location, in front of an application's port; yields nginx' own port."""
    with nginx_server(f"server {{ listen 80;\n{location} }}", upstream, folder) as port:
        yield port


@contextmanager
def nginx_server(server: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run nginx with one server, which then listens on the port that is yielded."""
    binary, port = find_program("nginx"), free_port()
    paths = "\n".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    server = re.sub(r"listen \d+", f"listen 127.0.0.1:{port}", server)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; {paths}\n"
        f"proxy_cache_path {folder}/cache keys_zone=images:1m;\n"
        f"{server.replace(':8000', f':{upstream}')} }}\n"
    )
    with running([binary, "-p", str(folder), "-c", str(config)], port):
        yield port


@contextmanager
def varnish(vcl: str, parameters: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run Varnish with a VCL and run-time parameters, in front of an application's port."""
    binary, port = find_program("varnishd"), free_port()
    config = folder / "default.vcl"
    config.write_text(vcl.replace('"8000"', f'"{upstream}"'))
    command = [binary, "-F", "-j", "none", "-n", str(folder / "work"), "-f", str(config)]
    command += ["-a", f"127.0.0.1:{port}", "-s", "malloc,16m", *parameters.split()]
    with running(command, port, stdout=subprocess.DEVNULL):
        yield port


@contextmanager
def haproxy(config: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run HAProxy with a configuration, in front of an application's port."""
    binary, port = find_program("haproxy"), free_port()
    file = folder / "haproxy.cfg"
    bound = config.replace("bind :80", f"bind 127.0.0.1:{port}")
    file.write_text(bound.replace(":8000", f":{upstream}"))
    with running([binary, "-db", "-f", str(file)], port):
        yield port


@contextmanager
def apache(directives: str, upstream: int, folder: Path) -> Iterator[int]:
    """Run Apache with some directives of a server, in front of an application's port."""
    binary, port = find_program("apache2"), free_port()
    modules = "\n".join(
        f"LoadModule {name}_module {MODULES}/mod_{name}.so"
        for name in ("mpm_event", "authz_core", "proxy", "proxy_http")
    )
    file = folder / "apache.conf"
    file.write_text(
        f"ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\n"
        f"PidFile {folder}/pid\nErrorLog {folder}/error.log\nDefaultRuntimeDir {folder}\n"
        f"{modules}\n{directives.replace(':8000', f':{upstream}')}"
    )
    with running([binary, "-D", "FOREGROUND", "-f", str(file)], port):
        yield port
