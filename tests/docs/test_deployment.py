"""What the pages say about servers and proxies holds for real ones."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
from configparser import ConfigParser
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask, request as request_
from gunicorn.config import Config

from example_app import create_app
from flask_imagemeta import ImageMeta

from ..local_server import free_port, serve
from ..needs import needs
from ..proxies.programs import blocks, head, nginx_server, running, wait_for
from .test_examples import ROOT

EXAMPLE = "/v1/images/03bc0a8b-659c-4de9-b6bd-13c6e86e6455"


@pytest.mark.slow
@pytest.mark.parametrize("command", blocks("deployment.md", "sh"), ids=lambda c: c.split()[0])
def test_servers_serve_the_example(command: str, tmp_path: Path) -> None:
    """Each command line of the deployment page serves the application that ``wsgi.py`` makes."""
    config = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/images.sqlite"}
    create_app(config)  # fills the database before two processes would at once
    source = blocks("deployment.md", "python")[0].replace("create_app()", f"create_app({config})")
    (tmp_path / "wsgi.py").write_text(source)
    port = free_port()
    program, *arguments = shlex.split(command.replace(":8000", f":{port}"))
    path = Path(sys.executable).parent / program
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    options = {"cwd": tmp_path, "env": environment, "stdout": subprocess.DEVNULL}
    with running([str(path), *arguments], port, **options):
        response = head(port, EXAMPLE)
    assert response.status == 200
    assert response.headers["X-Image-Meta-Size"] == "4979632"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def read_unit() -> ConfigParser:
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(blocks("deployment.md", "systemd")[0])
    return unit


def command_of_the_unit() -> list[str]:
    return shlex.split(read_unit()["Service"]["ExecStart"])[1:]


def command_of_the_container() -> list[str]:
    (command,) = re.findall(r"(?m)^CMD (.*)$", blocks("deployment.md", "dockerfile")[0])
    return list(json.loads(command))[1:]


APPLICATION = """
from flask import Flask
from flask_imagemeta import ImageMeta, StoreUnavailable

def find(image_id):
    if image_id == "down":
        raise StoreUnavailable("no store")
    return {"id": image_id}

app = Flask("myapp")
ImageMeta(app, lookup=find)
"""
CALLERS_ID = "req-11111111-2222-4333-8444-555555555555"


@pytest.mark.slow
@pytest.mark.parametrize("command", [command_of_the_unit(), command_of_the_container()])
def test_gunicorns_configuration(command: list[str], tmp_path: Path) -> None:
    """Started as the unit and the container do, gunicorn logs JSON with the id of each request."""
    (config,) = (b for b in blocks("deployment.md", "python") if "logconfig_dict =" in b)
    port = free_port()
    (tmp_path / "wsgi.py").write_text(APPLICATION)
    (tmp_path / "gunicorn.conf.py").write_text(config.replace(":8000", f":{port}"))
    arguments = [part.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for part in command]
    program = [sys.executable, "-m", "gunicorn", *arguments]
    log = tmp_path / "log"
    with log.open("w") as output:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(program, cwd=tmp_path, env=environment, stderr=output)
        try:
            wait_for(port, process)
            answers = [
                head(port, f"/v1/images/{image_id}", {"X-Openstack-Request-Id": CALLERS_ID})
                for image_id in ("d1", "down")
            ]
        finally:
            process.terminate()
            process.wait(30)
    ids = [answer.headers["X-Openstack-Request-Id"] for answer in answers]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    access = [line["message"] for line in lines if line["name"] == "gunicorn.access"]
    statuses = {m.split()[-1]: m.split('"')[2].split()[0] for m in access}
    assert statuses == dict(zip(ids, ["200", "503"], strict=True))
    (warning,) = (line for line in lines if line["name"].startswith("flask_imagemeta"))
    assert warning["request_id"] == ids[1]
    assert warning["caller_request_id"] == CALLERS_ID
    assert "gunicorn.error" in {line["name"] for line in lines}


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """The unit has no unknown key and no bad value."""
    program = shutil.which("systemd-analyze") or needs("systemd-analyze")
    unit = tmp_path / "imagemeta.service"
    text = blocks("deployment.md", "systemd")[0]
    gunicorn = tmp_path / "gunicorn"  # its own path, unlike that of .venv, never has spaces
    gunicorn.symlink_to(sys.executable)
    unit.write_text(text.replace("/srv/imagemeta/.venv/bin/gunicorn", str(gunicorn)))
    command = [program, "verify", "--man=no", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_servers_stop_in_time() -> None:
    """What ends the server waits longer than gunicorn gives the requests under way."""
    pod = yaml.safe_load(blocks("deployment.md", "yaml")[0])["spec"]["template"]["spec"]
    graceful = Config().settings["graceful_timeout"].get()
    assert pod["terminationGracePeriodSeconds"] > graceful
    assert int(read_unit()["Service"]["TimeoutStopSec"]) > graceful


def test_kubernetes_asks_for_what_is_there() -> None:
    """Each probe asks one of the page's views, on the container's port."""
    deployment = yaml.safe_load(blocks("deployment.md", "yaml")[0])
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    page: dict[str, Any] = {}
    (views,) = (b for b in blocks("deployment.md", "python") if "def is_ready" in b)
    exec(views, page)
    client = page["app"].test_client()
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[name]["httpGet"]
        assert {"containerPort": asked["port"]} in container["ports"]
        assert client.get(asked["path"]).status_code == 204


@pytest.mark.slow
def test_nginx_speaks_tls(tmp_path: Path) -> None:
    """Behind the page's nginx, the application sees the scheme and address of the client."""
    openssl = shutil.which("openssl") or needs("openssl, for a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    request = [openssl, "req", "-x509", *options, "-addext", "subjectAltName=IP:127.0.0.1", *files]
    subprocess.run(request, check=True, capture_output=True)
    (server,) = blocks("deployment.md", "nginx")
    server = server.replace("/etc/ssl/images.example.com.pem", str(certificate))
    server = server.replace("/etc/ssl/private/images.example.com.key", str(key))
    seen: list[tuple[str | None, ...]] = []
    app = Flask(__name__)
    ImageMeta(app, lookup=lambda image_id: {"id": image_id, "name": "voilà"})
    app.before_request(lambda: seen.append((request_.scheme, request_.remote_addr, request_.host)))
    (fix,) = (b for b in blocks("deployment.md", "python") if "ProxyFix" in b)
    exec(fix, {"app": app})
    trust = ssl.create_default_context(cafile=certificate)
    with serve(app) as upstream, nginx_server(server, upstream, tmp_path) as port:
        connection = HTTPSConnection("127.0.0.1", port, timeout=10, context=trust)
        connection.request("HEAD", "/v1/images/d1", headers={"Host": "images.example.com"})
        response = connection.getresponse()
        connection.close()
    assert response.status == 200
    assert response.headers["X-Image-Meta-Name"].encode("latin-1").decode() == "voilà"
    assert seen == [("https", "127.0.0.1", "images.example.com")]


def test_the_testing_page_is_a_suite_that_passes(tmp_path: Path) -> None:
    """The three files on the page about pytest-flask, put into one folder, pass."""
    for block in blocks("testing.md", "python"):
        (tmp_path / block.split()[1]).write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout
