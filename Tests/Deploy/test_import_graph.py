"""Which stack needs which, from the templates' own text."""

import pytest

from templates import STACKS, exports, imports, template

EXPORTS = {name: exports(name) for name in STACKS}
IMPORTS = {name: imports(name) for name in STACKS}
NEEDS = {name: {other for other in STACKS if IMPORTS[name] & EXPORTS[other]} for name in STACKS}


def test_the_graph_is_the_one_that_the_descriptions_tell():
    assert NEEDS == {
        "vpc": set(), "data": {"vpc"}, "eks": {"vpc", "data"}, "auth": {"data"}, "dns": set(),
        "ingress": {"vpc", "eks", "auth", "dns"},
    }


@pytest.mark.parametrize("name", STACKS)
def test_every_import_has_its_export(name):
    assert IMPORTS[name] <= set().union(*EXPORTS.values())


@pytest.mark.parametrize("name", ["vpc", "data"])
def test_data_and_its_network_need_nothing_of_the_cluster(name):
    assert not NEEDS[name] & {"eks", "ingress"}


def test_there_is_no_cycle_and_the_order_follows():
    for index, name in enumerate(STACKS):
        assert NEEDS[name] <= set(STACKS[:index]), f"{name} needs what comes later"


def test_the_cluster_can_go_while_all_else_stays():
    rebuilt = {"eks", "ingress"}
    for name in set(STACKS) - rebuilt:
        assert not NEEDS[name] & rebuilt, f"{name} would block the rebuild"


def test_no_name_is_exported_twice():
    assert sum(len(each) for each in EXPORTS.values()) == len(set().union(*EXPORTS.values()))


@pytest.mark.parametrize("name", STACKS)
def test_an_export_says_stage_and_stack(name):
    for export in EXPORTS[name]:
        assert export.startswith(f"metaflow-STAGE-{name}-"), export


@pytest.mark.parametrize("name", STACKS)
def test_the_stage_is_in_every_export_so_that_two_stages_can_share_an_account(name):
    for output in template(name)["Outputs"].values():
        if "Export" in output:
            assert "${Stage}" in output["Export"]["Name"]["Fn::Sub"]
