"""Every table of settings and of the HTTP contracts says what the code says."""

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from memoria import errors
from memoria.config import Settings
from memoria.contracts import ClusterRequest, Dispatch, ProcessRequest
from memoria.packs.catalogue import PACKS
from tests.documents import names, page, table

README = page("README.md")
ERRORS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.MemoriaError) and "code" in vars(error)
}
FAILURES = [
    code for code, error in ERRORS.items() if issubclass(error, errors.Terminal | errors.Transient)
]
[YUNET_FACE] = {pack.detection.face for name, pack in PACKS.items() if name.startswith("yunet")}
[SCRFD_FACE] = {pack.detection.face for name, pack in PACKS.items() if not name.startswith("yunet")}
EXAMPLES = {"MODEL_DIR": "/models/buffalo_l", "DETECTION_THRESHOLD": f"{SCRFD_FACE:g}"}


def documented() -> dict[str, str]:
    """README's variables with their defaults, as they are written."""
    rows = {}
    for variables, default, _ in table(README, "Configuration"):
        found = names(variables)
        defaults = default.split(", ") if len(found) > 1 else [default]
        rows |= dict(zip(found, defaults, strict=True))
    return rows


def default_of(name: str) -> str:
    """A setting's default as README writes it."""
    field = Settings.model_fields[name]
    if name == "webhook_secret":
        return "`CALLBACK_SECRET`"
    if name == "detection_threshold":
        return f"the pack's: {SCRFD_FACE:g}, {YUNET_FACE:g} for YuNet"
    if name == "model_dir":
        return "`/models/<MODEL_PACK>`"
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value or "")


def test_the_readme_has_every_setting_with_its_default() -> None:
    settings = {name.upper(): default_of(name) for name in Settings.model_fields}
    assert documented() == settings


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_example_has_every_setting_with_its_default(name: str) -> None:
    variable = name.upper()
    [value] = re.findall(rf"^#?{variable}=(.*)$", page(".env.example"), re.MULTILINE)
    default = documented()[variable].strip("`")
    given = EXAMPLES.get(variable, default)
    assert default in ("required", "CALLBACK_SECRET") or value == given


@pytest.mark.parametrize("code", FAILURES)
def test_every_failure_reason_has_a_place_in_the_runbook(code: str) -> None:
    assert f"`{code}`" in page("docs/operations.md")


def test_the_contracts_list_every_error_with_its_status() -> None:
    rows = table(page("docs/http.md"), "Errors")
    assert {names(code)[0]: int(status) for code, status, _ in rows} == {
        code: error.status for code, error in ERRORS.items()
    }


@pytest.mark.parametrize(
    ("heading", "lead", "contract"),
    [
        ("A direct request", "To *process*:", ProcessRequest),
        ("A direct request", "To *cluster*:", ClusterRequest),
        ("A nudge from the database", "", Dispatch),
    ],
)
def test_the_contracts_list_every_field(heading: str, lead: str, contract: type[BaseModel]) -> None:
    section = page("docs/http.md").split(f"## {heading}\n")[1]
    section = section[section.index(lead) :]
    rows = table(f"# x\n{section}", "x")
    assert [names(row[0])[0] for row in rows] == list(contract.model_fields)


def test_the_contracts_list_every_reason_to_skip() -> None:
    [listed] = re.findall(r"`reason` is (.*?)\. Only", page("docs/http.md"), re.DOTALL)
    skipped = json.loads(page("schemas/http.json"))["$defs"]["skipped"]
    assert names(listed) == skipped["properties"]["reason"]["enum"]


def test_the_surface_lists_everything_that_the_doctor_is_told() -> None:
    listed = page("docs/sql-surface.md").split("`memoria_doctor()`")[1].split("How jobs move")[0]
    told = json.loads(page("schemas/operator.json"))["$defs"]["memoria_doctor"]
    assert {name for name in told["properties"] if f'"{name}"' not in listed} == set()
