"""deploy.sh refuses what the functions would refuse, and nothing else: one contract, held here."""

import subprocess

import jwt
import pytest

from memoria.config import BadConfiguration, Settings
from tests.deploy.project import ROOT

ENOUGH = {
    "SUPABASE_URL": "https://a.example",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_x",
    "CALLBACK_URL": "https://b.example",
    "CALLBACK_SECRET": "c",
}
COUNT = ["1", "64_000_000", "64.0", "064", "+64", "1000000000000", "0", "-1", "64MB", "64.5", "1e3",
         "1000000000001", "1__0", "0x10", "six"]  # fmt: skip
SECONDS = ["1", "0.5", ".5", "5.", "1_000", "1e2", "+5", "0", "-1", "86400.1", "inf", "nan", "30s",
           "1e", "0,5"]  # fmt: skip
URL_SECONDS = ["60", "31622400", "59", "31622401", "1h", "90.5"]
SECRET = ["s", "a b", "whsec_YWJj", "whsec_YWI=", "whsec_YWJj=", "whsec_", "café", "a\nb", "a\x7fb"]
URL = ["https://a.example/x?y=1", "https://[2001:db8::1]:8443/", "https://10.0.0.1", "https://a:443",
       "https://a.example:", "https://a.example:0", "https://a.example:65536", "https://a..b",
       "https://-a.example", "https://1.2.3.4.5", "https://256.1.1.1", "https://a.example:80:80",
       "https://me@a.example", "https://a.example/#x", "https://a.example/ b", "https://",
       f"https://{'a' * 63}.b", f"https://{'a' * 64}.b", "https://your-project.supabase.co",
       "http://10.0.0.1"]  # fmt: skip
KEYS = [jwt.encode({"role": role}, "a secret of at least 32 characters")
        for role in ("anon", "service_role")]  # fmt: skip
PAIRS = ["m:0.5:0.4", "m:0.5:0.5, n:.9:.1,", "m: 0.5:0.4", "m:0.4:0.5", "foo", "m:1:0.5",
         "m:0.5:0", "m:0.5:0.4,m:0.5:0.4", "a b:0.5:0.4", "m:1:1:1", "m:x:0.4", ","]  # fmt: skip
HOSTS = ["a.example", "A.example:8080, [::1] ,10.0.0.1:1,", "a_b", "https://a.example",
         "a.example/x", "a:0", "a:99999", "a b", "::1", "[a", "1.2.3"]  # fmt: skip
ORIGINS = ["https://app.example", "HTTPS://App.example:8443, http://localhost:3000",
           "app.example", "https://app.example/", "*", "ftp://a.example", "https://",
           "https://a.example,*", "https://a b"]  # fmt: skip
VALUES = {
    "SUPABASE_URL": [*URL, "https://abcd.supabase.co/", "https://abcd.supabase.co/rest/v1"],
    "SUPABASE_SERVICE_ROLE_KEY": [*KEYS, "sb_secret_x", "sb_publishable_x", "hello", "café"],
    "CALLBACK_URL": [*URL, "off", "OFF"],
    "CALLBACK_SECRET": [*SECRET, "off"],
    "WEBHOOK_SECRET": [*SECRET, "off"],
    "WEBHOOK_SECRET_PREVIOUS": SECRET,
    "DETECTION_THRESHOLD": ["0.5", "1e-3", "0", "1", "1.0", "-0.5", "high"],
    "DET_SIZE": ["640", "320", "333", "large"],
    "SMALL_FACES": ["auto", "thorough", "yes", "Auto"],
    "MIN_CLUSTER_SIZE": ["2", "3", "1", "two"],
    "MIN_SAMPLES": COUNT,
    "CLUSTER_MAX_FACES": COUNT,
    "CLUSTER_EPSILON": ["0", "0.4", "2", "2.1", "-0.1", "x"],
    "SIMILARITY_THRESHOLDS": PAIRS,
    "INFERENCE": ["onnxruntime", "openvino", "cuda"],
    "MODEL_PACK": ["buffalo_l", "my-pack.2", "a/b", "a b"],
    "MODEL_DIR": ["/models/mine", "/a\nb"],
    "MAX_MEDIA_BYTES": COUNT,
    "MAX_MEDIA_PIXELS": COUNT,
    "MAX_FACES_PER_PHOTO": COUNT,
    "MAX_RUN_SECONDS": [*SECONDS, "3000"],
    "FETCH_TIMEOUT_SECONDS": SECONDS,
    "STORE_TIMEOUT_SECONDS": SECONDS,
    "CALLBACK_TIMEOUT_SECONDS": SECONDS,
    "SIGNED_URL_SECONDS": URL_SECONDS,
    "SEARCH_URL_SECONDS": URL_SECONDS,
    "MEDIA_URL_HOSTS": HOSTS,
    "LOG_LEVEL": ["INFO", "debug", "Warn", "FATAL", "verbose", "20"],
    "SEARCH_ORIGINS": ORIGINS,
    "SEARCH_FPIR": ["0.001", "1e-6", "0.02", "0.03", "0", "1e-7", "1%"],
    "SEARCH_THRESHOLDS": ["m:5:1", "m:-9.5:0.1,n:1:1", "m:100:1", "m:5:0", "m:5:10", "m:5", "x"],
}
# What deploy.sh reads itself, and tells the functions in words of its own.
DEPLOYS_OWN = {"SEARCH", "USE_GPU"}
# No value may hold a line break, a run ends before Cloud Run hangs up, nothing private is in reach.
STRICTER = {("MODEL_DIR", "/a\nb"), ("MAX_RUN_SECONDS", "3000"), ("SUPABASE_URL", "http://10.0.0.1"),
            ("CALLBACK_URL", "http://10.0.0.1")}  # fmt: skip

CHECK = """
ROOT=$1 DRY_RUN=no LOCKED=no
for part in say values rules keys limits packs settings; do source "$ROOT/deploy/$part.sh"; done
while IFS= read -r -d '' name && IFS= read -r -d '' value; do
  (
    COMMAND=deploy BUILD=no
    printf -v "$name" %s "$value"
    trim_settings
    wrong=$(set_defaults; choose_services; check_settings 2>&1)
    [[ -z $wrong ]] || printf '%s' "${wrong//$'\\n'/ }"
    echo
  )
done
"""


def refused(asked: list[tuple[str, str]]) -> list[str]:
    """What deploy.sh says of each, '' where it takes it."""
    done = subprocess.run(
        ["bash", "-c", CHECK, "bash", str(ROOT)], env={"PATH": "/usr/bin:/bin", **ENOUGH},
        input="".join(f"{name}\0{value}\0" for name, value in asked),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def starts(name: str, value: str) -> bool:
    try:
        Settings.from_env({**ENOUGH, name: value})
    except BadConfiguration:
        return False
    return True


def test_every_setting_has_values_of_both_kinds() -> None:
    assert set(VALUES) == {name.upper() for name in Settings.model_fields} - DEPLOYS_OWN
    for name, values in VALUES.items():
        found = {starts(name, value) and (name, value) not in STRICTER for value in values}
        assert found == {True, False}, name


@pytest.mark.parametrize("name", VALUES)
def test_deploy_refuses_what_the_functions_refuse(name: str) -> None:
    said = refused([(name, value) for value in VALUES[name]])
    for value, complaint in zip(VALUES[name], said, strict=True):
        is_taken = starts(name, value) and (name, value) not in STRICTER
        assert (not complaint) == is_taken, (value, complaint)
        named = "WEBHOOK_SECRET" if value == "off" else name
        assert is_taken or f"  {named}: " in complaint, complaint
