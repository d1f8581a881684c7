"""Completion scripts for shells: Click's, changed for values with colons (bash) and descriptions with commas (fish)."""

from typing import Any

# Bash splits a word at each colon: the script asks for the whole word, and cuts off the part before the last colon.
_BASH = """\
%(complete_func)s() {
    local IFS=$' \\t\\n' line="${COMP_LINE:0:COMP_POINT}" type value words prefix=""
    read -ra words <<< "$line"
    local word="${line##*[[:space:]]}" count=${#words[@]}
    [[ -n $word ]] && count=$((count - 1))
    [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && prefix="${word%%:*}:"

    COMPREPLY=()
    while IFS=',' read -r type value; do
        if [[ $type == 'dir' ]]; then
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("${value#"$prefix"}")
        fi
    done < <(env COMP_WORDS="$line" COMP_CWORD=$count %(complete_var)s=bash_complete "$1")
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null || complete -F %(complete_func)s %(prog_name)s
"""
_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
COMP_CWORD=(commandline -t) %(prog_name)s)

    for completion in $response
        set -l metadata (string split --max 1 "," $completion)

        if test $metadata[1] = "dir"
            __fish_complete_directories $metadata[2]
        else if test $metadata[1] = "file"
            __fish_complete_path $metadata[2]
        else if test $metadata[1] = "plain"
            echo $metadata[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
SHELLS = ("bash", "zsh", "fish")


def script(shell: str, command: Any) -> str:
    """Return the completion script of a shell.

    Args:
        shell: One of :data:`SHELLS`.
        command: The group of all verbs.
    """
    from click.shell_completion import FishComplete, ZshComplete

    made = (ZshComplete if shell == "zsh" else FishComplete)(command, {}, "modelpm", "_MODELPM_COMPLETE")
    template = {"bash": _BASH, "fish": _FISH}.get(shell, made.source_template)
    return template % made.source_vars()
