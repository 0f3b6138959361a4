# shellcheck shell=bash
# The project around the services: APIs, registry, accounts.

REPOSITORY=memoria

check_tools() {
  step 'tools and login'
  local tool token
  local -a tools=(gcloud curl)
  [[ ! $COMMAND =~ ^(deploy|connect)$ || -z ${DATABASE_URL:-} ]] || tools+=(psql)
  for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || die "$tool is not installed"
  done
  # What gcloud prints is read here, and a question of its own would not be seen.
  export CLOUDSDK_CORE_DISABLE_PROMPTS=1 CLOUDSDK_CORE_USER_OUTPUT_ENABLED=true
  export CLOUDSDK_CORE_VERBOSITY=warning CLOUDSDK_CORE_SHOW_STRUCTURED_LOGS=never
  [[ -n $PROJECT ]] || PROJECT=$(gcloud config get-value project 2>/dev/null || true)
  [[ $PROJECT != '(unset)' ]] || PROJECT=''
  # of a command that reads settings it is told with them
  [[ -n $PROJECT || $COMMAND =~ ^(deploy|connect)$ ]] || die 'no project: --project ID'
  ACCOUNT=''
  [[ $DRY_RUN == yes ]] && return
  token=$(gcloud auth print-access-token 2>"$WORK/complaint") \
    || die "not logged in: gcloud auth login ($(head -n 1 "$WORK/complaint"))"
  [[ -n $token ]] || die 'gcloud answers and prints nothing: what it says could not be trusted'
  ACCOUNT=$(gcloud config get-value account 2>/dev/null || true)
}

enable_apis() {
  step 'APIs'
  run gcloud services enable run.googleapis.com artifactregistry.googleapis.com \
    cloudbuild.googleapis.com secretmanager.googleapis.com logging.googleapis.com \
    monitoring.googleapis.com iam.googleapis.com cloudresourcemanager.googleapis.com --project="$PROJECT"
}

create_repository() {
  step 'registry'
  look gcloud artifacts repositories describe "$REPOSITORY" --location="$REGION" \
    --project="$PROJECT" --format='value(name)'
  [[ -z $ANSWER ]] || return 0
  run gcloud artifacts repositories create "$REPOSITORY" --repository-format=docker \
    --location="$REGION" --project="$PROJECT" --description='Images of memoria'
}

account_of() { printf 'memoria-%s@%s.iam.gserviceaccount.com' "$1" "$PROJECT"; }

# One account per service, which may read its own secrets and nothing else; one for builds.
create_accounts() {
  step 'service accounts'
  local name
  for name in "${SERVICES[@]}" build; do
    look gcloud iam service-accounts describe "$(account_of "$name")" --project="$PROJECT" \
      --format='value(email)'
    [[ -z $ANSWER ]] || continue
    run gcloud iam service-accounts create "memoria-$name" --display-name="memoria $name" \
      --project="$PROJECT"
  done
  patiently gcloud projects add-iam-policy-binding "$PROJECT" \
    --member="serviceAccount:$(account_of build)" --role=roles/cloudbuild.builds.builder \
    --condition=None --format=none
  if [[ $WEIGHTS == gs://* ]]; then allow_reading "${WEIGHTS#gs://}" build; fi
  [[ " ${SERVICES[*]} " == *' process '* ]] || return 0
  local bucket
  for bucket in ${MEDIA_BUCKETS[@]+"${MEDIA_BUCKETS[@]}"}; do allow_reading "$bucket" process; done
}

allow_reading() {
  patiently gcloud storage buckets add-iam-policy-binding "gs://${1%%/*}" \
    --member="serviceAccount:$(account_of "$2")" --role=roles/storage.objectViewer --format=none
}
