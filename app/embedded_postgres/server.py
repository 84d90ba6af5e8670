"""The running server of a data folder: started, adopted, found, stopped."""

import atexit
import fcntl
import os
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

from app.embedded_postgres.account import Account, clean_environment, give, name_of, prepare_folder, server_account
from app.embedded_postgres.binaries import Binaries, find_binaries, reachable_binaries, remove_other_copies
from app.embedded_postgres.cluster import (
    USER,
    Postmaster,
    ensure_password,
    find_postmaster,
    initialise,
    major_of,
    read_password,
    server_command,
    was_started_with,
)
from app.embedded_postgres.errors import EmbeddedPostgresError
from app.embedded_postgres.process import end, launch, wait_until_settled

DATABASE = "stagefolio"
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
_CREATE_DATABASE = """
SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec
"""


class EmbeddedPostgres:
    """A running server that this process owns; made by `start`. As a context manager it stops at the end.

    data_dir: the resolved data folder. port: the TCP port on 127.0.0.1. pid: the server's first process.
    """

    def __init__(
        self,
        data_dir: Path,
        postmaster: Postmaster,
        password: str,
        process: subprocess.Popen[bytes] | None,
        lock: int,
        relaunch: Callable[[], tuple[subprocess.Popen[bytes], Postmaster]],
    ) -> None:
        """Take over a ready server. process: None if it is not a child of this process. lock: the folder's lock."""
        self._relaunch = relaunch
        self.data_dir = data_dir
        self.port = postmaster.port
        self.pid = postmaster.pid
        self._password = password
        self._process = process
        self._lock: int | None = lock
        self._owner = os.getpid()
        atexit.register(self.stop)

    def url(self, database: str = DATABASE) -> str:
        """The address of a database of this server, password included: `postgresql://user:password@host:port/name`."""
        return _address(self._password, self.port, database)

    def ensure_running(self) -> bool:
        """Start the server again if its first process is gone, killed or crashed; returns whether it was.

        The address stays the same. Raises EmbeddedPostgresError if it does not start.
        """
        if self._lock is None or (self._process is not None and self._process.poll() is None):
            return False
        found = find_postmaster(self.data_dir / "pg")
        if found is not None and found.pid == self.pid:  # adopted, not a child of this process
            return False
        self._process, postmaster = self._relaunch()
        self.pid, self.port = postmaster.pid, postmaster.port
        return True

    def stop(self) -> None:
        """Stop the server and release the folder. Open connections are closed. A second call does nothing.

        A copy of this object in a forked process does not stop it.
        """
        if self._lock is None or os.getpid() != self._owner:
            return
        lock, self._lock = self._lock, None
        try:
            end(self.pid, self.data_dir / "pg", self._process)
        finally:
            os.close(lock)
            atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        """The server itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()


def start(data_dir: Path, *, fsync: bool = True, settings: Mapping[str, str] = _NO_SETTINGS) -> EmbeddedPostgres:
    """Serve a data folder: make its cluster if there is none, start PostgreSQL, and create the database `stagefolio`.

    data_dir: created if missing. fsync: False gives up safety against power loss for speed, for tests. settings:
    PostgreSQL settings, which win over the ones chosen here.

    A server that a killed service left running is adopted if it was started with the same programs and settings, and
    restarted otherwise. Returns when the server accepts connections. Raises EmbeddedPostgresError if another live
    service uses the folder, if the folder or the programs cannot be used, or if the server does not start.
    """
    folder = data_dir.expanduser().resolve()
    try:
        account = server_account(folder / "pg")
        prepare_folder(folder, account)
        lock = _lock(folder)
        try:
            return _serve(folder, account, lock, fsync=fsync, settings=settings)
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise EmbeddedPostgresError(_explain(folder, error)) from error


def running_url(data_dir: Path) -> str | None:
    """The address of the database `stagefolio` on the server that serves a folder now; None if none does.

    Raises EmbeddedPostgresError if this user may not read the folder.
    """
    folder = data_dir.expanduser().resolve()
    try:
        found = find_postmaster(folder / "pg")
        return _address(read_password(folder), found.port, DATABASE) if found is not None and found.ready else None
    except OSError as error:
        raise EmbeddedPostgresError(_explain(folder, error)) from error


def default_data_dir() -> Path:
    """The data folder where none is given: STAGEFOLIO_DATA_DIR, or the usual place of this user's data."""
    chosen = os.environ.get("STAGEFOLIO_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/stagefolio")
    data_home = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    if not data_home.is_absolute():  # the specification says to ignore a relative one
        data_home = Path("~/.local/share").expanduser()
    return data_home / "stagefolio"


def _serve(
    folder: Path, account: Account | None, lock: int, *, fsync: bool, settings: Mapping[str, str]
) -> EmbeddedPostgres:
    cluster = folder / "pg"
    major = major_of(cluster)
    found = find_binaries(major)
    binaries = reachable_binaries(found, account, folder)
    command_for = partial(server_command, cluster, binaries, fsync=fsync, settings=settings)
    command_for(0)  # a wrong setting is refused before anything is made
    password = ensure_password(folder, account, new=major is None)
    if major is None:
        initialise(cluster, binaries, account, fsync=fsync)
    elif account is not None and cluster.stat().st_uid != account.uid:
        give(cluster, account)  # restored by root from a backup
    process = None
    postmaster = wait_until_settled(cluster)
    if postmaster is not None and not was_started_with(cluster, command_for(postmaster.port)):
        end(postmaster.pid, cluster, None)
        postmaster = None
    if postmaster is None:
        process, postmaster = launch(cluster, command_for, account)
    try:
        remove_other_copies(binaries, folder)
        _ensure_database(binaries, password, postmaster.port)
    except BaseException:
        end(postmaster.pid, cluster, process)
        raise
    relaunch = partial(launch, cluster, command_for, account)
    return EmbeddedPostgres(folder, postmaster, password, process, lock, relaunch)


def _ensure_database(binaries: Binaries, password: str, port: int) -> None:
    done = subprocess.run(
        [
            binaries.client / "psql",
            *("--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", f"--set=name={DATABASE}"),
            *("--host=127.0.0.1", f"--port={port}", f"--username={USER}", "--dbname=postgres"),
        ],
        input=_CREATE_DATABASE,
        env=clean_environment({"PGPASSWORD": password, "PGSSLMODE": "disable", "PGCONNECT_TIMEOUT": "30"}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"the database {DATABASE} could not be made sure of: {done.stderr.strip()}")


def _lock(folder: Path) -> int:
    """Take the folder for this process; the kernel gives it back when the process ends, however it ends."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(lock, 32).decode().strip()
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            raise
        raise EmbeddedPostgresError(
            f"the data folder {folder} is already in use by process {owner or 'of another service'}: stop that one, "
            "connect to its server (`stagefolio db url`), or choose another STAGEFOLIO_DATA_DIR"
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _address(password: str, port: int, database: str) -> str:
    return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/{quote(database, safe='')}"


def _explain(folder: Path, error: OSError) -> str:
    reason = f"the data folder {folder} cannot be used: {error}"
    if isinstance(error, PermissionError):
        existing = next(path for path in [folder, *folder.parents] if os.path.lexists(path))
        reason += (
            f". {existing} belongs to user `{name_of(existing.stat().st_uid)}`: run as that user, or choose another "
            "folder with STAGEFOLIO_DATA_DIR"
        )
    return reason
