FROM node:22-slim AS page
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
COPY src/phonobase/web/page src/phonobase/web/page
RUN npm run build

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml setup.py constraints.txt README.md LICENSE ./
COPY src src
COPY --from=page /src/src/phonobase/web/page/built src/phonobase/web/page/built
COPY migrations migrations
# Of layers that are kept the times say nothing: it was built from just these files.
RUN touch src/phonobase/web/page/built/LICENSE
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
