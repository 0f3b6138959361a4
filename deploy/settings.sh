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
      --media-bucket) MEDIA_BUCKETS+=("$(value_of "$@")"); shift ;;
      --notify) NOTIFY=$(value_of "$@"); shift ;;
      --no-build) BUILD=no ;;
      --gpu) USE_GPU=true ;;
      --no-invoker-iam) INVOKER_IAM=off ;;
      --dry-run) DRY_RUN=yes ;;
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
  TAG=${TAG:-$(git -C "$ROOT" rev-parse --short=12 HEAD 2>/dev/null || date -u +%Y%m%d-%H%M%S)}
  local problems name
  problems=$(wrong_values)
  [[ -z $problems ]] || die "the settings need mending:$problems$(wrong_key)$(wrong_urls)"
  for name in "${WHOLE_NUMBERS[@]}"; do printf -v "$name" '%d' "$((10#${!name}))"; done # 010 is ten
  problems=$(wrong_limits)
  [[ -z $problems ]] || die "the settings need mending:$problems$(wrong_key)$(wrong_urls)"
  CALLBACK_URL=${CALLBACK_URL:-}
  # Of every secret: automatic replication needs all of Google's regions, and a project may be limited to some.
  REPLICATION=(--replication-policy=user-managed --locations="$REGION")
}

# At a terminal, what is missing is asked for; secrets are not shown.
ask_for_missing() {
  [[ -t 0 && $DRY_RUN == no ]] || return 0
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

# Everything wrong is named at once.
read_settings() {
  step 'settings'
  ask_for_missing
  trim_settings
  [[ ${CALLBACK_URL,,} != off ]] || CALLBACK_URL=off
  local name problems
  problems=$(wrong_values)
  for name in SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY CALLBACK_URL; do
    [[ -n ${!name:-} ]] || problems+=$'\n'"  $name: is missing"
  done
  problems+=$(wrong_key)$(wrong_urls)$(wrong_pack)
  [[ $CALLBACK_URL == off || -n ${CALLBACK_SECRET:-} ]] \
    || problems+=$'\n''  CALLBACK_SECRET: is missing'
  problems+=$(wrong_webhook_secret "${WEBHOOK_SECRET:-${CALLBACK_SECRET:-}}")$(wrong_keys)
  [[ $problems != *': is missing'* ]] || problems+=$'\n''write them into .env, of which .env.example is the template, or set them in the environment'
  [[ -n $PROJECT ]] || problems+=$'\n''  project: is missing (--project ID)'
  [[ -z $problems ]] || die "the settings need mending:$problems"
  say "$PROJECT, $REGION: ${SERVICES[*]}, images tagged $TAG"
  [[ " ${SERVICES[*]} " != *' search '* || -n ${SEARCH_ORIGINS:-} ]] \
    || say 'SEARCH_ORIGINS is empty: guests cannot search from a page of yours (docs/search.md)'
}
