# shellcheck shell=bash
# Is a revision ready, closed to strangers, and able to do a whole request?

smoke_test() {
  local service=$1 url=$2 status
  show curl "$url/ready" "$url/$service"
  [[ $DRY_RUN == no ]] || return 0
  [[ -n $url ]] || { say 'the revision has no URL of its own'; return 1; }
  curl -fsS -o /dev/null --max-time 120 --retry 3 --retry-delay 2 "$url/ready" || return 1
  status=$(curl -sS -o /dev/null -w '%{http_code}' --max-time 30 -X POST -d '{}' "$url/$service") || return 1
  [[ $status == 401 ]] || { say "a stranger was answered $status, not 401"; return 1; }
  if [[ $service == search ]]; then search_request "$url"; else whole_request "$service" "$url"; fi
}

media_url() { printf '%s/storage/v1/object/public/memoria-smoke-test/none.jpg' "${SUPABASE_URL%/}"; }

# Secret, database and storage, with ids that the database does not know: an outcome, stored nowhere.
whole_request() {
  local service=$1 url=$2 body
  body=$(with_secret "$url/$service" \
    "{\"job_id\":\"test-123\",\"media_id\":\"test-123\",\"event_id\":\"test-123\",\"media_url\":$(quoted "$(media_url)")}") || return 1
  [[ $body == *'"status"'* ]] || { say "the smoke test was answered: $body"; return 1; }
}

# An event that nobody knows cannot be searched, and only a caller with the secret is told so much.
search_request() {
  local url=$1 body
  body=$(with_secret "$url/search" \
    "{\"event_id\":\"test-123\",\"consent\":\"test\",\"media_url\":$(quoted "$(media_url)")}") || return 1
  [[ $body =~ \"code\":\ ?\"(not_found|consent_required|invalid_request)\" ]] \
    || { say "the smoke test was answered: $body"; return 1; }
}

with_secret() {
  printf 'header = %s\n' "$(quoted "Authorization: Bearer $WEBHOOK_SECRET")" | curl -sS --config - \
    --max-time 120 -H 'Content-Type: application/json' -d "$2" "$1"
}
