# Server, set-up and flow worker: the packages of the lock and this project. From the repository's
# root:  docker build -f infra/images/worker.Dockerfile -t nsynth-flows-worker .
FROM python:3.11-slim-bookworm

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1

WORKDIR /app

# The packages change rarely and take minutes to install, so they are a layer of their own.
COPY requirements-dev.txt ./
RUN pip install --no-deps --require-hashes -r requirements-dev.txt

COPY pyproject.toml README.md LICENSE ./
COPY flows flows
COPY tasks tasks
COPY pipelines pipelines
COPY infra infra
RUN pip install --no-deps --no-build-isolation -e .

# A volume mounted there gets this folder's owner.
RUN useradd --create-home nsynth && install --directory --owner nsynth /cache
USER nsynth

CMD ["prefect", "worker", "start", "--pool", "nsynth", "--work-queue", "cpu"]
