"""`stagefolio run` as a whole: what survives a killed server, a killed service, a signal."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.embedded_postgres import running_url


@pytest.fixture
def start() -> Iterator[Callable[[], "Service"]]:
    """Starts services that share one data folder; whatever still runs at the end is ended."""
    folder = Path(tempfile.mkdtemp(prefix="stagefolio-run-"))
    folder.chmod(0o755)
    services: list[Service] = []

    def one() -> Service:
        services.append(Service(folder))
        services[-1].wait()
        return services[-1]

    yield one
    for service in services:
        if service.process.poll() is None:
            service.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Service:
    """A `stagefolio run` of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.data = folder / "data"
        environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "STAGEFOLIO_DATA_DIR")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "run", "--port", str(self.port), "--data", str(self.data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    @property
    def key(self) -> str:
        return (self.data / "api.key").read_text()

    def wait(self, seconds: float = 60) -> None:
        """Until customers can be listed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise TimeoutError("the service does not become ready")

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        return httpx.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=20,
            **options,
        )

    def insist(self, method: str, path: str, status: int, **options: object) -> None:
        """Repeat a request while it is answered 503."""
        deadline = time.monotonic() + 30
        while (answer := self.request(method, path, **options)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert answer.status_code == status, answer.text

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


def postmaster(data: Path) -> int:
    return int((data / "pg" / "postmaster.pid").read_text().split()[0])


def test_a_run_survives_its_killed_server_and_its_own_death(start):
    service = start()
    created = service.request("POST", "/v1/customers", json={"full_name": "Survivor"})
    assert created.status_code == 201, created.text
    path = f"/v1/customers/{created.json()['id']}"

    # The server is killed: the service starts it again, on the same address. Until then the answer is 503, never 500.
    os.kill(postmaster(service.data), signal.SIGKILL)
    service.insist("GET", path, 200)
    service.insist("POST", "/v1/customers", 201, json={"full_name": "After"})

    # The service is killed: the next one finds everything, under the key that was shown first.
    key = service.key
    service.stop(signal.SIGKILL)
    assert running_url(service.data) is not None
    again = start()
    assert again.key == key
    assert again.request("GET", path).status_code == 200
    assert again.stop(signal.SIGTERM) == 0
    assert running_url(service.data) is None, "the adopted server was stopped with the service"


def test_ctrl_c_ends_it_cleanly(start):
    service = start()
    assert service.stop(signal.SIGINT) == 0
    assert running_url(service.data) is None
