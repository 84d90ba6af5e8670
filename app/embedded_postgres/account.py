"""The operating-system user the server runs as, and the folders that user can reach.

PostgreSQL refuses to run as root, so a service that runs as root starts it as `postgres` or `nobody`. No permission
of a folder that this package did not create is ever changed to make that work.
"""

import os
import pwd
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.embedded_postgres.errors import EmbeddedPostgresError

_CANDIDATES = ("postgres", "nobody")
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_PROBE = 'for path; do [ -x "$path" ] || { printf %s "$path"; exit 3; }; done'


@dataclass(frozen=True)
class Account:
    """An operating-system user: numeric ids, and the name for messages."""

    uid: int
    gid: int
    name: str


def server_account(cluster: Path) -> Account | None:
    """The account the server of a cluster must run as, or None for the account of this process.

    The owner of an existing cluster, or else of an existing data folder, unless that is root, goes before the users
    that systems have for such a purpose. Raises EmbeddedPostgresError if this is root and there is nobody to become.
    """
    if os.geteuid() != 0:
        return None
    for path in (cluster, cluster.parent):
        if path.exists() and (owner := path.stat()).st_uid != 0:
            return Account(owner.st_uid, owner.st_gid, name_of(owner.st_uid))
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and this system has neither a user `postgres` nor `nobody`: "
        "create one, run the service as an ordinary user, or set DATABASE_URL"
    )


def name_of(uid: int) -> str:
    """The login name of a user id, or the number itself where it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def process_arguments(account: Account | None) -> dict[str, Any]:
    """Keyword arguments for `subprocess` that run a program of the server as the account.

    The environment is a short list: the server must not inherit secrets of the service, nor `PG*` variables or a
    locale that would change what it does. The working directory may be one that the account cannot enter.
    """
    arguments: dict[str, Any] = {"env": clean_environment({}), "cwd": "/", "stdin": subprocess.DEVNULL}
    if account is not None:
        arguments |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return arguments


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment for PostgreSQL's programs: what finds libraries, a fixed locale and time zone, and `extra`."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC", **extra}


def first_unreachable(paths: Iterable[Path], account: Account) -> Path | None:
    """The first of the paths, or of the folders above them, that the account may not enter or execute."""
    wanted: dict[str, None] = {}
    for path in paths:
        wanted |= dict.fromkeys(str(part) for part in [*reversed(path.parents), path])
    command = ["/bin/sh", "-c", _PROBE, "sh", *wanted]
    try:
        answer = subprocess.run(command, capture_output=True, check=False, **process_arguments(account))
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and this process may not become user `{account.name}`: "
            "run the service as an ordinary user, or set DATABASE_URL"
        ) from error
    return Path(os.fsdecode(answer.stdout)) if answer.returncode == 3 else None


def prepare_folder(folder: Path, account: Account | None) -> None:
    """Create the data folder where it is missing, and make sure that the account can enter it.

    Raises EmbeddedPostgresError, naming the folder in the way, if the account cannot.
    """
    missing = [path for path in [folder, *folder.parents] if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700)
        if account is not None:
            path.chmod(0o755)
    if not folder.is_dir():
        raise EmbeddedPostgresError(f"{folder} is not a folder: choose another data folder with STAGEFOLIO_DATA_DIR")
    if account is None:
        return
    if not missing and not any(folder.iterdir()) and not folder.stat().st_mode & 0o001:
        folder.chmod(folder.stat().st_mode | 0o011)  # empty, so ours: a fresh temporary folder, for instance
    blocked = first_unreachable([folder], account)
    if blocked is not None:
        for path in missing:
            path.rmdir()
        raise EmbeddedPostgresError(
            f"the data folder {folder} is out of reach: PostgreSQL does not run as root but as user `{account.name}`, "
            f"who may not enter {blocked}. Choose a folder outside it with STAGEFOLIO_DATA_DIR, for example "
            "/var/lib/stagefolio, or run the service as an ordinary user"
        )


def give(path: Path, account: Account | None) -> None:
    """Make the account the owner of a file or of a whole folder; nothing happens without an account."""
    if account is None:
        return
    for part in [path, *(path.rglob("*") if path.is_dir() else ())]:
        os.chown(part, account.uid, account.gid, follow_symlinks=False)
