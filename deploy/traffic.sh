# shellcheck shell=bash
# Who answers a service's callers: read it, move it, move it back.

EXISTS=no      # the service that was looked at last
TRAFFIC=''     # its own, a line each: tag,revision,percent,url
SERVICE_URL='' # '' where it has none yet

# One answer of gcloud's tells all of it, and begins with the service's name: an answer that does not is none.
look_traffic() {
  EXISTS=no TRAFFIC='' SERVICE_URL=''
  look gcloud run services describe "memoria-$1" --project="$PROJECT" --region="$REGION" \
    --format='value[separator=" "](metadata.name,status.url,status.traffic.map().format("{0},{1},{2},{3}",tag,revisionName,percent,url).list(separator=";"))'
  [[ -n $ANSWER ]] || return 0
  [[ $ANSWER == "memoria-$1"?(\ *) ]] || die "cannot read what gcloud tells of memoria-$1: $ANSWER"
  EXISTS=yes
  local told=${ANSWER#"memoria-$1"}
  told=${told# }
  [[ $told != https://* ]] || SERVICE_URL=${told%% *}
  told=${told#"$SERVICE_URL"}
  TRAFFIC=${told// /}
  TRAFFIC=${TRAFFIC//;/$'\n'}
  TRAFFIC=${TRAFFIC//None/}
  [[ -z $(serving_revisions) || -n $SERVICE_URL ]] || die "memoria-$1 serves and has no URL: $ANSWER"
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

# For a text after a failure: what is true now, since a command that failed may have done its work.
now_serving() {
  local told
  told=$(look_traffic "$1" 2>/dev/null && serving_revisions) || told='(gcloud cannot tell)'
  printf 'memoria-%s is served by %s' "$1" "${told:-nothing}"
}

# The same of every service, a line each.
all_serving() {
  local service
  for service in "${SERVICES[@]}"; do printf '\n  %s' "$(now_serving "$service")"; done
}
