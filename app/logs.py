"""JSON logs with an allow list of fields: what is not named here is not written, so personal data cannot slip in."""

import logging
import sys
from datetime import UTC, datetime

import orjson

FIELDS = (
    "request_id", "method", "route", "status", "ms", "code", "endpoint_id", "event_id", "job", "count", "worker",
    "operation_id", "attempt", "error_class",
)  # fmt: skip


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the allowed extra fields, and the stack of an error.

    Only the type of an exception is written, never its text: texts of database errors repeat the values of the row.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Render `record`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()
            if record.name.startswith(("app", "uvicorn", "alembic"))
            else str(record.msg),
        }
        line.update({name: record.__dict__[name] for name in FIELDS if name in record.__dict__})
        if record.exc_info and record.exc_info[0] is not None:
            line["error_class"] = record.exc_info[0].__name__
            frames = []
            trace = record.exc_info[2]
            while trace is not None:
                frames.append(f"{trace.tb_frame.f_code.co_filename.rsplit('/', 3)[-1]}:{trace.tb_lineno}")
                trace = trace.tb_next
            line["stack"] = frames[-12:]
        return orjson.dumps(line, default=str).decode()


def configure(level: str) -> None:
    """Send all logs to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # uvicorn's access log repeats query strings, which may hold names; app.main writes its own line per request.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
