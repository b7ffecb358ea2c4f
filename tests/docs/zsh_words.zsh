# SPDX-License-Identifier: GPL-2.0-only
# zsh -f zsh_words.zsh DIRECTORY LINE...: what zsh offers behind each LINE, with the completions of DIRECTORY. Each is a
# line of its own: LINE, a tab, the word, and where it has a description, a tab and that. Completion works in an
# interactive shell only, so there is one, whose compadd also says what it is given.
zmodload zsh/zpty || exit 77
home=$(mktemp -d)
trap 'zpty -d shell; rm -rf $home' EXIT
cat > $home/setup << 'SETUP'
PROMPT= PS2=
bindkey -e
unsetopt beep prompt_cr auto_list auto_menu
fpath=(DIRECTORY $fpath)
autoload -U compinit && compinit -u -d HOME/dump
bindkey '^I' complete-word
# Each is asked once only, so the end asks for both again.
say_begin() { print -r -- '@@begin@@' }
say_end() {
    print -r -- '@@end@@'
    compprefuncs=(say_begin)
    comppostfuncs=(say_end)
}
compprefuncs=(say_begin)
comppostfuncs=(say_end)
zstyle ':completion:*' list-grouped false
zstyle ':completion:*' list-separator ''
zstyle ':completion:*' insert-tab false
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a hits texts
    local tab=$'\t'
    local at=${@[(i)-d]} i
    if ((at < $#)); then
        texts=("${(@P)@[at+1]}")
    fi
    builtin compadd -A hits -D texts "$@"
    for ((i = 1; i <= $#hits; ++i)); do
        print -r -- "${hits[i]}${texts[i]:+$tab${${texts[i]#${hits[i]}}## #}}"
    done
    builtin compadd "$@"
}
print -r -- '@@ready@@'
SETUP
sed -i "s|DIRECTORY|${1//|/}|; s|HOME|$home|" $home/setup

zpty shell "TERM=dumb COLUMNS=200 zsh -f -i"
zpty -w shell "source $home/setup"
zpty -r -m shell text '*@@ready@@*' || exit 1
for line in "${@[2,-1]}"; do
    zpty -w -n shell $'\C-u'"$line"$'\t'
    zpty -r -m shell text '*@@end@@*' || exit 1
    text=${text//$'\r'/}
    text=${text##*'@@begin@@'$'\n'}
    for word in "${(@f)text%%'@@end@@'*}"; do
        [[ -z $word ]] || print -r -- "$line"$'\t'"$word"
    done
done
