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


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not*base64", "whsec_abc"])
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DETECTION_THRESHOLD", "1.5"),
        ("DET_SIZE", "500"),
        ("SMALL_FACES", "all"),
        ("MIN_CLUSTER_SIZE", "1"),
        ("MIN_SAMPLES", "0"),
        ("CLUSTER_EPSILON", "-1"),
        ("SIMILARITY_THRESHOLDS", "mine:0.4"),
        ("SIMILARITY_THRESHOLDS", "mine:0.4:0.5"),
        ("SIMILARITY_THRESHOLDS", "mine:1.4:0.5"),
        ("MODEL_PACK", "../../etc"),
        ("MAX_MEDIA_BYTES", "0"),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: str) -> None:
    assert name in problems(**{name: value})


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
    settings = Settings.from_env(ENOUGH | {"MEDIA_URL_HOSTS": " cdn.example , Photos.Example,"})
    assert settings.media_url_hosts == ("cdn.example", "photos.example")


def test_measured_thresholds_are_told_by_model() -> None:
    settings = Settings.from_env(
        ENOUGH | {"SIMILARITY_THRESHOLDS": "mine:0.44:0.37, other:0.5:0.5"}
    )
    assert settings.similarity_thresholds == {"mine": (0.44, 0.37), "other": (0.5, 0.5)}
    assert Settings.from_env(ENOUGH).similarity_thresholds == {}
