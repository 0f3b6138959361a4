"""What one writes first: a function that builds FaceAnalysis. The cold start is compared to it."""

import os

import functions_framework
from insightface.app import FaceAnalysis

FACES = FaceAnalysis(
    os.environ["MODEL_DIR"],
    allowed_modules=["detection", "recognition"],
    providers=["CPUExecutionProvider"],
)
FACES.prepare(ctx_id=-1, det_size=(640, 640))


@functions_framework.http
def process(_request: object) -> str:
    return "ready"
