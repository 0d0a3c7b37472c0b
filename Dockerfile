# The package with MMSegmentation, on a CPU:
#     docker build -t mmseg_clipsurgery . && docker run --rm -v "$PWD:/data" mmseg_clipsurgery segment --help
# With the CUDA build of torch (run it with --gpus all):
#     docker build -t mmseg_clipsurgery --build-arg TORCH="torch==2.13.0 torchvision==0.28.0" .
ARG PYTHON=3.11
FROM python:${PYTHON}-slim

# CUDA builds by default on PyPI; the index of CPU builds keeps the image small.
ARG TORCH="--index-url https://download.pytorch.org/whl/cpu torch==2.13.0 torchvision==0.28.0"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir ${TORCH}

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir ".[onedl,sam]" && useradd --create-home user
USER user
WORKDIR /data
ENTRYPOINT ["mmseg-clipsurgery"]
CMD ["--help"]
