"""What shells send for a completion, and what they get."""

from __future__ import annotations

import pytest

from defer_cli.shells import Candidate, Line, answer, read_line


@pytest.mark.parametrize(
    ("typed", "words", "current"),
    [
        ("defer ", [], ""),
        ("defer sh", [], "sh"),
        ("defer show ", ["show"], ""),
        ("defer show @la", ["show"], "@la"),
        ("defer list --state=fa", ["list"], "--state=fa"),
        ("defer list --metadata 'a b=c' --st", ["list", "--metadata", "a b=c"], "--st"),
        ('defer run "gre', ["run"], "gre"),
        ("defer run gre\\", ["run"], "gre"),
    ],
)
def test_a_line_of_bash_is_read_as_a_whole(typed: str, words: list[str], current: str) -> None:
    assert read_line("bash", {"COMP_LINE": typed}) == Line(words, current)


def test_the_words_of_zsh_and_fish() -> None:
    zsh = {"COMP_WORDS": "defer show ''", "COMP_CWORD": "2"}
    assert read_line("zsh", zsh) == Line(["show"], "")
    assert read_line("bash", zsh) == Line(["show"], ""), "bash without a line, as other programs ask"
    assert read_line("fish", {"COMP_WORDS": "defer run gre", "COMP_CWORD": "gre"}) == Line(["run"], "gre")
    assert read_line("fish", {"COMP_WORDS": "defer run ''", "COMP_CWORD": ""}) == Line(["run"], "")


def test_bash_keeps_what_it_does_not_replace() -> None:
    line = Line(["list"], "--state=fa")
    found = [Candidate("--state=failed")]
    assert answer("bash", line, found, {"COMP_WORD": "fa"}) == "plain,failed"
    assert answer("bash", line, found, {}) == "plain,--state=failed"
    assert answer("bash", Line(["show"], "@l"), [Candidate("@last")], {"COMP_WORD": "@l"}) == "plain,@last"


def test_each_shell_gets_its_own_form() -> None:
    line = Line([], "")
    found = [Candidate("a:b", "some help"), Candidate("c"), Candidate("", kind="dir")]
    assert answer("zsh", line, found, {}).split("\n") == [
        *("plain", "a\\:b", "some help"),
        *("plain", "c", "_"),
        *("dir", "", "_"),
    ]
    assert answer("fish", line, found, {}).split("\n") == ["plain,a:b\tsome help", "plain,c", "dir,"]
