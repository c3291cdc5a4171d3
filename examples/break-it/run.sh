#!/usr/bin/env bash
# Break it on purpose: every attack must be refused, in one line that says why.
#   examples/break-it/run.sh LABEL      LABEL must be released in STACKWRIGHT_STORE; see
#                                       docs/walkthrough.md. STACKWRIGHT_SITE names another site.
# All of it happens in copies of the store (by hard links) and of the site, removed at the end.
set -euo pipefail

label=${1:?usage: run.sh LABEL, such as pytorch/2.13.0-cpu@local}
here=$(cd "$(dirname "$0")" && pwd)
released=$(realpath "${STACKWRIGHT_STORE:?name the store that has the release}")
python=$(head -n 1 "$(command -v stackwright)" | sed 's/^#!//')
walk=$released.walkthrough
site=$walk/site
stack=${label%%/*}
overlay=stacks/overlays/break-it
kept=$walk/kept
attacks=0
export STACKWRIGHT_STORE=$walk/store STACKWRIGHT_SITE=${STACKWRIGHT_SITE:-}

say() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*" | sed "s|$walk/||g"; }
stop() { printf 'walk-through: %s\n' "$*" >&2; exit 1; }

# expect CODE COMMAND...: run it, keep what it says, and insist on its exit code
expect() {
    local wanted=$1 code=0
    shift
    show "$@"
    "$@" >"$walk/out" 2>"$walk/err" || code=$?
    [ "$code" = "$wanted" ] || { cat "$walk/out" "$walk/err" >&2; stop "exit code $code, not $wanted"; }
}

# refused WHY COMMAND...: the command must fail, with an error that holds WHY
refused() {
    local why=$1 code=0
    shift
    show "$@"
    "$@" >"$walk/out" 2>"$walk/err" || code=$?
    grep '^error:' "$walk/err" | sed "s|$walk/||g" || true
    [ "$code" != 0 ] || stop "an attack succeeded: $*"
    grep -q -e "$why" "$walk/err" || { cat "$walk/err" >&2; stop "refused, but not because of: $why"; }
    attacks=$((attacks + 1))
}

latest_run() { printf '%s\n' "$STACKWRIGHT_STORE"/runs/* | tail -n 1; }
tamper() { show tamper.py "$@"; "$python" "$here/tamper.py" "$@"; }
keep() { rm -rf "$kept"; cp -a "$1" "$kept"; }
put_back() { rm -rf "$1"; cp -a "$kept" "$1"; }

# candidate FUNCTION: a build in whose Python break_it.FUNCTION() is called at each start
candidate() {
    local packages=$site/$overlay/lib/python3.11/dist-packages
    rm -rf "${site:?}/$overlay"
    mkdir -p "$packages"
    cp "$here/break_it.py" "$packages/"
    echo "import break_it; break_it.$1()" >"$packages/break-it.pth"
    expect 0 stackwright build "$label"
    grep '^image' "$walk/out"
}

clean_up() {
    for record in "$STACKWRIGHT_STORE"/artefacts/*.json; do
        [ -e "$released/artefacts/${record##*/}" ] ||
            podman rmi --force "$("$python" -c 'import json, sys
print(json.load(open(sys.argv[1]))["image"]["config"][7:])' "$record")" >/dev/null 2>&1 || true
    done
    rm -rf "$walk"
}

say "prepare: copies of the store and of the site"
[ -e "$released/live" ] || stop "nothing is released in $released; first: make demo"
rm -rf "$walk"
mkdir -p "$walk"
trap clean_up EXIT
cp -al "$released" "$walk/store"
cp --remove-destination "$released/commands.log" "$walk/store/" # appended to in place
if [ -n "$STACKWRIGHT_SITE" ]; then cp -R "$STACKWRIGHT_SITE" "$site"; else stackwright init "$site"; fi
export STACKWRIGHT_SITE=$site
cp "$here/certify.yaml" "$site/validation/suites/"
cp "$here/matmul.py" "$site/validation/cases/"
sed -i /^minimum_suite:/d "$site"/systems/*.yaml # this suite is shorter than any system allows
sed -i "s|^    provider: wheel$|&\n    overlay: $overlay|" "$site/stacks/$stack.yaml"
before=$(readlink "$STACKWRIGHT_STORE/live")
baseline=$STACKWRIGHT_STORE/certificates/$("$python" -c 'import json, sys
print(json.load(open(sys.argv[1]))["pointers"][sys.argv[2]]["certificate"][7:])' \
    "$STACKWRIGHT_STORE/live/release.json" "${label%@*}").json
stackwright history

say "a) a candidate that is 20 % slower"
candidate slow_down
expect 1 stackwright validate "$label"
cat "$walk/out"
run=$(latest_run)
refused "did not pass: FAIL" stackwright certify "$label"
refused "has no certificate" stackwright release "$label"

say "c) its results edited until they look good"
keep "$run"
tamper "$run" values
refused "judgement on file" stackwright judge "$run"
refused "signed for another" stackwright certify "$label"
tamper "$run" judgement
refused "signed for another" stackwright certify "$label"
tamper "$run" chain judgement
expect 0 stackwright judge "$run"
tail -n 1 "$walk/out"
refused "signed for another" stackwright certify "$label"
refused "signed for another" stackwright validate "$label" --resume "$run"
tamper "$run" signature
refused "not signed by a trusted builder" stackwright certify "$label"
put_back "$run"

say "d) the case that fails is missing"
tamper "$run" without=matmul.none-1.image chain judgement
refused "signed for another" stackwright certify "$label"
put_back "$run"
show "remove the case 'matmul' from the suite"
sed -i '/name: matmul/,$d' "$site/validation/suites/certify.yaml"
expect 0 stackwright validate "$label"
tail -n 1 "$walk/out" # the line that says what to type next
expect 0 stackwright certify "$label"
show "put the suite back"
cp "$here/certify.yaml" "$site/validation/suites/"
refused "for another suite" stackwright release "$label"

say "b) a candidate whose allreduce skips a rank"
show "the rest needs no figures: take the case 'matmul' out of the suite for good"
sed -i '/name: matmul/,$d' "$site/validation/suites/certify.yaml"
candidate skip_a_rank
expect 1 stackwright validate "$label"
cat "$walk/out"
refused "did not pass: FAIL" stackwright certify "$label"

say "e) cases that always pass"
keep "$site/validation/cases"
lie='s/ok=bool(ok)/ok=True/'
show "sed -i '$lie' validation/cases/emit.py"
sed -i "$lie" "$site/validation/cases/emit.py"
refused "payload changed since" stackwright certify "$label"
expect 0 stackwright validate "$label"
expect 0 stackwright certify "$label"
show "put the cases back"
put_back "$site/validation/cases"
refused "for another payload" stackwright release "$label"

say "e) the released build's certificate for the new build"
refused "for another plan" stackwright release "$label" --certificate "$baseline"

say "e) a run changed while it is interrupted"
show "stackwright validate $label, and end it after its first result"
finished=$(latest_run)
stackwright validate "$label" >"$walk/out" 2>&1 &
until run=$(latest_run) && [ "$run" != "$finished" ] && [ -s "$run/results.jsonl" ]; do
    kill -0 $! || stop "validate ended before it was interrupted: $(cat "$walk/out")"
    sleep 0.2
done
kill $!
wait $! || true
keep "$run"
tamper "$run" floors
refused "signed for another" stackwright validate "$label" --resume "$run"
put_back "$run"
show "sed -i '$lie' $run/payload/cases/emit.py"
sed -i "$lie" "$run/payload/cases/emit.py"
refused "copy of the cases was changed" stackwright validate "$label" --resume "$run"

say "e) a prefix that claims to be another"
for manifest in "$STACKWRIGHT_STORE"/steps/prefix/*/prefix/share/stackwright/manifest.json; do
    show "sed -i 's/sha256:/sha256:0/' $manifest"
    sed -i 's/"tree": "sha256:./"tree": "sha256:0/' "$manifest"
done
refused "changed\|does not describe" stackwright validate "$label"

say "what is released is what was released before"
[ "$(readlink "$STACKWRIGHT_STORE/live")" = "$before" ] || stop "the release moved"
stackwright history
printf '\n%s attacks, %s refused\n' "$attacks" "$attacks"
