"""The shells that can complete our words: what each has to run, sends, and expects as an answer."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

BASH = """\
_defer_completion() {
    local IFS=' ' line="${COMP_LINE:0:COMP_POINT}" reply
    [[ -n $line ]] || line="${COMP_WORDS[*]:0:COMP_CWORD+1}"
    IFS=$'\\n'
    COMPREPLY=()
    for reply in $(COMP_LINE="$line" COMP_WORD="$2" \\
            _DEFER_COMPLETE=bash_complete "${1:-defer}" 2>/dev/null); do
        case $reply in
            file,*) compopt -o default 2>/dev/null ;;
            dir,*) compopt -o dirnames 2>/dev/null ;;
            plain,*) COMPREPLY+=("${reply#plain,}") ;;
        esac
    done
}
complete -o nosort -F _defer_completion defer 2>/dev/null || complete -F _defer_completion defer
"""

ZSH = """\
#compdef defer
_defer_completion() {
    local kind value help
    local -a plain described
    for kind value help in "${(@f)$(COMP_WORDS="${(j: :)${(@q)${(@Q)words[1,CURRENT]}}}" \\
            COMP_CWORD=$((CURRENT - 1)) _DEFER_COMPLETE=zsh_complete "${words[1]}" 2>/dev/null)}"; do
        case $kind in
            file) _files ;;
            dir) _path_files -/ ;;
            plain)
                if [[ $help == _ ]]; then plain+=("$value"); else described+=("$value:$help"); fi ;;
        esac
    done
    (( $#described )) && _describe -V defer described
    (( $#plain )) && compadd -V defer-plain -a plain
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _defer_completion "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _defer_completion defer
fi
"""

FISH = """\
function _defer_completion
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l line (string join -- ' ' (string escape -- $words "$current"))
    for reply in (COMP_WORDS=$line COMP_CWORD="$current" _DEFER_COMPLETE=fish_complete $words[1] 2>/dev/null)
        switch $reply
            case 'file,*'
                __fish_complete_path "$current"
            case 'dir,*'
                __fish_complete_directories "$current"
            case 'plain,*'
                string sub --start 7 -- $reply
        end
    end
end
complete --no-files --keep-order --command defer --arguments '(_defer_completion)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


class Candidate(NamedTuple):
    """A word that may come next. `kind`: the shell lists files or folders itself."""

    value: str
    help: str = ""
    kind: str = "plain"  # "file", "dir"


class Line(NamedTuple):
    """What is typed: whole words after `defer`, and the one that is not ended."""

    words: list[str]
    current: str


def read_line(shell: str, environment: Mapping[str, str]) -> Line:
    """What the shell has sent. Raises `KeyError`."""
    if shell == "bash" and "COMP_LINE" in environment:
        line = environment["COMP_LINE"]  # as a whole, because bash cuts its words at `=`, `@` and others
        words = split(line)[1:]
        if line[-1:].isspace() or not words:
            return Line(words, "")
        return Line(words[:-1], words[-1])
    words = split(environment["COMP_WORDS"])[1:]
    if shell == "fish":
        current = environment["COMP_CWORD"].lstrip("\"'")
        return Line(words[:-1] if words and words[-1] == current else words, current)
    place = int(environment["COMP_CWORD"]) - 1
    return Line(words[:place], words[place] if place < len(words) else "")


def split(line: str) -> list[str]:
    """Like a shell; a quote that is not closed, or a backslash, ends with the line."""
    if (len(line) - len(line.rstrip("\\"))) % 2:
        line = line[:-1]
    for end in ("", '"', "'"):
        try:
            return shlex.split(line + end)
        except ValueError:
            continue
    return []


def answer(shell: str, line: Line, found: Sequence[Candidate], environment: Mapping[str, str]) -> str:
    """The candidates as the shell's script reads them."""
    if shell == "zsh":
        return "\n".join(f"{one.kind}\n{_for_zsh(one)}\n{one.help or '_'}" for one in found)
    if shell == "fish":
        return "\n".join(f"{one.kind},{one.value}" + (f"\t{one.help}" if one.help else "") for one in found)
    kept = _kept_by_bash(line.current, environment)
    return "\n".join(f"{one.kind},{one.value[kept:]}" for one in found)


def _for_zsh(one: Candidate) -> str:
    """A colon ends the value where a description follows."""
    return one.value.replace("\\", "\\\\").replace(":", "\\:") if one.help else one.value


def _kept_by_bash(current: str, environment: Mapping[str, str]) -> int:
    """The characters that stay: bash replaces only what follows a `=` or a `:`."""
    replaced = environment.get("COMP_WORD", current)
    return len(current) - len(replaced) if current.endswith(replaced) else 0
