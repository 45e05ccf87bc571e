# One container that serves a recipe and learns:
#   docker build -t lsml .
#   docker run -p 9090:9090 -v lsml-data:/data -v ./my.yaml:/recipe.yaml:ro lsml /recipe.yaml
# docs/deployment.md shows how an image is made that holds weights. Without a recipe of your own it serves /recipes/sentiment.yaml. One volume holds the data of one recipe.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
# Extras of lsml, with commas between them: --build-arg EXTRAS=yolo,transformers
ARG EXTRAS=
COPY pyproject.toml README.md LICENSE /src/
COPY lsml /src/lsml
COPY recipes /src/recipes
COPY schemas /src/schemas
RUN python3 -m venv /opt/lsml && /opt/lsml/bin/python -m pip install --no-cache-dir "/src${EXTRAS:+[$EXTRAS]}"

FROM ${BASE}
# A number, so that `runAsNonRoot` can check it and a host directory can be given to it: chown 10001 DIRECTORY
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin lsml \
    && install -d -o 10001 -g 10001 -m 0750 /data
# ultralytics brings an OpenCV that wants libGL.
ARG EXTRAS=
RUN case ",${EXTRAS}," in *,yolo,*) apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* ;; esac
COPY --from=build /opt/lsml /opt/lsml
COPY recipes /recipes
# In the environment, so that they hold whatever recipe is named; an option on the command line wins.
ENV PATH=/opt/lsml/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LSML_HOST=0.0.0.0 \
    LSML_PORT=9090 \
    LSML_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 9090
# http.client and not urllib: a proxy in the environment must not be asked for what is in here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['LSML_PORT']), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lsml", "run"]
CMD ["/recipes/sentiment.yaml"]
