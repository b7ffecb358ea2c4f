# SPDX-License-Identifier: GPL-2.0-only
# bash completion for viscumctl. Verbs and options cost no process; names of services and images cost one viscumctl,
# files two of bash's own. Words: $cur is the one that is being written, $program and $instance what was written before.

# Offers those of its arguments that go on from what is written.
_viscumctl_offer() {
    local word
    for word; do
        [[ $word != "$cur"* ]] || COMPREPLY+=("$word")
    done
}

# Offers what viscumctl lists. Names are the first column, behind the head; remarks stand behind an empty line. It says
# nothing where it fails.
_viscumctl_offer_listed() {
    local name _
    {
        read -r _
        while read -r name _ && [[ $name ]]; do
            [[ $name == - ]] || _viscumctl_offer "$name"
        done
    } < <("$program" ${instance:+--instance "$instance"} "$@" 2> /dev/null < /dev/null)
}

_viscumctl_offer_instances() {
    local file
    for file in /etc/*/viscum.yaml; do
        file=${file%/viscum.yaml}
        [[ $file == */\* ]] || _viscumctl_offer "${file##*/}"
    done
}

# Service files and directories; any files, where there are none.
_viscumctl_offer_files() {
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -X '!*.y*ml' -- "$cur"; compgen -d -- "$cur")
    ((${#COMPREPLY[@]})) || compopt -o default
}

_viscumctl_offer_options() {
    local options=()
    case $verb in
        '') options=(--version) ;;
        deploy) options=(--wait --confirm --dry-run) ;;
        validate) options=(--config) ;;
        remove | restart) options=(--wait) ;;
        drain | resume) options=(--all) ;;
        logs) options=(--follow --lines) ;;
        events) options=(--follow --lines --since) ;;
        gate) options=(--role --key) ;;
        'bundle make') options=(--out --files --image --platform --key) ;;
        'bundle sign') options=(--key) ;;
        'bundle verify') options=(--trust) ;;
        'bundle thin') options=(--parts) ;;
        'bundle lacks') options=(--allow-downgrade) ;;
        'bundle install') options=(--allow-downgrade --wait --confirm) ;;
        savings) options=(--days --csv) ;;
        'image import') options=(--name --limit) ;;
        'image remove') options=(--force) ;;
        restore) options=(--dry-run --exact) ;;
    esac
    _viscumctl_offer --help --instance --json "${options[@]}"
}

# The verbs, or what a verb is about; $given: how many of those stand there already.
_viscumctl_offer_words() {
    case $verb:$given in
        :*)
            _viscumctl_offer deploy confirm revert remove list status logs events watch drain resume restart exec audit savings image bundle validate \
                plan doctor why backup restore gate version
            ;;
        image:*) _viscumctl_offer import list prune remove ;;
        bundle:*) _viscumctl_offer make sign verify thin lacks install list ;;
        deploy:* | validate:* | plan:*) _viscumctl_offer_files ;;
        'bundle make:0') _viscumctl_offer_files ;;
        'bundle make:1') ;;
        'image import:0' | 'bundle '*:0 | backup:0 | restore:0) compopt -o default ;;
        'image remove:0') _viscumctl_offer_listed image list ;;
        confirm:0 | revert:0 | remove:0 | status:0 | logs:0 | events:0 | drain:0 | resume:0 | restart:0 | exec:0 | audit:0 | savings:0)
            _viscumctl_offer_listed list
            ;;
        exec:1) _viscumctl_offer -- ;;
    esac
}

_viscumctl() {
    local program=$1 cur option='' verb='' instance='' given=0 words i
    COMPREPLY=()
    # Not COMP_WORDS: there 'nginx:1.27' is three words. The x is away again in a moment: without it a word that is
    # not yet begun is none.
    read -ra words <<< "${COMP_LINE:0:COMP_POINT}x"
    cur=${words[-1]%x}
    [[ $cur == *"$2" ]] || cur=$2  # in quotes
    for ((i = 1; i < ${#words[@]} - 1; ++i)); do
        case ${words[i]} in
            --) compopt -o default && return ;;
            --instance) instance=${words[++i]} ;;
            --instance=*) instance=${words[i]#*=} ;;
            --wait | --confirm | --lines | -n | --since | --name | --limit | --out | -o | --files | --image | --platform | --key | --trust | \
                --parts | --role | --days | --config) ((++i)) ;;
            -*) ;;
            *)
                case $verb in
                    '') verb=${words[i]} ;;
                    image | bundle) verb="$verb ${words[i]}" ;;
                    *) ((++given)) ;;
                esac
                ;;
        esac
    done
    if ((i == ${#words[@]})); then
        option=${words[-2]}
    elif [[ $cur == --*=* ]]; then
        option=${cur%%=*} cur=${cur#*=}
    fi
    case $option:$cur in
        --instance:*) _viscumctl_offer_instances ;;
        --config:*) _viscumctl_offer_files ;;
        :-*) _viscumctl_offer_options ;;
        :*) _viscumctl_offer_words ;;
    esac
    # What readline completes begins behind the last ':' or '='.
    local before=${cur%"$2"}
    [[ -z $before ]] || COMPREPLY=("${COMPREPLY[@]#"$before"}")
}

complete -F _viscumctl viscumctl
