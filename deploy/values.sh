# shellcheck shell=bash
# What a value may be, and how .env is read.

# Read by the functions' own settings; passed on to every service when set. Secrets are not among them.
PLAIN_SETTINGS=(
  SUPABASE_URL CALLBACK_URL DETECTION_THRESHOLD DET_SIZE SMALL_FACES INFERENCE MIN_CLUSTER_SIZE
  MIN_SAMPLES CLUSTER_EPSILON CLUSTER_MAX_FACES SIMILARITY_THRESHOLDS MODEL_PACK MODEL_DIR
  MAX_MEDIA_BYTES MAX_MEDIA_PIXELS MAX_RUN_SECONDS MAX_FACES_PER_PHOTO
  FETCH_TIMEOUT_SECONDS SIGNED_URL_SECONDS MEDIA_URL_HOSTS STORE_TIMEOUT_SECONDS
  CALLBACK_TIMEOUT_SECONDS LOG_LEVEL SEARCH_ORIGINS SEARCH_FPIR SEARCH_URL_SECONDS SEARCH_THRESHOLDS
)
SECRET_SETTINGS=(SUPABASE_SERVICE_ROLE_KEY CALLBACK_SECRET WEBHOOK_SECRET WEBHOOK_SECRET_PREVIOUS)
# Read by deploy.sh alone.
WHOLE_NUMBERS=(MAX_IN_FLIGHT CONCURRENCY MIN_INSTANCES)
DEPLOY_SETTINGS=(
  REGION "${WHOLE_NUMBERS[@]}" CPU MEMORY CLUSTER_CPU CLUSTER_MEMORY SEARCH USE_GPU INVOKER_IAM
  WEIGHTS PYTHON_IMAGE DATABASE_URL ACCEPT_INSIGHTFACE_LICENSE
)
SETTINGS=("${PLAIN_SETTINGS[@]}" "${SECRET_SETTINGS[@]}" "${DEPLOY_SETTINGS[@]}")

# What stands in a name, a command line or a build's substitutions keeps to its own alphabet.
declare -A ALPHABET=(
  [PROJECT]='[a-z][a-z0-9.:-]*'
  [REGION]='[a-z]+-[a-z]+[0-9]{1,2}'
  [TAG]='[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'
  [MODEL_PACK]='[A-Za-z0-9._-]+'
  [WEIGHTS]='release|gs://[a-z0-9][a-z0-9._-]+(/[A-Za-z0-9._/-]*)?'
  [PYTHON_IMAGE]='[A-Za-z0-9][A-Za-z0-9._:/@-]*'
  [CPU]='[0-9]{1,3}'
  [MEMORY]='[0-9]{1,6}(Mi|Gi)'
  [CLUSTER_CPU]='[0-9]{1,3}'
  [CLUSTER_MEMORY]='[0-9]{1,6}(Mi|Gi)'
  [SEARCH]='on|off'
  [USE_GPU]='true|false|True|False|1|0|yes|no|on|off'
  [INVOKER_IAM]='on|off'
  [INFERENCE]='onnxruntime|openvino'
  [MAX_RUN_SECONDS]='[0-9]{1,3}(\.[0-9]+)?|[12][0-9]{3}(\.[0-9]+)?'
)

# What to write instead.
declare -A MEANT=(
  [PROJECT]='such as my-project-1' [REGION]='such as europe-west1' [TAG]='such as v1.2'
  [MODEL_PACK]='such as buffalo_l' [WEIGHTS]='release, or such as gs://my-bucket/weights'
  [PYTHON_IMAGE]='such as python:3.12-slim' [CPU]='such as 2' [MEMORY]='such as 2Gi'
  [SEARCH]='on or off' [USE_GPU]='true or false' [INVOKER_IAM]='on or off'
  [INFERENCE]='onnxruntime or openvino' [MAX_RUN_SECONDS]='such as 300, and less than 3000'
)

# KEY=VALUE lines are read, never executed; what the environment says already wins, the last line of
# a name wins over those before it. A value may stand in quotes; " # …" after it is a comment.
load_env_file() {
  if [[ -z $ENV_FILE ]]; then
    [[ -f $ROOT/.env ]] || return 0
    ENV_FILE=$ROOT/.env
  fi
  [[ ! -d $ENV_FILE && -r $ENV_FILE ]] || die "cannot read $ENV_FILE: it must be a file"
  local line name given=' ' known=" ${SETTINGS[*]} "
  for name in "${SETTINGS[@]}"; do [[ -z ${!name:-} ]] || given+="$name "; done
  while IFS= read -r line || [[ -n $line ]]; do
    [[ ${line#$'\xef\xbb\xbf'} =~ ^[[:space:]]*(export[[:space:]]+)?([A-Z_]+)[[:space:]]*=(.*)$ ]] || continue
    name=${BASH_REMATCH[2]}
    [[ $known == *" $name "* && $given != *" $name "* ]] || continue
    printf -v "$name" '%s' "$(unquoted "${BASH_REMATCH[3]}")"
  done <"$ENV_FILE"
}

# The value in what follows a line's "=".
unquoted() {
  local text comment='[[:space:]]*([[:space:]]#.*)?'
  text=$(trimmed "$1")
  if [[ $text =~ ^\"([^\"]*)\"$comment$ || $text =~ ^\'([^\']*)\'$comment$ \
    || $text =~ ^\"(.*)\"$ || $text =~ ^\'(.*)\'$ ]]; then
    text=${BASH_REMATCH[1]}
  elif [[ $text == '#'* ]]; then
    text=''
  else
    text=${text%%[[:space:]]#*}
  fi
  trimmed "$text"
}

trimmed() {
  local text=$1
  text=${text#"${text%%[![:space:]]*}"}
  printf '%s' "${text%"${text##*[![:space:]]}"}"
}

# Every setting as the functions would read it: without the spaces, or the \r of Windows, around it.
trim_settings() {
  local name
  for name in "${SETTINGS[@]}"; do
    [[ -z ${!name:-} ]] || printf -v "$name" '%s' "$(trimmed "${!name}")"
  done
}

# What can travel in a header: printable ASCII. Everything else arrives changed there, or ends the header.
fits_a_header() {
  local LC_ALL=C
  [[ $1 != *[!\ -~]* ]]
}

# The same for whatever callers shall present, given or stored: what is wrong with it, '' where nothing is.
wrong_webhook_secret() {
  [[ $1 != off ]] || printf '\n  WEBHOOK_SECRET: never off in public (CALLBACK_SECRET stands for it where it is not set)'
  fits_a_header "$1" || printf '\n  WEBHOOK_SECRET: must be printable ASCII, since it travels in a header'
}

# Secrets that say they are base64, as webhooks have them, and are not.
wrong_keys() {
  local name base64='^whsec_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'
  for name in CALLBACK_SECRET WEBHOOK_SECRET WEBHOOK_SECRET_PREVIOUS; do
    [[ ${!name:-} != whsec_* ]] || [[ ${!name} =~ $base64 && ${!name} != whsec_ ]] \
      || printf '\n  %s: must be base64 after whsec_' "$name"
  done
}

# An address as memoria.config takes it, without a user's name.
is_url() {
  local LC_ALL=C host='[]A-Za-z0-9._:[-]+'
  [[ $1 =~ ^https://$host([/?][!-~]*)?$ && $1 != *'#'* ]]
}

# A URL of postgres whose password can be taken out by its place (connect.sh): it stands there and nowhere
# else, not in the query, where a name may be written in percents as well.
is_database_url() {
  local hex='[0-9A-Fa-f]'
  [[ $1 =~ ^postgres(ql)?://([^:@/?#]+(:([^%:@/?#]|%$hex$hex)*)?@)?[^@?]*(\?[^@%]*)?$ && $1 != *password=* ]]
}

# The key of browsers, where that of servers belongs: the publishable one, or the legacy JWT of role anon.
wrong_key() {
  local key=${SUPABASE_SERVICE_ROLE_KEY:-}
  local claims=${key#*.}
  [[ $key == sb_publishable_* ]] || decoded "${claims%%.*}" | grep -qaE '"role" *: *"anon"' || return 0
  printf '\n  SUPABASE_SERVICE_ROLE_KEY: must be a secret key (sb_secret_…, or the legacy service_role), not the publishable or anon one'
}

# What a part of a JWT says; of anything else, whatever comes.
decoded() {
  tr -- '-_' '+/' <<< "$1==" | base64 --decode 2> /dev/null || true
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

# Everything that is wrong with the values, a line each. The rules for secrets and for control characters
# are those of memoria.config, which would stop the services.
wrong_values() {
  local LC_ALL=C name base
  for name in "${SETTINGS[@]}"; do
    [[ ${!name:-} != *[[:cntrl:]]* ]] || printf '\n  %s: must not hold line breaks or control characters' "$name"
  done
  for name in "${SECRET_SETTINGS[@]}"; do
    fits_a_header "${!name:-}" || [[ ${!name} == *[[:cntrl:]]* ]] \
      || printf '\n  %s: must be printable ASCII, since it travels in a header' "$name"
  done
  for name in "${!ALPHABET[@]}"; do
    base=${name#CLUSTER_} # those of cluster are CPU and MEMORY where they are not set: told once
    [[ $name == "$base" || ${!name:-} != "${!base:-}" ]] || continue
    [[ -z ${!name:-} || ${!name} =~ ^(${ALPHABET[$name]})$ ]] \
      || printf '\n  %s: cannot be %q (%s)' "$name" "${!name}" "${MEANT[$base]}"
  done
  [[ -z ${DATABASE_URL:-} ]] || is_database_url "$DATABASE_URL" \
    || printf '\n  DATABASE_URL: must be postgresql://user:password@host:port/database, with : / ? # @ %% in a password as %%3A %%2F %%3F %%23 %%40 %%25, and no %% after a ?'
  for name in "${WHOLE_NUMBERS[@]}"; do
    [[ ${!name} =~ ^[0-9]{1,6}$ ]] || printf '\n  %s: must be a whole number, not %q' "$name" "${!name}"
  done
}
