# shellcheck shell=bash
# Options, environment, .env: what to deploy, where, and how large.

COMMAND=deploy
PROJECT=''
ONLY=''
ENV_FILE=''
TAG=''
BUILD=yes
GPU=no
INVOKER_IAM=yes
MEDIA_BUCKETS=()
NOTIFY=''
DRY_RUN=no
SERVICES=(process cluster)

# Read by the functions' own settings; passed on to both when set. Secrets are not among them.
PLAIN_SETTINGS=(
  SUPABASE_URL CALLBACK_URL DETECTION_THRESHOLD DET_SIZE MIN_CLUSTER_SIZE MIN_SAMPLES
  CLUSTER_EPSILON SIMILARITY_THRESHOLDS MODEL_PACK MODEL_DIR
  MAX_MEDIA_BYTES MAX_MEDIA_PIXELS MAX_FACES_PER_PHOTO
  FETCH_TIMEOUT_SECONDS SIGNED_URL_SECONDS MEDIA_URL_HOSTS STORE_TIMEOUT_SECONDS
  CALLBACK_TIMEOUT_SECONDS LOG_LEVEL
)
SECRET_SETTINGS=(SUPABASE_SERVICE_ROLE_KEY CALLBACK_SECRET WEBHOOK_SECRET WEBHOOK_SECRET_PREVIOUS)
DEPLOY_SETTINGS=(
  REGION MAX_IN_FLIGHT CONCURRENCY MIN_INSTANCES CPU MEMORY WEIGHTS PYTHON_IMAGE DATABASE_URL
  ACCEPT_INSIGHTFACE_LICENSE
)

parse_options() {
  while (($#)); do
    case "$1" in
      deploy | rollback | connect | monitoring) COMMAND=$1 ;;
      help | -h | --help) COMMAND=help ;;
      --project) PROJECT=$(value_of "$@"); shift ;;
      --region) REGION=$(value_of "$@"); shift ;;
      --only) ONLY=$(value_of "$@"); shift ;;
      --env-file) ENV_FILE=$(value_of "$@"); shift ;;
      --tag) TAG=$(value_of "$@"); shift ;;
      --media-bucket) MEDIA_BUCKETS+=("$(value_of "$@")"); shift ;;
      --database-url) DATABASE_URL=$(value_of "$@"); shift ;;
      --notify) NOTIFY=$(value_of "$@"); shift ;;
      --no-build) BUILD=no ;;
      --gpu) GPU=yes ;;
      --no-invoker-iam) INVOKER_IAM=no ;;
      --dry-run) DRY_RUN=yes ;;
      *) die "unknown option $1 (./deploy.sh --help)" ;;
    esac
    shift
  done
  case "$ONLY" in
    '') ;;
    process | cluster) SERVICES=("$ONLY") ;;
    *) die "--only takes process or cluster, not $ONLY" ;;
  esac
  load_env_file
  set_defaults
}

value_of() {
  [[ $# -ge 2 && -n $2 && $2 != --* ]] || die "$1 needs a value"
  printf '%s' "$2"
}

# KEY=VALUE lines are read, never executed; what the environment says already wins.
load_env_file() {
  if [[ -z $ENV_FILE ]]; then
    [[ -f $ROOT/.env ]] || return 0
    ENV_FILE=$ROOT/.env
  fi
  [[ -r $ENV_FILE ]] || die "cannot read $ENV_FILE"
  local line name value
  local known=" ${PLAIN_SETTINGS[*]} ${SECRET_SETTINGS[*]} ${DEPLOY_SETTINGS[*]} "
  while IFS= read -r line || [[ -n $line ]]; do
    [[ $line =~ ^([A-Z_]+)=(.*)$ ]] || continue
    name=${BASH_REMATCH[1]}
    value=${BASH_REMATCH[2]}
    if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; fi
    if [[ $known == *" $name "* && -z ${!name:-} ]]; then printf -v "$name" '%s' "$value"; fi
  done <"$ENV_FILE"
}

set_defaults() {
  REGION=${REGION:-us-central1}
  MAX_IN_FLIGHT=${MAX_IN_FLIGHT:-32}
  CONCURRENCY=${CONCURRENCY:-4}
  MIN_INSTANCES=${MIN_INSTANCES:-0}
  CPU=${CPU:-2}
  MEMORY=${MEMORY:-2Gi}
  WEIGHTS=${WEIGHTS:-release}
  MODEL_PACK=${MODEL_PACK:-buffalo_l}
  TAG=${TAG:-$(git -C "$ROOT" rev-parse --short=12 HEAD 2>/dev/null || date -u +%Y%m%d-%H%M%S)}
  local name
  for name in MAX_IN_FLIGHT CONCURRENCY MIN_INSTANCES; do
    [[ ${!name} =~ ^[0-9]+$ ]] || die "$name: must be a whole number, not ${!name}"
  done
  ((MAX_IN_FLIGHT > 0 && CONCURRENCY > 0)) || die "MAX_IN_FLIGHT and CONCURRENCY: at least 1"
  [[ $WEIGHTS == release || $WEIGHTS == gs://* ]] || die "WEIGHTS: release or gs://bucket/prefix"
}

# At a terminal, what is missing is asked for; secrets are not shown.
ask_for_missing() {
  [[ -t 0 && $DRY_RUN == no ]] || return 0
  local name
  for name in SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY CALLBACK_URL CALLBACK_SECRET; do
    [[ -z ${!name:-} ]] || continue
    [[ $name != CALLBACK_SECRET || ${CALLBACK_URL:-} != off ]] || continue
    case $name in
      *_KEY | *_SECRET) read -rsp "$name (not shown): " "${name?}" && say '' ;;
      CALLBACK_URL) read -rp "$name (or off): " "${name?}" ;;
      *) read -rp "$name: " "${name?}" ;;
    esac
  done
}

# Everything wrong is named at once. The secret that callers present is made up where none is given.
read_settings() {
  step 'settings'
  ask_for_missing
  local name problems=''
  for name in SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY CALLBACK_URL; do
    [[ -n ${!name:-} ]] || problems+=$'\n'"  $name: is missing"
  done
  [[ -z ${SUPABASE_URL:-} || $SUPABASE_URL == https://* ]] \
    || problems+=$'\n''  SUPABASE_URL: must be an https URL that Cloud Run can reach'
  [[ -z ${CALLBACK_URL:-} || $CALLBACK_URL == off || $CALLBACK_URL == https://* ]] \
    || problems+=$'\n''  CALLBACK_URL: must be an https URL, or off'
  [[ ${CALLBACK_URL:-} == off || -n ${CALLBACK_SECRET:-} ]] \
    || problems+=$'\n''  CALLBACK_SECRET: is missing'
  [[ ${WEBHOOK_SECRET:-} != off ]] || problems+=$'\n''  WEBHOOK_SECRET: never off in public'
  [[ -z $problems ]] || die "the settings need mending:$problems"
  if [[ -z ${WEBHOOK_SECRET:-} ]]; then
    WEBHOOK_SECRET=${CALLBACK_SECRET:-$(stored_or_new_secret)}
  fi
  say "$PROJECT, $REGION: ${SERVICES[*]}, images tagged $TAG"
}

stored_or_new_secret() {
  look gcloud secrets versions access latest --secret=memoria-webhook-secret \
    --project="$PROJECT" || head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n'
}

for_each_service() {
  local service
  for service in "${SERVICES[@]}"; do "$@" "$service"; done
}
