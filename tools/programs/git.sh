#!/usr/bin/env bash
# A day of git's life in FOLDER, the same every time: git.sh FOLDER COMMITS [REPOSITORY]. Prints what
# came of it, which has to be the same on every file system; REPOSITORY is cloned as well.
set -euo pipefail
folder=$1 commits=$2 repository=${3-}
export HOME=$folder GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='2026-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
export GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
cat > "$HOME/.gitconfig" << 'CONFIG'
[init]
  defaultBranch = main
[gc]
  auto = 0
  autoDetach = false
[safe]
  directory = *
[advice]
  detachedHead = false
CONFIG
say() { printf '%s\n' "$*"; }
clean() { [[ -z $(git status --porcelain) ]] || { git status --short | head; exit 1; }; }
lines() { awk -v n="$1" -v s="$2" 'BEGIN { srand(s); for (i = 0; i < n; i++) print i, rand() }'; }

# One commit: some new files, some changed ones, some that go or move.
step() {
  local at=$1
  mkdir -p "dir-$((at % 7))/sub"
  for i in 1 2 3 4 5 6; do lines $((at * i % 90 + 1)) "$at$i" > "dir-$((at % 7))/sub/$at-$i"; done
  lines 400 "$at" > "big-$((at % 3))"
  ((at % 4)) || ln -sf "big-$((at % 3))" "link-$at"
  if ((at > 8 && at % 5 == 0)); then
    git rm -q "dir-$(((at - 7) % 7))/sub/$((at - 7))-1"
    git mv "dir-$(((at - 6) % 7))/sub/$((at - 6))-2" "moved-$at"
  fi
  git add -A
  git commit -qm "step $at"
}

mkdir "$folder/work" && cd "$folder/work"
git init -q
for ((n = 1; n <= commits; n++)); do step "$n"; done
clean

# Branches that merge, one that is rebased, one that is picked from.
git checkout -qb side "HEAD~$((commits / 2))"
lines 50 side > side-file && git add side-file && git commit -qm side
for n in 1 2 3; do
  lines $((n * 10)) "topic$n" > "topic-$n" && git add . && git commit -qm "topic $n"
done
git checkout -q main
git merge -q --no-ff -m merge side
git checkout -qb rebased "HEAD~3"
lines 60 rebase > rebase-file && git add . && git commit -qm 'to be rebased'
git rebase -q main
git checkout -q main
git cherry-pick rebased > /dev/null
lines 5 stash >> big-1 && git stash -q && clean && git stash pop -q && git checkout -q big-1
git tag -am tag v1
clean

# A search by halves for the commit that brought a line.
git bisect start HEAD "$(git rev-list --max-parents=0 HEAD)" > /dev/null
git bisect run sh -c "test ! -e topic-2" > "$folder/bisect.log"
grep -q 'is the first bad commit' "$folder/bisect.log"
say first bad: "$(git show -s --format=%s refs/bisect/bad)"
git bisect reset > /dev/null 2>&1
clean

# Every state of the past can be taken out again.
for commit in $(git rev-list main); do
  git checkout -q "$commit"
  [[ $(git write-tree) == $(git rev-parse "$commit^{tree}") ]]
  clean
done
git checkout -q main
git fsck --strict --full > /dev/null
git repack -qad && git gc -q --aggressive --prune=now
git fsck --strict --full > /dev/null
git count-objects -v | grep -q '^count: 0$'

# A clone by links, one by copying, a worktree: the same files in each.
git clone -q . ../linked
git clone -q --no-local . ../copied
git worktree add -q ../tree -b other
for other in linked copied tree; do
  (cd "../$other" && git fsck --strict > /dev/null && clean)
  diff -r --exclude=.git . "../$other"
done
(cd ../copied && step 1000 && git push -q origin HEAD:refs/heads/pushed)
git worktree remove ../tree
git for-each-ref --format='%(objectname) %(refname)'
git archive --format=tar main | sha256sum

if [[ -n $repository ]]; then
  git clone -q --no-local "$repository" ../project
  cd ../project
  git fsck --strict --full > /dev/null
  clean
  git log --stat --oneline | sha256sum
  git grep -c import -- '*.ts' | sha256sum
fi
