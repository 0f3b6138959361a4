# shellcheck shell=bash
# Who answers a service's callers: read it, move it, move it back.

TRAFFIC=''    # of the service that was looked at last, a line each: tag,revision,percent,url
SERVICE_URL='' # its own; '' where there is no such service

look_traffic() {
  look gcloud run services describe "memoria-$1" --project="$PROJECT" --region="$REGION" \
    --format='value(status.url)'
  SERVICE_URL=$ANSWER
  TRAFFIC=''
  [[ -n $SERVICE_URL ]] || return 0
  look gcloud run services describe "memoria-$1" --project="$PROJECT" --region="$REGION" \
    --flatten='status.traffic[]' \
    --format='csv[no-heading](status.traffic.tag,status.traffic.revisionName,status.traffic.percent,status.traffic.url)'
  TRAFFIC=$ANSWER
}

serving_revisions() { awk -F, '$3 > 0 && !seen[$2]++ {print $2}' <<<"$TRAFFIC"; }
tagged_revision() { awk -F, -v tag="$1" '$1 == tag {print $2}' <<<"$TRAFFIC"; }
tagged_url() { awk -F, -v tag="$1" '$1 == tag {print $4}' <<<"$TRAFFIC"; }

# All traffic to one revision, by its name, and tags along with it.
move_traffic() {
  local service=$1 revision=$2
  shift 2
  run gcloud run services update-traffic "memoria-$service" --to-revisions="$revision=100" "$@" \
    --project="$PROJECT" --region="$REGION" --quiet
}

declare -A PREVIOUS=() LEAVING=()

# Every service is looked at before one is moved.
rollback() {
  for_each_service look_previous
  for_each_service move_back
}

look_previous() {
  look_traffic "$1"
  PREVIOUS[$1]=$(tagged_revision previous)
  LEAVING[$1]=$(serving_revisions)
  [[ $DRY_RUN == no ]] || PREVIOUS[$1]=PREVIOUS
  [[ -n ${PREVIOUS[$1]} ]] || die "memoria-$1: no revision is tagged previous; nothing was moved (--only SERVICE for the others)"
}

move_back() {
  local service=$1
  step "rollback memoria-$service"
  move_traffic "$service" "${PREVIOUS[$service]}" --update-tags="current=${PREVIOUS[$service]}" --remove-tags=previous
  [[ $DRY_RUN == yes ]] || compare_webhook_secrets "$service" "${PREVIOUS[$service]}" "${LEAVING[$service]}"
}

# The database presents one secret; a revision that serves again accepts the one that it was made with.
compare_webhook_secrets() {
  local service=$1 previous=$2 leaving=$3 accepted
  look_webhook_secret "$previous"
  accepted=$ANSWER
  look_webhook_secret "${leaving%%$'\n'*}"
  [[ $accepted == "$ANSWER" ]] \
    || say "memoria-$service accepts an older WEBHOOK_SECRET again, Supabase presents the newer one: run ./deploy.sh connect"
}
