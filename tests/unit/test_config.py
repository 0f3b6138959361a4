import jwt
import pytest

from memoria.config import BadConfiguration, Settings

ENOUGH = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_key",
    "CALLBACK_URL": "https://app.example/hooks/memoria",
    "CALLBACK_SECRET": "callback-secret",
}


def problems(**changes: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        Settings.from_env(ENOUGH | changes)
    return str(caught.value)


def test_four_variables_are_enough() -> None:
    settings = Settings.from_env(ENOUGH)
    assert settings.webhook_secrets == ("callback-secret",)
    assert (settings.det_size, settings.min_cluster_size, settings.min_samples) == (640, 3, 2)
    assert settings.cluster_epsilon == 0.4
    assert settings.detection_threshold is None  # the pack has its own
    assert str(settings.model_dir) == "/models/buffalo_l"


PADDED = ["whsec_YWJj=", "whsec_YWJj===="]  # as memoria.setting_fault refuses them


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not*base64", "whsec_abc", *PADDED])
def test_a_secret_of_the_standard_form_must_be_base64(secret: str) -> None:
    assert "WEBHOOK_SECRET: must be base64" in problems(WEBHOOK_SECRET=secret)
    assert "CALLBACK_SECRET: must be base64" in problems(CALLBACK_SECRET=secret)


def test_every_problem_is_named_at_once() -> None:
    text = problems(SUPABASE_URL="project", CALLBACK_SECRET="", DET_SIZE="many", USE_GPU="perhaps")
    lines = text.splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == [
        "SUPABASE_URL", "CALLBACK_SECRET", "DET_SIZE", "USE_GPU",
    ]  # fmt: skip
    assert "CALLBACK_SECRET: is missing" in text


def test_an_inference_that_nobody_knows_is_named() -> None:
    assert "INFERENCE: Input should be 'onnxruntime' or 'openvino'" in problems(INFERENCE="tpu")
    assert "INFERENCE: openvino runs on the CPU" in problems(INFERENCE="openvino", USE_GPU="true")


def test_an_empty_environment_names_what_is_required() -> None:
    with pytest.raises(BadConfiguration) as caught:
        Settings.from_env({})
    for name in ENOUGH:
        assert f"{name}: is missing" in str(caught.value)
    assert "WEBHOOK_SECRET" not in str(caught.value)


def test_callbacks_can_be_off_and_then_the_webhook_secret_is_enough() -> None:
    without = {name: value for name, value in ENOUGH.items() if name != "CALLBACK_SECRET"}
    settings = Settings.from_env(without | {"CALLBACK_URL": "OFF", "WEBHOOK_SECRET": "nudge"})
    assert settings.callback_url == "off"
    assert settings.webhook_secrets == ("nudge",)


def test_callbacks_off_without_any_secret_is_refused() -> None:
    without = {name: value for name, value in ENOUGH.items() if name != "CALLBACK_SECRET"}
    with pytest.raises(BadConfiguration) as caught:
        Settings.from_env(without | {"CALLBACK_URL": "off"})
    assert str(caught.value).splitlines()[1:] == ["  WEBHOOK_SECRET: is missing"]


def test_the_secret_check_can_be_off_only_on_loopback() -> None:
    assert "WEBHOOK_SECRET: off" in problems(WEBHOOK_SECRET="off")
    local = ENOUGH | {"WEBHOOK_SECRET": "off", "SUPABASE_URL": "http://127.0.0.1:54321"}
    assert Settings.from_env(local).webhook_secrets == ()


def test_two_secrets_are_accepted_while_one_is_rotated() -> None:
    settings = Settings.from_env(
        ENOUGH | {"WEBHOOK_SECRET": "new", "WEBHOOK_SECRET_PREVIOUS": "old"}
    )
    assert settings.webhook_secrets == ("new", "old")


@pytest.mark.parametrize("host", ["project.supabase.co", "8.8.8.8", "kong.example"])
def test_plain_http_is_refused_where_it_would_cross_the_internet(host: str) -> None:
    assert "https" in problems(SUPABASE_URL=f"http://{host}")
    assert "https" in problems(CALLBACK_URL=f"http://{host}/hook")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:54321", "[::1]", "kong:8000", "host.docker.internal:54321", "10.0.0.7"]
)
def test_plain_http_is_allowed_within_a_machine_or_a_private_network(host: str) -> None:
    assert Settings.from_env(ENOUGH | {"SUPABASE_URL": f"http://{host}"}).supabase_url


SIGNED_WITH = "a secret of at least 32 characters"
ANON = jwt.encode({"iss": "supabase", "ref": "abcd", "role": "anon"}, SIGNED_WITH)
SERVICE = jwt.encode({"iss": "supabase", "ref": "abcd", "role": "service_role"}, SIGNED_WITH)

NO_URLS = [
    "project.example", "https://", "ftp://host.example", "https://münchen.example/hook",
    "https://h.example:abc/x", "https://h.example:99999/x", "https://h.example:0",
    "https://user:word@h.example", "https://h.example/#part", "https://h..example", "https://-h",
    "https://[::1", "https://h.example/a b", "https://" + "h" * 64 + ".example",
]  # fmt: skip
NO_PROJECTS = [
    "https://your-project.supabase.co", "https://supabase.com/dashboard/project/abcd",
    "https://abcd.supabase.co/rest/v1/", "https://self.example/rest/v1",
]  # fmt: skip
NO_COUNTS = ["0", "-1", "1.5", "many", "9" * 40]
NO_SECONDS = ["0", "-1", "soon", "inf", "nan", "1e300"]
NO_SECRETS = ["café", "a\nb", "whsec_not*base64"]
NONSENSE = {
    "SUPABASE_URL": [*NO_URLS, *NO_PROJECTS, "https://h.example?a=b"],
    "SUPABASE_SERVICE_ROLE_KEY": [*NO_SECRETS[:2], "sb_publishable_x", ANON],
    "CALLBACK_URL": [*NO_URLS, "https://your-app.example/memoria"],
    "CALLBACK_SECRET": NO_SECRETS,
    "WEBHOOK_SECRET": [*NO_SECRETS, "off"],
    "WEBHOOK_SECRET_PREVIOUS": NO_SECRETS,
    "DETECTION_THRESHOLD": ["0", "1.5", "nan", "high"],
    "DET_SIZE": ["500", "1280", "large"],
    "SMALL_FACES": ["all"],
    "MIN_CLUSTER_SIZE": [*NO_COUNTS, "1"],
    "MIN_SAMPLES": NO_COUNTS,
    "CLUSTER_MAX_FACES": NO_COUNTS,
    "CLUSTER_EPSILON": ["-1", "2.5", "inf", "nan", "x"],
    "SIMILARITY_THRESHOLDS": [
        "mine:0.4", "mine:0.4:0.5", "mine:1.4:0.5", "mine:nan:0.3", ":0.4:0.3", "a b:0.4:0.3",
        "mine:0.4:0.3,mine:0.5:0.4",
    ],
    "USE_GPU": ["perhaps", "2"],
    "INFERENCE": ["tpu"],
    "MODEL_PACK": ["../../etc", "a b"],
    "MODEL_DIR": [],  # any path: what lies there is looked at when the weights are loaded
    "MAX_MEDIA_BYTES": NO_COUNTS,
    "MAX_MEDIA_PIXELS": NO_COUNTS,
    "MAX_FACES_PER_PHOTO": NO_COUNTS,
    "MAX_RUN_SECONDS": NO_SECONDS,
    "FETCH_TIMEOUT_SECONDS": NO_SECONDS,
    "SIGNED_URL_SECONDS": [*NO_COUNTS, "59"],
    "MEDIA_URL_HOSTS": [
        "https://cdn.example.com", "*.example.com", "a;b", "cdn.example.com/photos", "a b",
        "cdn.example.com:http", "cdn.example.com:99999", "user@cdn.example.com", "münchen.example",
        "cdn.example.com,*", "::1", "[fe80::1%eth0]", "999",
    ],
    "STORE_TIMEOUT_SECONDS": NO_SECONDS,
    "CALLBACK_TIMEOUT_SECONDS": NO_SECONDS,
    "LOG_LEVEL": ["verbose", "10", "NOTSET"],
    "SEARCH": ["yes"],
    "SEARCH_ORIGINS": [
        "*", "app.example", "https://app.example/", "https://*.app.example", "https://",
        "https://app.example:x", "https://münchen.example", "null", "capacitor://localhost",
    ],
    "SEARCH_FPIR": ["0", "0.1", "nan", "few"],
    "SEARCH_URL_SECONDS": [*NO_COUNTS, "59"],
    "SEARCH_THRESHOLDS": ["mine:6", "mine:1000:1", "mine:6:0", "mine:nan:1", ":6:1"],
}  # fmt: skip


def test_no_setting_is_left_out() -> None:
    assert set(NONSENSE) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NONSENSE.items() for value in values]
)
def test_nonsense_stops_the_start_and_is_named(name: str, value: str) -> None:
    [line] = problems(**{name: value}).splitlines()[1:]
    assert line.startswith(f"  {name}: ")


@pytest.mark.parametrize("name", sorted(NONSENSE.keys() - ENOUGH.keys()))
def test_what_is_empty_is_missing(name: str) -> None:
    assert Settings.from_env(ENOUGH | {name: " "}) == Settings.from_env(ENOUGH)


def test_a_level_of_the_log_may_be_in_lower_case() -> None:
    assert Settings.from_env(ENOUGH).log_level == "INFO"
    for told in ("warning", "WARN"):
        assert Settings.from_env(ENOUGH | {"LOG_LEVEL": told}).log_level == "WARNING"


def test_a_callbacks_url_stays_as_it_was_written() -> None:
    """Many frameworks answer the path without its last slash with a redirect."""
    url = "https://app.example:8443/hook/?tenant=a"
    settings = Settings.from_env(ENOUGH | {"CALLBACK_URL": url, "SUPABASE_URL": "https://h.test/"})
    assert (settings.callback_url, settings.supabase_url) == (url, "https://h.test")


def test_origins_are_as_browsers_write_them() -> None:
    origins = "https://App.example:443, http://[::1]:3000,https://xn--mnchen-3ya.example"
    assert Settings.from_env(ENOUGH | {"SEARCH_ORIGINS": origins}).search_origins == (
        "https://app.example", "http://[::1]:3000", "https://xn--mnchen-3ya.example",
    )  # fmt: skip


def test_secrets_appear_neither_in_errors_nor_in_the_settings_own_text() -> None:
    assert "sb_secret_key" not in problems(DET_SIZE="x")
    assert "callback-secret" not in problems(CALLBACK_URL="callback-secret")
    assert "secret_key" not in repr(Settings.from_env(ENOUGH))


@pytest.mark.parametrize("bad", ["caf\u00e9", "a\nb", "a\rb", "a\tb", "a\x00b", "a\u2028b"])
@pytest.mark.parametrize(
    "name",
    ["SUPABASE_SERVICE_ROLE_KEY", "CALLBACK_SECRET", "WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS"],
)
def test_what_cannot_be_a_header_is_refused_by_name(name: str, bad: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        Settings.from_env({**ENOUGH, name: bad})
    assert str(caught.value).splitlines()[1:] == [
        f"  {name}: must be printable ASCII, without line breaks"
    ]


def test_the_line_ending_of_windows_is_no_part_of_a_value() -> None:
    settings = Settings.from_env({**ENOUGH, "CALLBACK_SECRET": "callback\r"})
    assert settings.callback_secret.get_secret_value() == "callback"


def test_a_url_holds_no_line_break() -> None:
    with pytest.raises(BadConfiguration, match="SUPABASE_URL: must not hold line breaks"):
        Settings.from_env({**ENOUGH, "SUPABASE_URL": "https://a\n.example"})


def test_hosts_are_a_list_in_lower_case() -> None:
    hosts = " cdn.example , Photos.Example:8443,[2606:4700::1]:8443,192.0.2.7,"
    assert Settings.from_env(ENOUGH | {"MEDIA_URL_HOSTS": hosts}).media_url_hosts == (
        "cdn.example", "photos.example:8443", "[2606:4700::1]:8443", "192.0.2.7",
    )  # fmt: skip


def test_measured_thresholds_are_told_by_model() -> None:
    settings = Settings.from_env(
        ENOUGH | {"SIMILARITY_THRESHOLDS": "mine:0.44:0.37, other:0.5:0.5"}
    )
    assert settings.similarity_thresholds == {"mine": (0.44, 0.37), "other": (0.5, 0.5)}
    assert Settings.from_env(ENOUGH).similarity_thresholds == {}


def test_the_legacy_key_of_servers_is_one() -> None:
    key = Settings.from_env(ENOUGH | {"SUPABASE_SERVICE_ROLE_KEY": SERVICE})
    assert key.supabase_service_role_key.get_secret_value() == SERVICE
