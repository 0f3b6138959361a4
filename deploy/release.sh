# shellcheck shell=bash
# Deploy without traffic and try it; only when every service was tried, let the traffic go there.

CANDIDATE=candidate
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
  tell_changed_secret "$service"
  deploy_candidate "$service"
  check_candidate "$service"
  smoke_test "$service" "$(tagged_url "$CANDIDATE")" || give_up "$service"
}

# Between the promotion and the last step, the database presents what the older revision accepted.
tell_changed_secret() {
  local was=${WAS_SERVING[$1]} secret=memoria-webhook-secret version
  [[ $1 != search && -n $was ]] || return 0
  look_secrets "$was"
  version=$(webhook_version)
  [[ -n $version && $version != "${VERSION[$secret]}" ]] || return 0
  ANSWER=$(gcloud secrets versions access "$version" --secret="$secret" --project="$PROJECT" 2>/dev/null) || ANSWER=''
  [[ -n $ANSWER && ( $ANSWER == "$WEBHOOK_SECRET" || $ANSWER == "${WEBHOOK_SECRET_PREVIOUS:-}" ) ]] \
    || say "WEBHOOK_SECRET changes: what Supabase sends to memoria-$1 is refused between its promotion and the last step. \
WEBHOOK_SECRET_PREVIOUS=(what $was accepts) avoids that."
}

deploy_candidate() {
  local service=$1
  local -a flags=()
  service_flags "$service"
  # gcloud refuses --no-traffic for a service that does not exist, and has nowhere to leave the traffic
  # of one whose revisions never started. look_traffic has told both for certain.
  [[ -z ${WAS_SERVING[$service]} ]] || flags+=(--no-traffic)
  if [[ $INVOKER_IAM == on ]]; then flags+=(--allow-unauthenticated); else flags+=(--no-invoker-iam-check); fi
  run gcloud run deploy "memoria-$service" --image="$(image_of "$service")" --tag="$CANDIDATE" \
    --revision-suffix="$RUN" --project="$PROJECT" --region="$REGION" "${flags[@]}" --quiet \
    || not_started "$service"
}

# What stands behind the candidate's URL is what this run made.
check_candidate() {
  [[ $DRY_RUN == no ]] || return 0
  look_traffic "$1"
  [[ $(tagged_revision "$CANDIDATE") == "$(revision_of "$1")" ]] \
    || die "memoria-$1: another deployment took the tag $CANDIDATE; this one's revision was not promoted"
}

give_up() {
  local service=$1 serving
  serving=$(now_serving "$service")
  [[ $serving == *" $(revision_of "$service")" ]] \
    || die "memoria-$service: the new revision failed its smoke test and gets no traffic; $serving"
  die "memoria-$service: its first revision failed its smoke test. It serves all the same, since the first one of a \
service cannot be without traffic; Supabase is told of a service only after its smoke test. Mend it and deploy again, or \
gcloud run services delete memoria-$service --project=$PROJECT --region=$REGION"
}

# Whether the revision that was tried may have the traffic: not where somebody else moved it in the
# meantime. Every service is asked before the first one is promoted, and for its URL as well.
may_promote() {
  local service=$1 was=${WAS_SERVING[$1]} serving
  check_candidate "$service"
  serving=$(serving_revisions)
  [[ $DRY_RUN == yes || $serving == "${was:-$(revision_of "$service")}" ]] \
    || die "memoria-$service: traffic was moved while this deployment ran, from ${was:-nothing} to ${serving//$'\n'/ }; it stays there"
  keep_url "$service"
}

# The revision that was tried, by its name.
promote() {
  local service=$1 revision was=${WAS_SERVING[$1]} tags
  revision=$(revision_of "$service")
  step "traffic of memoria-$service"
  tags="current=$revision"
  # A first revision that never passed its smoke test is nothing to go back to.
  [[ -z $was || ${WAS_TRIED[$service]} != yes ]] || tags+=",previous=$was"
  move_traffic "$service" "$revision" --update-tags="$tags" --remove-tags="$CANDIDATE" || half_promoted "$service"
}

half_promoted() {
  die "memoria-$1: gcloud failed to move its traffic, and Supabase was told nothing. Now:$(all_serving)
of this run are those that end in $RUN. Run it again to go on; back, where a service has an earlier revision:
$(again rollback) --only SERVICE"
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
  [[ $service != process ]] || joined+="${DELIMITER}MAX_IN_FLIGHT=$MAX_IN_FLIGHT" # for connect
  for name in "${PLAIN_SETTINGS[@]}"; do
    [[ -z ${!name:-} ]] || joined+="$DELIMITER$name=${!name}"
  done
  [[ $service != search ]] || joined+="${DELIMITER}SEARCH=only${DELIMITER}USE_GPU=false"
  [[ $GPU == no || $service == search ]] || joined+="${DELIMITER}USE_GPU=true"
  printf '^%s^%s' "$DELIMITER" "${joined#"$DELIMITER"}"
}

