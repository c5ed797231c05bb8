#!/usr/bin/env bash
# From runs to a claim: is a learning rate of 1e-4 worse than the preset's, how sure is that, and would it come out again?
#     bash examples/from_run_to_claim.sh [STEPS [FOLDER]]
set -euo pipefail
steps=${1:-200} to=${2:-runs/claim}
run=${RUN:-uv run {{ project_slug }}} few="--train.steps $steps --train.eval-every $steps --train.device cpu"

# 1. Three seeds of both. One run says little: another seed gives another figure.
for seed in 0 1 2; do
    $run train $few --train.seed $seed --train.out "$to/usual-$seed"
    $run train $few --train.seed $seed --train.out "$to/slow-$seed" --optim.lr 1e-4
done

# 2. What can be claimed: intervals, a test, a sentence.
$run compare "$to"/usual-* "$to"/slow-*

# 3. Whether the figure depends on which rows were held out.
$run crossval $few --folds 3 --out "$to/crossval"

# 4. What each part is worth.
$run ablate $few --out "$to/ablate"

# 5. Better settings, by two processes that share one study.
$run sweep $few --trials 6 --out "$to/sweep" > /dev/null &
trap 'kill $! 2> /dev/null || true' EXIT
$run sweep $few --trials 6 --out "$to/sweep"
wait $!
trap - EXIT

# 6. The sealed test split, once: a second look is refused.
$run evaluate "$to/usual-0" --split test --final
if $run evaluate "$to/usual-0" --split test --final; then
    echo "the test split was opened twice" >&2
    exit 1
fi

# 7. A page to show, and 8. the same run again: equal, or why not.
$run report "$to/usual-0"
$run reproduce "$to/usual-0" --out "$to/again"
