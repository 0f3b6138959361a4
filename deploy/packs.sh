# shellcheck shell=bash
# The packs that an image can be built with, as memoria/packs/catalogue.py knows them.

OPEN_PACKS=' yunet_sface1 yunet_auraface1 yunet_sface1_int8 '
RESEARCH_PACKS=' buffalo_l buffalo_m buffalo_s buffalo_sc antelopev2 '

must_be_accepted() { [[ $RESEARCH_PACKS == *" $MODEL_PACK "* ]]; }

builds_process() { [[ $COMMAND == deploy && $BUILD == yes && " ${SERVICES[*]} " =~ \ (process|search)\  ]]; }

wrong_pack() {
  builds_process || return 0
  [[ "$OPEN_PACKS$RESEARCH_PACKS" == *" $MODEL_PACK "* ]] \
    || printf '\n  --pack: unknown pack %s; known are%s (docs/packs.md)' "$MODEL_PACK" "${OPEN_PACKS% }${RESEARCH_PACKS% }"
}

# InsightFace's packs may be used for non-commercial research only; the choice is the deployer's.
accept_licence() {
  builds_process && must_be_accepted || return 0
  [[ ${ACCEPT_INSIGHTFACE_LICENSE:-} != yes ]] || return 0
  step 'licence of the weights'
  say "The image will contain InsightFace's $MODEL_PACK. Its authors license these weights for"
  say 'non-commercial research only. A business can take --pack yunet_sface1 (docs/packs.md).'
  [[ $DRY_RUN == no ]] || { say 'Without --dry-run you are asked to accept that.'; return 0; }
  [[ -t 0 ]] || die 'set ACCEPT_INSIGHTFACE_LICENSE=yes to accept'
  local answer
  read -rp 'Type yes to accept: ' answer
  [[ $answer == yes ]] || die 'not accepted, nothing was deployed'
}
