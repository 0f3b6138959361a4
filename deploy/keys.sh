# shellcheck shell=bash
# What a secret and Supabase's key may be.

# What can travel in a header: printable ASCII. Everything else arrives changed there, or ends the header.
fits_a_header() {
  local LC_ALL=C
  [[ $1 != *[!\ -~]* ]]
}

# What is wrong with a secret, given or stored, a line each: wrong_secret NAME VALUE
wrong_secret() {
  local base64='^whsec_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'
  fits_a_header "$2" || printf '\n  %s: must be printable ASCII, since it travels in a header' "$1"
  [[ $1 == SUPABASE_SERVICE_ROLE_KEY || $2 != whsec_* ]] || [[ $2 =~ $base64 && $2 != whsec_ ]] || printf '\n  %s: must be base64 after whsec_' "$1"
  [[ $1 != WEBHOOK_SECRET || $2 != off ]] \
    || printf '\n  WEBHOOK_SECRET: never off in public (CALLBACK_SECRET stands for it where it is not set)'
}

wrong_secrets() {
  local name
  for name in "${SECRET_SETTINGS[@]}"; do wrong_secret "$name" "${!name:-}"; done
  [[ -n ${WEBHOOK_SECRET:-} || ${CALLBACK_SECRET:-} != off ]] || wrong_secret WEBHOOK_SECRET off
}

# Both stand between strangers and what is public. The functions take a short one, and so does this.
tell_short_secrets() {
  local name secret
  for name in CALLBACK_SECRET WEBHOOK_SECRET; do
    secret=${!name:-}
    [[ -z $secret || ${#secret} -ge 16 ]] \
      || say "$name is short enough to be guessed by trying: openssl rand -hex 32 makes a good one"
  done
}

# The key of browsers, where that of servers belongs (the publishable one, or the legacy JWT of role anon); or
# the legacy one of another project.
wrong_key() {
  local key=${SUPABASE_SERVICE_ROLE_KEY:-} claims project=''
  claims=${key#*.}
  claims=$(decoded "${claims%%.*}" | LC_ALL=C tr -cd '[:print:]')
  [[ $key != sb_publishable_* && ! $claims =~ \"role\"\ *:\ *\"anon\" ]] \
    || printf '\n  SUPABASE_SERVICE_ROLE_KEY: must be a secret key (sb_secret_…, or the legacy service_role), not the publishable or anon one'
  # a shorter host is a vanity subdomain, which names no project
  [[ ! ${SUPABASE_URL:-} =~ ^https://([a-z]{20})\.supabase\.co(/|$) ]] || project=${BASH_REMATCH[1]}
  [[ -z $project || ! $claims =~ \"ref\"\ *:\ *\"([a-z]{20})\" || ${BASH_REMATCH[1]} == "$project" ]] \
    || printf '\n  SUPABASE_SERVICE_ROLE_KEY: is that of the project %s, SUPABASE_URL that of %s' "${BASH_REMATCH[1]}" "$project"
}

# What a part of a JWT says; of anything else, whatever comes.
decoded() {
  tr -- '-_' '+/' <<< "$1==" | base64 --decode 2> /dev/null || true
}
