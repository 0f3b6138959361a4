# shellcheck shell=bash
# Options and settings: what to deploy, where, and how large.

COMMAND=''
PROJECT=''
ONLY=''
ENV_FILE=''
GIVEN_ENV_FILE=''
TAG=''
BUILD=yes
MEDIA_BUCKETS=()
NOTIFY=''
DRY_RUN=no
SERVICES=(process cluster)
# Names this run, its revisions and its lock.
RUN=$(date -u +%m%d-%H%M%S)-$(head -c 2 /dev/urandom | od -An -vtx1 | tr -d ' \n')

parse_options() {
  while (($#)); do
    [[ $1 != --*=* ]] || set -- "${1%%=*}" "${1#*=}" "${@:2}"
    case "$1" in
      deploy | rollback | connect | monitoring | unlock)
        [[ -z $COMMAND ]] || die "one command at a time, not $COMMAND and $1"
        COMMAND=$1
        ;;
      help | -h | --help) usage; exit 0 ;; # whatever else is asked
      --project) PROJECT=$(value_of "$@"); shift ;;
      --region) REGION=$(value_of "$@"); shift ;;
      --only) ONLY=$(value_of "$@"); shift ;;
      --env-file) GIVEN_ENV_FILE=$(value_of "$@"); shift ;;
      --tag) TAG=$(value_of "$@"); shift ;;
      --pack) MODEL_PACK=$(value_of "$@"); shift ;;
      --inference) INFERENCE=$(value_of "$@"); shift ;;
      --cluster-memory) CLUSTER_MEMORY=$(value_of "$@"); shift ;;
      --cluster-cpu) CLUSTER_CPU=$(value_of "$@"); shift ;;
      --with-search) SEARCH=on ;;
      --media-bucket) MEDIA_BUCKETS+=("$(bucket_of "$@")"); shift ;;
      --notify) NOTIFY=$(channel_of "$@"); shift ;;
      --no-build) BUILD=no ;;
      --gpu) USE_GPU=true ;;
      --no-invoker-iam) INVOKER_IAM=off ;;
      --dry-run) DRY_RUN=yes; exec {PLAN}>&1 ;; # the plan is what was asked for
      --database-url*) die 'set DATABASE_URL in the environment or in .env: everybody on the machine can read a command line' ;;
      -*) die "unknown option $1 (./deploy.sh --help)" ;;
      *) die "unknown command $1 (deploy, rollback, connect, monitoring or unlock; ./deploy.sh --help)" ;;
    esac
    shift
  done
  COMMAND=${COMMAND:-deploy} ENV_FILE=$GIVEN_ENV_FILE
  load_env_file
  trim_settings
  set_defaults
  choose_services
  check_settings
}

choose_services() {
  [[ $SEARCH == off ]] || SERVICES+=(search)
  [[ -n $ONLY ]] || return 0
  [[ $ONLY =~ ^(process|cluster|search)$ ]] || die "--only takes process, cluster or search, not $ONLY"
  SERVICES=("$ONLY")
}

value_of() {
  [[ $# -ge 2 && -n $2 && $2 != --* ]] || die "$1 needs a value"
  printf '%s' "$2"
}

# The name alone, or gs:// before it.
bucket_of() {
  local bucket
  bucket=$(value_of "$@") || exit
  bucket=${bucket#gs://} bucket=${bucket%/}
  [[ $bucket =~ ^[a-z0-9][a-z0-9._-]+$ ]] || die "$1 takes a bucket's name, such as my-photos, not $2"
  printf '%s' "$bucket"
}

# As gcloud takes them: by name, as an address, or by the number alone.
channel_of() {
  local channels one='((https://monitoring\.googleapis\.com/v3/)?projects/[^/,]+/notificationChannels/[^/,]+|[0-9]+)'
  channels=$(value_of "$@") || exit
  [[ $channels =~ ^$one(,$one)*$ ]] \
    || die "$1 takes channels by comma, projects/…/notificationChannels/…, as \"gcloud beta monitoring channels list\" names them, not $2"
  printf '%s' "$channels"
}

set_defaults() {
  REGION=${REGION:-us-central1}
  MAX_IN_FLIGHT=${MAX_IN_FLIGHT:-32}
  CONCURRENCY=${CONCURRENCY:-4}
  MIN_INSTANCES=${MIN_INSTANCES:-0}
  CPU=${CPU:-2}
  MEMORY=${MEMORY:-2Gi}
  CLUSTER_CPU=${CLUSTER_CPU:-$CPU}
  CLUSTER_MEMORY=${CLUSTER_MEMORY:-$MEMORY}
  SEARCH=${SEARCH:-off}
  INVOKER_IAM=${INVOKER_IAM:-on}
  GPU=no
  case ${USE_GPU:-false} in true | True | 1 | yes | on) GPU=yes ;; esac
  WEIGHTS=${WEIGHTS:-release}
  MODEL_PACK=${MODEL_PACK:-buffalo_l}
  INFERENCE=${INFERENCE:-onnxruntime}
  local LC_ALL=C # in Turkish the capital of i is another
  LOG_LEVEL=${LOG_LEVEL:-} CALLBACK_URL=${CALLBACK_URL:-}
  LOG_LEVEL=${LOG_LEVEL^^}
  TAG=${TAG:-$(git -C "$ROOT" rev-parse --short=12 HEAD 2>/dev/null || date -u +%Y%m%d-%H%M%S)}
  # Of every secret: automatic replication needs all of Google's regions, and a project may be limited to some.
  REPLICATION=(--replication-policy=user-managed --locations="$REGION")
}

# Before anything is asked of anybody, everything wrong at once; of what is missing, where nobody can be asked for it.
check_settings() {
  local problems name
  problems=$(wrong_values)
  if [[ -z $problems ]]; then
    for name in "${WHOLE_NUMBERS[@]}"; do printf -v "$name" '%d' "$((10#${!name}))"; done # 010 is ten
    problems=$(wrong_limits)
  fi
  ! reads_settings || problems+=$(wrong_settings)$(wrong_pack)
  [[ -z $problems ]] || asks || ! reads_settings || problems+=$(missing_settings)
  refuse "$problems"
}

refuse() {
  local hint=''
  [[ ! $1 =~ [A-Z]': is missing' ]] \
    || hint=$'\n''write what is missing into .env, of which .env.example is the template, or set it in the environment'
  [[ -z $1 ]] || die "the settings need mending:$1$hint"
}

reads_settings() { [[ $COMMAND =~ ^(deploy|connect)$ ]]; }

asks() { [[ -t 0 && $DRY_RUN == no ]]; }

# At a terminal, what is missing is asked for; secrets are not shown.
ask_for_missing() {
  asks || return 0
  local name
  for name in PROJECT SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY CALLBACK_URL CALLBACK_SECRET; do
    [[ -z ${!name:-} ]] || continue
    [[ $name != CALLBACK_SECRET || $CALLBACK_URL != off ]] || continue
    case $name in
      PROJECT) read -rp "Google Cloud project: " PROJECT ;;
      *_KEY | *_SECRET) read -rsp "$name (not shown): " "${name?}" && say '' ;;
      CALLBACK_URL) read -rp "$name (or off): " "${name?}" ;;
      *) read -rp "$name: " "${name?}" ;;
    esac
  done
}

missing_settings() {
  local name
  for name in SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY CALLBACK_URL CALLBACK_SECRET; do
    [[ -n ${!name:-} || ( $name == CALLBACK_SECRET && ${CALLBACK_URL,,} == off ) ]] || printf '\n  %s: is missing' "$name"
  done
}

# What is missing is asked for, or named; and so is what was answered wrong.
read_settings() {
  step 'settings'
  ask_for_missing
  trim_settings
  [[ ${CALLBACK_URL,,} != off ]] || CALLBACK_URL=off
  local problems=''
  [[ -n $PROJECT ]] || problems=$'\n''  project: is missing (--project ID)'
  refuse "$problems$(wrong_values)$(wrong_settings)$(missing_settings)"
  tell_short_secrets
  say "$PROJECT, $REGION: ${SERVICES[*]}, images tagged $TAG"
  [[ " ${SERVICES[*]} " != *' search '* || -n ${SEARCH_ORIGINS:-} ]] \
    || say 'SEARCH_ORIGINS is empty: guests cannot search from a page of yours (docs/search.md)'
}
