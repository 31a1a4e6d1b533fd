# syntax=docker/dockerfile:1
# One image for web, workers, beat and migrations. Two targets, alike but for their PyTorch:
#   docker build --target cpu .    add --build-arg TORCH_INDEX_URL=… (PyTorch's own CPU index) for a
#                                  much smaller image; without it the ordinary build is installed
#   docker build --target gpu .    the CUDA build; run it with the NVIDIA container toolkit

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 \
    HF_HUB_OFFLINE=1 SRT_DATA_DIR=/data
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /home/srt srt \
    && install -d -o srt -g srt /data
WORKDIR /app
# What the packages are decided by, before the code: an edit of the code reuses this layer.
COPY pyproject.toml README.md LICENSE ./
COPY requirements/product.lock requirements/torch.txt requirements/
RUN mkdir srt_web refinement && touch srt_web/__init__.py refinement/__init__.py \
    && pip install --no-deps --require-hashes -r requirements/product.lock \
    && pip install --no-deps --no-build-isolation -e .

FROM base AS cpu
ARG TORCH_INDEX_URL=""
RUN pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} -r requirements/torch.txt
COPY . .
RUN python -m compileall -q srt_web refinement
USER srt
EXPOSE 8000
# More threads than that share a core wait for each other: eight decide a fifth less than four.
ENV GUNICORN_CMD_ARGS="--workers 2 --threads 4"
CMD ["gunicorn", "srt_web.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", \
     "--timeout", "120", "--access-logfile", "-"]

FROM base AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install -r requirements/torch.txt
COPY . .
RUN python -m compileall -q srt_web refinement
USER srt
CMD ["celery", "-A", "srt_web", "worker", "-Q", "student", "--pool", "threads", \
     "--concurrency", "1", "--hostname", "student@%h", "--loglevel", "info"]
