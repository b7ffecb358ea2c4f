# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2154  # variables of who sources it
# Signed bundles, on hotspots that take nothing else. Part of fleet_test.sh.

bundle_tool() { "$programs/viscumctl" bundle "$@" > "$dir/said" 2>&1 || complain "viscumctl bundle $* fails"; }

# bundle VERSION PAGE [COMMAND]: a web service, $dir/web-VERSION.bundle. Its image, $image or web:VERSION, has a layer that
# all versions have, and one with its page; a note is one of its files.
bundle() {
    local folder=$dir/made/$1
    mkdir -p "$folder/page/site"
    echo "$2" > "$folder/page/site/index.html"
    echo "note $2" > "$folder/note"
    tar -C "$folder/page" --owner=0 --group=0 --mtime=@0 -cf "$folder/page.tar" site
    layout=$folder/layout make_image "$folder/image.tar" "$dir/programs.tar" "$folder/page.tar"
    {
        service "${3:-httpd, -f, -p, \"80\", -h, /site}"
        printf 'files: [{ path: /site/note, file: note }]\n'
    } | sed "s|^run:|&\n  image: ${image:-web:$1}|" > "$folder/web.yaml"
    bundle_tool make "$folder/web.yaml" "$1" --image "$folder/image.tar" --out "$dir/web-$1.bundle" "${@:4}"
}

# Bytes that h1 was sent.
received() { outside ip -s -j link show mg1 | jq ".[0].stats64.tx.bytes"; }

# refuses WHAT WHY ARGUMENT...: and what is served goes on.
refuses() {
    local before
    before=$(who 1)
    task "${@:3}"
    matches "$1" "$2" "$(told .msg)"
    expect "$1: code, and whether that changes anything" '5 false' "$(told '"\(.code) \(.changed)"')"
    expect "$1: who answers" "$before" "$(who 1)"
}

bundles() {
    local key
    raise 2
    mkdir -p "$dir/programs/bin"
    cp "$(command -v busybox)" "$dir/programs/bin/"
    tar -C "$dir/programs" --owner=0 --group=0 -cf "$dir/programs.tar" bin
    for key in ops other gate; do
        ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$dir/$key"
    done
    # As a record is called that a bundle has on the device.
    image=version bundle 1 one '' --key "$dir/ops"
    bundle 2 two '' --key "$dir/ops"
    bundle 3 two
    jq --arg image "$image_package" --arg key "$(cut -d ' ' -f 1,2 "$dir/ops.pub")" \
        '.hotspot_packages += [$image] | .hotspot_config += "trust: [\"" + $key + "\"]\n"' \
        "$dir/variables.json" > "$dir/trusting.json"
    mv "$dir/trusting.json" "$dir/variables.json"
    runs play install
    bundles_one_by_one
    bundles_rolled_out
    bundles_half_lost
    bundles_lost_meanwhile
    bundles_through_gate
    bundles_of_new_devices
}

bundles_one_by_one() {
    local before size
    refuses 'one that nobody signed' "'web-3.bundle': it is not signed" bundle -a "src=$dir/web-3.bundle"
    changes 'a bundle' true bundle -a "src=$dir/web-1.bundle wait=20s"
    expect 'who answers' one "$(who 1)"
    expect 'its note' 'note one' "$(device 1 sh -c 'cat /var/lib/viscum/bundles/*/files/note')"
    expect 'what it was sent once more' true "$(told '.sent < 2000')"

    before=$(received)
    task bundle -a "src=$dir/web-2.bundle"
    expect 'the next version' 'true 2' "$(told '"\(.changed) \(.version)"')"
    expect 'who answers' two "$(who 1)"
    size=$(stat -c %s "$dir/web-2.bundle")
    expect 'its size' "$size" "$(told .size)"
    expect 'whether it was sent without what the device has' true "$(told '.sent < .size / 4')"
    [[ $(received) -lt $((before + size / 2)) ]] || complain "h1 was sent $(($(received) - before)) bytes of $size"

    refuses 'one that is older' "version 1 of 'web' is older than 2" bundle -a "src=$dir/web-1.bundle"
    refuses 'one that is older, in check mode' "version 1 of 'web' is older than 2" bundle -a "src=$dir/web-1.bundle" --check
    refuses 'a service file' 'takes signed bundles only' service -a "src=$dir/services/one.yaml"
    cp "$dir/web-3.bundle" "$dir/other.bundle"
    bundle_tool sign "$dir/other.bundle" --key "$dir/other"
    refuses 'one that somebody else signed' 'other.bundle.*SHA256:|other.bundle.*trust' bundle -a "src=$dir/other.bundle"
    head -c $((size - 10)) "$dir/web-2.bundle" > "$dir/half.bundle"
    task bundle -a "src=$dir/half.bundle"
    matches 'half a bundle' 'half.bundle: it is cut short' "$(told .msg)"
    # Not twice: a trial would begin anew.
    task bundle -a "src=$dir/web-1.bundle allow_downgrade=yes confirm=90s"
    expect 'one that is older, and may come' true "$(told .changed)"
    expect 'who answers' one "$(who 1)"
    expect 'whether it is on trial' true "$(told '.service.confirm_ms_left > 0')"
    changes 'its confirmation' true service -a "name=web state=confirmed digest=$(told .service.digest)"
}

# Two signatures: of one who is trusted, and of one who is not.
bundles_rolled_out() {
    bundle_tool sign "$dir/web-2.bundle" --key "$dir/other"
    runs play rollout -e "{\"viscum_bundles\": [\"$dir/web-2.bundle\"]}"
    expect 'what becomes of them' 'done done' "$(verdict 1) $(verdict 2)"
    expect 'who answers' 'two two' "$(who 1) $(who 2)"
    expect 'what waits' '-1 -1' "$(device 1 viscumctl status web --json | jq .confirm_ms_left) $(device 2 viscumctl status web --json | jq .confirm_ms_left)"
    runs play rollout -e "{\"viscum_bundles\": [\"$dir/web-2.bundle\"]}"
    expect 'the same again' 'done: nothing to do' "$(verdict 2)"
    bundle 4 one 'timeout, "3", busybox, httpd, -f, -p, "80", -h, /site' --key "$dir/ops"
    stops play rollout -e "{\"viscum_bundles\": [\"$dir/web-4.bundle\"]}" -e viscum_settle=4 -e viscum_confirm=600s
    matches 'a canary that ends' '^failed, and put back: web did not stay well' "$(verdict 1)"
    expect 'what comes after it' 'not tried' "$(verdict 2)"
    expect 'who answers' 'two two' "$(who 1) $(who 2)"
}

# One of two is lost when both have got the new version.
bundles_half_lost() {
    bundle 5 one '' --key "$dir/ops"
    rm "$dir/said"
    play rollout -e "{\"viscum_bundles\": [\"$dir/web-5.bundle\"], \"viscum_batches\": [2]}" -e viscum_settle=6 \
        -e viscum_confirm=15s &
    # A client may have an answer of the new version before the controller has one that it was installed.
    eventually 'both have got the new version' "grep -c 'TASK .Let it run for a while' '$dir/said'" 1
    expect 'who answers' one "$(who 2)"
    link 2 down
    ! wait $! || complain 'a run that lost a device ends well'
    expect 'the one that is well' 'put back' "$(verdict 1)"
    expect 'who answers there' two "$(who 1)"
    matches 'the one that is lost' '^failed, and goes back by itself: lost after' "$(verdict 2)"
    eventually 'it goes back by itself' 'who 2' two
    link 2 up
}

# One of two is lost while it waits for the new version to get healthy: nobody is told whether it did.
bundles_lost_meanwhile() {
    bundle 6 one 'sh, -c, "sleep 4; exec busybox httpd -f -p 80 -h /site"' --key "$dir/ops"
    play rollout -e "{\"viscum_bundles\": [\"$dir/web-6.bundle\"], \"viscum_batches\": [2]}" -e viscum_confirm=15s &
    eventually 'h2 starts the new version' "device 2 ps | grep -q '[s]leep 4; ' && echo yes" yes
    link 2 down
    ! wait $! || complain 'a run that lost a device ends well'
    expect 'the one that is well' 'put back' "$(verdict 1)"
    matches 'the one that is lost' '^failed, and goes back by itself: lost while it was deployed' "$(verdict 2)"
    eventually 'it has the version before' 'device 2 viscumctl status web --json | jq -c "[.state, .confirm_ms_left]"' '["up",-1]'
    expect 'who answers' 'two two' "$(who 1) $(who 2)"
    link 2 up
}

# By hand, with a key that may deploy and nothing else: first what a bundle is, then what the device lacks.
bundles_through_gate() {
    device 1 sh -c 'cat >> /root/.ssh/authorized_keys' << KEY
no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-pty,command="viscumctl gate --role deploy --key ops" $(cat "$dir/gate.pub")
KEY
    gate() {
        outside ssh -F none -i "$dir/gate" -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
            -o "UserKnownHostsFile=$dir/known_hosts" -o BatchMode=yes root@198.51.100.11 "$@"
    }
    bundle 7 one '' --key "$dir/ops"
    "$programs/viscumctl" bundle thin "$dir/web-7.bundle" | gate bundle lacks - > "$dir/lacks"
    "$programs/viscumctl" bundle thin "$dir/web-7.bundle" --parts "$dir/lacks" > "$dir/thin"
    [[ $(stat -c %s "$dir/thin") -lt 20000 ]] || complain "$(stat -c %s "$dir/thin") bytes are to be sent"
    gate bundle install - < "$dir/thin" > "$dir/said" 2>&1 || complain 'what was signed is not installed'
    expect 'who answers' one "$(who 1)"
    ! gate bundle install - --allow-downgrade < "$dir/web-2.bundle" > "$dir/said" 2>&1 || complain 'an older one is installed'
    ! gate deploy - < "$dir/services/two.yaml" > "$dir/said" 2>&1 || complain 'what nobody signed is deployed'
    expect 'who answers' one "$(who 1)"
}

bundles_of_new_devices() {
    local once more
    runs play install -e "{\"hotspot_bundles\": [\"$dir/web-7.bundle\"]}"
    once=$(grep -oE '^h[12] .* changed=[0-9]+' "$dir/said" | grep -oE 'changed=.*' | paste -sd ' ')
    expect 'what the role changes where it came by hand, and where it did not' 'changed=0 changed=1' "$once"
    expect 'who answers' 'one one' "$(who 1) $(who 2)"
    runs play install -e "{\"hotspot_bundles\": [\"$dir/web-7.bundle\"]}"
    more=$(grep -oE '^h[12] .* changed=[0-9]+' "$dir/said" | grep -oE 'changed=.*' | paste -sd ' ')
    expect 'what it changes once more' 'changed=0 changed=0' "$more"
}
