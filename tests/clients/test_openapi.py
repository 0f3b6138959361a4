"""docs/openapi.json against the running services: requests that schemathesis makes up by it.

No 5xx, no status and no answer that is not documented. OPENAPI_CASES requests in all: 200, in `make
soak` 2,000.
"""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from local.processes.stack import Stack
from schemas.openapi import openapi

CASES = int(os.environ.get("OPENAPI_CASES", "200"))
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
API = schemathesis.openapi.from_dict(openapi("0"))


def takes_input(operation: Any) -> bool:
    """Whether there is anything to make up."""
    return bool(operation.body or operation.path_parameters)


OPERATIONS = [found.ok() for found in API.get_all_operations() if isinstance(found, Ok)]
# as it is documented, and otherwise; what takes no input is asked in one way only
RUNS = [
    (operation, mode)
    for operation in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if takes_input(operation) or mode == GenerationMode.POSITIVE
]
EACH = max(CASES // sum(takes_input(operation) for operation, _ in RUNS), 1)


def name_of(value: Any) -> str:
    return str(getattr(value, "label", None) or value.value)


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), RUNS, ids=name_of)
def test_a_service_answers_as_documented(
    stack: Stack, operation: Any, mode: GenerationMode
) -> None:
    base = stack.cluster_url if operation.path == "/cluster" else stack.process_url
    headers = {"Authorization": f"Bearer {stack.webhook_secret}"}

    @settings(
        max_examples=EACH, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Any) -> None:
        response = case.call(base_url=base, headers=headers, timeout=30)
        case.validate_response(response, checks=CHECKS)

    answers()
