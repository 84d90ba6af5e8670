"""The PostgreSQL that comes with the installation: started when no `DATABASE_URL` is set.

A data folder holds everything that belongs to one server: `pg/` (the cluster), `pg.log`, `password`, `port` and
`lock`, and, when the server runs as another user who cannot reach the installed programs, a copy of them in
`postgresql-VERSION/`. The address of a folder, port included, stays the same for as long as its port is free.

One service owns a folder at a time. It holds a lock on `lock` for as long as its process lives, and it is the one that
stops the server. A second service on the same folder is refused; other processes connect with `running_url`. When the
owning service was killed, its server keeps running, and the next `start` on the folder adopts it and later stops it.
"""

from app.embedded_postgres.errors import EmbeddedPostgresError
from app.embedded_postgres.server import EmbeddedPostgres, default_data_dir, running_url, start

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "default_data_dir", "running_url", "start"]
