# shellcheck shell=bash
# Build, deploy without traffic, try it, then let the traffic go there. And back.

CANDIDATE=candidate

image_of() {
  printf '%s-docker.pkg.dev/%s/%s/%s:%s' "$REGION" "$PROJECT" "$REPOSITORY" "$1" "$TAG"
}

build_images() {
  [[ $BUILD == yes ]] || return 0
  step 'images'
  local substitutions="_REGION=$REGION,_TAG=$TAG,_WEIGHTS=$WEIGHTS,_MODEL_PACK=$MODEL_PACK"
  substitutions+=",_TARGET=$(target),_ONLY=$ONLY,_TEST=no,_DEPLOY=no"
  substitutions+=",_ACCEPT_INSIGHTFACE_LICENSE=yes" # accept_licence saw to it
  [[ -z ${PYTHON_IMAGE:-} ]] || substitutions+=",_PYTHON_IMAGE=$PYTHON_IMAGE"
  run gcloud builds submit "$ROOT" --config="$ROOT/cloudbuild.yaml" --project="$PROJECT" \
    --region="$REGION" --substitutions="$substitutions" \
    --service-account="projects/$PROJECT/serviceAccounts/$(account_of build)" \
    --default-buckets-behavior=regional-user-owned-bucket
}

target() { if [[ $GPU == yes ]]; then printf gpu; else printf cpu; fi; }

# A new revision takes traffic only after it answered; what serves now goes on serving otherwise.
release() {
  local service=$1
  step "release memoria-$service"
  local serving
  serving=$(serving_revision "$service")
  deploy_candidate "$service" "$serving"
  smoke_test "$service" "$(tag_field "$service" "$CANDIDATE" url)" \
    || die "memoria-$service: the new revision failed its smoke test; it gets no traffic${serving:+, $serving goes on serving}"
  promote "$service" "$serving"
}

deploy_candidate() {
  local service=$1 serving=$2
  local -a flags=()
  service_flags "$service"
  # gcloud refuses --no-traffic for a service that does not exist yet.
  [[ -z $serving ]] || flags+=(--no-traffic)
  if [[ $INVOKER_IAM == yes ]]; then flags+=(--allow-unauthenticated); else flags+=(--no-invoker-iam-check); fi
  run gcloud run deploy "memoria-$service" --image="$(image_of "$service")" --tag="$CANDIDATE" \
    --project="$PROJECT" --region="$REGION" "${flags[@]}" --quiet
}

# Appends to the caller's array ``flags``.
service_flags() {
  local service=$1
  flags+=(
    --service-account="$(account_of "$service")" --execution-environment=gen2 --port=8080
    --cpu-boost --no-cpu-throttling --ingress=all --labels="app=memoria,service=$service"
    --min-instances="$MIN_INSTANCES" --max-instances="$(max_instances "$service")"
    --startup-probe='httpGet.path=/ready,httpGet.port=8080,periodSeconds=5,timeoutSeconds=5,failureThreshold=48'
    --liveness-probe='httpGet.path=/health,httpGet.port=8080,periodSeconds=30,timeoutSeconds=10,failureThreshold=4'
    --set-env-vars="$(plain_settings)" --set-secrets="$(secret_settings)"
    --concurrency="$(concurrency "$service")"
  )
  case "$service-$GPU" in
    process-yes)
      flags+=(--gpu=1 --gpu-type=nvidia-l4 --no-gpu-zonal-redundancy --cpu=4 --memory=16Gi --timeout=300)
      ;;
    process-no) flags+=(--cpu="$CPU" --memory="$MEMORY" --timeout=300) ;;
    cluster-*) flags+=(--cpu="$CPU" --memory="$MEMORY" --timeout=3600) ;;
  esac
}

# One event's faces may fill an instance: two at a time, and room for a callback beside each.
concurrency() { if [[ $1 == cluster ]]; then printf 2; else printf '%s' "$CONCURRENCY"; fi; }

# As many instances as the queue may keep busy: photos in flight, and callbacks up to half as many.
max_instances() {
  local in_flight=$((MAX_IN_FLIGHT + MAX_IN_FLIGHT / 2))
  if [[ $1 == cluster ]]; then printf 4; else printf '%s' $(((in_flight + CONCURRENCY - 1) / CONCURRENCY)); fi
}

# gcloud's own escape: a delimiter that no value holds.
plain_settings() {
  local name joined=''
  for name in "${PLAIN_SETTINGS[@]}"; do
    [[ -z ${!name:-} ]] || joined+="${joined:+::}$name=${!name}"
  done
  [[ $GPU == yes ]] && joined+='::USE_GPU=true'
  printf '^::^%s' "$joined"
}

secret_settings() {
  local name joined=''
  for name in "${SECRET_SETTINGS[@]}"; do
    [[ -z ${!name:-} ]] || joined+="${joined:+,}$name=$(secret_name "$name"):latest"
  done
  printf '%s' "$joined"
}

# One line per entry of the service's traffic: tag, revision, percent, url.
traffic() {
  look gcloud run services describe "memoria-$1" --project="$PROJECT" --region="$REGION" \
    --flatten='status.traffic[]' \
    --format='csv[no-heading](status.traffic.tag,status.traffic.revisionName,status.traffic.percent,status.traffic.url)' \
    || true
}

serving_revision() { traffic "$1" | awk -F, '$3 == 100 && !seen++ {print $2}'; }

tag_field() {
  local column=4
  [[ $3 == url ]] || column=2
  traffic "$1" | awk -F, -v tag="$2" -v column="$column" '$1 == tag {print $column}'
}

service_url() {
  look gcloud run services describe "memoria-$1" --project="$PROJECT" --region="$REGION" \
    --format='value(status.url)' || printf 'https://memoria-%s.example' "$1"
}

# Ready, closed to strangers, and able to do a whole request: secret, database, storage.
smoke_test() {
  local service=$1 url=$2 status body
  local media="${SUPABASE_URL%/}/storage/v1/object/public/memoria-smoke-test/none.jpg"
  local request='{"job_id":"test-123","media_id":"test-123","event_id":"test-123","media_url":"'$media'"}'
  show curl "$url/ready" "$url/$service"
  [[ $DRY_RUN == yes ]] && return
  [[ -n $url ]] || { say 'the revision has no URL of its own'; return 1; }
  curl -fsS -o /dev/null --max-time 120 --retry 3 --retry-delay 2 "$url/ready" || return 1
  status=$(curl -sS -o /dev/null -w '%{http_code}' --max-time 30 -X POST -d '{}' "$url/$service") || return 1
  [[ $status == 401 ]] || { say "a stranger was answered $status, not 401"; return 1; }
  body=$(printf 'header = "Authorization: Bearer %s"\n' "$WEBHOOK_SECRET" | curl -sS --config - \
    --max-time 120 -H 'Content-Type: application/json' -d "$request" "$url/$service") || return 1
  [[ $body == *'"status"'* ]] || { say "the smoke test was answered: $body"; return 1; }
}

promote() {
  local service=$1 serving=$2 revision
  revision=$(tag_field "$service" "$CANDIDATE" revision)
  local tags="current=${revision:-LATEST}"
  [[ -z $serving || $serving == "$revision" ]] || tags+=",previous=$serving"
  run gcloud run services update-traffic "memoria-$service" --to-latest --update-tags="$tags" \
    --project="$PROJECT" --region="$REGION" --quiet
}

rollback() {
  local service=$1
  step "rollback memoria-$service"
  [[ $DRY_RUN == yes || -n $(tag_field "$service" previous revision) ]] \
    || die "memoria-$service: no revision is tagged previous"
  run gcloud run services update-traffic "memoria-$service" --to-tags=previous=100 \
    --project="$PROJECT" --region="$REGION" --quiet
}
