FROM node:22-slim AS page
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN mkdir -p src/phonobase/web/page/vendor && npm ci --omit=dev --ignore-scripts && npm run vendor

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml setup.py constraints.txt README.md LICENSE ./
COPY src src
COPY --from=page /src/src/phonobase/web/page/vendor src/phonobase/web/page/vendor
COPY migrations migrations
RUN python -m venv /opt/phonobase \
    && /opt/phonobase/bin/pip install --no-cache-dir --upgrade --constraint constraints.txt pip \
    && /opt/phonobase/bin/pip install --no-cache-dir --constraint constraints.txt \
        --build-constraint constraints.txt '.[web]'

FROM python:3.13-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libasound2-plugins libportaudio2 \
    && rm -rf /var/lib/apt/lists/*
# Whoever is in the group audio may use the sound devices.
RUN useradd --groups audio --home-dir /var/lib/phonobase --create-home phonobase
COPY --from=build /opt/phonobase /opt/phonobase
ENV PATH=/opt/phonobase/bin:$PATH
USER phonobase
WORKDIR /var/lib/phonobase
ENTRYPOINT ["phonobase"]
