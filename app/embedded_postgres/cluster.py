"""One cluster on disk: creating it, the command line that serves it, and the process that serves it now."""

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.embedded_postgres.account import Account, give, process_arguments
from app.embedded_postgres.binaries import Binaries
from app.embedded_postgres.errors import EmbeddedPostgresError

USER = "stagefolio"
_CHOSEN_HERE = {"listen_addresses", "port", "unix_socket_directories"}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may not exceed 107 bytes, and a data folder may be deep
    "cluster_name": "stagefolio",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",  # compiling costs more than it saves in queries of milliseconds
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "lc_messages": "C",  # the reasons of a failed start are read from the log
}
_WITHOUT_FSYNC = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Postmaster:
    """The first process of a running server: its id, its TCP port, and whether it accepts connections."""

    pid: int
    port: int
    ready: bool


def major_of(cluster: Path) -> int | None:
    """The major version of the PostgreSQL that made the cluster; None if there is no cluster yet.

    Raises EmbeddedPostgresError if the folder holds something else.
    """
    if not cluster.exists() or (cluster.is_dir() and not any(cluster.iterdir())):
        return None
    try:
        return int((cluster / "PG_VERSION").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise EmbeddedPostgresError(
            f"{cluster} is no PostgreSQL cluster: move it away, or choose another STAGEFOLIO_DATA_DIR"
        ) from error


def ensure_password(data_dir: Path, account: Account | None, *, new: bool) -> str:
    """The password of the cluster's user, drawn and written (readable by its owner only) for a new cluster.

    Raises EmbeddedPostgresError if the password of an existing cluster is missing.
    """
    path = data_dir / "password"
    if new and not path.exists():
        draft = data_dir / "password.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
        give(draft, account)  # initdb reads it, and runs as the account
        draft.rename(path)
    return read_password(data_dir)


def read_password(data_dir: Path) -> str:
    """The password of the cluster's user; EmbeddedPostgresError if the file is missing."""
    path = data_dir / "password"
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise EmbeddedPostgresError(f"{path} is missing: restore it, or start from an empty data folder") from error


def initialise(cluster: Path, binaries: Binaries, account: Account | None, *, fsync: bool) -> None:
    """Make a new cluster: UTF-8, sorted by code point everywhere, scram passwords only.

    It is made beside its place and moved there when it is complete: an interrupted attempt leaves nothing behind that
    looks like a cluster. Raises EmbeddedPostgresError with what initdb said.
    """
    draft = cluster.with_name("pg.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    give(draft, account)
    command = [
        str(binaries.bin / "initdb"),
        f"--pgdata={draft}",
        f"--username={USER}",
        f"--pwfile={cluster.with_name('password')}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *([] if fsync else ["--no-sync"]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **process_arguments(account))
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"initdb could not make a cluster in {cluster}: {done.stderr.strip()}")
    if cluster.exists():
        cluster.rmdir()  # major_of() found it empty
    draft.rename(cluster)
    folder = os.open(cluster.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def server_command(
    cluster: Path, binaries: Binaries, port: int, *, fsync: bool, settings: Mapping[str, str]
) -> list[str]:
    """The command line of the server. `settings` win over the ones chosen here, except for where it listens."""
    for name, value in settings.items():
        if not re.fullmatch(r"[a-z_][a-z0-9_.]*", name):
            raise EmbeddedPostgresError(f"settings: {name!r} is no name of a PostgreSQL setting")
        if name in _CHOSEN_HERE:
            raise EmbeddedPostgresError(f"settings: {name} is fixed, the server listens on a free port of 127.0.0.1")
        if "\0" in value:
            raise EmbeddedPostgresError(f"settings: the value of {name} contains a NUL character")
    merged = {**_SETTINGS, **({} if fsync else _WITHOUT_FSYNC), **settings}
    options = [option for name, value in merged.items() for option in ("-c", f"{name}={value}")]
    return [str(binaries.bin / "postgres"), "-D", str(cluster), "-p", str(port), *options]


def was_started_with(cluster: Path, command: list[str]) -> bool:
    """Whether the running server of the cluster was started with exactly this command line."""
    try:
        started = (cluster / "postmaster.opts").read_text()
    except FileNotFoundError:
        return False
    return started.strip() == command[0] + "".join(f' "{argument}"' for argument in command[1:])


def find_postmaster(cluster: Path) -> Postmaster | None:
    """The process that serves the cluster now, or None. A stale `postmaster.pid` counts as none."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None
    if not _serves(pid, cluster):
        return None
    return Postmaster(pid, port, len(lines) > 7 and lines[7].strip() == "ready")


def remove_stale_pid_file(cluster: Path) -> None:
    """Delete `postmaster.pid` when its process id is now that of an unrelated process, which PostgreSQL cannot tell.

    For the holder of the folder's lock only. Processes left over from a killed server are not forgotten by this:
    PostgreSQL finds them by the shared memory of the cluster.
    """
    path = cluster / "postmaster.pid"
    try:
        pid = int(path.read_text().split(maxsplit=1)[0])
        os.kill(pid, 0)
    except (FileNotFoundError, IndexError, ValueError, ProcessLookupError, PermissionError):
        return  # PostgreSQL handles these itself
    if not _serves(pid, cluster):
        path.unlink(missing_ok=True)


def signal_postmaster(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone already is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _serves(pid: int, cluster: Path) -> bool:
    # A zombie has an empty command line; a process that got the id by chance has another one.
    if Path("/proc/self/cmdline").exists():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(cluster) in arguments
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return os.fsencode(cluster) in listed.stdout
