#!/bin/sh
# The smallest payload that can pass or fail: one check, in the emitter's form (docs/formats.md).
# Into the rank's file under Stackwright, to standard output elsewhere.
out=${STACKWRIGHT_OUT:+$STACKWRIGHT_OUT/rank-0.jsonl}
printf '%s\n' \
    '{"t": "begin", "nonce": "'"$STACKWRIGHT_NONCE"'", "rank": 0, "world": 1, "host": "here", "pid": 1, "python": "none", "prefix": "/", "manifest": {"plan_hash": "'"$PLAN_HASH"'", "tree": "'"$TREE"'"}}' \
    '{"t": "check", "name": "alive", "ok": true, "detail": "ran"}' \
    '{"t": "end"}' >"${out:-/dev/stdout}"
