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
)

# What to write instead.
declare -A MEANT=(
  [PROJECT]='such as my-project-1' [REGION]='such as europe-west1' [TAG]='such as v1.2'
  [MODEL_PACK]='such as buffalo_l' [WEIGHTS]='release, or such as gs://my-bucket/weights'
  [PYTHON_IMAGE]='such as python:3.12-slim' [CPU]='such as 2' [MEMORY]='such as 2Gi'
  [SEARCH]='on or off' [USE_GPU]='true or false' [INVOKER_IAM]='on or off'
)

# KEY=VALUE lines are read, never executed; what the environment says already wins, the last line of
# a name wins over those before it. A value may stand in quotes; " # …" after it is a comment.
load_env_file() {
  if [[ -z $ENV_FILE ]]; then
    [[ -f $ROOT/.env ]] || return 0
    ENV_FILE=$ROOT/.env
  fi
  [[ ! -d $ENV_FILE && -r $ENV_FILE ]] || die "cannot read $ENV_FILE: it must be a file"
  local line name given=' ' known=" ${SETTINGS[*]} " others=''
  for name in "${SETTINGS[@]}"; do [[ -z ${!name:-} ]] || given+="$name "; done
  while IFS= read -r line || [[ -n $line ]]; do
    [[ ${line#$'\xef\xbb\xbf'} =~ ^[[:space:]]*(export[[:space:]]+)?([A-Z_]+)[[:space:]]*=(.*)$ ]] || continue
    name=${BASH_REMATCH[2]}
    [[ $known == *" $name "* ]] || { others+=$(misspelt "$name"); continue; }
    [[ $given == *" $name "* ]] || printf -v "$name" '%s' "$(unquoted "${BASH_REMATCH[3]}")"
  done <"$ENV_FILE"
  [[ -z $others ]] || ! reads_settings || say "in $ENV_FILE, not read by deploy.sh:$others"
}

# A name that differs from a setting's in nothing but "_" and "S": " MAX_INFLIGHT (MAX_IN_FLIGHT?)". Others are the
# app's, or no names at all but lines of a value.
misspelt() {
  local name
  for name in "${SETTINGS[@]}"; do
    [[ ${name//[_S]/} != "${1//[_S]/}" ]] || printf ' %s (%s?)' "$1" "$name"
  done
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

# A URL of postgres whose password can be taken out by its place (connect.sh): it stands there and nowhere
# else, not in the query, where a name may be written in percents as well.
is_database_url() {
  local hex='[0-9A-Fa-f]'
  [[ $1 =~ ^postgres(ql)?://([^:@/?#]+(:([^%:@/?#]|%$hex$hex)*)?@)?[^@?]*(\?[^@%]*)?$ && $1 != *password=* ]]
}

# Everything that is wrong with the values that deploy.sh itself reads, a line each; those of the functions
# are in rules.sh.
wrong_values() {
  local LC_ALL=C name base
  for name in "${PLAIN_SETTINGS[@]}" "${DEPLOY_SETTINGS[@]}"; do
    [[ ${!name:-} != *[[:cntrl:]]* ]] || printf '\n  %s: must not hold line breaks or control characters' "$name"
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
