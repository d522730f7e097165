#!/bin/sh
# SPDX-License-Identifier: MIT
# git.remotes against the git program: both end equal, and the way back restores every byte.
set -u
plan=$1
. "$(dirname "$0")/../cli/lib"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
old=https://git.heroku.com/sourceapp.git
new=https://git.heroku.com/targetapp.git

base() { # a repository with a remote heroku and tracking refs
	rm -rf "$scratch/zoo"
	git init -q -b main "$scratch/zoo"
	cd "$scratch/zoo" || die "no repository"
	git commit -q --allow-empty -m one
	git remote add heroku "$old"
	git update-ref refs/remotes/heroku/main HEAD
	git update-ref refs/remotes/heroku/topic HEAD
}

zoo_plain() { base; }
zoo_tracking() { base; git config branch.main.remote heroku; git config branch.main.merge refs/heads/main; }
zoo_push() { base; git config branch.main.pushRemote heroku; git config remote.pushDefault heroku; }
zoo_head() { base; git symbolic-ref refs/remotes/heroku/HEAD refs/remotes/heroku/main; }
zoo_packed() { base; git pack-refs --all; }
zoo_refspecs() { base; git config --add remote.heroku.fetch '+refs/tags/*:refs/remotes/heroku/tags/*'; git config --add remote.heroku.push 'HEAD:main'; }
zoo_comments() { base; printf '# a comment\n[alias]\n\tst = status ; short\n[remote "other"]\n\turl = https://example.com/o.git\n\tfetch = +refs/heads/*:refs/remotes/other/*\n' >>.git/config; }
zoo_instead() { base; git config url.https://mirror.example.com/.insteadOf https://git.heroku.com/; }
zoo_worktree() { base; git worktree add -q ../zoo-tree 2>/dev/null; }

write_plan() {
	cat >"$scratch/$1/p.yaml" <<YAML
plan: 1
name: remotes
summary: Point a checkout at the new app.
steps:
  rename-remotes:
    uses: git.remotes
    with:
      rename: {heroku: old}
      set: {heroku: "$new"}
YAML
}

state_of() { # what git sees, and the file itself
	git -C "$1" config --local --list
	git -C "$1" for-each-ref --format='%(refname) %(objectname) %(symref)'
	cat "$1/.git/config"
}

same() {
	cmp -s "$1" "$2" || { diff "$1" "$2"; die "$3"; }
}

for zoo in plain tracking push head packed refspecs comments instead worktree; do
	rm -rf "$scratch/zoo-tree"
	"zoo_$zoo"
	cd "$scratch" || exit 1
	rm -rf ours theirs
	cp -a zoo ours
	cp -a zoo theirs
	write_plan ours
	state_of ours >before
	git -C theirs remote rename heroku old >/dev/null 2>&1 || die "$zoo: git itself refused"
	git -C theirs remote add heroku "$new"

	expect 0 "$plan" apply --yes ours/p.yaml
	state_of ours >mine
	state_of theirs >wanted
	same wanted mine "$zoo: differs from what git makes"
	expect 0 "$plan" diff --detailed-exitcode ours/p.yaml
	expect 0 "$plan" rollback --yes --to rename-remotes ours/p.yaml
	state_of ours >after
	same before after "$zoo: the way back did not restore it"
	expect 0 "$plan" apply --yes ours/p.yaml
	state_of ours >mine
	same wanted mine "$zoo: the second time differs"
	echo "$zoo: ok"
done

# What must be refused, or waited for.
base
cd "$scratch" || exit 1
git -C zoo remote add old https://example.com/other.git
write_plan zoo
expect 3 "$plan" apply --yes zoo/p.yaml
says "both remotes heroku and old exist"
base
cd "$scratch" || exit 1
touch zoo/.git/config.lock
write_plan zoo
expect 1 "$plan" apply --yes zoo/p.yaml
says "another git process"
rm zoo/.git/config.lock
expect 0 "$plan" apply --yes zoo/p.yaml
base
cd "$scratch" || exit 1
git -C zoo remote set-url heroku https://user:canary-secret@git.heroku.com/sourceapp.git
write_plan zoo
expect 0 "$plan" diff zoo/p.yaml
silent_about canary-secret
expect 0 "$plan" apply --yes zoo/p.yaml
silent_about canary-secret
! grep -rqs canary-secret zoo/.plan || die "a password is in the journal"
expect 0 "$plan" rollback --yes --to rename-remotes zoo/p.yaml
grep -q canary-secret zoo/.git/config || die "the way back lost the password"
done_well
