# normlab on a CPU, with its kernels compiled and without a compiler inside.
#
#     docker build --tag normlab .
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" normlab compare photos/ --yes
#
# A terminal is drawn on with --interactive --tty. docs/how-to/install.md says more.
FROM python:3.12-slim-bookworm AS wheel
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY constraints.txt ./
# The index of torch's CPU builds: those of PyPI bring gigabytes for GPUs.
RUN pip install --no-cache-dir --constraint constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu torch setuptools
COPY . .
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
COPY constraints.txt /tmp/constraints.txt
COPY --from=wheel /wheels /tmp/wheels
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu torch \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt /tmp/wheels/*.whl \
    && rm -r /tmp/wheels /tmp/constraints.txt \
    && useradd --create-home --uid 1000 normlab
# --user may give an account without a home: what is kept is then kept here.
ENV NORMLAB_CACHE=/tmp/normlab-cache
USER 1000
WORKDIR /work
ENTRYPOINT ["normlab"]
CMD ["--help"]
