#!/usr/bin/env bash
# Real power cuts: tests/powercut/run.sh ext4|xfs CUTS [SEED] [--no-sync]
#
# A file system of the kernel's in an image file. A writer commits to a database there, and says on another
# file system what was acknowledged. After a random time the file system is shut down without its journal
# being written, which is what a power cut leaves of it; then it is mounted again, and the database is
# compared with what was acknowledged. Ends with the line "N cuts, N lost, N corrupt", and with 0 only if
# nothing was lost and nothing is corrupt. With --no-sync all syncs are taken out: there must be losses.
#
# Needs root, a loop device, mkfs of the file system, util-linux. Everything is in a mount name space and a
# directory of its own, and goes when the script ends, however it ends. FOLIO_POWERCUT_DIR says where the
# image lies (400 MiB; default: /dev/shm if it has room, else the directory for temporary files),
# FOLIO_TORTURE names the program if it is not to be built.
set -euo pipefail

fail() {
    printf 'powercut: NOT RUN: %s\n' "$*" >&2
    exit 2
}

# 1. What is asked for, and whether it can be done here.
usage='usage: tests/powercut/run.sh ext4|xfs CUTS [SEED] [--no-sync]'
nosync=no
words=()
for word in "$@"; do
    if [ "$word" = --no-sync ]; then nosync=yes; else words+=("$word"); fi
done
fs=${words[0]:-} cuts=${words[1]:-} seed=${words[2]:-}
case $fs in ext4 | xfs) ;; *) fail "$usage" ;; esac
case $cuts in '' | *[!0-9]*) fail "$usage" ;; esac
[ -n "$seed" ] || seed=$(($(date +%s) % 32768))
case $seed in *[!0-9]*) fail "$usage" ;; esac
[ "$(uname)" = Linux ] || fail 'it needs Linux'
[ "$(id -u)" = 0 ] || fail 'it needs root, to mount a file system and to shut it down'
for tool in "mkfs.$fs" losetup mount umount unshare truncate; do
    command -v "$tool" >/dev/null || fail "there is no $tool (Debian: e2fsprogs, xfsprogs, mount, util-linux)"
done

# 2. Mounts that nobody else sees, and that end with the last process of this script.
if [ -z "${FOLIO_POWERCUT_INSIDE:-}" ]; then
    unshare --mount --propagation private true 2>/dev/null || fail 'no mount name space can be made here'
    [ -n "${FOLIO_TORTURE:-}" ] ||
        (cd "$(dirname "$0")/../.." && cargo build --quiet --locked --release --example torture)
    FOLIO_POWERCUT_INSIDE=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
target=${CARGO_TARGET_DIR:-$(cd "$(dirname "$0")/../.." && pwd)/target}
torture=${FOLIO_TORTURE:-$target/release/examples/torture}
[ -x "$torture" ] || fail "$torture was not built"
place=${FOLIO_POWERCUT_DIR:-}
if [ -z "$place" ]; then
    place=${TMPDIR:-/tmp}
    # In memory, if all of the image has room there.
    room=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
    [ ! -w /dev/shm ] || [ "${room:-0}" -lt 600000 ] || place=/dev/shm
fi
work=$(mktemp -d -p "$place")
disk=$work/disk image=$work/image acks=$work/acks log=$work/log
db=$disk/db.folio
writer=
mkdir "$disk"

cleanup() {
    trap - EXIT INT TERM HUP
    [ -z "$writer" ] || kill -9 "$writer" 2>/dev/null || true
    wait 2>/dev/null || true
    umount "$disk" 2>/dev/null || umount -l "$disk" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# 3. The disk. `mount -o loop` frees its device with the last unmount.
plug_in() {
    mount -t "$fs" -o loop "$image" "$disk" || {
        printf 'powercut: the file system itself cannot be mounted after cut %s\n' "$cut"
        exit 1
    }
}
cut_power() {
    local heard
    heard=$("$torture" shutdown "$disk" "$acks")
    if [ -n "$writer" ]; then
        kill -9 "$writer" 2>/dev/null || true
        wait "$writer" 2>/dev/null || true
        writer=
    fi
    # A sync that is under way meanwhile may say that it succeeded, and have written nothing. After a real
    # cut nobody hears that. Bare appends with fdatasync show the same, once in four cuts of ext4.
    [ ! -e "$acks" ] || echo "cut $heard" >>"$acks"
    local tries=0
    until umount "$disk" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 50 ] || { umount "$disk"; exit 1; }
        sleep 0.02
    done
}
# A number from 0 up to below $1, from the seed.
RANDOM=$seed
draw() { drawn=$(((RANDOM * 32768 + RANDOM) % $1)); }

cut=0
truncate -s 400M "$image"
case $fs in
ext4) mkfs.ext4 -q -F "$image" ;;
xfs) mkfs.xfs -q -f "$image" ;;
esac
plug_in

# 4. A cut takes what was not synced, and leaves what was; otherwise nothing below would mean anything.
head -c 100000 /dev/urandom >"$disk/kept"
sync "$disk/kept" "$disk"
head -c 100000 /dev/urandom >"$disk/taken"
sum=$(cksum <"$disk/kept") taken=$(cksum <"$disk/taken")
cut_power
plug_in
[ "$(cksum <"$disk/kept")" = "$sum" ] || fail 'the cut takes what was synced'
[ ! -e "$disk/taken" ] || [ "$(cksum <"$disk/taken")" != "$taken" ] ||
    fail 'the cut leaves what was not synced'
printf 'powercut: %s, seed %s: a cut takes what was not synced, and leaves what was\n' "$fs" "$seed"

# 5. The cuts.
lost=0 corrupt=0 promised=0 bare=0 fresh=yes
commits() { if [ -e "$acks" ]; then grep -c '^[0-9]' "$acks" || true; else echo 0; fi; }
judge() {
    local status=0
    # As the cut left it: recovery changes it.
    [ ! -e "$db" ] || cp "$db" "$work/found"
    { "$torture" verify "$db" "$acks" --after power --threads "$threads" --end "$1"; } >"$log" 2>&1 ||
        status=$?
    case $status in
    0) ;;
    137) [ "$1" = kill ] || { corrupt=$((corrupt + 1)); fresh=yes; } ;;
    3) lost=$((lost + 1)) fresh=yes ;;
    1 | 2) cat "$log" >&2; exit 1 ;;
    # 4, a panic, a signal.
    *) corrupt=$((corrupt + 1)) fresh=yes ;;
    esac
    # The control loses and spoils as it should.
    if [ "$fresh$nosync" = yesno ]; then
        printf 'powercut: cut %s (%s): status %s: %s\n' "$cut" "$settings" "$status" "$(tail -n 1 "$log")"
        keep=${FOLIO_POWERCUT_KEEP:-${TMPDIR:-/tmp}}/folio-powercut-$fs-$seed-$cut
        printf 'powercut: verified with --end %s; kept what the cut left: %s\n' "$1" "$keep"
        mkdir -p "$keep"
        cp "$work/found" "$acks" "$log" "$keep" || true
    fi
}
while [ "$cut" -lt "$cuts" ]; do
    draw 8
    if [ "$fresh" = yes ] || [ "$drawn" = 0 ]; then
        rm -f "$db" "$disk"/.folio-new-* "$acks"
        # Or the next cut brings the old one back.
        sync "$disk"
        fresh=no
    fi
    levels=(immediate immediate,buffered immediate,background,buffered,buffered background buffered)
    phases=(no no some yes) pages=(4096 4096 4096 16384)
    memory=(268435456 268435456 65536)
    draw 5; level=${levels[drawn]}
    draw 4; phase=${phases[drawn]}
    draw 4; page=${pages[drawn]}
    draw 3; limit=${memory[drawn]}
    draw 4; threads=$((drawn + 1))
    draw 3; readers=$((drawn % 2))
    draw 2; scatter=$([ "$drawn" = 0 ] && echo yes || echo no)
    draw 3; checkpoint=$([ "$drawn" = 0 ] && echo 300000 || echo 67108864)
    draw 250; delay=$((drawn + 50))
    draw 32768; own=$drawn
    draw 8; early=$([ "$drawn" = 0 ] && [ "$nosync" = no ] && echo yes || echo no)
    draw 4; again=$([ "$drawn" = 0 ] && echo yes || echo no)
    settings="--seed $own --levels $level --two-phase $phase --page-size $page --memory-limit $limit \
--threads $threads --readers $readers --scatter $scatter --checkpoint-after $checkpoint --compact yes"
    before=$(commits)
    mkfifo "$work/ready"
    # The writer's end by a signal is no news.
    # shellcheck disable=SC2086
    "$torture" write "$db" "$acks" $settings --nosync "$nosync" >"$work/ready" 2>"$log" &
    writer=$!
    if [ "$early" = yes ]; then
        # Perhaps before there is a file, or in the midst of recovery.
        delay=$((delay / 50))
        cat "$work/ready" >/dev/null &
    else
        read -r ready <"$work/ready" || true
        [ "${ready:-}" = ready ] || { echo 'powercut: the writer did not start:'; cat "$log"; exit 1; }
    fi
    sleep "$(printf '0.%03d' "$delay")"
    cut_power
    rm "$work/ready"
    cut=$((cut + 1))
    made=$(($(commits) - before))
    promised=$((promised + made))
    [ "$made" -gt 0 ] || bare=$((bare + 1))
    plug_in
    if [ "$again" = yes ] && [ "$nosync" = no ] && [ "$cut" -lt "$cuts" ]; then
        # Once more, with nothing between recovery and the cut but a few commits, and no closing.
        judge kill
        cut_power
        cut=$((cut + 1))
        plug_in
        [ "$fresh" = yes ] || judge close
    else
        judge close
    fi
    if [ $((cut / 10)) -gt $((${shown:-0} / 10)) ]; then
        shown=$cut
        printf 'powercut: %s cuts, %s lost, %s corrupt; %s acknowledgements, %s cuts before the first one\n' \
            "$cut" "$lost" "$corrupt" "$promised" "$bare"
    fi
done
printf '%s cuts, %s lost, %s corrupt\n' "$cut" "$lost" "$corrupt"
[ "$lost" = 0 ] && [ "$corrupt" = 0 ]
