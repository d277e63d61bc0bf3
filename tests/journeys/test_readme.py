"""The README's example runs as it stands, and its commands exist."""

import re
from pathlib import Path

from typer.testing import CliRunner

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_the_python_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102
    assert "control:shuffled" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_commands_exist():
    from triptych.cli import app

    named = set(re.findall(r"^triptych (\w+)", README, re.MULTILINE))
    assert named >= {"run"}
    for command in named:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_what_the_readme_shows_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (Path(__file__).parents[2] / target).exists(), target
