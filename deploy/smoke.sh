# shellcheck shell=bash
# Is a revision ready, closed to strangers, and able to do a whole request?

smoke_test() {
  local service=$1 url=$2 status
  show curl "$url/ready" "$url/health" "$url/$service"
  [[ $DRY_RUN == no ]] || return 0
  [[ -n $url ]] || { say 'the revision has no URL of its own'; return 1; }
  is_ready "$url" || return 1
  status=$(curl -sS -o /dev/null -w '%{http_code}' --max-time 30 -X POST -d '{}' "$url/$service") || return 1
  [[ $status == 401 ]] || { say "a stranger was answered $status, not 401"; return 1; }
  works_with_the_database "$url" || return 1
  if [[ $service == search ]]; then search_request "$url"; else whole_request "$service" "$url"; fi
}

# Google answers in the service's place until it is public everywhere, some seconds after gcloud said so. Where
# the organisation forbids allUsers it does so for good, and gcloud only warned of it.
is_ready() {
  local attempt status
  for attempt in 1 2 3 4 5; do
    status=$(curl -sS -o /dev/null -w '%{http_code}' --max-time 120 --retry 3 --retry-delay 2 "$1/ready") || return 1
    [[ $status == 40[13] && $attempt != 5 ]] || break
    sleep "$((attempt * ${RETRY_SECONDS:-3}))"
  done
  case $status in
    200) return 0 ;;
    401 | 403) say "Google's door answers $status, the service was not asked: the public may not call it. Where the organisation \
forbids allUsers, deploy with --no-invoker-iam, or with INVOKER_IAM=off in .env" ;;
    *) say "/ready answered $status" ;;
  esac
  return 1
}

media_url() { printf '%s/storage/v1/object/public/memoria-smoke-test/none.jpg' "${SUPABASE_URL%/}"; }

# Secret, database and storage, with ids that the database does not know: an outcome, stored nowhere.
whole_request() {
  local service=$1 url=$2
  ask "$url/$service" "Authorization: Bearer $WEBHOOK_SECRET" \
    "{\"job_id\":\"test-123\",\"media_id\":\"test-123\",\"event_id\":\"test-123\",\"media_url\":$(quoted "$(media_url)")}" || return 1
  [[ $STATUS == 200 && $BODY =~ \"status\":\ ?\"(completed|skipped|failed)\" ]] || not_as_expected
}

# An event that nobody knows cannot be searched, and the service hears so from the database. Any other
# code says that secret, database or migrations are not as they must be.
search_request() {
  ask "$1/search" "Authorization: Bearer $WEBHOOK_SECRET" \
    "{\"event_id\":\"test-123\",\"consent\":\"test\",\"media_url\":$(quoted "$(media_url)")}" || return 1
  [[ $STATUS == 404 && $BODY =~ \"code\":\ ?\"not_found\" && $BODY == *'this search is not open'* ]] || not_as_expected
}

# The functions and the database state which ones of the other side they work with (memoria/agreement.py);
# where one of the two is older than that statement, there is nothing to compare.
works_with_the_database() {
  local functions
  functions=$(curl -fsS --max-time 30 "$1/health") || return 1
  ask_the_database || return 1
  work_together "$(agreement_in "$functions")"
}

# With the database that answered last.
work_together() {
  local functions=$1 database
  database=$(agreement_in "$BODY")
  [[ -n $functions && -n $database ]] || return 0
  ((${database% *} >= ${functions#* })) \
    || { say "the database is too old for this version: apply its migrations first (supabase db push --remote)"; return 1; }
  ((${functions% *} >= ${database#* })) \
    || { say "this version is too old for the database, which serves such functions no longer: deploy a newer one"; return 1; }
}

# Before anything is built or stored: whether Supabase is there, takes the key, and has the migrations.
check_supabase() {
  step 'supabase'
  show curl "${SUPABASE_URL%/}/rest/v1/rpc/memoria_doctor"
  [[ $DRY_RUN == no ]] || return 0
  { ask_the_database_again && work_together "$(agreement_here)"; } || die 'nothing was done yet'
}

# "made_for works_with" of what is built from this folder; '' where an image is there already.
agreement_here() {
  [[ $BUILD == no ]] || sed -n 's/^OURS = Agreement(made_for=\([0-9]*\), works_with=\([0-9]*\)).*/\1 \2/p' "$ROOT/shared/memoria/agreement.py"
}

# PostgREST may not know yet what "db push" made just before. What keeps it away in the end is said.
ask_the_database_again() {
  local attempt
  for attempt in 1 2 3; do
    ask_the_database 2>"$WORK/complaint" && return 0
    [[ $attempt != 3 && ${STATUS:-} =~ ^(404|5..)$ ]] || break
    sleep "$((attempt * ${RETRY_SECONDS:-3}))"
  done
  say "$(<"$WORK/complaint")"
  return 1
}

# memoria_doctor's answer, to BODY; or what keeps it away is said.
ask_the_database() {
  ask_supabase memoria_doctor '{}' || { say "SUPABASE_URL: nothing answers at $SUPABASE_URL (is the project paused?)"; return 1; }
  case $STATUS in
    200) return 0 ;;
    401 | 403) say "SUPABASE_SERVICE_ROLE_KEY: $SUPABASE_URL refuses it ($STATUS): $(what_was_said)" ;;
    404) say 'the database knows no memoria_doctor: apply the migrations first (supabase db push --remote)' ;;
    *) say "Supabase answered $STATUS: $(what_was_said)" ;;
  esac
  return 1
}

# The answer's beginning; a host that is none of Supabase's may send back what it was sent.
what_was_said() {
  local said=${BODY//"$SUPABASE_SERVICE_ROLE_KEY"/…}
  printf '%s' "${said:0:2000}"
}

# "made_for works_with" of what a service's /health or memoria_doctor says.
agreement_in() {
  [[ $1 =~ \"agreement\":\ ?\{([^}]*)\} ]] || return 0
  local stated=${BASH_REMATCH[1]} made_for
  [[ $stated =~ \"made_for\":\ ?([0-9]{1,6}) ]] || return 0
  made_for=$((10#${BASH_REMATCH[1]}))
  [[ $stated =~ \"works_with\":\ ?([0-9]{1,6}) ]] || return 0
  printf '%s %s' "$made_for" "$((10#${BASH_REMATCH[1]}))"
}

ask_supabase() {
  local key=$SUPABASE_SERVICE_ROLE_KEY
  ask "${SUPABASE_URL%/}/rest/v1/rpc/$1" "apikey: $key"$'\n'"Authorization: Bearer $key" "$2"
}

# POST as JSON with headers, a line each, which stand on no command line: the answer to STATUS and BODY.
ask() {
  local header answer config=''
  while IFS= read -r header; do config+="header = $(quoted "$header")"$'\n'; done <<<"$2"
  config+="data = $(quoted "$3")"
  answer=$(curl -sS --config - --connect-timeout 20 --max-time 120 -H 'Content-Type: application/json' \
    -w '\n%{http_code}' "$1" <<<"$config") || return 1
  STATUS=${answer##*$'\n'}
  BODY=${answer%$'\n'*}
}

not_as_expected() {
  say "the smoke test was answered $STATUS: ${BODY:0:2000}"
  return 1
}
