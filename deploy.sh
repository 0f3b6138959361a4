#!/usr/bin/env bash
# From a clean Google Cloud project to running services, and again for every new version.
set -euo pipefail

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 402)) \
  || { echo "deploy.sh: needs bash 4.2 or newer, this is $BASH_VERSION" >&2; exit 1; }

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=deploy/say.sh
source "$ROOT/deploy/say.sh"
# shellcheck source=deploy/values.sh
source "$ROOT/deploy/values.sh"
# shellcheck source=deploy/rules.sh
source "$ROOT/deploy/rules.sh"
# shellcheck source=deploy/keys.sh
source "$ROOT/deploy/keys.sh"
# shellcheck source=deploy/limits.sh
source "$ROOT/deploy/limits.sh"
# shellcheck source=deploy/packs.sh
source "$ROOT/deploy/packs.sh"
# shellcheck source=deploy/settings.sh
source "$ROOT/deploy/settings.sh"
# shellcheck source=deploy/lock.sh
source "$ROOT/deploy/lock.sh"
# shellcheck source=deploy/prepare.sh
source "$ROOT/deploy/prepare.sh"
# shellcheck source=deploy/secrets.sh
source "$ROOT/deploy/secrets.sh"
# shellcheck source=deploy/build.sh
source "$ROOT/deploy/build.sh"
# shellcheck source=deploy/traffic.sh
source "$ROOT/deploy/traffic.sh"
# shellcheck source=deploy/rollback.sh
source "$ROOT/deploy/rollback.sh"
# shellcheck source=deploy/started.sh
source "$ROOT/deploy/started.sh"
# shellcheck source=deploy/release.sh
source "$ROOT/deploy/release.sh"
# shellcheck source=deploy/smoke.sh
source "$ROOT/deploy/smoke.sh"
# shellcheck source=deploy/connect.sh
source "$ROOT/deploy/connect.sh"
# shellcheck source=deploy/monitor.sh
source "$ROOT/deploy/monitor.sh"

usage() {
  cat <<'TEXT'
usage: ./deploy.sh [command] [options]

commands
  deploy       prepare the project, build, release, connect Supabase (the default)
  rollback     send all traffic back to the revision that served before
  connect      tell Supabase where the functions are, and the secret
  monitoring   create or update the dashboard, the log-based metrics and the alerts
  unlock       remove the lock that a killed run left (it goes by itself after two hours); a
               deployment that lost its lock promotes nothing

options
  --project ID         default: gcloud's own
  --region REGION      default: $REGION or us-central1
  --only SERVICE       process, cluster or search
  --env-file FILE      default: .env, when there is one; variables of the environment win
  --tag TAG            the images' tag; default: the git commit
  --no-build           the images of --tag are in the registry already
  --pack NAME          the weights: buffalo_l (the default, research only), yunet_sface1,
                       yunet_auraface1, … (docs/packs.md)
  --with-search        a third service, where guests find their photos (also: SEARCH=on)
  --cluster-memory SIZE, --cluster-cpu N
                       for events that outgrow an instance: 32Gi and 8
  --gpu                process on an NVIDIA L4 (also: USE_GPU=true)
  --inference NAME     openvino: process in bfloat16, where the CPU has it (docs/deployment.md)
  --no-invoker-iam     where the organisation forbids allUsers: switch the IAM check off instead
                       (also: INVOKER_IAM=off)
  --media-bucket NAME  let process read this Google Cloud Storage bucket, gs:// or not (repeat for more)
  --notify CHANNEL     notification channel of the alerts (projects/…/notificationChannels/…)
  --dry-run            print every command, run none; the commands on standard output

environment  SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, CALLBACK_URL, CALLBACK_SECRET, and any of
             .env.example; MAX_IN_FLIGHT (32), CONCURRENCY (4), MIN_INSTANCES (0), CPU (2),
             MEMORY (2Gi), CLUSTER_CPU, CLUSTER_MEMORY, SEARCH (off), USE_GPU (false), INVOKER_IAM (on),
             WEIGHTS (release, or gs://bucket/prefix), PYTHON_IMAGE, ACCEPT_INSIGHTFACE_LICENSE=yes,
             DATABASE_URL (connect Supabase through psql; default: through its API)
TEXT
}

deploy() {
  check_tools
  read_settings
  accept_licence
  check_supabase
  enable_apis
  take_lock
  create_repository
  create_accounts
  store_secrets
  build_images
  renew_lock
  for_each_service try_release
  renew_lock
  for_each_service may_promote
  for_each_service promote
  connect_supabase
  say "done:"
  for_each_service say_url
}

say_url() { say "  $1 ${URL[$1]}"; }

for_each_service() {
  local service
  for service in "${SERVICES[@]}"; do "$1" "$service"; done
}

main() {
  parse_options "$@"
  case "$COMMAND" in
    deploy) deploy ;;
    rollback) check_tools; take_lock; rollback ;;
    connect) check_tools; read_settings; take_lock; read_serving_secret; read_serving_pace; look_urls; connect_supabase ;;
    monitoring) check_tools; take_lock; apply_monitoring ;;
    unlock) check_tools; unlock ;;
  esac
}

main "$@"
