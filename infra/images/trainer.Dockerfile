# A worker that trains, on CPUs or on a GPU:
#   docker build -f infra/images/trainer.Dockerfile --target gpu -t nsynth-flows-trainer-gpu .
ARG WORKER=nsynth-flows-worker
FROM ${WORKER} AS cpu

CMD ["prefect", "worker", "start", "--pool", "nsynth", "--work-queue", "gpu"]

FROM cpu AS gpu

# CUDA comes with TensorFlow's wheels; the driver comes from the host.
USER root
RUN pip install "tensorflow[and-cuda]==$(python -c 'from importlib.metadata import version; print(version("tensorflow"))')"
USER nsynth
