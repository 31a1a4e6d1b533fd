from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from refinement.management.policy_options import add_policy_options, policy_of
from refinement.method.policies import POLICIES, get_policy
from refinement.method.specs import PolicySpec


def chosen(*arguments: str) -> PolicySpec:
    parser = ArgumentParser()
    add_policy_options(parser)  # type: ignore[arg-type]
    return policy_of(vars(parser.parse_args(arguments)))


def test_without_options_it_is_the_papers() -> None:
    assert chosen() == PolicySpec()


def test_every_policy_can_be_had_by_its_name_alone() -> None:
    for name in POLICIES:
        assert get_policy(chosen("--policy", name, "--encoder", "folder")).spec.name == name


def test_filters_cut_and_seed() -> None:
    spec = chosen(
        *("--policy", "random", "--seed", "5", "--max-ifd", "none", "--max-r-ifd", "0.8"),
        *("--any-response", "--top-percent", "2", "--diverse", "--encoder", "folder"),
    )
    assert spec == PolicySpec(
        name="random",
        require_response_accepted=False,
        max_ifd=None,
        max_r_ifd=0.8,
        seed=5,
        encoder=str(Path("folder").resolve()),
        top_by="ifd",
        top_percent=2.0,
        diverse=True,
    )
