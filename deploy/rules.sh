# shellcheck shell=bash
# What the functions' own settings may be, as memoria/config.py and memoria/variables.py have it: what those refuse
# would stop a revision, after the build. tests/deploy/test_rules.py holds the two together.

declare -A CHOICE=(
  [DET_SIZE]='640|320' [SMALL_FACES]='auto|thorough' [INFERENCE]='onnxruntime|openvino'
  [LOG_LEVEL]='DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL'
)

# Numbers; n is a whole one. Cloud Run's hour holds a run, and what comes after it.
declare -A RANGE=(
  [DETECTION_THRESHOLD]='0 < x < 1' [CLUSTER_EPSILON]='0 <= x <= 2' [SEARCH_FPIR]='0.000001 <= x <= 0.02'
  [MIN_CLUSTER_SIZE]='2 <= n <= 1000000000000' [MIN_SAMPLES]='1 <= n <= 1000000000000'
  [CLUSTER_MAX_FACES]='1 <= n <= 1000000000000' [MAX_FACES_PER_PHOTO]='1 <= n <= 1000000000000'
  [MAX_MEDIA_BYTES]='1 <= n <= 1000000000000' [MAX_MEDIA_PIXELS]='1 <= n <= 1000000000000'
  [MAX_RUN_SECONDS]='0 < x < 3000' [FETCH_TIMEOUT_SECONDS]='0 < x <= 86400'
  [STORE_TIMEOUT_SECONDS]='0 < x <= 86400' [CALLBACK_TIMEOUT_SECONDS]='0 < x <= 86400'
  [SIGNED_URL_SECONDS]='60 <= n <= 31622400' [SEARCH_URL_SECONDS]='60 <= n <= 31622400'
)

# Everything that is wrong with them, a line each; "connect" hands none of them to a function.
wrong_settings() {
  [[ $COMMAND != deploy ]] || wrong_numbers_and_lists
  wrong_secrets
  wrong_key
  wrong_urls
}

wrong_numbers_and_lists() {
  local LC_ALL=C name
  for name in "${!CHOICE[@]}"; do
    [[ -z ${!name:-} || ${!name} =~ ^(${CHOICE[$name]})$ ]] \
      || printf '\n  %s: cannot be %q (%s)' "$name" "${!name}" "${CHOICE[$name]//|/ or }"
  done
  for name in "${!RANGE[@]}"; do
    [[ -z ${!name:-} ]] || is_within "${!name}" "${RANGE[$name]}" \
      || printf '\n  %s: must be a number, %s, not %q' "$name" "${RANGE[$name]/n/whole}" "${!name}"
  done
  wrong_lists
}

DIGITS='[0-9]+(_[0-9]+)*' # as Python writes a large number
NUMBER="[+-]?($DIGITS([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"

# Whether a text is a number in a range.
is_within() {
  local low least name most high
  read -r low least name most high <<<"$2"
  if [[ $name == n ]]; then [[ $1 =~ ^[+-]?$DIGITS(\.0+)?$ ]]; else [[ $1 =~ ^$NUMBER$ ]]; fi \
    && LC_ALL=C awk -v "$name=${1//_/}" "BEGIN { $name += 0; exit !($low $least $name && $name $most $high) }"
}

wrong_lists() {
  is_list_of is_place "${MEDIA_URL_HOSTS:-}" \
    || printf '\n  MEDIA_URL_HOSTS: must be hosts, each with an optional :port, by comma'
  is_list_of is_origin "${SEARCH_ORIGINS:-}" \
    || printf '\n  SEARCH_ORIGINS: must be origins such as https://app.example, without a path, by comma'
  is_by_model '0 < b && b <= a && a < 1' "${SIMILARITY_THRESHOLDS:-}" \
    || printf '\n  SIMILARITY_THRESHOLDS: must be model:sure:link, by comma, 0 < link <= sure < 1, not %q' "$SIMILARITY_THRESHOLDS"
  is_by_model '-100 < a && a < 100 && 0 < b && b < 10' "${SEARCH_THRESHOLDS:-}" \
    || printf '\n  SEARCH_THRESHOLDS: must be model:demand:slope, by comma, -100 < demand < 100, 0 < slope < 10, not %q' "$SEARCH_THRESHOLDS"
}

# Whether each part between commas is one: is_list_of RULE TEXT
is_list_of() {
  local part
  local -a parts
  IFS=, read -ra parts <<<"$2"
  for part in ${parts[@]+"${parts[@]}"}; do
    part=$(trimmed "$part")
    [[ -z $part ]] || "$1" "$part" || return 1
  done
}

# "model:a:b", several by comma, each model once, where the numbers are as a condition says.
is_by_model() {
  LC_ALL=C awk -F: -v RS=, -v number="^ *($NUMBER) *\$" '
    { gsub(/^[ \n]+|[ \n]+$/, "") }
    $0 == "" { next }
    NF != 3 || $1 !~ /^[A-Za-z0-9._-]+$/ || seen[$1]++ || $2 !~ number || $3 !~ number { exit 1 }
    { gsub(/_/, "", $2); gsub(/_/, "", $3); a = $2 + 0; b = $3 + 0 }
    !('"$1"') { exit 1 }' <<<"$2"
}

is_origin() { [[ ${1,,} =~ ^https?://([^/]*)$ ]] && is_place "${BASH_REMATCH[1]}"; }

# "host" or "host:port".
is_place() {
  local LC_ALL=C host=$1 port='' byte='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
  local label='[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
  [[ ! $1 =~ ^(.*[]A-Za-z0-9_]):([0-9]*)$ ]] || host=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}
  [[ -z $port ]] || { [[ $port =~ ^0*[1-9][0-9]{0,4}$ ]] && ((10#$port <= 65535)); } || return 1
  [[ $host =~ ^$byte(\.$byte){3}$ || $host =~ ^\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]$ ]] \
    || [[ ${#host} -le 253 && $host =~ ^($label\.)*$label$ && ! $host =~ (^|\.)[0-9]+$ ]]
}

# An address as Cloud Run can reach it, without a user's name.
is_url() {
  local LC_ALL=C
  [[ $1 =~ ^https://([^/?#]*)([/?][!-~]*)?$ && $1 != *'#'* ]] && is_place "${BASH_REMATCH[1]}"
}

# What is an address, but none of a project: what to write instead. As memoria.config takes it.
mistaken_url() {
  local url=${1,,}
  [[ ! $url =~ ^https://(your-project\.supabase\.co|your-app\.example)([:/?]|$) ]] \
    || { printf "must be your own, not .env.example's"; return; }
  [[ $2 == SUPABASE_URL ]] || return 0
  [[ ! $url =~ ^https://([^/]+\.)?supabase\.com([:/]|$) ]] \
    || { printf 'must be https://….supabase.co, not a page of the dashboard'; return; }
  [[ ! $url =~ (^https://[^/]+\.supabase\.co(:[0-9]+)?/+[^/]|/rest/v1/*$) ]] \
    || printf 'must be the address alone, such as https://project.supabase.co, without a path'
}

# The addresses that are given and cannot be, a line each.
wrong_urls() {
  local name mistake
  for name in SUPABASE_URL CALLBACK_URL; do
    mistake=$(mistaken_url "${!name:-}" "$name")
    [[ -z $mistake ]] || printf '\n  %s: %s' "$name" "$mistake"
  done
  [[ -z ${SUPABASE_URL:-} ]] || { is_url "$SUPABASE_URL" && [[ $SUPABASE_URL != *\?* ]]; } \
    || printf '\n  SUPABASE_URL: must be an https URL that Cloud Run can reach, in ASCII, without ? and #'
  [[ -z ${CALLBACK_URL:-} || ${CALLBACK_URL,,} == off ]] || is_url "$CALLBACK_URL" \
    || printf '\n  CALLBACK_URL: must be an https URL in ASCII, without spaces and #, or off'
}
