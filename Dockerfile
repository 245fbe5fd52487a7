# The command `harness` with torch for CPUs: docker run --rm -v "$PWD":/work IMAGE check homework.py:softmax
FROM python:3.12-slim
RUN pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE /source/
COPY harness /source/harness
COPY cases /source/cases
COPY reports /source/reports
COPY docs/glossary.md /source/docs/glossary.md
RUN pip install --no-cache-dir /source
RUN useradd --create-home worker
USER worker
WORKDIR /work
ENTRYPOINT ["harness"]
CMD ["--help"]
