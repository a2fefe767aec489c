# The image of remote Beam workers, by Beam's contract for containers: started with the addresses of an engine it is a
# worker, started with --worker_pool it starts workers on request. From the repository's root:
#   docker build -f infra/images/beam-worker.Dockerfile -t nsynth-flows-beam-worker .
#   docker build -f infra/images/beam-worker.Dockerfile --target dataflow -t REGION-docker.pkg.dev/PROJECT/... .

# Beam's boot program, built from source: Go checks the source against a public log of checksums, and `make engines`
# builds the same program, so that the tests run what runs here. Beam's own image has it too, with gigabytes of packages.
FROM golang:1.26-bookworm AS boot
RUN CGO_ENABLED=0 go install github.com/apache/beam/sdks/v2/python/container@v2.77.0

FROM python:3.11-slim-bookworm AS python
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
WORKDIR /app

# This project's wheel. The tools that build it are pinned by the lock, and are not part of the image.
FROM python AS wheel
COPY requirements-dev.txt ./
RUN awk '/^[a-z]/ { kept = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/ } kept' requirements-dev.txt > build.txt && \
    pip install --no-deps --require-hashes -r build.txt
COPY pyproject.toml README.md LICENSE ./
COPY flows flows
COPY tasks tasks
COPY pipelines pipelines
COPY infra infra
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist .

FROM python AS contract
COPY --from=boot /go/bin/container /opt/apache/beam/boot
# Everything is installed. Without this, each worker would first create an environment of its own.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
ENTRYPOINT ["/opt/apache/beam/boot"]

# Dataflow mounts folders that belong to root for workers to write to, so the user stays root. The packages are those
# of the extra dataflow, since workers need them for gs://.
FROM contract AS dataflow
COPY requirements-dataflow.txt ./
RUN pip install --no-deps --require-hashes -r requirements-dataflow.txt
COPY --from=wheel /app/dist dist
RUN pip install --no-deps dist/*.whl

# On other engines, a worker writes to /tmp, and its options to its working folder.
FROM contract AS worker
COPY requirements-beam.txt ./
RUN pip install --no-deps --require-hashes -r requirements-beam.txt
COPY --from=wheel /app/dist dist
RUN pip install --no-deps dist/*.whl
RUN useradd --create-home nsynth
WORKDIR /home/nsynth
USER nsynth
