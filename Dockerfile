# Two images from one file, both for NVIDIA GPUs and for CPUs; wheels bring CUDA, so that the base is plain Debian.
#   docker build -t volseg .                              train, predict, export
#   docker build --target infer -t volseg:infer .         predict exported models; no torch
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS base
ARG DEBIAN_FRONTEND=noninteractive
ARG PIP_INDEX_URL
WORKDIR /opt/volseg
COPY tools/install-in-image tools/
RUN tools/install-in-image system
# Any user may run it (docker run --user $(id -u):$(id -g)): home and caches are open to all.
# /plugins is looked in first: mount packages there (pip install --no-deps --target site volseg-acme; -v $PWD/site:/plugins).
ENV PATH=/opt/volseg/env/bin:$PATH \
    HOME=/home/volseg \
    PYTHONPATH=/plugins \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN groupadd --gid 1000 volseg && useradd --uid 1000 --gid 1000 --home-dir /home/volseg --create-home volseg \
 && chmod 1777 /home/volseg && mkdir -m 1777 /workspace && mkdir /plugins
ENTRYPOINT ["volseg"]
CMD ["--help"]
COPY pyproject.toml constraints.txt ./
COPY tools/requirements.py tools/

# Packages first: a change of the code alone does not install them again.
FROM base AS infer-packages
RUN tools/install-in-image packages gpu,instances

FROM base AS train-packages
RUN tools/install-in-image packages all

FROM infer-packages AS infer
COPY . source
RUN tools/install-in-image volseg
USER volseg
WORKDIR /workspace

FROM train-packages AS train
COPY . source
RUN tools/install-in-image volseg
USER volseg
WORKDIR /workspace
