# fedishare in a container: built from the locks, runs as nobody in particular, writes to /data and nowhere else.
#
#   docker build -t fedishare .
#   docker run --rm -v fedishare-data:/data fedishare init --domain social.example.org --dir /data \
#       --listen 0.0.0.0:8000 --trusted-proxy 172.16.0.0/12
#   docker run -d --name fedishare --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#       -v fedishare-data:/data -p 127.0.0.1:8000:8000 fedishare

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python -m venv /opt/fedishare
WORKDIR /src
COPY requirements/run.lock requirements/run.lock
RUN /opt/fedishare/bin/pip install --require-hashes --only-binary :all: --requirement requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY fedishare fedishare
RUN /opt/fedishare/bin/pip install --no-deps --no-build-isolation . \
    && /opt/fedishare/bin/pip uninstall --yes hatchling pip \
    && /opt/fedishare/bin/python -m compileall -q /opt/fedishare/lib

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="fedishare" \
      org.opencontainers.image.description="Federated microsharing for organizations" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin fedishare \
    && install -d -o fedishare -g fedishare -m 0700 /data
COPY --from=build /opt/fedishare /opt/fedishare
ENV PATH=/opt/fedishare/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FEDISHARE_CONFIG=/data/instance.toml
USER fedishare
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Asks the server itself, over loopback, on the port that it listens on in here.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["fedishare"]
CMD ["serve"]
