"""``-o PLUGIN.KEY=VALUE`` in whole processes: what it is stronger than, where it ends, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.failures import assert_shape
from support.home import Home
from support.vaults import KEY_ID, SECRET, fill, offline


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A machine without AWS, with a key of ``work``."""
    home = offline(tmp_path)
    fill(home, {"work": (KEY_ID, SECRET)})
    home.configure("[profile work]\nregion = eu-west-1\n")
    return home


def test_option_is_stronger_than_the_environment(home: Home, tmp_path: Path) -> None:
    for words in (("-o", f"file.dir={tmp_path}/flag"), ("--file-dir", f"{tmp_path}/flag")):
        for line in ((*words, "explain", "work"), ("explain", "work", *words)):
            shown = home.awsv(*line, env={"AWS_VAULT_FILE_DIR": f"{tmp_path}/variable"}).stdout
            assert f"{tmp_path}/flag/" in shown
            assert f"{tmp_path}/variable" not in shown


def test_option_and_value_in_one_word_leave_the_next_word_alone(home: Home, tmp_path: Path) -> None:
    for place in ("foo", "fox"):  # an option's letter at the end of the word is not that option
        done = home.awsv("exec", f"-ofile.dir={tmp_path}/{place}", "work", "--", "true")
        assert (done.returncode, f"{tmp_path}/{place}/store.vlt" in done.stderr) == (125, True)


def test_completion_after_an_option_of_a_plugin_goes_to_standard_output(home: Home) -> None:
    for words, found in (("awsv -o file.dir=/x ex", "exec"), ("awsv file st", "status")):
        env = {"_AWSV_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = home.awsv(env=env)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"plain,{found}" in done.stdout.split()


def test_words_of_the_child_are_its_own(home: Home) -> None:
    done = home.awsv("exec", "work", "-o", "no-such.key=x", "--", "true")
    assert (done.returncode, "no plugin 'no-such'" in done.stderr) == (125, True)
    done = home.awsv("exec", "work", "no-such-program", "-o", "no-such.key=x")
    assert (done.returncode, "no-such-program" in done.stderr) == (127, True)


def test_program_refuses_a_secret_as_an_argument(home: Home) -> None:
    done = home.awsv("list", "-o", "hashicorp.password=canary")
    assert done.returncode == 2
    assert_shape(done.stdout, done.stderr)
    assert "canary" not in done.stderr
    for line in (
        ("exec", "work", "-o", "hashicorp.password=canary", "--", "true"),
        ("-o", "hashicorp.password=canary", "exec", "work", "--", "true"),
    ):
        assert home.awsv(*line).returncode == 125


def test_help_beside_an_option_of_a_plugin_is_on_standard_output(home: Home) -> None:
    done = home.awsv("-o", "file.dir=/x", "list", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: awsv list" in done.stdout


def test_help_of_the_program_names_the_option_and_no_flag_of_aws_vault(home: Home) -> None:
    shown = home.awsv("--help").stdout
    assert "-o PLUGIN.KEY=VALUE" in shown
    assert "--file-dir" not in shown
