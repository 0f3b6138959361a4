# shellcheck shell=bash
# Deploy without traffic and try it; only when every service was tried, let the traffic go there.

CANDIDATE=candidate
PROMOTED=''
declare -A WAS_SERVING=() # before this run: a revision's name, '' where nothing served
declare -A WAS_TRIED=()   # yes, where that revision was promoted once

revision_of() { printf 'memoria-%s-%s' "$1" "$RUN"; }

try_release() {
  local service=$1
  step "release memoria-$service"
  look_traffic "$service"
  WAS_SERVING[$service]=$(serving_revisions)
  WAS_TRIED[$service]=$([[ -z $(tagged_revision current) ]] || printf yes)
  [[ ${WAS_SERVING[$service]} != *$'\n'* ]] \
    || die "memoria-$service: traffic is split among ${WAS_SERVING[$service]//$'\n'/ }; send it all to one of them first"
  deploy_candidate "$service"
  check_candidate "$service"
  smoke_test "$service" "$(tagged_url "$CANDIDATE")" || give_up "$service"
}

deploy_candidate() {
  local service=$1
  local -a flags=()
  service_flags "$service"
  # gcloud refuses --no-traffic for a service that does not exist yet.
  [[ -z ${WAS_SERVING[$service]} ]] || flags+=(--no-traffic)
  if [[ $INVOKER_IAM == yes ]]; then flags+=(--allow-unauthenticated); else flags+=(--no-invoker-iam-check); fi
  run gcloud run deploy "memoria-$service" --image="$(image_of "$service")" --tag="$CANDIDATE" \
    --revision-suffix="$RUN" --project="$PROJECT" --region="$REGION" "${flags[@]}" --quiet \
    || die "memoria-$service: the new revision was not deployed; $(still_serving "$service")"
}

still_serving() { printf '%s' "${WAS_SERVING[$1]:-nothing} goes on serving"; }

# What stands behind the candidate's URL is what this run made.
check_candidate() {
  [[ $DRY_RUN == no ]] || return 0
  look_traffic "$1"
  [[ $(tagged_revision "$CANDIDATE") == "$(revision_of "$1")" ]] \
    || die "memoria-$1: another deployment took the tag $CANDIDATE; nothing was promoted"
}

give_up() {
  local service=$1
  if [[ -n ${WAS_SERVING[$service]} ]]; then
    die "memoria-$service: the new revision failed its smoke test; it gets no traffic, $(still_serving "$service")"
  fi
  die "memoria-$service: its first revision failed its smoke test. It serves all the same, since the first one of a \
service cannot be without traffic; Supabase is told of a service only after its smoke test. Mend it and deploy again, or \
gcloud run services delete memoria-$service --project=$PROJECT --region=$REGION"
}

# The revision that was tried, by its name, unless somebody else moved the traffic in the meantime.
promote() {
  local service=$1 revision was=${WAS_SERVING[$1]} tags
  revision=$(revision_of "$service")
  step "traffic of memoria-$service"
  check_candidate "$service"
  [[ $DRY_RUN == yes || $(serving_revisions) == "${was:-$revision}" ]] \
    || die "memoria-$service: traffic was moved while this deployment ran, from $was to $(serving_revisions); it stays there"
  tags="current=$revision"
  # A first revision that never passed its smoke test is nothing to go back to.
  [[ -z $was || ${WAS_TRIED[$service]} != yes ]] || tags+=",previous=$was"
  move_traffic "$service" "$revision" --update-tags="$tags" --remove-tags="$CANDIDATE" \
    || die "memoria-$service: its traffic was not moved; $(still_serving "$service")${PROMOTED:+. New already:$PROMOTED; back with ./deploy.sh rollback --only}"
  PROMOTED+=" $service"
}

# Appends to the caller's array ``flags``.
service_flags() {
  local service=$1
  flags+=(
    --service-account="$(account_of "$service")" --execution-environment=gen2 --port=8080
    --cpu-boost --no-cpu-throttling --ingress=all --labels="app=memoria,service=$service"
    --startup-probe='httpGet.path=/ready,httpGet.port=8080,periodSeconds=5,timeoutSeconds=5,failureThreshold=48'
    --liveness-probe='httpGet.path=/health,httpGet.port=8080,periodSeconds=30,timeoutSeconds=10,failureThreshold=4'
    --set-env-vars="$(plain_settings "$service")" --set-secrets="$(secret_settings)"
  )
  size_flags "$service"
}

# gcloud's own escape, ^delimiter^: a control character, which wrong_values lets into no value.
DELIMITER=$'\x1f'
plain_settings() {
  local service=$1 name joined
  joined="${DELIMITER}THREADS=$(threads "$service")"
  for name in "${PLAIN_SETTINGS[@]}"; do
    [[ -z ${!name:-} ]] || joined+="$DELIMITER$name=${!name}"
  done
  [[ $service != search ]] || joined+="${DELIMITER}SEARCH=only${DELIMITER}USE_GPU=false"
  [[ $GPU == no || $service == search ]] || joined+="${DELIMITER}USE_GPU=true"
  printf '^%s^%s' "$DELIMITER" "${joined#"$DELIMITER"}"
}

