# shellcheck shell=bash
# How large the services are, in numbers that agree with each other and with the functions' own.

# MiB that an instance of process takes: models and libraries, the decoding children, photos being
# decoded (memoria.media.budget), and what each request holds beside them.
MODELS_MIB=600
CHILDREN_MIB=90
DECODING_MIB=800
REQUEST_MIB=48

GPU_MEMORY=16Gi
SEARCH_INSTANCES=4
CLUSTER_INSTANCES=4
CLUSTER_CONCURRENCY=2 # one event's faces may fill an instance: two at a time, and a callback beside each
SPARE_THREADS=4       # for /health and /ready while every request waits

concurrency() { if [[ $1 == cluster ]]; then printf %s "$CLUSTER_CONCURRENCY"; else printf '%s' "$CONCURRENCY"; fi; }
# Half of them take requests whose body is large, as every search's is: as many as Cloud Run sends.
threads() {
  local requests
  requests=$(concurrency "$1")
  printf '%s' $((requests > SPARE_THREADS ? 2 * requests : requests + SPARE_THREADS))
}

# Cloud Run hangs up after the run itself has ended: MAX_RUN_SECONDS, and time to store and call back.
photo_timeout() {
  local seconds=${MAX_RUN_SECONDS:-300}
  LC_ALL=C awk -v seconds="${seconds//_/}" 'BEGIN { printf "%d", seconds + 60 }'
}

# At a time, beside MAX_IN_FLIGHT photos: half as many, and one at least.
callbacks_in_flight() { printf '%s' $((MAX_IN_FLIGHT / 2 > 0 ? MAX_IN_FLIGHT / 2 : 1)); }

# As many instances as the queue may keep busy with photos and callbacks.
max_instances() {
  case $1 in
    cluster) printf '%s' "$CLUSTER_INSTANCES" ;;
    search) printf '%s' "$SEARCH_INSTANCES" ;;
    process) printf '%s' $(((MAX_IN_FLIGHT + $(callbacks_in_flight) + CONCURRENCY - 1) / CONCURRENCY)) ;;
  esac
}

# Appends to the caller's array ``flags``.
size_flags() {
  case "$1-$GPU" in
    process-yes) flags+=(--gpu=1 --gpu-type=nvidia-l4 --no-gpu-zonal-redundancy --cpu=4 --memory="$GPU_MEMORY" --timeout="$(photo_timeout)") ;;
    process-no) flags+=(--cpu="$CPU" --memory="$MEMORY" --timeout="$(photo_timeout)") ;;
    cluster-*) flags+=(--cpu="$CLUSTER_CPU" --memory="$CLUSTER_MEMORY" --timeout=3600) ;;
    search-*) flags+=(--cpu="$CPU" --memory="$MEMORY" --timeout=60) ;;
  esac
  flags+=(--concurrency="$(concurrency "$1")" --min-instances="$MIN_INSTANCES" --max-instances="$(max_instances "$1")")
}

mebibytes() { if [[ $1 == *Gi ]]; then printf '%s' $((10#${1%Gi} * 1024)); else printf '%s' "$((10#${1%Mi}))"; fi; }

# Everything that does not fit together, a line each.
wrong_limits() {
  local needed service memory=$MEMORY
  [[ $GPU == no ]] || memory=$GPU_MEMORY
  [[ $GPU == no || $INFERENCE == onnxruntime ]] || printf '\n  INFERENCE: %s runs on the CPU, without --gpu' "$INFERENCE"
  ((MAX_IN_FLIGHT > 0)) || printf '\n  MAX_IN_FLIGHT: at least 1'
  ((CONCURRENCY > 0 && CONCURRENCY <= 1000)) || printf '\n  CONCURRENCY: 1 to 1000'
  fits_cloud_run CPU MEMORY
  # those of cluster are these where they are not set: told once
  [[ $CLUSTER_CPU-$CLUSTER_MEMORY == "$CPU-$MEMORY" ]] || fits_cloud_run CLUSTER_CPU CLUSTER_MEMORY
  ((MAX_IN_FLIGHT > 0 && CONCURRENCY > 0)) || return 0 # nothing can be divided by them
  needed=$((MODELS_MIB + CHILDREN_MIB + DECODING_MIB + CONCURRENCY * REQUEST_MIB))
  ((needed <= $(mebibytes "$memory"))) \
    || printf '\n  MEMORY: %s is too little for CONCURRENCY=%s, which needs %s MiB' "$memory" "$CONCURRENCY" "$needed"
  for service in process cluster search; do
    ((MIN_INSTANCES <= $(max_instances "$service"))) \
      || printf '\n  MIN_INSTANCES: at most %s, so many instances has %s' "$(max_instances "$service")" "$service"
  done
}

# Cloud Run's own: 4 GiB a CPU at most; 4 CPUs take 2 GiB at least, more of them 4.
fits_cloud_run() {
  local cpu=${!1} memory
  memory=$(mebibytes "${!2}")
  case $cpu in
    1 | 2) ((memory >= 512)) ;;
    4) ((memory >= 2048)) ;;
    6 | 8) ((memory >= 4096)) ;;
    *) printf '\n  %s: 1, 2, 4, 6 or 8, not %s' "$1" "$cpu"; return ;;
  esac && ((memory <= cpu * 4096)) || printf '\n  %s: Cloud Run gives no %s to %s CPUs' "$2" "${!2}" "$cpu"
}
