#!/usr/bin/env bash
# SQLite in FOLDER, in a journal MODE: sqlite.sh FOLDER MODE TRANSACTIONS.
set -euo pipefail
folder=$1 mode=$2 transactions=$3
database=$folder/$mode.db
accounts=100 writers=3
on_exit() { jobs -p | xargs -r kill -KILL 2> /dev/null || true; }
trap on_exit EXIT

ask() { sqlite3 -bail -cmd '.timeout 60000' "$database" "$1"; }
must() { [[ $2 == "$3" ]] || { echo "$mode: $1 is \"$2\", not \"$3\"" >&2; exit 1; }; }
check() {
  must "$1: integrity_check" "$(ask 'PRAGMA integrity_check')" ok
  must "$1: foreign_key_check" "$(ask 'PRAGMA foreign_key_check')" ''
  must "$1: the sum" "$(ask 'SELECT sum(balance) FROM account')" $((accounts * 1000))
}

must 'the journal' "$(ask "PRAGMA journal_mode=$mode")" "${mode,,}"
ask "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
CREATE TABLE moved (writer INTEGER, step INTEGER, note TEXT, PRIMARY KEY (writer, step));
CREATE INDEX notes ON moved (note);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $accounts)
INSERT INTO account SELECT i, 1000 FROM n;"

# Moves money between accounts; says the number of a step once it is committed.
writer() {
  local id=$1 count=$2
  for ((step = 1; step <= count; step++)); do
    echo "BEGIN IMMEDIATE;
UPDATE account SET balance = balance - 7 WHERE id = 1 + $((step * id * 31)) % $accounts;
UPDATE account SET balance = balance + 7 WHERE id = 1 + $((step * id * 17 + id)) % $accounts;
INSERT INTO moved VALUES ($id, $step, hex(randomblob(40)));
COMMIT;
SELECT $step;"
  done | stdbuf -oL sqlite3 -bail -cmd '.timeout 60000' -cmd 'PRAGMA synchronous=EXTRA' \
    "$database" > "$folder/$mode.$id.said"
}

# Several processes at once, and one that reads consistent sums meanwhile.
pids=()
for ((id = 1; id <= writers; id++)); do
  writer "$id" "$transactions" &
  pids+=($!)
done
for _ in 1 2 3 4 5; do must 'a sum meanwhile' "$(ask 'SELECT sum(balance) FROM account')" 100000; done
for pid in "${pids[@]}"; do wait "$pid"; done
check 'several writers'
must 'the steps' "$(ask 'SELECT count(*) FROM moved')" $((writers * transactions))

# kill -9 in the middle of a writer: every step that was said is there. The shell's own remarks on
# it are not wanted.
exec 3>&2 2> /dev/null
writer 9 1000000 &
shell=$!
said=$folder/$mode.9.said
for ((i = 0; i < 6000; i++)); do
  [[ -e $said && $(wc -l < "$said") -ge $((transactions / 2)) ]] && break
  sleep 0.01
done
killed=0
for task in /proc/[0-9]*; do
  [[ $(tr '\0' ' ' < "$task/cmdline" 2> /dev/null) == "sqlite3 "*"$database "* ]] || continue
  kill -KILL "${task#/proc/}" && killed=1
done
kill -KILL "$shell" 2> /dev/null || true
wait "$shell" || true
exec 2>&3
last=$(tail -n 1 "$said")
must 'a killed writer' "$killed" 1
check 'after kill -9'
stored=$(ask 'SELECT max(step) FROM moved WHERE writer = 9')
((stored >= last)) || { echo "$mode: step $last was said and $stored is the last" >&2; exit 1; }

ask 'DELETE FROM moved WHERE step % 3 = 0; VACUUM;'
check 'after VACUUM'
ask 'REINDEX; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE);' > /dev/null
check 'after REINDEX'
ask 'SELECT * FROM moved ORDER BY 1, 2; SELECT * FROM account;' | sha256sum > "$folder/$mode.sum"
ask 'VACUUM INTO '"'$folder/$mode.copy.db'"
must 'the copy' "$(sqlite3 "$folder/$mode.copy.db" 'PRAGMA integrity_check')" ok
