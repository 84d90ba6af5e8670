"""The server's process: launched until it is ready, waited for, ended."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from app.embedded_postgres.account import Account, process_arguments
from app.embedded_postgres.cluster import Postmaster, find_postmaster, remove_stale_pid_file, signal_postmaster
from app.embedded_postgres.errors import EmbeddedPostgresError

_POLL = 0.01
_RETRY_FOR = 15.0  # seconds that processes left over from a killed server get to notice and end
_READY_WITHIN = 300.0  # seconds; recovery after a crash replays at most `max_wal_size`
_STOP_WITHIN = 60.0  # seconds for the checkpoint of an orderly stop
_LARGEST_LOG = 16 * 1024 * 1024
_PORT_TAKEN = ("could not bind", "could not create any TCP/IP sockets")
_LEFTOVERS = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block")


def launch(
    cluster: Path, command_for: Callable[[int], list[str]], account: Account | None
) -> tuple[subprocess.Popen[bytes], Postmaster]:
    """Start the server of a cluster that no server runs, and wait until it accepts connections.

    command_for: the command line for a port. The port of the last time is used again when it is free, so that a
    folder keeps its address. Raises EmbeddedPostgresError with the end of the server's log if it does not start.
    """
    deadline = time.monotonic() + _RETRY_FOR
    port_file = cluster.with_name("port")
    port = _free_port(_last_port(port_file))
    while True:
        remove_stale_pid_file(cluster)
        process, log = _spawn(command_for(port), cluster.with_name("pg.log"), account)
        try:
            postmaster = _wait_until_ready(process, cluster)
        except BaseException:
            end(process.pid, cluster, process)
            raise
        if postmaster is not None:
            port_file.write_text(f"{port}\n")
            return process, postmaster
        said = log()
        if time.monotonic() < deadline and any(reason in said for reason in _PORT_TAKEN):
            port = _free_port(None)
        elif time.monotonic() > deadline or not any(reason in said for reason in _LEFTOVERS):
            raise EmbeddedPostgresError(f"PostgreSQL did not start on {cluster}: {said or 'it wrote no reason'}")
        time.sleep(0.1)


def _spawn(
    command: list[str], log_path: Path, account: Account | None
) -> tuple[subprocess.Popen[bytes], Callable[[], str]]:
    if log_path.exists() and log_path.stat().st_size > _LARGEST_LOG:
        log_path.replace(log_path.with_name("pg.log.1"))
    with os.fdopen(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640), "ab") as log:
        start = log.seek(0, os.SEEK_END)
        # A session of its own: Ctrl-C in the terminal reaches the service, which stops the server when it is done.
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, **process_arguments(account)
        )

    def said() -> str:
        with log_path.open("rb") as file:
            file.seek(start)
            return file.read()[-2000:].decode(errors="replace").strip()

    return process, said


def _wait_until_ready(process: subprocess.Popen[bytes], cluster: Path) -> Postmaster | None:
    """The server once it is ready, None if its process ended before; TimeoutError when neither happens."""
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return None
        found = find_postmaster(cluster)
        if found is not None and found.pid == process.pid and found.ready:
            return found
        time.sleep(_POLL)
    raise TimeoutError(f"PostgreSQL was not ready after {_READY_WITHIN:.0f} s; see {cluster.with_name('pg.log')}")


def wait_until_settled(cluster: Path) -> Postmaster | None:
    """The server that runs on the cluster already, once it is ready; None if there is none or it is ending."""
    deadline = time.monotonic() + _READY_WITHIN
    while (found := find_postmaster(cluster)) is not None and not found.ready:
        if time.monotonic() > deadline:
            end(found.pid, cluster, None)
        time.sleep(_POLL)
    return found


def end(pid: int, cluster: Path, process: subprocess.Popen[bytes] | None) -> None:
    """Stop a server in order, and by force if it takes too long. `process` is given for a child of this process."""
    for number, patience in (
        (signal.SIGINT, _STOP_WITHIN),
        (signal.SIGQUIT, 10.0),
        (signal.SIGKILL, 10.0),
    ):
        if _ended(pid, cluster, process):
            return
        signal_postmaster(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if _ended(pid, cluster, process):
                return
            time.sleep(_POLL)


def _ended(pid: int, cluster: Path, process: subprocess.Popen[bytes] | None) -> bool:
    if process is not None:
        return process.poll() is not None
    found = find_postmaster(cluster)
    return found is None or found.pid != pid


def _last_port(port_file: Path) -> int | None:
    try:
        return int(port_file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _free_port(preferred: int | None) -> int:
    for port in [0] if preferred is None else [preferred, 0]:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise EmbeddedPostgresError("no TCP port of 127.0.0.1 is free")
