"""What the README says is there: its examples are valid, its commands exist."""

import re
from pathlib import Path

import click
import pydantic
import pytest
import yaml

from cdp_assets import cli
from cdp_assets.activation.destination_spec import DestinationSpec, HttpSpec, SqlSpec
from cdp_assets.activation.destinations.template import agree
from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.data_actions.spec import DataActionSpec
from cdp_assets.declarations import Declaration, read_declaration
from cdp_assets.identity.rules import RULESET, read_ruleset
from cdp_assets.paths import PROJECT
from cdp_assets.samples.generate import generate
from cdp_assets.segments.spec import SegmentSpec
from cdp_assets.segments.waterfall import WaterfallSpec
from cdp_assets.streams.declared import BOOKKEEPING

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def examples(heading: str) -> list[str]:
    """The YAML blocks under a heading."""
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)


def test_the_match_rule_may_be_put_beside_the_others(tmp_path: Path) -> None:
    """And is a new one: a name that is there would replace the shipped rule."""
    (example,) = examples("Add a match rule")
    text = RULESET.read_text(encoding="utf-8")
    before = set(read_ruleset().individual.match_rules)
    file = tmp_path / "ruleset.yaml"
    at = "individual:\n  match_rules:\n"
    file.write_text(text.replace(at, at + example, 1), encoding="utf-8")
    assert len(read_ruleset(file).individual.match_rules) == len(before) + 1


@pytest.mark.parametrize(
    ("heading", "models"),
    [
        ("Add a segment", [SegmentSpec, SegmentSpec, WaterfallSpec]),
        ("Add an activation", [ActivationSpec]),
        ("Add a data action", [DataActionSpec]),
    ],
)
def test_the_declarations_are_valid(
    tmp_path: Path, heading: str, models: list[type[Declaration]]
) -> None:
    file = tmp_path / "example.yaml"
    for example, model in zip(examples(heading), models, strict=True):
        file.write_text(example, encoding="utf-8")
        assert read_declaration(file, model)


def test_the_destination_is_one_that_ships() -> None:
    example, other, further = examples("Add a destination")
    content = yaml.safe_load(other)["destination"]
    assert SqlSpec.model_validate(content).table
    content = yaml.safe_load(example)["destination"]
    agree(HttpSpec.model_validate(content), ("email",), ("add", "update", "remove"))
    declared = pydantic.TypeAdapter[DestinationSpec](DestinationSpec)
    kinds = [
        declared.validate_python(each["destination"]).kind
        for each in yaml.safe_load_all(further)
    ]
    assert kinds == ["s3", "sftp", "amqp"]


def test_the_loaders_columns_are_all_there() -> None:
    (block,) = examples("Add a data stream")
    listed = {each["name"]: each["data_type"] for each in yaml.safe_load(block)}
    assert listed == BOOKKEEPING


def commands(group: click.Group, *above: str) -> list[str]:
    found = []
    for name, command in sorted(group.commands.items()):
        inside = (*above, name)
        if isinstance(command, click.Group):
            found += commands(command, *inside)
        else:
            found.append(" ".join(inside))
    return found


@pytest.mark.parametrize("command", commands(cli.main))
def test_every_command_is_in_the_table(command: str) -> None:
    """A command that stands nowhere is found by nobody."""
    table = README.split("## Commands\n")[1].split("\n## ")[0]
    parts = command.split()
    rows = [row for row in table.splitlines() if f"`cdp {parts[0]}" in row]
    assert any(parts[-1] in row for row in rows), command


def test_every_target_of_make_is_in_the_table() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    documented = README + (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    assert len(targets) > 5
    assert [name for name in targets if f"make {name}" not in documented] == []


@pytest.mark.slow
def test_the_address_to_try_is_in_the_samples(tmp_path: Path) -> None:
    """A newcomer's second command must not answer that nobody has that key."""
    (key,) = re.findall(r"cdp profile (\S+@\S+)", README)
    generate(tmp_path / "samples")
    files = (tmp_path / "samples" / "crm_contact").iterdir()
    assert any(key.encode() in path.read_bytes().lower() for path in files)
