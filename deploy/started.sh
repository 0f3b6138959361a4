# shellcheck shell=bash
# Why a revision did not start: its own words, from Cloud Logging.

not_started() {
  local service=$1 serving
  serving=$(now_serving "$service")
  tell_log "$service"
  die "memoria-$service: gcloud failed to deploy the new revision; $serving"
}

# The last lines of this run's revision, oldest first, each once: an instance that ends at once is started again. A
# line takes some seconds to get there, and may never do: then how to ask for it.
tell_log() {
  local attempt text
  local -a read_log=(gcloud logging read
    "resource.type=cloud_run_revision AND resource.labels.revision_name=$(revision_of "$1")"
    --project="$PROJECT" --freshness=1h --limit=40 --format='value(textPayload,jsonPayload.message)')
  for attempt in 1 2 3; do
    IFS= read -r -d '' -t 30 text < <(exec 2>"$WORK/complaint" {PLAN}>&-; "${read_log[@]}" | in_order) \
      || (($? <= 128)) || break # the time is over
    [[ -z $text ]] || { say "$(revision_of "$1") logged:"$'\n'"${text%$'\n'}"; return 0; }
    sleep "$((attempt * ${RETRY_SECONDS:-3}))"
  done
  say "nothing is heard of its log$(sed '1s/^/: /;q' "$WORK/complaint"); later:"
  show "${read_log[@]}"
}

# Newest first -> newest last.
in_order() {
  awk '{ sub(/^\t/, ""); sub(/[ \t]+$/, "") } $0 != "" && !seen[$0]++ { lines[++n] = $0 } END { while (n) print lines[n--] }'
}
