# The command `harness` with torch for CPUs: docker run --rm -v "$PWD":/work IMAGE check homework.py:softmax
FROM python:3.12-slim
# The image has the newest torch.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE /source/
COPY harness /source/harness
COPY cases /source/cases
COPY reports /source/reports
COPY docs/glossary.md /source/docs/glossary.md
RUN pip install --no-cache-dir /source && useradd --create-home --uid 1000 worker
USER 1000
WORKDIR /work
ENTRYPOINT ["harness"]
CMD ["--help"]
