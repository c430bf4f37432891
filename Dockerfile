# One image for all three processes of the Procfile: `seats web` (the default), `seats worker`, `seats scheduler`.
#
#   docker build -t seat-reconciler .
#   docker run -e SEATS_REDIS_URL=redis://… -p 8000:8000 seat-reconciler
#   docker run -e SEATS_REDIS_URL=redis://… --no-healthcheck seat-reconciler seats worker
#
# Nothing secret is in it. Settings come from the environment, secrets best from mounted files
# (SEATS_STRIPE_API_KEY_FILE=/run/secrets/…), a settings file as /app/config/settings.toml.

FROM python:3.12-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# An environment without pip: nothing is installed in a running container.
RUN python -m venv --without-pip /opt/seats
# The packages first: this layer changes only when the lock does. It is the runtime's lock, a part of requirements.lock
# with the same versions: the test and type tools and the embedded server would add 140 MB.
COPY requirements-runtime.lock ./
RUN pip --python /opt/seats/bin/python install --require-hashes --only-binary :all: -r requirements-runtime.lock
COPY pyproject.toml LICENSE NOTICE README.md* ./
COPY config/ config/
COPY worker/ worker/
RUN pip --python /opt/seats/bin/python install --no-deps .

FROM python:3.12-slim
# tini is process 1: it passes signals on and buries orphans, which the worker's own processes are not made for.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 seats \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin seats
COPY --from=build /opt/seats /opt/seats
ENV PATH=/opt/seats/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SEATS_LOG_FORMAT=json
WORKDIR /app
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000
# For the web. Switch it off for the worker and the scheduler, which listen on nothing.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", \
    "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('SEATS_PORT', '8000')), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--"]
CMD ["seats", "web", "--host", "0.0.0.0"]
