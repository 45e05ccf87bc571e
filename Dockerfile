# One container that serves a recipe and learns:
#   docker build -t lsml .
#   docker run -p 9090:9090 -v lsml-data:/data -v ./my.yaml:/recipe.yaml:ro lsml /recipe.yaml
# docs/deployment.md shows how an image is made that holds weights. Without a recipe of your own it serves /recipes/sentiment.yaml. One volume holds the data of one recipe.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
# Every package is one of uv.lock, and its hash is compared: uv itself, what builds the wheel, and what the image holds.
ENV UV_FROZEN=1 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy PATH=/opt/uv/bin:$PATH
WORKDIR /src
COPY deploy/uv.txt deploy/
RUN python3 -m venv /opt/uv && /opt/uv/bin/python -m pip install --no-cache-dir --require-hashes -r deploy/uv.txt
COPY pyproject.toml uv.lock ./
# Extras of lsml, with commas between them: --build-arg EXTRAS=yolo,transformers
ARG EXTRAS=
# The torch of the extras. `cuda`: that of uv.lock, for NVIDIA's GPUs and for machines without. `cpu`: the same version without
# the gigabytes for GPUs, from PyTorch's own index, whose hashes uv.lock does not know.
ARG TORCH=cuda
# OpenCV comes in two packages; the one without windows needs no libGL.
RUN for extra in $(echo "${EXTRAS}" | tr , ' '); do set -- "$@" --extra "$extra"; done \
    && set -- --quiet --no-emit-project --no-annotate "$@" && uv export "$@" --output-file locked.txt \
    && if grep -q '^opencv-python==' locked.txt; then \
        uv export "$@" --group headless --no-emit-package opencv-python --output-file locked.txt; fi \
    && if [ "${TORCH}" = cpu ]; then sed -n -E 's/^(torch(vision)?==[^ ]+).*/\1/p' locked.txt > torch.txt \
        && sed -i -E '/^(torch|torchvision|triton|cuda-[a-z]+|nvidia-(cu|n)[a-z0-9-]+)==/,/[^\\]$/d' locked.txt; fi
RUN uv venv --quiet /opt/lsml \
    && uv pip install --python /opt/lsml --compile-bytecode --no-deps --require-hashes -r locked.txt \
    && if [ -s torch.txt ]; then uv pip install --python /opt/lsml --compile-bytecode --no-deps --torch-backend cpu -r torch.txt; fi
COPY README.md LICENSE ./
COPY lsml lsml
COPY recipes recipes
COPY schemas schemas
RUN uv export --quiet --only-group build --output-file build.txt && uv venv --quiet /opt/build \
    && uv pip install --python /opt/build --require-hashes -r build.txt \
    && /opt/build/bin/python -m hatchling build -t wheel -d wheel \
    && uv pip install --python /opt/lsml --compile-bytecode --no-deps --no-index wheel/*.whl \
    && find /opt/lsml/lib/python*/site-packages/scipy /opt/lsml/lib/python*/site-packages/sklearn -name tests -prune -exec rm -r {} +

FROM ${BASE}
# A number, so that `runAsNonRoot` can check it and a host directory can be given to it: chown 10001 DIRECTORY
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin lsml \
    && install -d -o 10001 -g 10001 -m 0750 /data
COPY --from=build /opt/lsml /opt/lsml
COPY recipes /recipes
# In the environment, so that they hold whatever recipe is named; an option on the command line wins.
ENV PATH=/opt/lsml/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LSML_HOST=0.0.0.0 \
    LSML_PORT=9090 \
    LSML_DATA_DIR=/data \
    MALLOC_ARENA_MAX=2 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 9090
# http.client and not urllib: a proxy in the environment must not be asked for what is in here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['LSML_PORT']), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lsml", "run"]
CMD ["/recipes/sentiment.yaml"]
